"""`kyeo.keras.x` is `kyeo.x`: the same module object, so that classes are the same whichever way they come.

`kyeo.compat` finds `keras.x` in the same way.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType
from typing import Any

__all__ = ["KerasAlias"]


class KerasAlias(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the alias and everything below it in `kyeo`.

    Args:
        alias: The other name of `kyeo`, `"kyeo.keras"`.
        itself: Whether the alias itself is `kyeo` too, not only what is below it.
    """

    def __init__(self, alias: str, itself: bool = True) -> None:
        self._alias, self._itself = alias, itself
        self._specs: dict[str, Any] = {}

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """A spec for the alias, loaded by this object."""
        if not fullname.startswith(self._alias + ".") and not (self._itself and fullname == self._alias):
            return None
        real = "kyeo" + fullname[len(self._alias):]
        try:
            if real != "kyeo" and importlib.util.find_spec(real) is None:
                return None
        except ModuleNotFoundError:  # nor is there a room that could hold it
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: Any) -> ModuleType:
        """The real module; its own spec is kept to be put back, since importlib overwrites it."""
        module = importlib.import_module("kyeo" + spec.name[len(self._alias):])
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """The module has run already; give it its spec back."""
        spec = module.__spec__
        if spec is not None and spec.name in self._specs:
            module.__spec__ = self._specs.pop(spec.name)

    def install(self) -> None:
        """Put the finder in place, once for each alias."""
        if not any(isinstance(finder, KerasAlias) and finder._alias == self._alias for finder in sys.meta_path):
            sys.meta_path.insert(0, self)
