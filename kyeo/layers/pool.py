"""Poolings: over windows, over a given number of windows, and over all spatial axes."""

from typing import Any

import jax.numpy as jnp

from kyeo.core.errors import boolean, int_tuple, one_of, problem
from kyeo.layers.arguments import explain, format_of, spatial_axes
from kyeo.layers.layer import InputSpec, Layer
from kyeo.ops.kernels import adaptive_average_pool, adaptive_max_pool, average_pool, largest, max_pool

__all__ = [
    "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D", "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D",
    "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "AvgPool1D", "AvgPool2D", "AvgPool3D",
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D", "GlobalAvgPool1D", "GlobalAvgPool2D",
    "GlobalAvgPool3D", "GlobalMaxPool1D", "GlobalMaxPool2D", "GlobalMaxPool3D", "GlobalMaxPooling1D",
    "GlobalMaxPooling2D", "GlobalMaxPooling3D", "MaxPool1D", "MaxPool2D", "MaxPool3D", "MaxPooling1D", "MaxPooling2D",
    "MaxPooling3D",
]

_ARGUMENTS = """
Args:
    pool_size: size of the window, one int or one for each spatial axis.
    strides: steps of the window; `pool_size` where None.
    padding: "valid" (whole windows only) or "same" (`ceil(size / stride)` outputs; what lies outside does not count).
    data_format: "channels_last" or "channels_first"; `image_data_format()` where None.
"""

_ADAPTIVE_ARGUMENTS = """
Args:
    output_size: how many windows cover each spatial axis, one int or one for each axis. Output i of n along an axis of
        size s looks at the elements from floor(i s / n) to ceil((i + 1) s / n).
    data_format: "channels_last" or "channels_first"; `image_data_format()` where None.
"""

_GLOBAL_ARGUMENTS = """
Args:
    data_format: "channels_last" or "channels_first"; `image_data_format()` where None.
    keepdims: whether the spatial axes stay, with size 1.
"""


def _take_dimensions(layer: Any, kwargs: dict[str, Any]) -> None:
    """What a class of a library's says, derived from a family as from Keras's bases."""
    if "pool_dimensions" in kwargs:
        layer.rank = kwargs.pop("pool_dimensions")


class _Pooling(Layer):
    rank: int
    pool: Any = staticmethod(max_pool)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__ == __name__:
            explain(cls, _ARGUMENTS)

    def __init__(
        self, pool_size: Any = 2, strides: Any = None, padding: str = "valid", data_format: str | None = None,
        **kwargs: Any,
    ):
        if "pool_mode" in kwargs:
            kinds = {"max": max_pool, "average": average_pool}
            self.pool = kinds[one_of(self, kinds, pool_mode=kwargs.pop("pool_mode"))]
        _take_dimensions(self, kwargs)
        super().__init__(**kwargs)
        self.pool_size = int_tuple(self, self.rank, pool_size=pool_size)
        self.strides = int_tuple(self, self.rank, strides=self.pool_size if strides is None else strides)
        self.padding = one_of(self, ("valid", "same"), padding=padding)
        self.data_format = format_of(self, data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        """The pooled windows."""
        sizes = [inputs.shape[axis] for axis in spatial_axes(self.data_format, inputs.ndim)]
        if self.padding == "valid" and any(isinstance(s, int) and s < w for s, w in zip(sizes, self.pool_size)):
            raise problem("The window is larger than the input, so there is no output.", where=self,
                          received=f"an input of shape {inputs.shape}, pool_size={self.pool_size}",
                          expected=f"spatial sizes of at least {self.pool_size}", fix='use padding="same"')
        if self.data_format == "channels_last":
            return self.pool(inputs, self.pool_size, self.strides, self.padding)
        pooled = self.pool(jnp.moveaxis(inputs, 1, -1), self.pool_size, self.strides, self.padding)
        return jnp.moveaxis(pooled, -1, 1)


class _MaxPooling(_Pooling):
    pass


class _AveragePooling(_Pooling):
    pool = staticmethod(average_pool)


class MaxPooling1D(_MaxPooling):
    """The largest value of each window along (batch, time, channels).

    >>> import kyeo
    >>> kyeo.layers.MaxPooling1D(2)(kyeo.ops.array([[[1.0], [3.0], [2.0], [0.0]]])).ravel().tolist()
    [3.0, 2.0]
    """

    rank = 1


class MaxPooling2D(_MaxPooling):
    """The largest value of each window of (batch, height, width, channels).

    >>> import kyeo
    >>> kyeo.layers.MaxPooling2D()(kyeo.ops.ones((2, 28, 28, 8))).shape
    (2, 14, 14, 8)
    """

    rank = 2


class MaxPooling3D(_MaxPooling):
    """The largest value of each window of (batch, depth, height, width, channels).

    >>> import kyeo
    >>> kyeo.layers.MaxPooling3D(2)(kyeo.ops.ones((1, 4, 4, 4, 3))).shape
    (1, 2, 2, 2, 3)
    """

    rank = 3


class AveragePooling1D(_AveragePooling):
    """The mean of each window along (batch, time, channels).

    >>> import kyeo
    >>> kyeo.layers.AveragePooling1D(2)(kyeo.ops.array([[[1.0], [3.0], [2.0], [0.0]]])).ravel().tolist()
    [2.0, 1.0]
    """

    rank = 1


class AveragePooling2D(_AveragePooling):
    """The mean of each window of (batch, height, width, channels).

    >>> import kyeo
    >>> kyeo.layers.AveragePooling2D(2, padding="same")(kyeo.ops.ones((2, 5, 5, 8))).shape
    (2, 3, 3, 8)
    """

    rank = 2


class AveragePooling3D(_AveragePooling):
    """The mean of each window of (batch, depth, height, width, channels).

    >>> import kyeo
    >>> kyeo.layers.AveragePooling3D(2)(kyeo.ops.ones((1, 4, 4, 4, 3))).shape
    (1, 2, 2, 2, 3)
    """

    rank = 3


class _AdaptivePooling(Layer):
    rank: int
    pool: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__ == __name__:
            explain(cls, _ADAPTIVE_ARGUMENTS)

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.output_size = int_tuple(self, self.rank, output_size=output_size)
        self.data_format = format_of(self, data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        """The pooled windows."""
        if self.data_format == "channels_last":
            return self.pool(inputs, self.output_size)
        return jnp.moveaxis(self.pool(jnp.moveaxis(inputs, 1, -1), self.output_size), -1, 1)


class _AdaptiveMaxPooling(_AdaptivePooling):
    pool = staticmethod(adaptive_max_pool)


class _AdaptiveAveragePooling(_AdaptivePooling):
    pool = staticmethod(adaptive_average_pool)


class AdaptiveMaxPooling1D(_AdaptiveMaxPooling):
    """The largest value of each window along (batch, time, channels), as many windows as asked for.

    >>> import kyeo
    >>> kyeo.layers.AdaptiveMaxPooling1D(3)(kyeo.ops.ones((2, 10, 5))).shape
    (2, 3, 5)
    """

    rank = 1


class AdaptiveMaxPooling2D(_AdaptiveMaxPooling):
    """The largest value of each window of (batch, height, width, channels), as many windows as asked for.

    >>> import kyeo
    >>> kyeo.layers.AdaptiveMaxPooling2D((7, 5))(kyeo.ops.ones((2, 28, 28, 8))).shape
    (2, 7, 5, 8)
    """

    rank = 2


class AdaptiveMaxPooling3D(_AdaptiveMaxPooling):
    """The largest value of each window of (batch, depth, height, width, channels), as many windows as asked for.

    >>> import kyeo
    >>> kyeo.layers.AdaptiveMaxPooling3D(2)(kyeo.ops.ones((1, 5, 5, 4, 3))).shape
    (1, 2, 2, 2, 3)
    """

    rank = 3


class AdaptiveAveragePooling1D(_AdaptiveAveragePooling):
    """The mean of each window along (batch, time, channels), as many windows as asked for.

    >>> import kyeo
    >>> kyeo.layers.AdaptiveAveragePooling1D(3)(kyeo.ops.ones((2, 10, 5))).shape
    (2, 3, 5)
    """

    rank = 1


class AdaptiveAveragePooling2D(_AdaptiveAveragePooling):
    """The mean of each window of (batch, height, width, channels), as many windows as asked for.

    >>> import kyeo
    >>> kyeo.layers.AdaptiveAveragePooling2D((7, 5))(kyeo.ops.ones((2, 28, 28, 8))).shape
    (2, 7, 5, 8)
    """

    rank = 2


class AdaptiveAveragePooling3D(_AdaptiveAveragePooling):
    """The mean of each window of (batch, depth, height, width, channels), as many windows as asked for.

    >>> import kyeo
    >>> kyeo.layers.AdaptiveAveragePooling3D(2)(kyeo.ops.ones((1, 5, 5, 4, 3))).shape
    (1, 2, 2, 2, 3)
    """

    rank = 3


class _GlobalPooling(Layer):
    rank: int
    reduce: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__ == __name__:
            explain(cls, _GLOBAL_ARGUMENTS)

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        _take_dimensions(self, kwargs)
        super().__init__(**kwargs)
        self.data_format = format_of(self, data_format)
        self.keepdims = boolean(self, keepdims=keepdims)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        """One value for each channel."""
        return self.reduce(inputs, axis=spatial_axes(self.data_format, inputs.ndim), keepdims=self.keepdims)


class _GlobalMaxPooling(_GlobalPooling):
    reduce = staticmethod(largest)


class _GlobalAveragePooling(_GlobalPooling):
    reduce = staticmethod(jnp.mean)


class GlobalMaxPooling1D(_GlobalMaxPooling):
    """The largest value of each channel of (batch, time, channels).

    >>> import kyeo
    >>> kyeo.layers.GlobalMaxPooling1D()(kyeo.ops.ones((2, 5, 3))).shape
    (2, 3)
    """

    rank = 1


class GlobalMaxPooling2D(_GlobalMaxPooling):
    """The largest value of each channel of (batch, height, width, channels).

    >>> import kyeo
    >>> kyeo.layers.GlobalMaxPooling2D()(kyeo.ops.ones((2, 5, 5, 3))).shape
    (2, 3)
    """

    rank = 2


class GlobalMaxPooling3D(_GlobalMaxPooling):
    """The largest value of each channel of (batch, depth, height, width, channels).

    >>> import kyeo
    >>> kyeo.layers.GlobalMaxPooling3D(keepdims=True)(kyeo.ops.ones((2, 4, 4, 4, 3))).shape
    (2, 1, 1, 1, 3)
    """

    rank = 3


class GlobalAveragePooling1D(_GlobalAveragePooling):
    """The mean of each channel of (batch, time, channels), over the steps that the mask keeps.

    >>> import kyeo
    >>> x, mask = kyeo.ops.array([[[1.0], [5.0]]]), kyeo.ops.array([[True, False]])
    >>> kyeo.layers.GlobalAveragePooling1D()(x, mask=mask).tolist()
    [[1.0]]
    """

    rank = 1

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(data_format=data_format, keepdims=keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The mean over the time steps."""
        if mask is None:
            return super().call(inputs)
        (time,) = spatial_axes(self.data_format, 3)
        keep = jnp.expand_dims(mask.astype(bool), 3 - time)
        total = jnp.sum(jnp.where(keep, inputs, 0), axis=time, keepdims=self.keepdims)
        return total / jnp.sum(keep.astype(inputs.dtype), axis=time, keepdims=self.keepdims)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """None: there are no time steps any more."""
        return None


class GlobalAveragePooling2D(_GlobalAveragePooling):
    """The mean of each channel of (batch, height, width, channels).

    >>> import kyeo
    >>> kyeo.layers.GlobalAveragePooling2D()(kyeo.ops.ones((2, 5, 5, 3))).shape
    (2, 3)
    """

    rank = 2


class GlobalAveragePooling3D(_GlobalAveragePooling):
    """The mean of each channel of (batch, depth, height, width, channels).

    >>> import kyeo
    >>> kyeo.layers.GlobalAveragePooling3D()(kyeo.ops.ones((2, 4, 4, 4, 3))).shape
    (2, 3)
    """

    rank = 3


MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D
GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D = (
    GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D)
