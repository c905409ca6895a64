"""Sum and Mean of values, and MeanMetricWrapper: the mean of any function of labels and predictions."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.configurable import parameters_of, serialize_value
from kyeo.core.dtypes import widened
from kyeo.core.errors import problem
from kyeo.core.masks import get_mask
from kyeo.metrics.metric import Metric
from kyeo.ops.kernels import as_one
from kyeo.ops.losses.pair import NotMaskable, align_ranks, as_array, expand_to, merge_mask, named_function

__all__ = ["Mean", "MeanMetricWrapper", "Sum"]


def divide(total: Any, count: Any) -> jax.Array:
    """`total / count`, or 0 where `count` is 0."""
    return jnp.where(count == 0, 0.0, total / jnp.where(count == 0, 1, count))


def samplewise(
    values: Any, weight: Any, reduce: Callable[..., jax.Array], dtype: str, where: Any,
) -> tuple[jax.Array, jax.Array | None]:
    """One weighted value for each sample, and its weight. What has weight 0 is left out, be it NaN."""
    mask = get_mask(values)
    values = as_array(values, dtype, "values")
    weight = None if weight is None else as_array(weight, dtype, "sample_weight")
    weight = merge_mask(weight, None if mask is None else jnp.asarray(mask, dtype))
    if weight is None:
        return _over_rest(values, 1, reduce), None
    values, weight = align_ranks(values, weight)
    if weight.ndim > values.ndim:
        raise problem("There are weights for the samples, but no value for each of them.", where=where,
                      received=f"values of shape {values.shape}, sample_weight of shape {weight.shape}",
                      expected="values whose first axis is that of the weights", kind=NotMaskable)
    values = _over_rest(values, weight.ndim, reduce)
    weight = jnp.broadcast_to(expand_to(weight, values), values.shape)
    values = jnp.where(weight == 0, 0, values * weight)
    return _over_rest(values, 1, reduce), _over_rest(weight, 1, reduce)


def _over_rest(values: jax.Array, first: int, reduce: Callable[..., jax.Array]) -> jax.Array:
    """Reduce the axes from `first` on."""
    return reduce(values, axis=tuple(range(first, values.ndim))) if values.ndim > first else values


class Sum(Metric, one_program=("update_state",)):
    """Weighted sum of values.

    Args:
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> float(kyeo.metrics.Sum()([1.0, 3.0, 5.0]))
    9.0
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", widened(self.dtype), name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values, each times its weight."""
        values, _ = samplewise(values, sample_weight, jnp.sum, widened(self.dtype), self)
        self.total.assign_add(jnp.sum(values))

    def result(self) -> jax.Array:
        """The sum so far."""
        return self.total.value.astype(self.dtype)


@as_one(2)
def _mean(total: jax.Array, count: jax.Array, dtype: str) -> jax.Array:
    """One program for all kinds of means."""
    return divide(total, count).astype(dtype)


class Mean(Metric, one_program=("update_state",)):
    """Weighted mean of values.

    Args:
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> float(kyeo.metrics.Mean()([1.0, 3.0, 5.0], sample_weight=[1, 1, 0]))
    2.0
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", widened(self.dtype), name="total")
        self.count = self.add_variable((), "zeros", widened(self.dtype), name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take in values, each with its weight."""
        values, weight = samplewise(values, sample_weight, jnp.mean, widened(self.dtype), self)
        self.total.assign_add(jnp.sum(values))
        count = values.shape[0] if values.ndim else 1
        self.count.assign_add(count if weight is None else jnp.sum(weight))

    def result(self) -> jax.Array:
        """The mean so far; 0 before the first value."""
        return _mean(self.total.value, self.count.value, self.dtype)


class MeanMetricWrapper(Mean):
    """Weighted mean over the samples of a function of labels and predictions.

    Args:
        fn: `fn(y_true, y_pred, **kwargs)` gives one value (or several) for each sample.
        name, dtype: as in `Metric`.
        **kwargs: further arguments for `fn`.

    >>> import kyeo
    >>> metric = kyeo.metrics.MeanMetricWrapper(kyeo.losses.mean_squared_error, name="mse")
    >>> float(metric([[0.0], [0.0]], [[1.0], [3.0]]))
    5.0
    """

    def __init__(self, fn: Callable[..., Any] | str, name: str | None = None, dtype: Any = None, **kwargs: Any):
        super().__init__(name=name, dtype=dtype)
        self.fn = named_function(fn, self)
        self.options = tuple(kwargs)
        vars(self).update(kwargs)  # each is an attribute, so changing it later counts

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None,
    ) -> None:
        """Take in a batch; a mask the predictions carry leaves the masked elements out."""
        options = {name: getattr(self, name) for name in self.options}
        mask = get_mask(y_pred)
        weight = None if sample_weight is None else as_array(sample_weight, widened(self.dtype), "sample_weight")
        if weight is not None and weight.ndim and _mixes_rows(options.get("axis"), y_pred):
            raise problem("This metric compares whole columns, so it cannot weigh or leave out samples.",
                          received=f"axis={options['axis']} and a sample_weight", where=self,
                          expected="no sample_weight, or another axis", kind=NotMaskable)
        weight = merge_mask(weight, None if mask is None else jnp.asarray(mask, widened(self.dtype)))
        Mean.update_state(self, self.fn(y_true, _wide(y_pred), **options), weight)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments and those for the function."""
        config, own = super().get_config(), parameters_of(type(self))
        extra = [name for name in self.options if name not in own]
        return config | {name: serialize_value(getattr(self, name), self, name) for name in extra}


def _wide(pred: Any) -> Any:
    """Predictions in half precision as float32: there the square of 300 is infinite, and small errors are lost."""
    return pred.astype(widened(pred.dtype)) if isinstance(pred, jax.Array) else pred


def _mixes_rows(axis: Any, y_pred: Any) -> bool:
    return isinstance(axis, int) and axis in (0, -np.ndim(y_pred))
