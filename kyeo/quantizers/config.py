"""How a layer is to be quantized: quantizers of its weights and inputs, gathered in a config for each mode."""

from typing import Any

import jax

from kyeo.core.configurable import Configurable, parameters_of
from kyeo.core.dtypes import standardize_dtype
from kyeo.core.errors import boolean, describe, fraction, int_tuple, one_of, positive_int, problem
from kyeo.quantizers.functions import abs_max_quantize

__all__ = [
    "AWQConfig", "AbsMaxQuantizer", "CalibratedConfig", "Float8QuantizationConfig", "GPTQConfig",
    "Int4QuantizationConfig", "Int8QuantizationConfig", "QuantizationConfig", "Quantizer",
]


class Quantizer(Configurable):
    """Base of quantizers: called on an array, gives ints and their scale. This one gives the array back.

    Args:
        output_dtype: dtype of the ints.

    >>> import kyeo
    >>> kyeo.quantizers.Quantizer()(3.0)
    3.0
    """

    def __init__(self, output_dtype: Any = "int8"):
        if output_dtype is not None:
            standardize_dtype(output_dtype)
        self.output_dtype = output_dtype

    def __call__(self, x: Any) -> Any:
        """The quantized array."""
        return x


class AbsMaxQuantizer(Quantizer):
    """Ints so that the largest value of each slice is the largest int.

    Args:
        axis: the axis, or axes, whose values share a scale, where the call names none; the last one where None.
        value_range: the smallest and the largest int.
        epsilon: added to the largest value, so that zeros have a scale.
        output_dtype: dtype of the ints.

    >>> import kyeo
    >>> kyeo.quantizers.AbsMaxQuantizer()([1.0, -2.0])[0].tolist()
    [64, -127]
    """

    def __init__(self, axis: Any = None, value_range: Any = (-127, 127), epsilon: float = 1e-7,
                 output_dtype: Any = "int8"):
        super().__init__(output_dtype)
        self.axis = axis if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        self.value_range: Any = int_tuple(self, 2, minimum=-2**31, value_range=value_range)
        self.epsilon = epsilon
        if output_dtype == "int8" and not -128 <= self.value_range[0] < self.value_range[1] <= 127:
            raise problem("`value_range` does not fit int8.", received=f"value_range={value_range!r}", where=self,
                          expected="two ints from -128 to 127, the smaller first")

    def __call__(self, x: Any, axis: Any = None, to_numpy: bool = False) -> tuple[jax.Array, jax.Array]:
        """The ints and their scale; see `abs_max_quantize`."""
        axis = axis if axis is not None else self.axis if self.axis is not None else -1
        return abs_max_quantize(x, axis, self.value_range, self.output_dtype, self.epsilon, to_numpy)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        return config if self.axis is not None else {k: v for k, v in config.items() if k != "axis"}


class QuantizationConfig(Configurable):
    """Base of configs: a mode, and the quantizers for it.

    Args:
        weight_quantizer: makes ints of weights; that of the mode where None.
        activation_quantizer: makes ints of the layer's inputs; None leaves them as they are.
    """

    mode: str = ""

    def __init__(self, weight_quantizer: Any = None, activation_quantizer: Any = None):
        for name, given in (("weight_quantizer", weight_quantizer), ("activation_quantizer", activation_quantizer)):
            if given is not None and not callable(given):
                raise problem(f"`{name}` is not valid.", received=f"{name}={describe(given)}", where=type(self),
                              expected="a Quantizer, a function, or None", kind=TypeError)
        self.weight_quantizer, self.activation_quantizer = weight_quantizer, activation_quantizer
        if not type(self).mode:
            raise problem("This is a base class.", where=type(self), kind=NotImplementedError,
                          fix="use Int8QuantizationConfig, or write a subclass with a `mode`")

    def _check(self, dtype: str, value_range: tuple[int, int] | None = None) -> None:
        given = self.weight_quantizer
        wrong = given is not None and (getattr(given, "output_dtype", None) != dtype or (
            value_range is not None and getattr(given, "value_range", None) != value_range))
        if wrong:
            raise problem("`weight_quantizer` is not valid.", received=f"weight_quantizer={describe(given)}",
                          where=self, expected=f"a quantizer to {dtype}"
                          + (f" with value_range={value_range}" if value_range else ""))


class Int8QuantizationConfig(QuantizationConfig):
    """Weights of 8 bits.

    Args:
        weight_quantizer: makes ints of weights, with a scale for each output.
        activation_quantizer: makes ints of the layer's inputs; "default" is `AbsMaxQuantizer()`.

    >>> import kyeo
    >>> layer = kyeo.layers.Dense(3)
    >>> layer.build((None, 4))
    >>> layer.quantize(config=kyeo.quantizers.Int8QuantizationConfig(activation_quantizer=None))
    >>> [w.dtype for w in layer.weights]
    ['float32', 'int8', 'float32']
    """

    mode = "int8"

    def __init__(self, weight_quantizer: Any = None, activation_quantizer: Any = "default"):
        default = isinstance(activation_quantizer, str) and activation_quantizer == "default"
        super().__init__(weight_quantizer, AbsMaxQuantizer() if default else activation_quantizer)
        self._check("int8")


class Int4QuantizationConfig(QuantizationConfig):
    """Weights of 4 bits, two in a byte.

    Args:
        weight_quantizer: makes ints of weights; not with blocks.
        activation_quantizer: makes ints of the layer's inputs; "default" leaves them as they are. Not with blocks.
        block_size: how many weights of an output share a scale; all of them where None or -1.

    >>> import kyeo
    >>> layer = kyeo.layers.Dense(3, use_bias=False)
    >>> layer.build((None, 4))
    >>> layer.quantize(config=kyeo.quantizers.Int4QuantizationConfig(block_size=2))
    >>> [(w.name, w.shape) for w in layer.weights]
    [('kernel', (4, 2)), ('kernel_scale', (2, 3)), ('kernel_zero', (2, 3)), ('g_idx', (4,))]
    """

    mode = "int4"

    def __init__(self, weight_quantizer: Any = None, activation_quantizer: Any = "default",
                 block_size: int | None = 128):
        default = isinstance(activation_quantizer, str) and activation_quantizer == "default"
        super().__init__(weight_quantizer, None if default else activation_quantizer)
        self.block_size = block_size if block_size in (None, -1) else positive_int(self, block_size=block_size)
        self._check("int8", (-8, 7))
        if self.block_size not in (None, -1) and (weight_quantizer or self.activation_quantizer):
            raise problem("Blocks go with the built-in rounding only.", received=f"block_size={block_size}", where=self,
                          fix="block_size=None, or no quantizers")

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """The config; files from before there were blocks have none."""
        return super().from_config({"block_size": None, **config}, custom_objects)


class Float8QuantizationConfig(QuantizationConfig):
    """Products in float8, with scales that follow the training.

    P. Micikevicius et al., "FP8 Formats for Deep Learning" (2022), https://arxiv.org/abs/2209.05433

    >>> import kyeo
    >>> kyeo.quantizers.Float8QuantizationConfig().mode
    'float8'
    """

    mode = "float8"

    def __init__(self) -> None:
        super().__init__(None, None)


class CalibratedConfig(QuantizationConfig):
    """Base of configs whose rounding looks at data. The data is not kept in files, nor in the layers."""

    def _set(self, dataset: Any, tokenizer: Any, structure: Any, **counts: Any) -> None:
        super().__init__(None, None)
        if isinstance(dataset, (str, bytes)) or not (dataset is None or hasattr(dataset, "__iter__")):
            raise problem("`dataset` is not valid.", received=f"dataset={describe(dataset)}", where=type(self),
                          expected="texts, rows of tokens, or None", kind=TypeError)
        if not (tokenizer is None or callable(tokenizer) or hasattr(tokenizer, "tokenize")):
            raise problem("`tokenizer` is not valid.", received=f"tokenizer={describe(tokenizer)}", where=type(self),
                          expected="a function, an object with `tokenize`, or None", kind=TypeError)
        self.dataset, self.tokenizer, self.quantization_layer_structure = dataset, tokenizer, structure
        for name, value in counts.items():
            setattr(self, name, -1 if (name, value) == ("group_size", -1) else positive_int(self, **{name: value}))

    def dtype_policy_string(self) -> str:
        """The beginning of the dtype policy's name, such as "gptq/4/128"."""
        return f"{self.mode}/{self.weight_bits}/{self.group_size}"  # type: ignore[attr-defined]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, without what was only needed to calibrate."""
        dropped = ("dataset", "tokenizer", "quantization_layer_structure")
        return {name: None if name in dropped else getattr(self, name) for name in parameters_of(type(self))}


class GPTQConfig(CalibratedConfig):
    """Weights of 2, 3, 4 or 8 bits, rounded so that the errors of a layer's inputs make up for each other.

    E. Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers" (2022),
    https://arxiv.org/abs/2210.17323

    Args:
        dataset: what to calibrate on: texts, or rows of tokens.
        tokenizer: makes tokens of texts: a function, or an object with `tokenize`. Not needed for tokens.
        weight_bits: 2, 3, 4 or 8; those of 4 bits lie two in a byte, others in a byte each.
        num_samples: how many pieces of the data to look at.
        per_channel: whether each output has a scale of its own.
        sequence_length: tokens of a piece.
        hessian_damping: from 0 to 1; how much of the mean is added to the Hessian's diagonal.
        group_size: how many inputs of an output share a scale; all of them where -1.
        symmetric: whether ints reach as far below 0 as above it.
        activation_order: whether inputs that matter most are rounded first.
        quantization_layer_structure: {"pre_block_layers": layers that make the first block's input of tokens,
            "sequential_blocks": what to quantize, one after the other}; what the model's
            `get_quantization_layer_structure` gives where None.

    >>> import kyeo
    >>> model = kyeo.Sequential([kyeo.layers.Embedding(9, 8), kyeo.layers.Dense(4)])
    >>> model.build((None, None))
    >>> structure = {"pre_block_layers": model.layers[:1], "sequential_blocks": model.layers[1:]}
    >>> model.quantize(config=kyeo.quantizers.GPTQConfig([[1, 5, 7, 2]], None, num_samples=2, sequence_length=4,
    ...                                                  quantization_layer_structure=structure))
    >>> [(w.name, w.shape) for w in model.layers[1].weights]
    [('bias', (4,)), ('kernel', (2, 8)), ('kernel_scale', (4, 1)), ('kernel_zero', (4, 1)), ('g_idx', (8,))]
    """

    mode = "gptq"

    def __init__(
        self, dataset: Any, tokenizer: Any, *, weight_bits: int = 4, num_samples: int = 128, per_channel: bool = True,
        sequence_length: int = 512, hessian_damping: float = 0.01, group_size: int = 128, symmetric: bool = False,
        activation_order: bool = False, quantization_layer_structure: dict[str, Any] | None = None,
    ):
        self._set(dataset, tokenizer, quantization_layer_structure, num_samples=num_samples,
                  sequence_length=sequence_length, group_size=group_size)
        self.weight_bits = one_of(self, (2, 3, 4, 8), weight_bits=weight_bits)
        self.per_channel = boolean(self, per_channel=per_channel)
        self.hessian_damping = fraction(self, hessian_damping=hessian_damping)
        self.symmetric = boolean(self, symmetric=symmetric)
        self.activation_order = boolean(self, activation_order=activation_order)


class AWQConfig(CalibratedConfig):
    """Weights of 4 bits, those of large inputs rounded more finely.

    J. Lin et al., "AWQ: Activation-aware Weight Quantization for LLM Compression and Acceleration" (2023),
    https://arxiv.org/abs/2306.00978

    Args:
        dataset, tokenizer, num_samples, sequence_length, group_size, quantization_layer_structure: see `GPTQConfig`.
        weight_bits: 4.
        num_grid_points: how many powers of the inputs' size are tried.

    >>> import kyeo
    >>> kyeo.quantizers.AWQConfig(None, None).dtype_policy_string()
    'awq/4/128'
    """

    mode = "awq"

    def __init__(
        self, dataset: Any, tokenizer: Any, *, weight_bits: int = 4, num_samples: int = 128, sequence_length: int = 512,
        group_size: int = 128, num_grid_points: int = 20, quantization_layer_structure: dict[str, Any] | None = None,
    ):
        self._set(dataset, tokenizer, quantization_layer_structure, num_samples=num_samples,
                  sequence_length=sequence_length, group_size=group_size, num_grid_points=num_grid_points)
        self.weight_bits = one_of(self, (4,), weight_bits=weight_bits)
