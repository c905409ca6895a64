"""Libraries that import Keras themselves, on Kyeo: `install_as_keras` gives `import keras` the rooms of `kyeo`.

A program of one's own needs none of this: it changes its import.
"""

import importlib
import importlib.abc
import importlib.machinery
import os
import re
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import kyeo
from kyeo.compat.inside import INSIDE, MODULES
from kyeo.core.errors import describe, problem
from kyeo.core.gone import answer_for_missing
from kyeo.rooms import KerasAlias
from kyeo.saving.forms import KERAS_VERSION

__all__ = ["KERAS_VERSION", "install_as_keras"]

# Modules of Keras's inside: below these five rooms there are rooms again. `from keras.src.x import name` looks for a
# module where x has no such name, so not all that is looked for is one.
_INSIDE = re.compile(r"keras(\.src(\.[a-z]\w*){,2}|\.src\.(backend|layers|legacy|optimizers|trainers)(\.[a-z]\w*){2})?")


def install_as_keras() -> None:
    """Make `import keras` mean Kyeo from here on, in this process.

    For libraries built on Keras (KerasTuner, KerasHub, BayesFlow, ...), whose imports cannot be changed. Call it before
    the first of them is imported; `kyeo run program.py` does it for a whole program. `keras.layers` and all other rooms
    are Kyeo's own modules, so classes are the same whichever way they come. `keras.__version__` is the version of
    Keras that Kyeo follows. Of Keras's inside (`keras.src`) public names are found, others are not.

    Raises:
        RuntimeError: Keras itself is imported already, or `KERAS_BACKEND` asks for another backend than `"jax"`.

    Example:
        >>> from kyeo.compat import install_as_keras
        >>> install_as_keras()  # doctest: +SKIP
        >>> import keras_tuner  # doctest: +SKIP
    """
    there = sys.modules.get("keras")
    if isinstance(there, _Front):
        return
    if there is not None:
        raise problem("Keras itself is imported already; both would be in use at once.", kind=RuntimeError,
                      received=f"keras from {getattr(there, '__file__', None)}",
                      fix="call kyeo.compat.install_as_keras() before keras, or a library that uses it, is imported")
    backend = os.environ.setdefault("KERAS_BACKEND", "jax")  # libraries look here for the kind of their arrays
    if backend != "jax":
        raise problem("Kyeo computes with JAX; KERAS_BACKEND asks for something else.", kind=RuntimeError,
                      received=f"KERAS_BACKEND={describe(backend)}", expected="KERAS_BACKEND=jax, or none",
                      fix="remove KERAS_BACKEND from the environment")
    KerasAlias("keras", itself=False).install()
    KerasAlias("keras.api").install()  # here Keras keeps its public names too
    sys.meta_path.insert(0, _Finder())


class _Front(ModuleType):
    """`keras`, or a module of Keras's inside: no names of its own, it finds Kyeo's."""

    def __getattr__(self, name: str) -> Any:
        inside = self.__name__.startswith("keras.src")
        if inside and name in INSIDE:
            return INSIDE[name]
        if f"{self.__name__.rpartition('.')[2]}.{name}" in MODULES if inside else name == "src":
            return importlib.import_module(f"{self.__name__}.{name}")
        room = self.__name__.split(".")[2:3] if inside else []
        if name == "__all__" and room and room[0] in kyeo._ROOMS:  # `from keras.src.ops import *`
            return importlib.import_module(f"kyeo.{room[0]}").__all__
        if name.startswith("_"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return _public(self.__name__, name) if inside else getattr(kyeo, name)

    def __dir__(self) -> list[str]:
        return dir(kyeo)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # a name that was taken for a module
        module, _, name = self.__name__.rpartition(".")
        raise _not_public(module, name, kind=TypeError)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `keras` and `keras.src` with everything below it."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """A spec for these, loaded by this object."""
        if not _INSIDE.fullmatch(fullname):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: Any) -> ModuleType:
        """An empty module that finds Kyeo's names."""
        return _Front(spec.name, kyeo.__doc__)

    def exec_module(self, module: ModuleType) -> None:
        """Say which Keras this is: libraries ask for it to see what they may use."""
        if module.__name__ == "keras":
            vars(module).update(__version__=KERAS_VERSION, version=lambda: KERAS_VERSION, __all__=kyeo.__all__)


def _public(module: str, name: str) -> Any:
    """What Kyeo exports under a name looked for in a module of Keras's inside, `keras.src.layers.layer` say."""
    for found in _modules_for(module.split(".")[2:]):
        if name in getattr(found, "__all__", ()):
            return getattr(found, name)
    raise _not_public(module, name, kind=AttributeError)


def _modules_for(place: list[str]) -> Iterator[Any]:
    """Where to look: the room that the module belongs to, a room below it of this name, then all; the top first for
    `keras.src` itself, else last."""
    if not place:
        yield kyeo
    for room in sorted(kyeo._ROOMS, key=lambda room: room not in place[:1]):
        found = importlib.import_module(f"kyeo.{room}")
        yield found
        if [room] == place[:1] and place[1:] and place[1] in found.__all__:
            yield getattr(found, place[1])
    yield kyeo


def _not_public(module: str, name: str, kind: type[Exception]) -> Exception:
    return problem(f"{module} is Keras's inside, and {name!r} is not among its public names.", kind=kind,
                   fix="ask for what the program needs by a public name of Keras")


answer_for_missing(__name__)
