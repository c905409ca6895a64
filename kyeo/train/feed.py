"""Feed: a source's batches in the shape the compiled step takes them, one by one or many stacked.

Where padding is allowed every batch comes with as many rows as the first, and a 0/1 mask of its real rows.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from kyeo.core.placement import rows_to_fill
from kyeo.data.source import Source, pad_batch
from kyeo.train.padding import row_mask

__all__ = ["Portion", "portions"]


class Portion(NamedTuple):
    """What one dispatch works on."""

    data: Any
    rows: np.ndarray | None  # mask of real rows, (batch,) or (steps, batch)
    steps: int
    stacked: bool


def portions(source: Source, epoch: int, per_dispatch: int, padded: bool, start: int = 0) -> Iterator[Portion]:
    """An epoch, from its `start`-th batch on, in portions of up to `per_dispatch` batches."""
    if per_dispatch == 1:
        width = rows_to_fill(source.batch_size) if padded and source.batch_size else 0
        full = row_mask(width, width) if width else None
        for batch in source.batches(epoch, start):
            if not padded:
                yield Portion(batch, None, 1, False)
                continue
            batch, real = pad_batch(batch, width)
            yield Portion(batch, full if real == width else row_mask(real, width), 1, False)
        return
    width = rows_to_fill(source.batch_size) if source.batch_size else 0
    ready = source.stacked(epoch, per_dispatch, start) if width == source.batch_size else None
    if ready is not None and (padded or (source.num_rows or 0) % width == 0):
        for batch, real in ready:
            rows = row_mask(real, per_dispatch * width).reshape(per_dispatch, width) if padded else None
            yield Portion(batch, rows, -(-real // width), True)
        return
    try:
        yield from _joined(source, source.groups(epoch, per_dispatch, start), per_dispatch, padded)
    finally:
        source.ahead = 0


def _joined(source: Source, groups: Iterator[tuple[Any, int]], per_dispatch: int, padded: bool) -> Iterator[Portion]:
    """Portions of neighbouring groups that a dispatch takes together."""
    held: list[tuple[Any, int, int]] = []
    for batch, count in groups:
        real = jax.tree.leaves(batch)[0].shape[1]
        if held and (sum(c for _, c, _ in held) + count > per_dispatch or (real != held[0][2] and not padded)):
            source.ahead += count
            yield _stacked(held, per_dispatch, source, padded)
            source.ahead -= count
            held = []
        held.append((batch, count, real))
        if sum(c for _, c, _ in held) == per_dispatch:  # before more is read: a checkpoint tells how far the source is
            yield _stacked(held, per_dispatch, source, padded)
            held = []
    if held:
        yield _stacked(held, per_dispatch, source, padded)


def _stacked(held: list[tuple[Any, int, int]], size: int, source: Source, padded: bool) -> Portion:
    """Groups joined and filled up to `size` batches of full rows; what is beyond the count is never run."""
    steps = sum(count for _, count, _ in held)
    width = rows_to_fill(source.batch_size) if padded and source.batch_size else held[0][2]
    if len(held) == 1 and steps == size and held[0][2] == width:
        rows = np.ones((size, width), "float32") if padded else None
        return Portion(held[0][0], rows, steps, True)

    def join(*parts: Any) -> np.ndarray:
        first = np.asarray(parts[0])
        out = np.zeros((size, width, *first.shape[2:]), first.dtype)
        at = 0
        for part in parts:
            count, real = part.shape[:2]
            out[at:at + count, :real] = part
            out[at:at + count, real:] = part[:, :1]  # a real row again: no strange values in the padding
            at += count
        return out

    data = jax.tree.map(join, *[batch for batch, _, _ in held])
    rows = None
    if padded:
        rows = np.zeros((size, width), "float32")
        at = 0
        for _, count, real in held:
            rows[at:at + count, :real] = 1
            at += count
    return Portion(data, rows, steps, True)
