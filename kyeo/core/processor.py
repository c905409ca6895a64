"""What the processor is and can do, as far as the system tells."""

import functools
import platform

__all__ = ["computes_in", "description"]

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
    words = set(description().split())
    return bool(words & _ABLE[dtype]) if len(words) > 10 else None
