"""Two helpers of Keras's inside: a module that is imported when it is first used, and a message to the user."""

import importlib
import importlib.util
import sys
from typing import Any

from kyeo.core.errors import problem

__all__ = ["LazyModule", "print_msg"]


class LazyModule:
    """A module that need not be installed until one of its names is asked for.

    Args:
        name: The module's name.
        pip_name: The name it is installed by, where that is another.
        import_error_msg: What to say where it is not installed.
    """

    def __init__(self, name: str, pip_name: str | None = None, import_error_msg: str | None = None) -> None:
        self.name, self.pip_name, self._says = name, pip_name or name, import_error_msg

    @property
    def available(self) -> bool:
        """Whether it is installed."""
        return importlib.util.find_spec(self.name) is not None

    def initialize(self) -> Any:
        """The module itself.

        Raises:
            ImportError: It is not installed.
        """
        try:
            return importlib.import_module(self.name)
        except ImportError as error:
            if self._says:
                raise ImportError(self._says) from error
            raise problem(f"This needs the module {self.name}, which cannot be imported.", kind=ImportError,
                          received=str(error), expected="the module", fix=f"pip install {self.pip_name}") from error

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_api_export_path":  # asked by whoever looks at all objects
            raise AttributeError(name)
        return getattr(self.initialize(), name)

    def __repr__(self) -> str:
        return f"LazyModule({self.name!r})"


def print_msg(message: Any, line_break: bool = True) -> None:
    """Write a message to the standard output."""
    sys.stdout.write(f"{message}\n" if line_break else str(message))
    sys.stdout.flush()
