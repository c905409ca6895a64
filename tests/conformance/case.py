"""Case: a layer to be made and called, by either package. The words of `case` are explained in cases.py."""

import dataclasses
from typing import Any

__all__ = ["Case", "Inner", "case"]


class Inner:
    """A layer inside the arguments of another: made anew by the package that makes the outer one."""

    def __init__(self, name: str, **words: Any):
        self.name, self.words = name, words

    def __repr__(self) -> str:
        return f"{self.name}({','.join(f'{k}={v}' for k, v in self.words.items())})"


def made(room: Any, value: Any) -> Any:
    """The value with each `Inner` made by `room`, the module of layers."""
    if isinstance(value, Inner):
        return getattr(room, value.name)(**made(room, value.words))
    if isinstance(value, list):
        return [made(room, v) for v in value]
    return {k: made(room, v) for k, v in value.items()} if isinstance(value, dict) else value


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """A layer to be made and called."""

    name: str
    shapes: Any
    config: dict[str, Any]
    dtype: str = "float32"
    mask: Any = None
    values: int = 5
    known: bool = False
    floor: float = 1e-3
    call: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        inner = ",".join(f"{k}={v}" for k, v in self.config.items()).replace(" ", "")
        more = "".join(f"-{k}{v}" for k, v in (("mask", self.mask), *self.call.items()) if v)
        return f"{self.name}-{inner}-{self.shapes}{more}".replace(" ", "")

    def make(self, room: Any, **words: Any) -> Any:
        """The layer, as `room` (`kyeo.layers` or `keras.layers`) makes it."""
        return getattr(room, self.name)(**made(room, {**self.config, **words}))


def case(name: str, shapes: Any, **words: Any) -> Case:
    special = {k[1:]: words.pop(k) for k in list(words) if k[0] == "_"}
    return Case(name, shapes, words, **special)
