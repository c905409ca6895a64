"""Weights in the layout of Keras 2 (`.h5`), in which the ImageNet weights of `kyeo.applications` were published.

The file names its layers in the attribute `layer_names`; each has a group whose attribute `weight_names` says where
its arrays are. Layers are matched by their order, or by their names.
"""

import math
from collections.abc import Iterator
from typing import Any

from kyeo.core.errors import problem, where_is
from kyeo.core.plain import warn
from kyeo.core.variable import Variable
from kyeo.saving.changes import Change, make_all
from kyeo.saving.hdf5 import ReadGroup

__all__ = ["is_legacy", "load_legacy"]

_LISTED = 10  # how many mismatches a message names
_WHOLE_MODEL = "model_weights"  # the group that holds everything, where the file has the architecture too
_TOP = "top_level_model_weights"
_FIX = "build the model as it was when it was saved; skip_mismatch=True loads only what fits"


def is_legacy(file: Any, where: str) -> bool:
    """Whether an open HDF5 file has the layout of Keras 2."""
    return _root(file, where) is not None


def _root(file: Any, where: str) -> str | None:
    for path in ("", _WHOLE_MODEL):
        if ReadGroup(file, path, where, plain=True).texts("layer_names") is not None:
            return path
    return None


def load_legacy(model: Any, file: Any, where: str, by_name: bool = False, skip_mismatch: bool = False,
                whole: bool = False) -> None:
    """Read the weights of a model from an open file of Keras 2.

    All are checked before the first is changed, and where one cannot be read none is (`changes.py`).

    Args:
        model: the model.
        file: the open file.
        where: how messages name the file.
        whole: the model was made from the same file, so its layers have the names of the file.
        by_name: match layers by their names instead of their order; layers without a partner stay as they are.
        skip_mismatch: leave what does not fit as it is, with a warning, instead of raising.
    """
    root = _root(file, where)
    if root is None:
        raise problem("The file has no layers with weights.", where=where, expected="the layout of Keras 2")
    prefix = f"{root}/" if root else ""
    stored: dict[str, ReadGroup] = {}
    for name in ReadGroup(file, root, where, plain=True).texts("layer_names") or []:
        group = ReadGroup(file, prefix + name, where, plain=True)
        if group.texts("weight_names"):
            stored[name] = group
    if whole and {layer.name for layer in model.layers if layer.weights} == set(stored):
        by_name = True
    pairs = list((_by_name if by_name else _in_order)(model, stored, where))
    top = ReadGroup(file, prefix + _TOP, where, plain=True)
    if top.texts("weight_names"):
        pairs.append((model, model.own_variables(), top))
    changes: dict[Variable, Change] = {}
    wrong: list[str] = []
    for layer, variables, group in pairs:
        names = group.texts("weight_names") or []
        if len(names) != len(variables):
            wrong.append(f"{where_is(layer)} has {len(variables)} weights, in the file {len(names)}")
            continue
        for variable, name in zip(_in_file_order(layer, variables, group, names), names):
            if variable.shape != group.shape(name):
                wrong.append(f"{where_is(layer)}: {variable.name} has shape {variable.shape}, in the file "
                             f"{group.shape(name)}")
            else:
                changes[variable] = _change(variable, group, name)
    _complain(wrong, where, skip_mismatch)
    make_all(list(changes.values()), is_new=whole)


def _change(variable: Variable, group: ReadGroup, name: str) -> Change:
    size = math.prod(variable.shape) * group.dtype(name).itemsize
    return Change([variable], lambda: variable.assign(group[name]), lambda: group.check(name), size)


Pairs = Iterator[tuple[Any, list[Variable], ReadGroup]]


def _weights(layer: Any) -> list[Variable]:
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _in_order(model: Any, stored: dict[str, ReadGroup], where: str) -> Pairs:
    mine = [layer for layer in model.layers if layer.weights]
    if len(mine) != len(stored):
        raise problem("The file was written by another model.", where=where, fix=_FIX.partition(";")[0],
                      received=f"{len(stored)} layers with weights", expected=f"{len(mine)} layers with weights")
    for layer, group in zip(mine, stored.values()):
        yield layer, _weights(layer), group


def _by_name(model: Any, stored: dict[str, ReadGroup], where: str) -> Pairs:
    mine = [layer for layer in model.layers if layer.weights]
    if stored and not any(layer.name in stored for layer in mine):
        warn(f"No layer of the model has a name that is in {where}, so nothing was loaded.")
    for layer in mine:
        if layer.name in stored:
            yield layer, _weights(layer), stored[layer.name]


def _in_file_order(layer: Any, variables: list[Variable], group: ReadGroup, names: list[str]) -> list[Variable]:
    """The weights of a layer in the order of the file: trainable ones first, as they were when it was written.

    A model inside a model may have been frozen since, or thawed; the names and shapes tell.
    """
    wanted = [(name.rpartition("/")[2].partition(":")[0], group.shape(name)) for name in names]
    born = sorted(layer.weights, key=lambda v: not v.born_trainable)
    for order in (variables, born, layer.weights):
        if [(v.name, v.shape) for v in order] == wanted:
            return order
    return variables


def _complain(wrong: list[str], where: str, skip: bool) -> None:
    if not wrong:
        return
    more = [f"and {len(wrong) - _LISTED} more"] if len(wrong) > _LISTED else []
    lines = wrong[:_LISTED] + more
    if not skip:
        raise problem("The weights do not fit the model, so none was changed.", where=where, fix=_FIX,
                      received="\n            ".join(lines), expected="the weights of a model like this one")
    warn("These weights were skipped: " + "; ".join(lines))
