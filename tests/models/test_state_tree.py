"""A model's state as nested dicts, and the methods of Keras's Trainer that work on values."""

import jax
import keras
import numpy as np
import pytest

import kyeo


def trained(room):
    room.utils.clear_session()  # names like adam_3 are not the matter
    room.utils.set_random_seed(0)
    model = room.Sequential([room.Input((3,)), room.layers.Dense(2, name="head"), room.layers.BatchNormalization(name="norm")],
                            name="net")
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(np.ones((4, 3), "float32"), np.ones((4, 2), "float32"), verbose=0)
    return model


@pytest.fixture(scope="module")
def models():
    return trained(kyeo), trained(keras)


def test_the_tree_is_that_of_keras(models):
    ours, theirs = (m.get_state_tree("numpy_array") for m in models)
    named = [jax.tree_util.tree_flatten_with_path(tree)[0] for tree in (ours, theirs)]
    assert [(path, value.shape) for path, value in named[0]] == [(path, value.shape) for path, value in named[1]]


def test_set_state_tree(models):
    model = models[0]
    tree = model.get_state_tree("numpy_array")
    tree["trainable_variables"]["net"]["head"]["kernel"] += 1
    model.set_state_tree(tree)
    np.testing.assert_array_equal(model.get_layer("head").kernel, tree["trainable_variables"]["net"]["head"]["kernel"])
    with pytest.raises(ValueError, match="does not have"):
        model.set_state_tree({"trainable_variables": {"net": {"haed": 1.0}}})
    with pytest.raises(ValueError, match="does not fit"):
        model.set_state_tree({"trainable_variables": {"net": {"head": {"kernel": np.ones((1, 1))}}}})


@pytest.mark.parametrize("room", [kyeo, keras])
def test_two_variables_of_one_path_are_refused(room):
    class Own(room.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = (room.layers.Dense(2, name="same") for _ in range(2))

        def call(self, x):
            return self.second(self.first(x))

    model = Own()
    model(np.ones((1, 2), "float32"))
    for use in (model.get_state_tree, lambda: model.set_state_tree({"trainable_variables": {}})):
        if room is kyeo or use == model.get_state_tree:  # Keras sets whichever comes last
            with pytest.raises(ValueError, match="twice"):
                use()


def test_stateless_compute_loss(models):
    model = models[0]
    y, y_pred = np.zeros((4, 2), "float32"), np.full((4, 2), 2.0, "float32")
    values = [[v.value for v in group] for group in (
        model.trainable_variables, model.non_trainable_variables, model.metrics_variables)]
    loss, new = model.stateless_compute_loss(*values, y=y, y_pred=y_pred)
    assert float(loss) == 4.0 and [len(group) for group in new] == [len(group) for group in values]
    assert model.jit_compile
    x = kyeo.Input((2, 3))
    assert x.reshape((-1, 6)).shape == (None, 6) and kyeo.Input((1, 3)).squeeze(1).shape == (None, 3)
    with pytest.raises(NotImplementedError, match="add_metric"):
        model.add_metric(1.0)
