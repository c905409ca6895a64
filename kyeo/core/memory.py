"""The memory of a step stays with the process, instead of being asked from the system anew at every step.

XLA takes the memory for what a step computes with one call of `malloc`, and gives it back after the step. By its own
rules glibc maps anything larger than 32 MB anew each time (64 MB in a thread that is not the first), and the system
has to hand out, and clear, every page of it at every step. Measured with the networks of `benchmarks/` on two cores,
ms a step before -> after in one quiet pair of runs, page faults a step before (none after): ResNet-20 206 -> 135,
27,000; separable 50 -> 31, 15,900; CNN, batch 128, 106 -> 76, 18,000; transformer 58 -> 39, 15,700. The price of it
is a process that keeps what it once used, up to 2 GB of what is free, and copies of it where pieces do not fit.

That holds for the memory of the main thread; a piece of another thread's is at most 64 MB, larger ones are mapped
anew whatever the rules say. So a step has to run in the thread that asks for it, which JAX does where it does not
dispatch asynchronously. All other threads have memory of their own then: XLA's two compiling threads, which share the
first thread's otherwise, do not wait for each other. Measured on two cores of an Intel Sapphire Rapids, two to five
processes of each in turns, one memory for all and asynchronous -> this: from the start of a process to the end of ten
steps of the tutorial's CNN 4.07 -> 3.42 s; the first `fit` of a transformer 4.1 -> 3.0, ResNet-20 11.9 -> 9.5, the
MLP for digits 1.4 -> 1.1 s; ms a step of ResNet-20 133 -> 127, separable 35 -> 32, the MLP 20-32-16-1 0.021 -> 0.019;
peak memory of ResNet-20 1,031 -> 668 MB, separable 953 -> 651. What it costs: the Python of a generator, or of a
PyDataset without workers, no longer runs beside the step before (5 ms of it make a step of 26 ms one of 33, and 2
PyDataset workers of 28 one of 31); ConvLSTM 138 -> 151 ms.

The first gigabyte of that memory is asked for at once and lies in pages of 2 MB instead of 4 kB where Linux lets a
program choose: fewer pages to look up. (Until it is used it is a number, no memory.) Measured in pairs on an Intel
Sapphire Rapids, before -> after: ResNet-20 142 -> 116 and 167 -> 147 ms, transformer 45 -> 39; the others the same.
"""

import contextlib
import ctypes
import os
import pathlib
import re
import sys

__all__ = ["keep_memory", "may_choose_pages", "run_in_callers_thread"]

_TOP_PAD = -2  # M_TOP_PAD: how much more than needed is asked of the system
_USUAL_PAD = 128 * 1024
_FIRST = 2**30
_HUGE_PAGE = 2**21
_MADV_HUGEPAGE = 14
_SYSTEM = [pathlib.Path(path) for path in (
    "/sys/kernel/mm/transparent_hugepage/enabled", "/proc/sys/vm/overcommit_memory", "/proc/self/limits")]

# What mallopt sets, by glibc's numbers, to what.
_RULES = {
    -3: 2**30,  # M_MMAP_THRESHOLD: what is smaller than this is not mapped by itself
    -1: 2**31 - 1,  # M_TRIM_THRESHOLD: so much may lie free at the end before it goes back
    -8: 8,  # M_ARENA_MAX: so many threads have memory of their own
}
# Whoever sets one of these has rules of their own.
_VARIABLES = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_ARENA_MAX", "MALLOC_MMAP_MAX_")


def keep_memory() -> bool:
    """Make `malloc` keep memory, and say whether it does; elsewhere than with glibc nothing is changed.

    To be called before JAX starts its threads: one that has memory of its own stays with it.
    """
    own_rules = any(name in os.environ for name in _VARIABLES) or "malloc" in os.environ.get("GLIBC_TUNABLES", "")
    if sys.platform != "linux" or own_rules:
        return False
    try:
        library = ctypes.CDLL(None)
        kept = all(library.mallopt(rule, value) for rule, value in _RULES.items())
    except (OSError, AttributeError):  # another C library has no such function
        return False
    if kept and may_choose_pages():
        _take_in_huge_pages(library)
    return kept


def run_in_callers_thread() -> None:
    """Let JAX's CPU compute in the thread that asks for it; what it has started before this goes on as it was."""
    import jax  # after `keep_memory`, which comes before all threads

    with contextlib.suppress(AttributeError):  # a JAX that has no such choice
        jax.config.update("jax_cpu_enable_async_dispatch", False)


def may_choose_pages() -> bool:
    """Whether the system gives huge pages to who asks for them, and memory that is not used yet costs nothing."""
    try:
        pages, promises, limits = (path.read_text(encoding="ascii") for path in _SYSTEM)
    except OSError:
        return False
    unlimited = re.findall(r"^Max (?:address space|data size) +unlimited", limits, re.MULTILINE)
    return "[madvise]" in pages and promises.strip() != "2" and len(unlimited) == 2


def _take_in_huge_pages(library: ctypes.CDLL) -> None:
    """Let the heap grow by the first gigabyte, and mark what it grew by."""
    library.sbrk.restype = library.malloc.restype = ctypes.c_void_p
    library.free.argtypes = [ctypes.c_void_p]
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    before = library.sbrk(0)
    library.mallopt(_TOP_PAD, _FIRST)
    library.free(library.malloc(4 * _HUGE_PAGE))  # more than is free at the end now
    library.mallopt(_TOP_PAD, _USUAL_PAD)
    start, end = -(-before // _HUGE_PAGE) * _HUGE_PAGE, library.sbrk(0)
    if end > start:
        library.madvise(start, end - start, _MADV_HUGEPAGE)
