"""Gather and scatter: JAX has one form for all of them, ONNX one for indices of one axis and one for those of many."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kyeo.export.onnx.arrange import counted, cut
from kyeo.export.onnx.graph import Builder, Tensor, Unsupported

__all__ = ["FULL"]


def _mode(eqn: Any) -> str:
    return eqn.params["mode"].name if eqn.params.get("mode") is not None else "FILL_OR_DROP"


def _component(b: Builder, indices: Tensor, number: int) -> Tensor:
    """One number of each index, without the last axis."""
    rank = len(indices.shape) - 1
    part = cut(b, indices, [0] * rank + [number], [*indices.shape[:-1], number + 1])
    return b.reshape(part, indices.shape[:-1])


def _between(b: Builder, x: Tensor, last: Any) -> Tensor:
    top = b.cast(b.reshape(b.size(last), ()), x.dtype)
    low = b.elementwise("Max", [x, b.const(0, x.dtype)], len(x.shape))
    return b.elementwise("Min", [low, top], len(x.shape))


def _inside(b: Builder, parts: Sequence[Tensor], lasts: Sequence[Any]) -> Tensor:
    """Where every number of an index is between 0 and the last that fits."""
    found = []
    for part, last in zip(parts, lasts):
        top = b.cast(b.reshape(b.size(last), ()), part.dtype)
        found.append(b.elementwise("GreaterOrEqual", [part, b.const(0, part.dtype)], len(part.shape), bool))
        found.append(b.elementwise("LessOrEqual", [part, top], len(part.shape), bool))
    while len(found) > 1:
        found[:2] = [b.elementwise("And", found[:2], len(parts[0].shape))]
    return found[0]


def _unwrapped(b: Builder, index: Tensor, size: Any) -> Tensor:
    """The index before `where(i < 0, i + size, i)`: to ONNX, as to NumPy, negative ones count from the end."""
    node = b.maker(index, "Where")
    if node is None or b.maker(node.inputs[0], "Less") is None or b.maker(node.inputs[1], "Add") is None:
        return index
    less, more, old = b.maker(node.inputs[0], "Less"), b.maker(node.inputs[1], "Add"), node.inputs[2]
    assert less is not None and more is not None
    is_zero = less.inputs[1].const is not None and not less.inputs[1].const.any()
    is_size = more.inputs[1].const is not None and (more.inputs[1].const == size).all()
    same = {old.name, less.inputs[0].name, more.inputs[0].name} == {old.name}
    return old if is_zero and is_size and same and old.shape == index.shape else index


class _Plan:
    """What a gather or scatter does, in terms of the axes of the array it reads or writes."""

    def __init__(self, numbers: Any, sizes: Sequence[Any], shape: Sequence[Any], names: Sequence[str]):
        collapsed, mapped, batch = (tuple(map(int, getattr(numbers, name))) for name in names)
        # each number of an index, and its last value
        self.all = [(k, shape[a] - sizes[a]) for k, a in enumerate(mapped)]
        kept = [k for k, a in enumerate(mapped) if a in collapsed or sizes[a] != shape[a]]
        kept = kept or [*range(len(mapped))][:1]  # a whole axis begins at 0, but something must be indexed
        self.columns, mapped = [self.all[k] for k in kept], tuple(mapped[k] for k in kept)
        self.mapped, self.batch = mapped, batch
        self.sliding = [a for a in mapped if a not in collapsed]  # a window of indices
        self.left = [a for a in range(len(shape)) if a not in mapped and a not in batch]
        self.order = (*batch, *mapped, *self.left)
        self.sizes = sizes
        self.squeezed = [a for a in self.left if a in collapsed]


def _parts(b: Builder, plan: _Plan, indices: Tensor, mode: str, batch: Sequence[int]) -> tuple[list[Tensor], Any]:
    """One array of places for each indexed axis, and where an index is inside.

    Their shape: the batch, the other axes of the indices, the windows that slide.
    """
    rank = len(indices.shape) - 1
    order = (*batch, *(a for a in range(rank) if a not in batch), rank)
    indices = b.plain(Tensor(indices.shape, indices.dtype, b.name(indices)))
    indices = Tensor(*_stored(b, indices, order))
    if indices.dtype not in (np.int32, np.int64):
        indices = b.cast(indices, np.int64)
    inside = None
    if mode == "FILL_OR_DROP":
        inside = _inside(b, [_component(b, indices, k) for k, _ in plan.all], [last for _, last in plan.all])
    parts = [_component(b, indices, k) for k, _ in plan.columns]
    if mode != "PROMISE_IN_BOUNDS":
        parts = [_between(b, p, last) for p, (_, last) in zip(parts, plan.columns)]
    widths = [plan.sizes[a] for a in plan.sliding]
    for k, axis in enumerate(plan.mapped):
        if not plan.sliding:
            break
        part = b.reshape(parts[k], (*parts[k].shape, *(1,) * len(widths)))
        if axis in plan.sliding:
            at = plan.sliding.index(axis)
            steps = b.reshape(counted(b, widths[at], part.dtype), (widths[at],) + (1,) * (len(widths) - at - 1))
            part = b.elementwise("Add", [part, steps], len(part.shape))
        parts[k] = b.full(part, (*parts[k].shape, *widths))
    return parts, inside


def _stored(b: Builder, x: Tensor, order: Sequence[int]) -> tuple[Any, ...]:
    moved = b.stored(x, order)
    return moved.shape, moved.dtype, b.name(moved), None, moved.const, moved.weight


def _together(b: Builder, parts: Sequence[Tensor]) -> Tensor:
    """The places of each element along a last axis, as int64."""
    shape = parts[0].shape
    columns = [b.reshape(b.cast(p, np.int64), (*shape, 1)) for p in parts]
    if len(columns) == 1:
        return columns[0]
    return b.emit("Concat", columns, (*shape, len(parts)), np.int64, axis=len(shape))


_GATHER = ("collapsed_slice_dims", "start_index_map", "operand_batching_dims")
_SCATTER = ("inserted_window_dims", "scatter_dims_to_operand_dims", "operand_batching_dims")


def _gather(b: Builder, eqn: Any, x: Tensor, indices: Tensor) -> Tensor:
    numbers, sizes, out = eqn.params["dimension_numbers"], eqn.params["slice_sizes"], eqn.outvars[0].aval
    plan, mode = _Plan(numbers, sizes, x.shape, _GATHER), _mode(eqn)
    fill = eqn.params["fill_value"]
    fill = None if fill is None or fill != fill else fill  # not a number: a sign that something is wrong
    x = cut(b, x, [0] * len(x.shape), [sizes[a] if a in plan.left else s for a, s in enumerate(x.shape)])
    if len(plan.mapped) == 1 and not plan.sliding and not plan.batch and not plan.squeezed:
        found, order = _rows(b, plan, x, indices, mode, fill)
    else:
        found, order = _places(b, plan, x, indices, mode, fill, numbers.start_indices_batching_dims)
    if plan.squeezed:
        keep = [k for k, a in enumerate(order) if a not in plan.squeezed]
        found = b.reshape(found, tuple(found.shape[k] for k in keep))
        order = [order[k] for k in keep]
    # now the axes are in the order they were made: "i" and a number for those of the indices, numbers for the array's
    offsets = iter(sorted(a for a in order if isinstance(a, int)))
    others = iter(sorted((a for a in order if not isinstance(a, int)), key=lambda a: int(a[1:])))
    wanted = [next(offsets) if k in numbers.offset_dims else next(others) for k in range(len(out.shape))]
    perm = tuple(wanted.index(a) for a in order)
    return Tensor(found.shape, found.dtype, b.name(found), None if perm == tuple(range(len(perm))) else perm)


def _rows(b: Builder, plan: _Plan, x: Tensor, indices: Tensor, mode: str, fill: Any) -> tuple[Tensor, list[Any]]:
    """Whole rows of one axis: what an embedding reads. The runtime itself refuses numbers out of range."""
    (axis,) = plan.mapped
    index = b.reshape(_unwrapped(b, indices, x.shape[axis]), indices.shape[:-1])
    index = _unwrapped(b, index, x.shape[axis])
    index = index if index.dtype in (np.int32, np.int64) else b.cast(index, np.int64)
    inside = None
    if mode == "CLIP":
        index = _between(b, index, plan.columns[0][1])
    elif mode == "FILL_OR_DROP" and fill is not None:
        inside, index = _inside(b, [index], [plan.columns[0][1]]), _between(b, index, plan.columns[0][1])
    shape = (*x.shape[:axis], *index.shape, *x.shape[axis + 1:])
    found = b.emit("Gather", [x, index], shape, x.dtype, axis=axis)
    if inside is not None:
        inside = b.reshape(inside, (*index.shape, *(1,) * (len(x.shape) - axis - 1)))
        found = b.elementwise("Where", [inside, found, b.const(fill, x.dtype)], len(shape), x.dtype)
    return found, [*range(axis), *(f"i{k}" for k in range(len(index.shape))), *range(axis + 1, len(x.shape))]


def _places(b: Builder, plan: _Plan, x: Tensor, indices: Tensor, mode: str, fill: Any,
            batch: Sequence[int]) -> tuple[Tensor, list[Any]]:
    """Single elements, or what hangs on them, by indices of several axes."""
    parts, inside = _parts(b, plan, indices, mode, batch)
    where = _together(b, parts)
    x = Tensor(*_stored(b, x, plan.order))
    rest = x.shape[len(plan.batch) + len(plan.mapped):]
    shape = (*where.shape[:-1], *rest)
    found = b.emit("GatherND", [x, where], shape, x.dtype, batch_dims=len(plan.batch))
    if inside is not None:
        value = (np.nan if x.dtype.kind == "f" else np.iinfo(x.dtype).min) if fill is None else fill
        inside = b.reshape(inside, (*inside.shape, *(1,) * (len(shape) - len(inside.shape))))
        found = b.elementwise("Where", [inside, found, b.const(value, x.dtype)], len(shape), x.dtype)
    rank = len(indices.shape) - 1
    names: list[Any] = [f"i{k}" for k in (*batch, *(k for k in range(rank) if k not in batch))]
    return found, [*names, *plan.sliding, *plan.left]


def _scatter(reduction: str) -> Any:
    def scatter(b: Builder, eqn: Any, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
        numbers = eqn.params["dimension_numbers"]
        if numbers.operand_batching_dims:
            raise Unsupported("a scatter along a batch")
        window = iter(updates.shape[a] for a in numbers.update_window_dims)
        sizes = [1 if a in numbers.inserted_window_dims else next(window) for a in range(len(x.shape))]
        plan = _Plan(numbers, sizes, x.shape, _SCATTER)
        if any(sizes[a] != x.shape[a] for a in plan.left) or plan.squeezed:
            raise Unsupported("a scatter of parts of rows")
        parts, inside = _parts(b, plan, indices, _mode(eqn), ())
        where = _together(b, parts)
        named = dict(zip([a for a in range(len(x.shape)) if a not in numbers.inserted_window_dims],
                         numbers.update_window_dims))
        first = [a for a in range(len(updates.shape)) if a not in numbers.update_window_dims]
        order = [*first, *(named[a] for a in plan.sliding), *(named[a] for a in plan.left)]
        updates = Tensor(*_stored(b, updates, order))
        target = Tensor(*_stored(b, x, plan.order))
        if inside is not None:
            updates = _dropped(b, target, where, updates, inside, reduction)
        found = b.emit("ScatterND", [target, where, updates], target.shape, x.dtype, reduction=reduction)
        perm = None if plan.order == tuple(range(len(plan.order))) else plan.order
        return Tensor(found.shape, found.dtype, found.name, perm)

    return scatter


def _dropped(b: Builder, x: Tensor, where: Tensor, updates: Tensor, inside: Tensor, reduction: str) -> Tensor:
    """Updates that change nothing where an index is out of range."""
    inside = b.reshape(inside, (*inside.shape, *(1,) * (len(updates.shape) - len(inside.shape))))
    if reduction == "add":
        nothing = b.const(0, x.dtype)
    elif reduction == "mul":
        nothing = b.const(1, x.dtype)
    else:
        nothing = b.emit("GatherND", [x, where], updates.shape, x.dtype)
    return b.elementwise("Where", [inside, updates, nothing], len(updates.shape), x.dtype)


FULL: dict[str, Any] = {
    "gather": _gather, "scatter": _scatter("none"), "scatter-add": _scatter("add"), "scatter-mul": _scatter("mul"),
    "scatter-min": _scatter("min"), "scatter-max": _scatter("max"), "scatter_add": _scatter("add"),
    "scatter_mul": _scatter("mul"), "scatter_min": _scatter("min"), "scatter_max": _scatter("max"),
}
