"""as_source: one row a kind of input. Nothing is imported to recognise a kind, only looked at."""

import math
import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from kyeo.core.arrays import are_whole
from kyeo.core.errors import describe, positive_int, problem
from kyeo.core.plain import warn
from kyeo.data.arrays import as_arrays, batch_rows, is_column, standard_batch
from kyeo.data.dataset import Dataset, DatasetSource
from kyeo.data.iterable import IterableSource
from kyeo.data.pydataset import PyDataset, PyDatasetSource
from kyeo.data.source import ArraySource, Batch, Source
from kyeo.data.weights import ClassWeights

__all__ = ["as_batch", "as_source", "is_arrays", "train_validation_split"]


class _Options(NamedTuple):
    y: Any
    sample_weight: Any
    batch_size: int | None
    shuffle: bool | str
    class_weight: Any
    steps: int | None
    seed: int

    def weigh(self) -> ClassWeights | None:
        return ClassWeights(self.class_weight, whole=False) if self.class_weight is not None else None


def as_source(
    x: Any, y: Any = None, sample_weight: Any = None, *, batch_size: int | None = None,
    shuffle: bool | str = False, class_weight: Any = None, steps: int | None = None, seed: int = 0,
) -> Source:
    """The Source for whatever `fit`, `evaluate` or `predict` were given.

    Args:
        x: arrays (NumPy, JAX, torch, tables, lists of numbers; also in lists, tuples, dicts), a generator or
            another iterable of batches, a PyDataset, a torch DataLoader, a tf.data.Dataset, or a Source.
        y, sample_weight: arrays like `x`, only beside arrays.
        batch_size: rows of a batch of arrays; 32, or what makes `steps` batches.
        shuffle: True, False or "batch"; for arrays and PyDatasets (there: the order of batches).
        class_weight: `{class: weight}`; multiplied with sample weights.
        steps: batches of an epoch.
        seed: fixes the shuffled order together with the epoch.

    >>> source = as_source(np.arange(5), batch_size=2)
    >>> [x.tolist() for x, y, sample_weight in source.batches(epoch=0)]
    [[0, 1], [2, 3], [4]]
    """
    batch_size = positive_int("fit", optional=True, batch_size=batch_size)
    steps = positive_int("fit", optional=True, steps=steps)
    if isinstance(class_weight, dict) and not class_weight:
        class_weight = None
    options = _Options(y, sample_weight, batch_size, shuffle, class_weight, steps, seed)
    for kind, is_one, make in _KINDS:
        if is_one(x) and not isinstance(x, type):
            if make is not _from_arrays and (y is not None or sample_weight is not None):
                name = "y" if y is not None else "sample_weight"
                raise problem(f"`{name}` cannot be passed beside a {kind}.",
                              received=f"x is a {type(x).__name__}",
                              expected=f"a {kind} that yields (x, y) or (x, y, sample_weight)",
                              fix=f"leave `{name}` out, and let x give it with each batch" + (
                                  "; if x holds the rows, pass np.array(list(x))" if kind == "generator" else ""))
            return make(x, options)
    raise problem("This cannot be used as data.", received=f"x={describe(x)} of type {type(x).__name__}",
                  expected="arrays, lists, tuples or dicts of arrays, a generator, a PyDataset, a torch "
                           "DataLoader or a tf.data.Dataset", kind=TypeError, fix=_mend(x))


def as_batch(x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None) -> Batch:
    """All rows as one batch; of a data set, its first. Without labels there may be no rows, as where none was found.

    >>> as_batch([1, 2])[0].tolist()
    [1, 2]
    """
    if is_arrays(x) and y is None and sample_weight is None and class_weight is None:
        return standard_batch((x,), "")
    return as_source(x, y, sample_weight, batch_size=2**31 - 1, class_weight=class_weight).peek()


def _mend(x: Any) -> str | None:
    """How what cannot be used as data becomes something that can."""
    if isinstance(x, str):
        return "the name of a file? Read it first: np.load(name), pandas.read_csv(name), kyeo.utils.load_img(name)"
    if callable(x):
        return "call it: it is what it gives that has the batches"
    if hasattr(x, "collect"):
        return "it is yet to be computed: pass x.collect()"
    if hasattr(x, "__array_interface__"):
        return "make an array of it, with an axis for the rows: np.asarray(x)[None]"
    if hasattr(x, "__getitem__") and not isinstance(x, (str, bytes)):
        return ("a PyDataset gives batches by index, a torch DataLoader makes them of single samples: "
                "DataLoader(x, batch_size=32)")
    return None


def _from_arrays(x: Any, options: _Options) -> Source:
    x, y, weight = as_arrays(x, options.y, options.sample_weight)
    weight = _weights_per_output(y, weight)
    if options.class_weight is not None:
        x, y, weight = ClassWeights(options.class_weight, whole=True)((x, y, weight))
    rows = batch_rows(x)
    if rows == 0:
        raise problem("There are no rows in the data.", received=f"x of shape {jax.tree.leaves(x)[0].shape}",
                      expected="at least one row")
    size = options.batch_size or (math.ceil(rows / options.steps) if options.steps else 32)
    return ArraySource((x, y, weight), batch_size=size, shuffle=options.shuffle, steps=options.steps,
                       seed=options.seed)


def _weights_per_output(y: Any, weight: Any) -> Any:
    """One array of sample weights serves every output; several must match the outputs."""
    if weight is None or not isinstance(y, (list, tuple, dict)):
        return weight
    if not isinstance(weight, (list, tuple, dict)):
        if weight.ndim > 1 and weight.shape[1:] != (1,):
            raise problem("One `sample_weight` for several outputs must have one number a row.",
                          received=weight, expected="shape (rows,)",
                          fix="pass a list or dict with one array an output")
        return jax.tree.map(lambda _: weight, y)
    if isinstance(weight, dict) and not isinstance(y, dict) and len(weight) == len(y):
        return weight  # by the names of the outputs, which are not known here
    names, given = ([*tree] if isinstance(tree, dict) else len(tree) for tree in (y, weight))
    if (set(given) != set(names)) if isinstance(names, list) and isinstance(given, list) else given != names:
        raise problem("`sample_weight` does not match the outputs.",
                      received=f"{len(weight)} arrays in a {type(weight).__name__}: {given}",
                      expected=f"one array an output: {names}")
    return weight


def _from_pydataset(x: PyDataset, options: _Options) -> Source:
    return PyDatasetSource(x, shuffle=options.shuffle, steps=options.steps, seed=options.seed,
                           weigh=options.weigh())


def _from_dataset(x: Dataset, options: _Options) -> Source:
    if x._size is None and options.steps is not None:  # where an epoch begins depends on how long the passes were
        return IterableSource(x._like(x._elements, None, x.batch_size), kind="Dataset", steps=options.steps,
                              batch_size=x.batch_size, weigh=options.weigh())
    return DatasetSource(x, steps=options.steps, weigh=options.weigh())


def _from_iterable(x: Iterable[Any], options: _Options, kind: str = "generator") -> Source:
    return IterableSource(x, kind=kind, steps=options.steps, num_batches=_length(x), weigh=options.weigh())


def _from_torch(x: Any, options: _Options) -> Source:
    size = x.batch_size if isinstance(x.batch_size, int) else None
    return IterableSource(x, kind="torch DataLoader", steps=options.steps, num_batches=_length(x),
                          batch_size=size, weigh=options.weigh())


def _from_tf(x: Any, options: _Options) -> Source:
    if options.steps is None and int(x.cardinality()) == -1:
        raise problem("A tf.data.Dataset without an end needs to know how long an epoch is.", received=x,
                      fix="pass `steps_per_epoch` (or `steps`)")
    return _from_iterable(x, options, "tf.data.Dataset")


def _length(x: Any) -> int | None:
    try:
        return len(x)
    except (TypeError, NotImplementedError):
        return None


def _of_module(module: str, name: str) -> Callable[[Any], bool]:
    """Recognises instances of a class by its module, which must be loaded already if one is here."""
    def is_one(x: Any) -> bool:
        return module.split(".")[0] in sys.modules and any(
            base.__name__ == name and base.__module__.startswith(module) for base in type(x).__mro__)
    return is_one


def is_arrays(x: Any) -> bool:
    """Whether this is an array, or a list, tuple or dict of arrays."""
    arrays = ("__array__", "to_numpy", "tocsr")
    return isinstance(x, (list, tuple, dict)) or is_column(x) or any(hasattr(x, name) for name in arrays)


_KINDS: tuple[tuple[str, Callable[[Any], bool], Callable[[Any, _Options], Source]], ...] = (
    ("Source", lambda x: isinstance(x, Source), lambda x, options: x),
    ("Dataset", lambda x: isinstance(x, Dataset), _from_dataset),
    ("PyDataset", lambda x: isinstance(x, PyDataset), _from_pydataset),
    ("torch DataLoader", _of_module("torch.utils.data", "DataLoader"), _from_torch),
    ("tf.data.Dataset", _of_module("tensorflow", "DatasetV2"), _from_tf),
    ("list or array", is_arrays, _from_arrays),
    ("generator", lambda x: hasattr(x, "__iter__") and not isinstance(x, (str, bytes)), _from_iterable),
)


_MOST_BY_CHANCE = 10  # so many rows are not in order by chance


def train_validation_split(arrays: tuple[Any, Any, Any], validation_split: float) -> tuple[Any, Any]:
    """Hold out the last rows (before any shuffling, as in Keras): `(the rest, the held-out rows)`.

    Both are `(x, y, sample_weight)`, views of the arrays. Warns when a class is missing on one side and
    chance does not explain it, which is what sorted data looks like.

    >>> rest, held_out = train_validation_split((np.arange(10), None, None), 0.2)
    >>> held_out[0].tolist()
    [8, 9]
    """
    if not isinstance(validation_split, (int, float)) or not 0 < validation_split < 1:
        raise problem("`validation_split` is not valid.", received=f"validation_split={validation_split!r}",
                      expected="a number between 0 and 1")
    if not is_arrays(arrays[0]):
        raise problem("`validation_split` needs arrays.", received=f"x is a {type(arrays[0]).__name__}",
                      fix="pass `validation_data` instead")
    x, y, weight = as_arrays(*arrays)
    parts = (x, y, _weights_per_output(y, weight))
    rows = batch_rows(x)
    at = math.floor(rows * (1.0 - validation_split))
    if at in (0, rows):
        raise problem("There are too few rows to split.", expected="at least one row on each side",
                      received=f"{rows} rows, validation_split={validation_split}")
    for path, leaf in jax.tree_util.tree_flatten_with_path(y)[0]:
        _compare_classes(leaf, at, "y" + jax.tree_util.keystr(path))
    return jax.tree.map(lambda a: a[:at], parts), jax.tree.map(lambda a: a[at:], parts)


def _compare_classes(y: np.ndarray, at: int, name: str) -> None:
    labels = _class_numbers(y)
    if labels is None:
        _warn_of_order(y, at, name)
        return
    width = int(labels.max()) + 1
    rest, held = np.bincount(labels[:at], minlength=width), np.bincount(labels[at:], minlength=width)
    share, chance = len(labels[at:]) / len(labels), 1e-4
    missing = [c for c in range(width) if not held[c] and (1 - share) ** rest[c] < chance]
    added = [c for c in range(width) if not rest[c] and held[c] and share ** held[c] < chance]
    kept = int((rest + held)[held > 0].sum()) / len(labels)  # the share of the classes that are held out at all
    in_blocks = np.count_nonzero(np.diff(labels)) <= 2 * width  # counts that rise over time are not
    if not missing and in_blocks and width <= 30 and kept ** len(labels[at:]) * 2.0 ** width < chance:
        missing = [c for c in range(width) if rest[c] and not held[c]]
    if missing or added:
        facts = [f"no class {missing[:10]} among the held-out rows"] * bool(missing) + [
            f"class {added[:10]} only among them"] * bool(added)
        _warn_of_sorted(len(labels) - at, name, ", ".join(facts))


def _warn_of_order(y: Any, at: int, name: str) -> None:
    """Say so where the values to predict only rise, or only fall, from row to row."""
    if np.size(y) != len(y) or len(y) < _MOST_BY_CHANCE or y.dtype.kind not in "iuf":
        return
    values = np.asarray(y).reshape(-1)
    low, high = min(values[0], values[-1]), max(values[0], values[-1])
    steps = np.diff(values)
    if low < high and ((steps >= 0).all() or (steps <= 0).all()):
        facts = f"values {values[at]:g} to {values[-1]:g} of {low:g} to {high:g} are held out"
        _warn_of_sorted(len(values) - at, name, facts)


def _warn_of_sorted(count: int, name: str, facts: str) -> None:
    warn(f"`validation_split` holds out the last {count} rows, and `{name}` looks sorted: {facts}. Shuffle first: "
         "`order = np.random.permutation(len(x)); x, y = x[order], y[order]`.")


def _class_numbers(y: np.ndarray) -> np.ndarray | None:
    """Labels 0..n-1 where `y` looks like classes (integers, whole floats or one-hot rows); else None."""
    if hasattr(y, "toarray") or y.ndim > 2:
        return None
    if y.ndim == 2 and y.shape[1] > 1:
        one_hot = np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all()
        return np.argmax(y, axis=1) if one_hot else None
    y = y.reshape(-1)
    low, high = y.min(), y.max()
    if not (low >= 0 and high <= 10_000 and are_whole(y)):
        return None
    return y.astype(np.int64)
