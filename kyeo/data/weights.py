"""Class weights: a weight a row, looked up by its label and multiplied with the row's own weight."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from kyeo.core.errors import describe, problem
from kyeo.core.plain import warn
from kyeo.core.settings import settings

__all__ = ["ClassWeights"]


class ClassWeights:
    """Called with a batch, gives it with the class weights multiplied into its sample weights.

    Args:
        class_weight: `{class: weight}`, or `{output: {class: weight}}` for labels in a dict.
        whole: True where the labels seen are all there are, so that a class without labels is a mistake if others
            have no weight.
    """

    def __init__(self, class_weight: Mapping[Any, Any], *, whole: bool):
        if not isinstance(class_weight, Mapping):
            balanced = ("n = np.bincount(y); class_weight = dict(enumerate(len(y) / (len(n) * n)))"
                        if isinstance(class_weight, str) else "class_weight={0: 1.0, 1: 5.0}")
            raise problem("`class_weight` is not valid.", received=f"class_weight={describe(class_weight)}",
                          kind=TypeError, expected="a dict from class (int) to weight", fix=balanced)
        self._table, self._whole, self._told = class_weight, whole, False

    def __call__(self, batch: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        x, y, weight = batch
        if y is None:
            raise problem("`class_weight` needs labels.", received="y=None", expected="an array of labels")
        if isinstance(y, dict) and set(self._table) <= set(y):
            weights = dict.fromkeys(y) if weight is None else dict(weight)
            for name, table in self._table.items():
                weights[name] = self._weigh(y[name], weights[name], table, f"y[{name!r}]")
            return x, y, _filled(y, weights)
        if isinstance(y, (dict, list, tuple)):
            raise problem("One `class_weight` for several outputs does not say which it means.",
                          received=self._table, expected="one dict an output, by the names in a dict `y`",
                          fix='class_weight={"output": {0: 1.0, 1: 5.0}}, or pass `sample_weight`')
        return x, y, self._weigh(y, weight, self._table, "y")

    def _weigh(self, y: Any, weight: Any, table: Mapping[int, float], name: str) -> np.ndarray:
        labels, known = _labels(np.asarray(y))
        present, inverse = np.unique(labels, return_inverse=True)
        found = set(present.tolist())
        possible = found if known is None else set(range(known))
        missing, extra = sorted(found - set(table)), sorted(set(table) - possible, key=str)
        wrong = {label: one for label, one in table.items() if not isinstance(one, Real) and not hasattr(one, "dtype")}
        if wrong:
            raise problem("`class_weight` is not valid.", received=f"class_weight={wrong}", kind=TypeError,
                          expected="a number for each class")
        if extra and (known is not None or (self._whole and missing)):  # a part of the data may lack a class
            raise problem(f"`class_weight` names classes that `{name}` does not have.",
                          received=f"classes {extra}", expected=f"some of {sorted(possible)[:20]}",
                          fix="{int(label): weight for label, weight in class_weight.items()}"
                          if isinstance(extra[0], str) else None)
        if missing and not self._told:
            self._told = True
            warn(f"`class_weight` has no weight for class {missing[:20]} of `{name}`: it gets 1.")
        values = np.array([table.get(label, 1.0) for label in present.tolist()], settings.floatx)
        return _times(values[inverse.reshape(labels.shape)], weight)


def _labels(y: np.ndarray) -> tuple[np.ndarray, int | None]:
    """Integer labels, and how many classes there are where the shape says it (one-hot rows)."""
    if y.ndim > 1 and y.shape[-1] != 1:
        return np.argmax(y, axis=-1), y.shape[-1]
    if y.ndim > 1:
        y = y[..., 0]
    return np.round(y).astype("int64"), None


def _times(weights: np.ndarray, given: Any) -> np.ndarray:
    if given is None:
        return weights
    given = np.asarray(given)
    axes = max(weights.ndim, given.ndim)
    weights, given = (a.reshape(a.shape + (1,) * (axes - a.ndim)) for a in (weights, given))
    return (weights * given).astype(settings.floatx)


def _filled(y: dict[str, Any], weights: dict[str, Any]) -> dict[str, Any]:
    """Ones for outputs without weights, so that every output has some."""
    return {name: np.ones(len(y[name]), settings.floatx) if w is None else w for name, w in weights.items()}
