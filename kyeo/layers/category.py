"""CategoryEncoding and Discretization: integers and ranges of numbers as categories. Both run in compiled steps."""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.arrays import known_range
from kyeo.core.errors import describe, number, one_of, positive_int, problem
from kyeo.core.scope import current
from kyeo.core.variable import unwrap
from kyeo.layers.data_layer import DataLayer

__all__ = ["CategoryEncoding", "Discretization"]


def _encoded(ids: Any, mode: str, depth: int, dtype: Any, weights: Any = None) -> Any:
    """Indices as "int", or by 0 and 1, or counts, over `depth` places; those outside count for nothing."""
    if mode == "int":
        return ids.astype(dtype)
    ids = ids[None] if ids.ndim == 0 else ids
    if mode == "one_hot" and ids.ndim > 1 and ids.shape[-1] == 1:
        ids = ids[..., 0]
    places = jax.nn.one_hot(ids.astype("int32"), depth, dtype=dtype)
    if mode == "one_hot":
        return places
    if mode == "multi_hot":
        return places.max(axis=-2)
    return (places if weights is None else places * weights[..., None]).sum(axis=-2)


def _refuse_sparse(owner: Any, sparse: Any) -> None:
    if sparse:
        raise problem("Sparse tensors are not supported.", received="sparse=True", where=owner,
                      expected="sparse=False", fix="the dense form holds the same numbers")


class CategoryEncoding(DataLayer):
    """Integers below `num_tokens` as rows of 0 and 1, or of counts.

    Args:
        num_tokens: how many categories there are.
        output_mode: "one_hot" of each integer; "multi_hot" (which stand in a row) or "count" (how often) of the
            integers along the last axis.
        sparse: must be False.

    Call arguments: integers; and for "count", `count_weights` of the same shape, which are added up instead of ones.
    Integers out of range are refused, but for compiled code, where they count for nothing.

    >>> import kyeo
    >>> kyeo.layers.CategoryEncoding(4, output_mode="count")([[0, 1], [2, 2]]).tolist()
    [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]]
    """

    def __init__(self, num_tokens: int | None = None, output_mode: str = "multi_hot", sparse: bool = False,
                 **kwargs: Any):
        super().__init__(**kwargs)
        self.autocast = False  # integers that come as floats must not lose digits
        _refuse_sparse(self, sparse)
        self.sparse = False
        if num_tokens is None:
            raise problem("`num_tokens` is needed.", received="num_tokens=None", where=self, expected="an int",
                          fix="IntegerLookup learns the categories from data")
        self.num_tokens = positive_int(self, num_tokens=num_tokens)
        mode = "multi_hot" if output_mode == "binary" else output_mode
        self.output_mode = one_of(self, ("one_hot", "multi_hot", "count"), output_mode=mode)

    def __call__(self, inputs: Any, count_weights: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]
        if count_weights is not None:
            kwargs["count_weights"] = _array(count_weights)
        return super().__call__(_array(inputs), **kwargs)

    def get_config(self) -> dict[str, Any]:
        """The arguments; Keras keeps no `sparse`."""
        return {k: v for k, v in super().get_config().items() if k != "sparse"}

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        """The encoded integers."""
        if count_weights is not None and self.output_mode != "count":
            raise problem("`count_weights` are for counts.", received=f'output_mode="{self.output_mode}"', where=self,
                          expected='output_mode="count"')
        ids = jnp.asarray(inputs)
        if ids.dtype.kind not in "iu":
            ids = ids.astype("int32")
        low, high = known_range(ids) or (0, 0)
        if low < 0 or high >= self.num_tokens:
            raise problem("Some integers are out of range.", received=f"integers from {low} to {high}", where=self,
                          expected=f"0 to {self.num_tokens - 1}", fix="raise num_tokens, or use IntegerLookup")
        weights = None if count_weights is None else jnp.asarray(count_weights, self.dtype)
        return _encoded(ids, self.output_mode, self.num_tokens, self.dtype, weights)


def _array(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, (list, tuple, int, float)) else value


class Discretization(DataLayer):
    """Real numbers to the number of the range they lie in.

    Args:
        bin_boundaries: where one range ends and the next begins; [0.0, 1.0] makes three ranges.
        num_bins: how many ranges `adapt` shall make, each with as many numbers of the data.
        epsilon: how far off, as a part of the data, boundaries may be; smaller takes more memory.
        output_mode: "int" (the number of the range), "one_hot"; "multi_hot" or "count" along the last axis.
        sparse: must be False.

    >>> import kyeo
    >>> kyeo.layers.Discretization(bin_boundaries=[0.0, 1.0, 2.0])([[-1.5, 1.0], [0.5, 3.4]]).tolist()
    [[0, 2], [1, 3]]
    """

    _in_programs = ("bin_boundaries",)

    def __init__(self, bin_boundaries: Any = None, num_bins: int | None = None, epsilon: float = 0.01,
                 output_mode: str = "int", sparse: bool = False, dtype: Any = None, name: str | None = None,
                 **kwargs: Any):
        super().__init__(name=name, dtype=dtype, **kwargs)
        self.autocast = False  # numbers that lose digits fall into other ranges
        _refuse_sparse(self, sparse)
        self.sparse = False
        if (bin_boundaries is None) == (num_bins is None):
            raise problem("Exactly one of `bin_boundaries` and `num_bins` is needed.", where=self,
                          received=f"bin_boundaries={describe(bin_boundaries)}, num_bins={num_bins}",
                          expected="boundaries, or how many ranges to learn by adapt(data)")
        self.bin_boundaries = None if bin_boundaries is None else _boundaries(self, bin_boundaries)
        self.num_bins = positive_int(self, optional=True, num_bins=num_bins)
        self.epsilon = number(self, low=1e-9, high=1, epsilon=epsilon)
        self.output_mode = one_of(self, ("int", "one_hot", "multi_hot", "count"), output_mode=output_mode)
        self.summary = np.zeros((2, 0), "float32")

    @property
    def output_dtype(self) -> str:
        """The number type of what it gives."""
        return "int32" if self.output_mode == "int" else self.compute_dtype

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        return super().__call__(_array(inputs), **kwargs)

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Find the boundaries of ranges that hold equally many numbers of the data.

        Args:
            data: an array, a list of numbers, or an iterable of batches.
            steps: how many batches to look at; None: all.
        """
        if self.num_bins is None:
            raise problem("The boundaries were given, so there is nothing to adapt.", where=self,
                          fix="give num_bins instead of bin_boundaries")
        self.reset_state()
        plain = isinstance(data, (list, tuple)) and all(isinstance(v, (int, float)) for v in jax.tree.leaves(data))
        batches: Iterable[Any] = [data] if plain or hasattr(data, "shape") or hasattr(data, "to_numpy") else data
        for count, batch in enumerate(batches):
            if steps is not None and count >= steps:
                break
            self.update_state(batch[0] if isinstance(batch, tuple) and not plain else batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Add a batch to the summary: numbers at regular places of the sorted data, each for as many."""
        values = np.sort(np.asarray(unwrap(data), "float32"), axis=None)
        step = max(values.size * self.epsilon, 1)
        kept = values[int(step - 1)::int(step)]
        new = np.stack([kept, np.full(kept.shape, step, "float32")])
        merged = np.concatenate([new, self.summary], axis=1)
        self.summary = _compressed(merged[:, np.argsort(merged[0])], self.epsilon)

    def finalize_state(self) -> None:
        """Make boundaries of the summary."""
        if self.num_bins is not None and self.summary.size:
            self.bin_boundaries = _compressed(self.summary, 1.0 / self.num_bins)[0, :-1].tolist()

    def reset_state(self) -> None:
        """Forget the data."""
        self.summary = np.zeros((2, 0), "float32")

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "Discretization":
        """The layer whose `get_config` gave `config`; one that was adapted has boundaries and `num_bins`."""
        if config.get("bin_boundaries") is None or config.get("num_bins") is None:
            return super().from_config(config, custom_objects)
        made = super().from_config({k: v for k, v in config.items() if k != "bin_boundaries"})
        made.bin_boundaries = _boundaries(made, config["bin_boundaries"])
        return made

    def get_config(self) -> dict[str, Any]:
        """The arguments, with the boundaries as they are now; as in Keras without `trainable`."""
        config = super().get_config()
        return {**{k: v for k, v in config.items() if k != "trainable"}, "dtype": self.dtype}

    def load_own_variables(self, store: Any) -> None:
        """Nothing: what was learned is in the config."""

    def call(self, inputs: Any) -> Any:
        """The numbers of the ranges."""
        boundaries = self.bin_boundaries
        if boundaries is None:
            if not current().symbolic:  # a model may be made before it is adapted: shapes follow from `num_bins`
                raise problem("The layer has no boundaries yet.", where=self,
                              fix="call adapt(data) first, or give it `bin_boundaries`")
            boundaries = [0.0] * (self.num_bins - 1)
        ids = jnp.searchsorted(jnp.asarray(boundaries, "float32"), jnp.asarray(inputs, "float32"), side="right")
        return _encoded(ids, self.output_mode, len(boundaries) + 1, self.output_dtype)


def _boundaries(owner: Any, values: Any) -> list[float]:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "fiu" or (np.diff(array) < 0).any():
        raise problem("`bin_boundaries` is not valid.", received=f"bin_boundaries={describe(values)}", where=owner,
                      expected="numbers in rising order")
    return array.tolist()


def _compressed(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """A summary of at most 1 / epsilon numbers; those between are interpolated by weight."""
    if summary.shape[1] * epsilon < 1:
        return summary
    percents = epsilon + np.arange(0.0, 1.0, epsilon)
    weights = summary[1].cumsum()
    share = weights / weights[-1]
    values, weights = np.interp(percents, share, summary[0]), np.interp(percents, share, weights)
    return np.stack([values, np.diff(weights, prepend=0)]).astype("float32")
