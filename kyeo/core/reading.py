"""What a description may ask for while objects are made from it, and what it says where it is not well formed.

A description (a config out of a file, JSON text, `get_config`) is data from anywhere. While it is read, a `Reading`
is open: it counts objects and the bytes of variables, and knows how much of each the evidence (the stored weights)
or this computer allows. It is closed again before anyone can train or predict, which know no such bounds.
"""

import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import numpy as np

from kyeo.core.errors import is_told, problem
from kyeo.core.naming import is_kyeos

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

__all__ = ["Limits", "as_read", "check_config", "check_sizes", "is_reading", "making", "memory", "reading",
           "reading_limits", "spend"]


@dataclass(frozen=True)
class Limits:
    """How much a description may ask for.

    Attributes:
        objects: layers, initializers, losses, variables, ... in all; None for 30,000 (NASNetLarge, of 1,041 layers, has
            6,500), or where more arrays of weights are stored eight for each.
        layers: layers of one model, without those of models inside; None for 5,000, or two for each stored array.
        tensor: numbers in one tensor between layers, for one row of a batch.
        variables: bytes of all variables; None for half of the memory there is. For a file with weights it is four
            times what is stored (an optimizer has up to three values for each weight), and `unstored`.
        unstored: bytes of variables that need no evidence.
        size: the most that an int may be which says how big, how many or how often.
        text: letters in a name.
    """

    objects: int | None = None
    layers: int | None = None
    tensor: int = 2**31
    variables: int | None = None
    unstored: int = 64 * 2**20
    size: int = 2**31
    text: int = 1000


_limits: ContextVar[Limits] = ContextVar("kyeo_reading_limits", default=Limits())  # noqa: B039
_now: ContextVar["_Reading | None"] = ContextVar("kyeo_reading", default=None)
_MOST = {  # ints that a loop or a table follows when the object is made or called
    "beam_width": 10**4, "chain_depth": 100, "fft_length": 2**20, "frame_length": 2**20, "lora_rank": 2**14, "n": 10**8,
    "ngrams": 1000, "ns_steps": 1000, "num_chains": 1000, "num_classes": 10**7, "num_fft": 2**20, "num_mel_bins": 2**16,
    "num_ops": 1000, "num_oov_indices": 10**6, "num_thresholds": 10**6, "output_sequence_length": 10**8,
    "output_size": 10**4, "power_iterations": 1000, "tile_grid_size": 100, "top_paths": 10**4,
}
_OBJECTS, _OBJECTS_FOR_ARRAY = 30_000, 8
_LAYERS, _LAYERS_FOR_ARRAY = 5_000, 2
_LARGE = 2**20  # bytes of a variable; below, the limit of the process is not asked
_DRAWN, _STARTED = 5, 2**27  # how often the bytes of a variable are there while it is drawn; what JAX takes to start
_FILLED = 3  # how often they are in memory at the least, for float32
_GROUP = "/sys/fs/cgroup/memory.max"  # what a container may take (Linux)
_WIDE = frozenset({"seed", "salt", "value", "vocabulary", "mask_value", "mask_token", "oov_token"})  # no sizes
_DOCUMENTED = (ValueError, TypeError, OSError, ImportError)
_NAMES = frozenset({"name", "class_name", "registered_name", "module"})


class _Reading:
    def __init__(self, limits: Limits, stored: int | None, arrays: int):
        self.limits = limits
        objects, layers = max(_OBJECTS, _OBJECTS_FOR_ARRAY * arrays), max(_LAYERS, _LAYERS_FOR_ARRAY * arrays)
        self.objects = self.objects_left = objects if limits.objects is None else limits.objects
        self.layers = layers if limits.layers is None else limits.layers
        if stored is not None:
            self.bytes_left = 4 * stored + limits.unstored
        else:
            self.bytes_left = memory() // 2
        self.is_told = limits.variables is not None
        if limits.variables is not None:
            self.bytes_left = limits.variables
        self.evidence = "half the memory there is" if stored is None else f"{stored:,} bytes of stored weights"


def memory() -> int:
    """Bytes this process may hope for."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return 2**35
    with suppress(OSError, ValueError), open(_GROUP, encoding="ascii") as file:  # ValueError: "max", no limit
        total = min(total, int(file.read()))
    room = _room()
    return total if room is None else min(total, room)


def _room() -> int | None:
    """Bytes of addresses that the limit of this process (`ulimit -v`) leaves; None where it has no limit."""
    try:
        most = resource.getrlimit(resource.RLIMIT_AS)[0]
    except (AttributeError, ValueError, OSError):  # not on Windows
        return None
    return None if most < 0 else max(0, most - _used())


def _used() -> int:
    """Bytes of addresses that this process has; where the system does not tell, the most memory it ever had."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        most: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most * (1 if sys.platform == "darwin" else 1024)


@contextmanager
def reading_limits(**changes: int | None) -> Iterator[None]:
    """Inside the block, files and configs may ask for more (or less) than they usually may.

    Args:
        **changes: `objects`, `layers`, `tensor`, `variables`, `unstored`, `size`, `text`; see `docs/security.md`.

    >>> import kyeo
    >>> text = kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(2)]).to_json()
    >>> with kyeo.saving.reading_limits(variables=16):
    ...     kyeo.models.model_from_json(text)
    Traceback (most recent call last):
    ValueError: The description asks for more memory than it may.
    ...
    """
    unknown = set(changes) - set(Limits.__dataclass_fields__)
    if unknown:
        raise problem("There is no such limit.", received=", ".join(sorted(unknown)), kind=TypeError,
                      expected="one of " + ", ".join(Limits.__dataclass_fields__))
    token = _limits.set(replace(_limits.get(), **changes))  # type: ignore[arg-type]
    try:
        yield
    finally:
        _limits.reset(token)


@contextmanager
def reading(where: str | None = None, stored: int | None = None, arrays: int = 0) -> Iterator[None]:
    """Read a description inside the block: bounds hold, and what goes wrong is told as the description's fault.

    Args:
        where: how messages name what is read.
        stored: bytes of weights that go with it; None where there are none to go by.
        arrays: how many arrays these are.
    """
    token = None if _now.get() is not None else _now.set(_Reading(_limits.get(), stored, arrays))
    try:
        with making(None, where):
            yield
    finally:
        if token is not None:
            _now.reset(token)


def is_reading() -> bool:
    """Whether a description is read just now."""
    return _now.get() is not None


@contextmanager
def making(cls: type | None, where: str | None = None) -> Iterator[None]:
    """Inside the block an object is made from a description; any surprise there means that it is not well formed.

    A surprise in a class of the user's own is theirs, and goes on as it is.
    """
    try:
        yield
    except Exception as error:
        if (isinstance(error, _DOCUMENTED) and is_told(error)) or getattr(error, "_kyeo_of_user", False):
            raise
        if cls is not None and not is_kyeos(cls):
            error._kyeo_of_user = True  # type: ignore[attr-defined]
            raise
        if is_told(error):
            raise problem(**{**error._told, "kind": ValueError}) from error  # type: ignore[attr-defined]
        words = str(error).strip().split("\n")[0][:200]
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in words:
            raise problem("There is too little memory for what the description asks for.", received=words,
                          where=where or cls, kind=ValueError) from error
        raise problem("The description is not well formed.", received=f"{type(error).__name__}: {words}",
                      where=where or cls, expected="what `get_config` or `model.save` writes") from error


def as_read(from_config: Callable[..., Any]) -> Callable[..., Any]:
    """A `from_config` that reads: bounds hold, what it is given is checked first."""
    @wraps(from_config)
    def checked(cls: Any, config: Any, *args: Any, **kwargs: Any) -> Any:
        with reading(), making(cls):
            check_config(config, cls)
            return from_config(cls, config, *args, **kwargs)

    return checked


def check_config(config: Any, cls: type) -> None:
    """Look at the values in the config of one object before it is made; objects inside look at their own.

    Raises:
        ValueError: a number is out of bounds, or a name could not be one.
    """
    now = _now.get()
    if now is None:
        return
    _count(now, cls)
    if not isinstance(config, dict):
        raise problem("The config of an object must be a dict.", received=config, where=cls)
    layers = config.get("layers")
    if isinstance(layers, (list, tuple)) and len(layers) > now.layers:
        raise _too_much("layers", f"{len(layers):,} layers", f"at most {now.layers:,}", cls)
    for key, value in config.items():
        if type(value) in (int, float, list, tuple):
            _check_ints(key, value, cls, now.limits.size)
        elif key in _NAMES and isinstance(value, str):
            _check_name(value, cls, now.limits.text)


def _count(now: _Reading, where: Any) -> None:
    """One object more: a layer or a variable takes a fraction of a millisecond, so many take the time of everybody."""
    now.objects_left -= 1
    if now.objects_left < 0:
        raise _too_much("objects", f"more than {now.objects:,}", "objects", where)


def _check_ints(key: Any, value: Any, cls: type, size: int) -> None:
    most = min(_MOST.get(key, size), size) if key not in _WIDE else 2**64
    todo = [value]
    while todo:
        one = todo.pop()
        counted = type(one) is int or (type(one) is float and key in _MOST)  # 1e308 is taken for a whole number
        if counted and abs(one) > most:
            raise _too_much("size", f"{key}={one if abs(one) < 2**70 else 'a huge number'}", f"at most {most:,}", cls)
        if type(one) in (list, tuple):
            todo.extend(one)


def _check_name(text: str, cls: type, longest: int) -> None:
    if len(text) > longest or not text.isprintable():
        raise problem("A name in the description cannot be one.", received=repr(text[:60]), where=cls,
                      expected=f"at most {longest} letters, all of them printable")


def _too_much(limit: str, received: str, expected: str, where: Any) -> Exception:
    return problem("The description asks for more than it may.", received=received, expected=expected, where=where,
                   fix=f"if you trust it: with kyeo.saving.reading_limits({limit}=...):")


def check_sizes(shape: Sequence[Any]) -> None:
    """Refuse a tensor between layers that nobody could compute; only while a description is read."""
    now = _now.get()
    if now is None:
        return
    count = math.prod(s for s in shape if isinstance(s, int) and s)
    if len(shape) > 32 or count > now.limits.tensor:
        raise _too_much("tensor", f"a tensor of shape {tuple(shape)}", f"at most {now.limits.tensor:,} numbers", None)


def spend(shape: Sequence[int], dtype: Any, where: Any) -> None:
    """Take the bytes of a variable or a table from what may be asked for; only while a description is read."""
    now = _now.get()
    if now is None:
        return
    _count(now, where)
    size = math.prod(shape) * (np.dtype(dtype).itemsize if dtype != "string" else 8)
    now.bytes_left -= size
    if now.bytes_left < 0:
        raise problem("The description asks for more memory than it may.", where=where,
                      received=f"shape {tuple(shape)}, {size:,} bytes", expected=f"no more than {now.evidence} allow",
                      fix="if you trust it: with kyeo.saving.reading_limits(variables=...):")
    if size < _LARGE or now.is_told:
        return
    room = _room()
    times, most, whose = (_FILLED, memory(), "this computer has") if room is None else (
        _DRAWN, room - _STARTED, "the limit of this process (`ulimit -v`) leaves now")
    if times * size > most:
        raise problem("The description asks for more memory than this process may take.", where=where,
                      received=f"shape {tuple(shape)}, {size:,} bytes; making it takes {times} times as many",
                      expected=f"no more than the {max(most, 0):,} bytes that {whose}",
                      fix="raise that limit; or, if it is enough: with kyeo.saving.reading_limits(variables=...):")
