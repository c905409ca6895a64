"""Checkpoints of several processes that train together: the first writes one file for all, and reads it to all.

So a checkpoint is whole for all of them or for none, wherever one is killed, and no folder must be shared. The state
that each has for itself (its place in its data, its callbacks) is sent to the first, unless the first has the same.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from kyeo.callbacks.checkpoint import packed, unpacked
from kyeo.core.errors import problem
from kyeo.core.processes import from_all, from_first, leads, several

__all__ = ["Team", "agreed_steps"]

_BETWEEN = 1.0  # seconds, about: each time they ask each other, the processes wait for each other
_MOST_BETWEEN = 256  # dispatches
_APART = "callbacks"  # each is compared by itself, so that one that differs is not sent with all others


class Team:
    """The processes of a training; one alone asks nobody.

    Args:
        asked: gives the signal that asked this process to stop, or None.

    >>> Team(lambda: None).joined({"step": 3}, {"random": 1})
    {'step': 3, 'random': 1}
    """

    def __init__(self, asked: Callable[[], int | None]):
        self._asked, self._several = asked, several()
        self._between, self._left, self._last = 1, 1, time.monotonic()  # dispatches, and when they asked

    @property
    def together(self) -> bool:
        """Whether there are others."""
        return self._several

    def description(self) -> dict[str, Any]:
        """What is to be the same when training goes on."""
        return {"processes": jax.process_count()} if self._several else {}

    def asked(self, now: bool = False) -> int | None:
        """The signal that asked any of the processes to stop. They ask each other about once a second, or now."""
        if not self._several:
            return self._asked()
        self._left -= 1
        if self._left > 0 and not now:
            return None
        mine = np.array([self._asked() or 0, time.monotonic() - self._last], np.float32)
        told = [np.frombuffer(data, np.float32) for data in from_all(mine.tobytes())]
        if self._left <= 0:  # all count alike, since they heard the same
            slowest = max(float(seconds) for _, seconds in told) / self._between
            self._between = int(max(1, min(_BETWEEN / (slowest + 1e-9), 4 * self._between, _MOST_BETWEEN)))
        self._left, self._last = self._between, time.monotonic()
        return max(int(number) for number, _ in told) or None

    def meet(self) -> None:
        """Come back when all processes have called this."""
        if self._several:
            from_first(b"")

    def joined(self, shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any] | None:
        """The whole tree, where this process writes it; else None."""
        if not self._several:
            return {**shared, **own}
        pieces = {f"{name}/{key}": piece for name, part in own.items() for key, piece in (
            part.items() if name == _APART else [("", part)])}
        parts = {name: _to_bytes(piece) for name, piece in pieces.items()}
        sums = [json.loads(data) for data in from_all(json.dumps(
            {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}).encode())]
        mine = sums[jax.process_index()]
        different = {name: pieces[name] for name in pieces if mine[name] != sums[0].get(name)}
        others = from_all(_to_bytes(different))
        return {**shared, **own, "others": [_from_bytes(data) for data in others[1:]]} if leads() else None

    def load(self, read: Callable[[], Any]) -> Any:
        """The tree that `read` gives the first process, with what this process had for itself."""
        if not self._several:
            return read()
        tree = _from_bytes(from_first(_to_bytes(read()) if leads() else b""))
        others = tree.pop("others", None) if tree is not None else None
        index = jax.process_index()
        for path, piece in others[index - 1].items() if others and 0 < index <= len(others) else ():
            name, _, key = path.partition("/")
            if key:
                tree[name][key] = piece
            else:
                tree[name] = piece
        return tree


def agreed_steps(batches: int | None, batch_size: int | None, steps: int) -> int:
    """How many steps all processes take in a dispatch: as many as each can.

    Args:
        batches: how many there are in an epoch, None where that is unknown.
        batch_size: rows of one.
        steps: how many this process would take.

    Raises:
        ValueError: they have another number of batches, or of another size, so they would wait for ever.
    """
    if not several():
        return steps
    told = [json.loads(data) for data in from_all(json.dumps([batches, batch_size, steps]).encode())]
    if any(row[:2] != told[0][:2] for row in told):
        each = ", ".join(f"{size} rows x {count} in process {i}" for i, (count, size, _) in enumerate(told))
        raise problem("The processes do not have the same number of batches of the same size.", received=each,
                      expected="as many in every process, since each step is taken together")
    return min(row[2] for row in told)


def _to_bytes(tree: Any) -> bytes:
    text, arrays = packed(tree)
    head = json.dumps([text, [[name, a.dtype.name, a.shape] for name, a in arrays.items()]]).encode()
    return b"".join([len(head).to_bytes(8), head, *(np.ascontiguousarray(a).tobytes() for a in arrays.values())])


def _from_bytes(data: bytes) -> Any:
    at = 8 + int.from_bytes(data[:8])
    text, known = json.loads(data[8:at])
    arrays: dict[str, np.ndarray] = {}
    for name, dtype, shape in known:
        count = math.prod(shape)
        arrays[name] = np.frombuffer(data, np.dtype(dtype), count, at).reshape(shape).copy()
        at += arrays[name].nbytes
    return unpacked(text, arrays)
