"""The update of a small network as one kernel: the same bits, fewer kernels, and plain where it cannot be one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kyeo
from kyeo.ops.kernels import one_kernel
from kyeo.ops.kernels.single import MOST_BYTES

RULES = {
    "adam": lambda: kyeo.optimizers.Adam(0.01),
    "clipped": lambda: kyeo.optimizers.AdamW(0.01, global_clipnorm=0.1, use_ema=True),
    "ftrl": lambda: kyeo.optimizers.Ftrl(0.01),
    "lamb": lambda: kyeo.optimizers.Lamb(0.01),
}
SHAPES = ((20, 32), (32,), (32, 16), (16,))



def kernels(function, *values):
    """The calls and fusions that the compiled program runs from its entry."""
    text = jax.jit(function).lower(*values).compile().as_text()
    entry = text[text.index("\nENTRY"):]
    return entry.count(" fusion(") + entry.count(" call(")


@pytest.mark.parametrize("rule", RULES)
def test_the_numbers_keep_their_bits(rule):
    optimizer = RULES[rule]()
    generator = np.random.default_rng(0)
    weights = [kyeo.Variable(generator.normal(size=shape).astype("float32")) for shape in SHAPES]
    optimizer.build(weights)
    plain = one = ([v.value for v in optimizer.variables], [w.value for w in weights])
    by_plain = jax.jit(optimizer.stateless_apply)
    by_one = jax.jit(lambda *state: one_kernel(optimizer.stateless_apply, *state))
    for _ in range(3):
        grads = [jnp.asarray(generator.normal(size=shape), "float32") for shape in SHAPES]
        plain = by_plain(plain[0], grads, plain[1])[::-1]
        one = by_one(one[0], grads, one[1])[::-1]
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(one), strict=True):
        if rule in ("adam", "ftrl"):
            np.testing.assert_array_equal(a, b)
        else:  # the sums of norms may be taken in another order
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


def test_the_update_of_adam_is_one_kernel():
    optimizer, weights = RULES["adam"](), [kyeo.Variable(np.ones(shape, "float32")) for shape in SHAPES]
    optimizer.build(weights)
    state = [v.value for v in optimizer.variables], [w.value for w in weights], [w.value for w in weights]
    assert kernels(lambda *state: one_kernel(optimizer.stateless_apply, *state), *state) == 1
    assert kernels(optimizer.stateless_apply, *state) > 3 * len(SHAPES)


def test_what_cannot_be_one_kernel_stays_plain():
    def elementwise(a):
        return a * 2 + 1

    small = jnp.ones((8, 8))
    large = jnp.ones(MOST_BYTES // 4 + 1)
    assert isinstance(one_kernel(elementwise, small), jax.Array)  # nothing to compile outside a trace

    def text(function, value):
        return jax.jit(lambda a: one_kernel(function, a)).lower(value).as_text()

    assert "xla_cpu_small_call" in text(elementwise, small)
    assert "xla_cpu_small_call" not in text(elementwise, large)
    assert "xla_cpu_small_call" not in text(lambda a: a @ a, small)
    assert "xla_cpu_small_call" not in text(jnp.sort, small)
