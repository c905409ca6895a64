"""Small weights updated in one kernel (`optimizers/together.py`): the same numbers, and only where it gains something."""

import jax
import numpy as np
import pytest

import kyeo
from kyeo import optimizers
from kyeo.core import codegen
from kyeo.core.scope import scope
from kyeo.core.variable import Variable
from kyeo.optimizers import optimizer as module
from kyeo.optimizers.together import MOST_TOGETHER, places_of_small, run_together
from tests.rooms.test_optimizers import ROWS, SHARED

SIZES = [(5,), (2, 3), (300, 250), (7,), (3, 1, 2), (), (8,), (9,)]
CASES = [(name, options) for name, rows in ROWS.items() if hasattr(optimizers, name) for options in [{}, *rows]]
CASES += [("Adam", options) for options in SHARED[1:]] + [("Adam", {"weight_decay": 0.1})]


def built(name, options, sizes=SIZES):
    options = {key: value(optimizers) if callable(value) else value for key, value in options.items()}
    return built_for(sizes, getattr(optimizers, name)(**options))


def built_for(sizes, optimizer):
    random = np.random.default_rng(0)
    weights = [Variable(random.normal(size=size).astype("float32")) for size in sizes]
    optimizer.build(weights)
    return optimizer, weights, [random.normal(size=(3, *size)).astype("float32") for size in sizes]


def stepped(optimizer, weights, gradients):
    """The values after three compiled steps, and the program."""
    step = jax.jit(lambda values, own, grads: optimizer.stateless_apply(own, grads, values))
    values, own = [w.value for w in weights], [v.value for v in optimizer.variables]
    text = step.lower(values, own, [g[0] for g in gradients]).as_text()
    for i in range(3):
        values, own = step(values, own, [g[i] for g in gradients])
    return [*values, *own], text


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda case: case if isinstance(case, str) else "-".join(case))
def test_the_numbers_are_those_of_each_by_itself(name, options, monkeypatch):
    found, text = stepped(*built(name, options))
    together = getattr(optimizers, name)._by_element and hasattr(codegen.xla_metadata, "xla_metadata_call")
    kernels = -(-(len(SIZES) - 1) // MOST_TOGETHER)
    assert text.count('xla_cpu_small_call = "true"') == kernels * together
    monkeypatch.setattr(module, "places_of_small", lambda variables: [])
    wanted, text = stepped(*built(name, options))
    assert "small_call" not in text
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-6, atol=1e-7)


def test_weights_without_a_gradient_stay():
    optimizer, weights, gradients = built("Adam", {})
    before = [w.numpy() for w in weights]
    grads = [None if i % 2 else g[0] for i, g in enumerate(gradients)]
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        after, _ = jax.jit(lambda: optimizer.stateless_apply(
            [v.value for v in optimizer.variables], grads, [w.value for w in weights]))()
    assert [np.array_equal(a, b) for a, b in zip(after, before)] == [i % 2 == 1 for i in range(len(SIZES))]


@pytest.mark.parametrize("surroundings", ["onednn", "distribution"])
def test_only_in_short_trainings_on_one_device(surroundings):
    weights = [Variable(np.zeros(size)) for size in SIZES]
    assert places_of_small(weights) == [0, 1, 3, 4, 5, 6, 7]
    mesh = kyeo.distribution.DataParallel(devices=jax.devices()[:1])
    with mesh.scope() if surroundings == "distribution" else scope(**{surroundings: True}):
        assert places_of_small(weights) == []


@pytest.mark.parametrize(("sizes", "found"), [
    ([1, 2], [0, 1]), ([5] * 14, [*range(14)]), ([5] * 15, []), ([1, 2, 3, 4, 20_000], []),
])
def test_in_loops_all_weights_of_a_tiny_network_or_none(sizes, found):
    with scope(looped=True):
        assert places_of_small([Variable(np.zeros(size)) for size in sizes]) == found


def test_a_fit_in_a_loop_has_the_numbers_of_single_steps(monkeypatch):
    class Listener(kyeo.callbacks.Callback):  # for whom steps run one by one
        def on_train_batch_end(self, batch, logs=None):
            pass

    together = []
    monkeypatch.setattr(module, "run_together", lambda *args: together.append(args) or run_together(*args))
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    weights = []
    for callbacks in ([], [Listener()]):
        kyeo.utils.set_random_seed(0)
        model = kyeo.Sequential([
            kyeo.Input((3,)), kyeo.layers.Reshape((3, 1)), kyeo.layers.EinsumDense("abc,cd->abd", (3, 4)),
            kyeo.layers.Flatten(), kyeo.layers.Dense(1)])  # three weights: too few in single steps
        model.compile("adam", "mse")
        model.fit(x, x[:, :1], batch_size=8, epochs=3, shuffle=False, verbose=0, callbacks=callbacks)
        weights.append(model.get_weights() + [v.numpy() for v in model.optimizer.variables])
        assert len(together) == 1
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_not_where_kernels_are_shared_anyway_or_few():
    assert places_of_small([Variable([1.0]) for _ in range(9)]) == []
    assert places_of_small([Variable([0.0] * size) for size in (1, 2, 3)]) == []


def test_a_rule_of_the_users_own_is_run_for_each():
    class Halves(optimizers.Adam):
        def update_step(self, gradient, variable, learning_rate):
            self.calls = getattr(self, "calls", 0) + 1
            super().update_step(gradient / 2, variable, learning_rate)

    optimizer = Halves()
    weights = [Variable(np.zeros(size)) for size in SIZES]
    optimizer.build(weights)
    _, text = stepped(optimizer, weights, [np.ones((3, *size), "float32") for size in SIZES])
    assert "small_call" not in text and optimizer.calls >= len(SIZES)


def test_a_jax_without_such_kernels(monkeypatch):
    monkeypatch.delattr(codegen.xla_metadata, "xla_metadata_call", raising=False)  # as in JAX 0.10
    found, text = stepped(*built("Adam", {}))
    assert "small_call" not in text and all(np.isfinite(f).all() for f in found)


def test_programs_for_a_cpu_are_compiled_at_the_first_level(monkeypatch):
    assert codegen.quick({"a": 1}) == {"a": 1, "xla_backend_optimization_level": 1}
    monkeypatch.setattr(codegen, "_on_cpu", lambda: False)
    assert codegen.quick({"a": 1}) == {"a": 1} and codegen.quick() == {}
    assert codegen.in_one_kernel(len) is len


def test_training_takes_it(monkeypatch):
    seen = []
    monkeypatch.setattr(module, "run_together", lambda update, boxes, *args: seen.append(len(boxes)) or update(*args))
    model = kyeo.Sequential([kyeo.Input((4, 4, 1)), kyeo.layers.Conv2D(3, 2), kyeo.layers.Flatten(),
                             kyeo.layers.Dense(5), kyeo.layers.Dense(6), kyeo.layers.Dense(1)])
    model.compile("adam", "mse")
    x, y = np.ones((8, 4, 4, 1), "float32"), np.zeros((8, 1))
    model.fit(x, y, batch_size=4, verbose=0)
    assert seen == [12, 12]  # four weights each, with both means
