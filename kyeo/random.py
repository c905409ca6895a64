"""Random numbers: `SeedGenerator`, which hands out a new seed each time, and the distributions.

Numbers of half precision are drawn in float32 and rounded: from the few random bits of theirs a normal distribution has
no tails, and the same classes are drawn again and again.

A seed is an int (the same numbers each time), a `SeedGenerator`, or None: a draw from the seed of the process.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.configurable import Configurable
from kyeo.core.dtypes import is_float, is_integer, standardize_dtype, widened
from kyeo.core.errors import fraction, positive_int, problem
from kyeo.core.gone import answer_for_missing
from kyeo.core.keys import default_seed, key_of, words_of
from kyeo.core.naming import auto_name
from kyeo.core.owned import VariableOwner
from kyeo.core.parameters import checked
from kyeo.core.scope import current, scope
from kyeo.core.variable import Variable
from kyeo.ops.core import convert_to_tensor
from kyeo.ops.kernels import keep_mask

__all__ = [
    "SeedGenerator", "beta", "binomial", "categorical", "dropout", "gamma", "make_default_seed", "normal", "randint",
    "shuffle", "truncated_normal", "uniform",
]


def make_default_seed() -> int:
    """An int below 2**32 from the seed of the process, another one each time.

    >>> import kyeo
    >>> kyeo.random.make_default_seed() < 2**32
    True
    """
    return default_seed()


class SeedGenerator(VariableOwner, Configurable):
    """Hands out seeds, a new one at each call of `next`; its state is a variable, so it works under `jax.jit`.

    A layer that draws keeps one as an attribute and passes it as `seed`.

    Args:
        seed: an int; None draws one from the seed of the process.
        name: its name.

    >>> import kyeo
    >>> generator = kyeo.random.SeedGenerator(7)
    >>> generator.next().tolist(), generator.next().tolist()
    ([7, 0], [7, 1])
    """

    def __init__(self, seed: int | None = None, name: str | None = None):
        if isinstance(seed, bool) or not (seed is None or isinstance(seed, (int, np.integer))):
            raise problem("`seed` is not valid.", received=f"seed={seed!r}", expected="an int or None", where=self)
        self.seed = None if seed is None else int(seed)
        self.name = name or auto_name(type(self).__name__)
        first = words_of(make_default_seed() if self.seed is None else self.seed)
        with scope(path=f"{current().path}/{self.name}".lstrip("/")):
            self.state = Variable(first, trainable=False, autocast=False, name="seed_generator_state")

    def next(self, ordered: bool = True) -> jax.Array:
        """The present seed (two uint32 words), and go on: by one, or, unordered, to a distant number."""
        now = self.state.value
        self.state.assign(now + np.array([0, 1], np.uint32) if ordered else (now + 1) * 5387 % 933199)
        return now


def _jax_key(seed: Any) -> jax.Array:
    return jax.random.wrap_key_data(key_of(seed), impl="threefry2x32")


def _float(dtype: Any, where: str) -> str:
    dtype = standardize_dtype(dtype)
    if not is_float(dtype):
        raise problem("This distribution gives floats.", received=f"dtype={dtype!r}", expected="a float dtype",
                      where=f"random.{where}")
    return dtype


@checked
def normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None,
) -> jax.Array:
    """Normally distributed numbers.

    Args:
        shape: shape of the result.
        mean, stddev: of the distribution.
        dtype: a float type; `floatx()` when None.
        seed: an int, a `SeedGenerator` or None.

    >>> import kyeo
    >>> kyeo.random.normal((2, 3), seed=0).shape
    (2, 3)
    """
    dtype = _float(dtype, "normal")
    return (jax.random.normal(_jax_key(seed), tuple(shape), widened(dtype)) * stddev + mean).astype(dtype)


@checked
def truncated_normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None,
) -> jax.Array:
    """Normally distributed numbers within two standard deviations of the mean. Arguments as `normal`.

    >>> import kyeo
    >>> bool((abs(kyeo.random.truncated_normal((100,), seed=0)) <= 2).all())
    True
    """
    dtype = _float(dtype, "truncated_normal")
    drawn = jax.random.truncated_normal(_jax_key(seed), -2.0, 2.0, tuple(shape), widened(dtype))
    return (drawn * stddev + mean).astype(dtype)  # a mean of another type does not change it


@checked
def uniform(
    shape: Sequence[int], minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None,
) -> jax.Array:
    """Evenly distributed floats in [minval, maxval).

    Args:
        shape: shape of the result.
        minval, maxval: the bounds; numbers, or arrays that broadcast to `shape`.
        dtype: a float type; `floatx()` when None.
        seed: an int, a `SeedGenerator` or None.

    >>> import kyeo
    >>> bool((kyeo.random.uniform((100,), 2, 3, seed=0) >= 2).all())
    True
    """
    dtype = _float(dtype, "uniform")
    drawn = jax.random.uniform(_jax_key(seed), tuple(shape), widened(dtype), minval, maxval).astype(dtype)
    low, high = jnp.asarray(minval, dtype), jnp.asarray(maxval, dtype)  # rounding may give `high` itself
    return jnp.where(low < high, jnp.minimum(drawn, jnp.nextafter(high, low)), drawn)


@checked
def randint(
    shape: Sequence[int], minval: Any, maxval: Any, dtype: Any = "int32", seed: Any = None,
) -> jax.Array:
    """Evenly distributed integers from `minval` to `maxval - 1`.

    Args:
        shape: shape of the result.
        minval, maxval: the least, and one more than the greatest.
        dtype: an integer type.
        seed: an int, a `SeedGenerator` or None.

    >>> import kyeo
    >>> set(kyeo.random.randint((100,), 0, 3, seed=0).tolist())
    {0, 1, 2}
    """
    dtype = standardize_dtype(dtype)
    if not is_integer(dtype):
        raise problem("`randint` gives integers.", received=f"dtype={dtype!r}", expected="an integer dtype",
                      where="random.randint")
    return jax.random.randint(_jax_key(seed), tuple(shape), minval, maxval, dtype)


@checked
def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> jax.Array:
    """Class numbers drawn with the probabilities softmax(logits), for each row.

    Args:
        logits: shape (batch, classes).
        num_samples: how many are drawn from each row.
        dtype: of the result.
        seed: an int, a `SeedGenerator` or None.

    Returns: shape (batch, num_samples).

    >>> import kyeo
    >>> kyeo.random.categorical([[0.0, 100.0]], 3, seed=0).tolist()
    [[1, 1, 1]]
    """
    logits = convert_to_tensor(logits)
    if logits.ndim != 2:
        raise problem("`logits` must be a matrix.", received=logits, expected="shape (batch, classes)",
                      where="random.categorical")
    shape = (logits.shape[0], positive_int("random.categorical", minimum=0, num_samples=num_samples))
    logits = logits.astype(jnp.promote_types(logits.dtype, "float32"))
    drawn = jax.random.categorical(_jax_key(seed), logits[..., None], axis=1, shape=shape)
    return drawn.astype(standardize_dtype(dtype))


@checked
def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> jax.Array:
    """Inputs with a part `rate` of them, chosen at random, set to 0 and the others scaled so that the mean stays.

    Args:
        inputs: float array.
        rate: from 0 to 1.
        noise_shape: the shape of the choice, which broadcasts; None where the input's own size is meant.
        seed: an int, a `SeedGenerator` or None.

    >>> import kyeo
    >>> sorted(set(kyeo.random.dropout(kyeo.ops.ones((100,)), 0.5, seed=0).tolist()))
    [0.0, 2.0]
    """
    inputs, rate = convert_to_tensor(inputs), fraction("random.dropout", rate=rate)
    if rate in (0, 1):
        return inputs * (1 - rate)
    sizes = inputs.shape if noise_shape is None else tuple(
        have if size is None else size for size, have in zip(noise_shape, inputs.shape, strict=True))
    return jnp.where(keep_mask(key_of(seed), sizes, rate), inputs / (1 - rate), jnp.zeros((), inputs.dtype))


@checked
def shuffle(x: Any, axis: int = 0, seed: Any = None) -> jax.Array:
    """x with the elements of each line along `axis` in a random order, every line by itself.

    Args:
        x: array of any shape.
        axis: along which elements change places.
        seed: an int, a `SeedGenerator` or None.

    >>> import kyeo
    >>> sorted(kyeo.random.shuffle([1, 2, 3], seed=0).tolist())
    [1, 2, 3]
    """
    return jax.random.permutation(_jax_key(seed), convert_to_tensor(x), axis, independent=True)


@checked
def gamma(shape: Sequence[int], alpha: Any, dtype: Any = None, seed: Any = None) -> jax.Array:
    """Gamma distributed numbers of shape parameter `alpha` and scale 1.

    Args:
        shape: shape of the result.
        alpha: above 0; a number, or an array that broadcasts to `shape`.
        dtype: a float type; `floatx()` when None.
        seed: an int, a `SeedGenerator` or None.

    >>> import kyeo
    >>> bool((kyeo.random.gamma((100,), 0.5, seed=0) >= 0).all())
    True
    """
    dtype = _float(dtype, "gamma")
    return jax.random.gamma(_jax_key(seed), convert_to_tensor(alpha), tuple(shape), widened(dtype)).astype(dtype)


@checked
def binomial(
    shape: Sequence[int], counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None,
) -> jax.Array:
    """How many of `counts` trials succeed, each with probability `probabilities`; as floats.

    Args:
        shape: shape of the result.
        counts, probabilities: numbers, or arrays that broadcast to `shape`.
        dtype: a float type; `floatx()` when None.
        seed: an int, a `SeedGenerator` or None.

    >>> import kyeo
    >>> bool((kyeo.random.binomial((100,), 5, 0.5, seed=0) <= 5).all())
    True
    """
    counts, chances = convert_to_tensor(counts, "float32"), convert_to_tensor(probabilities, "float32")
    dtype = _float(dtype, "binomial")
    return jax.random.binomial(_jax_key(seed), counts, chances, tuple(shape), widened(dtype)).astype(dtype)


@checked
def beta(shape: Sequence[int], alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> jax.Array:
    """Beta distributed numbers, between 0 and 1.

    Args:
        shape: shape of the result.
        alpha, beta: the two parameters, above 0; numbers, or arrays that broadcast to `shape`.
        dtype: a float type; `floatx()` when None.
        seed: an int, a `SeedGenerator` or None.

    >>> import kyeo
    >>> bool((kyeo.random.beta((100,), 2.0, 2.0, seed=0) <= 1).all())
    True
    """
    alpha, other = convert_to_tensor(alpha), convert_to_tensor(beta)
    dtype = _float(dtype, "beta")
    return jax.random.beta(_jax_key(seed), alpha, other, tuple(shape), widened(dtype)).astype(dtype)


answer_for_missing(__name__)
