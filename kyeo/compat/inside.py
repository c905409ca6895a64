"""Names of Keras's inside that libraries built on it use, though they are not public: what stands for each in Kyeo.

A row is here only where Kyeo can keep what the name promises.
"""

from collections.abc import Callable
from typing import Any

__all__ = ["INSIDE"]


def _no(*args: Any, **kwargs: Any) -> bool:
    return False


def _same(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


# name -> what it is here; the module in which it is asked for does not matter
INSIDE: dict[str, Any] = {
    "in_grain_data_pipeline": _no,  # arrays of a data pipeline are NumPy's
    "in_tf_graph": _no,  # there is no TensorFlow
    "no_automatic_dependency_tracking": _same,  # what a layer owns is found when it is asked for
}
