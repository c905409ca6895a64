"""What `compile` makes of a metric once it has seen the shapes of labels and output.

"accuracy" has to become one of three accuracies; `Accuracy()` next to probabilities would be 0 for ever;
`Precision()` cannot compare class numbers with scores; thresholds mean probabilities, not logits. The decisions
go by shapes, never by the name of the loss.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.errors import one_of, positive_int, problem
from kyeo.core.lookup import resolve as look_up
from kyeo.core.masks import get_mask, set_mask
from kyeo.core.variable import Variable
from kyeo.metrics.accuracy import Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy
from kyeo.metrics.confusion import FalseNegatives, FalsePositives, Precision, Recall, TrueNegatives, TruePositives
from kyeo.metrics.curves import (
    AUC,
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)
from kyeo.metrics.f_score import FBetaScore
from kyeo.metrics.iou import BinaryIoU
from kyeo.metrics.metric import Metric
from kyeo.metrics.probabilistic import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from kyeo.ops.losses.pair import as_array, drop_class_axis

__all__ = ["Adapted", "kind_of_labels", "resolve"]

_ACCURACIES: dict[str, Any] = {
    "binary": BinaryAccuracy, "sparse": SparseCategoricalAccuracy, "categorical": CategoricalAccuracy,
}
_CROSSENTROPIES: dict[str, Any] = {
    "binary": BinaryCrossentropy, "sparse": SparseCategoricalCrossentropy, "categorical": CategoricalCrossentropy,
}
_BY_KIND: dict[str, dict[str, Any]] = {
    "accuracy": _ACCURACIES, "acc": _ACCURACIES, "crossentropy": _CROSSENTROPIES, "ce": _CROSSENTROPIES,
}
# Metrics that cut scores at thresholds, with the attribute that holds them.
_CUTTING = {
    BinaryAccuracy: "threshold", BinaryIoU: "threshold", FBetaScore: "threshold", AUC: None,
    PrecisionAtRecall: None, RecallAtPrecision: None, SensitivityAtSpecificity: None, SpecificityAtSensitivity: None,
} | dict.fromkeys(
    (FalseNegatives, FalsePositives, TrueNegatives, TruePositives, Precision, Recall), "thresholds")


class Adapted(Metric):
    """A metric that sees labels or scores in another form. State and name stay those of the metric inside.

    Args:
        metric: the metric.
        num_classes: turn class numbers into one-hot labels of so many classes; None leaves labels alone.
        link: "sigmoid" or "softmax" turns logits into probabilities first; None leaves scores alone.
        column: compare class numbers 0 and 1 with this column of the scores; None takes all columns.

    >>> import kyeo
    >>> from kyeo.metrics.resolve import Adapted
    >>> metric = Adapted(kyeo.metrics.Precision(), num_classes=3)
    >>> float(metric([2, 0], [[0.1, 0.1, 0.8], [0.2, 0.7, 0.1]]))
    0.5
    """

    def __init__(self, metric: Metric, num_classes: int | None = None, link: str | None = None,
                 column: int | None = None):
        super().__init__(name=metric.name, dtype=metric.dtype)
        self.metric = metric
        self.num_classes = positive_int(self, optional=True, num_classes=num_classes)
        self.link = one_of(self, (None, "sigmoid", "softmax"), link=link)
        self.column = column
        self._direction = metric._direction

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch."""
        mask, name = get_mask(y_pred), type(self.metric).__name__
        y_pred = as_array(y_pred, name="y_pred")
        if self.link is not None:
            y_pred = jax.nn.sigmoid(y_pred) if self.link == "sigmoid" else jax.nn.softmax(y_pred)
        if self.column is not None:
            y_true, y_pred = drop_class_axis(y_true, y_pred, name)
            y_pred = y_pred[..., self.column]
        elif self.num_classes is not None:
            y_true, y_pred = drop_class_axis(y_true, y_pred, name)
            y_true = y_true.astype("int32")[..., None] == jnp.arange(self.num_classes)
        set_mask(y_pred, mask)
        self.metric.update_state(y_true, y_pred, sample_weight=sample_weight)

    def result(self) -> Any:
        """The value so far."""
        return self.metric.result()

    def reset_state(self) -> None:
        """Forget every batch."""
        self.metric.reset_state()


def kind_of_labels(y_true_shape: Sequence[int | None], y_pred_shape: Sequence[int | None]) -> str:
    """"binary", "sparse" (class numbers) or "categorical" (one-hot), from the shapes of labels and output.

    >>> kind_of_labels((32,), (32, 10)), kind_of_labels((32, 10), (32, 10)), kind_of_labels((32,), (32, 1))
    ('sparse', 'categorical', 'binary')
    """
    if len(y_pred_shape) < 2 or y_pred_shape[-1] == 1:
        return "binary"
    return "sparse" if len(y_true_shape) < len(y_pred_shape) or y_true_shape[-1] == 1 else "categorical"


def resolve(
    metric: Any, y_true_shape: Sequence[int | None], y_true_dtype: Any, y_pred_shape: Sequence[int | None],
    output_activation: str | None = None, from_logits: bool = False, link: str | None = None,
) -> tuple[Any, str | None]:
    """The metric that fits labels and output, and one line to say about it, or None.

    Args:
        metric: a metric, a class, a function, a config or a name; "accuracy", "acc", "crossentropy" and "ce" go
            by the shapes.
        y_true_shape, y_true_dtype: of the labels.
        y_pred_shape: of the output.
        output_activation: the last layer's, None where it is not known.
        from_logits: whether the loss takes the output as logits. Then thresholds between 0 and 1 apply to
            probabilities; a threshold of 0 or outside of that is taken as one for logits, as in Keras.
        link: what makes probabilities of the logits; "softmax" where there are several columns by default.
    """
    if "str" in str(y_true_dtype) or str(y_true_dtype)[:1] in "<O":
        raise problem("The labels are texts.", received=f"labels of dtype {y_true_dtype}", expected="numbers",
                      fix="turn them into class numbers, `names, numbers = np.unique(y, return_inverse=True)`")
    kind = kind_of_labels(y_true_shape, y_pred_shape)
    link = None if not from_logits else link or ("sigmoid" if kind == "binary" else "softmax")
    if isinstance(metric, str) and metric.lower() in _BY_KIND:
        return _by_kind(metric, kind, from_logits), None
    found = look_up(metric, "metrics")
    if isinstance(metric, str) and isinstance(found, Metric):
        found.name = metric  # logs show a metric under the name it was asked for by
    if type(found) is Accuracy and not found.exact:
        return _fitting_accuracy(found, kind, from_logits)
    if type(found) in (Precision, Recall):
        return _fitting_ratio(found, kind, y_pred_shape, output_activation, link)
    return (Adapted(found, link=link) if link and _cuts_probabilities(found) else found), None


def _by_kind(name: str, kind: str, from_logits: bool) -> Metric:
    cls: Any = _BY_KIND[name.lower()][kind]
    if cls is BinaryAccuracy:
        return cls(name=name, threshold=0.0 if from_logits else 0.5)
    return cls(name=name) if name.lower() in ("accuracy", "acc") else cls(name=name, from_logits=from_logits)


def _fitting_accuracy(metric: Accuracy, kind: str, from_logits: bool) -> tuple[Metric, str]:
    fitting = _by_kind("accuracy", kind, from_logits)
    fitting.name = metric.name
    for name, value in vars(metric).items():  # one state: the user's own object shows the result too
        if isinstance(value, Variable) or name == "_variables":
            setattr(fitting, name, value)
    return fitting, (
        f"Accuracy() compares values exactly and would be 0 here; using {type(fitting).__name__} "
        f"(name kept: {metric.name}). Silence with Accuracy(exact=True).")


def _fitting_ratio(
    metric: Any, kind: str, y_pred_shape: Sequence[int | None], activation: str | None, link: str | None,
) -> tuple[Metric, str | None]:
    name, classes = type(metric).__name__, y_pred_shape[-1]
    link = link if _cuts_probabilities(metric) and (metric.average is None or kind == "binary") else None
    advice = f'for the usual numbers per class give {name}(average="macro"), class_id= or top_k=1.'
    if metric.average is not None or kind == "binary":
        return (Adapted(metric, link=link) if link else metric), None
    if kind == "categorical":
        several = (classes or 0) > 2 and activation != "sigmoid" and link != "sigmoid"
        plain = several and metric.class_id is None and metric.top_k is None
        announcement = (f"{name}() asks of every class whether it is above the threshold and counts all classes "
                        f"together; {advice}") if plain else None
        return (Adapted(metric, link=link) if link else metric), announcement
    if classes == 2 and metric.class_id is None and metric.top_k is None:
        return Adapted(metric, link=link, column=1), (
            f"{name}() got class numbers and two scores a row; using the score of class 1.")
    return Adapted(metric, num_classes=classes, link=link), (
        f"{name}() got class numbers, which are turned into one-hot labels: it asks of every class whether it is "
        f"above the threshold and counts all classes together; {advice}")


def _cuts_probabilities(metric: Any) -> bool:
    """Whether the metric cuts scores at thresholds that are meant for probabilities."""
    cls = next((c for c in type(metric).__mro__ if c in _CUTTING), None)
    if cls is None or getattr(metric, "from_logits", False):
        return False
    name = _CUTTING[cls]
    if name is None:
        return True
    if name == "thresholds" and metric.init_thresholds is None:
        return True
    value = getattr(metric, name)
    values = value if isinstance(value, list) else [value]
    return all(v is not None and 0 < v < 1 for v in values)
