"""What this machine offers: versions, devices, threads, caches, and hints where something is amiss."""

import argparse
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from kyeo.cli import version_of

__all__ = ["report", "run"]

_PACKAGES = ("kyeo", "jax", "jaxlib", "numpy", "h5py", "rich", "matplotlib", "keras")
_VARIABLES = ("JAX_PLATFORMS", "JAX_ENABLE_X64", "JAX_COMPILATION_CACHE_DIR", "KYEO_COMPILE_CACHE", "XLA_FLAGS",
              "OMP_NUM_THREADS")


def run(options: argparse.Namespace) -> int:
    """Print the report; 1 when JAX does not work here."""
    rows = list(report())
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")
    return int(any(name == "problem" for name, _ in rows))


def report() -> Iterator[tuple[str, str]]:
    """Give the report as rows of a name and a value.

    Example:
        >>> from kyeo.cli import doctor
        >>> dict(doctor.report())["python"].split(".")[0]
        '3'
    """
    yield "python", f"{platform.python_version()} ({sys.executable})"
    for package in _PACKAGES:
        yield package, version_of(package)
    yield "platform", f"{platform.platform()}, {platform.machine()}"
    yield "threads", f"{_usable_cores()} usable of {os.cpu_count()} cores"
    for variable in _VARIABLES:
        if variable in os.environ:
            yield variable, os.environ[variable]
    yield from _jax_rows()
    for hint in _hints():
        yield "hint", hint


def _usable_cores() -> int:
    """The cores this process may run on: in a container often fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _jax_rows() -> Iterator[tuple[str, str]]:
    try:
        import jax

        from kyeo.core.compile_cache import compile_cache
        from kyeo.core.processor import cpu_quota
        from kyeo.datasets.fetch import cache_folder

        for device in jax.devices():
            yield "device", f"{device} ({device.device_kind}, {device.platform})"
    except (ImportError, RuntimeError) as error:
        yield "problem", f"JAX does not work here: {error}"
        return
    quota = cpu_quota()
    if quota is not None and quota < _usable_cores():
        yield "hint", f"the time of {quota:g} cores may be used: call kyeo.config.set_num_threads() first of all"
    compile_cache.switch_on()
    folder = compile_cache.folder
    yield "compile cache", f"{folder} ({_size(folder)})" if folder else f"off: {compile_cache.reason}"
    yield "data cache", f"{cache_folder()} ({_size(cache_folder())})"


def _size(folder: Path) -> str:
    if not folder.is_dir():
        return "not there yet"
    sizes = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
    return f"{len(sizes)} files, {sum(sizes) / 1e6:.1f} MB"


def _hints() -> Iterator[str]:
    """What is known about platforms; see the README for the list."""
    system, machine = platform.system(), platform.machine().lower()
    if sys.version_info < (3, 12):
        yield "newer JAX (0.11 and later) needs Python 3.12, and computes convolutions faster on the CPU"
    if system == "Darwin" and machine == "x86_64":
        yield "JAX has no wheels for Intel Macs that are new enough for kyeo"
    if system == "Windows" and machine not in ("amd64", "x86_64"):
        yield "JAX has no wheels for Windows on Arm; an x86-64 Python under emulation may work"
    if system == "Linux" and platform.libc_ver()[0] != "glibc":
        yield "JAX has wheels for Linux with glibc only, not for musl (Alpine)"
    if not os.access(Path.home(), os.W_OK):
        yield "the home folder cannot be written: caches go to the folder for temporary files"
