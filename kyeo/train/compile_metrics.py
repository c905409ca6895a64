"""The metrics of `compile`, each with the output it looks at; and how messages name losses and metrics."""

import dataclasses
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp

from kyeo import metrics as metrics_room
from kyeo.core.errors import NotMaskable, describe, is_told, problem, retold
from kyeo.core.naming import snake_case
from kyeo.core.owned import Structure
from kyeo.core.plain import in_plain_words, is_ours, warn
from kyeo.core.scope import current
from kyeo.layers.complaints import explained_as, shapes_of
from kyeo.metrics.metric import Metric
from kyeo.metrics.resolve import resolve
from kyeo.train.structure import align, spread

__all__ = ["CompileMetrics", "Output", "explained"]


@dataclasses.dataclass(frozen=True)
class Output:
    """What is known of one output when the objective is built."""

    name: str | None
    shape: tuple[int | None, ...]
    activation: str | None  # "softmax", "sigmoid", "linear", or None where it is not known


class CompileMetrics(Metric):
    """All metrics of `compile` as one, as Keras has it in `model.metrics`."""

    def __init__(self, name: str = "compile_metrics"):
        super().__init__(name=name)
        self.built = False
        self._plain: list[list[Metric]] = []
        self._weighted: list[list[Metric]] = []
        self._names: list[str | None] = []
        self._nesting: Any = None

    def build(self, spec: dict[str, Any], outputs: list[Output], targets: list[Any],
              from_logits: dict[int, bool], nesting: Any = None) -> None:
        """Turn names into metrics and `Accuracy()` into the accuracy that fits the labels; say so once."""
        if self.built:
            return
        self._names, self._nesting = [o.name for o in outputs], nesting
        for key, chosen in (("metrics", self._plain), ("weighted_metrics", self._weighted)):
            for index, entry in enumerate(spread(spec[key], self._names, key, True, nesting)):
                entries = entry if isinstance(entry, (list, tuple)) else [entry] if entry is not None else []
                chosen.append([_as_metric(one, targets[index], outputs[index], from_logits.get(index, False))
                               for one in entries if one is not None])
        self.built = True
        Structure.version += 1  # metrics given as objects have their variables already; a list made before lacks them

    def of_outputs(self) -> list[list[Metric]]:
        """The metrics of each output."""
        return [plain + weighted for plain, weighted in zip(self._plain, self._weighted)]

    @property
    def metrics(self) -> list[Metric]:
        """The metrics, unweighted ones first."""
        return [m for per_output in (*self._plain, *self._weighted) for m in per_output]

    @property
    def variables(self) -> list[Any]:
        """The variables of the metrics."""
        return [v for m in self.metrics for v in m.variables]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Update each metric with its output's labels and predictions."""
        preds = jax.tree.leaves(y_pred)
        targets = align(y_true, self._names, "y", True, self._nesting)
        weights = align(sample_weight, self._names, "sample_weight", True, self._nesting) \
            if sample_weight is not None else [None] * len(preds)
        rows = current().row_mask
        for index, (target, pred, weight) in enumerate(zip(targets, preds, weights)):
            for metric in self._plain[index]:
                _update(metric, target, pred, rows, self._names[index])
            for metric in self._weighted[index]:
                _update(metric, target, pred, _times_rows(weight, rows), self._names[index])

    def by_name(self) -> dict[str, Metric]:
        """The metrics by the names of their results; the output's name goes first where there are several outputs."""
        named: dict[str, Metric] = {}
        for prefix, group in (("", self._plain), ("weighted_", self._weighted)):
            for output_name, per_output in zip(self._names, group):
                for metric in per_output:
                    named[self._free_name(metric.name, output_name, prefix, named)] = metric
        return named

    def result(self) -> dict[str, Any]:
        """Values by name."""
        return {name: metric.result() for name, metric in self.by_name().items()}

    def _free_name(self, name: str, output_name: str | None, prefix: str, taken: dict[str, Any]) -> str:
        def full(text: str) -> str:
            return f"{output_name}_{text}" if len(self._names) > 1 and output_name else text

        if full(name) not in taken:
            return full(name)
        if prefix and full(prefix + name) not in taken:
            return full(prefix + name)
        count = 1
        while full(f"{prefix}{name}_{count}") in taken:
            count += 1
        return full(f"{prefix}{name}_{count}")

    def reset_state(self) -> None:
        """Start each metric anew."""
        for metric in self.metrics:
            metric.reset_state()


def _update(metric: Metric, target: Any, pred: Any, weight: Any, output_name: str | None) -> None:
    where = f'output "{output_name}", metric {metric.name}' if output_name else f"metric {metric.name}"
    numbers = [name for name, value in vars(metric).items() if isinstance(value, (int, float, jax.Array))]
    with explained(where, target, pred):
        if weight is None:
            metric.update_state(target, pred)
        else:
            metric.update_state(target, pred, sample_weight=weight)
    for name in numbers:
        if isinstance(getattr(metric, name, None), jax.core.Tracer):  # it is gone when the step has run
            raise problem("A metric keeps its count in an attribute, which a compiled step cannot change.", where=where,
                          received=f"self.{name} = ... in `update_state`", expected="a variable", kind=TypeError,
                          fix=f'self.{name} = self.add_weight(name="{name}", initializer="zeros"), and '
                              f"self.{name}.assign_add(...)")


def _times_rows(weight: Any, rows: Any) -> Any:
    if rows is None or weight is None:
        return rows if weight is None else weight
    return weight * rows.reshape((-1,) + (1,) * (jnp.ndim(weight) - 1)).astype(weight.dtype)


def _as_metric(spec: Any, target: Any, output: Output, from_logits: bool) -> Metric:
    if target is None:
        return metrics_room.get(spec)
    metric, announcement = resolve(spec, tuple(target.shape), str(target.dtype), output.shape, output.activation,
                                   from_logits)
    if announcement:
        warn(announcement)
    if not isinstance(metric, Metric):
        metric = metrics_room.MeanMetricWrapper(fn=metric, name=spec if isinstance(spec, str) else _name_of(metric))
    return metric


def _name_of(function: Any) -> str:
    """Callbacks know results by their names, so functions and losses in `metrics` get those of Keras."""
    return getattr(function, "name", None) or snake_case(getattr(function, "__name__", type(function).__name__))


@contextmanager
def explained(where: str, y_true: Any = None, y_pred: Any = None) -> Iterator[None]:
    """Inside: what goes wrong is said to have gone wrong in this loss or metric, on these labels and predictions."""
    try:
        yield
    except NotMaskable:
        raise
    except (TypeError, ValueError, IndexError) as error:
        better = _explained(error, where, y_true, y_pred)
        if better is None:
            error.add_note(f"  in {where}")
            raise
        raise _without_padding(better) from None


def _explained(error: Exception, where: str, y_true: Any, y_pred: Any) -> Exception | None:
    if is_told(error):
        return retold(error, where)
    words = in_plain_words(error)
    if words is None and isinstance(error, TypeError) and is_ours(error):  # the call itself failed
        return problem("This loss or metric does not take what it is given.", received=str(error), where=where,
                       expected="a function (y_true, y_pred); a metric's update_state(self, y_true, y_pred, "
                                "sample_weight=None)", kind=TypeError)
    if words is None:
        return None
    received = f"y_true {shapes_of(y_true)}, y_pred {shapes_of(y_pred)}"
    return explained_as(error, "The computation of this loss or metric does not work out.", words, where, received)


def _without_padding(error: Exception) -> Exception:
    """The complaint with None for the number of rows of a batch that is filled up: the user does not know it."""
    rows = current().row_mask
    if rows is None:
        return error
    parts = error._told  # type: ignore[attr-defined]
    texts = {name: describe(parts[name]) if name == "received" and not isinstance(parts[name], str | None)
             else parts[name] for name in ("received", "expected", "fix")}
    unpadded = {name: text and re.sub(rf"\({rows.shape[0]}(?=[,)])", "(None", text) for name, text in texts.items()}
    return problem(**{**parts, **unpadded}).with_traceback(error.__traceback__)
