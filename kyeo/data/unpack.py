"""A batch is `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`: taking it apart and putting it together."""

from typing import Any

from kyeo.core.errors import describe, problem

__all__ = ["pack_x_y_sample_weight", "unpack_x_y_sample_weight"]


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Split `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)` into three parts; None for what is not there.

    >>> unpack_x_y_sample_weight((1, 2))
    (1, 2, None)
    """
    if not isinstance(data, (tuple, list)):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise problem("A batch has too many or too few parts.",
                      received=f"{len(data)} parts: {describe(data)}",
                      expected="x, (x,), (x, y) or (x, y, sample_weight)",
                      fix="put several inputs into one list or dict: ((x1, x2), y)")
    return (*data, *(None,) * (3 - len(data)))  # type: ignore[return-value]


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """The inverse of `unpack_x_y_sample_weight`: leaves out what is None.

    >>> pack_x_y_sample_weight(1, 2)
    (1, 2)
    """
    if y is None:
        return (x,) if isinstance(x, (tuple, list)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)
