"""`quantize` of layers and models against Keras: variables, outputs, gradients, LoRA, files in both directions."""

import sys

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kyeo
from tests.thin import thinned

pytestmark = pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize`:UserWarning")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 6)).astype("float32")
IMAGES = RNG.normal(size=(2, 3, 4)).astype("float32")
IDS = np.array([[0, 3], [4, 1]])
BLOCKS = lambda q, size: q.Int4QuantizationConfig(block_size=size)  # noqa: E731
WEIGHT_ONLY = lambda q: q.Int8QuantizationConfig(activation_quantizer=None)  # noqa: E731
OWN = lambda q: q.Int4QuantizationConfig(q.AbsMaxQuantizer(0, (-8, 7)), q.AbsMaxQuantizer(), None)  # noqa: E731

CASES = [
    ("Dense", {"units": 5, "activation": "tanh"}, X, {"mode": "int8"}),
    ("Dense", {"units": 5, "use_bias": False}, X, {"config": WEIGHT_ONLY}),
    ("Dense", {"units": 5}, X, {"mode": "int4"}), ("Dense", {"units": 5}, X, {"config": lambda q: BLOCKS(q, 4)}),
    ("Dense", {"units": 5}, X, {"config": lambda q: BLOCKS(q, None)}), ("Dense", {"units": 4}, X, {"config": OWN}),
    ("Dense", {"units": 5, "dtype": "mixed_bfloat16"}, X, {"mode": "int8"}),
    ("EinsumDense", {"equation": "abc,cde->abde", "output_shape": (None, 2, 3), "bias_axes": "de"}, IMAGES, {"mode": "int8"}),
    ("EinsumDense", {"equation": "abc,dc->abd", "output_shape": (None, 5)}, IMAGES, {"mode": "int8"}),
    ("EinsumDense", {"equation": "abc,bcd->ad", "output_shape": (5,)}, IMAGES, {"mode": "int8"}),
    ("EinsumDense", {"equation": "abc,cde->abde", "output_shape": (None, 2, 3), "bias_axes": "e"}, IMAGES, {"mode": "int4"}),
    ("EinsumDense", {"equation": "abc,bcd->ad", "output_shape": (5,)}, IMAGES, {"config": lambda q: BLOCKS(q, 5)}),
    ("EinsumDense", {"equation": "abc,cd->abd", "output_shape": (None, 3)}, IMAGES, {"config": lambda q: BLOCKS(q, -1)}),
    ("Embedding", {"input_dim": 5, "output_dim": 3}, IDS, {"mode": "int8"}),
    ("Embedding", {"input_dim": 5, "output_dim": 3}, IDS, {"mode": "int4"}),
    ("Embedding", {"input_dim": 5, "output_dim": 6}, IDS, {"config": lambda q: BLOCKS(q, 4)}),
    ("Embedding", {"input_dim": 5, "output_dim": 3}, IDS, {"config": lambda q: BLOCKS(q, None)}),
    *(("ReversibleEmbedding", {"input_dim": 5, "output_dim": 6, "tie_weights": tied}, X, {"config": config, "call": {"reverse": True}})
      for tied in (True, False) for config in (lambda q: q.Int8QuantizationConfig(), lambda q: BLOCKS(q, 4),
                                               lambda q: BLOCKS(q, None))),
    ("Dense", {"units": 5, "use_bias": False}, X, {"mode": "float8"}),
    ("EinsumDense", {"equation": "abc,cd->abd", "output_shape": (None, 3)}, IMAGES, {"mode": "float8"}),
]


def words_for(room, words):
    words = dict(words)
    call = words.pop("call", {})
    if "config" in words:
        words["config"] = words["config"](room.quantizers)
    return words, call


def pair(name, config, x):
    made = [getattr(room.layers, name)(**config) for room in (kyeo, keras)]
    for layer in made:
        layer.build((None,) if "Embedding" in name else (None, *x.shape[1:]))
    values = [RNG.normal(size=w.shape).astype("float32") for w in made[0].weights]
    for layer in made:
        layer.set_weights(values)
    return made


def stored(layer):
    store = {}
    layer.save_own_variables(store)
    return [np.asarray(store[str(i)]) for i in range(len(store))]


def described(quantizer):
    return None if quantizer is None else (type(quantizer).__name__, quantizer.get_config())


def close(mine, wanted, tolerance=1e-5):
    mine, wanted = np.asarray(mine), np.asarray(wanted)
    assert mine.shape == wanted.shape and mine.dtype == wanted.dtype
    np.testing.assert_allclose(np.float64(mine), np.float64(wanted), atol=tolerance * max(1, np.abs(wanted).max()), rtol=0)


@pytest.mark.parametrize("name, config, x, words", thinned(CASES, 5, kind=lambda case: case[0]))
def test_as_in_keras(name, config, x, words):
    ours, theirs = pair(name, config, x)
    for layer, room in ((ours, kyeo), (theirs, keras)):
        given, call = words_for(room, words)
        layer.quantize(**given)
    assert ours.dtype_policy.name == theirs.dtype_policy.name and ours.quantization_mode == theirs.quantization_mode
    assert described(ours.inputs_quantizer) == described(getattr(theirs, "inputs_quantizer", None))
    assert [(w.name, w.shape, w.dtype) for w in ours.weights] == [
        (w.name, tuple(w.shape), str(w.dtype)) for w in theirs.weights]
    for mine, wanted in zip(stored(ours), stored(theirs), strict=True):
        close(mine, wanted)
    close(getattr(ours, ours.adaptable), getattr(theirs, ours.adaptable))
    tolerance = 2e-2 if "dtype" in config else 1e-5
    close(ours(x, **call), theirs(x, **call), tolerance)
    if x.dtype == "float32" and not call:  # Keras has no gradient in reverse
        def slope(layer):
            return jax.grad(lambda x: (jnp.asarray(layer(x, **call), "float32") ** 2).sum())(jnp.asarray(x))

        close(slope(ours), slope(theirs), tolerance)
    config = ours.get_config()
    again = type(ours).from_config(config)
    again.build((None,) if "Embedding" in name else (None, *x.shape[1:]))
    again.load_own_variables({str(i): value for i, value in enumerate(stored(ours))})
    np.testing.assert_array_equal(again(x, **call), ours(x, **call))
    assert type(theirs).from_config(config).get_config()["dtype"] == theirs.get_config()["dtype"]


@pytest.mark.parametrize("name, config, x, mode", thinned([(*row, mode) for row in [
    ("Dense", {"units": 5}, X), ("Embedding", {"input_dim": 5, "output_dim": 3}, IDS),
    ("EinsumDense", {"equation": "abc,cd->abd", "output_shape": (None, 3)}, IMAGES)] for mode in ("int8", "int4")]), ids=str)
def test_lora_on_ints(name, config, x, mode):
    """The change trains beside the ints, and is merged into them when the layer is saved."""
    ours, theirs = pair(name, config, x)
    for layer in (ours, theirs):
        layer.quantize(mode)
        layer.enable_lora(2, lora_alpha=3.0)
    a, b = (RNG.normal(size=v.shape).astype("float32") for v in (ours.lora_a, ours.lora_b))
    ours.lora_a.assign(a), ours.lora_b.assign(b)
    big = ours.adaptable
    getattr(theirs, f"lora_{big}_a").assign(a), getattr(theirs, f"lora_{big}_b").assign(b)
    close(ours(x), theirs(x))
    close(getattr(ours, big), getattr(theirs, big))
    mine, wanted = stored(ours), stored(theirs)
    assert [v.shape for v in mine] == [v.shape for v in wanted]
    if name != "EinsumDense":  # Keras takes another scale there
        for one, two in zip(mine, wanted):
            assert np.abs(np.float32(one) - np.float32(two)).max() <= (1 if one.dtype == "int8" and mode == "int8" else 17
                                                                      if one.dtype == "int8" else 1e-4)
    plain = type(ours).from_config({k: v for k, v in ours.get_config().items() if "lora" not in k})
    plain.build((None,) if name == "Embedding" else (None, *x.shape[1:]))
    plain.load_own_variables({str(i): value for i, value in enumerate(mine)})
    spread = np.abs(np.asarray(ours(x))).max()
    np.testing.assert_allclose(plain(x), ours(x), atol=spread * (0.05 if mode == "int8" else 0.6))


def test_float8_trains_as_in_keras():
    made = []
    for room in (kyeo, keras):
        model = room.Sequential([room.Input((6,)), room.layers.Dense(4, use_bias=False)])
        model.set_weights([np.linspace(-1, 1, 24, dtype="float32").reshape(6, 4)])
        model.quantize("float8")
        model.compile(room.optimizers.SGD(0.1), "mse")
        model.fit(X, X[:, :4], batch_size=2, epochs=2, shuffle=False, verbose=0)
        made.append(model.get_weights())
    for mine, wanted in zip(*made, strict=True):
        close(mine, wanted, 1e-4)


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_files_in_both_directions(mode, tmp_path):
    def build(room):
        x = ids = room.Input((3,), dtype="int32")
        x = room.layers.Embedding(5, 4, name="table")(x)
        x = room.layers.EinsumDense("abc,cd->abd", (None, 6), bias_axes="d", name="mix")(x)
        return room.Model(ids, room.layers.Dense(2, use_bias=False, name="head")(x))

    ids = np.array([[0, 1, 2], [4, 3, 0]])
    for writer, reader in ((kyeo, keras), (keras, kyeo), (kyeo, kyeo)):
        model = build(writer)
        model.quantize(mode, filters="mix|head" if mode == "float8" else None)
        path = tmp_path / f"{writer.__name__}.keras"
        model.save(path)
        again = reader.models.load_model(path)
        assert [layer.quantization_mode for layer in again.layers[2:]] == [mode, mode]
        close(again.predict(ids, verbose=0), model.predict(ids, verbose=0), 1e-5)


def test_a_file_of_a_layer_around_quantized_ones(tmp_path):
    @kyeo.saving.register_keras_serializable("around")
    class Around(kyeo.layers.Layer):  # without `build`: its layers are made while its `call` is traced
        def __init__(self, dtype=None, **words):
            super().__init__(dtype=dtype, **words)
            self.dense = kyeo.layers.Dense(5, dtype=dtype)

        def call(self, inputs):
            return self.dense(inputs)

    @kyeo.saving.register_keras_serializable("around")
    class Told(Around):
        def get_config(self):
            policies = kyeo.dtype_policies.DTypePolicyMap(None, {self.dense.path: self.dense.dtype_policy})
            return {**super().get_config(), "dtype": policies}

        def __init__(self, **words):
            super().__init__(**words)
            self.dense.name = "inner"

    for mode, kind in (("int8", Told), ("int4", Around), ("float8", Around)):
        x = kyeo.Input((6,))
        model = kyeo.Model(x, kind(name="around")(x))
        model.quantize(mode)
        model.save(tmp_path / "around.keras")
        again = kyeo.models.load_model(tmp_path / "around.keras")
        assert again.layers[1].dense.quantization_mode == mode
        close(again(X), model(X), 1e-6)


@pytest.mark.parametrize("config", [None, lambda q: BLOCKS(q, 2)])
def test_files_of_attention_in_both_directions(config, tmp_path):
    x = kyeo.Input((3, 4), name="x")
    model = kyeo.Model(x, kyeo.layers.MultiHeadAttention(2, 4, name="heads")(x, x))
    model.quantize(*(["int8"] if config is None else [None, config(kyeo.quantizers)]))
    model.save(tmp_path / "attention.keras")
    for room in (kyeo, keras):
        again = room.models.load_model(tmp_path / "attention.keras")
        assert again.get_layer("heads").query_dense.quantization_mode == model.layers[-1].query_dense.quantization_mode
        close(again(IMAGES), model(IMAGES), 1e-5)
    # one projection alone
    x = kyeo.Input((3, 4))
    model = kyeo.Model(x, kyeo.layers.MultiHeadAttention(2, 4)(x, x))
    model.layers[-1].key_dense.quantize("int8")
    again = kyeo.Model.from_config(model.get_config()).layers[-1]
    assert (again.key_dense.quantization_mode, again.query_dense.quantization_mode) == ("int8", None)


def test_models_and_errors():
    model = kyeo.Sequential([kyeo.Input((6,)), kyeo.layers.Dense(4, name="a"), kyeo.layers.Dense(2, name="b")])
    model.compile("sgd", "mse")
    before = model.predict(X, verbose=0)
    model.quantize("int8", filters=["^b"])
    assert [layer.quantization_mode for layer in model.layers] == [None, "int8"]
    assert 0 < np.abs(model.predict(X, verbose=0) - before).max() < 0.1
    attention = kyeo.Sequential([kyeo.Input((3, 4)), kyeo.layers.LSTM(3)])
    attention.quantize("int8")  # nothing there that can be
    dense = kyeo.layers.Dense(3)
    for layer, words, text in [
        (dense, {"mode": "int8"}, "built"), (model.layers[1], {"mode": "int4"}, "not quantized yet"),
        (model.layers[0], {"mode": "int3"}, "how to quantize"), (model.layers[0], {}, "how to quantize"),
        (model.layers[0], {"mode": "gptq"}, "how to quantize"),
        (model.layers[0], {"mode": "int4", "config": kyeo.quantizers.Int8QuantizationConfig()}, "how to quantize"),
    ]:
        with pytest.raises(ValueError, match=text):
            layer.quantize(**words)
    dots = kyeo.layers.EinsumDense("...c,cd->...d", (5,))  # Keras crashes
    before = dots(IMAGES)
    dots.quantize("int8")
    assert dots.kernel_scale.shape == (1, 1, 5) and np.abs(dots(IMAGES) - before).max() < 0.1
    conv = kyeo.layers.Conv1D(2, 2)
    conv.build((None, 4, 3))
    with pytest.raises(NotImplementedError, match="cannot be quantized"):
        conv.quantize("int8")

    class Mine(kyeo.layers.Dense):
        pass

    mine = Mine(3)
    mine.build((None, 6))
    with pytest.raises(NotImplementedError, match="cannot be quantized"):
        mine.quantize("int8")
    mine.quantize("int8", type_check=False)
    assert mine(X).shape == (4, 3)
    with pytest.raises(TypeError, match="filters"):
        model.quantize("int8", filters=3)


@pytest.mark.parametrize("rows", [(1,), (3,), (2, 4)])
def test_a_large_matrix_of_ints(rows, monkeypatch):
    """Int8 with int8 in int32, as in Keras; the values and gradients are those of the floats the ints stand for."""
    x, g = (np.random.default_rng(i).normal(size=(*rows, size)).astype("float32") for i, size in ((0, 260), (1, 256)))
    theirs, ours = (room.layers.Dense(256) for room in (keras, kyeo))
    for layer in (theirs, ours):
        layer.build(x.shape)
    ours.set_weights(theirs.get_weights())
    theirs.quantize("int8"), ours.quantize("int8")

    def run():
        weights = [[v.value for v in part] for part in (ours.trainable_variables, ours.non_trainable_variables)]
        program = jax.make_jaxpr(lambda x: ours.stateless_call(*weights, x)[0])(x)
        y, back = jax.vjp(lambda x: ours.stateless_call(*weights, x)[0], jnp.asarray(x))
        return np.asarray(y), np.asarray(back(jnp.asarray(g))[0]), "preferred_element_type=int32" in str(program)

    y, dx, by_ints = run()
    monkeypatch.setattr(sys.modules["kyeo.ops.kernels.product"], "LEAST_INTS", 10**9)
    plain, plain_dx, not_now = run()
    assert by_ints and not not_now
    np.testing.assert_allclose(y, np.asarray(theirs(x)), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(y, plain, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(dx, plain_dx, rtol=1e-5, atol=1e-5)
