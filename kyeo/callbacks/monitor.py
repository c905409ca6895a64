"""Monitor: the half that EarlyStopping, ModelCheckpoint and ReduceLROnPlateau share: is this value better?"""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from kyeo.callbacks.base import Callback
from kyeo.core.errors import number, one_of, problem
from kyeo.core.plain import warn

__all__ = ["Monitor"]


class Monitor(Callback):
    """Watches one value of the logs.

    Args:
        monitor: its name ("val_loss").
        mode: "min", "max", or "auto": by the metric of that name (a loss is to be small).
        min_delta: a change of less than this counts for nothing.
        best: the value to beat from the start.

    Attributes:
        monitor_op: the comparison by which a value is better than another; None until the first one is compared.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0, best: float | None = None):
        super().__init__()
        self.monitor = monitor
        self.mode = one_of(self, ("auto", "min", "max"), mode=mode)
        self.min_delta = abs(number(self, min_delta=min_delta))
        self.best = best
        self.monitor_op: Callable[[Any, Any], Any] | None = None
        self._warned = False

    def value_in(self, logs: Mapping[str, Any]) -> Any:
        """The watched value; None where validation did not run this time; an unknown name is an error."""
        if self.monitor in logs:
            return logs[self.monitor]
        base = self.monitor.removeprefix("val_")
        validated = any(name.startswith("val_") for name in logs)
        may_come = (self.params or {}).get("validation", True)  # it is not time yet, by validation_freq
        if self.monitor == base or base not in logs or validated or not may_come:
            raise problem(f"`{self.monitor}` is not among the results.", received=f"monitor={self.monitor!r}",
                          expected="one of " + ", ".join(repr(name) for name in logs), where=self,
                          fix=None if self.monitor == base or validated else "pass validation_data to fit")
        if not self._warned:
            self._warned = True
            warn(f"{type(self).__name__} watches `{self.monitor}`, and no validation ran in this "
                 f"epoch; there are {', '.join(logs)}.")
        return None

    def improves(self, value: Any, reference: Any) -> bool:
        """Whether `value` is better than `reference` by more than `min_delta`."""
        if self.monitor_op is None:
            self.monitor_op = operator.lt if self._small_is_good() else operator.gt
        if reference is None:
            return True
        margin = self.min_delta if self.monitor_op(0, 1) else -self.min_delta
        return bool(self.monitor_op(value + margin, reference))

    def _small_is_good(self) -> bool:
        if self.mode != "auto":
            return self.mode == "min"
        name = self.monitor.removeprefix("val_")
        named: dict[str, Any] = {}
        for metric in getattr(self.model, "metrics", ()):
            named.update(metric.by_name() if hasattr(metric, "by_name") else {metric.name: metric})  # the compiled ones
        way = "down" if name == "loss" else getattr(named.get(name), "_direction", None)
        if way is None:
            raise problem(f"It is not known whether a small or a large `{self.monitor}` is good.",
                          received=f"mode='auto', monitor={self.monitor!r}", where=self,
                          expected="mode='max' for scores, mode='min' for errors")
        return way == "down"
