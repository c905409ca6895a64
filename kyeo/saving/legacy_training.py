"""How a model of Keras 2 was compiled -> how `compile_from_config` takes it; the state of its optimizer."""

import re
from typing import Any

import numpy as np

from kyeo.core.plain import warn
from kyeo.core.registry import find
from kyeo.saving.hdf5 import ReadGroup
from kyeo.saving.legacy_config import modern
from kyeo.saving.legacy_names import SLOTS

__all__ = ["compile_config", "load_numbered_optimizer", "load_optimizer"]

_WRAPPERS = ("MeanMetricWrapper", "LossFunctionWrapper", "MeanMetricWrapperV2")
_NADAM_DECAY = 0.96
_NOT_KEPT = ("iteration", "learning_rate", "u_product", "dynamic_scale")
Staged = list[tuple[Any, Any]]  # variables and the values they are to get


def compile_config(training: Any, version: tuple[int, int], outputs: list[str]) -> dict[str, Any] | None:
    """The arguments of `compile` in today's form; None where the file has none.

    Args:
        training: the values of `training_config`.
        version: of the Keras that wrote it.
        outputs: the names of the outputs of the model.
    """
    if not isinstance(training, dict) or "optimizer_config" not in training:
        return None
    made = {"optimizer": modern(training["optimizer_config"], version)}
    for key in ("loss", "loss_weights", "metrics", "weighted_metrics"):
        value = _unwrapped(training.get(key))
        if key.endswith("metrics"):
            value = _without_output(value, outputs)
        made[key] = modern(value, version)
    return made


def _unwrapped(value: Any) -> Any:
    """Losses and metrics that stand as a function in a wrapper, as the class of that function."""
    if isinstance(value, list):
        return [_unwrapped(v) for v in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") not in _WRAPPERS:
        return value if "class_name" in value else {k: _unwrapped(v) for k, v in value.items()}
    config = dict(value.get("config") or {})
    function = config.pop("fn", None)
    name = function.get("config") if isinstance(function, dict) else function
    class_name = "".join(part.capitalize() for part in str(name).split("_"))
    if find(class_name, "keras.metrics") is None and find(class_name, "keras.losses") is None:
        return name
    return {"class_name": class_name, "config": config}


def _without_output(value: Any, outputs: list[str]) -> Any:
    """Metrics of several outputs had the output's name in front, which is put there again today."""
    if not isinstance(value, list) or len(outputs) < 2 or len(value) != len(outputs):
        return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list) else value
    for name, metrics in zip(outputs, value):
        for metric in metrics if isinstance(metrics, list) else [metrics]:
            config = metric.get("config") if isinstance(metric, dict) else None
            if isinstance(config, dict) and isinstance(config.get("name"), str):
                config["name"] = config["name"].removeprefix(name + "_")
    return value


def load_optimizer(model: Any, file: Any, where: str) -> None:
    """Give the optimizer of a model the state in the group `optimizer_weights`; a warning where it does not fit."""
    group = ReadGroup(file, "optimizer_weights", where, plain=True)
    names = group.texts("weight_names") or []
    if not names or _not_begun(group, names):
        return
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    staged = _in_order(optimizer, group, names) or _by_slots(optimizer, group, names)
    if staged is None and names[0].partition(":")[0] == "iteration":  # Keras 2.11 and later, not `optimizers.legacy`
        staged = _by_number(optimizer, group, names)
    _give(optimizer, staged, where)
    if staged is not None and any(re.search("/(momentum_cache|m_schedule)\\b", name) for name in names):
        warn(f"The {type(optimizer).__name__} in {where} is an old one, whose momenta grew 250 times slower "
             "than today: training goes on from its state, but by today's rule.")


def load_numbered_optimizer(model: Any, file: Any, where: str) -> None:
    """Give the optimizer of a model the state in a `.keras` file of Keras 2, which numbers it without names: the step
    count, then the slots as today; the learning rate stands in the config."""
    group = ReadGroup(file, "optimizer", where)
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return
    if not len(group):
        _complain(f"There is no state of the optimizer in {where}, as Keras 2 wrote none of `optimizers.legacy` into a "
                  "`.keras` (it does into a `.h5`)")
        return
    optimizer.build(model.trainable_variables)
    keys = [str(i) for i in range(len(group))]
    _give(optimizer, _by_number(optimizer, group, keys) if set(keys) == set(group) else None, where)


def _by_number(optimizer: Any, group: ReadGroup, keys: list[str]) -> Staged | None:
    """The step count and the slots as today, but for what Keras from 2.11 to 2.15 did not keep."""
    slots = [v for v in optimizer.variables if v.name not in _NOT_KEPT and v.dtype != "int32"]
    kept = keys[1:]
    if getattr(getattr(optimizer, "inner_optimizer", optimizer), "momentum", None) == 0:
        kept = kept[:len(slots)]  # SGD kept momenta without momentum
    steps = _steps(group, keys[0])
    if steps is None or [group.shape(key) for key in kept] != [v.shape for v in slots]:
        return None
    return [(optimizer.iterations, steps), *((v, group[key]) for v, key in zip(slots, kept)),
            *_nadam_product(optimizer, steps)]


def _give(optimizer: Any, staged: Staged | None, where: str) -> None:
    if staged is None or any(np.asarray(value).dtype.kind == "c" for _, value in staged):
        staged = None
        name = type(optimizer).__name__
        _complain(f"The state of the optimizer in {where} does not fit {name}, so it was not loaded")
    for variable, value in staged or []:
        variable.assign(value)


def _complain(what: str) -> None:
    warn(f"{what}: training begins with a fresh one.")


def _steps(group: ReadGroup, key: str) -> int | None:
    """The step count, where it can be one."""
    if group.shape(key) not in ((), (1,)) or group.dtype(key).kind not in "iu":
        return None
    steps = int(group[key].ravel()[0])
    return steps if 0 <= steps < 2**31 - 1 else None


def _not_begun(group: ReadGroup, names: list[str]) -> bool:
    """Whether an optimizer was saved before its first step: a step count of 0, a learning rate, no slots."""
    return len(names) <= 2 and all(group.shape(name) == () for name in names) and _steps(group, names[0]) == 0


def _nadam_product(optimizer: Any, steps: int) -> Staged:
    """Nadam's product of momenta, which Keras 2 did not keep; it follows from the number of steps, after many as 0.

    Keras from 2.11 to 2.15 multiplied by the momentum of a step once for each weight, so the product falls that much
    faster. (It also left out one factor in some of the first steps, by how often TensorFlow traced the step.)
    """
    found = [v for v in optimizer.variables if v.name == "u_product"]
    if not found:
        return []
    counts = np.arange(1, min(steps, 10_000) + 1)
    momentum = np.prod(optimizer.beta_1 * (1 - 0.5 * _NADAM_DECAY ** counts))
    weights = sum(v.name.endswith("_momentum") for v in optimizer.variables)
    return [(v, (momentum ** weights).astype("float32")) for v in found]


def _in_order(optimizer: Any, group: ReadGroup, names: list[str]) -> Staged | None:
    """Today's own order, where all shapes are as they should be."""
    stored = [group.shape(name) for name in names]
    for variables in (optimizer.variables, sorted(optimizer.variables, key=lambda v: v.shape != ())):
        if stored == [v.shape for v in variables] and names[0].endswith("iteration"):
            return [(v, group[name]) for v, name in zip(variables, names)]
    return None


def _by_slots(optimizer: Any, group: ReadGroup, names: list[str]) -> Staged | None:
    """The slots by what they are called, those of each kind in the order of the weights."""
    kinds = {**SLOTS["*"], **SLOTS.get(type(optimizer).__name__, {})}
    stored: dict[str, list[str]] = {}
    steps = product = None
    for name in names:
        parts = name.partition(":")[0].split("/")
        if parts[-1] in ("iter", "iteration", "iterations"):
            steps = _steps(group, name)
            if steps is not None and parts[-1] == "iterations":  # Keras up to 2.3 counted before it looked at the count
                steps += 1
        elif parts[-1] in ("momentum_cache", "m_schedule", "u_product"):
            product = group[name] if group.shape(name) == () else None
        elif parts[-1] not in ("learning_rate", "decay"):
            kind = _kind(parts, kinds)
            if kind is None:
                return None
            stored.setdefault(kind, []).append(name)
    if steps is None:
        return None
    staged: Staged = [(optimizer.iterations, steps)]
    for kind, mine in _slots(optimizer, set(kinds.values())).items():
        found = stored.get(kind, [])
        if [group.shape(n) for n in found] != [v.shape for v in mine]:
            return None
        staged += [(v, group[n]) for v, n in zip(mine, found)]
    return staged + [(v, value if product is None else product) for v, value in _nadam_product(optimizer, steps)]


def _kind(parts: list[str], kinds: dict[str, str]) -> str | None:
    """The kind of slot a name speaks of: "hidden/kernel/m", "Adam/m/hidden/kernel", "adam/hidden_kernel_momentum"."""
    for part in (parts[-1], *parts[1:2]):
        old = re.sub(r"(_\d+)+$", "", part)
        if old in kinds:
            return kinds[old]
    return max((k for k in kinds.values() if parts[-1].endswith("_" + k)), key=len, default=None)


def _slots(optimizer: Any, kinds: set[str]) -> dict[str, list[Any]]:
    """The slots of an optimizer by kind; the longest kind that ends the name counts ("velocity_hat")."""
    found: dict[str, list[Any]] = {}
    for variable in optimizer.variables:
        kind = max((k for k in kinds if variable.name.endswith("_" + k)), key=len, default=None)
        if kind is not None:
            found.setdefault(kind, []).append(variable)
    return found
