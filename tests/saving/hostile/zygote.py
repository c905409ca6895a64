"""A process that has imported everything and started nothing: it opens each hostile file in a child of its own.

A program: it reads jobs from stdin, a JSON object a line, and writes what became of each to stdout. A child is a fork
(a few milliseconds, no JAX backend, no threads). Before it opens the file it is put under an audit hook that nobody
can take off again and under limits of memory, processor time and file size. What a benign file of each kind makes
Python do (`scout`) is allowed; everything else is noted, and raises.
"""

import contextlib
import ctypes
import importlib
import json
import os
import resource
import select
import signal
import sys
import time
import warnings

os.environ.update(JAX_PLATFORMS="cpu", KYEO_COMPILE_CACHE="0", OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1",
                  MALLOC_ARENA_MAX="1")

import h5py  # noqa: F401
import jax

from kyeo.core import registry

__all__ = ["Armed", "main", "run_here"]

MEMORY = 1280 * 2**20  # address space: the threads of XLA reserve much of it
SECONDS, WAITING = 5, 60  # of processor time, which a busy machine does not lengthen; by the clock, for what only waits
DENIED = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile",
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.symlink", "os.link", "os.chmod", "os.chown", "os.chflags",
    "os.truncate", "os.utime", "os.putenv", "os.unsetenv", "os.kill", "os.chdir", "os.setxattr", "os.listdir",
    "os.scandir", "os.walk", "glob.", "shutil.", "tempfile.", "urllib.", "http.", "ftplib.", "smtplib.", "imaplib.",
    "poplib.", "telnetlib.", "webbrowser.", "pty.", "ctypes.", "marshal.", "pickle.", "sqlite3.", "code.", "function.",
    "syslog.", "winreg.", "msvcrt.", "signal.", "import", "compile", "exec", "open", "setopencodehook",
    "cpython.run_", "sys.setprofile", "sys.settrace", "sys._current", "gc.", "resource.setrlimit", "resource.prlimit",
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
FOLDERS = {os.path.realpath(folder) for folder in sys.path}
SOURCES: set[str] = set()  # of the modules that are loaded
_IN_OPEN, _IN_CHANGES = 0x20, 0xFC6  # opened; written, moved, made, removed, ...

for _room in registry._ROOMS:
    importlib.import_module(f"kyeo.{_room}")
importlib.import_module("kyeo.export")
importlib.import_module("kyeo.legacy.saving")
importlib.import_module("kyeo.saving.legacy")
importlib.import_module("kyeo.callbacks.checkpoint")
importlib.import_module("kyeo.core.tensors")
importlib.import_module("kyeo.datasets.archives")

from tests.saving.hostile.entries import ENTRIES, TRAPPED  # noqa: E402


class Armed:
    """The audit hook: lets through what is in `allowed` or reads in `folder`; notes all else, and raises."""

    def __init__(self, allowed: set, folder: str, may_write: bool, recording: bool):
        self.allowed, self.folder, self.may_write, self.recording = allowed, folder, may_write, recording
        self.events: list[list[str]] = []
        self.on = False

    def __call__(self, event: str, args: tuple) -> None:
        if not self.on or not event.startswith(DENIED):
            return
        self.on = False
        try:
            about = self._about(event, args)
            if (event, about) in self.allowed or self._is_inside(event, args):
                return
            self.events.append([event, about])
        finally:
            self.on = True
        if not self.recording:
            raise PermissionError(f"{event} {about}")

    def _about(self, event: str, args: tuple) -> str:
        if event == "compile":
            return str(args[1])
        if event == "exec":
            return str(getattr(args[0], "co_filename", args[0]))
        if event == "code.__new__":
            return str(args[1])
        if event.startswith(("marshal", "function", "ctypes.addressof", "ctypes.cdata", "gc.")):
            return ""
        return str(args[0])[:200] if args else ""

    def _is_inside(self, event: str, args: tuple) -> bool:
        if event not in ("open", "os.listdir", "os.scandir") and not self.may_write:
            return False
        if not args or not isinstance(args[0], (str, bytes, os.PathLike)):
            return event == "open"  # a descriptor that is open already
        if self.may_write and not os.path.isabs(os.fsdecode(args[0])):
            return True  # within a folder that is open already
        path = os.path.realpath(os.fsdecode(args[0]))
        if (event in ("os.listdir", "os.scandir") and path in FOLDERS) or (event == "open" and path in FOLDERS):
            return True  # where modules are looked for; the import itself is noted if it is a new one
        if event == "open" and path in SOURCES and not args[2] & _WRITING:
            return True  # for a traceback
        if path != self.folder and not path.startswith(self.folder + os.sep):
            return False
        return self.may_write or event != "open" or not args[2] & _WRITING


def _limit(size: int, may_write: bool, seconds: int) -> None:
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY + 3 * size,) * 2)
    used = int(time.process_time())  # by a fork nothing; 2 to 5 s by imports, where there was none
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, used + seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    most = 2**28 if may_write else 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def run_here(job: dict, allowed: set, recording: bool = False, limits: bool = True) -> dict:
    """Open the file of a job in this process, armed for good, and tell what became of it."""
    path = job["path"]
    size = os.path.getsize(path) if os.path.isfile(path) else 2**16
    may_write = bool(job.get("may_write"))
    hook = Armed(allowed, os.path.realpath(job.get("folder") or os.path.dirname(path)), may_write, recording)
    warnings.simplefilter("ignore")
    jax.config.update("jax_disable_most_optimizations", True)
    if limits:
        _limit(size, may_write, job.get("seconds", SECONDS))
    sys.addaudithook(hook)
    result: dict = {"outcome": "done", "kind": "", "message": "", "told": False, "trapped": 0}
    before, start, texts = set(sys.modules), time.process_time(), []
    hook.on = True
    try:
        texts = ENTRIES[job["entry"]](path, job)
    except BaseException as error:
        texts = [repr(error), str(error)]
        chain, memory = error, False
        while chain is not None:
            memory |= isinstance(chain, MemoryError) or "RESOURCE_EXHAUSTED" in str(chain)
            chain = chain.__cause__ or chain.__context__
        result.update(outcome="out of memory" if memory else "error", kind=type(error).__name__,
                      message=str(error)[:2000], told=hasattr(error, "_told"),
                      bases=[c.__name__ for c in type(error).__mro__])
    hook.on = False
    token = job.get("token", "")
    result.update(events=hook.events[:20], seconds=time.process_time() - start, trapped=len(TRAPPED),
                  leaked=bool(token) and any(token in str(text) for text in texts))
    if recording:
        result["modules"] = sorted(set(sys.modules) - before)
    return result


def _in_child(job: dict, allowed: set, recording: bool, watch: "_Watch") -> dict:
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reader)
        watch.close()
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        try:
            text = json.dumps(run_here(job, allowed, recording, limits=not recording))
            os.write(writer, text.encode("utf-8", "backslashreplace"))
        finally:
            os._exit(0)
    os.close(writer)
    text, end = b"", time.monotonic() + job.get("waiting", WAITING)
    while (left := end - time.monotonic()) > 0 and select.select([reader], [], [], left)[0]:
        part = os.read(reader, 2**16)
        text += part
        if not part:
            break
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(reader)
    _, status, usage = os.wait4(pid, 0)
    died = {"outcome": f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "died", "events": [],
            "seconds": SECONDS, "kind": "", "message": "", "told": False, "leaked": False, "trapped": 0}
    result = json.loads(text) if text else died
    return {**result, "memory": usage.ru_maxrss * 1024, "watched": watch.seen()}


class _Watch:
    """What happens to the files of a folder, C code included; Linux alone can tell."""

    def __init__(self, folder: str | None):
        self.file = -1
        if folder and sys.platform == "linux":
            libc = ctypes.CDLL(None, use_errno=True)
            self.file = libc.inotify_init1(os.O_NONBLOCK)
            for place, _, _ in os.walk(folder):
                libc.inotify_add_watch(self.file, os.fsencode(place), _IN_OPEN | _IN_CHANGES)

    def seen(self) -> int:
        """How many bytes of news there are."""
        try:
            return len(os.read(self.file, 2**16)) if self.file >= 0 else 0
        except BlockingIOError:
            return 0

    def close(self) -> None:
        if self.file >= 0:
            os.close(self.file)


def _load(modules: list[str]) -> None:
    for module in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    SOURCES.update(os.path.realpath(m.__file__) for m in list(sys.modules.values()) if getattr(m, "__file__", None))


def main() -> None:
    """Scout the benign jobs of the first line, then do those of the lines after it."""
    if hasattr(os, "unshare"):
        with contextlib.suppress(OSError):  # not root
            os.unshare(os.CLONE_NEWNET)
    first = json.loads(sys.stdin.readline())
    if first.get("direct"):  # one job in this very process, to show that a fork is no different
        allowed = {tuple(event) for event in first["allowed"]}
        _load(first["modules"])
        result = run_here(first["direct"], allowed)
        sys.stdout.write(json.dumps({**result, "memory": 0, "watched": 0}) + "\n")
        return
    watch = _Watch(first.get("watched"))
    watch.seen()
    allowed, modules, most = set(), [], 0
    for _ in range(2):  # what the first round has to import is there in the second
        allowed = {("open", "/proc/self/statm")}  # asked only under a limit of memory, which scouts have not
        for job in first["benign"]:
            result = _in_child(job, allowed, True, watch)
            if result["outcome"] != "done":
                raise SystemExit(f"{job}: {result}")
            allowed |= {tuple(event) for event in result["events"]}
            most = max(most, result["memory"])
            modules += result["modules"]
        _load(modules)
    watch.seen()
    sys.stdout.write(json.dumps({"allowed": sorted(allowed), "memory": most, "modules": modules}) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_in_child(json.loads(line), allowed, False, watch)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
