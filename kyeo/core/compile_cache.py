"""The compile cache: what XLA has made of a step is kept on disk, so that the next start need not make it again.

It is JAX's own persistent cache, in a folder of Kyeo's. What lies there is machine code that will run, so the folder
belongs to the user alone, its name holds everything the code depends on, and a start that dies while it loads from
it takes it out of use. Nothing that goes wrong here stops a program: it compiles instead.
"""

import contextlib
import hashlib
import math
import os
import pathlib
import platform
import shutil
import socket
import stat
import sys
import threading
import time
import warnings
from collections.abc import Iterator

import jax
import jaxlib
from jax.experimental.compilation_cache import compilation_cache

from kyeo.core import processor
from kyeo.core.plain import warn
from kyeo.core.settings import settings

__all__ = ["CompileCache", "compile_cache", "unwritten"]

_VARIABLE = "KYEO_COMPILE_CACHE"
_LIMIT = 256_000_000  # bytes of one folder
_QUICK = 0.03  # seconds; what is compiled in less (single operations) is not worth a file
_MOST_CRASHES = 2
_FORGOTTEN = 30 * 86400.0  # seconds
_ONE_AT_A_TIME = threading.RLock()
_STALE = 3600.0  # seconds after which a mark of a process that cannot be asked is taken for a dead one's


class CompileCache:
    """The one cache of the process. It is off until the first compilation of a step.

    Attributes:
        folder: where it lies; None while it is off.
        reason: why it is off.
    """

    def __init__(self) -> None:
        self.folder: pathlib.Path | None = None
        self.reason = "no step was compiled yet"
        self._tried = False

    def switch_on(self) -> None:
        """Use the folder, the first time this is called; whatever stands against it becomes the `reason`."""
        if self._tried:
            return
        self._tried = True
        try:
            self.reason = _refusal() or self._use(place())
        except Exception as error:  # not a reason to stop: no home, a full disk, another JAX
            self.reason = f"{type(error).__name__}: {error}"

    def switch_off(self) -> None:
        """Stop using it, until `switch_on` after `forget`."""
        if self.folder is not None:
            jax.config.update("jax_compilation_cache_dir", None)
            compilation_cache.reset_cache()
        self.folder, self._tried, self.reason = None, True, "kyeo.config.set_compile_cache(False)"

    def forget(self) -> None:
        """Let the next compilation try anew."""
        self._tried = self.folder is not None

    def _use(self, folder: pathlib.Path) -> str:
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _forget_old(folder.parent)
        refusal = _distrust(folder) or _crashed(folder)
        if refusal:
            return refusal
        _prune(folder)
        # A start with an unreadable entry compiles; that is no news for the user.
        warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
        if jax.config.jax_persistent_cache_min_compile_time_secs == 1.0:  # JAX's default leaves small steps out
            jax.config.update("jax_persistent_cache_min_compile_time_secs", _QUICK)
        compilation_cache.reset_cache()  # JAX keeps the first folder it used, whatever the setting says later
        jax.config.update("jax_compilation_cache_dir", str(folder))
        self.folder = folder
        return ""

    @contextlib.contextmanager
    def loading(self) -> Iterator[None]:
        """Around the first run of a compiled step, which may load it: a process that dies inside leaves a mark."""
        self.switch_on()
        mark = None
        if self.folder is not None:
            kind = "loading" if any(self.folder.glob("*-cache")) else "filling"
            mark = self.folder / f"{kind}-{os.getpid()}-{socket.gethostname()}"
            with contextlib.suppress(OSError):
                mark.touch()
        try:
            yield
        finally:
            if mark is not None:
                with contextlib.suppress(OSError):
                    mark.unlink(missing_ok=True)


compile_cache = CompileCache()


@contextlib.contextmanager
def unwritten() -> Iterator[None]:
    """Where a program is compiled that JAX must not write into its cache, ours or the user's own.

    jaxlib 0.12 cannot write a call of oneDNN: it takes memory that it never set for the length of a text. As a rule it
    then asks for thousands of gigabytes and gives up; what else it does depends on what lies there.
    """
    with _ONE_AT_A_TIME:
        before = jax.config.jax_persistent_cache_min_compile_time_secs
        jax.config.update("jax_persistent_cache_min_compile_time_secs", math.inf)
        try:
            yield
        finally:
            jax.config.update("jax_persistent_cache_min_compile_time_secs", before)


def place() -> pathlib.Path:
    """The folder for this machine, this JAX and this Kyeo, whether it is there or not."""
    given = os.environ.get(_VARIABLE)
    caches = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return (pathlib.Path(given).expanduser() if given else caches / "kyeo") / f"compiled-{_fingerprint()}"


def _refusal() -> str:
    """Why the cache is not wanted; empty where it is."""
    if not settings.compile_cache:
        return "kyeo.config.set_compile_cache(False)"
    if os.environ.get(_VARIABLE, "").lower() in ("0", "off", "false", "no"):
        return f"{_VARIABLE}={os.environ[_VARIABLE]}"
    if jax.config.jax_compilation_cache_dir:
        return f"the program uses its own: {jax.config.jax_compilation_cache_dir}"
    if not jax.config.jax_enable_compilation_cache:
        return "jax_enable_compilation_cache is False"
    return ""


def _fingerprint() -> str:
    """A word made from all that machine code depends on besides the program."""
    parts: list[object] = [getattr(sys.modules["kyeo"], "__version__", ""), jax.__version__, jaxlib.__version__,
                           platform.machine(), os.cpu_count(), processor.description()]
    if hasattr(os, "sched_getaffinity"):
        parts.append(len(os.sched_getaffinity(0)))  # XLA cuts work into as many pieces
    files = [e for e in os.scandir(pathlib.Path(jaxlib.__file__).parent) if e.name.endswith((".so", ".pyd", ".dylib"))]
    parts += sorted((e.name, e.stat().st_size, e.stat().st_mtime_ns) for e in files)
    return hashlib.blake2b(repr(parts).encode(), digest_size=10).hexdigest()


def _distrust(folder: pathlib.Path) -> str:
    """Why what lies in the folder must not be run; empty where nobody else could have put it there."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return f"{folder} is not a folder"
    if hasattr(os, "getuid") and found.st_uid != os.getuid():
        return f"{folder} belongs to another user"
    if os.name == "posix" and found.st_mode & 0o077:
        return f"others may use {folder}: chmod 700 it, or remove it"
    return ""


def _crashed(folder: pathlib.Path) -> str:
    """Why the folder is out of use: an earlier start died while it loaded from it. What it loaded is removed.

    After the first such start the next ones begin again with an empty folder; after the second nobody does.
    """
    tally = folder / "crashes"
    dead = [mark for mark in [*folder.glob("loading-*"), *folder.glob("filling-*")] if _is_of_the_dead(mark)]
    for file in [*folder.glob("*-cache"), *dead] if dead else []:  # the last file may be half written
        file.unlink(missing_ok=True)
    fresh = any(mark.name.startswith("loading") for mark in dead)
    crashes = (tally.stat().st_size if tally.exists() else 0) + fresh
    if fresh:
        tally.write_bytes(b"x" * crashes)
        text = f"an earlier start died while it loaded compiled steps from {folder}, which was emptied"
        warn(f"Kyeo's compile cache is off in this run: {text}. {_VARIABLE}=0 turns it off for good.")
        return text
    return f"starts died while they loaded from {folder}: remove it to try again" if crashes >= _MOST_CRASHES else ""


def _is_of_the_dead(mark: pathlib.Path) -> bool:
    """Whether the process that left a mark has ended without taking it away."""
    _, process, host = mark.name.split("-", 2)
    if os.name == "posix" and host == socket.gethostname() and process.isdigit():
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return False
    return time.time() - mark.stat().st_mtime > _STALE


def _prune(folder: pathlib.Path) -> None:
    """Remove the entries not used for longest until the rest is small enough."""
    found = [(max(info.st_atime, info.st_mtime), info.st_size, file)
             for file in folder.glob("*-cache") for info in [file.stat()]]
    total = sum(size for _, size, _ in found)
    for _, size, file in sorted(found):
        if total <= _LIMIT:
            break
        file.unlink(missing_ok=True)
        total -= size


def _forget_old(caches: pathlib.Path) -> None:
    """Remove the folders of machines and versions that nobody has used for a month."""
    for folder in caches.glob("compiled-*"):
        if _distrust(folder):  # it may not even be ours to look into
            continue
        newest = max(file.stat().st_mtime for file in [folder, *folder.iterdir()])
        if time.time() - newest > _FORGOTTEN:
            shutil.rmtree(folder, ignore_errors=True)
