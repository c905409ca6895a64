"""ProgbarLogger: shows how far training, evaluation or prediction has come."""

from typing import Any

from kyeo.callbacks.base import Callback, Logs
from kyeo.core.progbar import Progbar, say

__all__ = ["ProgbarLogger"]


class ProgbarLogger(Callback):
    """The progress bar of `fit`, `evaluate` and `predict`; `verbose` and the number of steps come from there.

    >>> import kyeo
    >>> bar = kyeo.callbacks.ProgbarLogger()
    """

    def __init__(self) -> None:
        super().__init__()
        self.verbose: int = 1
        self.epochs = 1
        self.target: int | None = None
        self.seen = 0
        self.progbar: Progbar | None = None
        self._in_fit = False

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        verbose = params.get("verbose", 1)
        self.verbose = 1 if verbose == "auto" else int(verbose)
        self.epochs = params.get("epochs", 1)
        self.target = params.get("steps")

    def note(self, text: str) -> None:
        """Show a note on the live line until the next update."""
        if self.progbar is not None:
            self.progbar.note(text)

    def _start(self, label: str = "") -> None:
        self.seen = 0
        self.progbar = Progbar(self.target, verbose=self.verbose)
        if label and self.progbar.joins_label:
            self.progbar.label = label
        elif label and self.verbose:
            say(label)

    def _finish(self, logs: Logs) -> None:
        if self.progbar is not None:
            if self.target is None:  # now it is known
                self.target = self.progbar.target = self.seen
            self.progbar.update(self.seen, logs or {}, finalize=True)
            self.progbar = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._in_fit = True

    def on_train_end(self, logs: Logs = None) -> None:
        self._in_fit = False

    def on_train_interrupted(self) -> None:
        self._in_fit = False
        if self.progbar is not None:
            self.progbar.leave()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._start(f"Epoch {epoch + 1}/{self.epochs}" if self.epochs > 1 else "")

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self.seen = batch + 1
        if self.progbar is not None:
            self.progbar.update(self.seen, logs, finalize=False)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._finish(logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        if not self._in_fit:
            self._start()

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        if not self._in_fit:
            self.on_train_batch_end(batch, logs)
        elif batch == 0:
            self.note("")

    def on_test_end(self, logs: Logs = None) -> None:
        if not self._in_fit:
            self._finish(logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._start()

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        self.on_train_batch_end(batch)

    def on_predict_end(self, logs: Logs = None) -> None:
        self._finish(logs)
