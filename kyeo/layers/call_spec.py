"""What a class's `call` takes, read off its signature once per class."""

import dataclasses
import inspect
from typing import Any

import jax

from kyeo.core.errors import problem
from kyeo.core.per_class import per_class

__all__ = ["CallSpec", "call_spec", "shape_of", "shapes_for", "shapes_for_build"]


@dataclasses.dataclass(frozen=True)
class CallSpec:
    """The parameters of `call`."""

    names: tuple[str, ...]  # without self, *args and **kwargs
    defaults: dict[str, Any]
    required: tuple[str, ...]
    takes_any_keyword: bool
    takes_any_positional: bool

    def takes(self, name: str) -> bool:
        """Whether `call` has a parameter of that name."""
        return name in self.names

    @property
    def mask_names(self) -> dict[str, str]:
        """{argument: its mask parameter}: `mask` belongs to the first argument, `x_mask` to `x`."""
        found = {n.removesuffix("_mask"): n for n in self.names if n.endswith("_mask") and n[:-5] in self.names}
        if "mask" in self.names and self.names and self.names[0] not in found:
            found[self.names[0]] = "mask"
        return found

    def bind(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Arguments by name, in the order of the signature: the first is what `build` asks about, however it was given.

        Too many, unknown or missing ones raise with the names.
        """
        if len(args) > len(self.names) and not self.takes_any_positional:
            raise problem("Too many positional arguments.", received=f"{len(args)} arguments", where=owner,
                          expected=f"call({', '.join(self.names)})", kind=TypeError,
                          fix="several inputs go into one list: layer([a, b])" if self.names else
                          "is `self` missing? def call(self, inputs)")
        bound = dict(zip(self.names, args))
        for name, value in kwargs.items():
            if name in bound:
                raise problem(f"`{name}` was given twice.", where=owner, expected="one value", kind=TypeError)
            if name not in self.names and not self.takes_any_keyword:
                raise problem(f"`call` has no parameter `{name}`.", received=f"{name}=...", where=owner,
                              expected=f"call({', '.join(self.names)})", kind=TypeError)
            bound[name] = value
        missing = [n for n in self.required if n not in bound]
        if missing:
            raise problem("An argument of the call is missing.", received=f"arguments {list(bound)}", where=owner,
                          expected=f"call({', '.join(self.names)})", kind=TypeError)
        return {name: bound[name] for name in (*self.names, *bound) if name in bound} if kwargs else bound


@per_class
def call_spec(cls: type) -> CallSpec:
    """The spec of `cls.call`."""
    parameters = list(inspect.signature(cls.call).parameters.values())[1:]  # type: ignore[attr-defined]
    plain = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY, p.KEYWORD_ONLY)]
    return CallSpec(
        names=tuple(p.name for p in plain),
        defaults={p.name: p.default for p in plain if p.default is not p.empty},
        required=tuple(p.name for p in plain if p.default is p.empty),
        takes_any_keyword=any(p.kind is p.VAR_KEYWORD for p in parameters),
        takes_any_positional=any(p.kind is p.VAR_POSITIONAL for p in parameters),
    )


def shape_of(tree: Any) -> Any:
    """The shapes in a nested structure of tensors, symbolic sizes as None; None where there is no tensor."""
    if isinstance(tree, dict):
        return {k: shape_of(v) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(shape_of(v) for v in tree) if not hasattr(tree, "_fields") else tuple(map(shape_of, tree))
    if not hasattr(tree, "shape"):
        return None
    return tuple(size if isinstance(size, int) else None for size in tree.shape)


@per_class
def _build_names(cls: type) -> tuple[str, ...]:
    return _names_of(cls.build)  # type: ignore[attr-defined]


def _names_of(method: Any) -> tuple[str, ...]:
    parameters = list(inspect.signature(method).parameters.values())[1:]
    return tuple(p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))


def shapes_for_build(layer: Any, bound: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments of `layer.build`: `input_shape` for one tensor argument, `x_shape` for each of several.

    Masks count only where `build` asks for their shapes.
    """
    names = _build_names(type(layer))
    return _shapes_by(names, {
        name: value for name, value in bound.items() if any(hasattr(leaf, "shape") for leaf in jax.tree.leaves(value))
        and (f"{name}_shape" in names or not (name == "mask" or name.endswith("_mask")))})


def shapes_for(method: Any, bound: dict[str, Any]) -> dict[str, Any]:
    """The same for another method of a class that takes shapes."""
    return _shapes_by(_names_of(method), bound)


def _shapes_by(names: tuple[str, ...], bound: dict[str, Any]) -> dict[str, Any]:
    shapes = {n: shape_of(v) for n, v in bound.items()}
    if len(names) == 1 and names[0] not in {f"{n}_shape" for n in shapes}:
        return {names[0]: next(iter(shapes.values()), None)}
    return {name: shapes.get(name.removesuffix("_shape")) for name in names if name.removesuffix("_shape") in shapes}
