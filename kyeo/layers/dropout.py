"""Noise while training: the dropout family, and the layer that only penalizes its input."""

import math
from typing import Any

import jax.numpy as jnp

from kyeo import regularizers
from kyeo.core.arrays import as_floats
from kyeo.core.errors import describe, fraction, number, problem
from kyeo.core.scope import current, scope
from kyeo.core.tracing import step_by_step
from kyeo.layers.arguments import format_of, spatial_axes
from kyeo.layers.layer import InputSpec, Layer
from kyeo.ops.kernels import as_one, keep_mask, normal_numbers
from kyeo.random import SeedGenerator

__all__ = [
    "ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D",
    "SpatialDropout2D", "SpatialDropout3D",
]


class _Noise(Layer):
    """A layer that draws while training. What it draws is a function of seed, step and element, so two runs give the
    same bits, and a row of the batch does not see how many rows there are."""

    _strength = "rate"  # the attribute that says how much; with 0 the layer does nothing

    def _set_noise(self, seed: Any) -> None:
        self.seed = seed
        self.supports_masking = True
        if getattr(self, self._strength) > 0:
            with scope(path=f"{current().path}/{self.name}".lstrip("/")):  # an unseeded draw goes by its path
                self.seed_generator = SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The inputs, changed at random while training."""
        if not training or not getattr(self, self._strength) or current().symbolic:  # noise changes no shape
            return inputs
        if not hasattr(self, "seed_generator"):  # as in Keras, which states of a model there are hangs on it
            raise problem(f"A layer that was made to do nothing has nothing to draw from: `{self._strength}` was 0.",
                          received=f"{self._strength}={getattr(self, self._strength)}, set later", where=self,
                          fix=f"make it with a small {self._strength}, and set it to 0 until it is wanted")
        # of integers noise would be cut off to integers
        return self.disturb(as_floats(inputs, self.compute_dtype), self.seed_generator.next())

    def disturb(self, inputs: Any, key: Any) -> Any:
        """The inputs with the noise that `key` gives."""
        raise NotImplementedError


@as_one(2, 3)
def drop(inputs: Any, key: Any, rate: float, noise_shape: tuple[int, ...]) -> Any:
    """Zeros at random, one draw for each element of `noise_shape`, and the rest scaled up."""
    if rate == 1:
        return jnp.zeros_like(inputs)
    return scaled_up(inputs, keep_mask(key, noise_shape, rate), rate)


@step_by_step
def scaled_up(inputs: Any, kept: Any, rate: float) -> Any:
    return jnp.where(kept, inputs * (1.0 / (1.0 - rate)), jnp.zeros((), inputs.dtype))


def _noise_shape(owner: Any, noise_shape: Any) -> tuple[int | None, ...] | None:
    """Checked `noise_shape`: None, or sizes with None where that of the input is meant."""
    if noise_shape is None:
        return None
    values = tuple(noise_shape) if isinstance(noise_shape, (list, tuple)) else None
    if values is None or not all(v is None or (type(v) is int and v > 0) for v in values):
        raise problem("`noise_shape` is not valid.", received=f"noise_shape={describe(noise_shape)}", where=owner,
                      expected="positive ints, None where the input's own size is meant",
                      kind=TypeError if values is None else ValueError)
    return values


def _concrete(noise_shape: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    if noise_shape is None:
        return shape
    return tuple(have if size is None else size for size, have in zip(noise_shape, shape, strict=True))


class Dropout(_Noise):
    """While training, sets inputs to zero at random and scales the others up so that the mean stays.

    N. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 15 (2014).

    Args:
        rate: the share that is dropped, from 0 to 1.
        noise_shape: shape of the mask, 1 where an axis is dropped as a whole, None for the input's own size.
        seed: an int; the process's seed and the layer's path decide where None.

    >>> import kyeo
    >>> x = kyeo.ops.ones((2, 4))
    >>> sorted(set(kyeo.layers.Dropout(0.5, seed=1)(x, training=True).ravel().tolist()))
    [0.0, 2.0]
    >>> kyeo.layers.Dropout(0.5)(x).tolist() == x.tolist()
    True
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = fraction(self, rate=rate)
        self.noise_shape = _noise_shape(self, noise_shape)
        self._set_noise(seed)

    def disturb(self, inputs: Any, key: Any) -> Any:
        """Zeros at random, the rest scaled up."""
        return drop(inputs, key, self.rate, _concrete(self.noise_shape, inputs.shape))


class _SpatialDropout(Dropout):
    rank: int

    def _set_spatial(self, data_format: str) -> None:
        self._spatial_axes = spatial_axes(data_format, self.rank + 2)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def disturb(self, inputs: Any, key: Any) -> Any:
        """Whole channels set to zero, the rest scaled up."""
        shape = tuple(1 if axis in self._spatial_axes else size for axis, size in enumerate(inputs.shape))
        return drop(inputs, key, self.rate, shape)


class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole channels of (batch, time, channels): neighbouring steps are alike, so single ones do little.

    J. Tompson et al., "Efficient Object Localization Using Convolutional Networks" (2014), https://arxiv.org/abs/1411.4280

    Args:
        rate: the share of channels that is dropped.
        seed: an int; the process's seed and the layer's path decide where None.

    >>> import kyeo
    >>> y = kyeo.layers.SpatialDropout1D(0.5, seed=1)(kyeo.ops.ones((2, 5, 3)), training=True)
    >>> bool((y == y[:, :1]).all())
    True
    """

    rank = 1

    def __init__(self, rate: float, seed: Any = None, name: str | None = None, dtype: Any = None):
        super().__init__(rate, None, seed, name=name, dtype=dtype)
        self._set_spatial("channels_last")


class SpatialDropout2D(_SpatialDropout):
    """Dropout of whole channels of images; as `SpatialDropout1D`.

    Args:
        rate: the share of channels that is dropped.
        data_format: "channels_last" or "channels_first"; `image_data_format()` where None.
        seed: an int; the process's seed and the layer's path decide where None.

    >>> import kyeo
    >>> y = kyeo.layers.SpatialDropout2D(0.5, seed=1)(kyeo.ops.ones((2, 4, 4, 3)), training=True)
    >>> bool((y == y[:, :1, :1]).all())
    True
    """

    rank = 2

    def __init__(
        self, rate: float, data_format: str | None = None, seed: Any = None, name: str | None = None, dtype: Any = None,
    ):
        super().__init__(rate, None, seed, name=name, dtype=dtype)
        self.data_format = format_of(self, data_format)
        self._set_spatial(self.data_format)


class SpatialDropout3D(_SpatialDropout):
    """Dropout of whole channels of volumes; as `SpatialDropout1D`.

    Args:
        rate: the share of channels that is dropped.
        data_format: "channels_last" or "channels_first"; `image_data_format()` where None.
        seed: an int; the process's seed and the layer's path decide where None.

    >>> import kyeo
    >>> y = kyeo.layers.SpatialDropout3D(0.5, seed=1)(kyeo.ops.ones((2, 4, 4, 4, 3)), training=True)
    >>> bool((y == y[:, :1, :1, :1]).all())
    True
    """

    rank = 3

    def __init__(
        self, rate: float, data_format: str | None = None, seed: Any = None, name: str | None = None, dtype: Any = None,
    ):
        super().__init__(rate, None, seed, name=name, dtype=dtype)
        self.data_format = format_of(self, data_format)
        self._set_spatial(self.data_format)


class GaussianDropout(_Noise):
    """While training, multiplies by normal numbers of mean 1 and the variance that `Dropout(rate)` would have.

    Args:
        rate: from 0 to below 1; the standard deviation is `sqrt(rate / (1 - rate))`.
        seed: an int; the process's seed and the layer's path decide where None.

    >>> import kyeo
    >>> kyeo.layers.GaussianDropout(0.2, seed=1)(kyeo.ops.ones((2, 3)), training=True).shape
    (2, 3)
    """

    def __init__(self, rate: float, seed: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = number(self, low=0, check=lambda r: r < 1, expected="a number from 0 to below 1", rate=rate)
        self._set_noise(seed)

    def disturb(self, inputs: Any, key: Any) -> Any:
        """The inputs times the noise."""
        stddev = math.sqrt(self.rate / (1.0 - self.rate))
        return inputs * (1.0 + stddev * normal_numbers(key, inputs.shape).astype(inputs.dtype))


class GaussianNoise(_Noise):
    """While training, adds normal numbers of mean 0.

    Args:
        stddev: their standard deviation, at least 0.
        seed: an int; the process's seed and the layer's path decide where None.

    >>> import kyeo
    >>> kyeo.layers.GaussianNoise(0.1, seed=1)(kyeo.ops.ones((2, 3)), training=True).shape
    (2, 3)
    """

    _strength = "stddev"

    def __init__(self, stddev: float, seed: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.stddev = number(self, low=0, stddev=stddev)
        self._set_noise(seed)

    def disturb(self, inputs: Any, key: Any) -> Any:
        """The inputs plus the noise."""
        return inputs + self.stddev * normal_numbers(key, inputs.shape).astype(inputs.dtype)


class AlphaDropout(_Noise):
    """Dropout for networks of SELU units: keeps both mean and variance of its input.

    G. Klambauer et al., "Self-Normalizing Neural Networks" (2017), https://arxiv.org/abs/1706.02515

    Args:
        rate: the share that is dropped, that is set to the value SELU has at minus infinity.
        noise_shape: shape of the mask, as in `Dropout`.
        seed: an int; the process's seed and the layer's path decide where None.

    >>> import kyeo
    >>> kyeo.layers.AlphaDropout(0.2, seed=1)(kyeo.ops.ones((2, 3)), training=True).shape
    (2, 3)
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = number(self, low=0, check=lambda r: r < 1, expected="a number from 0 to below 1", rate=rate)
        self.noise_shape = _noise_shape(self, noise_shape)
        self._set_noise(seed)

    def disturb(self, inputs: Any, key: Any) -> Any:
        """The saturation value at random, then the change that restores mean and variance."""
        saturation = -1.6732632423543772 * 1.0507009873554805  # minus alpha times scale of SELU
        kept = keep_mask(key, _concrete(self.noise_shape, inputs.shape), self.rate)
        x = jnp.where(kept, inputs, jnp.asarray(saturation, inputs.dtype))
        a = ((1 - self.rate) * (1 + self.rate * saturation**2)) ** -0.5
        return a * x - a * saturation * self.rate


class ActivityRegularization(Layer):
    """Gives its input back and adds `l1 * sum(abs(x)) + l2 * sum(x ** 2)`, divided by the batch size, to the loss.

    Args:
        l1, l2: the weights of the two sums.

    >>> import kyeo
    >>> layer = kyeo.layers.ActivityRegularization(l2=0.5)
    >>> layer(kyeo.ops.ones((1, 3))).shape, [float(loss) for loss in layer.losses]
    ((1, 3), [1.5])
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, name: str | None = None, trainable: bool = True,
                 dtype: Any = None):
        # no **kwargs: the config must hold l1 and l2 only, not the regularizer made of them
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), name=name, trainable=trainable,
                         dtype=dtype)
        self.l1, self.l2 = l1, l2
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The inputs."""
        return inputs
