"""The same network from Kyeo and from Keras, with the same weights, on the same small images."""

from unittest import mock

import jax
import keras
import numpy as np

import kyeo
from tests.applications.describe import flat_layers

__all__ = ["SIDES", "difference"]

SIDES = {"Inception": 75, "Xception": 71}  # the smallest images; 32 for the others


def zeros(shape, *args, dtype=None, **words):
    return np.zeros(shape, dtype)


def weights_like(layer, rng):
    """Numbers that keep signals at their size, different for every weight."""
    for weight in layer.weights:
        shape, name = tuple(weight.shape), weight.name
        if "variance" in name or name == "gamma" or len(shape) == 0:
            yield rng.uniform(0.5, 1.5, shape).astype(weight.dtype)
        elif len(shape) == 1:
            yield rng.normal(0, 0.1, shape).astype(weight.dtype)
        else:
            inputs = np.prod(shape[:-1]) if name != "depthwise_kernel" and shape[-2] != 1 else np.prod(shape[:2])
            yield rng.normal(0, inputs**-0.5, shape).astype(weight.dtype)


def difference(name, **words):
    """How far the outputs are apart, as a share of the largest."""
    side = next((side for start, side in SIDES.items() if name.startswith(start)), 32)
    words = {"input_shape": (side, side, 3), "weights": None, "classes": 10, "classifier_activation": None} | words
    with mock.patch.multiple(keras.src.backend.random, uniform=zeros, truncated_normal=zeros, normal=zeros):
        theirs = getattr(keras.applications, name)(**words)
    with mock.patch("kyeo.initializers.drawn._Random._draw", lambda _, kind, shape, dtype, *a: zeros(shape, dtype=dtype)):
        ours = getattr(kyeo.applications, name)(**words)
    rng = np.random.default_rng(0)
    for mine, other in zip(flat_layers(ours), flat_layers(theirs), strict=True):
        if not hasattr(mine, "layers"):
            values = list(weights_like(mine, rng))
            mine.set_weights(values)
            other.set_weights(values)
            if hasattr(other, "finalize_state"):
                other.finalize_state()
    x = rng.uniform(0, 255, (2, *words["input_shape"])).astype("float32")
    if not any(isinstance(layer, (kyeo.layers.Rescaling, kyeo.layers.Normalization)) for layer in ours.layers):
        x = x / 127.5 - 1
    outputs = [np.asarray(jax.jit(lambda x, m=model: m(x, training=False))(x)) for model in (ours, theirs)]
    assert np.isfinite(outputs[1]).all() and outputs[1].std() > 1e-6
    return float(np.abs(outputs[0] - outputs[1]).max() / np.abs(outputs[1]).max())
