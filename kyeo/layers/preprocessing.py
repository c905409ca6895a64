"""Layers that bring raw numbers into range before the network."""

from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp
import numpy as np

from kyeo.core.arrays import of_other_libraries, refuse_masked, to_array
from kyeo.core.dtypes import widened
from kyeo.core.errors import boolean, describe, problem
from kyeo.core.settings import settings
from kyeo.core.variable import unwrap
from kyeo.layers.arguments import axes_of, counted_axes
from kyeo.layers.data_layer import DataLayer

__all__ = ["Normalization", "Rescaling"]


class Rescaling(DataLayer):
    """`inputs * scale + offset`: Rescaling(1 / 255) turns bytes into numbers from 0 to 1.

    Args:
        scale: a number, or one for each channel.
        offset: likewise.

    Integers come out in the layer's compute dtype.

    >>> import kyeo
    >>> kyeo.layers.Rescaling(1 / 127.5, offset=-1)(kyeo.ops.array([0.0, 255.0])).tolist()
    [-1.0, 1.0]
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = _numbers(self, scale=scale)
        self.offset = _numbers(self, offset=offset)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The rescaled inputs."""
        scale, offset = (jnp.asarray(value, self.compute_dtype) for value in (self.scale, self.offset))
        if settings.image_data_format == "channels_first":
            scale, offset = (jnp.reshape(v, (*v.shape, *(1,) * (3 - v.ndim))) if v.ndim else v for v in (scale, offset))
        return to_array(inputs).astype(self.compute_dtype) * scale + offset


def _numbers(owner: Any, **named: Any) -> Any:
    ((name, value),) = named.items()
    if np.asarray(value).dtype.kind not in "fiu":
        raise problem(f"`{name}` is not valid.", received=f"{name}={describe(value)}", where=owner, kind=TypeError,
                      expected="a number, or numbers for the channels")
    return value


def _floats(batch: Any, where: Any) -> np.ndarray:
    """A batch to measure, as float64."""
    refuse_masked(batch, "data")
    try:
        array = of_other_libraries(batch)
        array = np.asarray(batch if array is None else array)
        if array.dtype.kind in "mM":  # NumPy would count its microseconds
            raise TypeError
        return array.astype("float64")
    except (TypeError, ValueError) as error:
        raise problem("`data` does not hold numbers.", received=batch, where=where, kind=type(error),
                      expected="an array of numbers, or batches of them") from None


class Normalization(DataLayer):
    """`(inputs - mean) / sqrt(variance)`, with mean and variance given or measured on data by `adapt`.

    Args:
        axis: the axis, or several, that have a mean and variance for each index; None for one of each in all.
        mean, variance: to be used; measured by `adapt` where None.
        invert: whether to do the reverse, `inputs * sqrt(variance) + mean`.

    >>> import kyeo, numpy as np
    >>> layer = kyeo.layers.Normalization(axis=None)
    >>> layer.adapt(np.array([1.0, 2.0, 3.0], "float32"))
    >>> layer(np.array([2.0], "float32")).tolist()
    [0.0]
    """

    def __init__(
        self, axis: Any = -1, mean: Any = None, variance: Any = None, invert: bool = False, **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.autocast = False  # raw numbers may be too large, or lie too close, for half precision: see `call`
        axes = axes_of(self, () if axis is None else axis)
        self.axis = tuple(axes) if isinstance(axes, list) else (axes,)
        self.invert = boolean(self, invert=invert)
        if (mean is None) != (variance is None):
            raise problem("`mean` and `variance` go together.", received=f"mean={mean}, variance={variance}",
                          where=self, expected="both, or neither and a call of `adapt`")
        self.input_mean = None if mean is None else _numbers(self, mean=mean)
        self.input_variance = None if variance is None else _numbers(self, variance=variance)
        if np.shape(mean) != np.shape(variance) or np.ndim(mean) > len(self.axis):
            raise problem("`mean` and `variance` do not fit.", where=self, expected=f"one shape of at most "
                          f"{len(self.axis)} axes, for axis={self.axis}",
                          received=f"shapes {np.shape(mean)} and {np.shape(variance)}")
        self.supports_masking = True
        self._adapted = False

    def build(self, input_shape: Any) -> None:
        """Make the variables that `adapt` fills, where mean and variance were not given."""
        self._ndim = len(input_shape)
        self._kept = counted_axes(self, list(self.axis), self._ndim)
        shape = self._kept_shape = tuple(input_shape[a] for a in self._kept)
        if None in shape:
            raise problem("The axes of `axis` need known sizes.", received=f"an input of shape {input_shape}",
                          where=self, expected=f"ints on the axes {self._kept}")
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(shape, "zeros", trainable=False, name="mean")
            self.adapt_variance = self.add_weight(shape, "ones", trainable=False, name="variance")
            self.count = self.add_weight(name="count", shape=(), dtype="int32", initializer="zeros", trainable=False)

    def adapt(self, data: Any) -> None:
        """Measure mean and variance on data.

        Args:
            data: an array, or an iterable of batches (of tuples, the first element counts).
        """
        if self.input_mean is not None:
            raise problem("Mean and variance were given to the constructor.", where=self,
                          fix="leave them out to measure them")
        batches: Iterable[Any] = [data] if hasattr(data, "shape") else data
        total, mean, variance = 0, 0.0, 0.0
        for batch in batches:
            x = _floats(batch[0] if isinstance(batch, tuple) else batch, self)
            if not self.built:
                self.build((None, *x.shape[1:]) if 0 not in counted_axes(self, list(self.axis), x.ndim) else x.shape)
            axes = tuple(a for a in range(x.ndim) if a not in self._kept)
            size = max(int(np.prod([x.shape[a] for a in axes])), 1)
            total += size
            share, last = size / total, mean
            batch_mean = x.mean(axes)
            mean = last + (batch_mean - last) * share
            variance = ((variance + (last - mean) ** 2) * (1 - share)
                        + (x.var(axes) + (batch_mean - mean) ** 2) * share)
        if not total:
            raise problem("There is no data to adapt to.", received=data, where=self, expected="at least one batch")
        self.adapt_mean.assign(np.asarray(mean, "float32"))
        self.adapt_variance.assign(np.asarray(variance, "float32"))
        self._adapted = True

    def is_as_made(self) -> bool:
        """Whether mean and variance are neither given, measured, nor read from a file."""
        return not (self._adapted or self.input_mean is not None or self.adapt_mean.numpy().any()
                    or (self.adapt_variance.numpy() != 1).any())

    def finalize_state(self) -> None:
        """For programs that call it after setting `adapt_mean`: here the variables count at once."""

    @property
    def mean(self) -> Any:
        """The mean in use, shaped to broadcast against the input; None before the layer is built."""
        return self._along("mean")

    @property
    def variance(self) -> Any:
        """The variance in use, likewise."""
        return self._along("variance")

    def _along(self, name: str) -> Any:
        if not self.built:
            return None
        given = getattr(self, f"input_{name}")
        given = unwrap(getattr(self, f"adapt_{name}")) if given is None else given
        values = jnp.asarray(given, widened(self.compute_dtype))
        if values.ndim == 0:
            values = jnp.broadcast_to(values, self._kept_shape)
        sizes = [1] * self._ndim
        for axis, size in zip(reversed(self._kept), reversed(values.shape)):
            sizes[axis] = size
        return jnp.reshape(values, sizes)

    def get_config(self) -> dict[str, Any]:
        """With mean and variance as they were given; what was measured is in the weights."""
        return {**super().get_config(), "mean": _plain(self.input_mean), "variance": _plain(self.input_variance)}

    def call(self, inputs: Any) -> Any:
        """The normalized inputs, worked out in float32 at least and rounded once."""
        stddev = jnp.maximum(jnp.sqrt(self.variance), settings.epsilon)
        inputs = to_array(inputs).astype(stddev.dtype)
        outputs = inputs * stddev + self.mean if self.invert else (inputs - self.mean) / stddev
        return outputs.astype(self.compute_dtype)


def _plain(values: Any) -> Any:
    return None if values is None else np.asarray(values).tolist()
