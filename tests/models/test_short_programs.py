"""Inputs that are dicts and lists, models cut out of others, attributes of objects: short programs, run on Keras too."""

import jax
import keras
import numpy as np
import pytest

import kyeo
from tests.thin import thinned

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(8, 3)).astype("float32"), RNG.normal(size=(8, 2)).astype("float32")
IDS = RNG.integers(0, 5, (8, 4)).astype("int32")
PICTURES = RNG.normal(size=(2, 6, 6, 1)).astype("float32")


def filled(model):
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=w.shape).astype("float32") for w in model.get_weights()])
    return model


def kinds(model):
    """Classes of the layers; names of those that the user named."""
    return [type(layer).__name__ + (layer.name if "_" not in layer.name else "") for layer in model.layers]


def looked_up(k):
    class LookedUp(k.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.embedding, self.dense = k.layers.Embedding(5, 3), k.layers.Dense(3)

        def call(self, x):
            return k.ops.mean(self.embedding(x["ids"]), axis=1) + self.dense(x["numbers"])

    return LookedUp()


def stack_of_dict(k):
    model = k.Sequential([looked_up(k), k.layers.Dropout(0.0), k.layers.Dense(1)])
    x = {"ids": IDS, "numbers": B}
    model(x)
    filled(model).compile("sgd", "mse")
    history = model.fit(x, A[:, :1], batch_size=3, epochs=2, shuffle=False, verbose=0).history["loss"]
    return history, model.predict(x, verbose=0), model.evaluate(x, A[:, :1], verbose=0)


def stack_of_list(k):
    model = k.Sequential([k.Sequential([k.layers.Concatenate(), k.layers.Dense(2)]), k.layers.Dense(1)])
    model([A, B])
    filled(model)
    first = model([A, B])
    model.add(k.layers.Dense(2))
    model([A, B])
    return first, filled(model)([A, B]), len(model.weights), model.built


def stack_built_by_fit(k):
    model = k.Sequential([k.layers.Concatenate(), k.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit([A, B], A[:, :1], verbose=0)
    return model.built, [tuple(w.shape) for w in model.weights]


def stack_saved(k, path):
    model = k.Sequential([k.layers.Concatenate(), k.layers.Dense(1)])
    model([A, B])
    filled(model).save(path)
    return k.models.load_model(path)([A, B]), model([A, B])


def stack_without_shape(k):
    model = k.Sequential([k.layers.Dense(1)])
    return [hasattr(model, name) for name in ("inputs", "outputs", "input", "output", "input_shape", "output_shape")]


def nested_inputs(k):
    a, b, c = k.Input((3,), name="a"), k.Input((2,), name="b"), k.Input((2,), name="c")
    x = k.layers.Concatenate()([a, b, c])
    model = filled(k.Model({"x": [a, b], "y": (c,)}, k.layers.Dense(1)(x)))
    given = {"x": [A, B], "y": (B,)}
    return model(given), model.predict(given, verbose=0), k.tree.map_structure(lambda t: t.name, model.input)


def network(k):
    i = k.Input((6, 6, 1), name="img")
    x = k.layers.Conv2D(2, 3, name="one")(i)
    x = k.layers.Conv2D(2, 3, name="two")(x)
    x = k.layers.GlobalAveragePooling2D(name="gap")(x)
    return filled(k.Model(i, k.layers.Dense(2, name="out")(x), name="network"))


def upper_part(k):
    whole = network(k)
    lower, upper = k.Model(whole.input, whole.get_layer("one").output), k.Model(
        whole.get_layer("one").output, whole.output)
    again = k.Model.from_config(upper.get_config())
    again.set_weights(upper.get_weights())
    features = lower(PICTURES)
    return (kinds(upper), type(upper.get_layer(index=0)).__name__, upper.get_layer(index=1).name, upper(features),
            kinds(again), again(features), [tuple(w.shape) for w in upper.weights], tuple(upper.input_shape))


def upper_part_of_ops(k):
    i = k.Input((3,))
    h = k.ops.relu(i)
    model = k.Model(h, k.layers.Dense(2, name="d")(h))
    return kinds(model), tuple(model.input_shape)


def part_beside_an_input(k):
    a, b = k.Input((3,), name="a"), k.Input((2,), name="b")
    h = k.layers.Dense(2, name="h")(a)
    model = k.Model([h, b], k.layers.Dense(1, name="o")(k.layers.Concatenate(name="cc")([h, b])))
    return [type(layer).__name__ for layer in model.layers], model.input_shape


def attributes(k):
    area = k.metrics.AUC(num_thresholds=3)
    area.update_state([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
    norm, moments = k.layers.BatchNormalization(), k.layers.Normalization(mean=1.0, variance=4.0)
    cells = [k.layers.RNN(cell) for cell in (k.layers.LSTMCell(2), k.layers.GRUCell(2))]
    unbuilt = k.layers.Dense(3).compute_output_spec(k.KerasTensor((2, 6))).shape
    types = [k.layers.Discretization([0.0, 1.0], output_mode=mode).output_dtype for mode in ("int", "one_hot")]
    return (area.interpolate_pr_auc(), norm.moving_mean, norm.moving_variance, moments(A), moments.mean,
            moments.variance, [layer.single_state for layer in cells], types, tuple(unbuilt))


def comparisons(k):
    found = []

    class Watched(k.callbacks.EarlyStopping):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            found.append(bool(self.monitor_op(1, 2)))

    model = k.Sequential([k.Input((3,)), k.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["accuracy"])
    for name in ("loss", "accuracy"):
        model.fit(A, A[:, :1] > 0, verbose=0, callbacks=[Watched(name)])
    return found, Watched().monitor_op


def masks_of_ones_own(k):
    class Marks(k.layers.Layer):
        def call(self, inputs):
            return inputs

        def compute_mask(self, inputs, mask=None):
            return k.ops.any(k.ops.not_equal(inputs, 0), axis=-1)

    class Positions(k.layers.Layer):
        def __init__(self):
            super().__init__()
            self.tokens, self.places = (k.layers.Embedding(5, 3, mask_zero=first) for first in (True, False))

        def call(self, ids):
            return self.tokens(ids) + self.places(k.ops.arange(4))

        def compute_mask(self, ids, mask=None):
            return self.tokens.compute_mask(ids)

    x, ids = k.Input((4, 3)), k.Input((4,), dtype="int32")
    mean = k.layers.GlobalAveragePooling1D
    model = filled(k.Model([x, ids], [mean()(Marks()(x)), mean()(Positions()(ids))]))
    padded = np.ones((8, 4, 3), "float32") * (np.arange(4) < 2)[:, None]
    return [(layer.supports_masking, type(layer).__name__) for layer in model.layers[2:4]], model([padded, IDS])


PROGRAMS = (attributes, masks_of_ones_own, comparisons, stack_of_dict, stack_of_list, stack_built_by_fit, stack_without_shape, nested_inputs, upper_part,
            upper_part_of_ops, part_beside_an_input)


def same(ours, theirs):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs)):
        if isinstance(other, str):
            assert one == other
        else:
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("program", thinned(PROGRAMS, 2), ids=lambda program: program.__name__)
def test_same_as_keras(program):
    same(program(kyeo), program(keras))


def test_a_stack_of_lists_is_saved(tmp_path):
    same(stack_saved(kyeo, tmp_path / "ours.keras"), stack_saved(keras, tmp_path / "theirs.keras"))


@pytest.mark.parametrize("k", (keras, kyeo), ids=("keras", "kyeo"))
def test_keys_that_are_no_inputs_are_named_in_a_warning(k):
    a, b = k.Input((3,), name="a"), k.Input((2,), name="b")
    model = k.Model({"a": a, "b": b}, k.layers.Concatenate()([a, b]))
    with pytest.warns(UserWarning, match="'?other'?"):
        found = model({"a": A, "b": B, "other": A})
    np.testing.assert_array_equal(found, np.concatenate([A, B], axis=1))


def test_a_loop_of_ones_own_may_call_compute_loss_first():
    """`compute_loss` makes the losses, also inside `jax.grad`; `fit` counts from zero afterwards."""
    def found(k):
        i = k.Input((3,))
        model = filled(k.Model(i, {"u": k.layers.Dense(2)(i), "v": k.layers.Dense(2)(i)}))
        model.compile("sgd", {"u": "mse", "v": "mae"})
        y = {"u": B, "v": -B}

        def loss(trainable):
            y_pred, _ = model.stateless_call(trainable, [], A, training=True)
            return model.compute_loss(A, y, y_pred)

        value = jax.jit(jax.value_and_grad(loss))([v.value for v in model.trainable_variables])
        return value, model.fit(A, y, shuffle=False, verbose=0).history["loss"]

    same(found(kyeo), found(keras))
