"""Warnings where a training learns nothing, or not what was meant: each is said once, at the user's line."""

import pathlib

import numpy as np
import pytest

import kyeo
from kyeo import layers, ops

X = np.linspace(-1, 1, 12 * 4, dtype="float32").reshape(12, 4)
Y = np.arange(12, dtype="float32") % 2


def model(*stack, loss="mse", optimizer="sgd", **compiled):
    made = kyeo.Sequential([kyeo.Input((4,)), *(stack or [layers.Dense(1)])], name="small")
    made.compile(optimizer, loss, **compiled)
    return made


def batches():
    while True:
        yield X[:6], Y[:6]


def frozen():
    made = model()
    made.trainable = False
    return made


def optimizer_of_another():
    shared = kyeo.optimizers.SGD(momentum=0.9)
    model(optimizer=shared).fit(X, Y, verbose=0)
    return model(optimizer=shared)


def adapted():
    layer = layers.Normalization()
    layer.adapt(np.array([[-1.0] * 4, [1.0] * 4]))  # means 0, variances 1: as they were made
    return model(layer, layers.Dense(1))


ROWS = {
    "a loss without y_pred": (lambda: model(loss=lambda y_true, y_pred: ops.mean(y_true)), {}, "depends on none of its"),
    "a step function": (lambda: model(layers.Dense(1), layers.Lambda(ops.round)), {}, "depends on none of its weights"),
    "all frozen": (frozen, {}, 'All weights of Sequential "small" are frozen'),
    "nothing to freeze": (lambda: model(layers.Flatten()), {"y": X}, None),
    "an optimizer of other weights": (optimizer_of_another, {}, "was used for other weights, and goes on with their"),
    "no data seen": (lambda: model(layers.Normalization(), layers.Dense(1)), {}, "has seen no data, so it changes noth"),
    "data seen": (adapted, {}, None),
    "batches are made elsewhere": (model, {"x": batches(), "y": None, "batch_size": 4, "steps_per_epoch": 1},
                                   "batch_size=4 is not used: the data come in batches, of 6 rows"),
    "batches of that size": (model, {"x": batches(), "y": None, "batch_size": 6, "steps_per_epoch": 1}, None),
    "accuracy of numbers": (lambda: model(metrics=["accuracy"]), {"y": 2 * Y}, "The labels run 0..2, and the accuracy"),
    "accuracy of yes and no": (lambda: model(metrics=["accuracy"]), {}, None),
}


@pytest.mark.parametrize("make, given, said", ROWS.values(), ids=ROWS)
def test_what_is_said(make, given, said):
    made = make()
    arguments = {"x": X, "y": Y, "verbose": 0, **given}
    if said is None:
        made.fit(**arguments)  # a warning would be an error
        return
    with pytest.warns(UserWarning, match="^[^\n]+$") as caught:
        made.fit(**arguments)
    assert len(caught) == 1 and said in str(caught[0].message), [str(w.message) for w in caught]
    assert pathlib.Path(caught[0].filename) == pathlib.Path(__file__)


def test_layers_in_a_set_train_and_are_saved(tmp_path):
    class Ensemble(kyeo.Model):
        def __init__(self):
            super().__init__()
            self.members = {layers.Dense(1, name=name) for name in "abc"}

        def call(self, inputs):
            return sum(member(inputs) for member in self.members)

    made, again = Ensemble(), Ensemble()
    made.compile("sgd", "mse")
    made.fit(X, Y, verbose=0)
    assert [v.path.split("/")[-2] for v in made.trainable_variables] == list("aabbcc")
    again(X)
    made.save_weights(tmp_path / "w.weights.h5")
    again.load_weights(tmp_path / "w.weights.h5")
    for one, other in zip(made.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_models_are_looked_at_once_until_they_change(recwarn):
    made = model(layers.Normalization(), layers.Dense(1))
    for _ in range(2):
        made.fit(X, Y, verbose=0)
    assert len(recwarn) == 1
    made.compile(optimizer_of_another().optimizer, "mse")
    made.fit(X, Y, verbose=0)
    assert len(recwarn) == 3  # of the optimizer, and of the layer again
