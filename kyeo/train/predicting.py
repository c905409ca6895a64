"""`predict`: one compiled function, sizes padded up to a few, no machinery around a single NumPy batch."""

from typing import Any

import jax
import numpy as np

from kyeo.core.errors import positive_int
from kyeo.core.processes import own_rows
from kyeo.data.adapters import as_batch, as_source
from kyeo.data.source import pad_batch
from kyeo.train import prepare
from kyeo.train.loop import Job, run_epoch
from kyeo.train.options import callback_list, capped
from kyeo.train.signals import SafePoints
from kyeo.train.texts import without_text

__all__ = ["predict", "predict_on_batch"]

_PLAIN = frozenset("?bBhHiIlLqQefd")  # NumPy's letters for booleans, integers and floats of up to 64 bits


def predict(model: Any, given: Any, batch_size: int | None, verbose: Any, steps: int | None, callbacks: Any) -> Any:
    """The outputs for the data given, as NumPy arrays."""
    # First: Python between two predictions finds the processor's caches empty, 50 us of it here were 25 more.
    quiet = verbose in ("auto", 0)  # a bar of one batch is shown to who asks for it
    if quiet and steps is None and callbacks is None and type(given) is np.ndarray and model.built:
        again = model.runner("predict").predict_again(given, batch_size)
        if again is not None:
            return again
    batch_size, steps = positive_int("predict", optional=True, batch_size=batch_size), capped(steps)
    x = without_text(model, given)
    size = batch_size or 32
    alone = quiet and callbacks is None and steps is None
    left_open = batch_size is None and callbacks is None and steps is None
    silent = left_open and verbose == 0  # a large prediction has a bar, if one of one step
    if alone and isinstance(x, np.ndarray) and len(x) and model.built:
        known = _known(model, x, size, silent)
        if known and (quick := _predict_one_batch(model, x, known, batch_size if x is given else 0)) is not None:
            return quick
    source = as_source(x, batch_size=batch_size, steps=steps)
    prepare.build_weights(model, source.peek()[0])
    if left_open and isinstance(x, np.ndarray) and model.pads_predictions:
        first, runner = source.peek(), model.runner("predict")
        rows = runner.rows_per_dispatch(first, size, len(x))
        if silent and size < len(x) <= rows:
            known = rows, runner.form(first, None, len(x) / size)
            runner.at_once = {(x.shape, x.dtype): known}  # to ask anew is 2 % of 4,000 digits
            if (quick := _predict_one_batch(model, x, known)) is not None:
                return quick
        source = as_source(x, batch_size=rows)
    listed = callback_list(model, callbacks, verbose, False, epochs=1, steps=source.num_batches)
    parts: list[Any] = []

    def keep(outputs: Any, portion: Any) -> Any:
        rows = None if portion.rows is None else int(portion.rows.sum())
        parts.append((outputs, rows))
        return jax.tree.map(lambda a: a[:rows], outputs) if callbacks else outputs

    with SafePoints() as safe, Job(model, "predict", source, listed, safe) as job:
        model.stop_predicting = False
        listed.on_predict_begin()
        run_epoch(job, 0, keep)
        outputs = _joined(parts)
        listed.on_predict_end()
    return outputs


def predict_on_batch(model: Any, given: Any) -> Any:
    """The outputs for all rows given, in one dispatch of as many."""
    x = without_text(model, given)
    alone = isinstance(x, np.ndarray) and x.ndim and len(x)
    if alone and (quick := _predict_one_batch(model, x, (len(x), "single"))) is not None:
        return quick
    batch = as_batch(x)
    prepare.build_weights(model, batch[0])
    with SafePoints() as safe:
        outputs = model.runner("predict").run(batch, None, safe)
    return jax.tree.map(lambda a: np.array(own_rows(a)), outputs)


def _known(model: Any, x: np.ndarray, size: int, silent: bool) -> tuple[int, str] | None:
    """In how many rows, and which form, one dispatch takes `x`, where that need not be asked of the step."""
    if len(x) <= size:
        return min(size, 1 << (len(x) - 1).bit_length()), "single"
    return model.runner("predict").at_once.get((x.shape, x.dtype)) if silent else None


def _predict_one_batch(model: Any, x: np.ndarray, known: tuple[int, str], batch_size: int | None = 0) -> Any:
    """One dispatch for a batch that fits in a step; None where the general way has to be taken.

    `known`: of how many rows, and in which form. `batch_size`: what was asked for with these very rows, or 0.
    """
    bucket, form = known
    if not model.pads_predictions or model.run_eagerly or not _is_plain(x):
        return None
    prepare.build_weights(model, x)
    rows = len(x)
    runner = model.runner("predict")
    if x.dtype == np.float64:
        x = x.astype("float32")
    elif x.dtype.itemsize == 8:
        return None  # 64-bit integers are checked for overflow on the general way
    elif rows == bucket and batch_size != 0:
        runner.expect(x, batch_size)
    batch = (x, None, None) if rows == bucket else pad_batch((x, None, None), bucket)[0]
    outputs = runner.predict(batch, form)
    return jax.tree.map(lambda a: np.array(own_rows(a)[:rows]), outputs)


def _is_plain(x: np.ndarray) -> bool:
    """Whether JAX takes the array as it is; what it does not take goes the general way, which says why."""
    return x.dtype.char in _PLAIN and x.dtype.isnative and not isinstance(x, np.ma.MaskedArray)


def _joined(parts: list[Any]) -> Any:
    """The outputs of all steps joined along the batch axis, rows of padding cut off."""
    trees = [jax.tree.map(lambda a, rows=rows: own_rows(a)[:rows], outputs) for outputs, rows in parts]
    if len(trees) == 1:
        return jax.tree.map(np.array, trees[0])  # copies: what JAX holds cannot be written into
    return jax.tree.map(lambda *leaves: np.concatenate(leaves) if leaves[0].ndim else np.stack(leaves), *trees)
