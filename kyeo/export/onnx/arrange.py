"""Primitives that move elements: shapes, slices, padding, joining."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from kyeo.export.onnx.graph import Builder, Tensor
from kyeo.export.onnx.patterns import with_kept_axes

__all__ = ["LAZY", "WHOLE", "counted", "cut", "permuted", "spread"]


def permuted(perm: Any, values: Sequence[Any]) -> tuple[Any, ...]:
    """One value an axis, in the order in which the axes are stored."""
    return tuple(values) if perm is None else tuple(values[a] for a in perm)


def _broadcast(b: Builder, eqn: Any, x: Tensor) -> Tensor:
    """Only new axes of size 1 are made; what is repeated, is repeated by its user."""
    shape, dims = eqn.params["shape"], eqn.params["broadcast_dimensions"]
    if len(dims) == len(shape):
        return x
    kept = with_kept_axes(b, x, tuple(a for a in range(len(shape)) if a not in dims))
    if kept is not None:
        return kept
    x = b.plain(x)
    if tuple(dims[len(dims) - len(x.shape):]) == tuple(range(len(shape) - len(x.shape), len(shape))):
        return x
    sizes = b.full(x, eqn.invars[0].aval.shape).shape if len(x.shape) < len(dims) else x.shape
    return b.reshape(b.full(x, sizes), tuple(sizes[dims.index(a)] if a in dims else 1 for a in range(len(shape))))


def _iota(b: Builder, eqn: Any) -> Tensor:
    shape, axis, dtype = eqn.params["shape"], eqn.params["dimension"], np.dtype(eqn.params["dtype"])
    return b.reshape(counted(b, shape[axis], dtype), (shape[axis],) + (1,) * (len(shape) - axis - 1))


def counted(b: Builder, size: Any, dtype: Any) -> Tensor:
    """The numbers from 0 up to a size."""
    if isinstance(size, int):
        return b.const(np.arange(size), dtype)
    end = b.reshape(b.size(size), ())
    return b.cast(b.emit("Range", [b.const(0, np.int64), end, b.const(1, np.int64)], (size,), np.int64), dtype)


def _transpose(b: Builder, eqn: Any, x: Tensor) -> Tensor:
    order = eqn.params["permutation"]
    x = x if len(x.shape) == len(order) else b.full(x, eqn.invars[0].aval.shape)
    perm = tuple(order.index(a) for a in (x.perm or range(len(order))))
    out = Tensor(x.shape, x.dtype, b.name(x), perm if perm != tuple(range(len(perm))) else None, x.const, x.weight)
    return out


def _reshape(b: Builder, eqn: Any, x: Tensor) -> Tensor:
    x = b.full(x, eqn.invars[0].aval.shape)
    return b.reshape(x, eqn.outvars[0].aval.shape)


def cut(b: Builder, x: Tensor, starts: Sequence[int], ends: Sequence[Any],
        steps: Sequence[int] | None = None) -> Tensor:
    """A slice; one start, end and step an axis, in the order in which they are stored."""
    steps = steps or [1] * len(starts)
    axes = [a for a, (s, e, t) in enumerate(zip(starts, ends, steps)) if (s, t) != (0, 1) or e != x.shape[a]]
    if not axes:
        return x
    shape = tuple(-(-(e - s) // t) for s, e, t in zip(starts, ends, steps))
    inputs = [x, b.ints(*(starts[a] for a in axes)), b.sizes([ends[a] for a in axes]), b.ints(*axes)]
    inputs += [b.ints(*(steps[a] for a in axes))] if any(steps[a] != 1 for a in axes) else []
    return b.emit("Slice", inputs, shape, x.dtype, x.perm)


def _slice(b: Builder, eqn: Any, x: Tensor) -> Tensor:
    starts, ends = eqn.params["start_indices"], eqn.params["limit_indices"]
    steps = eqn.params["strides"] or (1,) * len(starts)
    return cut(b, x, *(permuted(x.perm, v) for v in (starts, ends, steps)))


def _reversed(b: Builder, eqn: Any, x: Tensor) -> Tensor:
    axes = [a for a, logical in enumerate(x.perm or range(len(x.shape))) if logical in eqn.params["dimensions"]]
    if x.const is not None or x.weight:
        return b.derive(x, lambda array: np.flip(array, tuple(axes)), x.perm)
    ends, count = [-2**31] * len(axes), len(axes)
    return b.emit("Slice", [x, b.ints(*[-1] * count), b.ints(*ends), b.ints(*axes), b.ints(*[-1] * count)], x.shape,
                  x.dtype, x.perm)


def spread(b: Builder, x: Tensor, axis: int, inside: int, value: Tensor) -> Tensor:
    """As many new elements after each one along an axis; those after the last are taken away again."""
    before, size, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1:]
    pads = [0] * (2 * len(x.shape) + 2)
    pads[axis - len(x.shape)] = inside
    x = b.emit("Pad", [b.reshape(x, (*before, size, 1, *after)), b.ints(*pads), value],
               (*before, size, inside + 1, *after), x.dtype)
    x = b.reshape(x, (*before, size * (inside + 1), *after))
    return cut(b, x, [0] * len(x.shape), [s - inside if a == axis else s for a, s in enumerate(x.shape)])


def _pad(b: Builder, eqn: Any, x: Tensor, value: Tensor) -> Tensor:
    if any(inside for _, _, inside in eqn.params["padding_config"]):
        x = b.plain(x)
        for axis, (_, _, inside) in enumerate(eqn.params["padding_config"]):
            x = spread(b, x, axis, inside, value) if inside else x
    config = permuted(x.perm, eqn.params["padding_config"])
    starts, ends = [max(lo, 0) for lo, _, _ in config], [max(hi, 0) for _, hi, _ in config]
    shape = tuple(s + lo + hi for s, lo, hi in zip(x.shape, starts, ends))
    if any(starts) or any(ends):
        x = b.emit("Pad", [x, b.ints(*starts, *ends), value], shape, x.dtype, x.perm)
    return cut(b, x, [max(-lo, 0) for lo, _, _ in config], [s - max(-hi, 0) for s, (_, hi, _) in zip(shape, config)])


def _concatenate(b: Builder, eqn: Any, *parts: Tensor) -> Tensor:
    axis, perms = eqn.params["dimension"], {t.perm for t in parts}
    perm = next(iter(perms)) if len(perms) == 1 else None
    parts = parts if len(perms) == 1 else tuple(map(b.plain, parts))
    shape = permuted(perm, eqn.outvars[0].aval.shape)
    return b.emit("Concat", parts, shape, parts[0].dtype, perm, axis=axis if perm is None else perm.index(axis))


def _stack(b: Builder, eqn: Any, *parts: Tensor) -> Tensor:
    axis, shape = eqn.params["axis"], eqn.outvars[0].aval.shape
    one = (*shape[:axis], 1, *shape[axis + 1:])
    return b.emit("Concat", [b.reshape(t, one) for t in parts], shape, parts[0].dtype, axis=axis)


def _unstack(b: Builder, eqn: Any, x: Tensor) -> list[Tensor]:
    axis, x = eqn.params["axis"], b.plain(x)
    none, rest = [0] * len(x.shape), (*x.shape[:axis], *x.shape[axis + 1:])
    return [b.reshape(cut(b, x, [k if a == axis else 0 for a in range(len(none))],
                          [k + 1 if a == axis else s for a, s in enumerate(x.shape)]), rest)
            for k in range(len(eqn.outvars))]


def _tile(b: Builder, eqn: Any, x: Tensor) -> Tensor:
    x, times = b.plain(x), eqn.params["reps"]
    return b.emit("Tile", [x, b.sizes(times)], eqn.outvars[0].aval.shape, x.dtype)


def _split(b: Builder, eqn: Any, x: Tensor) -> list[Tensor]:
    axis, sizes = eqn.params["axis"], eqn.params["sizes"]
    axis = axis if x.perm is None else x.perm.index(axis)
    edges = np.cumsum([0, *sizes]).tolist()
    whole = [0] * len(x.shape)
    return [cut(b, x, [lo if a == axis else 0 for a in range(len(whole))],
                [hi if a == axis else s for a, s in enumerate(x.shape)]) for lo, hi in itertools.pairwise(edges)]


def _dynamic_slice(b: Builder, eqn: Any, x: Tensor, *starts: Tensor) -> Tensor:
    """Starts are moved so that the whole slice lies inside, as the program has it."""
    x = b.plain(x)
    sizes = eqn.params["slice_sizes"]
    axes = [a for a, size in enumerate(sizes) if size != x.shape[a]]
    if not axes:
        return x
    places = [_place(b, starts[a], x.shape[a] - sizes[a]) for a in axes]
    start = places[0] if len(places) == 1 else b.emit("Concat", places, (len(axes),), np.int64, axis=0)
    end = b.emit("Add", [start, b.sizes([sizes[a] for a in axes])], (len(axes),), np.int64)
    return b.emit("Slice", [x, start, end, b.ints(*axes)], tuple(sizes), x.dtype)


def _place(b: Builder, start: Tensor, last: Any) -> Tensor:
    """A start between 0 and the last possible one, as a vector of one int64."""
    start = b.reshape(b.cast(start, np.int64), (1,))
    if start.const is not None and isinstance(last, int):
        return b.ints(int(np.clip(start.const.item(), 0, last)))
    low = b.emit("Max", [start, b.ints(0)], (1,), np.int64)
    return b.emit("Min", [low, b.size(last)], (1,), np.int64)


def _dynamic_update(b: Builder, eqn: Any, x: Tensor, new: Tensor, *starts: Tensor) -> Tensor:
    return _put(b, b.plain(x), b.plain(new), starts, 0)


def _put(b: Builder, x: Tensor, new: Tensor, starts: Sequence[Tensor], axis: int) -> Tensor:
    """`new` in place of a part of x, axis after axis: what is before, what is new, what is after."""
    while axis < len(x.shape) and x.shape[axis] == new.shape[axis]:
        axis += 1
    if axis == len(x.shape):
        return new
    size, at = new.shape[axis], b.ints(axis)
    start = _place(b, starts[axis], x.shape[axis] - size)
    end = b.emit("Add", [start, b.size(size)], (1,), np.int64)
    odd = tuple("part" if a == axis else s for a, s in enumerate(x.shape))
    before = b.emit("Slice", [x, b.ints(0), start, at], odd, x.dtype)
    after = b.emit("Slice", [x, end, b.ints(2**31 - 1), at], odd, x.dtype)
    middle_shape = tuple(size if a == axis else s for a, s in enumerate(x.shape))
    if middle_shape != new.shape:
        new = _put(b, b.emit("Slice", [x, start, end, at], middle_shape, x.dtype), new, starts, axis + 1)
    return b.emit("Concat", [before, new, after], x.shape, x.dtype, axis=axis)


# These take tensors as they are; those below take them with all elements stored, in any layout.
LAZY: dict[str, Any] = {
    "broadcast_in_dim": _broadcast, "iota": _iota, "transpose": _transpose, "reshape": _reshape,
    "squeeze": _reshape, "expand_dims": _reshape,
}
WHOLE: dict[str, Any] = {
    "slice": _slice, "rev": _reversed, "pad": _pad, "concatenate": _concatenate, "stack": _stack,
    "unstack": _unstack, "split": _split, "tile": _tile,
    "dynamic_slice": _dynamic_slice, "dynamic_update_slice": _dynamic_update,
}
