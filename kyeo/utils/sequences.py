"""Sequences of different lengths as one array."""

from typing import Any

import numpy as np

from kyeo.core.errors import describe, one_of, problem
from kyeo.core.parameters import checked

__all__ = ["pad_sequences"]


@checked
def pad_sequences(
    sequences: Any, maxlen: int | None = None, dtype: Any = "int32", padding: str = "pre", truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences cut off or filled up to one length.

    Args:
        sequences: lists or arrays, whose elements have the same shape.
        maxlen: the length; that of the longest where None.
        dtype: of the result; `object` for strings.
        padding: whether to fill up before ("pre") or after ("post") them.
        truncating: whether to cut off what comes before ("pre") or after ("post").
        value: what to fill up with.

    Returns: shape (sequences, maxlen, ...).

    >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2).tolist()
    [[0, 1], [2, 3], [5, 6]]
    """
    where = "utils.pad_sequences"
    before = one_of(where, ("pre", "post"), padding=padding) == "pre"
    keep_end = one_of(where, ("pre", "post"), truncating=truncating) == "pre"
    if not hasattr(sequences, "__len__") or not all(hasattr(s, "__len__") for s in sequences):
        raise problem("These are no sequences.", received=describe(sequences), expected="a list of lists or arrays",
                      where=where)
    if isinstance(value, str) and np.dtype(dtype).kind not in "OSU":
        raise problem("The value is text and the dtype is not.", received=f"dtype={dtype!r}, value={value!r}",
                      where=where, expected="dtype=object for strings of any length")
    length = max(map(len, sequences), default=0) if maxlen is None else maxlen
    shape = next((np.asarray(s).shape[1:] for s in sequences if len(s)), ())
    result = np.full((len(sequences), length, *shape), value, dtype=dtype)
    for row, sequence in zip(result, sequences):
        if len(sequence) == 0 or length == 0:
            continue
        part = np.asarray(sequence[-length:] if keep_end else sequence[:length], dtype=dtype)
        if part.shape[1:] != shape:
            raise problem("The elements have different shapes.", received=f"elements of shape {part.shape[1:]}",
                          expected=f"shape {shape}, as in the first sequence", where=where)
        row[slice(length - len(part), None) if before else slice(len(part))] = part
    return result
