"""What `predict` gives belongs to the caller, as in Keras: NumPy arrays to write into, and no later call changes them."""

import numpy as np
import pytest

import kyeo

SIZES = ["one row", "few rows again", "one batch", "padded batch", "batches", "floats of 64 bits", "integers"]
DATA = dict(zip(SIZES, [np.ones((n, 2), dtype) for n, dtype in (
    (1, "float32"), (2, "float32"), (32, "float32"), (11, "float32"), (70, "float32"), (3, "float64"), (3, "int64"))]))


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_predictions_can_be_written_into(size, eagerly):
    inputs = kyeo.Input((2,))
    model = kyeo.Model(inputs, {"a": kyeo.layers.Dense(1)(inputs), "b": kyeo.layers.Dense(2)(inputs)})
    model.compile(run_eagerly=eagerly)
    x = DATA[size]
    first = model.predict(x, verbose=0)
    kept = {name: values.copy() for name, values in first.items()}
    for predict in (lambda: model.predict(x, verbose=0), lambda: model.predict_on_batch(x)):
        again = predict()
        for name, values in again.items():
            np.testing.assert_allclose(values, kept[name], rtol=1e-6)
            values[:] = -1.0
            np.testing.assert_array_equal(first[name], kept[name])


def test_weights_set_between_two_predictions():
    model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(1)])
    x = DATA["one row"]
    for value in (1.0, 2.0, 3.0):
        model.set_weights([np.full((2, 1), value), np.zeros(1)])
        assert model.predict(x, verbose=0).tolist() == [[2 * value]]


def test_two_models_alike_predict_each_by_its_own_weights():
    models = [kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(1, kernel_initializer=kyeo.initializers.Constant(v))])
              for v in (1.0, 2.0)]
    for _ in range(3):
        assert [m.predict(DATA["one row"], verbose=0).item() for m in models] == [2.0, 4.0]


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "8"])
def test_a_batch_size_that_is_none(batch_size):
    model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(1)])
    model.predict(DATA["one row"], verbose=0)
    with pytest.raises((TypeError, ValueError), match="batch_size"):
        model.predict(DATA["one row"], batch_size=batch_size, verbose=0)
