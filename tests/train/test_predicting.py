"""`predict`: the same numbers whatever the size of a dispatch, and no more compilations than needed."""

import jax
import numpy as np
import pytest

import kyeo
from kyeo.train import runner
from kyeo.train.cost import step_cost


def dense():
    return kyeo.Sequential([kyeo.layers.Input((8,)), kyeo.layers.Dense(16, activation="relu"), kyeo.layers.Dense(3)])


def convolution():
    return kyeo.Sequential([
        kyeo.layers.Input((6, 6, 8)), kyeo.layers.Conv2D(8, 3), kyeo.layers.BatchNormalization(),
        kyeo.layers.GlobalAveragePooling2D()])


@pytest.mark.parametrize("rows", [1, 4, 5, 32, 33, 100, 300])
@pytest.mark.parametrize("make", [dense, convolution])
def test_any_number_of_rows(make, rows):
    model = make()
    x = np.random.default_rng(0).normal(size=(rows, *model.input_shape[1:])).astype("float32")
    whole = model.predict(x, verbose=0)
    assert whole.shape[0] == rows
    np.testing.assert_allclose(whole, model.predict(x, batch_size=7, verbose=0), atol=1e-6)


def test_rows_in_a_dispatch(monkeypatch):
    """As many as the work of a row allows, a power of two; never fewer than the batch."""
    model, x = dense(), np.zeros((2000, 8), "float32")
    flops = 2 * (8 * 16 + 16 * 3)
    for wanted, limit in ((1024, 2e9), (256, 300 * flops), (32, 5 * flops)):
        monkeypatch.setattr(runner, "_DISPATCH_FLOPS", limit)
        assert model.runner("predict").rows_per_dispatch((x[:32], None, None), 32, 2000) == wanted
    assert convolution_cost() == pytest.approx(2 * 4 * 4 * 8 * 3 * 3 * 8, rel=1e-6)


def convolution_cost():
    model = convolution()  # a step keeps no model alive
    step = model.runner("predict")
    traced = step._asking(lambda: step._compiled.single.trace(*step.state(), (np.ones((1, 6, 6, 8), "f"), None, None), None))
    return step_cost(traced).flops


def test_a_size_that_was_asked_for_is_kept():
    sizes = []

    class Seen(kyeo.callbacks.Callback):
        def on_predict_batch_end(self, batch, logs=None):
            sizes.append(len(logs["outputs"]))

    model, x = dense(), np.zeros((96, 8), "float32")
    model.predict(x, verbose=0, callbacks=[Seen()])
    assert sizes == [32, 32, 32]
    sizes.clear()
    model.predict(x, batch_size=48, verbose=0, callbacks=[Seen()])
    assert sizes == [48, 48]


def test_the_same_again_sees_every_change():
    """The short way of a repeated prediction gives what the general way gives, whatever was changed in between."""
    model, x = dense(), np.random.default_rng(0).normal(size=(1, 8)).astype("float32")

    def agrees():
        first, again = model.predict(x, verbose=0), model.predict(x, verbose=0)
        plain = np.asarray(model(x, training=False))
        np.testing.assert_allclose(first, plain, rtol=1e-5)
        np.testing.assert_array_equal(first, again)
        return plain

    before = agrees()
    model.layers[0].kernel.assign(model.layers[0].kernel + 1)
    assert not np.allclose(before, agrees())
    model.add(kyeo.layers.Dense(2))
    assert agrees().shape == (1, 2)
    jax.clear_caches()
    agrees()
    with pytest.raises(ValueError, match="shape of the model's input"):
        model.predict(x[:, :4], verbose=0)
    agrees()


@pytest.mark.parametrize("change", [lambda layer: layer.adapt(np.arange(300.0)), lambda layer: setattr(layer, "bin_boundaries", [1.0, 60.0])])
def test_ranges_learned_anew_are_seen(change):
    """They are constants of a compiled step, which would go on with the old ones."""
    layer, x = kyeo.layers.Discretization(num_bins=3), np.float32([[5], [50], [200]])
    layer.adapt(np.arange(30.0))
    model = kyeo.Sequential([kyeo.Input((1,)), layer, kyeo.layers.Lambda(lambda ids: kyeo.ops.cast(ids, "float32"))])
    model.compile(loss="mse")
    old = model.predict(x, verbose=0)
    assert model.evaluate(x, old, verbose=0) == 0
    change(layer)
    new = np.asarray(model(x))
    assert (new != old).any()
    np.testing.assert_array_equal(model.predict(x, verbose=0), new)
    assert model.evaluate(x, new, verbose=0) == 0


def test_a_batch_of_no_rows():
    """As where nothing was found."""
    model = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(2)])
    assert model.predict_on_batch(np.zeros((0, 3), "float32")).shape == (0, 2)


@pytest.mark.parametrize("x", [
    np.ones((16, 3), ">f4"), np.ones((16, 3), ">i2"), np.ones((16, 3), np.longdouble),
    np.ma.masked_array(np.ones((16, 3)), np.zeros((16, 3))),
])
def test_one_batch_of_any_kind_of_numbers(x):
    model = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(1, kernel_initializer="ones")])
    assert model.predict(x, verbose=0).tolist() == [[3.0]] * 16


@pytest.mark.parametrize(("x", "words"), [
    (np.ma.masked_array(np.ones((16, 3)), np.eye(16, 3)), "3 of its values masked"),
    (np.zeros(16, [("a", "f4"), ("b", "f4")]), "structured_to_unstructured"),
    (np.full((16, 3), "a", np.dtypes.StringDType()), "turn text into integers"),
])
def test_one_batch_of_what_are_no_numbers_is_refused(x, words):
    model = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(1)])
    with pytest.raises(TypeError, match=words):
        model.predict(x, verbose=0)
