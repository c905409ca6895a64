"""The variables of a model <-> groups of an HDF5 file, laid out as Keras does it.

The walk visits what holds variables by attribute name (private ones last), items of lists by their class:
`layers/dense_1/vars/0`. A graph or a stack gives its `layers` first, so the layout hangs on their order alone.
"""

import functools
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from kyeo.core.errors import problem, where_is
from kyeo.core.naming import snake_case
from kyeo.core.per_class import per_class
from kyeo.core.scope import scope
from kyeo.core.variable import Variable, VariableOwner
from kyeo.saving.hdf5 import ReadGroup, WriteGroup, stray_groups

__all__ = ["load_variables", "save_variables", "walk"]

_LISTED = 10  # how many mismatches a message names


def _has_variables(item: Any) -> bool:
    both = hasattr(item, "load_own_variables") and hasattr(item, "save_own_variables")
    return both and not isinstance(item, type)


@per_class
def _base_names(base: type) -> frozenset[str]:
    """What every object of a base class has, which is no part of a user's model."""
    return frozenset(dir(base(name="reference"))) - {"layers", "optimizer"}


def _skipped(item: Any) -> frozenset[str]:
    for base in type(item).__mro__:
        if base.__name__ in ("Sequential", "Model", "Layer") and base.__module__.startswith("kyeo."):
            return _base_names(base)
    return frozenset({"_given"})


def _children(item: Any) -> Iterator[tuple[str, Any]]:
    if getattr(item, "_graph", None) is not None:
        yield "layers", item.layers
    skipped = _skipped(item)
    for name in sorted(dir(item), key=lambda n: "~" + n if n.startswith("_") else n):
        if name.startswith("__") or name in skipped:
            continue
        try:
            child = getattr(item, name)
        except Exception:  # a property that cannot be read now holds nothing to save
            continue
        yield name, child


def walk(root: Any) -> Iterator[tuple[str, Any]]:
    """Every object below `root` that holds variables, each once, with its path in a file; `root` has path ""."""
    seen: set[int] = set()

    def visit(item: Any, path: str) -> Iterator[tuple[str, Any]]:
        if id(item) in seen:
            return
        seen.add(id(item))
        if _has_variables(item):
            yield path, item
            for name, child in _children(item):
                if _has_variables(child) or isinstance(child, (list, tuple, dict)):
                    yield from visit(child, f"{path}/{name}" if path else name)
        else:
            names: Counter[str] = Counter()
            for child in item.values() if isinstance(item, dict) else item:
                if _has_variables(child) or isinstance(child, (list, tuple, dict)):
                    name = snake_case(type(child).__name__) if _has_variables(child) else "container"
                    number = names[name]
                    names[name] += 1
                    yield from visit(child, f"{path}/{name}_{number}" if number else f"{path}/{name}")

    return visit(root, "")


def save_variables(root: Any, file: Any) -> None:
    """Write the variables of everything below `root` into an open HDF5 file."""
    for path, item in walk(root):
        name = getattr(item, "name", None)
        item.save_own_variables(WriteGroup(file, path, name if isinstance(name, str) else None))


def _unless_it_fails(load: Callable[..., None]) -> Callable[..., None]:
    """Put back the attributes of all that reads by rules of its own, where the loading raises."""
    @functools.wraps(load)
    def loading(root: Any, *args: Any, **kwargs: Any) -> None:
        before = [(item, dict(vars(item))) for _, item in walk(root) if _reads_itself(item) and hasattr(item, "__dict__")]
        try:
            load(root, *args, **kwargs)
        except BaseException:
            for item, attributes in before:
                vars(item).clear()
                vars(item).update(attributes)
            raise

    return loading


def _reads_itself(item: Any) -> bool:
    own = getattr(type(item), "load_own_variables", None)
    return not getattr(own, "__module__", "").startswith("kyeo.") or getattr(item, "runs_on_host", False)


@_unless_it_fails
def load_variables(root: Any, file: Any, where: str, skip_mismatch: bool = False) -> None:
    """Read the variables of everything below `root` from an open HDF5 file.

    All values are read and checked before the first variable is changed.

    Args:
        root: the model.
        file: the open file.
        where: how messages name the file.
        skip_mismatch: leave what does not fit as it is, with a warning, instead of raising.
    """
    staged: dict[Variable, Any] = {}
    wrong: list[str] = []
    used: set[str] = set()
    for path, item in walk(root):
        used.add(path)
        group = ReadGroup(file, path, where)
        problems = _mismatches(item, group)
        if not problems:
            try:
                staged.update(_loaded(item, group))
            except Exception as error:  # from loading that a user wrote
                error.add_note(f"  while {where_is(item)} loaded {path or 'the top'} of {where}; nothing was changed")
                if not skip_mismatch:
                    raise
                wrong.append(f"{where_is(item)} ({path or 'top'}): {error}")
        elif isinstance(item, VariableOwner):
            wrong += [f"{where_is(item)} ({path or 'top'}): {text}" for text in problems]
        elif getattr(item, "built", True):  # one that has not begun stays as `compile` made it
            warnings.warn(f"The state of the optimizer was not loaded: {problems[0]}.", stacklevel=6)
    stray = stray_groups(file, used, where)
    if stray and not wrong:
        warnings.warn(f"{where} holds variables that the model has no place for: {_shortened(stray)}.",
                      stacklevel=6)
    if wrong and not skip_mismatch:
        raise problem("The weights do not fit the model, so none was changed.", where=where,
                      received=_shortened(wrong, "\n            "), expected="the weights of a model like this one",
                      fix="build the model as it was when it was saved; skip_mismatch=True loads only what fits")
    if wrong:
        warnings.warn("These weights were skipped: " + _shortened(wrong), stacklevel=6)
    for variable, value in staged.items():
        variable.assign(value)


def _shortened(lines: list[str], between: str = "; ") -> str:
    more = len(lines) - _LISTED
    return between.join(lines[:_LISTED] + ([f"and {more} more"] if more > 0 else []))


def _mismatches(item: Any, group: ReadGroup) -> list[str]:
    """What keeps an object from loading a group, by names and shapes; nothing is read."""
    if _reads_itself(item):
        return []  # reading by rules of its own, which says itself what it needs
    is_layer = isinstance(item, VariableOwner)
    expected = item.own_variables() if is_layer else item.variables
    if len(group) == 0 and not is_layer:
        return []  # saved without an optimizer
    if not is_layer and _not_begun(group):
        expected = expected[:len(group)]
    if len(group) != len(expected):
        unbuilt = "" if getattr(item, "built", True) else ", because it is not built yet"
        return [f"it has {len(expected)} variables{unbuilt}, the file has {len(group)}"]
    problems = []
    for index, variable in enumerate(expected):
        if str(index) not in group:
            problems.append(f'{variable.name} is not in the file (no "{index}")')
        elif group.shape(str(index)) != variable.shape:
            problems.append(f"{variable.name} has shape {variable.shape}, in the file {group.shape(str(index))}")
    return problems


def _not_begun(group: ReadGroup) -> bool:
    """Whether an optimizer was saved before its first step: its step count and learning rate, no slots."""
    return len(group) <= 2 and all(group.shape(key) == () for key in group)


def _loaded(item: Any, group: ReadGroup) -> dict[Variable, Any]:
    """The values that an object's own loading would give its variables."""
    is_optimizer = not isinstance(item, VariableOwner)
    if is_optimizer:
        return {variable: group[str(i)] for i, variable in zip(range(len(group)), item.variables)}
    with scope(overlay={}) as inside:  # what is assigned goes here, not into the variables
        item.load_own_variables(group)
    assert inside.overlay is not None
    return inside.overlay
