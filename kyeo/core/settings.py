"""The settings of the process: number type, image format, epsilon, seed, dtype policy.

One plain object, read at the moment of use. `kyeo.config` is its public face.
"""

import dataclasses
import hashlib
import os
import re
from collections import Counter
from typing import Any

__all__ = ["Settings", "hash_of", "seed_of", "set_seed", "settings"]


def _limit(name: str) -> int | None:
    """A limit out of the environment, by Keras's name or ours."""
    text = os.environ.get(f"KYEO_{name}") or os.environ.get(f"KERAS_{name}")
    return int(text) if text else None


@dataclasses.dataclass
class Settings:
    """What holds for every model of this process until it is set anew."""

    floatx: str = "float32"
    epsilon: float = 1e-7
    image_data_format: str = "channels_last"
    dtype_policy: Any = None  # a DTypePolicy; None means the policy named like floatx
    distribution: Any = None  # of kyeo.distribution; None: everything is on one device
    run_eagerly: bool = False
    compile_cache: bool = True
    flash_attention: bool | None = None  # None: as the shapes call for
    interactive_logging: bool = True
    traceback_filtering: bool = True
    max_epochs: int | None = dataclasses.field(default_factory=lambda: _limit("MAX_EPOCHS"))
    max_steps_per_epoch: int | None = dataclasses.field(default_factory=lambda: _limit("MAX_STEPS_PER_EPOCH"))
    seed: int = dataclasses.field(default_factory=lambda: int.from_bytes(os.urandom(4), "little"))
    draws: Counter[str] = dataclasses.field(default_factory=Counter)  # how often each path drew from the seed


settings = Settings()


def set_seed(seed: int) -> None:
    """Make every later draw a function of `seed` (and of where it is drawn), from the beginning."""
    settings.seed = int(seed)
    settings.draws.clear()


def seed_of(path: str) -> tuple[int, str, int]:
    """The identity of the next unseeded draw at `path`: (seed of the process, path, how many came before).

    A draw depends on its own path alone, so adding a layer changes the start of no layer of another kind; the count
    keeps two layers with the same path from starting alike. Numbers at the end of names do not count: `dense_4` of
    a model that is built again after `set_seed` starts as `dense` did the first time.
    """
    path = re.sub(r"_\d+(?=/|$)", "", path)
    count = settings.draws[path]
    settings.draws[path] += 1
    return settings.seed, path, count


def hash_of(identity: object, size: int = 8) -> int:
    """A number of `size` bytes made from an identity of plain values; the same on every machine.

    >>> hash_of((1, "dense/kernel", 0)) == hash_of((1, "dense/kernel", 0)) != hash_of((2, "dense/kernel", 0))
    True
    """
    return int.from_bytes(hashlib.blake2b(repr(identity).encode(), digest_size=size).digest(), "little")
