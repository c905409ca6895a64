"""Which training a checkpoint is of, and what may be chosen anew when it is gone on with.

Another model, other data or another batch size is another training. The numbers given to the optimizer and the weights
of losses are the user's to change: they do not change what a checkpoint holds.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from kyeo.core.configurable import given_arguments, serialize_value
from kyeo.core.errors import describe
from kyeo.core.variable import Variable
from kyeo.data.source import Source

__all__ = ["differences", "flat_description", "rates_among"]

_NUMBERED = re.compile(r"_\d+(?=/|$)")  # automatic names count up while the process lives
_CHOICE = re.compile(r"optimizer > (?!.*\binitial_(scale|accumulator_value)$).+|compile > loss_weights\b.*")
_ABSENT = "nothing"


def differences(then: dict[str, Any], now: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    """What differs between two descriptions: (what makes it another training, what the user chose anew by its name).

    >>> differences({"optimizer > rho": 0.1, "data > rows": 8}, {"optimizer > rho": 0.2, "data > rows": 9})
    (['data > rows: 8 then, 9 now'], {'optimizer > rho': 'optimizer > rho is 0.2 now, was 0.1'})
    """
    refused, chosen = [], {}
    for name in {**then, **now}:
        old, new = then.get(name, _ABSENT), now.get(name, _ABSENT)
        if old == new:
            continue
        if _CHOICE.fullmatch(name) and _is_choice(old) and _is_choice(new):
            words = ["its default" if value == _ABSENT else describe(value) for value in (new, old)]
            chosen[name] = f"{name} is {words[0]} now, was {words[1]}"
        else:
            refused.append(f"{name}: {describe(old)} then, {describe(new)} now")
    return refused, chosen


def _is_choice(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_choice, value))
    return value is None or value == _ABSENT or type(value) in (int, float)


def rates_among(optimizer: Any, names: Any) -> set[Variable]:
    """The variables of the learning rates that are among the names of a description."""
    return {other._learning_rate for place, other in _optimizers(optimizer)
            if f"optimizer > {place}learning_rate" in names and isinstance(other._learning_rate, Variable)}


def _optimizers(optimizer: Any) -> Iterator[tuple[str, Any]]:
    """An optimizer and those it is made of, with what their names in a description begin with."""
    yield "", optimizer
    inner = getattr(optimizer, "optimizers", None) or [getattr(optimizer, "inner_optimizer", None)]
    for number, other in enumerate(inner, 1):
        if other is not None:
            yield f"{number} > ", other


def flat_description(model: Any, source: Source, validation: Source | None) -> dict[str, Any]:
    """What a checkpoint is of: plain values by a name that says where they stand."""
    tree: dict[str, Any] = {"model": type(model).__name__, "dtype policy": str(getattr(model, "dtype_policy", ""))}
    layers = [layer for layer in model._flatten_layers(include_self=False) if not hasattr(layer, "state_variables")]
    names = [f"{i} {_unnumbered(layer.path or layer.name)}" for i, layer in enumerate(layers)]
    tree["layer"] = dict(zip(names, map(_config_of, layers)))
    for kind, variables in model.state_variables()._asdict().items():
        # slots of an optimizer have numbered names in the middle of theirs
        tree[f"{kind} variables"] = {f"{i} {_unnumbered(v.path)}" if kind != "optimizer" else str(i):
                                     f"{list(v.shape)} of {v._dtype}" for i, v in enumerate(variables)}
    tree["optimizer"] = {}
    for place, optimizer in _optimizers(model.optimizer):
        # as it was made: callbacks change the learning rate
        given = {name: _plain(value) for name, value in given_arguments(optimizer).items()
                 if name not in ("inner_optimizer", "optimizer_map")}
        tree["optimizer"] |= {place + name: value for name, value in
                              {"class": type(optimizer).__name__, **given}.items()}
    spec = model._objective.spec
    tree["compile"] = {name: _plain(spec.get(name)) for name in ("loss", "loss_weights", "metrics", "weighted_metrics")}
    tree["data"] = source.description()
    tree["validation data"] = validation.description() if validation is not None else None
    return dict(_flat(tree, ""))


def _config_of(owner: Any) -> dict[str, Any]:
    try:
        config = owner.get_config()
    except Exception:  # the user's own, which need not have one
        return {"class": type(owner).__name__}
    return {"class": type(owner).__name__, **{k: _plain(v) for k, v in config.items() if k != "name"}}


def _plain(value: Any) -> Any:
    try:
        return json.loads(json.dumps(serialize_value(value)))
    except Exception:  # a lambda, say: what it is called is all there is to compare
        return getattr(value, "__name__", type(value).__name__)


def _unnumbered(path: str) -> str:
    return _NUMBERED.sub("", path)


def _flat(tree: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            if key not in ("name", "registered_name"):
                yield from _flat(value, f"{path} > {key}" if path else str(key))
    else:
        yield path, json.loads(json.dumps(tree, default=str))
