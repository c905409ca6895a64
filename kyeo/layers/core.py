"""Dense and its relatives, Embedding, Masking, and layers made from functions and from other layers."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from kyeo import ops
from kyeo.core.arrays import known_range
from kyeo.core.errors import boolean, describe, positive_int, problem
from kyeo.core.masks import get_mask, set_mask
from kyeo.core.variable import unwrap
from kyeo.layers.arguments import activated, activation_of, make_weight, weight_rules
from kyeo.layers.layer import InputSpec, Layer
from kyeo.layers.low_rank import Adaptable, adapted
from kyeo.ops.kernels import product
from kyeo.ops.kernels.settled import settled

__all__ = ["Dense", "Embedding", "Identity", "Lambda", "Masking", "Wrapper"]


class Dense(Adaptable):
    """`activation(inputs @ kernel + bias)`, along the last axis.

    Args:
        units: size of the output's last axis.
        activation: function of the result; none where None.
        use_bias: whether a bias is added.
        kernel_initializer, bias_initializer: how the weights begin.
        kernel_regularizer, bias_regularizer: penalties on the weights.
        activity_regularizer: penalty on the output.
        kernel_constraint, bias_constraint: applied to the weights after each step.
        lora_rank, lora_alpha: train only a change of this rank, times `lora_alpha / lora_rank`; see `enable_lora`.
        quantization_config: how the weight is quantized where the dtype policy says that it is; see `quantize`.

    Input of shape (batch, ..., n), output (batch, ..., units); `kernel` has shape (n, units).

    >>> import kyeo
    >>> kyeo.layers.Dense(3, activation="relu")(kyeo.ops.ones((2, 5))).shape
    (2, 3)
    """

    kernel = adapted("kernel")

    def __init__(
        self, units: int, activation: Any = None, use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros", kernel_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
        lora_rank: int | None = None, lora_alpha: float | None = None, quantization_config: Any = None, **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = positive_int(self, units=units)
        self.activation = activation_of(self, activation)
        self.use_bias = boolean(self, use_bias=use_bias)
        weight_rules(
            self, kernel_initializer=kernel_initializer, bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer, bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint, bias_constraint=bias_constraint)
        self._set_lora(lora_rank, lora_alpha)
        self._set_quantization(quantization_config)
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make `kernel` and `bias`."""
        self._make_adaptable((input_shape[-1], self.units))
        self.bias = make_weight(self, "bias", (self.units,)) if self.use_bias else None
        self.input_spec = InputSpec(min_ndim=2, axes={-1: input_shape[-1]})
        self._lora_from_arguments()

    def call(self, inputs: Any) -> Any:
        """The weighted sums of the last axis."""
        outputs = self.multiplied(product, inputs)
        if self.bias is not None:
            outputs = outputs + self.bias.value
        return activated(self, outputs)


class Embedding(Adaptable):
    """A table of vectors, one for each id: turns ids into vectors that are learned.

    Args:
        input_dim: how many ids there are; ids go from 0 to `input_dim - 1`.
        output_dim: size of a vector.
        embeddings_initializer: how the table begins.
        embeddings_regularizer: penalty on the table.
        embeddings_constraint: applied to the table after each step.
        mask_zero: whether id 0 is padding: later layers then get a mask that leaves it out.
        weights: the table to begin with, an array of shape (input_dim, output_dim).
        lora_rank, lora_alpha: train only a change of this rank; see `enable_lora`.
        quantization_config: how the weight is quantized where the dtype policy says that it is; see `quantize`.

    Input of any shape, output with one axis of size `output_dim` more.

    >>> import kyeo
    >>> kyeo.layers.Embedding(100, 8)(kyeo.ops.array([[1, 2, 3]])).shape
    (1, 3, 8)
    """

    _not_in_config = frozenset({"weights"})  # the table it began with is a weight now
    adaptable = "embeddings"
    quantizes_inputs = False  # numbers of rows
    embeddings = adapted("embeddings")

    def __init__(
        self, input_dim: int, output_dim: int, embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None, embeddings_constraint: Any = None, mask_zero: bool = False,
        weights: Any = None, lora_rank: int | None = None, lora_alpha: float | None = None,
        quantization_config: Any = None, **kwargs: Any,
    ):
        kwargs.pop("input_length", None)  # what tf.keras wanted to know; Keras takes and ignores it too
        super().__init__(**kwargs)
        self.autocast = False  # ids that come as floats must not lose digits
        self.input_dim = positive_int(self, input_dim=input_dim)
        self.output_dim = positive_int(self, output_dim=output_dim)
        weight_rules(
            self, embeddings_initializer=embeddings_initializer, embeddings_regularizer=embeddings_regularizer,
            embeddings_constraint=embeddings_constraint)
        self.mask_zero = self.supports_masking = boolean(self, mask_zero=mask_zero)
        self._set_lora(lora_rank, lora_alpha)
        self._set_quantization(quantization_config)
        if weights is not None:
            self.build()
            self.set_weights(weights if isinstance(weights, list) and len(weights) == 1 else [weights])

    def build(self, input_shape: Any = None) -> None:
        """Make the table `embeddings`."""
        if "_embeddings" not in self.__dict__:
            self._make_adaptable((self.input_dim, self.output_dim))
            self._lora_from_arguments()

    def call(self, inputs: Any) -> Any:
        """The vectors of the ids."""
        ids = inputs if jnp.issubdtype(inputs.dtype, jnp.integer) else inputs.astype("int32")
        low, high = known_range(ids) or (0, 0)
        if low < 0 or high >= self.input_dim:
            fix = f"input_dim={high + 1} or more?" if low >= 0 else f"ids begin with 0: add {-low} to them?" \
                if ids is inputs else "are these ids? numbers that were measured go into a Dense layer"
            raise problem("An id has no vector.", received=f"ids from {low} to {high}", where=self, fix=fix,
                          expected=f"ids from 0 to {self.input_dim - 1}")
        if self.scheme is None:
            return jnp.take(unwrap(self.embeddings), ids, axis=0).astype(self.compute_dtype)
        rows = self.scheme.rows(self, ids)
        if self.lora_enabled:
            share = self.lora_alpha / self.lora_rank
            rows = rows + share * (jnp.take(self.lora_a.value, ids, axis=0) @ self.lora_b.value)
        return rows.astype(self.compute_dtype)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """With `mask_zero`, False where the id is 0."""
        return ops.not_equal(inputs, 0) if self.mask_zero else None


class Lambda(Layer):
    """A function as a layer, for what needs no weights.

    Args:
        function: takes the input, and `mask` and `training` if it has parameters of these names.
        output_shape: shape of the output; kept for files, since shapes are found by tracing the function.
        mask: mask of the output: a value, or a function of the inputs and their mask.
        arguments: further arguments by name.

    A function that is to be saved needs a name: `def` it under `@kyeo.saving.register_keras_serializable()`.

    >>> import kyeo
    >>> kyeo.layers.Lambda(lambda x: x**2)(kyeo.ops.array([1.0, 3.0])).tolist()
    [1.0, 9.0]
    """

    mixes_rows = True  # nobody knows what the function does with the batch

    def __init__(
        self, function: Callable[..., Any], output_shape: Any = None, mask: Any = None,
        arguments: dict[str, Any] | None = None, **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not callable(function):
            raise problem("`function` is not valid.", received=f"function={describe(function)}", where=self,
                          expected="a function of the input", kind=TypeError)
        self.function, self.output_shape, self.mask = function, output_shape, mask
        self.arguments = dict(arguments or {})
        self.supports_masking = mask is not None
        try:
            self._takes = set(inspect.signature(function).parameters) & {"mask", "training"}
        except ValueError:  # some functions written in C tell nothing
            self._takes = set()

    def call(self, inputs: Any, mask: Any = None, training: Any = None) -> Any:
        """The function's result."""
        surroundings = {"mask": mask, "training": training}
        inputs = jax.tree.map(_settled, inputs)
        return self.function(inputs, **self.arguments, **{k: surroundings[k] for k in self._takes})

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """What the argument `mask` says."""
        return self.mask(inputs, mask) if callable(self.mask) else self.mask


def _settled(x: Any) -> Any:
    """An input with its mask, settled: where the function is a `jax.numpy.max`, its gradient asks which are equal."""
    y = settled(x)
    if y is not x:
        set_mask(y, get_mask(x))
    return y


class Identity(Layer):
    """Gives its input back.

    >>> import kyeo
    >>> kyeo.layers.Identity()(kyeo.ops.array([1.0, 2.0])).tolist()
    [1.0, 2.0]
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The inputs."""
        return inputs


class Masking(Layer):
    """Marks the time steps whose features all equal `mask_value` as padding: later layers leave them out.

    Args:
        mask_value: the value that stands for "nothing here".

    Input of shape (batch, time, features); the output is the same, with zeros in the steps left out.

    >>> import kyeo
    >>> kyeo.layers.Masking(9.0)(kyeo.ops.array([[[9.0, 9.0], [1.0, 9.0]]])).tolist()
    [[[0.0, 0.0], [1.0, 9.0]]]
    """

    def __init__(self, mask_value: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.mask_value = mask_value
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The inputs, zero where masked."""
        real = jnp.any(inputs != self.mask_value, axis=-1, keepdims=True)
        return jnp.where(real, inputs, jnp.zeros((), inputs.dtype))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """True where a feature differs from `mask_value`."""
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)


class Wrapper(Layer):
    """Base of layers that hold another layer: a subclass writes `call` and uses `self.layer`.

    Args:
        layer: the layer inside.

    >>> import kyeo
    >>> class Twice(kyeo.layers.Wrapper):
    ...     def call(self, inputs):
    ...         return self.layer(self.layer(inputs))
    >>> Twice(kyeo.layers.Dense(4))(kyeo.ops.ones((2, 4))).shape
    (2, 4)
    """

    def __init__(self, layer: Layer, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(layer, Layer):
            raise problem("`layer` is not valid.", received=f"layer={describe(layer)}", where=self,
                          expected="a layer", kind=TypeError)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        """Build the layer inside for the same input."""
        if not self.layer.built:
            self.layer.build(input_shape)
