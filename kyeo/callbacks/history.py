"""History: the results of all epochs."""

import copy
import html
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from kyeo.callbacks.base import Callback, LazyLogs, Logs
from kyeo.core.errors import did_you_mean, problem

__all__ = ["History"]


class _Results(dict[str, list[Any]]):
    """A dict that says which names there are when asked for another ("acc" for "accuracy")."""

    def __missing__(self, name: str) -> Any:
        raise problem(f"There is no `{name}` in the history.", received=f"history[{name!r}]", kind=KeyError,
                      expected="one of " + ", ".join(map(repr, self)), fix=did_you_mean(name, self))

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


# For `jax.tree` it is a dict like any other.
jax.tree_util.register_pytree_node(
    _Results, lambda results: ([results[name] for name in sorted(results)], tuple(sorted(results))),
    lambda names, values: _Results(zip(names, values)))


_WIDTH, _HEIGHT = 240, 48  # of a curve, in pixels


def _curves(curves: list[list[Any]]) -> str:
    """Two lists of numbers as lines in one small picture (SVG): the first is blue, the second, if any, orange."""
    numbers = [[float(value) if np.ndim(value) == 0 else np.nan for value in values] for values in curves]
    finite = [value for values in numbers for value in values if np.isfinite(value)]
    if not finite:
        return ""
    low, high, longest = min(finite), max(finite), max(map(len, numbers))
    lines = []
    for values, color in zip(numbers, ("#1f77b4", "#ff7f0e"), strict=True):
        if not values:
            continue
        points = " ".join(
            f"{2 + (_WIDTH - 4) * at / max(longest - 1, 1):.1f},"
            f"{_HEIGHT - 2 - (_HEIGHT - 4) * (value - low) / ((high - low) or 1):.1f}"
            for at, value in enumerate(values) if np.isfinite(value))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>')
    return f'<svg width="{_WIDTH}" height="{_HEIGHT}">{"".join(lines)}</svg>'


def _cell(values: list[Any]) -> str:
    return f"{values[-1]:.4g}" if values and isinstance(values[-1], float) else ""


class History(Callback):
    """Records the logs of every epoch; `fit` adds one and returns it.

    Attributes:
        epoch: the numbers of the epochs, from 0.
        history: a list of values, one an epoch, by the name of the loss or metric.

    >>> import kyeo
    >>> history = kyeo.callbacks.History()
    >>> history.on_train_begin()
    >>> history.on_epoch_end(0, {"loss": 0.5})
    >>> history.on_epoch_end(1, {"loss": 0.25})
    >>> history.history
    {'loss': [0.5, 0.25]}
    """

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self._history: dict[str, list[Any]] = _Results()
        self._unread: list[Mapping[str, Any]] = []  # logs that may still be on the device

    @property
    def history(self) -> dict[str, list[Any]]:
        """A list of values, one an epoch, by the name of the loss or metric."""
        while self._unread:
            for name, value in self._unread.pop(0).items():
                self._history.setdefault(name, []).append(value)
        return self._history

    @history.setter
    def history(self, value: dict[str, list[Any]]) -> None:
        self._history, self._unread = value, []

    def __getitem__(self, name: Any) -> Any:
        raise problem("What `fit` gives is no dict.", received=f"history[{name!r}]", kind=TypeError,
                      expected="results by name in its attribute `history`", fix=f"history.history[{name!r}]")

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={values[-1]:.4g}" if isinstance(values[-1], float) else name
                         for name, values in self.history.items() if values)
        return f"<History of {len(self.epoch)} epochs{': ' + last if last else ''}>"

    def _repr_html_(self) -> str:
        """For notebooks: a row for each result, with its curve over the epochs, the training's and the validation's."""
        rows = []
        for name, values in self.history.items():
            if name.startswith("val_") and name[4:] in self.history:
                continue
            validation = self.history.get(f"val_{name}", [])
            rows.append(f"<tr><th>{html.escape(name)}</th><td>{_curves([values, validation])}</td>"
                        f"<td>{_cell(values)}</td><td>{_cell(validation)}</td></tr>")
        head = f"<tr><th></th><th>{len(self.epoch)} epochs</th><th>training</th><th>validation</th></tr>"
        return f"<table>{head}{''.join(rows)}</table>"

    def get_state(self) -> dict[str, Any]:
        return {"epoch": list(self.epoch), "history": {name: list(values) for name, values in self.history.items()}}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.epoch, self._unread, self._resumed = list(state["epoch"]), [], True
        self._history = _Results({name: list(values) for name, values in state["history"].items()})

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        self._show()

    def _show(self) -> None:
        """Put into the model what stands here, without the way back: a dropped model goes at once."""
        if self.model is not None and not self._is_shown():
            shown = copy.copy(self)
            shown._model = None
            self.model.history = shown

    def _is_shown(self) -> bool:
        """Whether the model's copy has these very lists, so that it grows by itself; a subclass may hold more."""
        shown = getattr(self.model, "history", None)
        return (type(self) is type(shown) is History and shown.epoch is self.epoch
                and shown._unread is self._unread and shown._history is self._history)

    def on_train_begin(self, logs: Logs = None) -> None:
        if self._begins_anew():
            self.epoch = self.epoch and []
            self._show()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        if logs is not None:
            self._unread.append(logs if isinstance(logs, LazyLogs) else dict(logs))
        self._show()
