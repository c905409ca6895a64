"""Windows: weights that fade at both ends, for signals cut into pieces."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from kyeo.core.arrays import from_host
from kyeo.core.errors import number, positive_int, problem
from kyeo.core.parameters import checked
from kyeo.core.settings import settings
from kyeo.core.symbolic import SymbolicTensor
from kyeo.core.variable import unwrap

__all__ = ["bartlett", "blackman", "hamming", "hanning", "kaiser"]


def _length(name: str, x: Any) -> int:
    x = unwrap(x)
    if isinstance(x, (SymbolicTensor, jax.core.Tracer)):
        raise problem("The length of a window must be known.", received=x, expected="an int", where=f"ops.{name}",
                      kind=TypeError)
    return positive_int(f"ops.{name}", x=int(x) if np.ndim(x) == 0 and hasattr(x, "dtype") else x, minimum=0)


def _window(name: str, fn: Callable[[int], Any], text: str, result: str) -> Callable[[Any], jax.Array]:
    def window(x: Any) -> jax.Array:
        return from_host(fn(_length(name, x)), settings.floatx)

    window.__name__ = window.__qualname__ = name
    window.__module__ = __name__
    window.__doc__ = f"""{text}

    Args:
        x: how many weights; at least 0.

    Returns: the weights, of `floatx()`.

    >>> import kyeo
    >>> kyeo.ops.{name}(3).round(2).tolist()
    {result}
    """
    return checked(window)


bartlett = _window("bartlett", np.bartlett, "A triangle from 0 to 1 and back to 0.", "[0.0, 1.0, 0.0]")
blackman = _window("blackman", np.blackman, "0.42 - 0.5 cos(t) + 0.08 cos(2t), t from 0 to 2 pi.", "[-0.0, 1.0, -0.0]")
hamming = _window("hamming", np.hamming, "0.54 - 0.46 cos(t), t from 0 to 2 pi.", "[0.0799..., 1.0, 0.0799...]")
hanning = _window("hanning", np.hanning, "0.5 - 0.5 cos(t), t from 0 to 2 pi.", "[0.0, 1.0, 0.0]")


@checked
def kaiser(x: Any, beta: Any) -> jax.Array:
    """Kaiser's window, narrower the larger `beta` is: i0(beta sqrt(1 - t^2)) / i0(beta), t from -1 to 1.

    Args:
        x: how many weights; at least 0.
        beta: its shape; 0 gives ones.

    Returns: the weights, of `floatx()`.

    >>> import kyeo
    >>> kyeo.ops.kaiser(3, 0.0).tolist()
    [1.0, 1.0, 1.0]
    """
    beta = unwrap(beta)
    beta = float(beta) if np.ndim(beta) == 0 and hasattr(beta, "dtype") else number("ops.kaiser", beta=beta)
    return from_host(np.kaiser(_length("kaiser", x), beta), settings.floatx)


_PERIODIC = {"hann": np.hanning, "hamming": np.hamming}


def periodic(where: str, window: Any, length: int, dtype: Any) -> jax.Array:
    """The weights that a Fourier transform means: "hann", "hamming", an array of `length`, or None for ones.

    A named window is one period long, so that pieces which overlap add up evenly.

    >>> periodic("ops.stft", "hann", 4, "float32").tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    if window is None:
        return from_host(np.ones(length), dtype)
    if isinstance(window, str):
        if window not in _PERIODIC:
            raise problem("This window is not known.", received=f"window={window!r}", where=where,
                          expected='"hann", "hamming", None or an array')
        return from_host(_PERIODIC[window](length + 1)[:-1] if length > 1 else np.ones(length), dtype)
    found = jax.numpy.asarray(unwrap(window), dtype)
    if found.shape != (length,):
        raise problem("The window does not fit.", received=found, where=where, expected=f"shape ({length},)")
    return found
