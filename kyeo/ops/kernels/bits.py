"""Cheap random bits for dropout masks: a hash of (key, position), a few integer operations an element.

`jax.random` draws from Threefry, some hundred operations an element, which on a CPU costs more than the layer
whose mask it is. A mask needs no cryptography. Here each element hashes its own position, so a mask does not
depend on how the array is cut into devices or batches, and XLA fuses the hash into the multiplication that
uses it.

The multiply-xorshift rounds are `lowbias32`, found by search for least bias: C. Wellons, "Prospecting for
Hash Functions" (2018), https://nullprogram.com/blog/2018/07/31/. On counter-based generators made of integer
hashes see M. Jarzynski and M. Olano, "Hash Functions for GPU Rendering", JCGT 9(3), 2020.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array, lax

from kyeo.core.tracing import step_by_step
from kyeo.ops.kernels.derivative import as_one

__all__ = ["derived_key", "keep_mask", "normal_numbers", "uniform_bits", "uniform_numbers"]


@as_one(1)
def uniform_bits(key: Array, shape: tuple[int, ...]) -> Array:
    """Return uniform random uint32 numbers of the given shape.

    `key` is a uint32 array of two words, for example (seed, step); different keys give unrelated numbers.
    Element `i` in row-major order depends on `key` and `i` only, so the first rows of a taller array are the
    same. Positions count modulo 2**32: an array of more elements repeats itself.

    >>> import jax.numpy as jnp
    >>> key = jnp.array([7, 0], "uint32")
    >>> bool((uniform_bits(key, (4, 3))[:2] == uniform_bits(key, (2, 3))).all())
    True
    """
    first, second = spread_key(key)
    return scrambled(first, second, shape)


@as_one(1, 2)
def keep_mask(key: Array, shape: tuple[int, ...], rate: float) -> Array:
    """Return a boolean array that is False with probability `rate` (a Python number in [0, 1]).

    `key` and `shape` as in `uniform_bits`. The rate is met to within 2**-33.

    >>> import jax.numpy as jnp
    >>> mask = keep_mask(jnp.array([7, 0], "uint32"), (100, 100), 0.25)
    >>> bool(abs(mask.mean() - 0.75) < 0.02)
    True
    """
    kept = round((1.0 - rate) * 2**32)
    if kept == 2**32:
        return jnp.ones(shape, bool)
    return below(uniform_bits(key, shape), kept)


def derived_key(key: Array, number: int) -> Array:
    """Return another key for each number, unrelated to the first and to those that count on from it.

    >>> import jax.numpy as jnp
    >>> key = jnp.array([7, 0], "uint32")
    >>> bool((derived_key(key, 0) == derived_key(key, 1)).all())
    False
    """
    return jnp.stack([scramble(key[0] ^ jnp.uint32(0xC2B2AE35 * (number + 1) % 2**32)), key[1]])


@as_one(1)
def uniform_numbers(key: Array, shape: tuple[int, ...]) -> Array:
    """Return float32 numbers spread evenly in [0, 1); arguments as `uniform_bits`.

    >>> import jax.numpy as jnp
    >>> bool((uniform_numbers(jnp.array([7, 0], "uint32"), (100,)) < 1).all())
    True
    """
    return (uniform_bits(key, shape) >> 8).astype("float32") * 2.0**-24


@as_one(1)
def normal_numbers(key: Array, shape: tuple[int, ...]) -> Array:
    """Return float32 numbers with the normal distribution of mean 0 and variance 1; arguments as `uniform_bits`.

    >>> import jax.numpy as jnp
    >>> bool(abs(normal_numbers(jnp.array([7, 0], "uint32"), (1000,)).std() - 1) < 0.1)
    True
    """
    inside = (uniform_bits(key, shape) >> 8).astype("float32") * 2.0**-23 - (1.0 - 2.0**-24)  # in (-1, 1)
    return math.sqrt(2) * lax.erf_inv(inside)


@step_by_step
def scrambled(first: Array, second: Array, shape: tuple[int, ...]) -> Array:
    """The position of each element, hashed in two rounds, half of the key before each: after one, two keys could give
    shifted copies of a sequence."""
    return scramble(scramble(positions(shape) ^ first) + second)


@step_by_step
def below(bits: Array, limit: int) -> Array:
    return bits < jnp.uint32(limit)


def scramble(x: Array) -> Array:
    """A bijection of 32-bit words in which every input bit flips every output bit about half of the time."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)


@jax.jit  # 70 operations on scalars, traced once for all layers that draw: 8 ms for each of them in a start
def spread_key(key: Array) -> tuple[Array, Array]:
    """Mix the two words of a key into each other, one-to-one, so that counting keys are far apart."""
    first, second = key[0], key[1]
    for constant in (0x9E3779B9, 0x85EBCA6B):
        first = first + scramble(second ^ jnp.uint32(constant))
        second = second + scramble(first ^ jnp.uint32(constant))
    return first, second


def positions(shape: tuple) -> Array:
    """The row-major position of every element, modulo 2**32; the first size may be symbolic."""
    index, stride = jnp.zeros(shape, jnp.uint32), 1
    for axis in reversed(range(len(shape))):
        index = index + lax.broadcasted_iota(jnp.uint32, shape, axis) * jnp.uint32(stride % 2**32)
        if axis:
            stride = stride * shape[axis]
    return index
