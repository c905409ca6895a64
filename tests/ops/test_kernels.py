"""The kernels against NumPy in float64 and against the plain `jax.lax` operations they replace."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax

from kyeo.core.scope import scope
from kyeo.ops.kernels import attend, average_pool, keep_mask, matrix_product, max_pool, product, uniform_bits
from tests.numpy_jaxpr import compiled, in_numpy
from tests.thin import thinned

POOLS = [
    # shape, window, strides
    ((2, 8, 6, 3), (2, 2), (2, 2)),
    ((2, 7, 9, 3), (2, 2), (2, 2)),
    ((2, 9, 9, 2), (3, 3), (2, 2)),
    ((2, 8, 7, 2), (3, 2), (1, 1)),
    ((2, 9, 7, 2), (2, 3), (3, 4)),
    ((2, 9, 9, 2), (5, 5), (5, 5)),
    ((3, 11, 4), (2,), (2,)),
    ((3, 11, 4), (4,), (3,)),
    ((3, 50, 2), (40,), (7,)),
    ((2, 4, 6, 5, 2), (2, 2, 2), (2, 2, 2)),
    ((2, 4, 6, 5, 2), (2, 3, 2), (1, 2, 2)),
    ((2, 3, 3, 2), (4, 4), (1, 1)),
]


def draw(shape, seed=0, levels=None):
    """Normal numbers; with `levels`, few different ones, so that windows hold ties."""
    values = np.random.default_rng(seed).normal(size=shape)
    return jnp.asarray(np.round(values * levels) if levels else values, "float32")


def plain_max(x, window, strides, padding):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, *window, 1), (1, *strides, 1), padding.upper())


def value_and_pull(pool, x, g, *geometry):
    """The pool of x and the gradient of <pool(x), g>; the plain form by NumPy, others compiled in one."""

    def both(x):
        y, pull = jax.vjp(lambda x: pool(x, *geometry), x)
        return y, pull(jnp.resize(g, y.shape))[0]

    return (in_numpy if pool is plain_max else compiled)(both, x)


def mean_by_hand(x, window, strides, padding):
    """Average pooling in NumPy, one window at a time."""
    x = np.asarray(x, "float64")
    sizes = x.shape[1:-1]
    if padding == "same":
        outs = [-(-n // s) for n, s in zip(sizes, strides)]
        starts = [max((o - 1) * s + k - n, 0) // 2 for o, s, k, n in zip(outs, strides, window, sizes)]
    else:
        outs = [max((n - k) // s + 1, 0) for n, s, k in zip(sizes, strides, window)]
        starts = [0] * len(sizes)
    y = np.zeros((x.shape[0], *outs, x.shape[-1]))
    for at in itertools.product(*map(range, outs)):
        first = [a * s - p for a, s, p in zip(at, strides, starts)]
        part = x[(slice(None), *(slice(max(f, 0), f + k) for f, k in zip(first, window)))]
        y[(slice(None), *at)] = part.mean(axis=tuple(range(1, x.ndim - 1)))
    return y


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("shape, window, strides", POOLS)
def test_max_pool_and_its_gradient_are_those_of_reduce_window(shape, window, strides, padding):
    x = draw(shape, levels=1)
    # Whole numbers add without rounding: the ties, not the order of the sum, are compared.
    g = draw(shape, seed=1, levels=8)
    ours = value_and_pull(max_pool, x, g, window, strides, padding)
    theirs = value_and_pull(plain_max, x, g, window, strides, padding)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_max_pool_gradient_without_overlap_is_bit_identical():
    x, g = draw((4, 28, 28, 8), levels=2), draw((4, 14, 14, 8), seed=1)
    ours, lax_s = (value_and_pull(f, x, g, (2, 2), (2, 2), "valid")[1] for f in (max_pool, plain_max))
    np.testing.assert_array_equal(ours, lax_s)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("window, strides", [((2, 2), (2, 2)), ((3, 3), (2, 2))])
def test_max_pool_of_minus_infinity_gives_the_gradient_to_real_elements(window, strides, padding):
    x = jnp.full((1, 5, 5, 1), -jnp.inf)
    y, pull = jax.vjp(lambda x: max_pool(x, window, strides, padding), x)
    np.testing.assert_array_equal(y, jnp.full_like(y, -jnp.inf))
    assert pull(jnp.ones_like(y))[0].sum() == y.size


@pytest.mark.parametrize("window, strides", [((2, 2), (2, 2)), ((3, 3), (1, 1))])
def test_max_pool_spreads_nan(window, strides):
    x = draw((1, 6, 6, 1)).at[0, 2, 3, 0].set(jnp.nan)
    y, pull = jax.vjp(lambda x: max_pool(x, window, strides), x)
    np.testing.assert_array_equal(y, plain_max(x, window, strides, "valid"))
    (dx,) = pull(jnp.ones_like(y))
    assert dx[0, 2, 3, 0] == jnp.isnan(y).sum()
    assert dx.sum() == y.size


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint8", "bfloat16", "float16"])
def test_max_pool_keeps_the_dtype(dtype):
    x = jnp.asarray(np.random.default_rng(0).integers(0, 100, (2, 7, 7, 3)), dtype)
    for window, strides in [((2, 2), (2, 2)), ((3, 3), (2, 2)), ((40, 1), (1, 1))]:
        y = max_pool(x, window, strides, "same")
        want = plain_max(x.astype("float32"), window, strides, "same")
        assert y.dtype == dtype
        np.testing.assert_array_equal(y.astype("float32"), want)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("shape, window, strides", thinned(POOLS))
def test_average_pool_against_numpy(shape, window, strides, padding):
    x = draw(shape)
    want = mean_by_hand(x, window, strides, padding)
    g, other = draw(want.shape, seed=1), draw(shape, seed=2)
    y, dx = value_and_pull(average_pool, x, g, window, strides, padding)
    np.testing.assert_allclose(y, want, atol=2e-6)
    # The pool is linear: <pool(x), g> = <x, pull(g)> for every x and g.
    left = np.vdot(mean_by_hand(other, window, strides, padding), np.asarray(g, "float64"))
    np.testing.assert_allclose(np.vdot(other, dx), left, atol=1e-4)


def test_average_pool_dtypes():
    x = jnp.arange(32).reshape(2, 4, 4, 1)
    assert average_pool(x, (2, 2), (2, 2)).dtype == jnp.float32
    np.testing.assert_array_equal(average_pool(x, (2, 2), (2, 2))[0, :, :, 0], [[2.5, 4.5], [10.5, 12.5]])
    half = jnp.full((1, 32, 32, 1), 1.01, "bfloat16")
    y = average_pool(half, (32, 32), (32, 32))
    assert y.dtype == jnp.bfloat16 and y.item() == half[0, 0, 0, 0]


@pytest.mark.parametrize("pool", [max_pool, average_pool])
@pytest.mark.parametrize("window, strides", [((2, 2), (2, 2)), ((3, 3), (2, 2))])
def test_pools_transform(pool, window, strides):
    def run(x):
        return pool(x, window, strides, "same")

    x = draw((3, 2, 7, 7, 2))
    np.testing.assert_array_equal(jax.vmap(run)(x), jnp.stack([run(part) for part in x]))

    def loss(x):
        return (run(x) ** 3).sum()

    each = jnp.stack([jax.grad(loss)(part) for part in x])
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(loss)))(x), each, rtol=1e-5)
    second = jax.grad(lambda x: (jax.grad(loss)(x) ** 2).sum())(x[0])
    assert jnp.isfinite(second).all() and (second != 0).any()


@pytest.mark.parametrize("pool", [max_pool, average_pool])
@pytest.mark.parametrize("window, strides", [((2, 2), (2, 2)), ((3, 3), (2, 2))])
@pytest.mark.parametrize("spec", ["b, 7, 8, 3", "b, h, w, 3"])
def test_pools_of_symbolic_shapes(pool, window, strides, spec):
    shape = export.symbolic_shape(spec, constraints=["b>=2", *(["h>=4", "w>=4"] if "h" in spec else [])])
    x = jax.ShapeDtypeStruct(shape, "float32")
    for padding in ("valid", "same"):

        def run(x, padding=padding):
            return pool(x, window, strides, padding)

        y = jax.eval_shape(run, x)
        assert y.shape[0] == shape[0] and y.shape[3] == 3
        assert jax.eval_shape(jax.grad(lambda x: run(x).sum()), x).shape == shape
        concrete = draw((5, 7, 8, 3))
        again = export.export(jax.jit(run))(x).call(concrete)
        np.testing.assert_allclose(again, run(concrete), atol=1e-6)


def test_pools_refuse_nonsense():
    with pytest.raises(ValueError, match="Received: padding='full'"):
        max_pool(jnp.ones((1, 4, 4, 1)), (2, 2), (2, 2), "full")
    with pytest.raises(ValueError, match="one window size"):
        average_pool(jnp.ones((1, 4, 4, 1)), (2,), (2,))


# Random bits ---------------------------------------------------------------------------------------------


def bits(seed, step, shape):
    return np.asarray(jax.jit(uniform_bits, static_argnums=1)(jnp.array([seed, step], "uint32"), shape))


def correlation(a, b):
    """Correlation of two arrays of words in units of its standard deviation under independence."""
    a, b = (v.ravel().astype("float64") / 2**32 - 0.5 for v in (a, b))
    return (a * b).mean() * 12 * np.sqrt(a.size)


def chi_square(counts):
    """Deviation of equally likely counts, in standard deviations of the chi-square distribution."""
    expected = counts.sum() / counts.size
    freedom = counts.size - 1
    return (((counts - expected) ** 2 / expected).sum() - freedom) / np.sqrt(2 * freedom)


KEYS = [(0, 0), (0, 1), (1, 0), (1234, 0), (2**32 - 1, 2**32 - 1)]


@pytest.mark.parametrize("seed, step", KEYS)
def test_bits_are_uniform_and_unrelated(seed, step):
    words = bits(seed, step, (1024, 1024))
    assert words.dtype == np.uint32
    for byte in range(4):
        assert abs(chi_square(np.bincount((words.ravel() >> (8 * byte)) & 255, minlength=256))) < 5
    pairs = (words[:, ::2] >> 24 << 8 | words[:, 1::2] >> 24).ravel()
    assert abs(chi_square(np.bincount(pairs, minlength=65536))) < 5
    single = np.unpackbits(words.view(np.uint8).reshape(-1, 4), axis=1).mean(0)
    assert (abs(single - 0.5) < 5 * 0.5 / 1024).all()
    neighbours = {lag: correlation(words.ravel()[:-lag], words.ravel()[lag:]) for lag in (1, 2, 3, 64, 1024)}
    assert all(abs(value) < 5 for value in neighbours.values()), neighbours
    for other in [(seed, step ^ 1), (seed, step ^ 2), (seed ^ 1, step), (step ^ 5, seed)]:
        assert abs(correlation(words, bits(*other, (1024, 1024)))) < 5
        assert (words == bits(*other, (1024, 1024))).sum() <= 3


def test_masks_of_counting_keys_are_independent():
    key = jnp.stack([jnp.full(512, 42, "uint32"), jnp.arange(512, dtype="uint32")], 1)
    masks = np.asarray(jax.vmap(lambda k: keep_mask(k, (4096,), 0.5))(key)) * 2.0 - 1
    overlap = masks @ masks.T / np.sqrt(masks.shape[1])
    between = overlap[~np.eye(512, dtype=bool)]
    assert abs(between).max() < 6 and abs(between.std() - 1) < 0.02
    # One element over the steps, and the number kept in each mask.
    assert abs(masks.mean(0)).max() * np.sqrt(512) < 6
    assert abs(masks.mean(1).std() * np.sqrt(4096) - 1) < 0.2
    # No mask is another one moved along: the largest of all shifted products stays small.
    spectra = np.fft.rfft(masks[:64])
    shifted = np.fft.irfft(spectra[:, None] * spectra[None].conj())[~np.eye(64, dtype=bool)]
    assert abs(shifted).max() / np.sqrt(4096) < 7


def test_bits_depend_on_key_and_position_only():
    tall = bits(3, 4, (64, 5, 7))
    np.testing.assert_array_equal(bits(3, 4, (16, 5, 7)), tall[:16])
    np.testing.assert_array_equal(bits(3, 4, (64 * 35,)), tall.ravel())
    np.testing.assert_array_equal(bits(3, 4, ()), tall[0, 0, 0])
    batch = export.symbolic_shape("b")[0]
    shape = jax.eval_shape(lambda k: uniform_bits(k, (batch, 3)), jax.ShapeDtypeStruct((2,), "uint32"))
    assert shape.shape == (batch, 3) and shape.dtype == jnp.uint32


@pytest.mark.parametrize("rate", [0.0, 1e-3, 0.1, 0.5, 0.9, 1.0])
def test_keep_mask_meets_the_rate(rate):
    mask = np.asarray(keep_mask(jnp.array([5, 6], "uint32"), (1000, 1000), rate))
    assert mask.dtype == bool
    assert abs(mask.mean() - (1 - rate)) <= 5 * np.sqrt(rate * (1 - rate)) / 1000


@pytest.mark.parametrize("shape, kernel, summed, equation", [
    ((3, 4), (4, 5), 1, "ab,bc->ac"), ((2, 3, 4), (4, 5), 1, "abc,cd->abd"),
    ((2, 3, 4), (4, 5, 6), 1, "abc,cde->abde"), ((2, 3, 4, 5), (4, 5, 6), 2, "abcd,cde->abe"),
    ((4,), (4, 5), 1, "a,ab->b"), ((2, 0, 4), (4, 5), 1, "abc,cd->abd"),
])
def test_product_is_einsum(shape, kernel, summed, equation):
    x, w = draw(shape), draw(kernel, seed=1)
    ours, pull = jax.vjp(lambda x, w: product(x, w, summed), x, w)
    theirs, wanted = jax.vjp(lambda x, w: jnp.einsum(equation, x, w), x, w)
    g = draw(ours.shape, seed=2)
    for a, b in zip((ours, *pull(g)), (theirs, *wanted(g)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows, inputs, outputs, turned", [
    (256, 24, 16, "always"), (32, 256, 10, "always"), (2048, 6, 1, "always"), (255, 24, 17, "never"), (31, 256, 16, "never"),
    (512, 24, 17, "never"), (16, 4096, 1000, "never"), (32, 20, 32, "in loops"), (64, 32, 128, "in loops"), (65, 32, 16, "never"), (32, 64, 65, "never"),
])
def test_gradient_of_tall_and_small_kernels(rows, inputs, outputs, turned):
    x, w, g = draw((rows, inputs)), draw((inputs, outputs), seed=1), draw((rows, outputs), seed=2)
    wide = [np.asarray(a, "float64") for a in (x, w, g)]
    for looped in (False, True):
        both = jax.grad(lambda x, w: jnp.sum(matrix_product(x, w) * g), (0, 1))
        with scope(looped=looped):
            assert ("optimization_barrier" in str(jax.make_jaxpr(both)(x, w))) is (turned == "always" or (looped and turned == "in loops"))
            for ours, theirs in zip(jax.jit(both)(x, w), (wide[2] @ wide[1].T, wide[0].T @ wide[2]), strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.sqrt(max(rows, outputs)))
            for inside in (lambda f: f, jax.jit):  # forward too, also where JAX has traced it before it asks
                tangent = jax.jvp(inside(lambda x, w: matrix_product(x, w)), (x, w), (x, w))[1]
                np.testing.assert_allclose(tangent, 2 * matrix_product(x, w), rtol=1e-5, atol=1e-4)


def plain_attention(q, k, v, mask, factors, blind):
    """Attention of (batch, length, heads, size) by einsum."""
    logits = jnp.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(q.shape[-1])
    weights = jax.nn.softmax(jnp.where(mask, logits, -1e30))
    return jnp.einsum("bhqk,bkhd->bqhd", jnp.where(mask, weights, 0 if blind else weights) * factors, v)


@pytest.mark.parametrize("wanted", [False, True])
@pytest.mark.parametrize("queries, keys, blind, drops", thinned([
    (64, 64, False, False), (5, 64, True, False), (64, 7, False, True), (6, 6, True, True), (1, 1, False, False),
], 2))
def test_attention_and_its_gradients(queries, keys, blind, drops, wanted):
    arrays = [draw(shape, seed) for seed, shape in enumerate([(3, queries, 2, 8), (3, keys, 2, 8), (3, keys, 2, 5)])]
    mask = np.random.default_rng(0).random((3, 1, queries, keys)) < 0.8
    mask[..., 0] = True
    mask[0, 0, 0] = False  # a query that may look at nothing
    factors = np.float32(np.random.default_rng(1).random((3, 2, queries, keys)) if drops else 1)
    g = draw((3, queries, 2, 5), seed=3)

    def value_and_gradients(function, *arrays):
        value, pull = jax.vjp(function, *arrays)
        return value, *pull(g)

    def ours(*arrays):
        drop = (lambda weights: weights * factors) if drops else None
        return attend(*arrays, mask=mask, blind=blind, drop=drop, wanted=wanted)[0]

    found = compiled(functools.partial(value_and_gradients, ours), *arrays)
    plain = functools.partial(plain_attention, mask=mask, factors=factors, blind=blind)
    for a, b in zip(found, in_numpy(functools.partial(value_and_gradients, plain), *arrays), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    inward = [jax.jvp(f, arrays, arrays)[1] for f in (ours, plain)]
    np.testing.assert_allclose(*inward, rtol=1e-4, atol=1e-5)
