"""Geometry of sliding windows: output sizes, padding, and when a fast formulation may be used."""

from collections.abc import Sequence

import jax

__all__ = ["on_cpu", "output_size", "pads_of", "same_pads", "static"]


def on_cpu() -> bool:
    """Whether programs are compiled for the CPU, the platform the formulations here were measured on."""
    return jax.default_backend() == "cpu"


def static(sizes: Sequence) -> bool:
    """Whether every size is a known integer (none is a symbolic dimension of `jax.export`)."""
    return all(isinstance(size, int) for size in sizes)


def output_size(size: int, window: int, stride: int, pads: tuple[int, int]) -> int:
    """Number of places a window of `window` elements takes along an axis padded by `pads`."""
    return max((size + sum(pads) - window) // stride + 1, 0)


def same_pads(size: int, window: int, stride: int) -> tuple[int, int]:
    """Padding before and after an axis for `ceil(size / stride)` outputs, the odd element after."""
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def pads_of(padding: str, sizes: Sequence[int], window: Sequence[int], strides: Sequence[int]) -> tuple:
    """One `(before, after)` pair an axis for the padding "valid" or "same"."""
    if padding == "valid":
        return ((0, 0),) * len(sizes)
    if padding == "same":
        return tuple(map(same_pads, sizes, window, strides))
    raise ValueError(f'Unknown padding. Received: padding={padding!r}. Expected: "valid" or "same".')
