"""A warning where a loss of the user's own compares every row with every other: labels (rows,), predictions (rows, 1).

Subtracted, these give (rows, rows). The loss falls all the same, towards predicting the mean.
"""

import re
from collections.abc import Callable
from typing import Any

import jax

from kyeo.core.plain import warn
from kyeo.core.scope import current, scope

__all__ = ["watched"]

# What JAX says where it is asked to refuse arrays of different ranks.
_SHAPES = re.compile(r"on shapes ([(),\d\s]+) and with the config option jax_numpy_rank_promotion")


def watched(compute: Callable[[], Any], rows: int, where: str) -> Any:
    """What `compute` gives; a warning if on its way arrays of shapes (rows,) and (rows, 1) met.

    Args:
        compute: calls the loss. Where arrays of different ranks meet it is called twice; state that it writes the
            first time is dropped.
        rows: how many rows the batch has.
        where: names the output and the loss.
    """
    overlay = current().overlay
    try:
        with scope(overlay=None if overlay is None else dict(overlay)) as inside, jax.numpy_rank_promotion("raise"):
            value = compute()
    except Exception as error:  # of whatever kind: without the check it comes again, or it does not
        if _has_outer(error, rows):
            warn(f"In {where}, labels and predictions of shapes ({rows},) and ({rows}, 1) meet: each row is compared "
                 f"with all {rows}. Give them one shape: y_true = kyeo.ops.reshape(y_true, kyeo.ops.shape(y_pred)).")
        return compute()
    if overlay is not None:
        overlay.update(inside.overlay or {})
    return value


def _has_outer(error: BaseException | None, rows: int) -> bool:
    while error is not None:
        found = _SHAPES.search(str(error))
        if found:
            shapes = [tuple(map(int, re.findall(r"\d+", one))) for one in re.findall(r"\(([^()]*)\)", found[1])]
            return rows > 1 and (rows,) in shapes and (rows, 1) in shapes
        error = error.__cause__ or error.__context__
    return False
