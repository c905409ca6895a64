"""The memory of a step stays with the process, instead of being asked from the system anew at every step.

XLA takes the memory for what a step computes with one call of `malloc`, and gives it back after the step. By its own
rules glibc maps anything larger than 32 MB anew each time (64 MB in a thread that is not the first), and the system
has to hand out, and clear, every page of it at every step. Measured with the networks of `benchmarks/` on two cores,
ms a step before -> after in one quiet pair of runs, page faults a step before (none after): ResNet-20 206 -> 135,
27,000; separable 50 -> 31, 15,900; CNN, batch 128, 106 -> 76, 18,000; transformer 58 -> 39, 15,700. Small networks
pay for it where XLA's threads wait for each other's `malloc`: the MLP 20-32-16-1 takes 25 us a step on an Intel
Sapphire Rapids, with eight arenas 17; but then large steps map their memory anew again (17,000 faults a step of the
CNN, batch 128, whatever M_MMAP_MAX and M_TOP_PAD are). The price of it all is a process that keeps what it once used,
up to 2 GB of what is free, and copies of it where pieces do not fit: the ResNet's peak is 0.9 to 1.0 instead of 0.7 GB.
"""

import ctypes
import os
import sys

__all__ = ["keep_memory"]

# What mallopt sets, by glibc's numbers, to what.
_RULES = {
    -3: 2**30,  # M_MMAP_THRESHOLD: what is smaller than this is not mapped by itself
    -1: 2**31 - 1,  # M_TRIM_THRESHOLD: so much may lie free at the end before it goes back
    -8: 1,  # M_ARENA_MAX: XLA's threads share the first thread's memory, since in others' each piece is at most 64 MB
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
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library has no such function
        return False
    return all(mallopt(rule, value) for rule, value in _RULES.items())
