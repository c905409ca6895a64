"""What the processor is and can do, as far as the system tells."""

import functools
import pathlib
import platform

__all__ = ["computes_in", "cpu_quota", "description", "has_wide_products", "has_wide_vectors", "second_cache"]

# Words among the processor's abilities, of which any one means that it multiplies in that type.
_ABLE = {
    "bfloat16": {"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16"},
    "float16": {"avx512_fp16", "amx_fp16", "asimdhp"},
}


@functools.cache
def description() -> str:
    """The processor's name and abilities."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            first = [line for line, _ in zip(lines, range(40)) if line.startswith(("model name", "flags", "Features"))]
            return "".join(first[:2])
    except OSError:
        return platform.processor()


def computes_in(dtype: str) -> bool | None:
    """Whether the processor has instructions for products of "bfloat16" or "float16"; None where nobody says.

    >>> computes_in("float32")
    True
    """
    if dtype not in _ABLE:
        return True
    return _is_able(_ABLE[dtype])


def has_wide_vectors() -> bool | None:
    """Whether the processor computes with vectors of 512 bits; None where nobody says."""
    return _is_able({"avx512f"})


def has_wide_products() -> bool | None:
    """Whether it also multiplies 512 bits at once; None where nobody says. AMD's Zen 4 does it in two halves."""
    in_halves = _is_able({"AMD"}) and not _is_able({"avx_vnni"})  # which came with Zen 5
    return has_wide_vectors() and not in_halves


@functools.cache
def second_cache(folder: str = "/sys/devices/system/cpu/cpu0/cache") -> int | None:
    """The bytes of a core's second cache; None where nobody says.

    Args:
        folder: where the system tells of a core's caches.
    """
    for cache in sorted(pathlib.Path(folder).glob("index*")):
        told = _read(cache / "size").strip()
        if _read(cache / "level").strip() == "2" and told.endswith("K") and told[:-1].isdigit():
            return int(told[:-1]) * 1024
    return None


def _is_able(words: set[str]) -> bool | None:
    """Whether the processor's description has one of these words; None where nobody says."""
    known = set(description().split())
    return bool(known & words) if len(known) > 10 else None


def cpu_quota(groups: str = "/sys/fs/cgroup", own: str = "/proc/self/cgroup") -> float | None:
    """How many cores' worth of time a container may use, by its control group (of either version); None for no limit.

    Args:
        groups: where the control groups are mounted.
        own: the file that says in which of them the process is.
    """
    found = []
    for line in _read(pathlib.Path(own)).splitlines():
        _, kinds, path = line.split(":", 2)
        if kinds and "cpu" not in kinds.split(","):
            continue
        inside = pathlib.PurePosixPath(path.lstrip("/"))
        for group in (inside, *inside.parents):  # the tightest on the way up holds; in a container the way may be short
            for kind in (".", kinds, "cpu"):
                folder = pathlib.Path(groups, kind, group)
                words = _read(folder / "cpu.max").split() or [
                    _read(folder / f"cpu.cfs_{word}_us").strip() for word in ("quota", "period")]
                if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]):
                    found.append(int(words[0]) / int(words[1]))
    return min(found, default=None)


def _read(path: pathlib.Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
