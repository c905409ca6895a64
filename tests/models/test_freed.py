"""A dropped model goes at once with its weights: nothing waits for the garbage collector."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import kyeo
from kyeo import layers

X, Y = np.ones((6, 5, 4), "float32"), np.ones((6, 1), "float32")


def graph():
    x = kyeo.Input((5, 4))
    steps, last, _ = layers.LSTM(3, return_state=True)(layers.Masking()(x))
    return kyeo.Model(x, layers.Dense(1)(steps + last))


def stack():
    return kyeo.Sequential([layers.Flatten(), layers.Dense(2), layers.Dropout(0.1), layers.Dense(1)])


class Own(kyeo.Model):
    def __init__(self):
        super().__init__()
        self.inner, self.seen = graph(), kyeo.metrics.Mean(name="seen")

    def call(self, x):
        self.add_loss(0.1)
        return self.inner(x)


@pytest.fixture
def without_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("make", [graph, stack, Own])
def test_nothing_of_a_dropped_model_is_left(make, without_collector, tmp_path):
    model = make()
    model.compile("adam", "mse", metrics=["mae"])
    history = model.fit(X, Y, batch_size=4, validation_split=0.5, verbose=0)
    model.evaluate(X, Y, verbose=0), model.predict(X, verbose=0), model(X), model.summary(print_fn=lambda text: None)
    assert history.model is model and model.history.history == history.history
    copies = [model]
    if make is not Own:
        model.save(tmp_path / "m.keras")
        copies += [kyeo.models.load_model(tmp_path / "m.keras"), copy.deepcopy(model), pickle.loads(pickle.dumps(model)),
                   kyeo.models.clone_model(model)]
        copies[-1].set_weights(model.get_weights())
    predictions = [one.predict(X, verbose=0) for one in copies]
    assert all(np.array_equal(predictions[0], one) for one in predictions)
    kept = [weakref.ref(thing) for one in copies for thing in (one, one.optimizer, *one.layers, *one.variables)
            if thing is not None]
    del model, copies, history
    assert [thing() for thing in kept if thing() is not None] == []


def test_the_output_of_a_layer_is_there_although_nobody_kept_it():
    layer = layers.Embedding(3, 2, mask_zero=True)
    layer(kyeo.Input((4,)))
    output = layer.output
    assert output is layer.output and output.shape == (None, 4, 2) and output._keras_mask is not None
    assert layer.input.shape == (None, 4)
