"""Loss: from labels and predictions to one number. Weights, masks, padded rows, and the reductions.

A subclass says what a sample costs (`call`); the base class turns the costs into the number to minimise.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from kyeo import dtype_policies
from kyeo.core.configurable import Configurable, parameters_of, serialize_value
from kyeo.core.errors import one_of, problem
from kyeo.core.masks import get_mask
from kyeo.core.naming import auto_name
from kyeo.core.scope import current, scope
from kyeo.core.settings import settings
from kyeo.core.symbolic import any_symbolic, infer, record
from kyeo.core.tracing import step_by_step
from kyeo.losses.alone import run_alone
from kyeo.ops.losses.pair import (
    NotMaskable,
    align_ranks,
    as_array,
    expand_to,
    fill_absent,
    merge_mask,
    named_function,
)

__all__ = ["Loss", "LossFunctionWrapper", "NotMaskable", "reduce_values"]

_REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", None, "none")


class Loss(Configurable):
    """Base class of losses: derive from it and write `call`.

    Args:
        name: its name.
        reduction: "sum_over_batch_size" or "mean" (sum of the weighted values divided by how many there are),
            "sum", "mean_with_sample_weight" (divided by the sum of the weights), "none" or None (all values).
        dtype: number type the loss is computed in; `floatx()` by default.

    >>> import kyeo
    >>> class Cubic(kyeo.losses.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return kyeo.ops.mean(kyeo.ops.abs(y_pred - y_true) ** 3, axis=-1)
    >>> float(Cubic()([[0.0]], [[2.0]]))
    8.0
    """

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None,
    ):
        self.name: str = name or auto_name(type(self).__name__)
        self.reduction = one_of(self, _REDUCTIONS, reduction=reduction)
        self._dtype_given = dtype is not None
        self._dtype = dtype_policies.get(dtype or settings.floatx).compute_dtype

    @property
    def dtype(self) -> str:
        """The number type the loss is computed in."""
        return self._dtype

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The value of each sample; subclasses write this."""
        raise problem("This loss has no `call`.", where=self, kind=NotImplementedError,
                      fix="define `call(self, y_true, y_pred)` in the class; it returns one value a sample")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of a batch.

        Args:
            y_true: labels; an array or a structure of arrays.
            y_pred: predictions, likewise. A mask they carry leaves the masked elements out.
            sample_weight: one weight for each sample, or for each value that `call` gives.
        """
        if any_symbolic((y_true, y_pred, sample_weight)):
            args = (y_true, y_pred, sample_weight)
            return record(self, args, {}, infer(self, args, {}))
        alone = run_alone(self, y_true, y_pred, sample_weight)
        if alone is not None:
            return alone
        in_mask = get_mask(y_pred)
        y_true = _map(lambda x: self._convert(x, "y_true"), y_true)
        y_pred = _map(lambda x: as_array(x, self.dtype, "y_pred"), y_pred)
        rows = current().row_mask
        present = None if rows is None else jnp.asarray(rows) > 0
        if present is not None:
            y_true, y_pred = (self._fill(tree, present) for tree in (y_true, y_pred))
        values = self.call(y_true, y_pred)
        if values is None:
            raise problem("The loss gives nothing back.", received="None", expected="one value for each sample",
                          where=f"loss {self.name}", fix="end the function with `return ...`")
        mask = merge_mask(_bool(in_mask), _bool(get_mask(values)))
        values = as_array(values, self.dtype, "the value of `call`")
        if present is not None:
            present = self._present_rows(y_true, y_pred, values, present)
        weight = None if sample_weight is None else as_array(sample_weight, self.dtype, "sample_weight")
        return reduce_values(values, weight, mask, self.reduction, present)

    def _convert(self, labels: Any, name: str) -> jax.Array:
        return as_array(labels, self.dtype, name)

    def _fill(self, tree: Any, present: jax.Array) -> Any:
        """Make padded rows harmless before `call` sees them."""
        size = present.shape[0]  # the first row is real: padding is behind
        return jax.tree.map(lambda x: fill_absent(x, present, 0) if x.shape[:1] == (size,) else x, tree)

    def _present_rows(
        self, y_true: Any, y_pred: Any, values: jax.Array, present: jax.Array,
    ) -> jax.Array | None:
        """The rows of `values` that are real; raises where `values` has no rows."""
        if not self._has_rows(y_true, y_pred, values, present.shape[0]):
            raise problem("The loss gives no value for each row, so padded rows cannot be left out of it.",
                          received=values, expected=f"{present.shape[0]} rows", where=self, kind=NotMaskable)
        return present

    def _has_rows(self, y_true: Any, y_pred: Any, values: jax.Array, size: int) -> bool:
        """Whether the first axis of `values` is the batch.

        Its size alone says so, unless another axis has that size too; then a batch larger by one must show.
        """
        if values.shape[:1] != (size,):
            return False
        if not any(size in leaf.shape[1:] for leaf in jax.tree.leaves((y_true, y_pred))):
            return True
        larger = jax.tree.map(lambda x: jax.ShapeDtypeStruct(
            (size + 1, *x.shape[1:]) if x.shape[:1] == (size,) else x.shape, x.dtype), (y_true, y_pred))
        try:
            with scope(row_mask=None):
                return jax.eval_shape(self.call, *larger).shape[:1] == (size + 1,)
        except Exception:  # the user's `call` knows the batch size some other way: rather not trust it
            return False

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; `dtype` only where one was given, as it else follows `floatx()`."""
        config = super().get_config()
        if not self._dtype_given:
            config.pop("dtype", None)
        return config


class LossFunctionWrapper(Loss):
    """A function `(y_true, y_pred)` as a loss.

    Args:
        fn: gives one value for each sample.
        reduction, name, dtype: as in `Loss`.
        **kwargs: further arguments for `fn`.

    >>> import kyeo
    >>> loss = kyeo.losses.loss.LossFunctionWrapper(kyeo.losses.mean_squared_error, reduction="sum")
    >>> float(loss([[0.0], [0.0]], [[1.0], [2.0]]))
    5.0
    """

    def __init__(
        self, fn: Callable[..., Any] | str, reduction: str | None = "sum_over_batch_size", name: str | None = None,
        dtype: Any = None, **kwargs: Any,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = named_function(fn, self)
        self.options: tuple[str, ...] = tuple(kwargs)
        vars(self).update(kwargs)  # each is an attribute, so changing it later counts

    def _convert(self, labels: Any, name: str) -> jax.Array:
        if getattr(self.fn, "takes_classes", False):
            classes = as_array(labels, name=name)
            if jnp.issubdtype(classes.dtype, jnp.integer):
                return classes
        return super()._convert(labels, name)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The value of each sample."""
        y_true, y_pred = _aligned(y_true, y_pred)
        return self.fn(y_true, y_pred, **{name: getattr(self, name) for name in self.options})

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments and those for the function."""
        config, own = super().get_config(), parameters_of(type(self))
        extra = [name for name in self.options if name not in own]
        return config | {name: serialize_value(getattr(self, name), self, name) for name in extra}


def _map(convert: Callable[[Any], Any], tree: Any) -> Any:
    """`convert` on every array of a structure; lists of plain numbers are one array."""
    if isinstance(tree, dict):
        return {key: _map(convert, value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)) and any(hasattr(leaf, "shape") for leaf in jax.tree.leaves(tree)):
        return type(tree)(_map(convert, value) for value in tree)
    return None if tree is None else convert(tree)


def _aligned(true: Any, pred: Any) -> tuple[Any, Any]:
    """Labels and predictions whose ranks fit, in structures of arrays that are alike."""
    if hasattr(true, "ndim") and hasattr(pred, "ndim"):
        return align_ranks(true, pred)
    structure: Any = jax.tree.structure(pred)
    if structure.num_leaves == 0 or jax.tree.structure(true) != structure:
        return true, pred
    trues, preds = zip(*map(align_ranks, jax.tree.leaves(true), jax.tree.leaves(pred)))
    return jax.tree.unflatten(structure, trues), jax.tree.unflatten(structure, preds)


def _bool(mask: Any) -> jax.Array | None:
    return None if mask is None else jnp.asarray(mask).astype(bool)


def reduce_values(
    values: jax.Array, weight: jax.Array | None, mask: jax.Array | None, reduction: str | None,
    present: jax.Array | None = None,
) -> jax.Array:
    """Weigh the values, leave out what is masked or padded, and reduce.

    A mask leaves the mean as if the masked elements were not there. `present` says which rows are real. Sums and counts
    of half precision are float32: 70,000 elements are infinitely many in float16.
    """
    wide = jnp.promote_types(values.dtype, "float32")
    return _reduced(values.astype(wide), weight, mask, reduction, present).astype(values.dtype)


def _reduced(
    values: jax.Array, weight: jax.Array | None, mask: jax.Array | None, reduction: str | None,
    present: jax.Array | None,
) -> jax.Array:
    def count(array: jax.Array) -> Any:  # how many elements are real
        if present is None or array.shape[:1] != present.shape:
            return array.size
        return jnp.sum(present.astype("float32")) * (array.size // present.shape[0])

    if mask is not None:
        if present is not None and mask.shape[:1] == present.shape:
            mask = mask & expand_to(present, mask)
        factor = mask.astype(values.dtype)
        if reduction in ("mean", "sum_over_batch_size"):
            factor = factor * _divide(count(mask), jnp.sum(factor))
        weight = merge_mask(weight, factor)
    if weight is not None:
        weight = weight.astype(values.dtype)
        values, weight = align_ranks(values, weight)
        weight = expand_to(weight, values)
        values = values * weight
    if present is not None and values.shape[:1] == present.shape:
        values = jnp.where(expand_to(present, values), values, 0)
        if weight is not None and weight.shape[:1] == present.shape:
            weight = jnp.where(expand_to(present, weight), weight, 0)
    if reduction in (None, "none") or values.shape in ((), (0,)):
        return values
    total = jnp.sum(values)
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and weight is not None:
        return _divide(total, jnp.sum(weight))
    return _divide(total, count(values))


@step_by_step
def _divide(total: Any, count: Any) -> jax.Array:
    """`total / count`, or 0 where nothing counts."""
    return jnp.where(count == 0, 0.0, total / jnp.where(count == 0, 1.0, count))
