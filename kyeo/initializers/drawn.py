"""Initializers that draw, with NumPy on the host.

A draw is a function of its identity and nothing else: the process seed, the path of the variable and how
often that path drew before; or, with an int seed, of that seed and the shape.
"""

import copy
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from kyeo.core.arrays import from_host
from kyeo.core.configurable import deserialize_value
from kyeo.core.dtypes import is_float, standardize_dtype
from kyeo.core.errors import number, one_of, problem
from kyeo.core.scope import current
from kyeo.core.settings import hash_of, seed_of
from kyeo.initializers.base import Initializer

__all__ = [
    "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "Orthogonal",
    "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling",
]


class _Random(Initializer):
    """Base of those that draw: `seed` is an int, a `SeedGenerator` or None (the seed of the process)."""

    def __init__(self, seed: Any = None):
        seed = deserialize_value(seed) if isinstance(seed, dict) else seed
        if not (seed is None or hasattr(seed, "next") or isinstance(seed, (int, np.integer))):
            raise problem("`seed` is not valid.", received=f"seed={seed!r}", where=self,
                          expected="an int, a kyeo.random.SeedGenerator, or None")
        self.seed = int(seed) if isinstance(seed, np.integer) else seed

    def _identity(self, shape: Sequence[int]) -> tuple[Any, ...]:
        """Of the next draw; equal ones give equal numbers on every machine."""
        if isinstance(self.seed, tuple):  # it was taken before, see `_later`
            return self.seed
        if self.seed is None:
            return seed_of(current().path)
        if isinstance(self.seed, int):
            return self.seed, tuple(shape)
        return tuple(np.asarray(self.seed.next()).tolist())

    def _generator(self, shape: Sequence[int]) -> np.random.Generator:
        """The source of random numbers of this draw."""
        return np.random.Generator(np.random.Philox(key=hash_of(self._identity(shape), 16)))

    def _later(self, shape: tuple[int, ...], dtype: str) -> Callable[[], Any] | None:
        plain = type(self).__module__ == __name__ and getattr(self, "input_axes", None) is None
        if not plain or isinstance(self, Orthogonal) or not is_float(dtype):
            return None
        same = copy.copy(self)
        same.seed = self._identity(shape)
        return functools.partial(same, shape, dtype)

    def _draw(self, kind: str, shape: Sequence[int], dtype: Any, offset: float, scale: float) -> jax.Array:
        """`offset + scale * u`, with u normal, normal within 2 sigma ("truncated") or uniform in [0, 1)."""
        dtype = standardize_dtype(dtype)
        if not is_float(dtype):
            raise problem("Random initial values are floats.", received=f"dtype={dtype!r}", where=self,
                          expected="a float dtype")
        draws = self._generator(shape)
        shape = tuple(shape)
        values: Any = (draws.random if kind == "uniform" else draws.standard_normal)(shape, np.float32)
        while kind == "truncated" and (outside := np.abs(values) > 2).any():
            values[outside] = draws.standard_normal(int(outside.sum()), np.float32)
        return from_host(values * np.float32(scale) + np.float32(offset), dtype)


class RandomNormal(_Random):
    """Normally distributed values.

    Args:
        mean, stddev: of the distribution.
        seed: an int gives the same values each time; a `SeedGenerator` is asked for the next seed; None draws
            from the seed of the process by the path of the variable.

    >>> import kyeo
    >>> kyeo.initializers.RandomNormal(stddev=0.1, seed=1)((2, 3)).shape
    (2, 3)
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None):
        self.mean, self.stddev = number(self, mean=mean), number(self, stddev=stddev)
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        return self._draw("normal", shape, dtype, self.mean, self.stddev)


class TruncatedNormal(_Random):
    """Normally distributed values; those farther than two standard deviations from the mean are drawn again.

    Args: as for `RandomNormal`.

    >>> import kyeo
    >>> float(abs(kyeo.initializers.TruncatedNormal(stddev=1.0, seed=1)((1000,))).max()) <= 2
    True
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None):
        self.mean, self.stddev = number(self, mean=mean), number(self, stddev=stddev)
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        return self._draw("truncated", shape, dtype, self.mean, self.stddev)


class RandomUniform(_Random):
    """Uniformly distributed values in [minval, maxval).

    Args:
        minval, maxval: the bounds.
        seed: as for `RandomNormal`.

    >>> import kyeo
    >>> kyeo.initializers.RandomUniform(0, 1, seed=1)((4,)).shape
    (4,)
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None):
        self.minval, self.maxval = number(self, minval=minval), number(self, maxval=maxval)
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        return self._draw("uniform", shape, dtype, self.minval, self.maxval - self.minval)


def _fans(shape: Sequence[int], inputs: Any = None, outputs: Any = None) -> tuple[int, int]:
    """How many numbers feed one output, and how many outputs one input feeds (axes: ..., in, out)."""
    if inputs is not None and outputs is not None:
        return math.prod(shape[a] for a in inputs), math.prod(shape[a] for a in outputs)
    if len(shape) < 2:
        return (shape[0],) * 2 if shape else (1, 1)
    field = math.prod(shape[:-2])  # the window of a convolution
    return shape[-2] * field, shape[-1] * field


# Cutting a unit normal at two sigma leaves this standard deviation.
_TRUNCATED_STD = 0.87962566103423978


class VarianceScaling(_Random):
    """Values whose variance is `scale / n`, so that signals keep their size through a layer.

    Args:
        scale: a positive number.
        mode: n is the number of inputs ("fan_in"), of outputs ("fan_out") or their mean ("fan_avg").
        distribution: "truncated_normal" (or "normal"), "untruncated_normal", "uniform".
        seed: as for `RandomNormal`.
        input_axes, output_axes: which axes of the variable count as inputs and outputs, where the rule "the
            last is the output, the one before the input, the others a window" does not hold.

    He et al., 2015 (https://arxiv.org/abs/1502.01852).

    >>> import kyeo
    >>> w = kyeo.initializers.VarianceScaling(2.0, seed=0)((200, 100))
    >>> abs(float(w.std()) - 0.1) < 0.01
    True
    """

    def __init__(
        self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal",
        seed: Any = None, input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None,
    ):
        self.scale = number(self, scale=scale, check=lambda s: s > 0, expected="a number > 0")
        self.mode = one_of(self, ("fan_in", "fan_out", "fan_avg"), mode=mode)
        self.distribution = one_of(
            self, ("truncated_normal", "untruncated_normal", "uniform"),
            distribution="truncated_normal" if distribution == "normal" else distribution)
        self.input_axes, self.output_axes = input_axes, output_axes
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        fan_in, fan_out = _fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(1.0, fan))
        if self.distribution == "uniform":
            limit = math.sqrt(3.0) * stddev
            return self._draw("uniform", shape, dtype, -limit, 2 * limit)
        if self.distribution == "untruncated_normal":
            return self._draw("normal", shape, dtype, 0.0, stddev)
        return self._draw("truncated", shape, dtype, 0.0, stddev / _TRUNCATED_STD)


class _Named(VarianceScaling):
    """A row of `VarianceScaling`: scale, mode and distribution are fixed by the class."""

    _row: tuple[float, str, str]

    def __init__(self, seed: Any = None, input_axes: Sequence[int] | None = None,
                 output_axes: Sequence[int] | None = None):
        super().__init__(*self._row, seed=seed, input_axes=input_axes, output_axes=output_axes)


class GlorotUniform(_Named):
    """Uniform within sqrt(6 / (inputs + outputs)); also called Xavier. The default of most layers.

    Glorot and Bengio, 2010 (https://proceedings.mlr.press/v9/glorot10a.html).

    >>> import kyeo
    >>> float(abs(kyeo.initializers.GlorotUniform(seed=0)((3, 3))).max()) <= 1
    True
    """

    _row = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Named):
    """Truncated normal of standard deviation sqrt(2 / (inputs + outputs)).

    Glorot and Bengio, 2010 (https://proceedings.mlr.press/v9/glorot10a.html).

    >>> import kyeo
    >>> kyeo.initializers.GlorotNormal(seed=0)((3, 2)).shape
    (3, 2)
    """

    _row = (1.0, "fan_avg", "truncated_normal")


class LecunNormal(_Named):
    """Truncated normal of standard deviation sqrt(1 / inputs); goes with `selu`.

    Klambauer et al., 2017 (https://arxiv.org/abs/1706.02515).

    >>> import kyeo
    >>> kyeo.initializers.LecunNormal(seed=0)((3, 2)).shape
    (3, 2)
    """

    _row = (1.0, "fan_in", "truncated_normal")


class LecunUniform(_Named):
    """Uniform within sqrt(3 / inputs).

    Klambauer et al., 2017 (https://arxiv.org/abs/1706.02515).

    >>> import kyeo
    >>> float(abs(kyeo.initializers.LecunUniform(seed=0)((3, 2))).max()) <= 1
    True
    """

    _row = (1.0, "fan_in", "uniform")


class HeNormal(_Named):
    """Truncated normal of standard deviation sqrt(2 / inputs); goes with `relu`.

    He et al., 2015 (https://arxiv.org/abs/1502.01852).

    >>> import kyeo
    >>> kyeo.initializers.HeNormal(seed=0)((3, 2)).shape
    (3, 2)
    """

    _row = (2.0, "fan_in", "truncated_normal")


class HeUniform(_Named):
    """Uniform within sqrt(6 / inputs); goes with `relu`.

    He et al., 2015 (https://arxiv.org/abs/1502.01852).

    >>> import kyeo
    >>> float(abs(kyeo.initializers.HeUniform(seed=0)((6, 2))).max()) <= 1
    True
    """

    _row = (2.0, "fan_in", "uniform")


class Orthogonal(_Random):
    """A matrix with orthonormal columns (or rows, if it is wide), times `gain`; extra axes fold into rows.

    Saxe et al., 2014 (https://arxiv.org/abs/1312.6120).

    >>> import kyeo
    >>> q = kyeo.initializers.Orthogonal(seed=0)((4, 2))
    >>> (q.T @ q).round(3).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    def __init__(self, gain: float = 1.0, seed: Any = None):
        self.gain = number(self, gain=gain)
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        if len(shape) < 2:
            raise problem("Orthogonal columns need a matrix.", received=f"shape={tuple(shape)}", where=self,
                          expected="a shape of at least two sizes")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = self._generator(shape).standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(tall)
        q = q * np.sign(np.diag(r))  # makes Q uniform over the orthogonal matrices
        return from_host(self.gain * (q.T if rows < columns else q).reshape(shape), standardize_dtype(dtype))
