"""Sliding windows: their geometry, taking them apart into strided slices, and putting slices together."""

import itertools
from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array, lax

from kyeo.core.scope import current

__all__ = [
    "Pads", "Sizes", "covered", "fitted", "interleave", "on_cpu", "output_size", "padded", "pads_of",
    "pads_of_transpose", "places", "same_pads", "side_by_side", "slices", "spans", "spread", "static", "turned",
    "without",
]

Sizes: TypeAlias = tuple[int, ...]
Pads: TypeAlias = tuple[tuple[int, int], ...]


def on_cpu() -> bool:
    """Whether programs are compiled for the CPU, the platform the formulations here were measured on.

    Not while a program is traced for a file that another engine will run, nor for its shapes alone: the plain forms
    are traced in less than half the time (making the tutorial's CNN 90 -> 70 ms).
    """
    now = current()
    return jax.default_backend() == "cpu" and not now.plain and not now.symbolic


def static(sizes: Sequence) -> bool:
    """Whether every size is a known integer (none is a symbolic dimension of `jax.export`)."""
    return all(isinstance(size, int) for size in sizes)


def spans(window: Sizes, dilation: Sizes) -> Sizes:
    """How many elements a window reaches over on each axis."""
    return tuple((k - 1) * d + 1 for k, d in zip(window, dilation))


def output_size(size: int, window: int, stride: int, pads: tuple[int, int]) -> int:
    """Number of places a window of `window` elements takes along an axis padded by `pads`."""
    return max((size + sum(pads) - window) // stride + 1, 0)


def same_pads(size: int, window: int, stride: int) -> tuple[int, int]:
    """Padding before and after an axis for `ceil(size / stride)` outputs, the odd element after."""
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def pads_of(padding: str, sizes: Sequence[int], window: Sequence[int], strides: Sequence[int]) -> Pads:
    """One `(before, after)` pair an axis for the padding "valid" or "same"."""
    if padding == "valid":
        return ((0, 0),) * len(sizes)
    if padding == "same":
        return tuple(map(same_pads, sizes, window, strides))
    raise ValueError(f'Unknown padding. Received: padding={padding!r}. Expected: "valid" or "same".')


def pads_of_transpose(pads: Pads, reach: Sequence[int]) -> Pads:
    """The padding of the transpose of a convolution with these pads, whose windows reach over so many elements; and
    the other way round."""
    return tuple((k - 1 - lo, k - 1 - hi) for k, (lo, hi) in zip(reach, pads))


def turned(kernel: Array) -> Array:
    """The kernel of a convolution's transpose: the window turned round, channels and filters in each other's place; and
    the other way round."""
    return lax.rev(kernel, tuple(range(kernel.ndim - 2))).swapaxes(-1, -2)


def places(window: Sizes) -> itertools.product:
    """Every place in a window, in row-major order."""
    return itertools.product(*map(range, window))


def padded(x: Array, pads: Sequence[tuple[int, int]], fill: Any = 0) -> Array:
    """`x` with so much `fill` before and after each spatial axis; less than nothing cuts off."""
    if not any(map(any, pads)):
        return x
    return lax.pad(x, jnp.array(fill, x.dtype), [(0, 0, 0), *((*pad, 0) for pad in pads), (0, 0, 0)])


def covered(outs: Sequence[int], strides: Sizes) -> Sizes:
    """Over how many elements those at the same place of so many windows lie, on each axis."""
    return tuple(max(n - 1, 0) * s + min(n, 1) for n, s in zip(outs, strides))


def slices(x: Array, fill: Any, window: Sizes, strides: Sizes, pads: Pads,
           dilation: Sizes | None = None) -> list[Array]:
    """One array per place in the window: that element of every window, `fill` in the padding."""
    dilation = dilation or (1,) * len(window)
    outs = tuple(map(output_size, x.shape[1:-1], spans(window, dilation), strides, pads))
    x, lengths = padded(x, pads, fill), covered(outs, strides)

    def at(place: Sizes) -> Array:
        offset = [k * d for k, d in zip(place, dilation)]
        ends = tuple(o + n for o, n in zip(offset, lengths))
        return lax.slice(x, (0, *offset, 0), (x.shape[0], *ends, x.shape[-1]), (1, *strides, 1))

    return list(map(at, places(window)))


def spread(parts: list[Array], window: Sizes, strides: Sizes, pads: Pads, sizes: Sizes) -> Array:
    """The transpose of `slices`: add every part back to the elements it was taken from.

    Parts whose places agree modulo the strides meet in the same elements; each such phase is summed (the
    earliest window first) and the phases are interleaved by one transposition.
    """
    outs = parts[0].shape[1:-1]
    lengths = tuple(n - 1 - (-k // s) for n, k, s in zip(outs, window, strides))
    phases: dict[Sizes, Array] = {}
    for offset, part in reversed(list(zip(places(window), parts))):
        phase, shift = zip(*(divmod(o, s)[::-1] for o, s in zip(offset, strides)))
        part = padded(part, [(q, n - q - m) for q, n, m in zip(shift, lengths, outs)])
        phases[phase] = phases[phase] + part if phase in phases else part
    empty = jnp.zeros_like(part)
    whole_phases = [phases.get(phase, empty) for phase in places(strides)]
    return fitted(interleave(whole_phases, strides), pads, sizes)


def fitted(x: Array, pads: Pads, sizes: Sequence[int]) -> Array:
    """What windows saw of an array of these sizes, as such an array: the padding cut off, and zeros where they did not
    reach the end."""
    return padded(x, [(-lo, n + lo - m) for (lo, _), n, m in zip(pads, sizes, x.shape[1:-1])])


def interleave(phases: list[Array], strides: Sizes) -> Array:
    """Put together the arrays that hold every `strides`-th element, given in row-major order of offset."""
    if len(phases) == 1:
        return phases[0]
    rank = len(strides)
    batch, *sizes, channels = phases[0].shape
    stacked = jnp.stack(phases).reshape(*strides, batch, *sizes, channels)
    order = [rank, *itertools.chain.from_iterable((rank + 1 + i, i) for i in range(rank)), 2 * rank + 1]
    return stacked.transpose(order).reshape(batch, *(n * s for n, s in zip(sizes, strides)), channels)


def side_by_side(x: Array, strides: Sizes) -> Array:
    """Put the elements of small blocks in their places: (batch, *sizes, *strides, channels) to the sizes times the
    strides."""
    rank = len(strides)
    order = [0, *itertools.chain.from_iterable((1 + i, 1 + rank + i) for i in range(rank)), 1 + 2 * rank]
    return x.transpose(order).reshape(x.shape[0], *(n * s for n, s in zip(x.shape[1:], strides)), x.shape[-1])


def without(pads: Pads, sizes: Sequence[int], x: Array) -> Array:
    """What lies behind the padding before each axis, of these sizes."""
    begins = [lo for lo, _ in pads]
    return lax.slice(x, (0, *begins, 0), (x.shape[0], *(lo + n for lo, n in zip(begins, sizes)), x.shape[-1]))
