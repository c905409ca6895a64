"""CallbackList: tells callbacks what happens, and only those who listen."""

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import Any

from kyeo.callbacks.backup import BackupAndRestore
from kyeo.callbacks.base import HOOKS, Callback, LazyLogs, Logs, plain_logs
from kyeo.callbacks.history import History
from kyeo.callbacks.progbar_logger import ProgbarLogger
from kyeo.core.errors import describe, problem
from kyeo.core.naming import is_kyeos
from kyeo.core.plain import warn

__all__ = ["Callback", "CallbackList", "LazyLogs"]

_BATCH_HOOKS = frozenset(name for name in HOOKS if "_batch_" in name)
_NAMES = frozenset([*HOOKS, "_ignored_hooks"])  # what decides which hooks a callback hears


def _forward(hook: str) -> Any:
    """A method of CallbackList that passes a hook on to those who listen to it."""
    def whole(self: "CallbackList", logs: Logs = None) -> None:
        logs = plain_logs(logs)
        for tell in self._listeners[hook]:
            tell(logs)

    def of_batch(self: "CallbackList", batch: int, logs: Logs = None) -> None:
        if self._listeners[hook]:
            logs = plain_logs(logs)
            for tell in self._listeners[hook]:
                tell(batch, logs)

    def of_epoch(self: "CallbackList", epoch: int, logs: Logs = None) -> None:
        of_batch(self, epoch, logs)

    forward = of_batch if "batch" in hook else of_epoch if "epoch" in hook else whole
    forward.__name__, forward.__doc__ = hook, f"Tell all callbacks that override `{hook}`."
    return forward


class CallbackList(Callback):
    """Several callbacks as one. A callback is told only of the hooks it overrides.

    Args:
        callbacks: callbacks, also in nested lists.
        add_history: add a History unless there is one; it becomes `model.history`.
        add_progbar: add a ProgbarLogger unless there is one.
        model: given to all of them.
        params: "verbose", "epochs", "steps", ...; given to all of them.

    Attributes:
        backup: the BackupAndRestore among them, or None.
        history: the History among them, or None.

    >>> import kyeo
    >>> told = kyeo.callbacks.CallbackList([kyeo.callbacks.LambdaCallback(on_train_end=print)], add_history=True)
    >>> told.on_epoch_end(0, {"loss": 1})
    >>> told.on_train_end({"loss": 0.5})
    {'loss': 0.5}
    """

    def __init__(self, callbacks: Any = None, add_history: bool = False, add_progbar: bool = False,
                 model: Any = None, **params: Any):
        super().__init__()
        self.callbacks: list[Any] = _flat(callbacks)
        for kind, wanted in ((History, add_history), (ProgbarLogger, add_progbar)):
            if wanted and not any(isinstance(c, kind) for c in self.callbacks):
                self.callbacks.append(kind())
        backups = [c for c in self.callbacks if isinstance(c, BackupAndRestore)]
        if len(backups) > 1:
            raise problem("Only one BackupAndRestore can keep the checkpoints of a training.", where="callbacks",
                          received=f"{len(backups)}, for " + ", ".join(b.backup_dir for b in backups))
        self.backup = backups[0] if backups else None
        self.history: Any = next((c for c in self.callbacks if isinstance(c, History)), None)
        self._progbar = next((c for c in self.callbacks if isinstance(c, ProgbarLogger)), None)
        heard = [(callback, _heard_by(callback)) for callback in self.callbacks]
        self._listeners: dict[str, list[Callable[..., None]]] = {
            hook: [getattr(callback, hook) for callback, hooks in heard if hook in hooks] for hook in HOOKS}
        _check_hooks(self._listeners)
        _warn_of_names(self.callbacks)
        self._heard = {hook for callback, hooks in heard if callback is not self._progbar
                       for hook in hooks & _BATCH_HOOKS}
        self.set_model(model)
        self.set_params(params)

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def set_model(self, model: Any) -> None:
        if model is None:
            return
        self._model = model
        for callback in self.callbacks:
            callback.set_model(model)

    def wants(self, mode: str) -> bool:
        """Whether a callback other than the progress bar listens to the steps of a mode: "train", "test" or
        "predict"."""
        return any(f"_{mode}_batch" in hook for hook in self._heard)

    @property
    def wants_epochs(self) -> bool:
        """Whether anyone but the History listens to single epochs."""
        return any(getattr(tell, "__func__", None) is not History.on_epoch_end
                   for edge in ("begin", "end") for tell in self._listeners[f"on_epoch_{edge}"])

    def note(self, text: str) -> None:
        """Show a note beside the live progress bar until its next update ("compiling ...")."""
        if self._progbar is not None:
            self._progbar.note(text)

    def on_train_interrupted(self) -> None:
        """Tell all callbacks that training ended by an exception."""
        for tell in self._listeners["on_train_interrupted"]:
            tell()

    on_train_begin = _forward("on_train_begin")
    on_train_end = _forward("on_train_end")
    on_epoch_begin = _forward("on_epoch_begin")
    on_epoch_end = _forward("on_epoch_end")
    on_batch_begin = _forward("on_batch_begin")
    on_batch_end = _forward("on_batch_end")
    on_train_batch_begin = _forward("on_train_batch_begin")
    on_train_batch_end = _forward("on_train_batch_end")
    on_test_begin = _forward("on_test_begin")
    on_test_end = _forward("on_test_end")
    on_test_batch_begin = _forward("on_test_batch_begin")
    on_test_batch_end = _forward("on_test_batch_end")
    on_predict_begin = _forward("on_predict_begin")
    on_predict_end = _forward("on_predict_end")
    on_predict_batch_begin = _forward("on_predict_batch_begin")
    on_predict_batch_end = _forward("on_predict_batch_end")


def _check_hooks(listeners: dict[str, list[Callable[..., None]]]) -> None:
    """Refuse methods of the user's own that cannot be called as they will be, before anything has run."""
    for hook, methods in listeners.items():
        given = [] if hook == "on_train_interrupted" else (
            ["batch"] if "batch" in hook else ["epoch"] if "epoch" in hook else []) + ["logs"]
        for method in methods:
            if str(getattr(method, "__module__", "kyeo.")).startswith("kyeo."):
                continue
            try:
                inspect.signature(method).bind(*given)
            except ValueError:  # no signature: a function of C
                continue
            except TypeError:
                raise problem("A method of this callback cannot be called.", kind=TypeError,
                              received=f"def {hook}{inspect.signature(method)}, without self",
                              expected=f"def {hook}({', '.join(['self', *given])})".replace("logs)", "logs=None)"),
                              where=getattr(method, "__self__", None)) from None


def _warn_of_names(callbacks: list[Any]) -> None:
    """Say of methods of the user's own that are named almost as a hook that nothing will call them."""
    for kind in {type(callback) for callback in callbacks if not is_kyeos(type(callback))}:
        for name in vars(kind):
            near = difflib.get_close_matches(name, HOOKS, 1, 0.85) if name.startswith("on_") else []
            if near and not hasattr(Callback, name):
                warn(f"{kind.__name__}.{name} is never called, for callbacks have no such hook. Is {near[0]} meant?")


def _flat(callbacks: Any) -> list[Any]:
    found: list[Any] = []
    for item in callbacks if isinstance(callbacks, (list, tuple)) else [callbacks] * (callbacks is not None):
        if isinstance(item, (list, tuple)):
            found += _flat(item)
        elif isinstance(item, type) or not hasattr(item, "set_model"):
            raise problem("This is not a callback.", received=describe(item), kind=TypeError,
                          expected="an object of a class derived from kyeo.callbacks.Callback",
                          fix=f"call the class: {item.__name__}(...)" if isinstance(item, type) else
                          "kyeo.callbacks.LambdaCallback(on_epoch_end=function)" if callable(item) else None)
        else:
            found.append(item)
    return found


def _heard_by(callback: Any) -> frozenset[str]:
    """The hooks that telling this callback of can do anything."""
    if is_kyeos(type(callback)) and _NAMES.isdisjoint(vars(callback)):
        kind: Any = type(callback)  # checkers do not know that classes can be hashed
        return _heard_by_kind(kind)
    return frozenset(hook for hook in HOOKS if _overrides(callback, hook))


@functools.cache
def _heard_by_kind(kind: type) -> frozenset[str]:
    """The same for our own callbacks without hooks of the object's own: 20 of 170 us for a list with a History."""
    return frozenset(hook for hook in HOOKS if _overrides(kind, hook))


def _overrides(callback: Any, hook: str) -> bool:
    """Whether telling this callback of a hook can do anything; the older names of batch hooks count too."""
    names = [hook, hook.replace("_train_batch", "_batch")] if "_train_batch" in hook else [hook]
    for name in names:
        method = getattr(callback, name, None)
        function = getattr(method, "__func__", method)
        if function not in (None, getattr(Callback, name), *getattr(callback, "_ignored_hooks", ())):
            return True
    return False
