"""Functions of kyeo.quantizers and dtype policies against Keras: values, gradients, configs."""

import json

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kyeo

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 6)).astype("float32")
INTS = RNG.integers(-8, 8, size=(5, 3, 4)).astype("int8")

CALLS = [
    ("abs_max_quantize", (X, -1), {}), ("abs_max_quantize", (X, (0, 1)), {"value_range": (-8, 7), "to_numpy": True}),
    ("abs_max_quantize", (0 * X, 0), {}),
    ("abs_max_quantize_grouped_with_zero_point", (X, 2), {}),
    ("abs_max_quantize_grouped_with_zero_point", (X, 3), {"to_numpy": True}),
    ("abs_max_quantize_grouped_with_zero_point", (X + 3, 128), {}),
    ("compute_float8_scale", (2.0, 1.0, 448.0), {}), ("compute_float8_scale", (0.0, 3.0, 448.0), {"margin": 1}),
    ("compute_float8_scale", (np.float32("inf"), 3.0, 448.0), {}),
    ("compute_float8_amax_history", (X, np.arange(4.0, dtype="float32")), {}),
    ("quantize_and_dequantize", (1000 * X, np.float32(2.0), "float8_e4m3fn", "float32"), {}),
    ("quantize_and_dequantize", (X, np.float32(0.5), "float8_e5m2", "float32"), {}),
    *(("pack_int4", (INTS,), {"axis": axis}) for axis in (0, 1, -1)),
    ("pack_int4", (np.abs(INTS).astype("uint8"),), {"dtype": "uint8"}),
    *(("unpack_int4", (INTS, n), {"axis": axis, "dtype": dtype})
      for n, axis, dtype in ((9, 0, "int8"), (6, 1, "int8"), (7, -1, "uint8"))),
    ("fake_quant_with_min_max_vars", (X, -1.0, 2.0), {}),
    ("fake_quant_with_min_max_vars", (X, np.float32(-1.2), np.float32(0.7)), {"num_bits": 3, "narrow_range": True}),
    ("fake_quant_with_min_max_vars", (X, -np.ones(6, "float32"), np.arange(1, 7, dtype="float32")), {"axis": 1}),
]


def same(ours, theirs):
    for mine, wanted in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert jnp.asarray(mine).dtype == jnp.asarray(wanted).dtype
        np.testing.assert_allclose(np.float64(mine), np.float64(wanted), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name, args, words", CALLS)
def test_as_in_keras(name, args, words):
    ours, theirs = (getattr(room.quantizers, name)(*map(np.copy, args[:1]), *args[1:], **words)
                    for room in (kyeo, keras))
    same(ours, theirs)
    if name.startswith("fake"):
        inputs = [jnp.asarray(a) for a in args]
        same(*(jax.grad(lambda *a, r=room: (r.quantizers.fake_quant_with_min_max_vars(*a, **words) * X**2).sum(),
                        argnums=(0, 1, 2))(*inputs) for room in (kyeo, keras)))


def test_bounds_along_another_axis():
    low, high = -np.ones(5, "float32"), np.arange(1, 6, dtype="float32")
    quantized = kyeo.quantizers.fake_quant_with_min_max_vars
    same(quantized(X, low, high, axis=0), quantized(X.T, low, high, axis=1).T)
    assert quantized(kyeo.Input((3,)), 0.0, 1.0).shape == (None, 3)


def test_a_block_of_one_value():
    ints, scale, zero = kyeo.quantizers.abs_max_quantize_grouped_with_zero_point(np.full((4, 1), 0.5, "float32"), 4)
    np.testing.assert_allclose((np.float32(ints) - np.float32(zero)) * scale, 0.5, atol=0.1)


def test_quantizers_and_configs():
    for mine, wanted in (
        (kyeo.quantizers.AbsMaxQuantizer(axis=0), keras.quantizers.AbsMaxQuantizer(axis=0)),
        (kyeo.quantizers.Int8QuantizationConfig(), keras.quantizers.Int8QuantizationConfig()),
        (kyeo.quantizers.Int4QuantizationConfig(block_size=None), keras.quantizers.Int4QuantizationConfig(block_size=None)),
        (kyeo.quantizers.Float8QuantizationConfig(), keras.quantizers.Float8QuantizationConfig()),
    ):
        config = json.loads(json.dumps(kyeo.quantizers.serialize(mine)))
        assert config == json.loads(json.dumps(keras.quantizers.serialize(wanted)))
        again = kyeo.quantizers.deserialize(config)
        assert again.get_config() == mine.get_config()
    same(kyeo.quantizers.AbsMaxQuantizer()(X), keras.quantizers.AbsMaxQuantizer()(X))
    for bad in (lambda q: q.AbsMaxQuantizer(value_range=(-200, 7)), lambda q: q.QuantizationConfig(),
                lambda q: q.Int4QuantizationConfig(block_size=-3), lambda q: q.get(3),
                lambda q: q.Int4QuantizationConfig(weight_quantizer=q.AbsMaxQuantizer()),
                lambda q: q.Int8QuantizationConfig(weight_quantizer=q.Quantizer("int4")),
                lambda q: q.Int4QuantizationConfig(activation_quantizer=q.AbsMaxQuantizer()),
                lambda q: q.pack_int4(X), lambda q: q.unpack_int4(X, 3)):
        with pytest.raises((ValueError, TypeError, NotImplementedError, AttributeError), match=r"\n  "):
            bad(kyeo.quantizers)


def test_policies():
    for name in ("int8_from_float32", "int8_from_mixed_bfloat16", "int4_from_float32", "int4/32_from_float32",
                 "float8_from_mixed_float16", "gptq/4/128_from_float32", "awq/4/-1_from_bfloat16", "float32"):
        mine, wanted = (room.dtype_policies.get(name) for room in (kyeo, keras))
        for attribute in ("name", "compute_dtype", "variable_dtype", "quantization_mode", "mode", "weight_bits"):
            assert not hasattr(wanted, attribute) or getattr(mine, attribute) == getattr(wanted, attribute)
        config = kyeo.dtype_policies.serialize(mine)
        assert config == keras.dtype_policies.serialize(wanted)
        assert kyeo.dtype_policies.deserialize(config) == mine
    assert kyeo.dtype_policies.get("int8_from_float32") != kyeo.dtype_policies.get("int4_from_float32")
    for bad in ("int8_from_float16", "int3_from_float32", "int4/x_from_float32", "gptq/4_from_float32", "awq/8/128_from_float32"):
        with pytest.raises(ValueError):
            kyeo.dtype_policies.get(bad)


def test_policy_map():
    ours, theirs = (room.dtype_policies.DTypePolicyMap("float32") for room in (kyeo, keras))
    for policies, room in ((ours, kyeo), (theirs, keras)):
        policies["encoder/.*"] = room.dtype_policies.get("mixed_bfloat16")
        policies["head"] = "int8_from_float32"
    for path in ("encoder/a", "head", "x"):
        assert ours[path].name == theirs[path].name
    assert kyeo.dtype_policies.serialize(ours) == keras.dtype_policies.serialize(theirs)
    again = kyeo.dtype_policies.deserialize(json.loads(json.dumps(kyeo.dtype_policies.serialize(ours))))
    assert again == ours and list(again) == list(theirs) and len(again) == 2
    assert ours.default_policy.name == theirs.default_policy.name == "float32"
    assert ours.quantization_mode is theirs.quantization_mode is None
    with pytest.raises(ValueError, match="for this path"):
        ours["head"] = "float32"
    layer = kyeo.layers.Dense(3, dtype=ours, name="head")
    layer.build((None, 4))
    assert layer.quantization_mode == "int8" and layer._kernel.dtype == "int8"
    for room in (kyeo, keras):  # what the process says later changes no map
        room.config.set_dtype_policy("mixed_bfloat16")
        policies = room.dtype_policies.DTypePolicyMap()
        room.config.set_dtype_policy("float32")
        assert policies.default_policy.name == policies["x"].name == "mixed_bfloat16"
        assert policies.name == "map_mixed_bfloat16" and policies.get_config()["default_policy"] is None
