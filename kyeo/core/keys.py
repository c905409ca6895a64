"""Seeds as the two words of a key, the form in which everything that draws takes them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.arrays import from_host
from kyeo.core.errors import problem
from kyeo.core.scope import current
from kyeo.core.settings import hash_of, seed_of

__all__ = ["default_seed", "key_of", "words_of"]


def default_seed() -> int:
    """An int below 2**32 from the seed of the process, another one each time.

    >>> default_seed() < 2**32
    True
    """
    return hash_of(seed_of(current().path), 4)


def words_of(seed: int) -> np.ndarray:
    """An int as the two words of a key, as Keras makes them.

    >>> words_of(7).tolist()
    [7, 0]
    """
    return np.array([seed & 0xFFFFFFFF, 0], np.uint32)


def key_of(seed: Any, where: str = "kyeo.random") -> jax.Array:
    """The two words that a seed means: an int, two words, a generator (it moves on), or None.

    >>> key_of(7).tolist()
    [7, 0]
    """
    if hasattr(seed, "next"):  # a SeedGenerator
        return seed.next()
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
        return from_host(words_of(int(seed)))
    if isinstance(seed, jax.Array) and jnp.issubdtype(seed.dtype, jax.dtypes.prng_key):
        seed = jax.random.key_data(seed)
    if isinstance(seed, jax.Array) and seed.shape == (2,) and seed.dtype == jnp.uint32:
        return seed
    if seed is not None:
        raise problem("`seed` is not valid.", received=f"seed={seed!r}", where=where,
                      expected="an int, a kyeo.random.SeedGenerator, a key of JAX, or None")
    key = from_host(words_of(default_seed()))
    if isinstance(key, jax.core.Tracer) and not current().symbolic:
        raise problem("Without a seed, a compiled function would give the same numbers each time.",
                      received="seed=None inside a JAX transformation", where=where, expected="a seed",
                      fix="make `self.seeds = kyeo.random.SeedGenerator()` in the layer's constructor, and pass "
                          "`seed=self.seeds`")
    return key
