"""Activations as layers."""

from typing import Any

import jax.numpy as jnp

from kyeo import activations
from kyeo.core.dtypes import is_float
from kyeo.core.errors import describe, number, problem
from kyeo.layers.arguments import activation_of, axes_of, counted_axes, make_weight, weight_rules
from kyeo.layers.layer import InputSpec, Layer

__all__ = ["Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax"]


class Activation(Layer):
    """Applies a function to each element.

    Args:
        activation: a name of `kyeo.activations`, or a function.

    >>> import kyeo
    >>> kyeo.layers.Activation("relu")(kyeo.ops.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, activation: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.activation = activation_of(self, activation)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The function of the inputs."""
        return self.activation(inputs)


class ReLU(Layer):
    """`max(x, 0)`, with a slope below the threshold and a ceiling if wanted.

    Args:
        max_value: the ceiling; none where None.
        negative_slope: slope below the threshold.
        threshold: inputs below it are damped.

    >>> import kyeo
    >>> kyeo.layers.ReLU(max_value=6)(kyeo.ops.array([-1.0, 2.0, 8.0])).tolist()
    [0.0, 2.0, 6.0]
    """

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.max_value = number(self, low=0, optional=True, max_value=max_value)
        self.negative_slope = number(self, low=0, negative_slope=negative_slope)
        self.threshold = number(self, low=0, threshold=threshold)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The inputs, clipped."""
        return activations.relu(
            inputs, negative_slope=self.negative_slope, max_value=self.max_value, threshold=self.threshold)


class LeakyReLU(Layer):
    """`x` where positive, `negative_slope * x` where not.

    Args:
        negative_slope: the slope below zero.

    >>> import kyeo
    >>> kyeo.layers.LeakyReLU(0.5)(kyeo.ops.array([-1.0, 2.0])).tolist()
    [-0.5, 2.0]
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any):
        negative_slope = kwargs.pop("alpha", negative_slope)  # its name in tf.keras
        super().__init__(**kwargs)
        self.negative_slope = number(self, low=0, negative_slope=negative_slope)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The inputs, with the slope below zero."""
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)


class PReLU(Layer):
    """`x` where positive, `alpha * x` where not, with an `alpha` for each position that is learned.

    K. He et al., "Delving Deep into Rectifiers" (2015), https://arxiv.org/abs/1502.01852

    Args:
        alpha_initializer: how `alpha` begins.
        alpha_regularizer: penalty on it.
        alpha_constraint: applied to it after each step.
        shared_axes: axes along which one `alpha` serves, counted from 1: (1, 2) for one value per channel of an image.

    >>> import kyeo
    >>> layer = kyeo.layers.PReLU(shared_axes=[1, 2])
    >>> layer(kyeo.ops.ones((2, 8, 8, 3))).shape, layer.alpha.shape
    ((2, 8, 8, 3), (1, 1, 3))
    """

    def __init__(
        self, alpha_initializer: Any = "Zeros", alpha_regularizer: Any = None, alpha_constraint: Any = None,
        shared_axes: Any = None, **kwargs: Any,
    ):
        super().__init__(**kwargs)
        weight_rules(self, alpha_initializer=alpha_initializer, alpha_regularizer=alpha_regularizer,
                     alpha_constraint=alpha_constraint)
        self.shared_axes = None if shared_axes is None else _axes_from_one(self, shared_axes)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make `alpha`."""
        shared = self.shared_axes or []
        if any(axis >= len(input_shape) for axis in shared):
            raise problem("`shared_axes` names an axis that the input does not have.", where=self,
                          received=f"shared_axes={shared}, an input of shape {input_shape}")
        sizes = {axis: size for axis, size in enumerate(input_shape) if axis and axis not in shared}
        self.alpha = make_weight(self, "alpha", tuple(sizes.get(axis, 1) for axis in range(1, len(input_shape))))
        self.input_spec = InputSpec(ndim=len(input_shape), axes=sizes)

    def call(self, inputs: Any) -> Any:
        """The inputs, with the learned slope below zero."""
        return activations.relu(inputs) - self.alpha.value * activations.relu(-inputs)


def _axes_from_one(owner: Any, axes: Any) -> list[int]:
    axes = axes_of(owner, axes)
    axes = axes if isinstance(axes, list) else [axes]
    if min(axes, default=1) < 1:
        raise problem("`shared_axes` is not valid.", received=f"shared_axes={describe(axes)}", where=owner,
                      expected="axes from 1 on; 0 is the batch")
    return axes


class ELU(Layer):
    """`x` where positive, `alpha * (exp(x) - 1)` where not.

    D. Clevert et al., "Fast and Accurate Deep Network Learning by Exponential Linear Units" (2015),
    https://arxiv.org/abs/1511.07289

    Args:
        alpha: minus the value far below zero.

    >>> import kyeo
    >>> kyeo.layers.ELU()(kyeo.ops.array([0.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.alpha = number(self, alpha=alpha)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The smoothed inputs."""
        return activations.elu(inputs, alpha=self.alpha)


class Softmax(Layer):
    """`exp(x)`, divided by the sum along `axis`: numbers as probabilities.

    Args:
        axis: the axis, or several, whose elements add up to one.

    Called with a `mask`, what it leaves out gets probability zero.

    >>> import kyeo
    >>> kyeo.layers.Softmax()(kyeo.ops.array([1.0, 1.0]), mask=kyeo.ops.array([True, False])).tolist()
    [1.0, 0.0]
    """

    def __init__(self, axis: Any = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axes_of(self, axis)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The probabilities."""
        if not is_float(inputs.dtype):
            inputs = inputs.astype(self.compute_dtype)
        if mask is not None:
            self._check_mask(inputs.shape, mask.shape)
            mask = mask if mask.dtype == bool else mask > 0.5
            # finite, so that a row with nothing left does not become NaN
            far_below = -3e4 if inputs.dtype == jnp.float16 else -1e9
            inputs = jnp.where(mask, inputs, jnp.asarray(far_below, inputs.dtype))
        outputs = activations.softmax(inputs, axis=tuple(counted_axes(self, self.axis, inputs.ndim)))
        return outputs if mask is None else jnp.where(mask, outputs, jnp.zeros((), outputs.dtype))

    def _check_mask(self, shape: tuple[Any, ...], mask_shape: tuple[Any, ...]) -> None:
        fits = len(mask_shape) <= len(shape) and all(
            m == 1 or m == s for m, s in zip(reversed(mask_shape), reversed(shape)))
        if not fits:
            raise problem("The mask does not fit the input.", received=f"a mask of shape {mask_shape}", where=self,
                          expected=f"a shape that broadcasts to {shape}")
