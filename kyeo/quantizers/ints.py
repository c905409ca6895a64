"""Weights kept as ints with scales: int8, int4, and what data chose (GPTQ, AWQ).

A scheme knows layers only by their attributes. `FORMS` says how the weights of a layer lie: which axis is summed over
in a product, and along which one two ints are packed in a byte.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.naming import is_kyeos
from kyeo.core.owned import Structure
from kyeo.core.variable import Variable, unwrap
from kyeo.dtype_policies import Int4DTypePolicy
from kyeo.ops.kernels import int_product, suits_ints
from kyeo.quantizers.config import AbsMaxQuantizer, CalibratedConfig, Int4QuantizationConfig
from kyeo.quantizers.functions import abs_max_quantize_grouped_with_zero_point, pack_int4, unpack_int4

__all__ = ["FORMS", "Calibrated", "Int4", "Int8", "drop", "forms_of", "kind_of"]


class Form(NamedTuple):
    """How a weight lies: its name, the axis that is summed over in a product, whether 4 bits are packed along the other
    axis ("across") or along the summed one, and the dtype of zeros."""

    name: str
    summed: int
    packed: int = 1
    zero_dtype: str | None = "int8"


FORMS = {
    "Dense": [Form("kernel", 0)],
    "EinsumDense": [Form("kernel", 0)],
    "Embedding": [Form("embeddings", 1)],
    "ReversibleEmbedding": [Form("embeddings", 1), Form("reverse_embeddings", 0, 0, None)],
}


def kind_of(layer: Any) -> str:
    """The built-in class that a layer is of, or derived from; "" for none of the table."""
    classes = [c for c in type(layer).__mro__ if is_kyeos(c)]
    return next((c.__name__ for c in classes if c.__name__ in FORMS), "")


def attribute_of(layer: Any, form: Form) -> str:
    """Where the layer keeps a weight: the adaptable one behind an underscore."""
    return f"_{form.name}" if form.name == layer.adaptable else form.name


def forms_of(layer: Any) -> list[Form]:
    """The weights of a layer that are quantized."""
    forms = FORMS[kind_of(layer)]
    return forms[:1] if getattr(layer, "tie_weights", True) else forms


class _Ints:
    """What int8 and int4 share: ints that are not trained, and float scales beside them."""

    mode: str
    keeps_weight = False

    def inputs_quantizer(self, layer: Any) -> Any:
        """What makes ints of the layer's inputs, or None."""
        config = layer.quantization_config
        if config is not None:
            return config.activation_quantizer
        return AbsMaxQuantizer() if self.mode == "int8" or kind_of(layer) == "ReversibleEmbedding" else None

    def saved(self, layer: Any) -> list[str]:
        """The attributes a file holds, in its order, whether they are there or not."""
        first, *others = forms_of(layer)
        names = [attribute_of(layer, first)] + ["bias"] * hasattr(layer, "bias")
        names += [f"{first.name}_scale", f"{first.name}_zero", "g_idx"]
        return names + [f"{f.name}{part}" for f in others for part in ("", "_scale", "_zero")]

    def build(self, layer: Any, shape: tuple[int, ...]) -> None:
        """Make the variables of a layer whose adaptable weight has this shape."""
        for form in forms_of(layer):
            whole = shape if form is forms_of(layer)[0] else shape[::-1]
            for attribute, (name, value) in self.of_weight(layer, form, np.zeros(whole, "float32"), empty=True).items():
                dtype = None if np.asarray(value).dtype.kind == "f" and name != "g_idx" else str(value.dtype)
                made = layer.add_weight(name=name, shape=np.shape(value), dtype=dtype, trainable=False,
                                        initializer=_constant(value))
                setattr(layer, attribute, made)

    def quantize(self, layer: Any) -> None:
        """Put ints in the place of the layer's weights."""
        values: dict[str, Any] = {}
        shape = getattr(layer, f"_{layer.adaptable}").shape
        for form in forms_of(layer):
            attribute = attribute_of(layer, form)
            weight = getattr(layer, attribute)
            values |= self.of_weight(layer, form, np.asarray(weight._value, "float32"))
            drop(layer, attribute, weight)
        self.build(layer, shape)
        for attribute, (_, value) in values.items():
            getattr(layer, attribute).assign(value)

    def of_weight(self, layer: Any, form: Form, value: Any, empty: bool = False) -> dict[str, tuple[str, Any]]:
        """The variables for a weight, as {attribute: (name, value)}."""
        raise NotImplementedError

    def weight(self, layer: Any, form: Form | None = None) -> Any:
        """The weight as floats."""
        raise NotImplementedError

    def stored(self, layer: Any) -> Any:
        """The ints of the adaptable weight, one for each number."""
        return getattr(layer, f"_{layer.adaptable}")

    def product(self, layer: Any, multiply: Callable[..., Any], inputs: Any, axes: Any = -1,
                weight: Any = None) -> Any:
        """`multiply(inputs, weight)`, with the inputs rounded too where the config says so. Gradients go through the
        rounding as if it were not there."""
        quantizer = self.inputs_quantizer(layer)
        if quantizer is not None:
            ints, scale = quantizer(inputs, axis=axes)
            if weight is None and self.mode == "int8" and _multiplies_ints(layer, inputs, ints):
                return int_product(inputs, ints, scale, layer._kernel.value, layer.kernel_scale.value)
            rounded = ints.astype(inputs.dtype) / scale
            inputs = inputs + jax.lax.stop_gradient(rounded - inputs)
        return multiply(inputs, self.weight(layer) if weight is None else weight)

    def merged(self, layer: Any, change: Any) -> dict[str, Any]:
        """The values of the adaptable weight's variables with a change added."""
        form = forms_of(layer)[0]
        whole = np.asarray(self.weight(layer), "float32") + np.asarray(change, "float32")
        return {attribute: value for attribute, (_, value) in self.of_weight(layer, form, whole).items()}


def _constant(value: Any) -> Callable[..., Any]:
    return lambda shape, dtype=None: np.asarray(value).astype(dtype)


def _multiplies_ints(layer: Any, inputs: Any, ints: Any) -> bool:
    """Whether a layer's ints are multiplied with its inputs': a matrix of many, with a scale for each output."""
    return (kind_of(layer) == "Dense" and ints.dtype == "int8" and suits_ints(inputs, layer._kernel.value)
            and layer.kernel_scale.shape == layer._kernel.shape[1:])


def drop(layer: Any, attribute: str, weight: Variable) -> None:
    """Take a variable away from a layer."""
    delattr(layer, attribute)
    layer._weights = [v for v in layer._weights if v is not weight]
    Structure.version += 1


class Int8(_Ints):
    """A byte for each weight, a scale for each output."""

    mode = "int8"

    def of_weight(self, layer: Any, form: Form, value: Any, empty: bool = False) -> dict[str, tuple[str, Any]]:
        """Ints and scale."""
        by_equation = form.name == "kernel" and hasattr(layer, "summed_axes")
        axes = layer.summed_axes() if by_equation else form.summed
        given = layer.quantization_config and layer.quantization_config.weight_quantizer
        quantizer = given or AbsMaxQuantizer(axis=axes)
        ints, scale = quantizer(value, axis=None if given and given.axis else axes, to_numpy=True)
        scale = layer.scale_to_file(scale) if by_equation else jnp.squeeze(scale, form.summed)
        if empty:
            scale = jnp.ones_like(scale)
        return {attribute_of(layer, form): (form.name, ints), f"{form.name}_scale": (f"{form.name}_scale", scale)}

    def weight(self, layer: Any, form: Form | None = None) -> Any:
        """Ints through their scale."""
        form = form or forms_of(layer)[0]
        ints, scale = getattr(layer, attribute_of(layer, form)).value, getattr(layer, f"{form.name}_scale").value
        by_equation = form.name == "kernel" and hasattr(layer, "summed_axes")
        scale = layer.scale_from_file(scale) if by_equation else jnp.expand_dims(scale, form.summed)
        return ints.astype(layer.compute_dtype) / scale

    def rows(self, layer: Any, ids: Any) -> Any:
        """The rows of a table of vectors that belong to ids."""
        scale = jnp.take(layer.embeddings_scale.value, ids, axis=0)[..., None]
        return jnp.take(layer._embeddings.value, ids, axis=0).astype(layer.compute_dtype) / scale


class Int4(_Ints):
    """Half a byte for each weight. A scale for each output, or a scale and a zero for each block of its weights."""

    mode = "int4"

    def block_size(self, layer: Any) -> int | None:
        """How many weights share a scale; None where those of an output do."""
        config = layer.quantization_config
        policy = layer.dtype_policy.for_path(layer.path)
        size = config.block_size if isinstance(config, Int4QuantizationConfig) else (
            policy.block_size if isinstance(policy, Int4DTypePolicy) else None)
        return None if size == -1 else size

    def of_weight(self, layer: Any, form: Form, value: Any, empty: bool = False) -> dict[str, tuple[str, Any]]:
        """Packed ints, scale, and with blocks a zero and the block of each row."""
        flat = np.asarray(value).reshape(layer.flat_shape(value.shape))
        block, name = self.block_size(layer), form.name
        more = {}
        if block is None:
            given = layer.quantization_config and layer.quantization_config.weight_quantizer
            quantizer = given or AbsMaxQuantizer(axis=form.summed, value_range=(-8, 7))
            ints, scale = quantizer(flat, axis=None if given and given.axis else form.summed, to_numpy=True)
            scale = jnp.squeeze(scale, form.summed)
        else:
            turned = flat.T if form.summed else flat
            parts = abs_max_quantize_grouped_with_zero_point(turned, block, to_numpy=True)
            ints, scale, zero = (part.T if form.summed else part for part in parts)
            zero = jnp.zeros_like(zero) if empty else zero
            more[f"{name}_zero"] = f"{name}_zero", zero if form.zero_dtype else zero.astype("float32")
            if name == layer.adaptable:
                more["g_idx"] = "g_idx", (np.arange(flat.shape[form.summed]) // block).astype("float32")
        scale = jnp.ones_like(scale) if empty else scale
        return {attribute_of(layer, form): (name, pack_int4(ints, axis=form.packed)[0]),
                f"{name}_scale": (f"{name}_scale", scale), **more}

    def unpacked(self, layer: Any, form: Form) -> tuple[Any, tuple[int, ...]]:
        """The ints of a weight as a matrix, and the weight's shape."""
        shape = layer.weight_shape if form.name == layer.adaptable else layer.weight_shape[::-1]
        packed, size = getattr(layer, attribute_of(layer, form)).value, layer.flat_shape(shape)[form.packed]
        return unpack_int4(packed, size, axis=form.packed), shape

    def stored(self, layer: Any) -> Any:
        """The ints of the adaptable weight, a byte for each number."""
        ints, shape = self.unpacked(layer, forms_of(layer)[0])
        return ints.reshape(shape)

    def weight(self, layer: Any, form: Form | None = None) -> Any:
        """Ints through their scales."""
        form = form or forms_of(layer)[0]
        ints, shape = self.unpacked(layer, form)
        ints, scale = ints.astype(layer.compute_dtype), getattr(layer, f"{form.name}_scale").value
        if self.block_size(layer) is None:
            return (ints / jnp.expand_dims(scale, form.summed)).reshape(shape)
        zero = getattr(layer, f"{form.name}_zero").value.astype(scale.dtype)
        blocks = layer.g_idx.value.astype("int32")
        scale, zero = (jnp.take(part, blocks, axis=form.summed) for part in (scale, zero))
        return ((ints - zero) * scale).astype(layer.compute_dtype).reshape(shape)

    def rows(self, layer: Any, ids: Any) -> Any:
        """The rows of a table of vectors that belong to ids."""
        packed, scale = (jnp.take(v.value, ids, axis=0) for v in (layer._embeddings, layer.embeddings_scale))
        ints = unpack_int4(packed, layer.output_dim, axis=-1).astype(layer.compute_dtype)
        if self.block_size(layer) is None:
            return ints / scale[..., None]
        zero, blocks = jnp.take(layer.embeddings_zero.value, ids, axis=0), layer.g_idx.value.astype("int32")
        return (ints - jnp.take(zero.astype(scale.dtype), blocks, axis=-1)) * jnp.take(scale, blocks, axis=-1)


class Calibrated(_Ints):
    """Bytes, or half bytes, with a scale and a zero for each group of an output's weights, chosen by data."""

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def inputs_quantizer(self, layer: Any) -> Any:
        """None: inputs stay as they are."""
        return None

    def saved(self, layer: Any) -> list[str]:
        """The attributes a file holds, in its order."""
        return ["bias", "_kernel", "kernel_scale", "kernel_zero", *["awq_scales"] * (self.mode == "awq"), "g_idx"]

    def build(self, layer: Any, shape: tuple[int, ...]) -> None:
        """Make the variables of a layer whose kernel has this shape."""
        config = layer.quantization_config
        source = config if isinstance(config, CalibratedConfig) else layer.dtype_policy.for_path(layer.path)
        (rows, columns), size = layer.flat_shape(shape), source.group_size
        groups = 1 if size == -1 else math.ceil(rows / size)
        for attribute, kind, start, sizes in (
            ("_kernel", "uint8", "zeros", (math.ceil(columns / 2) if source.weight_bits == 4 else columns, rows)),
            ("kernel_scale", None, "ones", (columns, groups)), ("kernel_zero", "uint8", "zeros", (columns, groups)),
            *[("awq_scales", None, "ones", (rows,))] * (self.mode == "awq"), ("g_idx", "float32", "zeros", (rows,)),
        ):
            setattr(layer, attribute, layer.add_weight(
                name=attribute.lstrip("_"), shape=sizes, dtype=kind, initializer=start, trainable=False))
        layer.gptq_unpacked_column_size = columns if hasattr(layer, "equation") else None

    def stored(self, layer: Any) -> Any:
        """The ints, a byte for each number: a row for each output."""
        columns = layer.flat_shape(layer.weight_shape)[1]
        packed = layer._kernel.shape[0] != columns
        return unpack_int4(layer._kernel.value, columns, axis=0, dtype="uint8") if packed else layer._kernel

    def weight(self, layer: Any, form: Form | None = None) -> Any:
        """Ints through their scales."""
        ints, scale = unwrap(self.stored(layer)), layer.kernel_scale.value
        groups = layer.g_idx.value.astype("int32")
        scale, zero = (jnp.take(part, groups, axis=1) for part in (scale, layer.kernel_zero.value))
        weight = (ints.astype(scale.dtype) - zero.astype(scale.dtype)) * scale
        if self.mode == "awq":
            weight = weight / layer.awq_scales.value
        return weight.T.astype(layer.compute_dtype).reshape(layer.weight_shape)
