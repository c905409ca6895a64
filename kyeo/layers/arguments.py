"""What constructors of many layers share: data formats, rules for weights, pairs of paddings."""

import inspect
import textwrap
from typing import Any

from kyeo import activations, constraints, initializers, regularizers
from kyeo.core.errors import describe, int_tuple, one_of, problem
from kyeo.core.naming import is_kyeos
from kyeo.core.settings import settings
from kyeo.core.variable import Variable

__all__ = [
    "activated", "activation_of", "arguments_of", "axes_of", "counted_axes", "explain", "explain_each", "format_of",
    "make_weight", "pairs", "refuse", "spatial_axes", "weight_rules",
]

_READERS = {"initializer": initializers.get, "regularizer": regularizers.get, "constraint": constraints.get}


def format_of(owner: Any, data_format: Any) -> str:
    """Where the channels are: as asked for, or as `image_data_format()` says where None."""
    if data_format is None:
        return settings.image_data_format
    return one_of(owner, ("channels_last", "channels_first"), data_format=data_format)


def spatial_axes(data_format: str, ndim: int) -> tuple[int, ...]:
    """The axes between batch and channels."""
    first = 1 if data_format == "channels_last" else 2
    return tuple(range(first, first + ndim - 2))


def weight_rules(owner: Any, **rules: Any) -> None:
    """Read `kernel_initializer=...`, `bias_regularizer=...` and so on, and keep each under its own name."""
    for name, identifier in rules.items():
        setattr(owner, name, _READERS[name.rsplit("_", 1)[1]](identifier))


def make_weight(owner: Any, name: str, shape: Any, rules_of: str | None = None, **kwargs: Any) -> Variable:
    """`owner.add_weight` with the initializer, regularizer and constraint that `weight_rules` kept for `name`, or
    for `rules_of` where they go by another name."""
    rules = {kind: getattr(owner, f"{rules_of or name}_{kind}", None) for kind in _READERS}
    return owner.add_weight(name=name, shape=shape, **{**rules, **kwargs})


def activated(layer: Any, x: Any) -> Any:
    """What the layer's activation makes of `x`; a user may have set it to None, to look at the logits."""
    return x if layer.activation is None else layer.activation(x)


def activation_of(owner: Any, activation: Any) -> Any:
    """The function meant; one of the user's may do anything with the batch, so the layer is marked for it."""
    found = activations.get(activation)
    if not is_kyeos(found):
        owner.mixes_rows = True
    return found


def arguments_of(local: dict[str, Any]) -> dict[str, Any]:
    """The named arguments of a constructor, from its `locals()`."""
    return {name: value for name, value in local.items() if name not in ("self", "__class__", "kwargs")}


def axes_of(owner: Any, axis: Any) -> Any:
    """An axis, or a list of axes, as given; anything else raises."""
    values = axis if isinstance(axis, (list, tuple)) else (axis,)
    if not all(isinstance(a, int) and not isinstance(a, bool) for a in values):
        raise problem("`axis` is not valid.", received=f"axis={describe(axis)}", expected="an int or several ints",
                      where=owner, kind=TypeError)
    return list(axis) if isinstance(axis, (list, tuple)) else axis


def counted_axes(owner: Any, axis: Any, ndim: int) -> list[int]:
    """The axes of `axes_of` counted from 0, sorted; raises where the input does not have them."""
    given = axis if isinstance(axis, list) else [axis]
    if any(not -ndim <= a < ndim for a in given):
        raise problem("The input does not have this axis.", received=f"axis={axis}, an input of {ndim} axes",
                      where=owner, expected=f"axes from {-ndim} to {ndim - 1}")
    counted = sorted(a % ndim for a in given)
    if 0 in counted:
        owner.mixes_rows = True
    return counted


def pairs(owner: Any, rank: int, **named: Any) -> tuple[tuple[int, int], ...]:
    """`pairs(self, 2, padding=padding)`: (before, after) for each of `rank` axes, from an int, from one int an
    axis, or from one pair an axis."""
    ((name, value),) = named.items()
    if isinstance(value, (list, tuple)) and any(isinstance(v, (list, tuple)) for v in value):
        if len(value) != rank:
            raise problem(f"`{name}` is not valid.", received=f"{name}={describe(value)}", where=owner,
                          expected=f"an int, {rank} ints, or {rank} pairs of ints")
        return tuple(int_tuple(owner, 2, minimum=0, **{name: v}) for v in value)  # type: ignore[misc]
    return tuple((v, v) for v in int_tuple(owner, rank, minimum=0, **named))


def refuse(owner: Any, why: str, **named: Any) -> None:
    """Raise where a parameter that is understood but not supported was set."""
    ((name, value),) = named.items()
    if value:
        raise problem(f"`{name}` is not supported.", received=f"{name}={describe(value)}", where=owner, fix=why)


def explain_each(cls: type, texts: dict[str, str]) -> None:
    """`explain` each parameter of the constructor; those a text is shared by stand together."""
    shared: dict[str, list[str]] = {}
    for name in inspect.signature(cls.__init__).parameters:  # type: ignore[misc]
        text = texts.get(name) or texts.get("*_" + name.rsplit("_", 1)[-1])
        if text:
            shared.setdefault(text, []).append(name)
    lines = [textwrap.fill(f"{', '.join(names)}: {text}", 116, initial_indent=" " * 4, subsequent_indent=" " * 8)
             for text, names in shared.items()]
    explain(cls, "\n".join(["\nArgs:", *lines, ""]))


def explain(cls: type, text: str) -> None:
    """Put the explanation of a family's arguments below the docstring of one of its classes."""
    cls.__doc__ = inspect.cleandoc(cls.__doc__ or "") + "\n" + text
