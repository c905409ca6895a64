"""Callback: who is told what happens. LazyLogs: results that stay on the device until someone reads them."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from kyeo.core.errors import problem
from kyeo.core.naming import is_kyeos
from kyeo.core.parameters import checked

__all__ = ["HOOKS", "Callback", "LazyLogs", "Logs", "plain_logs"]

Logs = Any  # results by name, or None; a subclass that declares no type may look into them without asking


class Callback:
    """Base of the objects that are told of every step of training; override what you want to hear.

    Attributes:
        model: the model that is trained, evaluated or used.
        params: "verbose", "epochs" and "steps" of the call.

    `logs` holds the results so far: of the epoch in `on_epoch_end` (validation results under "val_..."), the
    running ones of the epoch in batch hooks.

    >>> import kyeo
    >>> class Shout(kyeo.callbacks.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(epoch, logs)
    >>> kyeo.callbacks.CallbackList([Shout()]).on_epoch_end(0, {"loss": 1})
    0 {'loss': 1.0}
    """

    params: dict[str, Any] | None = None
    _model: Any = None
    _state_names: tuple[str, ...] = ()
    _ignored_hooks: tuple[Any, ...] = ()  # methods that would do nothing as this object is set up
    _resumed = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if is_kyeos(cls) and "__init__" in cls.__dict__:
            cls.__init__ = checked(cls.__init__)  # type: ignore[method-assign]

    @checked
    def __init__(self) -> None:
        self.params = None
        self._model = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def set_params(self, params: dict[str, Any]) -> None:
        """Called once before the first hook."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called once before the first hook."""
        self._model = model

    @property
    def model(self) -> Any:
        """The model that is trained, evaluated or used."""
        return self._model

    def get_state(self) -> dict[str, Any]:
        """What the callback has learnt so far, for going on later; empty where it carries nothing."""
        return {name: getattr(self, name) for name in self._state_names}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `get_state` gave; the next `on_train_begin` does not start anew."""
        unknown = set(state) ^ set(self._state_names)
        if unknown:
            raise problem("This state is not one of this callback.", received=f"keys {sorted(state)}",
                          expected=f"keys {sorted(self._state_names)}", where=self)
        for name, value in state.items():
            setattr(self, name, value)
        self._resumed = True

    def _begins_anew(self) -> bool:
        """Whether a training begins without a state to go on from."""
        anew, self._resumed = not self._resumed, False
        return anew

    def on_train_begin(self, logs: Logs = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs = None) -> None:
        """After the last epoch."""

    def on_train_interrupted(self) -> None:
        """When training ends by an exception or Ctrl-C; `on_train_end` is not called then."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """After an epoch and its validation."""

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """The older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """The older name of `on_train_batch_end`."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a training step, counted from 0 in each epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a training step."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        """Before an evaluation, also the validation inside `fit`."""

    def on_test_end(self, logs: Logs = None) -> None:
        """After an evaluation."""

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a step of evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a step of evaluation."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Before a prediction."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """After a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a step of prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a step of prediction; `logs["outputs"]` has what it gave."""


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


def plain_logs(logs: Logs) -> dict[str, Any]:
    """Logs as Python numbers, sorted by name; a metric's dict becomes entries; lazy ones are left as they are."""
    if isinstance(logs, LazyLogs):
        return logs
    plain: dict[str, Any] = {}
    for name, value in sorted((logs or {}).items()):
        plain.update(plain_logs(value) if isinstance(value, dict) else {name: _number(value)})
    return plain


def _number(value: Any) -> Any:
    if isinstance(value, float):
        return value
    if isinstance(value, jax.Array):
        value = np.asarray(value)
    single = isinstance(value, (int, np.generic, np.ndarray)) and np.ndim(value) == 0
    return float(value) if single else value


class LazyLogs(dict):
    """A dict that is filled by `fetch` when it is first read.

    >>> logs = LazyLogs(lambda: {"loss": 0.5})
    >>> logs["loss"]
    0.5
    """

    def __init__(self, fetch: Callable[[], Mapping[str, Any]]):
        # one entry, so that C code which looks at the size only (json) does not take it for an empty dict
        super().__init__({"": None})
        self._fetch: Callable[[], Mapping[str, Any]] | None = fetch

    def _fill(self) -> None:
        if self._fetch is not None:
            values, self._fetch = self._fetch(), None
            dict.clear(self)
            dict.update(self, values)

    def __bool__(self) -> bool:
        return self._fetch is not None or dict.__len__(self) > 0

    def __reduce__(self) -> Any:
        return dict, (dict(self),)

    def __missing__(self, name: Any) -> Any:
        raise problem(f"There is no `{name}` among the logs.", received=f"logs[{name!r}]", kind=KeyError,
                      expected="one of " + ", ".join(map(repr, self)),
                      fix="values of validation need validation_data" if str(name).startswith("val_") else None)


def _filled_first(name: str) -> Any:
    method = getattr(dict, name)

    def call(self: LazyLogs, *args: Any, **kwargs: Any) -> Any:
        self._fill()
        return method(self, *args, **kwargs)

    call.__name__, call.__doc__ = name, method.__doc__
    return call


for _name in (
    "__getitem__", "__setitem__", "__delitem__", "__iter__", "__len__", "__contains__", "__eq__", "__ne__",
    "__repr__", "__or__", "__ror__", "__ior__", "__reversed__", "keys", "values", "items", "get", "pop",
    "popitem", "setdefault", "update", "copy", "clear",
):
    setattr(LazyLogs, _name, _filled_first(_name))
