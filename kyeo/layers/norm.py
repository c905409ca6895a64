"""Normalization layers. Statistics are computed in float32 where the inputs are of a shorter type."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.dtypes import is_float
from kyeo.core.errors import boolean, describe, fraction, number, positive_int, problem
from kyeo.core.scope import current
from kyeo.core.settings import settings
from kyeo.layers.arguments import axes_of, counted_axes, make_weight, refuse, weight_rules
from kyeo.layers.layer import InputSpec, Layer
from kyeo.ops.kernels import as_one, at_unit_length, moments, rescaled, standardized

__all__ = [
    "BatchNormalization", "GroupNormalization", "LayerNormalization", "RMSNormalization", "UnitNormalization",
]


class _Normalization(Layer):
    """What the layers with `gamma` and `beta` share."""

    def _set_scaling(self, epsilon: Any, center: Any, scale: Any, **rules: Any) -> None:
        self.epsilon = number(self, low=0, epsilon=epsilon)
        self.center = boolean(self, center=center)
        self.scale = boolean(self, scale=scale)
        weight_rules(self, **rules)
        self.supports_masking = True
        self.gamma = self.beta = None

    def _make_scaling(self, shape: tuple[int, ...], gamma: bool, beta: bool) -> None:
        # autocast=False: the statistics and what scales them stay in the type of the variables
        self.gamma = make_weight(self, "gamma", shape, autocast=False) if gamma else None
        self.beta = make_weight(self, "beta", shape, autocast=False) if beta else None


def _along(vector: Any, axes: list[int], x: Any) -> Any:
    """A weight of the sizes of some axes, shaped to broadcast against `x`."""
    if vector is None or axes == [x.ndim - 1]:
        return vector
    return jnp.reshape(vector, [x.shape[a] if a in axes else 1 for a in range(x.ndim)])


def _widened(x: Any) -> Any:
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _value(variable: Any, dtype: Any) -> Any:
    return None if variable is None else variable.value.astype(dtype)


@as_one(3)
def _normalized(x: Any, mean: Any, variance: Any, epsilon: float, gamma: Any, beta: Any) -> Any:
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta` as one multiplication and one addition of `x`."""
    factor = jax.lax.rsqrt(variance + epsilon)
    factor = factor if gamma is None else factor * gamma
    shift = -mean * factor
    return x * factor + (shift if beta is None else shift + beta)


class BatchNormalization(_Normalization):
    """Brings each channel to mean 0 and variance 1 over the batch, then scales by `gamma` and adds `beta`.

    While training, mean and variance are those of the batch (of its real rows, where padding rows are in it), and
    moving averages of them are kept; otherwise, or where `trainable` is False, the moving averages are used.

    S. Ioffe and C. Szegedy, "Batch Normalization" (2015), https://arxiv.org/abs/1502.03167

    Args:
        axis: the channel axis.
        momentum: share of the old value in each new moving average.
        epsilon: added to the variance.
        center, scale: whether there are `beta` and `gamma`.
        beta_initializer, gamma_initializer: how they begin.
        moving_mean_initializer, moving_variance_initializer: how the moving averages begin.
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: applied after each step.
        renorm: batch renormalization: the output while training is corrected by slower averages, `renorm_mean` and
            `renorm_stddev` (S. Ioffe, 2017, https://arxiv.org/abs/1702.03275).
        renorm_clipping: bounds of that correction, a dict with any of "rmin", "rmax", "dmax".
        renorm_momentum: momentum of those averages.
        synchronized: not supported as a switch: a batch that is spread over devices is one batch here anyway.

    Called with a `mask` (one axis fewer than the input), the steps it leaves out do not count.

    >>> import kyeo
    >>> layer = kyeo.layers.BatchNormalization()
    >>> y = layer(kyeo.ops.array([[1.0], [3.0]]), training=True)
    >>> [round(v, 2) for v in y.ravel().tolist()]
    [-1.0, 1.0]
    """

    def __init__(
        self, axis: int = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
        beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones", beta_regularizer: Any = None, gamma_regularizer: Any = None,
        beta_constraint: Any = None, gamma_constraint: Any = None, renorm: bool = False,
        renorm_clipping: dict[str, float] | None = None, renorm_momentum: float = 0.99, synchronized: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if isinstance(axis, (list, tuple)) and len(axis) == 1:
            axis = axis[0]
        self.axis = axes_of(self, axis)
        if isinstance(self.axis, list):
            raise problem("`axis` is not valid.", received=f"axis={axis}", expected="one int", where=self,
                          fix="LayerNormalization takes several axes", kind=TypeError)
        self.moving_mean = self.moving_variance = None
        self.momentum = fraction(self, momentum=momentum)
        self._set_scaling(
            epsilon, center, scale, beta_initializer=beta_initializer, gamma_initializer=gamma_initializer,
            moving_mean_initializer=moving_mean_initializer, moving_variance_initializer=moving_variance_initializer,
            beta_regularizer=beta_regularizer, gamma_regularizer=gamma_regularizer, beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint)
        self.renorm = boolean(self, renorm=renorm)
        self.renorm_clipping = _clipping(self, renorm_clipping)
        self.renorm_momentum = fraction(self, renorm_momentum=renorm_momentum)
        self.synchronized = boolean(self, synchronized=synchronized)
        refuse(self, "leave it out: statistics are those of the whole batch, also over several devices",
               synchronized=synchronized)

    def build(self, input_shape: Any) -> None:
        """Make `gamma`, `beta` and the moving averages."""
        (axis,) = counted_axes(self, self.axis, len(input_shape))
        shape = (input_shape[axis],)
        self._make_scaling(shape, self.scale, self.center)
        self.moving_mean = make_weight(self, "moving_mean", shape, trainable=False, autocast=False)
        self.moving_variance = make_weight(self, "moving_variance", shape, trainable=False, autocast=False)
        if self.renorm:
            def root(shape: Any, dtype: Any = None) -> Any:
                return jnp.sqrt(self.moving_variance_initializer(shape, dtype=dtype))

            starts = {"moving_stddev": root, "renorm_mean": self.moving_mean_initializer, "renorm_stddev": root}
            for name, start in starts.items():
                setattr(self, name, self.add_weight(shape, start, trainable=False, autocast=False, name=name))
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axis: input_shape[axis]})

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """The normalized inputs."""
        if mask is not None and mask.ndim != inputs.ndim - 1:
            raise problem("The mask does not fit the input.", received=f"a mask of shape {mask.shape}", where=self,
                          expected=f"shape {inputs.shape[:-1]}")
        (channels,) = counted_axes(self, self.axis, inputs.ndim)
        x = jnp.moveaxis(_widened(inputs), channels, -1)
        gamma, beta = _value(self.gamma, x.dtype), _value(self.beta, x.dtype)
        if training and self.trainable:
            mean, variance = moments(x, *self._counted(x, channels, mask))
            if self.renorm:
                gamma, beta = self._renormalized(mean, variance, gamma, beta)
            else:
                self._move(self.moving_mean, mean, self.momentum)
                self._move(self.moving_variance, variance, self.momentum)
        else:
            mean, variance = _value(self.moving_mean, x.dtype), _value(self.moving_variance, x.dtype)
        factor = jax.lax.rsqrt(variance + self.epsilon)
        outputs = rescaled(x, mean, factor if gamma is None else factor * gamma,
                           jnp.zeros_like(mean) if beta is None else beta)
        return jnp.moveaxis(outputs.astype(self.compute_dtype), -1, channels)

    def _moments(self, inputs: Any, mask: Any) -> Any:
        """Mean and variance of the batch, under the name by which classes derived from this one ask for them."""
        (channels,) = counted_axes(self, self.axis, inputs.ndim)
        x = jnp.moveaxis(inputs, channels, -1)
        return moments(x, *self._counted(x, channels, mask))

    def _counted(self, x: Any, channels: int, mask: Any) -> tuple[Any, Any]:
        """What counts in the batch, as the mask and the rows' mask say, and how many elements that is; None for all.

        `x` has its channels, which are on axis `channels` of the inputs, on its last axis.
        """
        rows = current().row_mask
        if mask is None and rows is None:
            return None, None
        real, count = jnp.ones((1,) * x.ndim, bool), 0.0
        if rows is not None:
            real = jnp.reshape(rows, (-1,) + (1,) * (x.ndim - 1)).astype(bool)
        if mask is not None:
            real = real & jnp.moveaxis(mask[..., None].astype(bool), channels, -1)
            count = settings.epsilon  # so that a batch in which nothing is real does not divide by zero, as in Keras
        # the mask may be of size 1 on some axes: count each element it stands for
        return real, count + jnp.sum(jnp.broadcast_to(real, x.shape).astype(x.dtype), tuple(range(x.ndim - 1)))

    def _move(self, average: Any, value: Any, momentum: float) -> Any:
        return average.assign(average.value.astype(value.dtype) * momentum + value * (1.0 - momentum))

    def _renormalized(self, mean: Any, variance: Any, gamma: Any, beta: Any) -> tuple[Any, Any]:
        """`gamma` and `beta` with the correction in them; the averages move."""
        stddev = jnp.sqrt(variance + self.epsilon)
        slow_mean = _value(self.renorm_mean, mean.dtype)
        slow_stddev = jnp.maximum(_value(self.renorm_stddev, mean.dtype), self.epsilon**0.5)
        bounds = self.renorm_clipping or {}
        r = jnp.clip(stddev / slow_stddev, bounds.get("rmin"), bounds.get("rmax"))
        d = (mean - slow_mean) / slow_stddev
        if bounds.get("dmax") is not None:
            d = jnp.clip(d, -bounds["dmax"], bounds["dmax"])
        r, d = jax.lax.stop_gradient((r, d))
        self._move(self.renorm_mean, mean, self.renorm_momentum)
        self._move(self.renorm_stddev, stddev, self.renorm_momentum)
        self._move(self.moving_mean, mean, self.momentum)
        moved = self._move(self.moving_stddev, stddev, self.momentum)
        self.moving_variance.assign(jnp.maximum(jnp.square(moved) - self.epsilon, 0))
        r, d = (r, d) if gamma is None else (r * gamma, d * gamma)
        return r, d if beta is None else d + beta


def _clipping(owner: Any, bounds: Any) -> Any:
    if bounds is None:
        return None
    if not isinstance(bounds, dict) or set(bounds) - {"rmin", "rmax", "dmax"}:
        raise problem("`renorm_clipping` is not valid.", received=f"renorm_clipping={describe(bounds)}", where=owner,
                      expected='a dict with any of "rmin", "rmax", "dmax"')
    rmin, rmax, dmax = (number(owner, optional=True, **{k: bounds.get(k)}) for k in ("rmin", "rmax", "dmax"))
    if (rmin is not None and rmax is not None and rmax < rmin) or (dmax is not None and dmax < 0):
        raise problem("`renorm_clipping` is not valid.", received=f"renorm_clipping={describe(bounds)}", where=owner,
                      expected="rmin <= rmax and dmax >= 0")
    return bounds


class LayerNormalization(_Normalization):
    """Brings each sample to mean 0 and variance 1 along `axis`, then scales by `gamma` and adds `beta`.

    J. Ba, J. Kiros and G. Hinton, "Layer Normalization" (2016), https://arxiv.org/abs/1607.06450

    Args:
        axis: the axis, or several, over which statistics are taken; `gamma` and `beta` have their sizes.
        epsilon: added to the variance.
        center, scale: whether there are `beta` and `gamma`.
        beta_initializer, gamma_initializer: how they begin.
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: applied after each step.
        rms_scaling: divide by the standard deviation without taking the mean off; kept for old files, since
            `RMSNormalization` does what is usually meant.

    >>> import kyeo
    >>> [round(v, 2) for v in kyeo.layers.LayerNormalization()(kyeo.ops.array([[1.0, 3.0]])).ravel().tolist()]
    [-1.0, 1.0]
    """

    def __init__(
        self, axis: Any = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
        beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", beta_regularizer: Any = None,
        gamma_regularizer: Any = None, beta_constraint: Any = None, gamma_constraint: Any = None,
        rms_scaling: bool = False, **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.autocast = False
        self.axis = axes_of(self, axis)
        self._set_scaling(
            epsilon, center, scale, beta_initializer=beta_initializer, gamma_initializer=gamma_initializer,
            beta_regularizer=beta_regularizer, gamma_regularizer=gamma_regularizer, beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint)
        self.rms_scaling = boolean(self, rms_scaling=rms_scaling)

    def build(self, input_shape: Any) -> None:
        """Make `gamma` and `beta`."""
        shape = tuple(input_shape[a] for a in counted_axes(self, self.axis, len(input_shape)))
        self._make_scaling(shape, self.scale or self.rms_scaling, self.center and not self.rms_scaling)

    def call(self, inputs: Any) -> Any:
        """The normalized inputs."""
        x, axes = _widened(inputs), counted_axes(self, self.axis, inputs.ndim)
        gamma, beta = (_along(_value(v, x.dtype), axes, x) for v in (self.gamma, self.beta))
        if not self.rms_scaling:
            return standardized(x, gamma, beta, tuple(axes), self.epsilon).astype(self.compute_dtype)
        variance = jnp.var(x, tuple(axes), keepdims=True)
        return _normalized(x, jnp.zeros_like(variance), variance, self.epsilon, gamma, beta).astype(self.compute_dtype)


class GroupNormalization(_Normalization):
    """Brings groups of channels of each sample to mean 0 and variance 1, then scales by `gamma` and adds `beta`.

    Y. Wu and K. He, "Group Normalization" (2018), https://arxiv.org/abs/1803.08494

    Args:
        groups: how many groups; -1 for one channel in each.
        axis: the channel axis.
        epsilon: added to the variance.
        center, scale: whether there are `beta` and `gamma`.
        beta_initializer, gamma_initializer: how they begin.
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: applied after each step.

    >>> import kyeo
    >>> kyeo.layers.GroupNormalization(2)(kyeo.ops.ones((2, 8, 8, 6))).shape
    (2, 8, 8, 6)
    """

    def __init__(
        self, groups: int = 32, axis: int = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
        beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", beta_regularizer: Any = None,
        gamma_regularizer: Any = None, beta_constraint: Any = None, gamma_constraint: Any = None, **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.autocast = False
        self.groups = -1 if groups == -1 else positive_int(self, groups=groups)
        self.axis = axes_of(self, axis)
        self._set_scaling(
            epsilon, center, scale, beta_initializer=beta_initializer, gamma_initializer=gamma_initializer,
            beta_regularizer=beta_regularizer, gamma_regularizer=gamma_regularizer, beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint)

    def build(self, input_shape: Any) -> None:
        """Make `gamma` and `beta`."""
        (axis,) = counted_axes(self, self.axis, len(input_shape))
        channels = input_shape[axis]
        if channels is not None and channels % self._group_count(channels):
            raise problem("The channels must be a multiple of `groups`.", where=self,
                          received=f"groups={self.groups}, {channels} channels in shape {input_shape}")
        self._make_scaling((channels,), self.scale, self.center)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axis: channels})

    def _group_count(self, channels: int) -> int:
        return channels if self.groups == -1 else self.groups

    def call(self, inputs: Any) -> Any:
        """The normalized inputs."""
        x = _widened(inputs)
        (axis,) = counted_axes(self, self.axis, x.ndim)
        channels, places = x.shape[axis], tuple(a for a in range(1, x.ndim) if a != axis)
        groups = self._group_count(channels)
        shape = (x.shape[0], groups, channels // groups)

        def in_groups(values: Any) -> Any:
            # The mean over places and then over the group's channels: over both at once takes XLA's CPU 2 to 4 times
            # as long, forward and both gradients 2.9 instead of 0.8 ms for 16 x 32 x 32 x 32 in 8 groups.
            means = jnp.mean(values, places, keepdims=True)
            whole = jnp.mean(jnp.reshape(means, shape), -1, keepdims=True)
            return jnp.reshape(jnp.broadcast_to(whole, shape), means.shape)

        mean = in_groups(x)
        variance = in_groups(jnp.square(x - mean))
        gamma, beta = (_along(_value(v, x.dtype), [axis], x) for v in (self.gamma, self.beta))
        return _normalized(x, mean, variance, self.epsilon, gamma, beta).astype(self.compute_dtype)


class RMSNormalization(_Normalization):
    """Divides by the root of the mean square along `axis` and multiplies by `scale`, which is learned.

    B. Zhang and R. Sennrich, "Root Mean Square Layer Normalization" (2019), https://arxiv.org/abs/1910.07467

    Args:
        axis: the axis, or several.
        epsilon: added to the mean square.

    >>> import kyeo
    >>> [round(v, 3) for v in kyeo.layers.RMSNormalization()(kyeo.ops.array([[1.0, 7.0]])).ravel().tolist()]
    [0.2, 1.4]
    """

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axes_of(self, axis)
        self.epsilon = number(self, low=0, epsilon=epsilon)

    def build(self, input_shape: Any) -> None:
        """Make `scale`."""
        shape = tuple(input_shape[a] for a in counted_axes(self, self.axis, len(input_shape)))
        self.scale = self.add_weight(name="scale", shape=shape, initializer="ones")

    def call(self, inputs: Any) -> Any:
        """The inputs at unit mean square."""
        x, axes = _widened(inputs), counted_axes(self, self.axis, inputs.ndim)
        scale = _along(_value(self.scale, x.dtype), axes, x)
        outputs = x * jax.lax.rsqrt(jnp.mean(jnp.square(x), tuple(axes), keepdims=True) + self.epsilon)
        return (outputs * scale).astype(inputs.dtype if is_float(inputs.dtype) else self.compute_dtype)


class UnitNormalization(_Normalization):
    """Scales each sample to length 1 along `axis`.

    Args:
        axis: the axis, or several.

    >>> import kyeo
    >>> [round(v, 2) for v in kyeo.layers.UnitNormalization()(kyeo.ops.array([[3.0, 4.0]])).ravel().tolist()]
    [0.6, 0.8]
    """

    def __init__(self, axis: Any = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axes_of(self, axis)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The inputs at unit length."""
        inputs = inputs.astype(self.compute_dtype)
        return at_unit_length(inputs, tuple(counted_axes(self, self.axis, inputs.ndim)), 1e12)
