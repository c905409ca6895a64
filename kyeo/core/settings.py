"""The settings of the process: number type, image format, epsilon, seed, dtype policy.

One plain object, read at the moment of use. `kyeo.config` is its public face.
"""

import dataclasses
import os
from collections import Counter
from typing import Any

__all__ = ["Settings", "seed_of", "set_seed", "settings"]


@dataclasses.dataclass
class Settings:
    """What holds for every model of this process until it is set anew."""

    floatx: str = "float32"
    epsilon: float = 1e-7
    image_data_format: str = "channels_last"
    dtype_policy: Any = None  # a DTypePolicy; None means the policy named like floatx
    run_eagerly: bool = False
    seed: int = dataclasses.field(default_factory=lambda: int.from_bytes(os.urandom(4), "little"))
    seed_is_given: bool = False
    draws: Counter = dataclasses.field(default_factory=Counter)  # how often each path drew from the seed


settings = Settings()


def set_seed(seed: int) -> None:
    """Make every later draw a function of `seed` (and of where it is drawn), from the beginning."""
    settings.seed = int(seed)
    settings.seed_is_given = True
    settings.draws.clear()


def seed_of(path: str) -> tuple[int, str, int]:
    """The identity of the next unseeded draw at `path`: (seed of the process, path, how many came before).

    A draw depends on its own path alone, so adding a layer changes the start of no other layer; the count
    keeps two models with the same layer names from starting alike.
    """
    count = settings.draws[path]
    settings.draws[path] += 1
    return settings.seed, path, count
