"""What the user passes as data, as NumPy arrays: one normal form, checked once, errors with the input's name.

Nothing is copied here that NumPy can look at in place; casts happen a batch at a time (see `source.py`).
"""

import functools
from typing import Any

import jax
import numpy as np

from kyeo.core.arrays import check_32_bits, holds_numbers, no_numbers, of_other_libraries, refuse_masked
from kyeo.core.dtypes import is_float
from kyeo.core.errors import describe, problem
from kyeo.core.settings import settings
from kyeo.data.unpack import unpack_x_y_sample_weight

__all__ = ["as_arrays", "batch_dtype", "batch_rows", "is_column", "standard_batch"]

_PARTS = ("x", "y", "sample_weight")
_BATCHES = ("yield batches, not single samples: arrays with a first axis for the rows; of a data set of Hugging Face "
            'pass the columns: fit(data["x"], data["y"]); of a stream, its .with_format("numpy").iter(batch_size=32)')
_NO_NUMBERS = ("string", "large_string", "binary", "date", "time", "duration", "dictionary<values=string")
_NARROW = {"int64": np.dtype("int32"), "uint64": np.dtype("uint32"), "complex128": np.dtype("complex64")}


def as_arrays(x: Any, y: Any = None, sample_weight: Any = None, *, kind: str = "") -> tuple[Any, Any, Any]:
    """The three parts with NumPy (or JAX) arrays as leaves, whose row counts agree.

    Args:
        x, y, sample_weight: arrays, tables, lists of numbers, or lists, tuples and dicts of these.
        kind: where they come from, for messages ("generator"); empty for arguments.
    """
    parts: list[Any] = []
    for name, part in zip(_PARTS, (x, y, sample_weight)):
        if part is None or type(part) is np.ndarray:  # as almost always
            parts.append(part if part is None else _array(part, name, bool(kind)))
            continue
        paths, treedef = jax.tree_util.tree_flatten_with_path(_numbers_to_arrays(part, name), is_leaf=_is_iterator)
        leaves = [_array(leaf, name + jax.tree_util.keystr(path), bool(kind)) for path, leaf in paths]
        parts.append(jax.tree.unflatten(treedef, leaves))
    _check_rows(parts, kind)
    return tuple(parts)  # type: ignore[return-value]


def _is_iterator(value: Any) -> bool:
    return hasattr(value, "__next__")  # no tree: JAX would warn of it


def standard_batch(data: Any, kind: str) -> tuple[Any, Any, Any]:
    """One batch of a data set in normal form: three parts, arrays of equal row count, JAX's number types."""
    batch = as_arrays(*unpack_x_y_sample_weight(data), kind=kind)
    return jax.tree.map(_cast, batch)


def _cast(array: Any) -> Any:
    dtype = batch_dtype(array.dtype)
    if hasattr(array, "toarray"):
        array = array.toarray()
    return array if array.dtype == dtype else array.astype(dtype)


def batch_dtype(dtype: np.dtype) -> np.dtype:
    """The number type in which rows of this type enter a step: floats as `floatx()`, others in JAX's width."""
    return _batch_dtype(dtype, settings.floatx, jax.config.jax_enable_x64)


@functools.cache  # NumPy makes the name of a type in Python
def _batch_dtype(dtype: np.dtype, floatx: str, wide: bool) -> np.dtype:
    if is_float(dtype.name):
        return np.dtype(floatx)
    dtype = dtype if dtype.isnative else dtype.newbyteorder("=")
    return dtype if wide else _NARROW.get(dtype.name, dtype)


def batch_rows(batch: Any) -> int:
    """How many rows the arrays of a batch have."""
    arrays = jax.tree.leaves(batch)
    if not arrays:
        raise problem("The data hold no array.", received=batch, expected="arrays with a row for each sample")
    return int(arrays[0].shape[0])


def _numbers_to_arrays(tree: Any, name: str) -> Any:
    """Nested lists of plain numbers as arrays; other containers are looked into."""
    if is_column(tree):
        tree = tree[:]
    if isinstance(tree, dict):
        return {key: _numbers_to_arrays(value, f"{name}[{key!r}]") for key, value in tree.items()}
    if not isinstance(tree, (list, tuple)):
        return tree
    first: Any = tree
    while isinstance(first, (list, tuple)) and len(first):
        first = first[0]
    if isinstance(first, (int, float, complex, str, bytes, np.generic)):
        try:
            return np.array(tree)
        except (ValueError, TypeError):
            raise problem(f"`{name}` is a list of lists of different lengths, or of different kinds.",
                          received=tree, expected="numbers that form a full table",
                          fix="pad the rows to one length") from None
    items = [_numbers_to_arrays(value, f"{name}[{i}]") for i, value in enumerate(tree)]
    return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)


def _array(value: Any, name: str, keep_jax: bool) -> Any:
    """One leaf as an array of numbers with rows (a SciPy sparse matrix stays one, as CSR)."""
    others = _other_columns(value)
    if others:  # before NumPy sees them: dates of polars would be the days since 1970
        raise no_numbers(name, f"a {type(value).__name__} with text, dates or the like", others)
    if keep_jax and isinstance(value, jax.Array):
        array: Any = value
    elif hasattr(value, "tocsr"):
        array = value.tocsr()
    else:
        array = _to_numpy(value, name)
    if not holds_numbers(array) or (array.dtype.kind == "c" and not name.startswith("x")):
        raise no_numbers(name, describe(array), _text_columns(value), array)
    if array.ndim == 0:
        raise problem(f"`{name}` is a single number; data needs a row axis.", received=array,
                      expected="an array of at least one axis", fix=_BATCHES if keep_jax else None)
    check_32_bits(array.data if hasattr(array, "tocsr") else array, name)
    return array


def _to_numpy(value: Any, name: str) -> np.ndarray:
    refuse_masked(value, name)
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    holes = [] if hasattr(value, "isna") else _gaps(value)
    if holes:
        received = f"columns {holes[:10]}" if any(holes) else f"a {type(value).__name__}"
        raise _missing(name, received, "`.fill_null(0)`", "`.drop_nulls()`")
    if hasattr(value, "to_numpy"):  # pandas, polars; a single column is a table of width one, as in Keras
        array = _table(value, name)
        return array[:, None] if type(value).__name__ == "Series" and array.ndim == 1 else array
    if not any(hasattr(value, a) for a in ("__array__", "detach")) and not isinstance(value, (int, float, np.generic)):
        raise _no_data(value, f"`{name}` cannot be used as data.")
    try:
        array = of_other_libraries(value)
        return np.asarray(value) if array is None else array
    except Exception as error:
        raise problem(f"`{name}` cannot be turned into an array.", received=f"a {type(value).__name__}",
                      expected="what NumPy can read", fix=str(error).split("\n")[0], kind=TypeError) from None


def _no_data(value: Any, what: str) -> Exception:
    fix = None
    if _is_iterator(value):
        return problem(what, received=describe(value), kind=TypeError, expected="arrays, beside the arrays of `x`",
                       fix="np.array(list(...)); a generator that yields (x, y) takes the place of both")
    if hasattr(value, "__array_interface__"):
        fix = "make one array of the images: np.stack([np.asarray(image) for image in images])"
    elif type(value).__module__.startswith("datasets."):
        fix = _BATCHES
    return problem(what, received=describe(value), kind=TypeError, fix=fix,
                   expected="arrays, lists of numbers, tables, generators, a PyDataset, a torch "
                            "DataLoader or a tf.data.Dataset")


def _table(value: Any, name: str) -> np.ndarray:
    """A table or column; columns of several kinds of numbers (also those of pandas with gaps) as floats."""
    array: np.ndarray = of_other_libraries(value)
    if not hasattr(value, "isna"):
        return array
    is_table = hasattr(value, "columns")
    dtypes = value.dtypes if is_table else {name: getattr(value, "dtype", None)}
    numbers = {column: dtype for column, dtype in dtypes.items() if getattr(dtype, "kind", "O") in "biuf"}
    holes = [column for column, dtype in numbers.items() if dtype.kind != "f" and hasattr(dtype, "na_value")
             and (value[column] if is_table else value).isna().any()]
    if holes:
        raise _missing(name, f"columns {holes[:10]}", "`.fillna(0)`", "`.dropna()`")
    if array.dtype.kind != "O" or len(numbers) < len(dtypes):
        return array
    return np.asarray(value.to_numpy(dtype=settings.floatx, na_value=np.nan))


def _missing(name: str, received: str, fill: str, drop: str) -> Exception:
    return problem(f"`{name}` has missing values in columns of integers or booleans.", received=received,
                   expected="a value in each row",
                   fix=f"fill them in ({fill}), leave such rows out ({drop}), or make the columns floats")


def _gaps(value: Any) -> list[str]:
    """The columns of integers or booleans with gaps, of a table or column of polars or pyarrow: NumPy has NaN there."""
    schema = getattr(value, "schema", None)
    if hasattr(schema, "types"):
        columns = list(zip(schema.names, schema.types, value.columns))
    elif hasattr(schema, "items"):
        columns = [(name, kind, value[name]) for name, kind in schema.items()]
    else:
        columns = [(getattr(value, "name", ""), getattr(value, "dtype", getattr(value, "type", "")), value)]
    counts = [(name, getattr(column, "null_count", 0)) for name, kind, column in columns
              if str(kind).lower().startswith(("int", "uint", "bool"))]
    return [str(name) for name, count in counts if (count() if callable(count) else count)]


def _text_columns(value: Any) -> list[str]:
    """Which columns of a table of pandas are at fault, for a message."""
    dtypes: Any = getattr(value, "dtypes", None)
    if not hasattr(dtypes, "items"):
        return []
    return [str(column) for column, dtype in dtypes.items() if getattr(dtype, "kind", "O") in "OSUMm"]


def _other_columns(value: Any) -> list[str]:
    """The columns of a table of polars or pyarrow, or the column, that hold no numbers: dates, text."""
    if isinstance(value, np.ndarray):
        return []
    schema = getattr(value, "schema", None)
    if hasattr(schema, "types"):  # pyarrow
        return [name for name, kind in zip(schema.names, schema.types) if str(kind).startswith(_NO_NUMBERS)]
    dtypes = schema if hasattr(schema, "items") else {getattr(value, "name", ""): getattr(value, "dtype", None)}
    return [str(name) for name, dtype in dtypes.items() if hasattr(dtype, "is_temporal") and not (
        dtype.is_numeric() or dtype.is_nested() or str(dtype) in ("Boolean", "Null", "Object"))]


def is_column(value: Any) -> bool:
    """Whether this is a column of a data set of Hugging Face, which reads its rows when they are asked for."""
    return type(value).__name__ == "Column" and type(value).__module__.startswith("datasets.")


def _check_rows(parts: list[Any], kind: str) -> None:
    leaves = jax.tree.leaves(parts)
    if not leaves:
        raise problem("There is no data.", received=f"an empty `x`{' from the ' + kind if kind else ''}",
                      expected="at least one array")
    rows = leaves[0].shape[0]
    if all(leaf.shape[0] == rows for leaf in leaves):
        return
    counts = [f"{name}{jax.tree_util.keystr(path)}: {leaf.shape[0]}" for name, part in zip(_PARTS, parts)
              for path, leaf in jax.tree_util.tree_flatten_with_path(part)[0]]
    many = len(counts) > 8
    of_rows = any(isinstance(part, (list, tuple)) and len(part) in {leaf.shape[0] for leaf in leaves} for part in parts)
    rows_in_list = ("a list of arrays is taken for several inputs or outputs, one an entry; if its entries are rows, "
                    "pass np.array(...) of it") if many or of_rows else None
    counts = [*counts[:4], "...", counts[-1]] if many else counts
    where = f" in a batch of the {kind}." if kind else "."
    raise problem("The arrays do not have the same number of rows" + where,
                  received=", ".join(counts), expected="one row a sample in every array",
                  fix=_BATCHES if kind and any(leaf.shape[0] == 1 for leaf in leaves) else rows_in_list)
