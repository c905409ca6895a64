"""ModelCheckpoint: save the model, or its weights, while it trains."""

import contextlib
import hashlib
import json
import os
import string
from pathlib import Path
from typing import Any

from kyeo.callbacks.base import Logs
from kyeo.callbacks.monitor import Monitor
from kyeo.core.errors import positive_int, problem
from kyeo.core.folders import make_folder
from kyeo.core.notes import noting
from kyeo.core.plain import warn
from kyeo.core.processes import for_first, from_first, leads, several
from kyeo.core.progbar import say
from kyeo.core.scope import scope

__all__ = ["ModelCheckpoint"]


class ModelCheckpoint(Monitor):
    """Saves after every epoch, or every so many batches. A file is replaced whole or not at all; of several processes
    that train together the first writes it.

    Args:
        filepath: where; `{epoch}`, `{batch}` and names of the logs are filled in, with formats:
            "{epoch:02d}-{val_loss:.2f}.keras". Ends in ".keras", for weights only in ".weights.h5" or
            ".safetensors".
        monitor: the value that says which model is best.
        verbose: 1 prints what it does.
        save_best_only: save only when the value is better than all before, and than that of a model of the same
            shapes which an earlier training left in the file: a worse one never takes the place of a better one.
        save_weights_only: `model.save_weights` instead of `model.save`.
        mode: "min", "max" or "auto" (by the metric).
        save_freq: "epoch", or a number of batches.
        initial_value_threshold: a value that has to be beaten for the first file to be written.

    >>> import kyeo
    >>> checkpoint = kyeo.callbacks.ModelCheckpoint("best.keras", "val_accuracy", save_best_only=True)
    """

    _state_names = ("best", "_batches_since_saving", "_last_batch", "_epoch", "_seen")

    def __init__(
        self, filepath: Any, monitor: str = "val_loss", verbose: int = 0, save_best_only: bool = False,
        save_weights_only: bool = False, mode: str = "auto", save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ):
        super().__init__(monitor, mode, best=initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose, self.save_best_only, self.save_weights_only = verbose, save_best_only, save_weights_only
        self.save_freq: Any = save_freq if save_freq == "epoch" else positive_int(self, save_freq=save_freq)
        endings = (".weights.h5", ".safetensors") if save_weights_only else (".keras", ".h5")
        if not self.filepath.endswith(endings):
            raise problem("The file name has the wrong ending.", received=f"filepath={self.filepath!r}",
                          expected="a name that ends in " + " or ".join(endings), where=self)
        _check_places(self, self.filepath)
        self._batches_since_saving = 0
        self._last_batch = -1
        self._epoch = 0
        self._seen: list[str] = []  # files whose notes were read
        if self.save_freq == "epoch":  # listening to batches costs speed
            self._ignored_hooks = (ModelCheckpoint.on_train_batch_end,)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch
        self._last_batch = -1

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._batches_since_saving += batch - self._last_batch  # several, with many steps per dispatch
        self._last_batch = batch
        if self.save_freq != "epoch" and self._batches_since_saving >= self.save_freq:
            self._batches_since_saving = 0
            self._save(self._epoch, {"batch": batch + 1, **(logs or {})})

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, logs or {})

    def _save(self, epoch: int, logs: dict[str, Any]) -> None:
        try:
            path = self.filepath.format(**{"epoch": epoch + 1, **logs})
        except KeyError as error:
            raise problem("The file name asks for a value that is not there.", kind=KeyError, where=self,
                          received=f"filepath={self.filepath!r}, which has {error}",
                          expected="names among epoch, " + ", ".join(logs)) from None
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise _not_a_template(self, self.filepath, str(error)) from None
        if leads() and os.path.isdir(path):
            raise problem("The file to write is a folder.", received=f"filepath={path!r}", where=self,
                          expected="the name of a file", kind=IsADirectoryError)
        best = self.best
        if self.save_best_only and not self._is_best(epoch, logs, path):
            return
        if not self.save_best_only:
            self._say(epoch, f"saving to {path}")
        try:
            self._write(path)
        except OSError as error:
            self.best = best  # what is in the file is still the best there is
            warn(f"ModelCheckpoint could not write {path}, and training goes on without it; an older file is "
                 f"as it was.\n{error}")

    def _write(self, path: str) -> None:
        """Of several processes the first writes; all of them get to know whether it could."""
        if not several():
            self._save_to(path)
            return
        model, refused = self.model, ""
        variables = [*model.variables, *(model.optimizer.variables if model.optimizer is not None else ())]
        # of those that are divided the others have parts, so all read them, before a file is begun that may be refused
        values = {v: for_first(v._value) for v in variables if not v._value.is_fully_replicated}
        if leads():
            try:
                with scope(overlay=values) if values else contextlib.nullcontext():
                    self._save_to(path)
            except OSError as error:
                refused = f"{type(error).__name__}: {error}"
        refused = from_first(refused.encode()).decode()
        if refused:
            raise OSError(refused)

    def _save_to(self, path: str) -> None:
        make_folder(os.path.dirname(path) or ".")
        about: dict[str, Any] = {}
        if self.save_best_only and self.best is not None:
            about = {"monitor": self.monitor, "best": float(self.best), "shapes": self._shapes()}
        with noting(**about):
            (self.model.save_weights if self.save_weights_only else self.model.save)(path, overwrite=True)

    def _shapes(self) -> str:
        """Tells models of other shapes apart; the names of their weights may change from run to run."""
        return hashlib.sha256(repr([(v.shape, v.dtype) for v in self.model.variables]).encode()).hexdigest()[:16]

    def _look_into(self, path: str) -> bool:
        """Take the value of an earlier training's model in the file as the one to beat; whether there is one."""
        if path in self._seen:
            return False
        self._seen.append(path)
        found = self.model._noted_in(Path(path)) if leads() else {}
        if several():
            found = json.loads(from_first(json.dumps(found).encode()))
        best = found.get("best")
        same = (found.get("monitor"), found.get("shapes")) == (self.monitor, self._shapes()) and isinstance(best, float)
        if not same or not self.improves(best, self.best):
            return False
        self.best = best
        return True

    def _is_best(self, epoch: int, logs: dict[str, Any], path: str) -> bool:
        if self.save_freq != "epoch" and self.monitor not in logs:
            if not self._warned:
                self._warned = True
                warn(f"ModelCheckpoint cannot tell the best: `{self.monitor}` is not known after a "
                     "batch. It saves every time.")
            return True
        current = self.value_in(logs)
        if current is None:  # no validation in this epoch: keep the best file, if there is one
            return self.best is None
        earlier = self._look_into(path)
        before = "nothing" if self.best is None else f"{self.best:.5f}"
        if not self.improves(current, self.best):
            if earlier:
                warn(f"{path} holds a model of an earlier training with {self.monitor} = {before}. It stays until this "
                     "training does better; remove the file, or name another one, to begin anew.")
            self._say(epoch, f"{self.monitor} did not improve from {before}")
            return False
        self._say(epoch, f"{self.monitor} improved from {before} to {current:.5f}, saving to {path}")
        self.best = current
        return True

    def _say(self, epoch: int, text: str) -> None:
        if self.verbose > 0:
            say(f"Epoch {epoch + 1}: {text}")


def _check_places(owner: Any, filepath: str) -> None:
    """Refuse what can be filled in by no epoch, before there is one."""
    try:
        places = [(name, form) for _, name, form, _ in string.Formatter().parse(filepath) if name is not None]
        for name, form in places:
            if name in ("epoch", "batch") and "{" not in (form or ""):
                format(1, form or "")
    except ValueError as error:
        raise _not_a_template(owner, filepath, str(error)) from None
    if any(not name or name[0].isdigit() for name, _ in places):
        raise _not_a_template(owner, filepath, "a place without a name")


def _not_a_template(owner: Any, filepath: str, why: str) -> Exception:
    return problem("The file name cannot be filled in.", received=f"filepath={filepath!r}: {why}", where=owner,
                   expected='names in braces, with a format where wanted: "{epoch:02d}-{val_loss:.2f}.keras"',
                   fix="write {{ and }} for braces that are part of the name")
