"""Ops on the segments of an array: rows with the same number are reduced to one."""

from typing import Any, Protocol

import jax
import jax.numpy as jnp

from kyeo.core.arrays import to_array
from kyeo.core.errors import problem
from kyeo.ops.kernels.derivative import as_one
from kyeo.ops.kernels.settled import of_settled
from kyeo.ops.rows import Function, differ, named_op

__all__ = ["segment_max", "segment_min", "segment_prod", "segment_sum"]


class Segments(Protocol):
    """An op that reduces the rows of each segment."""

    def __call__(
        self, data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False,
    ) -> jax.Array: ...


def _checked(data: Any, segment_ids: Any, num_segments: Any, name: str) -> tuple[jax.Array, jax.Array]:
    data, ids = to_array(data), to_array(segment_ids)
    if num_segments is None:
        raise problem("The number of segments must be known.", received="num_segments=None",
                      expected="an int", where=f"ops.{name}")
    if ids.ndim != 1 or not data.ndim or differ(ids.shape[0], data.shape[0]):
        raise problem("`segment_ids` must name a segment for each row of `data`.", received=ids,
                      expected=f"shape {data.shape[:1]}", where=f"ops.{name}")
    return data, ids if ids.shape == data.shape[:1] else jnp.zeros(data.shape[:1], ids.dtype)  # one of them is open


_ARGUMENTS = """

    Args:
        data: array of any rank.
        segment_ids: the segment of each row, from 0; others are dropped.
        num_segments: how many segments the result has; needed.
        sorted: a promise that `segment_ids` rises.
"""


def _segments(name: str, fn: Function, text: str, result: str) -> Segments:
    """A row `fn(data, ids, number)`; `result` is that of 1, 2, 4 in the segments 0, 0, 1."""

    whole = as_one(2, "indices_are_sorted")(fn)

    def row(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> jax.Array:
        data, ids = _checked(data, segment_ids, num_segments, name)
        return whole(data, ids, num_segments, indices_are_sorted=sorted)

    return named_op(row, name, text + _ARGUMENTS.rstrip(), "[1, 2, 4], [0, 0, 1], num_segments=2", result)


segment_max = _segments(
    "segment_max", of_settled(jax.ops.segment_max), "Largest of each segment; an empty one has the lowest number.",
    "[2, 4]")
segment_min = _segments(
    "segment_min", of_settled(jax.ops.segment_min), "Smallest of each segment; an empty one has the highest number.",
    "[1, 4]")
segment_prod = _segments(
    "segment_prod", jax.ops.segment_prod, "Product of each segment; an empty one gives 1.", "[2, 4]")
segment_sum = _segments("segment_sum", jax.ops.segment_sum, "Sum of each segment; an empty one gives 0.", "[3, 4]")
