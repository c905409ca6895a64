"""Every layer that can be written as ONNX, and what JAX computes with, run by onnxruntime: the numbers of `predict`.

KYEO_TESTS=slow takes every case of every layer, instead of one each.
"""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import kyeo
from kyeo import layers
from tests.conformance.cases import CASES
from tests.conformance.test_layers import ONE_EACH, apart, call_words, inputs_of, with_weights
from tests.numpy_jaxpr import in_numpy

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tests.saving.onnx_runtime import Exported, assert_same

SHARED = {"MelSpectrogram"}  # a row of the output sees other rows
SEVERAL = ("Conv2D-", "MultiHeadAttention-", "GRU-", "Softmax-", "Resizing-", "Dot-", "Bidirectional-", "UpSampling2D-")
CHOSEN = CASES if os.environ.get("KYEO_TESTS") == "slow" else [
    c for c in CASES if c in ONE_EACH or (str(c).startswith(SEVERAL) and len(str(c)) % 8 == 0)]


def computed(layer, *args, **words):
    """What the layer gives."""
    values = [[v.value for v in group] for group in (layer.trainable_variables, layer.non_trainable_variables)]
    return in_numpy(lambda values, args, words: layer.stateless_call(*values, *args, training=False, **words)[0], values, args, words)


@pytest.mark.parametrize("case", CHOSEN, ids=str)
def test_layers(case, tmp_path):
    inputs, words = inputs_of(case), call_words(case)
    layer = with_weights(case.make(kyeo.layers), inputs)
    args, kwargs = jax.tree.map(lambda a: kyeo.Input(a.shape[1:], dtype=a.dtype.name), (apart(inputs), words))
    exported = Exported(kyeo.Model(jax.tree.leaves((args, kwargs)), layer(*args, **kwargs)), tmp_path / "m.onnx")
    wanted = computed(layer, *apart(inputs), **words)
    flat = jax.tree.leaves((apart(inputs), words))
    assert_same(exported(*flat), wanted)
    if case.name not in SHARED and all(len(a) == len(flat[0]) for a in jax.tree.leaves(wanted)):  # else it is one row
        assert_same(exported(*(a[:1] for a in flat)), jax.tree.map(lambda a: a[:1], wanted))
    known = {v.path for v in layer.weights}
    assert {name for name in exported.weights if not name.endswith("/stored")} <= known
    for name in known & set(exported.weights):  # in ONNX's layout, so with the same sizes
        path = next(v for v in layer.weights if v.path == name)
        assert np.prod(exported.weights[name]) == path.size


def build(inputs, *stack):
    return kyeo.Sequential([kyeo.Input(**inputs), *stack])


def transformer_block():
    x = ids = kyeo.Input((None,), dtype="int32", name="ids")
    x = layers.Embedding(20, 8)(x)
    y = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4, dropout=0.1)(y, y, use_causal_mask=True)])
    y = layers.Dense(8)(layers.Dense(16, activation="gelu")(layers.LayerNormalization()(x)))
    return kyeo.Model(ids, layers.Dense(20)(layers.Add()([x, layers.Dropout(0.1)(y)])))


CNN = ["Transpose", "Conv", "Relu", "MaxPool", "Conv", "Relu", "MaxPool", "Transpose", "Reshape", "Gemm", "Softmax"]
NETWORKS = {
    "tutorial": (lambda: build(
        {"shape": (28, 28, 1)}, layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(2), layers.Flatten(), layers.Dropout(0.5),
        layers.Dense(10, activation="softmax")), (28, 28, 1), CNN),
    "text": (lambda: build({"shape": (None,), "dtype": "int32"}, layers.Embedding(20, 4, mask_zero=True),
                           layers.Bidirectional(layers.LSTM(5, return_sequences=True)), layers.LSTM(3),
                           layers.Dense(1, activation="sigmoid")), (7,), {"Gather", "Scan", "Gemm", "Sigmoid"}),
    "transformer": (transformer_block, (6,), {"Gather", "Softmax", "MatMul"}),
    "pooled": (lambda: build(
        {"shape": (9, 9, 3)}, layers.Conv2D(4, 3, use_bias=False, data_format="channels_last"), layers.BatchNormalization(),
        layers.ReLU(), layers.AveragePooling2D(2, padding="same"), layers.GlobalAveragePooling2D()), (9, 9, 3),
        ["Transpose", "Conv", "BatchNormalization", "Relu", "AveragePool", "ReduceMean"]),
    "first": (lambda: build(
        {"shape": (3, 9, 9)}, layers.Conv2D(4, 3, data_format="channels_first"), layers.BatchNormalization(axis=1, scale=False),
        layers.MaxPooling2D(data_format="channels_first"), layers.Flatten(data_format="channels_first")), (3, 9, 9),
        ["Conv", "BatchNormalization", "MaxPool", "Transpose", "Reshape"]),
    "mobilenet": (lambda: kyeo.applications.MobileNet((32, 32, 3), 0.25, weights=None, classes=7), (32, 32, 3),
                  {"Conv", "BatchNormalization", "ReduceMean", "Softmax"}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name, tmp_path):
    """The operators that someone who looks at the file expects, and any size of batch, of time too."""
    make, shape, operators = NETWORKS[name]
    model = make()
    exported = Exported(model, tmp_path / "m.onnx")
    rng = np.random.default_rng(3)
    for rows, more in ((1, 0), (3, 2 if model.input_shape[1] is None else 0)):
        size = (rows, shape[0] + more, *shape[1:])
        x = rng.integers(0, 20, size).astype("int32") if model.inputs[0].dtype == "int32" else rng.random(size, "float32")
        assert_same(exported(x), computed(model, x))
    if isinstance(operators, set):
        assert operators <= set(exported.operators)
        assert exported.operators.count("Transpose") <= (2 if name == "mobilenet" else 12)
    else:
        assert exported.operators == operators
    if name == "tutorial":
        assert exported.weights == {v.path: s for v, s in zip(
            model.weights, [(32, 1, 3, 3), (32,), (64, 32, 3, 3), (64,), (1600, 10), (10,)])}
        assert [i.name for i in exported.session.get_inputs()] == model.input_names
        assert [i.name for i in exported.session.get_outputs()] == model.output_names
        assert exported.session.get_inputs()[0].shape == ["batch", 28, 28, 1]


class Own(kyeo.Model):
    """A model that is one function."""

    def __init__(self, function):
        super().__init__()
        self.function, self.built = function, True

    def call(self, x):
        return self.function(x)


AT = np.array([[2], [0]])


def dilated(x, by, begin, padding):
    """A window of two that has a hole."""
    return lax.reduce_window(x, begin, by, (1, 2, 1), (1, 1, 1), padding, window_dilation=(1, 2, 1))


def spread(x, groups, holes, padding, stride=1, computed=False):
    """A transposed convolution over the axis of 3, in groups of its 4 channels, to 8 filters."""
    kernel = np.random.default_rng(groups).normal(size=(2, 4 // groups, 8)).astype("float32")
    kernel = kernel * jnp.exp(x[0, 0, 0]) if computed else kernel
    return lax.conv_general_dilated(x, kernel, (stride,), [padding], (2,), (holes,), ("NWC", "WIO", "NWC"), groups)


def open_dilated(x):
    """The same over four axes, of which two are open."""
    y = jnp.broadcast_to(x[:, None], (x.shape[0], x.shape[0], 3, 4)) * (1.0 + jnp.arange(x.shape[0]))[None, :, None, None]
    return lax.reduce_window(y, 0.0, lax.add, (1, 1, 2, 1), (1, 1, 1, 1), "VALID", window_dilation=(1, 1, 2, 1))


def base_dilated(x, by, begin, padding):
    return lax.reduce_window(x, begin, by, (1, 2, 3), (1, 2, 1), padding, base_dilation=(1, 2, 2))


PROGRAMS = {  # of x, of shape (any, 3, 4)
    "unary": lambda x: [f(x) for f in (
        jnp.expm1, jnp.log1p, jnp.cbrt, jnp.exp2, jnp.square, jnp.sign, jnp.round, jnp.floor, jnp.ceil, jnp.isfinite, jnp.sinh,
        jnp.arctan, jnp.tan, lambda v: lax.erfc(v), lambda v: v**3, lambda v: v**-2, jax.nn.gelu, jax.nn.softplus, jax.nn.selu)],
    "small": lambda x: [jnp.expm1(x * 1e-5) * 1e5, jnp.log1p(x * 1e-5) * 1e5, jnp.expm1(x * 40 - 50), jnp.expm1(jnp.abs(x) * 30)],
    "binary": lambda x: [jnp.arctan2(x, x[:, ::-1]), jnp.arctan2(x, x * 0), jnp.remainder(x, 0.7), lax.rem(x, jnp.full_like(x, 0.7)),
                         jnp.fmod(x, 0.3), x != x[:, :1], jnp.maximum(x, x[..., :1]), jnp.power(jnp.abs(x), x), jnp.hypot(x, 2.0)],
    "integers": lambda x: [(i := (x * 10).astype("int32")) // 3, i % 3, lax.rem(i, 3), lax.div(i, -3), i & 6, i | 1, ~i, i ^ 5, abs(i), i**2,
                           jnp.sign(i), jnp.clip(i, -3, 4), (i > 2) & (i < 7), ~(i > 2), i.astype(bool), i.sum(1), i.max(1), i << 2, i >> 1, i.astype("int8") >> 2],
    "choice": lambda x: [jnp.where(x > 0, x, 0.5), jnp.where(x > 0, x > 1, x < -1), jnp.clip(x, -0.5, 0.5),
                         lax.select_n((jnp.abs(x) * 2 % 3).astype("int32"), x, x + 10, x + 20), jnp.nan_to_num(x / 0)],
    "reductions": lambda x: [x.sum(), x.mean((0, 2)), x.var(1), x.prod(-1), x.min(0), (x > 0).any(1), (x > 0).all(2), x.argmax(1),
                             x.argmin(-1), jnp.linalg.norm(x, axis=1), jax.nn.logsumexp(x, 2), jnp.std(x, 0), (x > 0).sum(1)],
    "running": lambda x: [jnp.cumsum(x, 1), lax.cumsum(x, 2, True), lax.cummax(x, 1), lax.cummin(x, 2, True), jnp.cumprod(x, 1)],
    "sorting": lambda x: [jnp.sort(x, 1), jnp.argsort(x, -1), *lax.top_k(x, 2), jnp.median(x, 1), jnp.sort(x, 2, descending=True)],
    "shapes": lambda x: [x.reshape(-1), x.reshape(-1, 2), jnp.swapaxes(x, 0, 2), x.reshape(x.shape[0], 2, 6).transpose(2, 0, 1), x[:, None],
                         jnp.broadcast_to(x[:, :1], x.shape) + 0, jnp.flip(x, (0, 1)), jnp.roll(x, 1, 1), jnp.tile(x, (1, 2, 1)),
                         jnp.repeat(x, 2, 1), jnp.concatenate([x, x[:, 1:]], 1), jnp.stack([x, x], 2), jnp.split(x, 2, 2), jnp.eye(4) + x[:, :1],
                         jnp.arange(x.shape[0]), jnp.full((x.shape[0], 2), 3.0), jnp.zeros(x.shape[0] * 2 + 1), jnp.tri(3, 4) * x],
    "slices": lambda x: [x[:, 1:, ::2], x[..., -1], x[:, ::-1], lax.pad(x, 1.0, ((0, 0, 0), (1, 2, 0), (0, -1, 0))), x[-1],
                         lax.pad(x, 2.0, ((0, 0, 0), (0, 0, 2), (1, 0, 1))), lax.dynamic_slice(x, (0, 7, 1), (1, 2, 3)),
                         lax.dynamic_slice_in_dim(x, jnp.argmax(x[0, :, 0]), 2, 1), lax.dynamic_update_slice(x, x[:, :2, :2], (0, 1, 9)),
                         lax.dynamic_update_slice_in_dim(x, x[:, :1] * 9, jnp.argmax(x[0, :, 0]), 1)],
    "gather": lambda x: [x[:, AT], x[:, :, np.array([3, -1])], x[:, np.array([0, 2]), np.array([1, 3])], jnp.take(x, jnp.argmax(x, 1), 1)[0],
                         jnp.take_along_axis(x, jnp.argsort(x, 1), 1), jnp.take(x, jnp.array([0, 9]), 1, mode="clip"),
                         jnp.take(x, jnp.array([0, 9, -9]), 2, mode="fill", fill_value=5.0),
                         x.at[:, jnp.array([1, 8]), :].get(mode="fill", fill_value=7.0), x.at[:, jnp.array([1, 8]), jnp.array([0, 1])].get(mode="clip"),
                         jax.vmap(lambda row, i: lax.dynamic_slice_in_dim(row, i, 2))(x, jnp.argmax(x[:, :, 0], 1))],
    "scatter": lambda x: [x.at[:, 1].set(5.0), x.at[:, AT[:, 0]].add(1.0), x.at[:, :, jnp.array([0, 0])].add(x[:, :, :2]),
                          x.at[:, 2, 1].multiply(3.0), x.at[:, jnp.array([1, 9])].set(2.0), x.at[:, jnp.array([0, 9])].add(1.0),
                          x.at[:, 0].max(0.0), x.at[:, 0].min(0.0)],
    "products": lambda x: [x @ x.swapaxes(1, 2), jnp.einsum("bij,bkj->bik", x, x), jnp.einsum("bij,kj->bki", x, np.ones((5, 4), "f")), x @ np.ones(4, "f"),
                           jnp.einsum("bij,bij->b", x, x), jnp.tensordot(x, np.ones((3, 4, 2), "f"), 2), jnp.outer(x[0, 0], x[0, 1]), x[0] @ x[0].T],
    "windows": lambda x: [dilated(x, lax.max, -jnp.inf, "VALID"), dilated(x, lax.max, -jnp.inf, ((0, 0), (3, 4), (0, 0))),
                          dilated(x, lax.add, 0.0, "VALID"), dilated(x, lax.add, 0.0, ((0, 0), (3, 1), (0, 0))),
                          *(spread(x, *row) for row in ((2, 1, (0, 0)), (2, 2, (2, 1)), (4, 1, (1, 2)), (1, 1, (2, 2)), (2, 1, (1, 2), 3),
                                                          (2, 2, (2, 1), 1, True), (1, 1, (0, 1), 1, True), (4, 1, (-1, 3), 2, True))),
                          open_dilated(x), *(base_dilated(x, by, begin, pads) for by, begin in ((lax.max, -jnp.inf), (lax.add, 0.0))
                                             for pads in ("VALID", ((0, 0), (1, 0), (0, 1))))],
    "loops": lambda x: [lax.fori_loop(0, 3, lambda i, c: c * 0.5 + i, x), lax.while_loop(lambda c: jnp.max(c) < 50, lambda c: c * 2 + 1, jnp.abs(x)),
                        lax.scan(lambda c, v: (c + v, (c * v, c[0])), x[:, 0], x.swapaxes(0, 1), reverse=True),
                        lax.cond(x.sum() > 0, lambda v: v + 1, lambda v: v * 2, x), lax.map(lambda v: v.sum(0), x),
                        lax.switch(jnp.clip(x[0, 0, 0].astype("int32") + 1, 0, 2), [lambda v: v, lambda v: v + 1, lambda v: v + 2], x)],
    "others": lambda x: [jnp.searchsorted(np.array([0.5], "f"), x), jnp.searchsorted(np.array([-1.0, 0.0, 1.0], "f"), x), jnp.digitize(x, np.array([0.0, 1.0], "f")), jnp.abs(jnp.fft.rfft(x, 6)),
                         jnp.interp(x, np.array([-1.0, 1.0], "f"), np.array([2.0, 3.0], "f")), x.astype("float16").astype("float32"),
                         jax.nn.one_hot(jnp.argmax(x, 1), 3), lax.reduce_precision(x, 8, 23), jax.checkpoint(jnp.sin)(x), x.astype("int8") + 1],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name, tmp_path):
    """What the layers do not use; with any number of rows."""
    function = PROGRAMS[name]
    exported = Exported(Own(function), tmp_path / "m.onnx", input_signature=((None, 3, 4), "float32"))
    for rows in (1, 3):
        x = np.random.default_rng(rows).normal(size=(rows, 3, 4)).astype("float32")
        assert_same(exported(x), jax.jit(function)(x))


def test_sizes_that_are_open(tmp_path):
    """Sizes with names are the same size; sums and quotients of sizes are computed in the file."""
    def function(inputs):
        x, mask = inputs["x"], inputs["mask"]
        half = x.reshape(x.shape[0] * x.shape[1], 4)[: (x.shape[1] + 1) // 2]
        return {"a": jnp.where(mask[..., None], x, 0.0), "b": half, "c": jnp.full((x.shape[1] % 3 + 1,), x.shape[1] - 1.0), "d": x.mean((0, 1))}

    spec = {"x": (("batch", "time", 4), "float32"), "mask": kyeo.KerasTensor((None, None), "bool", name="m")}
    spec["mask"] = (("batch", "time"), "bool")
    model = Own(function)
    exported = Exported(model, tmp_path / "m.onnx", input_signature=[spec], opset_version=21)
    assert [i.name for i in exported.session.get_inputs()] == ["mask", "x"] and exported.message.opset_import[0].version == 21
    for rows, time in ((1, 5), (3, 8)):
        x, mask = np.random.default_rng(0).random((rows, time, 4), "float32"), np.arange(time) % 2 * np.ones((rows, 1)) > 0
        assert_same(exported(mask, x), function({"x": x, "mask": mask}))


@pytest.mark.parametrize("policy, tolerance", [("mixed_float16", 1e-3), ("float16", 1e-3), ("int8", 1e-5)])
def test_few_bits(policy, tolerance, tmp_path):
    """What rounds to float16 may round otherwise in onnxruntime; ints are those of the file."""
    words = {"dtype": "float32" if policy == "int8" else policy}
    model = build({"shape": (8, 8, 2)}, layers.Conv2D(4, 3, activation="relu", **words), layers.BatchNormalization(**words),
                  layers.MaxPooling2D(**words), layers.Flatten(**words), layers.Dense(5, "softmax", **words))
    if policy == "int8":
        model.quantize("int8")
    x = np.random.default_rng(0).random((3, 8, 8, 2), "float32")
    (made,), wanted = Exported(model, tmp_path / "m.onnx")(x), np.asarray(computed(model, x))
    assert made.dtype == wanted.dtype
    np.testing.assert_allclose(made, wanted, rtol=0, atol=tolerance)


def lookup():
    return kyeo.Model(x := kyeo.Input((2,), dtype="int32"), layers.IntegerLookup(vocabulary=[1, 2], name="find")(x))


@pytest.mark.parametrize("model, words, parts", [
    (lookup, {}, ["find", "host", "before it"]),
    (lambda: build({"shape": (), "dtype": "string"}, layers.TextVectorization(vocabulary=["a"], name="words")), {}, ["words", "host"]),
    (lambda: build({"shape": (3, 2), "batch_size": 2}, layers.GRU(2, stateful=True)), {}, ["changes a variable", "rnn_state"]),
    (lambda: Own(lambda x: kyeo.random.normal((3,), seed=1) * x), {"input_signature": ((None, 3), "float32")}, ["operator for JAX's|random"]),
    (lambda: Own(lambda x: jnp.linalg.cholesky(x)), {"input_signature": ((2, 2), "float32")}, ["cholesky", "stablehlo"]),
    (lambda: Own(lambda x: lax.complex(x, x)), {"input_signature": ((2, 2), "float32")}, ["complex"]),
    (lambda: build({"shape": (2,)}, layers.Lambda(lambda x: jnp.linalg.eigvalsh(x[:, :, None] * x[:, None]), name="volume")), {}, ["volume"]),
    (lambda: build({"shape": (4, 2)}, layers.Conv1D(1, 2, dtype="bfloat16")), {}, ["bfloat16", "float32"]),
    (lambda: build({"shape": (4, 2)}, layers.Conv1D(1, 2, dtype="mixed_bfloat16", name="narrow")), {}, ["narrow", "bfloat16", "in float32"]),
    (lambda: build({"shape": (2,)}, layers.Dense(1)), {"opset_version": 9}, ["opset_version=9", "at least 18"]),
    (lambda: build({"shape": (2,)}, layers.Dense(1)), {"opset_version": 999}, ["at most"]),
    (lambda: build({"shape": (2,)}, layers.Dense(1)), {"opset": 18}, ["no such argument", "opset=18"]),
])
def test_refusals(model, words, parts, tmp_path):
    with pytest.raises((ValueError, TypeError, NotImplementedError)) as caught:
        model().export(tmp_path / "m.onnx", verbose=False, **words)
    assert all(any(option in str(caught.value) for option in part.split("|")) for part in parts), str(caught.value)
    assert not list(tmp_path.iterdir())


def test_numbers_known_when_written_are_no_nodes(tmp_path):
    exported = Exported(Own(lambda x: x + jnp.arange(4.0) * jnp.sin(2.0) + jnp.tril(jnp.ones((4, 4)))[1]), tmp_path / "m.onnx",
                        input_signature=((None, 4), "float32"))
    assert set(exported.operators) == {"Add"}
