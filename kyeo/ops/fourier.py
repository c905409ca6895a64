"""Fourier transforms, pieces of signals, complex numbers as pairs. Transforms take and give (real, imaginary)."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.arrays import to_array
from kyeo.core.errors import boolean, describe, positive_int, problem
from kyeo.core.op import op
from kyeo.ops.windows import periodic

__all__ = [
    "extract_sequences", "fft", "fft2", "ifft2", "irfft", "istft", "polar", "rfft", "stft", "view_as_complex",
    "view_as_real",
]


def _complex(x: Any, name: str, axes: int = 1) -> jax.Array:
    """A pair of floats as one complex array."""
    parts = [to_array(part) for part in x] if isinstance(x, (tuple, list)) else []
    floats = [part for part in parts if jnp.issubdtype(part.dtype, jnp.floating) and part.ndim >= axes]
    if len(parts) != 2 or len(floats) != 2 or parts[0].shape != parts[1].shape:
        raise problem("Complex numbers come as a pair.", where=f"ops.{name}",
                      received=", ".join(map(describe, parts)) or f"x={describe(x)}",
                      expected=f"a tuple (real, imaginary) of two float arrays of one shape, {axes} axes or more")
    return jax.lax.complex(*parts)


def _pair(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jnp.real(x), jnp.imag(x)


@op
def fft(x: Any) -> Any:
    """The discrete Fourier transform along the last axis.

    Args:
        x: a tuple (real, imaginary) of floats.

    Returns: a tuple (real, imaginary).

    >>> import kyeo
    >>> [part.tolist() for part in kyeo.ops.fft(([1.0, 1.0], [0.0, 0.0]))]
    [[2.0, 0.0], [0.0, 0.0]]
    """
    return _pair(jnp.fft.fft(_complex(x, "fft")))


@op
def fft2(x: Any) -> Any:
    """The discrete Fourier transform along the last two axes; x as in `fft`.

    >>> import kyeo
    >>> kyeo.ops.fft2(([[1.0, 1.0]], [[0.0, 0.0]]))[0].tolist()
    [[2.0, 0.0]]
    """
    return _pair(jnp.fft.fft2(_complex(x, "fft2", 2)))


@op
def ifft2(x: Any) -> Any:
    """What `fft2` was given, from its result.

    >>> import kyeo
    >>> kyeo.ops.ifft2(([[2.0, 0.0]], [[0.0, 0.0]]))[0].tolist()
    [[1.0, 1.0]]
    """
    return _pair(jnp.fft.ifft2(_complex(x, "ifft2", 2)))


@op
def rfft(x: Any, fft_length: int | None = None) -> Any:
    """The Fourier transform of real numbers along the last axis: the half that is not a mirror image.

    Args:
        x: real numbers.
        fft_length: x is cut or filled with zeros to this length; its own when None.

    Returns: a tuple (real, imaginary), each of length `fft_length // 2 + 1`.

    >>> import kyeo
    >>> kyeo.ops.rfft([1.0, 1.0, 0.0, 0.0])[0].tolist()
    [2.0, 1.0, 0.0]
    """
    length = positive_int("ops.rfft", fft_length=fft_length, optional=True)
    return _pair(jnp.fft.rfft(to_array(x), length))


@op
def irfft(x: Any, fft_length: int | None = None) -> jax.Array:
    """The real numbers whose `rfft` is x.

    Args:
        x: a tuple (real, imaginary) of floats.
        fft_length: how many numbers; an odd length cannot be seen from x. Twice its last axis less 2 when None.

    >>> import kyeo
    >>> kyeo.ops.irfft(([2.0, 1.0, 0.0], [0.0, -1.0, 0.0])).tolist()
    [1.0, 1.0, 0.0, 0.0]
    """
    length = positive_int("ops.irfft", fft_length=fft_length, optional=True)
    return jnp.fft.irfft(_complex(x, "irfft"), length)


def _pieces(x: jax.Array, length: int, stride: int) -> jax.Array:
    """Pieces of the last axis, each begun `stride` after the one before: (..., pieces, length)."""
    starts = jnp.arange((x.shape[-1] - length) // stride + 1) * stride
    return jax.vmap(lambda start: jax.lax.dynamic_slice_in_dim(x, start, length, -1), out_axes=-2)(starts)


def _fits(where: str, x: jax.Array, length: int) -> None:
    if x.ndim < 1 or (isinstance(x.shape[-1], int) and x.shape[-1] < length):
        raise problem("The signal is shorter than a piece of it.", received=x, where=where,
                      expected=f"a last axis of at least {length}")


@op
def extract_sequences(x: Any, sequence_length: int, sequence_stride: int) -> jax.Array:
    """Pieces of the last axis: (..., n) -> (..., pieces, sequence_length).

    Args:
        x: signals.
        sequence_length: how long a piece is.
        sequence_stride: how far after a piece the next begins.

    >>> import kyeo
    >>> kyeo.ops.extract_sequences([1, 2, 3, 4, 5], 3, 2).tolist()
    [[1, 2, 3], [3, 4, 5]]
    """
    x, where = to_array(x), "ops.extract_sequences"
    length = positive_int(where, sequence_length=sequence_length)
    _fits(where, x, length)
    return _pieces(x, length, positive_int(where, sequence_stride=sequence_stride))


def _sizes(where: str, sequence_length: Any, sequence_stride: Any, fft_length: Any) -> tuple[int, int, int]:
    length = positive_int(where, sequence_length=sequence_length)
    whole = positive_int(where, fft_length=fft_length)
    if whole < length:
        raise problem("A transform is at least as long as a piece.", where=where, expected=f"at least {length}",
                      received=f"fft_length={fft_length}, sequence_length={sequence_length}")
    return length, positive_int(where, sequence_stride=sequence_stride), whole


def _weights(where: str, window: Any, length: int, whole: int, dtype: Any) -> jax.Array:
    """The window in the middle of `whole` numbers; ones if there is none."""
    if window is None:
        return periodic(where, None, whole, dtype)
    left = (whole - length) // 2
    return jnp.pad(periodic(where, window, length, dtype), (left, whole - length - left))


@op
def stft(
    x: Any, sequence_length: int, sequence_stride: int, fft_length: int, window: Any = "hann", center: bool = True,
) -> Any:
    """The Fourier transform of pieces of a signal: how its frequencies change.

    Args:
        x: signals of float32, (..., n).
        sequence_length: how long the window is.
        sequence_stride: how far after a piece the next begins.
        fft_length: how long a piece is; at least `sequence_length`.
        window: "hann", "hamming", an array of `sequence_length` weights, or None.
        center: the signal is continued at both ends by its mirror image, so that piece t is around t * stride.

    Returns: a tuple (real, imaginary), each (..., pieces, fft_length // 2 + 1).

    >>> import kyeo
    >>> kyeo.ops.stft(kyeo.ops.ones(16), 4, 2, 4)[0].shape
    (9, 3)
    """
    x, where = to_array(x), "ops.stft"
    if x.dtype not in (jnp.float32, jnp.float64):
        raise problem("`stft` takes float32.", received=x, where=where, kind=TypeError, expected="float32")
    length, stride, whole = _sizes(where, sequence_length, sequence_stride, fft_length)
    _fits(where, x, whole // 2 + 1 if boolean(where, center=center) else whole)
    if center:
        x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(whole // 2, whole // 2)], "reflect")
    return _pair(jnp.fft.rfft(_pieces(x, whole, stride) * _weights(where, window, length, whole, x.dtype)))


def _overlap(pieces: jax.Array, stride: int) -> jax.Array:
    """Pieces added up, each begun `stride` after the one before: the transposed `_pieces`."""
    count, length = pieces.shape[-2:]
    whole = jax.ShapeDtypeStruct((*pieces.shape[:-2], stride * (count - 1) + length), pieces.dtype)
    return jax.linear_transpose(lambda x: _pieces(x, length, stride), whole)(pieces)[0]


@op
def istft(
    x: Any, sequence_length: int, sequence_stride: int, fft_length: int, length: int | None = None,
    window: Any = "hann", center: bool = True,
) -> jax.Array:
    """The signal whose `stft` is x. The arguments are those of `stft`.

    Args:
        x: a tuple (real, imaginary) of floats, (..., pieces, fft_length // 2 + 1).
        sequence_length: how long the window is.
        sequence_stride: how far after a piece the next begins.
        fft_length: how long a piece is.
        length: how long the result is; what the pieces cover when None.
        window: "hann", "hamming", an array of `sequence_length` weights, or None. Without a window the pieces are
            added up as they are, so every number is there as often as pieces overlap.
        center: whether the signal was continued at both ends.

    >>> import kyeo
    >>> signal = kyeo.ops.cos(kyeo.ops.arange(16.0))
    >>> again = kyeo.ops.istft(kyeo.ops.stft(signal, 8, 2, 8), 8, 2, 8)
    >>> bool(kyeo.ops.allclose(again, signal, atol=1e-5))
    True
    """
    where = "ops.istft"
    x = _complex(x, "istft", 2)
    size, stride, whole = _sizes(where, sequence_length, sequence_stride, fft_length)
    weights = _weights(where, window, size, whole, jnp.real(x).dtype)
    pieces = jnp.fft.irfft(x, whole)
    added = _overlap(pieces * weights, stride)
    covered = _overlap(jnp.broadcast_to(jnp.square(weights), pieces.shape[-2:]), stride)
    signal = added / jnp.where(covered > 1e-10, covered, 1)
    signal = signal * (whole / stride) if window is None else signal
    start = whole // 2 if boolean(where, center=center) else 0
    length = positive_int(where, length=length, optional=True)
    end = (signal.shape[-1] - start) if length is None else start + length
    return signal[..., start:end]


@op
def polar(abs_: Any, angle: Any) -> jax.Array:
    """Complex numbers of the given sizes and angles (in radians).

    >>> import kyeo
    >>> kyeo.ops.polar([2.0], [0.0]).tolist()
    [(2+0j)]
    """
    size, angle = to_array(abs_), to_array(angle)
    real, imaginary = size * jnp.cos(angle), size * jnp.sin(angle)
    return jax.lax.complex(real.astype("float32"), imaginary.astype("float32"))  # a sum would spread an infinity


@op
def view_as_complex(x: Any) -> jax.Array:
    """Pairs (real, imaginary) on the last axis as complex64: (..., 2) -> (...).

    >>> import kyeo
    >>> kyeo.ops.view_as_complex([[1.0, 2.0]]).tolist()
    [(1+2j)]
    """
    x = to_array(x)
    if x.ndim < 1 or x.shape[-1] != 2:
        raise problem("A complex number is a pair.", received=x, expected="a last axis of 2",
                      where="ops.view_as_complex")
    return x[..., 0].astype("complex64") + 1j * x[..., 1].astype("complex64")


@op
def view_as_real(x: Any) -> jax.Array:
    """Complex numbers as pairs (real, imaginary) on a new last axis: (...) -> (..., 2).

    >>> import kyeo
    >>> kyeo.ops.view_as_real([1 + 2j]).tolist()
    [[1.0, 2.0]]
    """
    x = to_array(x)
    return jnp.stack([jnp.real(x), jnp.imag(x)], -1)
