"""What the machine can do: a float32 matmul of 1024 and a large copy; `python peak.py jax|torch`, for run.py."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from data import measure, report

__all__ = ["main"]

SIZE, COPIED = 1024, 32 * 2**20  # 128 MB in, 128 MB out


def jax_calls() -> tuple[Callable[[], Any], Callable[[], Any]]:
    """A matmul and a change of sign in XLA."""
    import jax

    product, negated = jax.jit(lambda a: a @ a), jax.jit(lambda a: -a, donate_argnums=0)
    small, large = jax.numpy.ones((SIZE, SIZE)), jax.numpy.ones(COPIED)

    def copied() -> None:  # into memory it has already: fresh pages would be what is timed
        nonlocal large
        large = negated(large).block_until_ready()

    return lambda: product(small).block_until_ready(), copied


def torch_calls() -> tuple[Callable[[], Any], Callable[[], Any]]:
    """A matmul and a copy in PyTorch."""
    import torch

    small, large = torch.ones((SIZE, SIZE)), torch.ones(COPIED)
    target = torch.from_numpy(np.empty(COPIED, "float32"))
    return lambda: small @ small, lambda: target.copy_(large)


def main() -> None:
    """Measure and report GFLOP/s and GB/s."""
    product, copied = {"jax": jax_calls, "torch": torch_calls}[sys.argv[1]]()
    measure(product, 3)
    measure(copied, 2)
    gigaflops = 2 * SIZE**3 / measure(product, 30) / 1e9
    report(gigaflops=gigaflops, gigabytes=2 * 4 * COPIED / measure(copied, 10) / 1e9)


if __name__ == "__main__":
    main()
