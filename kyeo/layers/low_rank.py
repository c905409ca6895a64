"""Layers with one big weight: LoRA freezes it and learns the change by two thin matrices; it may be quantized."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo import initializers
from kyeo.core.errors import describe, positive_int, problem
from kyeo.core.variable import Variable, unwrap
from kyeo.layers.arguments import make_weight
from kyeo.layers.layer import Layer
from kyeo.layers.ownership import Owning
from kyeo.quantizers.config import QuantizationConfig
from kyeo.quantizers.schemes import scheme_of

__all__ = ["Adaptable", "adapted"]


def adapted(name: str) -> property:
    """The weight `name` of an `Adaptable` layer: the Variable, or with LoRA the sum of it and the product.

    Of a quantized layer it is the stored ints, as in Keras; the floats that the layer computes with are `whole()`.
    """

    def read(layer: "Adaptable") -> Any:
        weight = layer.__dict__.get(f"_{name}")
        if weight is None:
            raise problem(f"`{name}` does not exist before the layer is built.", where=layer, kind=AttributeError,
                          fix="call the layer on data, or `build(input_shape)`, first")
        return layer.with_change(weight if layer.scheme is None else layer.scheme.stored(layer))

    return property(read, doc=f"The weight `{name}`.")


class Adaptable(Layer):
    """Base of layers with one big weight, named by `adaptable`, that LoRA can adapt.

    E. Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021), https://arxiv.org/abs/2106.09685
    """

    adaptable = "kernel"
    quantizes_inputs = True
    lora_enabled = False
    scheme: Any = None  # of kyeo.quantizers, where the weight is quantized
    quantization_config: Any = None
    weight_shape: tuple[int, ...] | None = None

    @property
    def trainable(self) -> bool:
        """Whether training changes this layer; with LoRA its big weight stays frozen either way."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        Owning.trainable.fset(self, value)  # type: ignore[attr-defined]
        if self.lora_enabled:
            self.__dict__[f"_{self.adaptable}"].trainable = False

    def _set_lora(self, lora_rank: Any, lora_alpha: Any) -> None:
        """Check and keep the two arguments of the constructor."""
        self.lora_rank = positive_int(self, optional=True, lora_rank=lora_rank)
        self.lora_alpha = lora_alpha if lora_alpha is not None else self.lora_rank

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor; those of LoRA only where it is used: some classes pass them themselves."""
        unused = {"gptq_unpacked_column_size", "lora_alpha", "lora_rank"}
        return {k: value for k, value in super().get_config().items() if value is not None or k not in unused}

    # -- quantized -----------------------------------------------------------------------------------------
    def _set_quantization(self, config: Any) -> None:
        """Check and keep the argument of the constructor; the dtype policy says whether the layer is quantized."""
        if not isinstance(config, QuantizationConfig | None):
            raise problem("`quantization_config` is not valid.", where=self, kind=TypeError,
                          received=f"quantization_config={describe(config)}",
                          expected="such as kyeo.quantizers.Int8QuantizationConfig(); `layer.quantize` sets it")
        self.quantization_config = config

    def _make_adaptable(self, shape: tuple[int, ...], **rules: Any) -> None:
        """Make the big weight; the variables of its quantized form where the dtype policy says so."""
        self.weight_shape, self.scheme = shape, scheme_of(self)
        if self.scheme is None or self.scheme.keeps_weight:
            self.__dict__[f"_{self.adaptable}"] = make_weight(self, self.adaptable, shape, **rules)
        if self.scheme is not None:
            with jax.ensure_compile_time_eval():  # a layer around this one may be built by tracing its `call`
                self.scheme.build(self, shape)

    def multiplied(self, multiply: Callable[..., Any], inputs: Any) -> Any:
        """`multiply(inputs, weight)`, by the quantized weight where there is one."""
        if self.scheme is None:
            return multiply(inputs, unwrap(getattr(self, self.adaptable)))
        outputs = self.scheme.product(self, multiply, inputs, self.quantized_axes())
        return outputs + multiply(inputs, self.lora_change().astype(inputs.dtype)) if self.lora_enabled else outputs

    @property
    def inputs_quantizer(self) -> Any:
        """What makes ints of the inputs of a quantized layer; None where they stay as they are, or are ints."""
        find = getattr(self.scheme, "inputs_quantizer", None)
        return find(self) if find and self.quantizes_inputs else None

    def quantized_axes(self) -> Any:
        """The axes of the input whose values share a scale."""
        return -1

    def flat_shape(self, shape: Any) -> Any:
        """The weight as a matrix: what is summed over, and what is not."""
        return shape

    def calibration_rows(self, inputs: Any) -> Any:
        """The input as a matrix of what is summed over."""
        return inputs.reshape(-1, inputs.shape[-1])

    # -- LoRA ----------------------------------------------------------------------------------------------
    def _lora_from_arguments(self) -> None:
        """At the end of `build`."""
        if self.lora_rank:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    def enable_lora(
        self, rank: int, lora_alpha: float | None = None, a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
    ) -> None:
        """Freeze the big weight and train `alpha / rank * a @ b`, added to it, instead.

        Args:
            rank: columns of `a` and rows of `b`.
            lora_alpha: the factor; `rank` where None.
            a_initializer, b_initializer: how the two begin.

        >>> import kyeo
        >>> layer = kyeo.layers.Dense(8)
        >>> layer.build((None, 16))
        >>> layer.enable_lora(2)
        >>> [v.shape for v in layer.trainable_variables]
        [(8,), (16, 2), (2, 8)]
        """
        rank, name = positive_int(self, rank=rank), self.adaptable
        weight: Variable | None = self.__dict__.get(f"_{name}")
        wrong = (
            "The layer is not built." if weight is None else
            f"LoRA does not go together with {self.quantization_mode}."
            if self.quantization_mode in ("float8", "gptq", "awq") else
            "LoRA is on already." if self.lora_enabled else
            f"LoRA and `{name}_constraint` do not go together." if getattr(self, f"{name}_constraint") else None)
        if wrong or weight is None:
            raise problem(str(wrong), where=self)
        penalty, shape = getattr(self, f"{name}_regularizer"), self.weight_shape or weight.shape
        for part, size, initializer in (
                ("a", (*shape[:-1], rank), a_initializer), ("b", (rank, shape[-1]), b_initializer)):
            setattr(self, f"lora_{name}_{part}", self.add_weight(
                name=f"lora_{name}_{part}", shape=size, initializer=initializers.get(initializer), dtype="float32",
                regularizer=penalty))
        weight.trainable = False
        self.lora_enabled, self.lora_rank = True, rank
        self.lora_alpha = lora_alpha if lora_alpha is not None else rank

    @property
    def lora_a(self) -> Variable:
        """The first matrix: `lora_kernel_a`, or `lora_embeddings_a`."""
        return self.__dict__[f"lora_{self.adaptable}_a"]

    @property
    def lora_b(self) -> Variable:
        """The second matrix: `lora_kernel_b`, or `lora_embeddings_b`."""
        return self.__dict__[f"lora_{self.adaptable}_b"]

    def lora_change(self) -> Any:
        """What LoRA adds to the weight."""
        return self.lora_alpha / self.lora_rank * jnp.matmul(self.lora_a.value, self.lora_b.value)

    def with_change(self, weight: Any) -> Any:
        """A form of the weight, with LoRA the sum of it and the change."""
        if not self.lora_enabled:
            return weight
        value = unwrap(weight)
        dtype = value.dtype if jnp.issubdtype(value.dtype, jnp.floating) else self.compute_dtype
        return value.astype(dtype) + self.lora_change().astype(dtype)

    def whole(self) -> Any:
        """The weight that the layer computes with: floats, with LoRA's change."""
        return getattr(self, self.adaptable) if self.scheme is None else self.with_change(self.scheme.weight(self))

    # -- files ---------------------------------------------------------------------------------------------
    def own_variables(self) -> list[Variable]:
        """The variables a file holds, in its order: those of LoRA are folded into the weight."""
        if self.scheme is not None:
            return [self.__dict__[name] for name in self._saved_names()]
        apart = {id(self.lora_a), id(self.lora_b)} if self.lora_enabled else set()
        return [v for v in super().own_variables() if id(v) not in apart]

    def _saved_names(self) -> list[str]:
        return [name for name in self.scheme.saved(self) if self.__dict__.get(name) is not None]

    def save_own_variables(self, store: Any) -> None:
        """Write the weight with its change added, so that a layer without LoRA can read it."""
        if not self.lora_enabled:
            return super().save_own_variables(store)
        if self.scheme is not None:
            merged = self.scheme.merged(self, self.lora_change())
            for index, name in enumerate(self._saved_names()):
                store[str(index)] = np.asarray(merged[name]) if name in merged else self.__dict__[name].numpy()
            return None
        weight, *others = self.own_variables()
        store["0"] = weight.numpy() + np.asarray(self.lora_change(), weight.dtype)
        for index, variable in enumerate(others, 1):
            store[str(index)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Read what `save_own_variables` wrote; with LoRA the change begins again at zero."""
        super().load_own_variables(store)
        if self.lora_enabled:
            self.lora_b.assign(jnp.zeros(self.lora_b.shape))
