"""From the host to JAX: the one way values of NumPy and Python become arrays."""

import functools
import math
import numbers
import threading
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.errors import describe, problem

__all__ = ["are_whole", "as_floats", "check_32_bits", "copy_rows", "empty_for_jax", "from_host", "holds_numbers",
           "is_text", "known_range", "no_numbers", "of_other_libraries", "refuse_masked", "shared_zeros", "to_array"]

_LARGE, _ALIGNED = 2**20, 64  # bytes
_TWO_THREADS = 2**22  # bytes of a copy that is worth a second one
_PYTHONS = (bool, int, float)


def are_whole(array: Any) -> bool:
    """Whether the numbers of an array are integers, of whatever type; False for text and objects.

    >>> are_whole(np.array([1.0, 2.0])), are_whole(np.array([1.5]))
    (True, False)
    """
    kind = array.dtype.kind
    return kind in "iub" or (kind not in "OUSTmMc" and bool((array == np.floor(array)).all()))


def as_floats(x: jax.Array, dtype: Any = "float32") -> jax.Array:
    """Integers and booleans as floats of `dtype`; floats and complex numbers as they are.

    >>> as_floats(jnp.array([1, 2])).dtype.name
    'float32'
    """
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(dtype)


def from_host(values: Any, dtype: Any = None) -> jax.Array:
    """A copy of NumPy values as a JAX array, of `dtype` if one is given; 64-bit types become the 32-bit ones of JAX.

    `jnp.asarray` compiles a program for every new shape, and `jax.device_put` by itself shares the memory, so that
    what is later written into the NumPy array shows in the JAX array.

    >>> from_host(np.arange(3)).dtype.name
    'int32'
    """
    if dtype is None:
        values = _own_copy(values)
        check_32_bits(values)
        return jax.device_put(values)
    with np.errstate(invalid="ignore", over="ignore"):  # NaN to an int, 1e300 to float32: JAX does not warn either
        return jax.device_put(_own_copy(values, jnp.dtype(dtype)))


def _own_copy(values: Any, dtype: Any = None) -> np.ndarray:
    """A copy; one of many numbers lies where XLA takes it over as it is, so that it is not copied once more."""
    refuse_masked(values)
    if isinstance(values, (np.ndarray, np.generic)) and not holds_numbers(values):
        raise no_numbers(None, describe(values), array=values)
    if isinstance(values, np.ndarray) and (values.dtype.char == "g" or not values.dtype.isnative):  # JAX takes neither
        values = values.astype("float64" if values.dtype.char == "g" else values.dtype.newbyteorder("="))
    if not isinstance(values, np.ndarray) or values.nbytes < _LARGE:
        values = np.array(values)
        return values if dtype is None else values.astype(dtype, copy=False)
    dtype = dtype or values.dtype
    copy = empty_for_jax(values.shape, dtype)
    np.copyto(copy, values, casting="unsafe")
    return copy


def empty_for_jax(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An empty array that JAX's CPU uses where it lies: it copies those that do not begin at a multiple of 64 bytes.

    >>> empty_for_jax((3, 5), np.dtype("float32")).ctypes.data % 64
    0
    """
    size = math.prod(shape) * dtype.itemsize
    room = np.empty(size + _ALIGNED, np.uint8)
    begin = -room.ctypes.data % _ALIGNED
    return room[begin:begin + size].view(dtype).reshape(shape)


def copy_rows(rows: np.ndarray, to: np.ndarray) -> None:
    """Write `rows` into as many of `to`; a copy of many bytes on two threads (12 MB in 0.5 instead of 0.8 ms)."""
    half = len(rows) // 2 if rows.nbytes >= _TWO_THREADS else 0
    if not half:
        to[...] = rows
        return
    other = threading.Thread(target=np.copyto, args=(to[:half], rows[:half]))
    other.start()
    to[half:] = rows[half:]
    other.join()


def check_32_bits(values: np.ndarray, name: str | None = None) -> None:
    """Refuse 64-bit integers that JAX would cut off; `name` is that of the argument that holds them."""
    if values.dtype.kind not in "iu" or values.dtype.itemsize < 8 or not values.size or jax.config.jax_enable_x64:
        return
    low, high = int(values.min()), int(values.max())
    bounds = np.iinfo("int32" if values.dtype.kind == "i" else "uint32")
    if low < bounds.min or high > bounds.max:
        what = f"`{name}` holds integers that" if name else "These integers"
        raise problem(f"{what} do not fit into 32 bits, and JAX would cut them off.", kind=OverflowError,
                      received=f"{values.dtype} values from {low} to {high}", expected=f"{bounds.min} to {bounds.max}",
                      fix="map the ids to 0..n-1, or jax.config.update('jax_enable_x64', True)")


def _fitting(x: Any, dtype: Any = None) -> Any:
    """Python's numbers, or lists of them, for an array of `dtype`; integers that it has not are refused, where JAX
    takes some modulo their count. Without a `dtype` an int must be one of the integers that JAX computes with."""
    kind = jnp.dtype(("int64" if jax.config.jax_enable_x64 else "int32") if dtype is None else dtype)
    values = np.array(x)
    if kind.kind in "iu" and values.size and values.dtype != bool:
        low, high, limits = values.min(), values.max(), jnp.iinfo(kind)
        if not (low > limits.min - 1 and high < limits.max + 1):  # NaN is refused too
            worst = low if low <= limits.min - 1 else high
            raise problem(f"{worst} is no {kind.name}.", received=x, kind=OverflowError,
                          expected=f"numbers from {limits.min} to {limits.max}",
                          fix="another dtype, or kyeo.ops.saturate_cast for the nearest it has")
    return values


def is_text(array: Any) -> bool:
    """Whether an array holds strings or bytes, or objects, as which text often comes."""
    return array.dtype.kind in "OUST"


def holds_numbers(array: Any) -> bool:
    """Whether the values of an array are numbers or booleans, those of ml_dtypes among them.

    >>> holds_numbers(np.ones(2, "bool")), holds_numbers(np.ones(2, "M8[D]")), holds_numbers(np.array([1, 2], object))
    (True, False, False)
    """
    kind = array.dtype.kind
    return kind not in "OUSTMm" and (kind != "V" or array.dtype.type is not np.void)


_FIXES = {
    "U": 'turn text into integers first: `names, numbers = np.unique(text, return_inverse=True)`, or the layers '
         'TextVectorization and StringLookup; numbers stored as objects: `.astype("float32")`',
    "M": 'turn times into numbers first: `(times - times.min()) / np.timedelta64(1, "D")`',
    "V": "make its fields columns: numpy.lib.structured_recfunctions.structured_to_unstructured(x)",
    "bytes": 'read the bytes as what they are: `x.view("float32")`',
    "c": "give real and imaginary parts as two columns: np.stack([x.real, x.imag], axis=-1)",
    "pictures": "read the pictures first: kyeo.utils.img_to_array(kyeo.utils.load_img(name)) of each, or for a "
                "folder of them kyeo.utils.image_dataset_from_directory(folder)",
    "rows": "put the rows into one array: np.stack(list(x)); pad rows of different lengths first",
    "gaps": "fill them in, or leave such rows out",
}


def no_numbers(name: str | None, received: str, columns: Sequence[str] = (), array: Any = None) -> Exception:
    """The complaint about an argument (or any array, if `name` is None) that does not hold numbers."""
    at_fault = f" (columns: {', '.join(columns[:10])})" if columns else ""
    kind = "U" if array is None else {"S": "U", "T": "U", "m": "M"}.get(array.dtype.kind, array.dtype.kind)
    if kind == "V" and not array.dtype.names:
        kind = "bytes"
    if kind == "U" and array is not None and _are_pictures(array):
        kind = "pictures"
    if kind == "O":
        fine = (int, float, np.number)
        one = next((v for v in array.ravel()[:10_000] if not isinstance(v, fine)), 0)
        received += "" if isinstance(one, fine) else f", which holds objects such as {describe(one)}"
        kind = ("rows" if isinstance(one, (list, tuple, np.ndarray)) else "M" if hasattr(one, "year") else
                "gaps" if one is None or "NA" in type(one).__name__ else "U")
    return problem(f"{f'`{name}`' if name else 'This array'} does not hold numbers{at_fault}.", received=received,
                   expected="an array of numbers or booleans", kind=TypeError, fix=_FIXES[kind])


def _are_pictures(array: Any) -> bool:
    """Whether texts are names of files of pictures, by the first of them."""
    return str(next(iter(array.flat), "")).lower().endswith((".png", ".jpg", ".jpeg", ".bmp", ".gif"))


def refuse_masked(values: Any, name: str = "x") -> None:
    """Refuse arrays of `numpy.ma` of which something is masked: what lies under the mask would be used."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise problem(f"`{name}` has masked values, and there are no masked arrays here.", kind=TypeError,
                      received=f"{describe(values)}, {np.ma.count_masked(values)} of its values masked",
                      expected="a value in each place",
                      fix=f"fill them in, {name}.filled(0), or leave such rows out, np.ma.compress_rows({name})")


def of_other_libraries(value: Any) -> Any:
    """A table or column (of pandas, polars, pyarrow) or a torch tensor, wherever it lies, as a NumPy array.

    >>> of_other_libraries(np.ones(2)) is None  # and what else is none of these
    True
    """
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
        is_known = not str(value.dtype).startswith(("torch.bfloat16", "torch.float8"))
        return np.asarray(value if is_known else value.float())
    if hasattr(value, "to_numpy"):  # arrays of pyarrow refuse to be copied there
        return np.asarray(value if type(value).__module__.startswith("pyarrow.") else value.to_numpy())
    return None


def known_range(values: Any) -> tuple[int, int] | None:
    """The least and the greatest of integers; None where there are none, or a compiled step does not know them yet.

    >>> known_range(jnp.array([3, 1, 2]))
    (1, 3)
    """
    if isinstance(values, jax.core.Tracer) or not values.size:
        return None
    known = np.asarray(values)  # JAX's minimum, asked for in a step, would not be known even of a known array
    return int(known.min()), int(known.max())


@functools.lru_cache(maxsize=256)
def shared_zeros(shape: tuple[int, ...], dtype: str) -> jax.Array:
    """Zeros, the same array each time it is asked for.

    >>> shared_zeros((2,), "float32") is shared_zeros((2,), "float32")
    True
    """
    with jax.ensure_compile_time_eval():
        return from_host(np.zeros(shape, jnp.dtype(dtype)))


def to_array(x: Any, dtype: Any = None) -> jax.Array:
    """Lists, numbers and NumPy arrays as a JAX array; a JAX array as it is. Python numbers stay weakly typed.

    With a `dtype`, an array of that; host values are cast on the host.

    >>> to_array([1.0, 2.0]).dtype.name, to_array(2).weak_type, to_array([1, 2], "bfloat16").dtype.name
    ('float32', True, 'bfloat16')
    """
    if isinstance(x, (list, tuple)) and all(type(v) in _PYTHONS for v in jax.tree.leaves(x)):
        return from_host(x if dtype is None else _fitting(x, dtype), dtype)
    if isinstance(x, (np.ndarray, np.generic)):
        as_objects = x.dtype == object and all(isinstance(one, numbers.Real) for one in x.flat)
        return from_host(np.array(x.tolist()) if as_objects else x, dtype)
    if type(x) in _PYTHONS and dtype is not None:
        return from_host(_fitting(x, dtype), dtype)
    if type(x) is int and not -2**31 <= x < 2**31:  # few are: 7 of 21 us of each number in a program of one's own
        _fitting(x)
    if dtype is not None:
        return x if isinstance(x, jax.Array) and x.dtype == dtype and not x.weak_type else jnp.asarray(x, dtype)
    return x if isinstance(x, jax.Array) else jnp.asarray(x)
