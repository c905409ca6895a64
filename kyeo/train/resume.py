"""Going on with a training in another process: what a checkpoint holds, and how it is put back.

It is taken between two steps, when the variables hold whole values and every callback has been told.
"""

import random
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from kyeo.callbacks.backup import BackupAndRestore
from kyeo.callbacks.callback import CallbackList
from kyeo.core.errors import problem
from kyeo.core.plain import warn
from kyeo.core.processes import for_first, leads
from kyeo.core.progbar import say
from kyeo.core.settings import settings
from kyeo.core.variable import Variable
from kyeo.data.source import Source
from kyeo.train.identity import differences, flat_description, rates_among
from kyeo.train.signals import SafePoints, ending
from kyeo.train.team import Team

__all__ = ["Place", "Progress"]

_SHOWN = 10  # differences in a message
_PARTS = "where a callback compiles the model anew, give each `compile` a `fit` and a folder of its own"


class Place(NamedTuple):
    """How far training has come: `step` steps of an epoch are done; `trained`: all of them, and their logs stand."""

    epoch: int
    step: int = 0
    trained: bool = False
    logs: Mapping[str, Any] | None = None


class Progress:
    """Takes checkpoints of a training and puts them back; does nothing without a BackupAndRestore.

    Args:
        model: the model.
        source: the batches to train on.
        validation: those to validate on, or None.
        callbacks: all callbacks.
        safe: knows the signal that asked to stop.
    """

    def __init__(self, model: Any, source: Source, validation: Source | None, callbacks: CallbackList,
                 safe: SafePoints):
        self._model, self._source, self._validation = model, source, validation
        self._callbacks, self._safe, self._team = callbacks, safe, Team(lambda: safe.asked)
        self._asked = self._team.asked
        self._backup: BackupAndRestore | None = callbacks.backup
        self._run = flat_description(model, source, validation) | self._team.description() if self._backup else {}
        self._tree: Any = None
        self._validation_state: Any = None
        self._kept: set[Variable] = set()
        self._shapes: list[tuple[int, ...]] | None = None  # of the variables in a checkpoint
        self._done = 0
        self.jobs: list[Any] = []  # those that look at their first batch before they begin

    @property
    def listens(self) -> bool:
        """Whether steps are to be told of: checkpoints are kept, or no process may leave without the others."""
        return self._backup is not None or self._team.together

    # -- putting back --------------------------------------------------------------------------------------
    def load(self, first: int) -> Place:
        """Where to begin: at the newest checkpoint, else at epoch `first`. Callbacks get their state, so that they
        do not begin anew."""
        self._tree = self._team.load(self._backup.load) if self._backup is not None else None
        if self._tree is not None and not _is_of_training(self._tree):
            assert self._backup is not None
            raise problem("The checkpoint is not one of a training.", received="something else, with right checksums",
                          where=f"backup_dir={self._backup.backup_dir!r}", fix="use another folder")
        if self._tree is None or self._tree["epoch"] < first:
            self._tree = None
            return Place(first)
        self._compare(self._tree["run"])
        tree = self._tree
        self._restore_callbacks(tree["callbacks"])
        self._done = tree["step"]
        return Place(tree["epoch"], tree["step"], tree["trained"], tree["logs"])

    def restore(self) -> None:
        """Put the rest back, over whatever the hooks at the beginning did."""
        tree, self._tree = self._tree, None
        if tree is None:
            return
        for job in self.jobs:
            job.settle()
        self._check_variables(tree["variables"])
        self._restore_callbacks(tree["callbacks"])
        for callback in self._callbacks.callbacks:
            callback._resumed = False
        layers = list(self._model._flatten_layers())
        for layer, trainable in zip(layers, tree["trainable"], strict=True):
            if layer.trainable != trainable:
                layer.trainable = trainable
        for variable, value in zip(_variables(self._model), _taken_from(tree["variables"]), strict=True):
            if variable not in self._kept:
                variable.assign(value)
        self._source.restore(tree["source"], tree["step"])
        if self._validation is not None:
            self._validation.restore(tree["validation"], 0)
        _set_random_state(tree["random"])
        self._model.stop_training = tree["stopped"]
        place = f"epoch {tree['epoch'] + 1}" + f", step {tree['step']}" * bool(tree["step"])
        if self._callbacks.params.get("verbose"):
            say(f"Training goes on from the checkpoint at {place}.")

    def _check_variables(self, values: list[Any]) -> None:
        """Refuse a checkpoint of a model that a callback had compiled anew: nobody knows here how."""
        then, now = list(map(np.shape, values)), [tuple(v.shape) for v in _variables(self._model)]
        if then == now:
            self._shapes = now
            return
        assert self._backup is not None
        raise problem("The checkpoint has other variables than the model has as training begins.",
                      received=f"{len(then)} variables" + ", of other shapes" * (len(then) == len(now)),
                      expected=f"{len(now)} variables", where=f"backup_dir={self._backup.backup_dir!r}", fix=_PARTS)

    def _restore_callbacks(self, states: dict[str, Any]) -> None:
        for name, callback in _named(self._callbacks):
            if name in states:
                callback.set_state(states[name])

    def _compare(self, then: dict[str, Any]) -> None:
        """Refuse another training; keep what the user chose anew for this one, and say so."""
        refused, chosen = differences(then, self._run)
        if refused:
            more = [f"and {len(refused) - _SHOWN} more"] if len(refused) > _SHOWN else []
            assert self._backup is not None
            raise problem("The checkpoint is of another training, so it is not gone on with.",
                          received="\n            ".join(refused[:_SHOWN] + more),
                          where=f"backup_dir={self._backup.backup_dir!r}",
                          expected="the model, the data and the batch size it was made with",
                          fix="use another folder, or delete this one to begin anew")
        self._kept = rates_among(self._model.optimizer, chosen)
        if chosen:
            warn("Training goes on from the checkpoint with what this program chooses anew: "
                 + "; ".join(chosen.values()) + ".")

    # -- taking --------------------------------------------------------------------------------------------
    def begin(self, place: Place) -> None:
        """Training begins. That is saved too: it says how long the log files are that it adds to."""
        if self._backup is not None and self._tree is None:
            for job in self.jobs:
                job.settle()  # metrics may make variables, which `restore` looks for
            self._save(place)
            self._backup.began()

    def after_step(self, epoch: int, done: int, logs: Any) -> None:
        """After a dispatch and its callbacks: save if it is time, and leave if that was asked for."""
        steps, self._done = done - self._done, done
        due = self._backup is not None and self._backup.is_due(steps)
        asked = self._asked(due)
        if due or asked is not None:
            self._save(Place(epoch, done, logs=jax.device_get(logs)), asked=asked)

    def before_validation(self) -> None:
        """An epoch's steps are done."""
        self._validation_state = self._state_of_validation() if self._backup is not None else None

    def while_validating(self, place: Place) -> None:
        """After a step of validation: leave if that was asked for. Validation begins anew when training goes on."""
        asked = self._asked()
        if asked is not None:
            self._save(place, self._validation_state, asked)

    def after_epoch(self, epoch: int) -> None:
        """After an epoch, its validation and its callbacks."""
        self._done = 0
        if self.listens:
            self._save(Place(epoch + 1), asked=self._asked(True))

    def finish(self) -> None:
        """After the last callback was told of the end."""
        if self._backup is not None and leads():
            self._backup.finish()

    def close(self) -> None:
        """Wait for what is being written, however training ends."""
        if self._backup is not None:
            self._backup.close()

    def _save(self, place: Place, validation: Any = None, asked: int | None = None) -> None:
        """Take a checkpoint, if they are kept, and leave, if that was asked for."""
        if asked is not None:
            self._safe.heeded()
        if self._backup is not None:
            self._take(self._backup, place, validation)
        if asked is None:
            return
        if self._backup is not None:
            self._backup.settle()
        self._team.meet()
        name = signal.Signals(asked).name
        say(f"Training stopped by {name}; " + ("nothing of it is saved." if self._backup is None else
            f"it is saved in {self._backup.backup_dir}. Start the same script again to go on."))
        raise ending(asked, self._backup is not None)

    def _take(self, backup: BackupAndRestore, place: Place, validation: Any) -> None:
        model, variables = self._model, _variables(self._model)
        self._watch([tuple(v.shape) for v in variables])
        backup.before_save()
        tree = {
            **place._asdict(), "stopped": bool(model.stop_training),
            "logs": None if place.logs is None else dict(place.logs),
            # copies: steps overwrite the buffers
            "variables": [for_first(v._value) for v in variables],
            "trainable": [bool(layer.trainable) for layer in model._flatten_layers()],
        }
        own = {
            "run": self._run, "source": self._source.state(),
            "validation": validation if validation is not None else self._state_of_validation(),
            "callbacks": {name: callback.get_state() for name, callback in _named(self._callbacks)},
            "random": _random_state(),
        }
        number = place.step if not place.trained else 10**8 - 1
        whole = self._team.joined(tree, own)
        if whole is not None:
            backup.save((place.epoch, number), whole)

    def _watch(self, shapes: list[tuple[int, ...]]) -> None:
        """Say so at once where no process will find these variables again."""
        if shapes != (self._shapes or shapes):
            warn("The model has other variables than when training began: a checkpoint of it cannot be gone on with; "
                 f"{_PARTS}.")
        self._shapes = shapes

    def _state_of_validation(self) -> Any:
        return self._validation.state() if self._validation is not None else {}


def _is_of_training(tree: Any) -> bool:
    """Whether a tree has the parts that a checkpoint is written with."""
    kinds = {"epoch": int, "step": int, "trained": bool, "stopped": bool, "variables": list, "trainable": list,
             "run": dict, "source": object, "validation": object, "callbacks": dict, "random": dict, "logs": object}
    return isinstance(tree, dict) and all(name in tree and isinstance(tree[name], kind) for name, kind in kinds.items())


def _taken_from(values: list[Any]) -> Iterator[Any]:
    """The values, each out of the list, so that it is gone when it is in its place."""
    values.reverse()
    while values:
        yield values.pop()


def _variables(model: Any) -> list[Variable]:
    """All variables that training changes, in an order that freezing does not change."""
    state = model.state_variables()
    return [*model.variables, *state.optimizer, *state.metrics]


def _named(callbacks: CallbackList) -> Iterator[tuple[str, Any]]:
    """The callbacks that keep a state, by class and number."""
    counts: Counter[str] = Counter()
    for callback in callbacks.callbacks:
        kind = type(callback).__name__
        counts[kind] += 1
        if hasattr(callback, "get_state") and hasattr(callback, "set_state"):
            yield f"{kind} {counts[kind]}", callback


def _random_state() -> dict[str, Any]:
    name, keys, *numbers = np.random.get_state()
    version, internal, gauss = random.getstate()
    return {"seed": settings.seed, "draws": dict(settings.draws), "numpy": [str(name), keys, *numbers],
            "python": [version, np.array(internal, np.uint64), gauss]}


def _set_random_state(state: dict[str, Any]) -> None:
    settings.seed = state["seed"]
    settings.draws.clear()
    settings.draws.update(state["draws"])
    np.random.set_state(tuple(state["numpy"]))
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal.tolist()), gauss))
