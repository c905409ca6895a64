"""Primitives that combine elements along axes: sums, maxima, running sums, sorting."""

from typing import Any

import numpy as np

from kyeo.export.onnx.arrange import cut
from kyeo.export.onnx.graph import Builder, Tensor, Unsupported

__all__ = ["FULL", "WHOLE"]


def _rest(x: Tensor, axes: Any) -> tuple[Any, Any, Any]:
    """Where the axes are stored, the shape without them, and the order of those left."""
    perm = x.perm or tuple(range(len(x.shape)))
    stored = tuple(a for a, logical in enumerate(perm) if logical in axes)
    left = [logical for logical in perm if logical not in axes]
    order = tuple(sorted(left).index(logical) for logical in left)
    shape = tuple(s for a, s in enumerate(x.shape) if a not in stored)
    return stored, shape, None if order == tuple(range(len(order))) else order


def _reduction(op: str) -> Any:
    def reduce(b: Builder, eqn: Any, x: Tensor) -> Tensor:
        axes = tuple(eqn.params["axes"])
        stored, shape, perm = _rest(x, axes)
        kind = x.dtype
        wide = b.cast(x, np.int32) if kind.kind in "bu" or kind.itemsize < 2 else x
        if not axes:
            return x
        out = b.emit(op, [wide, b.ints(*stored)], shape, wide.dtype, perm, axes, keepdims=0)
        return b.cast(out, kind)

    return reduce


def _arg(op: str) -> Any:
    def found(b: Builder, eqn: Any, x: Tensor) -> Tensor:
        stored, shape, perm = _rest(x, eqn.params["axes"])
        x = b.cast(x, np.int32) if x.dtype.kind in "bu" else x
        out = b.emit(op, [x], shape, np.int64, perm, axis=stored[0], keepdims=0)
        return b.cast(out, eqn.params["index_dtype"])

    return found


def _cumsum(b: Builder, eqn: Any, x: Tensor) -> Tensor:
    axis = b.const(eqn.params["axis"], np.int64)
    return b.emit("CumSum", [x, axis], x.shape, x.dtype, reverse=int(eqn.params["reverse"]))


def _running(op: str, start: Any) -> Any:
    """Doubling: after k rounds an element has seen the 2^k before it."""

    def run(b: Builder, eqn: Any, x: Tensor) -> Tensor:
        axis, back = eqn.params["axis"], eqn.params["reverse"]
        size, shift, rank = x.shape[axis], 1, len(x.shape)
        value = b.const(start(x.dtype), x.dtype)
        while shift < size:
            pads = [0] * (2 * rank)
            pads[axis + rank * back] = shift
            lo, hi = (shift, 0) if back else (0, size - shift)
            part = cut(b, x, [lo if a == axis else 0 for a in range(rank)],
                       [(hi or size) if a == axis else s for a, s in enumerate(x.shape)])
            moved = b.emit("Pad", [part, b.ints(*pads), value], x.shape, x.dtype)
            x = b.elementwise(op, [x, moved], rank)
            shift *= 2
        return x

    return run


def _lowest(dtype: np.dtype) -> Any:
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def _highest(dtype: np.dtype) -> Any:
    return np.inf if dtype.kind == "f" else np.iinfo(dtype).max


def _top(b: Builder, x: Tensor, count: Any, axis: int, largest: bool) -> tuple[Tensor, Tensor]:
    """Sorted values and where they were."""
    kind = x.dtype
    x = b.cast(x, np.int32) if kind.kind in "bu" else x
    shape = tuple(count if a == axis else s for a, s in enumerate(x.shape))
    values, places = (Tensor(shape, np.dtype(d), b.unique(f"{b.where}/TopK".lstrip("/"))) for d in (x.dtype, np.int64))
    b.add("TopK", [x, b.size(count)], [values, places], axis=axis, largest=int(largest), sorted=1)
    return b.cast(values, kind), places


def _sort(b: Builder, eqn: Any, *arrays: Tensor) -> list[Tensor]:
    if eqn.params["num_keys"] != 1:
        raise Unsupported("sorting by more than one key")
    axis = eqn.params["dimension"]
    first, places = _top(b, arrays[0], arrays[0].shape[axis], axis, False)
    return [first, *(b.emit("GatherElements", [a, places], a.shape, a.dtype, axis=axis) for a in arrays[1:])]


def _top_k(b: Builder, eqn: Any, x: Tensor) -> list[Tensor]:
    values, places = _top(b, x, eqn.params["k"], eqn.params.get("axis", len(x.shape) - 1) % len(x.shape), True)
    return [values, b.cast(places, eqn.outvars[1].aval.dtype)]


WHOLE: dict[str, Any] = {
    "reduce_sum": _reduction("ReduceSum"), "reduce_prod": _reduction("ReduceProd"),
    "reduce_max": _reduction("ReduceMax"), "reduce_min": _reduction("ReduceMin"),
    "reduce_and": _reduction("ReduceMin"), "reduce_or": _reduction("ReduceMax"),
    "argmax": _arg("ArgMax"), "argmin": _arg("ArgMin"),
}
FULL: dict[str, Any] = {
    "cumsum": _cumsum, "cummax": _running("Max", _lowest), "cummin": _running("Min", _highest),
    "cumprod": _running("Mul", lambda dtype: 1), "sort": _sort, "top_k": _top_k,
}
