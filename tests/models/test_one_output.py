"""Models whose outputs are a list, a tuple or a dict of one tensor, against Keras."""

import keras
import numpy as np
import pytest

import kyeo

X, Y = np.ones((4, 3), "float32"), np.ones((4, 1), "float32")
KINDS = {"list": lambda h: [h], "tuple": lambda h: (h,), "dict": lambda h: {"o": h}, "bare": lambda h: h}


def shapes(value):
    if isinstance(value, dict):
        return {k: shapes(v) for k, v in value.items()}
    return type(value)(map(shapes, value)) if isinstance(value, (list, tuple)) else tuple(value.shape)


def facts(package, kind):
    """What one sees of the structure: of calls on arrays and on symbolic tensors, and of the model's own shapes."""
    x = package.Input((3,))
    model = package.Model(x, KINDS[kind](package.layers.Dense(1)(x)))
    rows = package.Model([x], KINDS[kind](package.layers.Dense(1)(x))).input_shape
    layers = [package.layers.Lambda(KINDS[kind]), package.layers.Lambda(lambda h: (KINDS[kind](h), h))]
    of_layers = [(layer(x), layer.output)[1] for layer in layers]  # a flat list, whatever the structure
    return [shapes(of_layers), shapes(model(X)), shapes(model.predict_on_batch(X)), shapes(model(x)), shapes(model.output),
            model.output_shape, rows]


@pytest.mark.parametrize("kind", KINDS)
def test_structure_is_that_of_keras(kind):
    assert facts(kyeo, kind) == facts(keras, kind)


def test_training_and_nesting():
    x = kyeo.Input((3,))
    inner = kyeo.Model(x, [kyeo.layers.Dense(1, name="d")(x)])
    outer = kyeo.Model(x, inner(x)[0] * 2)
    np.testing.assert_allclose(outer(X), inner(X) * 2)
    for loss, y in (("mse", [Y]), (["mse"], Y), ({"d": "mse"}, Y)):
        inner.compile("sgd", loss, metrics=["mae"])
        assert sorted(inner.fit(X, y, verbose=0).history) == ["loss", "mae"]
    again = kyeo.Model.from_config(inner.get_config())
    assert again(X).shape == (4, 1) and isinstance(again.output, list)
