"""`kyeo.keras.x` is `kyeo.x`: the same module object, so that classes are the same whichever way they come."""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType
from typing import Any

__all__ = ["KerasAlias"]

_ALIAS = "kyeo.keras"


class KerasAlias(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `kyeo.keras` and everything below it under the name without `.keras`."""

    def __init__(self) -> None:
        self._specs: dict[str, Any] = {}

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """A spec for the alias, loaded by this object."""
        if fullname != _ALIAS and not fullname.startswith(_ALIAS + "."):
            return None
        real = "kyeo" + fullname[len(_ALIAS):]
        if real != "kyeo" and importlib.util.find_spec(real) is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: Any) -> ModuleType:
        """The real module; its own spec is kept to be put back, since importlib overwrites it."""
        module = importlib.import_module("kyeo" + spec.name[len(_ALIAS):])
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """The module has run already; give it its spec back."""
        spec = module.__spec__
        if spec is not None and spec.name in self._specs:
            module.__spec__ = self._specs.pop(spec.name)

    @classmethod
    def install(cls) -> None:
        """Put the finder in place, once."""
        if not any(isinstance(finder, cls) for finder in sys.meta_path):
            sys.meta_path.insert(0, cls())
