"""The variables of a model <-> a store (`stores.py`), laid out as Keras does it.

The walk visits what holds variables by attribute name (private ones last), items of lists by their class:
`layers/dense_1/vars/0`. A graph or a stack gives its `layers` first, so the layout hangs on their order alone.
"""

import contextlib
import inspect
import math
import types
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from kyeo.core.errors import problem, where_is
from kyeo.core.naming import is_kyeos, snake_case
from kyeo.core.owned import CONTAINERS, VariableOwner, in_order, owned
from kyeo.core.per_class import per_class
from kyeo.core.plain import warn
from kyeo.core.scope import scope
from kyeo.core.tensors import DamagedFile
from kyeo.core.variable import Variable
from kyeo.saving.changes import Change, make_all
from kyeo.saving.stores import Group, Reader, Writer

__all__ = ["load_variables", "save_variables", "walk"]

_FUNCTIONS = (types.FunctionType, classmethod, staticmethod)
_PLAIN = frozenset({type(None), bool, int, float, str, tuple, list, dict})
_LISTED = 10  # how many mismatches a message names


def _has_variables(item: Any) -> bool:
    if type(item) in _PLAIN:
        return False
    both = hasattr(item, "load_own_variables") and hasattr(item, "save_own_variables")
    return both and not isinstance(item, type)


@per_class
def _base_names(base: type) -> frozenset[str]:
    """What every object of a base class has, which is no part of a user's model."""
    return frozenset(dir(base(name="reference"))) - {"layers", "optimizer"}


@per_class
def _skipped(cls: type) -> frozenset[str]:
    for base in cls.__mro__:
        if base.__name__ in ("Sequential", "Model", "Layer") and is_kyeos(base):
            return _base_names(base)
    return frozenset({"_given"})


@per_class
def _own_names(cls: type) -> frozenset[str]:
    """What the objects of a class of Kyeo's may have beside their attributes: functions hold no variables."""
    return frozenset(n for n in dir(cls) if not isinstance(inspect.getattr_static(cls, n), _FUNCTIONS))


def _private_last(name: str) -> str:
    return "~" + name if name.startswith("_") else name


def _children(item: Any) -> Iterator[tuple[str, Any]]:
    if getattr(item, "_graph", None) is not None:
        yield "layers", item.layers
    cls = type(item)
    ours = is_kyeos(cls) and hasattr(item, "__dict__")
    names = _own_names(cls).union(vars(item)) if ours else dir(item)
    for name in sorted({n for n in names if n[:2] != "__"} - _skipped(cls), key=_private_last):
        try:
            child = getattr(item, name)
        except Exception:  # a property that cannot be read now holds nothing to save
            continue
        yield name, child


def walk(root: Any, skip: Iterable[Any] = ()) -> Iterator[tuple[str, Any]]:
    """Every object below `root` that holds variables, each once, with its path in a file; `root` has path "".

    Objects in `skip`, and what is inside of them alone, are left out.
    """
    # What was seen is held: the id of a list made for this walk could be given away again.
    return _visit(root, "", {id(item): item for item in skip})


def _visit(item: Any, path: str, seen: dict[int, Any]) -> Iterator[tuple[str, Any]]:
    if id(item) in seen:
        return
    seen[id(item)] = item
    if _has_variables(item):
        yield path, item
        for name, child in _children(item):
            if _has_variables(child) or isinstance(child, CONTAINERS):
                yield from _visit(child, f"{path}/{name}" if path else name, seen)
    else:
        names: Counter[str] = Counter()
        for child in in_order(item):
            if _has_variables(child) or isinstance(child, CONTAINERS):
                name = snake_case(type(child).__name__) if _has_variables(child) else "container"
                number = names[name]
                names[name] += 1
                yield from _visit(child, f"{path}/{name}_{number}" if number else f"{path}/{name}", seen)


def save_variables(root: Any, store: Writer, skip: Iterable[Any] = ()) -> None:
    """Write the variables of everything below `root`, but for the objects in `skip`."""
    for path, item in walk(root, skip):
        item.save_own_variables(store.group(path, item))


def load_variables(root: Any, store: Reader, skip_mismatch: bool = False, skip: Iterable[Any] = (),
                   progress: Callable[[int], None] = lambda size: None, is_new: bool = False) -> None:
    """Read the variables of everything below `root`.

    All are checked before the first is changed; then one object after the other is read and gets its values, so that
    little is in memory twice. Where that fails nothing is changed (`changes.py`).

    Args:
        root: the model.
        store: where they are.
        skip_mismatch: leave what does not fit as it is, with a warning, instead of raising.
        skip: objects that stay as they are.
        progress: told how many bytes were read.
        is_new: whether nobody has the model yet, so that nothing must be undone.
    """
    with _unless_it_fails(root):
        make_all(_changes(root, store, skip_mismatch, skip), is_new, progress)


@contextlib.contextmanager
def _unless_it_fails(root: Any) -> Iterator[None]:
    """Put back the attributes of all that reads by rules of its own, where the block raises."""
    before = [(item, dict(vars(item))) for _, item in walk(root)
              if not _loads_plainly(item) and hasattr(item, "__dict__")]
    try:
        yield
    except BaseException:
        for item, attributes in before:
            vars(item).clear()
            vars(item).update(attributes)
        raise


def _changes(root: Any, store: Reader, skip_mismatch: bool, skip: Iterable[Any]) -> list[Change]:
    changes: list[Change] = []
    wrong: list[str] = []
    used: set[str] = set()
    for path, item in walk(root, skip):
        group, path = _stored(store, path, item)
        used.add(path)
        problems = _mismatches(item, group)
        if not problems:
            try:
                changes.append(_change(item, group))
            except Exception as error:  # from loading that a user wrote
                error.add_note(f"  while {where_is(item)} loaded {path or 'the top'} of {store.where}; "
                               "nothing was changed")
                if not skip_mismatch or isinstance(error, (DamagedFile, OSError)):
                    raise
                wrong.append(f"{where_is(item)} ({path or 'top'}): {error}")
        elif isinstance(item, VariableOwner):
            wrong += [f"{where_is(item)} ({path or 'top'}): {text}" for text in problems]
        elif getattr(item, "built", True):  # one that has not begun stays as `compile` made it
            warn(f"The state of the optimizer was not loaded: {problems[0]}.")
    stray = store.strays(used) if not skip else []
    if stray and not wrong:
        warn(f"{store.where} holds variables that the model has no place for: {_shortened(stray)}.")
    if wrong and not skip_mismatch:
        raise problem("The weights do not fit the model, so none was changed.", where=store.where,
                      received=_shortened(wrong, "\n            "), expected="the weights of a model like this one",
                      fix="build the model as it was when it was saved; skip_mismatch=True loads only what fits")
    if wrong:
        warn("These weights were skipped: " + _shortened(wrong))
    return changes


def _stored(store: Reader, path: str, item: Any) -> tuple[Group, str]:
    """The group of an object, and its path; Keras 2 knew some by private names ("_query_dense")."""
    group = store.group(path, item)
    above, slash, last = path.rpartition("/")
    if not len(group) and last:
        private = f"{above}{slash}_{last}"
        old = store.group(private, item)
        if len(old):
            return old, private
    return group, path


def _shortened(lines: list[str], between: str = "; ") -> str:
    more = len(lines) - _LISTED
    return between.join(lines[:_LISTED] + ([f"and {more} more"] if more > 0 else []))


def _loads_plainly(item: Any) -> bool:
    """Whether an object takes its own variables one by one, and does nothing else."""
    own = getattr(type(item), "load_own_variables", None)
    return is_kyeos(own) and not getattr(item, "runs_on_host", False)


def _mismatches(item: Any, group: Group) -> list[str]:
    """What keeps an object from loading a group, by names, shapes and kinds of numbers; nothing is read."""
    if not _loads_plainly(item):
        return []  # reading by rules of its own, which says itself what it needs
    is_layer = isinstance(item, VariableOwner)
    expected = item.own_variables() if is_layer else _optimizer_order(item, group)
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
        elif not _converts(group.dtype(str(index)), variable):
            problems.append(f"{variable.name} is of {variable.dtype}, in the file {group.dtype(str(index))}")
    return problems


def _converts(dtype: Any, variable: Variable) -> bool:
    """Whether numbers of a type in a file can become those of a variable."""
    is_raw = np.dtype(dtype).type is np.void
    return not is_raw and (np.dtype(dtype).kind != "c" or np.dtype(variable.dtype).kind == "c")


def _optimizer_order(optimizer: Any, group: Group) -> list[Variable]:
    """The variables of an optimizer in the order of the file: Nadam's product stood before the slots in Keras 3.5."""
    variables: list[Variable] = optimizer.variables
    early = sorted(variables, key=lambda v: v.shape != ())
    stored = [group.shape(str(i)) for i in range(len(variables)) if str(i) in group]
    return early if stored == [v.shape for v in early] else variables


def _not_begun(group: Group) -> bool:
    """Whether an optimizer was saved before its first step: its step count and learning rate, no slots."""
    return len(group) <= 2 and all(group.shape(key) == () for key in group)


def _change(item: Any, group: Group) -> Change:
    """What gives an object its values."""
    size = sum(math.prod(group.shape(key)) * group.dtype(key).itemsize for key in group)
    if not _loads_plainly(item):
        with scope(overlay={}) as inside:  # what is assigned goes here, not into the variables
            item.load_own_variables(group)
        assert inside.overlay is not None
        values = inside.overlay
        return Change(list(values), lambda: [v.assign(value) for v, value in values.items()], lambda: None, size)

    def check() -> None:
        for key in group:
            group.check(key)

    if isinstance(item, VariableOwner):
        variables = list(dict.fromkeys([*item.own_variables(), *owned(item, Variable)]))
        return Change(variables, partial(item.load_own_variables, group), check, size)
    variables = _optimizer_order(item, group)[:len(group)]
    return Change(variables, lambda: [v.assign(group[str(i)]) for i, v in enumerate(variables)], check, size)
