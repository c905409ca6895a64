"""SwapEMAWeights: evaluate with the moving average of the weights."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from kyeo.callbacks.base import Callback, Logs
from kyeo.core.errors import boolean, problem

__all__ = ["SwapEMAWeights"]


class SwapEMAWeights(Callback):
    """Puts the moving averages that an optimizer with `use_ema=True` keeps in place of the weights while the model is
    evaluated or predicts, and back afterwards (Polyak and Juditsky, 1992).

    Args:
        swap_on_epoch: also from the end of an epoch to the beginning of the next, so that callbacks behind this one
            (ModelCheckpoint) see the averages.

    Raises:
        ValueError: the optimizer keeps no averages.

    >>> import kyeo
    >>> optimizer = kyeo.optimizers.SGD(use_ema=True)
    >>> swap = kyeo.callbacks.SwapEMAWeights()
    """

    _state_names = ("_swapped", "_averages")

    def __init__(self, swap_on_epoch: bool = False):
        super().__init__()
        self.swap_on_epoch = boolean(self, swap_on_epoch=swap_on_epoch)
        self._swapped = False
        self._averages: list[np.ndarray] | None = None  # those that are in the model from epoch to epoch

    def _pairs(self) -> Iterator[tuple[Any, Any]]:
        """Weights and their averages."""
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        keepers = [o for o in getattr(optimizer, "optimizers", [optimizer]) if getattr(o, "use_ema", False)]
        if not keepers:
            raise problem("The optimizer keeps no moving average of the weights.", received="use_ema=False", where=self,
                          expected="an optimizer with use_ema=True", fix="compile with SGD(..., use_ema=True)")
        for keeper in keepers:
            for weight, average in zip(keeper._trainable_variables, keeper._model_variables_moving_average):
                if average is not None:
                    yield weight, average

    def _put(self, averages: bool) -> None:
        """Have the averages in the model, or the weights."""
        if averages != self._swapped:
            self._swapped = averages
            for weight, average in self._pairs():
                before = np.array(weight.value)
                weight.assign(average.value)
                average.assign(before)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if self.swap_on_epoch:
            self._put(averages=False)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.swap_on_epoch:
            self._put(averages=True)
            self._averages = [np.array(weight.value) for weight, _ in self._pairs()]

    def on_train_end(self, logs: Logs = None) -> None:
        if not self._swapped or self._averages is None:
            return
        # `fit` has put into the weights what lies where the averages belong: the weights of the last step
        for (weight, average), value in zip(self._pairs(), self._averages):
            weight.assign(value)
            average.assign(value)
        self._swapped, self._averages = False, None

    def on_train_interrupted(self) -> None:
        self._put(averages=False)

    def on_test_begin(self, logs: Logs = None) -> None:
        self._put(averages=True)

    def on_test_end(self, logs: Logs = None) -> None:
        self._put(averages=False)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._put(averages=True)

    def on_predict_end(self, logs: Logs = None) -> None:
        self._put(averages=False)
