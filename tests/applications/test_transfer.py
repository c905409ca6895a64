"""A network with a new head: trained frozen, trained again with its last layers thawed, saved, loaded here and by Keras."""

import keras
import numpy as np
import pytest

import kyeo
from tests.thin import SLOW

RNG = np.random.default_rng(0)


def values(model):
    return {v.path: v.numpy() for v in model.weights}


@pytest.mark.skipif(not SLOW, reason="takes 10 s")
def test_transfer(tmp_path):
    x, y = RNG.uniform(-1, 1, (6, 32, 32, 3)).astype("float32"), np.arange(6) % 3
    base = kyeo.applications.MobileNet((32, 32, 3), 0.25, include_top=False, weights=None, pooling="avg")
    for v in base.weights:  # untrained averages would let the signal fade
        v.assign(np.full(v.shape, 4.0) if v.name == "gamma" else v)
    inputs = kyeo.Input((32, 32, 3))
    model = kyeo.Model(inputs, kyeo.layers.Dense(3, activation="softmax")(base(inputs)))
    for thawed in ((), base.layers[-4:]):  # a Conv2D, BatchNormalization, ReLU and the pooling
        base.trainable = bool(thawed)
        for layer in base.layers:  # the averages stay
            layer.trainable = layer in thawed and not isinstance(layer, kyeo.layers.BatchNormalization)
        model.compile(kyeo.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        before = values(base)
        model.fit(x, y, batch_size=3, verbose=0)
        moved = {path for path, value in values(base).items() if np.any(before[path] != value)}
        assert moved == {v.path for v in base.trainable_weights} == ({"conv_pw_13/kernel"} if thawed else set())
    wanted = model.predict(x, verbose=0)
    assert wanted.std(0).max() > 1e-3
    model.save(tmp_path / "model.keras")
    for room in (kyeo, keras):
        again = room.models.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(again.predict(x, verbose=0), wanted, atol=1e-5)
        assert len(again.trainable_variables) == len(model.trainable_variables) == 3
