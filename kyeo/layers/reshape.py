"""Layers that change the shape: flattening, permuting, padding, cropping, enlarging."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from kyeo import ops
from kyeo.core.dtypes import is_float
from kyeo.core.errors import describe, int_tuple, one_of, positive_int, problem
from kyeo.core.scope import current
from kyeo.layers.arguments import format_of, pairs, spatial_axes
from kyeo.layers.layer import InputSpec, Layer

__all__ = [
    "Cropping1D", "Cropping2D", "Cropping3D", "Flatten", "Permute", "RepeatVector", "Reshape", "UpSampling1D",
    "UpSampling2D", "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
]


class Flatten(Layer):
    """One axis for all but the batch: (batch, a, b, c) gives (batch, a * b * c).

    Args:
        data_format: "channels_first" puts the channels last before flattening, so that weights fit either format.

    >>> import kyeo
    >>> kyeo.layers.Flatten()(kyeo.ops.ones((2, 4, 4, 3))).shape
    (2, 48)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = format_of(self, data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        """The rows."""
        if self.data_format == "channels_first" and inputs.ndim > 1:
            inputs = jnp.moveaxis(inputs, 1, -1)
        return jnp.reshape(inputs, (inputs.shape[0], math.prod(inputs.shape[1:])))


class Reshape(Layer):
    """Another shape for the same elements of each sample.

    Args:
        target_shape: sizes without the batch axis; one may be -1, which is worked out.

    >>> import kyeo
    >>> kyeo.layers.Reshape((3, -1))(kyeo.ops.ones((2, 12))).shape
    (2, 3, 4)
    """

    def __init__(self, target_shape: Any, **kwargs: Any):
        super().__init__(**kwargs)
        sizes = target_shape if isinstance(target_shape, (list, tuple)) else None
        good = sizes is not None and all(type(s) is int and s >= -1 for s in sizes) and list(sizes).count(-1) <= 1
        if not good:
            raise problem("`target_shape` is not valid.", received=f"target_shape={describe(target_shape)}", where=self,
                          expected="a tuple of ints without the batch axis, at most one of them -1",
                          kind=TypeError if sizes is None else ValueError)
        self.target_shape = tuple(target_shape)

    def call(self, inputs: Any) -> Any:
        """The inputs in the new shape."""
        have, known = inputs.shape[1:], math.prod(s for s in self.target_shape if s != -1)
        if all(isinstance(s, int) for s in have):
            total = math.prod(have)
            if (total % known if known else total) if -1 in self.target_shape else total != known:
                raise problem("The elements do not fit the new shape.", where=self,
                              received=f"{total} elements a sample, in shape {have}",
                              expected=f"a number of elements that fits target_shape={self.target_shape}")
            shape = tuple(total // max(known, 1) if s == -1 else s for s in self.target_shape)
            return jnp.reshape(inputs, (inputs.shape[0], *shape))
        if current().symbolic:  # of unknown sizes JAX cannot prove that they fit
            sizes = (math.prod(have) // max(known, 1) if s == -1 else s for s in self.target_shape)
            return jnp.zeros((inputs.shape[0], *sizes), inputs.dtype)
        return jnp.reshape(inputs, (inputs.shape[0], *self.target_shape))


class Permute(Layer):
    """The axes in another order.

    Args:
        dims: where each axis of the output comes from, counted from 1: (2, 1) swaps two axes, the batch stays first.

    >>> import kyeo
    >>> kyeo.layers.Permute((2, 1))(kyeo.ops.ones((5, 2, 3))).shape
    (5, 3, 2)
    """

    def __init__(self, dims: Any, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(dims, (list, tuple)) or sorted(map(str, dims)) != sorted(
                str(i) for i in range(1, len(dims) + 1)) or not dims:
            raise problem("`dims` is not valid.", received=f"dims={describe(dims)}", where=self,
                          expected="each of 1, 2, ... once, in the new order; the batch axis is not counted",
                          kind=ValueError if isinstance(dims, (list, tuple)) else TypeError)
        self.dims = tuple(dims)
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        """The inputs with their axes permuted."""
        return jnp.transpose(inputs, (0, *self.dims))


class RepeatVector(Layer):
    """The same vector `n` times: (batch, features) gives (batch, n, features).

    Args:
        n: how often.

    >>> import kyeo
    >>> kyeo.layers.RepeatVector(3)(kyeo.ops.ones((2, 4))).shape
    (2, 3, 4)
    """

    def __init__(self, n: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.n = positive_int(self, n=n)
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        """The repeated inputs."""
        return jnp.repeat(inputs[:, None, :], self.n, axis=1)


class _Edges(Layer):
    """A layer that adds or takes some elements at each end of the spatial axes."""

    rank: int

    def _per_axis(self, ndim: int, edges: Any, sign: int) -> list[tuple[int, int, int]]:
        """The configuration of `lax.pad`, with minus signs where elements are taken."""
        config = [(0, 0, 0)] * ndim
        for axis, (before, after) in zip(spatial_axes(self.data_format, ndim), edges):
            config[axis] = (sign * before, sign * after, 0)
        return config


class _ZeroPadding(_Edges):
    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = format_of(self, data_format)
        self.padding = self._read(padding)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _read(self, padding: Any) -> Any:
        return pairs(self, self.rank, padding=padding)

    def call(self, inputs: Any) -> Any:
        """The inputs with zeros around."""
        edges = self.padding if self.rank > 1 else (self.padding,)
        return jax.lax.pad(inputs, jnp.zeros((), inputs.dtype), self._per_axis(inputs.ndim, edges, 1))


class ZeroPadding1D(_ZeroPadding):
    """Zeros at both ends of the time axis.

    Args:
        padding: how many, or (before, after).
        data_format: "channels_last" or "channels_first"; `image_data_format()` where None.

    >>> import kyeo
    >>> kyeo.layers.ZeroPadding1D((1, 2))(kyeo.ops.ones((2, 4, 3))).shape
    (2, 7, 3)
    """

    rank = 1

    def _read(self, padding: Any) -> Any:
        return int_tuple(self, 2, minimum=0, padding=padding)


class ZeroPadding2D(_ZeroPadding):
    """Zeros around images.

    Args:
        padding: how many, or (height, width), or ((top, bottom), (left, right)).
        data_format: "channels_last" or "channels_first"; `image_data_format()` where None.

    >>> import kyeo
    >>> kyeo.layers.ZeroPadding2D(((1, 0), (2, 2)))(kyeo.ops.ones((2, 4, 4, 3))).shape
    (2, 5, 8, 3)
    """

    rank = 2


class ZeroPadding3D(_ZeroPadding):
    """Zeros around volumes.

    Args:
        padding: how many, or one number an axis, or one pair an axis.
        data_format: "channels_last" or "channels_first"; `image_data_format()` where None.

    >>> import kyeo
    >>> kyeo.layers.ZeroPadding3D(1)(kyeo.ops.ones((2, 4, 4, 4, 3))).shape
    (2, 6, 6, 6, 3)
    """

    rank = 3

    def __init__(self, padding: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any):
        super().__init__(padding, data_format, **kwargs)


class _Cropping(_Edges):
    def _set_cropping(self, cropping: Any, data_format: Any) -> None:
        self.data_format = format_of(self, data_format)
        self.cropping = cropping
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        """The inputs without their edges."""
        edges = self.cropping if self.rank > 1 else (self.cropping,)
        sizes = [inputs.shape[axis] for axis in spatial_axes(self.data_format, inputs.ndim)]
        if any(isinstance(s, int) and sum(edge) >= s for s, edge in zip(sizes, edges)):
            raise problem("Cropping would leave nothing of the input.", where=self,
                          received=f"an input of shape {inputs.shape}, cropping={self.cropping}")
        return jax.lax.pad(inputs, jnp.zeros((), inputs.dtype), self._per_axis(inputs.ndim, edges, -1))


class Cropping1D(_Cropping):
    """Takes steps off both ends of the time axis.

    Args:
        cropping: how many, or (at the start, at the end).

    >>> import kyeo
    >>> kyeo.layers.Cropping1D((1, 2))(kyeo.ops.ones((2, 8, 3))).shape
    (2, 5, 3)
    """

    rank = 1

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any):
        super().__init__(**kwargs)
        self._set_cropping(int_tuple(self, 2, minimum=0, cropping=cropping), "channels_last")


class Cropping2D(_Cropping):
    """Takes rows and columns off the edges of images.

    Args:
        cropping: how many, or (height, width), or ((top, bottom), (left, right)).
        data_format: "channels_last" or "channels_first"; `image_data_format()` where None.

    >>> import kyeo
    >>> kyeo.layers.Cropping2D(((1, 0), (2, 2)))(kyeo.ops.ones((2, 8, 8, 3))).shape
    (2, 7, 4, 3)
    """

    rank = 2

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self._set_cropping(pairs(self, 2, cropping=cropping), data_format)


class Cropping3D(_Cropping):
    """Takes layers off the edges of volumes.

    Args:
        cropping: how many, or one number an axis, or one pair an axis.
        data_format: "channels_last" or "channels_first"; `image_data_format()` where None.

    >>> import kyeo
    >>> kyeo.layers.Cropping3D(1)(kyeo.ops.ones((2, 4, 4, 4, 3))).shape
    (2, 2, 2, 2, 3)
    """

    rank = 3

    def __init__(self, cropping: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self._set_cropping(pairs(self, 3, cropping=cropping), data_format)


class _UpSampling(Layer):
    rank: int

    def _set_size(self, size: Any, data_format: Any) -> None:
        self.data_format = format_of(self, data_format)
        self.size = size
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        """The enlarged inputs."""
        sizes = self.size if self.rank > 1 else (self.size,)
        for axis, size in zip(spatial_axes(self.data_format, inputs.ndim), sizes):
            inputs = jnp.repeat(inputs, size, axis=axis)
        return inputs


class UpSampling1D(_UpSampling):
    """Each time step `size` times.

    Args:
        size: how often.

    >>> import kyeo
    >>> kyeo.layers.UpSampling1D(2)(kyeo.ops.array([[[1.0], [2.0]]])).ravel().tolist()
    [1.0, 1.0, 2.0, 2.0]
    """

    rank = 1

    def __init__(self, size: int = 2, **kwargs: Any):
        super().__init__(**kwargs)
        self._set_size(positive_int(self, size=size), "channels_last")


class UpSampling2D(_UpSampling):
    """Images enlarged by whole factors.

    Args:
        size: the factor, or one for height and one for width.
        data_format: "channels_last" or "channels_first"; `image_data_format()` where None.
        interpolation: "nearest" (repeats pixels), "bilinear", "bicubic", "lanczos3" or "lanczos5".

    >>> import kyeo
    >>> kyeo.layers.UpSampling2D((2, 3), interpolation="bilinear")(kyeo.ops.ones((1, 4, 4, 3))).shape
    (1, 8, 12, 3)
    """

    rank = 2

    def __init__(
        self, size: Any = (2, 2), data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._set_size(int_tuple(self, 2, size=size), data_format)
        known = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
        self.interpolation = one_of(self, known, interpolation=interpolation)

    def call(self, inputs: Any) -> Any:
        """The enlarged images."""
        if self.interpolation == "nearest":
            return super().call(inputs)
        shape = list(inputs.shape)
        for axis, size in zip(spatial_axes(self.data_format, 4), self.size):
            shape[axis] *= size
        values = inputs if is_float(inputs.dtype) else inputs.astype("float32")
        resized = jax.image.resize(values, shape, method=self.interpolation, antialias=False)
        return resized if is_float(inputs.dtype) else ops.saturate_cast(jnp.round(resized), inputs.dtype)


class UpSampling3D(_UpSampling):
    """Volumes enlarged by whole factors, each element repeated.

    Args:
        size: the factor, or one for each of the three axes.
        data_format: "channels_last" or "channels_first"; `image_data_format()` where None.

    >>> import kyeo
    >>> kyeo.layers.UpSampling3D(2)(kyeo.ops.ones((1, 2, 2, 2, 3))).shape
    (1, 4, 4, 4, 3)
    """

    rank = 3

    def __init__(self, size: Any = (2, 2, 2), data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self._set_size(int_tuple(self, 3, size=size), data_format)
