"""GPTQ and AWQ against Keras on a tiny transformer-like model: the same ints and scales, the same outputs, files.

Keras 3.15.1 marks its layers as quantized before the data runs, and watches a method that marked layers do not call:
it calibrates on nothing. Here it is made to look. It is also given our pieces of the data, as its own begin at places
that differ from process to process.
"""

import keras
import keras.src.quantizers.awq_core
import keras.src.quantizers.gptq_core
import numpy as np
import pytest

import kyeo
from kyeo.quantizers.calibrated import awq, gptq, scale_and_zero
from kyeo.quantizers.calibration import windows
from tests.thin import thinned

pytestmark = pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize`:UserWarning")
RNG = np.random.default_rng(0)
DATA = [RNG.integers(0, 11, 7) for _ in range(9)]
X = np.int32([[1, 2, 3, 4]])
ATTRIBUTES = [("_kernel", "quantized_kernel"), *((name, name) for name in ("kernel_scale", "kernel_zero", "g_idx", "awq_scales"))]


def build(room):
    layers = room.layers
    table, blocks = layers.Embedding(11, 16, name="table"), []
    for n in range(2):
        x = room.Input((None, 16))
        h = layers.EinsumDense("abc,cde->abde", (None, 2, 8), bias_axes="de", activation="tanh", name=f"q{n}")(x)
        h = layers.EinsumDense("abde,dec->abc", (None, 16), name=f"o{n}")(h) + x
        h = layers.Dense(15, "tanh", name=f"up{n}")(h)
        blocks.append(room.Model(x, layers.Dense(16, name=f"down{n}")(h) + x, name=f"block{n}"))
    tokens = room.Input((None,), dtype="int32")
    return room.Model(tokens, layers.Dense(5, name="head")(blocks[1](blocks[0](table(tokens))))), table, blocks


WEIGHTS = [RNG.normal(size=w.shape).astype("float32") / 4 for w in build(kyeo)[0].get_weights()]


def quantized(room, kind, **words):
    model, table, blocks = build(room)
    model.set_weights(WEIGHTS)
    structure = {"pre_block_layers": [table], "sequential_blocks": blocks}
    config = getattr(room.quantizers, kind)(DATA, list, num_samples=4, sequence_length=6,
                                            quantization_layer_structure=structure, **words)
    model.quantize(config.mode, config=config, filters="^[qoud]")
    return model, [layer for block in blocks for layer in block.layers if layer.weights]


@pytest.fixture
def looking(monkeypatch):
    real = keras.layers.Layer.quantized_call
    monkeypatch.setattr(keras.layers.Layer, "quantized_call", lambda self, *args, **words: (
        self.call if self.call.__name__ == "hook" else lambda *a, **w: real(self, *a, **w))(*args, **words))
    for core in (keras.src.quantizers.gptq_core, keras.src.quantizers.awq_core):
        monkeypatch.setattr(core, "get_dataloader", lambda tokenizer, length, data, num_samples: windows(
            kyeo.quantizers.GPTQConfig(data, tokenizer, num_samples=num_samples, sequence_length=length)))


@pytest.mark.parametrize("kind, words", thinned([
    ("AWQConfig", {"group_size": 10, "num_grid_points": 5}), ("AWQConfig", {}), ("GPTQConfig", {"group_size": -1}), ("GPTQConfig", {"group_size": 8, "activation_order": True, "hessian_damping": 0.1}),
    ("GPTQConfig", {"weight_bits": 8, "symmetric": True}), ("GPTQConfig", {"weight_bits": 3, "per_channel": False})], 6))  # one of GPTQ takes 15 s
def test_as_in_keras(looking, tmp_path, kind, words):
    (ours, layers), (theirs, wanted) = (quantized(room, kind, **words) for room in (kyeo, keras))
    bits = words.get("weight_bits", 4)
    for mine, other in zip(layers, wanted, strict=True):
        assert mine.quantization_mode == other.quantization_mode == kind[:-6].lower()
        assert (mine.kernel.shape, mine.kernel.dtype) == (tuple(other.kernel.shape), str(other.kernel.dtype))
        for name, name_there in ATTRIBUTES:
            assert hasattr(mine, name) == hasattr(other, name_there)
            if hasattr(mine, name):
                a, b = (np.asarray(getattr(o, n).value) for o, n in ((mine, name), (other, name_there)))
                assert a.dtype == b.dtype
                ties = 3 if name == "_kernel" and bits == 8 else 0  # of 256 values, some lie between two, and it spreads
                np.testing.assert_allclose(np.float64(a), np.float64(b), 1e-4, ties, err_msg=f"{mine.name} {name}")
                assert np.mean(np.abs(np.float64(a) - b) > 1e-3 * np.abs(b)) < 0.2
    outputs = np.asarray(ours(X))
    np.testing.assert_allclose(outputs, np.asarray(theirs(X)), rtol=1e-4, atol=1e-4 if bits < 8 else 2e-2)
    ours.save(tmp_path / "ours.keras")
    for room in (kyeo, keras) if "group_size" in words else (kyeo,):
        np.testing.assert_allclose(room.saving.load_model(tmp_path / "ours.keras")(X), outputs, rtol=1e-4, atol=1e-4)


def test_better_than_rounding():
    x = RNG.normal(size=(200, 12)) * np.linspace(0.1, 3, 12)
    kernel = RNG.normal(size=(12, 7)).astype("float32")
    ints, scale, zero, groups, stretch = awq(kernel, np.abs(x).max(0), kyeo.quantizers.AWQConfig(None, None))
    step, middle = scale_and_zero(kernel.T, 4)
    plain = (np.clip(np.round(kernel.T / step + middle), 0, 15) - middle) * step
    groups = groups.astype(int)
    ours = (ints - zero[:, groups]) * scale[:, groups] / stretch
    assert np.mean((x @ (kernel - ours.T))**2) < np.mean((x @ (kernel - plain.T))**2)


def test_edges():
    for values in ([[3.0, 3.5]], [[-3.5, -3.0]], [[2.0, 2.0]], [[0.0, 0.0]]):  # of one sign: the bytes of a zero do not reach
        scale, zero = scale_and_zero(np.array(values), 4)
        assert 0 <= zero <= 255 and np.abs((np.clip(np.round(values / scale + zero), 0, 15) - zero) * scale - values).max() <= scale
    kernel, dead = np.eye(4, dtype="float32"), np.zeros((4, 4))
    assert gptq(kernel, dead, kyeo.quantizers.GPTQConfig(None, None))[0].shape == (4, 4)
    many = gptq(RNG.normal(size=(300, 2)).astype("float32"), np.eye(300), kyeo.quantizers.GPTQConfig(None, None, group_size=256))
    assert many[1].shape == (2, 2) and many[3].astype(int).tolist() == [0] * 256 + [1] * 44
    texts = kyeo.quantizers.AWQConfig(["ab", "c"], lambda text: [ord(c) - 97 for c in text], num_samples=1, sequence_length=5)
    assert windows(texts).tolist() == [[[0, 1, 2, 0, 1]]]


@pytest.mark.parametrize("call, words", [
    (lambda q, model: model.quantize("gptq"), "GPTQConfig(dataset"),
    (lambda q, model: model.quantize("awq", config=q.AWQConfig([[1]], None)), "blocks"),
    (lambda q, model: model.quantize(config=q.GPTQConfig(["a"], None, quantization_layer_structure={"sequential_blocks": [model]})), "tokenizer"),
    (lambda q, model: model.quantize(config=q.GPTQConfig(None, None, quantization_layer_structure={"sequential_blocks": [model]})), "dataset"),
    (lambda q, model: model.layers[-1].quantize(config=q.GPTQConfig([[1]], None)), "model.quantize"),
    (lambda q, model: gptq(np.eye(2), np.ones((2, 2)), q.GPTQConfig(None, None, hessian_damping=0)), "hessian_damping"),
    (lambda q, model: q.GPTQConfig(None, None, weight_bits=5), "weight_bits")])
def test_told(call, words):
    with pytest.raises((ValueError, TypeError)) as told:
        call(kyeo.quantizers, build(kyeo)[0])
    assert words in str(told.value) and "\n  " in str(told.value)
