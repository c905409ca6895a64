"""Initializers without chance: constants, the identity, Fourier kernels."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from kyeo.core.arrays import from_host
from kyeo.core.dtypes import standardize_dtype
from kyeo.core.errors import describe, number, one_of, problem
from kyeo.core.variable import unwrap
from kyeo.initializers.base import Initializer

__all__ = ["STFT", "Constant", "Identity", "Ones", "Zeros"]


class _Even(Initializer):
    """Base of those that give one known number everywhere."""

    def _later(self, shape: tuple[int, ...], dtype: str) -> Callable[[], Any] | None:
        return functools.partial(self, shape, dtype) if type(self).__module__ == __name__ else None


class Zeros(_Even):
    """All zeros.

    >>> import kyeo
    >>> kyeo.initializers.Zeros()((2,)).tolist()
    [0.0, 0.0]
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        return from_host(np.zeros(shape, np.float32), standardize_dtype(dtype))


class Ones(_Even):
    """All ones.

    >>> import kyeo
    >>> kyeo.initializers.Ones()((2,)).tolist()
    [1.0, 1.0]
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        return from_host(np.ones(shape, np.float32), standardize_dtype(dtype))


class Constant(Initializer):
    """One value everywhere, or an array of values.

    Args:
        value: a number or a list, spread over the shape; or an array, which must have the variable's shape.

    >>> import kyeo
    >>> kyeo.initializers.Constant(3)((2,)).tolist()
    [3.0, 3.0]
    """

    def __init__(self, value: Any = 0.0):
        self.value = unwrap(value)
        if np.asarray(self.value).dtype.kind not in "?biufcV":  # V: bfloat16
            raise problem("`value` is not valid.", received=f"value={describe(value)}", where=self, kind=TypeError,
                          expected="a number, or an array of numbers")

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        values = np.asarray(self.value)
        whole = values.ndim > 0 and hasattr(self.value, "shape")
        try:
            if whole and values.shape != tuple(shape):
                raise ValueError
            return from_host(np.broadcast_to(values, tuple(shape)), standardize_dtype(dtype))
        except ValueError:
            raise problem("The values do not fit the variable's shape.", received=f"shape={tuple(shape)}",
                          expected=f"shape {values.shape}", where=self) from None


class Identity(Initializer):
    """The identity matrix times `gain`, for matrices only.

    >>> import kyeo
    >>> kyeo.initializers.Identity(gain=2.0)((2, 3)).tolist()
    [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
    """

    def __init__(self, gain: float = 1.0):
        self.gain = number(self, gain=gain)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        if len(shape) != 2:
            raise problem("The identity exists only for matrices.", received=f"shape={tuple(shape)}",
                          expected="a shape of two sizes", where=self)
        return from_host(self.gain * np.eye(*shape, dtype=np.float32), standardize_dtype(dtype))


class STFT(Initializer):
    """Convolution kernels that compute a short-time Fourier transform; shape (frame, 1, bands).

    Args:
        side: "real" or "imag", the part of the transform.
        window: name of a SciPy window, an array of `frame` values, or None.
        scaling: "density", "spectrum" or None.
        periodic: whether a named window is the periodic one.

    >>> import kyeo
    >>> kyeo.initializers.STFT(window=None)((4, 1, 3))[:, 0, 2].tolist()
    [1.0, -1.0, 1.0, -1.0]
    """

    def __init__(self, side: str = "real", window: Any = "hann", scaling: str | None = "density",
                 periodic: bool = False):
        self.side = one_of(self, ("real", "imag"), side=side)
        if not (window is None or isinstance(window, str) or (np.asarray(window).dtype.kind in "iuf"
                and np.ndim(window))):
            raise problem("`window` is not valid.", received=f"window={describe(window)}", where=self, kind=TypeError,
                          expected="the name of a window of SciPy, numbers, or None")
        self.window, self.periodic = window, periodic
        self.scaling = one_of(self, ("density", "spectrum", None), scaling=scaling)

    def _window(self, length: int) -> np.ndarray:
        window = self.window
        if isinstance(window, str):
            from scipy.signal import get_window  # slow to import and wanted by this class alone

            try:
                window = get_window(window, length, self.periodic)
            except ValueError:
                raise problem("`window` is not valid.", received=f"window={window!r}", where=self,
                              expected='the name of a window of SciPy, such as "hann"') from None
        if np.shape(window) != (length,):
            raise problem("`window` has a wrong length.", received=f"shape {np.shape(window)}", where=self,
                          expected=f"{length} values")
        window = np.asarray(window, np.float64)
        sizes = {None: 1.0, "density": np.sqrt(np.square(window).sum()), "spectrum": np.abs(window).sum()}
        return window / sizes[self.scaling]

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        frame, _, bands = shape
        angle = -2 * np.pi * np.arange(frame)[:, None] * np.arange(bands) / ((bands - 1) * 2)
        kernel = np.cos(angle) if self.side == "real" else np.sin(angle)
        if self.window is not None:
            kernel = kernel * self._window(frame)[:, None]
        return from_host(kernel[:, None, :], standardize_dtype(dtype))
