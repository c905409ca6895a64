"""Models with unusual parameters, optimizers, losses and metrics: trained by one library, read by the other, both take the
next step to the same loss, metrics, weights and state of the optimizer. KYEO_TESTS=slow takes all of them, both ways.
"""

import os
import warnings

import jax
import keras
import numpy as np
import pytest

import kyeo
from tests.thin import SLOW


def draw(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def ints(below, *shape):
    return np.random.default_rng(sum(shape)).integers(0, below, shape).astype("int32")


def stack(k, shape, *layers, dtype=None, compile=("adam", "mse"), **words):
    model = k.Sequential([k.Input(shape, dtype=dtype), *layers])
    model.compile(*compile, **words)
    return model


def registered(k):
    """A layer, a model, a function, a loss and a schedule of the user's own, for one of the libraries."""
    register = k.saving.register_keras_serializable("varied")

    @register
    class Block(k.layers.Layer):
        def __init__(self, units, activation=None, **words):
            super().__init__(**words)
            self.units, self.activation = units, k.activations.get(activation)
            self.inner = [k.layers.Dense(units, name="a"), k.layers.Dense(units, name="b")]
            self.norm = k.layers.LayerNormalization(epsilon=1e-3)

        def build(self, shape):
            self.scale = self.add_weight(shape=(self.units,), initializer="ones", name="scale")
            self.inner[0].build(shape)
            shape = (*shape[:-1], self.units)
            self.inner[1].build(shape)
            self.norm.build(shape)

        def call(self, x):
            return self.activation(self.norm(self.inner[1](self.inner[0](x))) * self.scale)

        def compute_output_shape(self, shape):
            return (*shape[:-1], self.units)

        def get_config(self):
            return {**super().get_config(), "units": self.units, "activation": k.activations.serialize(self.activation)}

    @register
    class Net(k.Model):
        def __init__(self, width=4, **words):
            super().__init__(**words)
            self.width, self.first, self.last = width, k.layers.Dense(width, activation=twice), k.layers.Dense(2)
            self.blocks = {"one": Block(width, "tanh"), "two": Block(width, "gelu")}

        def call(self, x):
            return self.last(self.blocks["two"](self.blocks["one"](self.first(x))))

        def get_config(self):
            return {**super().get_config(), "width": self.width}

    @register
    def twice(x):
        return 2 * x

    @register
    def squared(y, p):
        return k.ops.mean(k.ops.square(y - p), axis=-1)

    @register
    class Falling(k.optimizers.schedules.LearningRateSchedule):
        def __init__(self, start=0.1):
            self.start = start

        def __call__(self, step):
            return self.start / (1 + k.ops.cast(step, "float32"))

        def get_config(self):
            return {"start": self.start}

    return Block, Net, squared, Falling


def own(k):
    _, net, squared, falling = registered(k)
    model = net(5, name="net")
    model(draw(2, 3))
    model.compile(k.optimizers.Adam(falling(0.05)), squared, metrics=[squared, "mae"])
    return model, draw(4, 3), draw(4, 2)


def twice_used(k):
    block, *_ = registered(k)
    x, shared = k.Input((4,)), block(4, "relu", name="block")
    model = k.Model(x, k.layers.Dense(2)(shared(shared(x))))
    model.compile(k.optimizers.LossScaleOptimizer(k.optimizers.SGD(0.05, momentum=0.5), 64.0, 2), "mse")
    return model, draw(4, 4), draw(4, 2)


def recurrent(k):
    x, layers = k.Input((6, 3)), k.layers
    h = layers.Bidirectional(
        layers.LSTM(4, return_sequences=True, activation="relu", recurrent_activation="hard_sigmoid", unit_forget_bias=False),
        "mul", backward_layer=layers.LSTM(4, return_sequences=True, go_backwards=True, use_bias=False))(layers.Masking(0.5)(x))
    h = layers.GRU(5, reset_after=False, return_sequences=True, bias_initializer="ones")(h)
    h, state = layers.SimpleRNN(3, return_state=True, go_backwards=True, recurrent_regularizer="l2", unroll=True)(h)
    model = k.Model(x, [h, layers.Dense(2)(state)])
    model.compile(k.optimizers.Nadam(0.02, beta_2=0.9, global_clipnorm=0.4), ["mse", "mae"], loss_weights=[0.3, 2.0])
    return model, draw(4, 6, 3), [draw(4, 3), draw(4, 2)]


def attentive(k):
    a, b, layers = k.Input((5, 6), name="a"), k.Input((4, 6), name="b"), k.layers
    h = layers.MultiHeadAttention(2, 3, output_shape=8, use_bias=False, attention_axes=(1,))(a, b, b)
    h = layers.Concatenate()([layers.Attention(True, "concat")([h, h]), layers.AdditiveAttention()([h, h, h])])
    model = k.Model({"a": a, "b": b}, {"o": layers.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d")(h)})
    model.compile(k.optimizers.Adafactor(0.05, beta_2_decay=-0.7), {"o": k.losses.CosineSimilarity(axis=-1)})
    return model, {"a": draw(3, 5, 6), "b": draw(3, 4, 6)}, {"o": draw(3, 5, 3)}


def losses(k):
    x, names, rooms, metrics = k.Input((6,)), "abcdefg", k.losses, k.metrics
    model = k.Model(x, {name: k.layers.Dense(3, "sigmoid", name=name)(x) for name in names})
    model.compile("adam", {
        "a": rooms.BinaryFocalCrossentropy(True, 0.3, 1.0, label_smoothing=0.1), "b": rooms.Dice(reduction="sum"),
        "c": rooms.Tversky(0.3, 0.7), "d": rooms.KLDivergence(), "e": rooms.CategoricalHinge(), "f": rooms.SquaredHinge(),
        "g": rooms.BinaryCrossentropy(label_smoothing=0.2)}, {name: i + 0.5 for i, name in enumerate(names)}, metrics={
            "a": [metrics.BinaryAccuracy(threshold=0.4), metrics.AUC(11, "PR", "minoring")],
            "b": [metrics.Precision([0.3, 0.6]), metrics.Recall(top_k=2)],
            "g": [metrics.F1Score("macro", 0.5), metrics.FBetaScore("weighted", 2.0, 0.4)]}, weighted_metrics={"c": ["mae"]})
    return model, draw(5, 6), {name: ints(2, 5, 3).astype("float32") for name in names}


def averaged(k):
    optimizer = k.optimizers.Adam(0.02, gradient_accumulation_steps=3, use_ema=True, ema_momentum=0.7, loss_scale_factor=4.0)
    return stack(k, (4,), k.layers.Dense(5, "tanh"), k.layers.Dense(2), compile=(optimizer, "mse")), draw(4, 4), draw(4, 2)


def several(k):
    room, dense = k.optimizers, k.layers.Dense
    chosen = room.OptimizerMap(room.SGD(0.1, momentum=0.5), {".*one/kernel": room.Adam(0.01), ".*two.*": room.RMSprop(0.02)})
    return stack(k, (4,), dense(5, "tanh", name="one"), dense(5, "tanh", name="two"), dense(2, name="three"), compile=(
        room.MultiOptimizer(chosen), "mse")), draw(4, 4), draw(4, 2)


MODELS = {function.__name__: function for function in (
    own, twice_used, recurrent, attentive, losses, averaged, several)} | {
    "lines": lambda k: (stack(
        k, (12, 4), k.layers.Conv1D(8, 3, padding="causal", dilation_rate=2, groups=2, activation="swish"),
        k.layers.SeparableConv1D(6, 3, depth_multiplier=2, padding="same", activation="elu", use_bias=False),
        k.layers.DepthwiseConv1D(3, depth_multiplier=2, strides=2), k.layers.Conv1DTranspose(5, 3, 2, "same", output_padding=1),
        k.layers.PReLU(shared_axes=[1]), k.layers.GlobalMaxPooling1D(keepdims=True), k.layers.Flatten(), k.layers.Dense(3),
        compile=(k.optimizers.AdamW(0.01, weight_decay=0.02, clipnorm=0.5), "huber")), draw(6, 12, 4), draw(6, 3)),
    "pictures": lambda k: (stack(
        k, (9, 8, 4), k.layers.Conv2D(6, (3, 2), (2, 1), "same", groups=2, bias_constraint="non_neg", kernel_regularizer="l2"),
        k.layers.BatchNormalization(momentum=0.8, epsilon=0.01, center=False), k.layers.DepthwiseConv2D(2, depth_multiplier=2),
        k.layers.Conv2DTranspose(4, 3, 2), k.layers.GroupNormalization(2), k.layers.UpSampling2D((2, 1), interpolation="bilinear"),
        k.layers.AveragePooling2D((3, 2), 2, "same"), k.layers.GlobalAveragePooling2D(), k.layers.Dense(3, "softmax"),
        compile=(k.optimizers.SGD(k.optimizers.schedules.CosineDecayRestarts(0.1, 3, 1.5, 0.9, 0.1), 0.8, True, weight_decay=0.01),
                 k.losses.CategoricalFocalCrossentropy(0.3, 1.5, label_smoothing=0.1)), metrics=[
                     k.metrics.TopKCategoricalAccuracy(2), k.metrics.AUC(20, multi_label=True, num_labels=3)]),
        draw(4, 9, 8, 4), np.eye(3, dtype="float32")[ints(3, 4)]),
    "volumes": lambda k: (stack(
        k, (5, 5, 5, 2), k.layers.Conv3D(4, 2, (1, 2, 1), "same", activation="mish"), k.layers.Conv3DTranspose(2, 2, 2),
        k.layers.MaxPooling3D((2, 1, 2)), k.layers.GlobalAveragePooling3D(), k.layers.UnitNormalization(), k.layers.Dense(1),
        compile=(k.optimizers.RMSprop(k.optimizers.schedules.PolynomialDecay(0.1, 4, 0.01, 2.0, True), 0.7, 0.3, centered=True,
                                      clipvalue=0.1), "log_cosh")), draw(3, 5, 5, 5, 2), draw(3, 1)),
    "cells": lambda k: (stack(
        k, (5, 3), k.layers.RNN([k.layers.LSTMCell(4, recurrent_activation="tanh"), k.layers.GRUCell(3, reset_after=False),
                                 k.layers.SimpleRNNCell(2, use_bias=False)]), k.layers.Dense(2),
        compile=(k.optimizers.Adagrad(0.1, 0.3, 1e-3, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=3), "mse")),
        draw(4, 5, 3), draw(4, 2)),
    "words": lambda k: (stack(
        k, (6,), k.layers.Embedding(10, 4, mask_zero=True, embeddings_constraint="unit_norm"), k.layers.GRU(2), k.layers.Dense(4),
        dtype="int32", compile=(k.optimizers.Adam(k.optimizers.schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.05, 0.01]),
                                                  amsgrad=True), k.losses.SparseCategoricalCrossentropy(True, 1)),
        metrics=["accuracy", k.metrics.SparseTopKCategoricalAccuracy(2)]), ints(10, 5, 6), ints(4, 5)),
    "wrapped": lambda k: (stack(
        k, (4,), k.layers.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 4.0, 9.0, 16.0], invert=True),
        k.layers.ActivityRegularization(0.01, 0.02), k.layers.SpectralNormalization(k.layers.Dense(3), 2),
        k.layers.Dense(2, activity_regularizer="l2"), compile=(k.optimizers.Lamb(0.02), "mse")), draw(4, 4), draw(4, 2)),
    "lion": lambda k: (stack(k, (4,), k.layers.Dense(2), compile=(k.optimizers.Lion(0.01, 0.8, weight_decay=0.1), "mae")),
                       draw(4, 4), draw(4, 2)),
    "muon": lambda k: (stack(k, (4,), k.layers.Dense(5, "tanh"), k.layers.Dense(2, name="out"), compile=(
        k.optimizers.Muon(0.02, exclude_layers=["out"], ns_steps=3, nesterov=False), "mse")), draw(4, 4), draw(4, 2)),
    "schedule free": lambda k: (stack(k, (4,), k.layers.Dense(2), compile=(k.optimizers.ScheduleFreeAdamW(
        0.02, warmup_steps=3, beta_1=0.8, weight_decay=0.01), "mse")), draw(4, 4), draw(4, 2)),
    "mixed": lambda k: (stack(k, (8,), k.layers.Dense(6, "relu", dtype="mixed_float16"), k.layers.Dense(2, dtype="float32")),
                        draw(4, 8), draw(4, 2)),
}


def rows(values):
    return [np.asarray(value, "float32") for value in jax.tree.leaves(values)]


def same(one, two, what, within):
    for a, b in zip(rows(one), rows(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=within, atol=within * max(1, np.abs(b).max(initial=0)), err_msg=what)


WAYS = [(name, way) for name in MODELS for way in ("to", "from")]


@pytest.mark.parametrize("name, way", WAYS if SLOW else [("several", "to"), ("averaged", "from")])
@pytest.mark.skipif(os.environ.get("KERAS_BACKEND", "jax") != "jax", reason="the steps are compared on JAX")
def test_the_other_goes_on(name, way, tmp_path):
    one, two = (kyeo, keras) if way == "to" else (keras, kyeo)
    within = 3e-3 if name == "mixed" else 1e-4
    one.utils.set_random_seed(1)
    registered(two)
    with warnings.catch_warnings(action="ignore"):
        model, x, y = MODELS[name](one)
        for _ in range(2):
            model.train_on_batch(x, y)
        model.save(tmp_path / "m.keras")
        other = two.saving.load_model(tmp_path / "m.keras")
        for a, b in zip(model.weights, other.weights, strict=True):
            assert a.name == b.name and a.trainable == b.trainable
        same(model.weights, other.weights, "weights", 0)
        same(model.optimizer.variables, other.optimizer.variables, "optimizer", 0)
        same(model(x, training=False), other(x, training=False), "outputs", within)
        logs = [m.train_on_batch(x, y, return_dict=True) for m in (model, other)]
    assert logs[0].keys() == logs[1].keys()
    same([logs[0][key] for key in logs[1]], list(logs[1].values()), "logs", within)
    same(model.weights, other.weights, "weights after a step", within)
    same(model.optimizer.variables, other.optimizer.variables, "optimizer after a step", within)
