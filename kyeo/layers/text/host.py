"""HostLayer: the base of layers that compute in NumPy, on text or on numbers that an array of JAX cannot hold.

They run as soon as they are called. In a compiled step, numbers go to the host and come back; text cannot be in one.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.arrays import are_whole, is_text, of_other_libraries
from kyeo.core.errors import problem
from kyeo.core.symbolic import SymbolicTensor, any_symbolic
from kyeo.core.variable import Variable, unwrap
from kyeo.layers.layer import Layer

__all__ = ["HostLayer", "as_integers", "as_texts", "encode_ids", "encode_rows", "refuse_sparse", "salt_of", "to_host"]

_CELLS = 1 << 17  # of a table that are counted at a time
_PROBES = (2, 3)  # two sizes to try where one is unknown


class HostLayer(Layer):
    """A layer whose `call` takes and gives NumPy arrays. A subclass says by `sample` what its outputs look like."""

    runs_on_host = True  # models that hold one share no compiled step
    takes_text = False  # whether a model that begins with it takes strings
    takes_columns = False  # whether the inputs are a list of tensors

    def sample(self, shapes: list[tuple[int, ...]], words: int) -> np.ndarray:
        """An output as inputs of these shapes would give it; `words` is how many are in a text."""
        raise NotImplementedError

    def build(self, input_shape: Any = None) -> None:
        """There are no weights to make."""

    def __call__(self, inputs: Any, training: Any = None) -> Any:  # type: ignore[override]
        columns = self._columns(inputs)
        if not self.built:
            self.build()
        if any_symbolic(columns):
            return self._record((inputs,), {}, {"inputs": inputs}, None)
        if any(isinstance(column, jax.core.Tracer) for column in columns):
            return self._called_back([jnp.asarray(column) for column in columns])
        return _to_device(self._computed(columns))

    def _columns(self, inputs: Any) -> list[Any]:
        if self.takes_columns and not isinstance(inputs, (list, tuple)):
            raise problem("This layer takes a list of tensors.", received=inputs, where=self,
                          expected="two tensors or more")
        return list(inputs) if self.takes_columns else [inputs]

    def _computed(self, columns: Sequence[Any]) -> np.ndarray:
        arrays = [to_host(column, self) for column in columns]
        return self.call(arrays if self.takes_columns else arrays[0])

    def _called_back(self, columns: list[Any]) -> Any:
        self._ready()
        sample = self._spec([tuple(column.shape) for column in columns])
        if sample.dtype == object or None in sample.shape:
            raise problem("What this layer gives cannot be in a compiled step.", where=self,
                          received="text" if sample.dtype == object else f"shape {sample.shape}",
                          expected="numbers of a known shape", fix="call it on the data before the model")
        return jax.pure_callback(lambda *values: self._computed(values), sample, *columns, vmap_method="sequential")

    def _ready(self) -> None:
        """Raise where the layer cannot be called yet; asked before a program calls it, whose errors are JAX's."""

    def _specs(self, args: tuple[Any, ...], kwargs: dict[str, Any], training: Any) -> Any:
        (inputs,) = args or tuple(kwargs.values())
        return self._spec([tuple(column.shape) for column in self._columns(inputs)])

    def _spec(self, shapes: list[tuple[Any, ...]]) -> Any:
        """The shape and dtype of the output; sizes that move with an unknown one are unknown (or that one itself)."""
        unknown = next((s for shape in shapes for s in shape if not isinstance(s, int)), None)
        first, second = (self.sample([tuple(s if isinstance(s, int) else probe for s in shape) for shape in shapes],
                                     words=probe + 2) for probe in _PROBES)
        sizes = [a if a == b else unknown for a, b in zip(first.shape, second.shape)]
        return _Spec(tuple(sizes), first.dtype)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The symbolic tensor that a call on these symbolic tensors would give."""
        spec = self._specs(args, kwargs, None)
        return SymbolicTensor(spec.shape, spec.dtype)

    def compute_output_shape(self, *shapes: Any, **named: Any) -> Any:
        """The shape of the output for the shape of the input, or shapes of the inputs."""
        (given,) = (*shapes, *named.values())
        return self._spec([tuple(s) for s in given] if self.takes_columns else [tuple(given)]).shape


class _Spec:
    def __init__(self, shape: tuple[Any, ...], dtype: np.dtype):
        self.shape, self.dtype = shape, dtype


def _to_device(result: np.ndarray) -> Any:
    return result if result.dtype == object else jax.device_put(result)  # it is nobody else's: no copy is needed


def to_host(value: Any, where: Any) -> np.ndarray:
    """What a user passes as text or numbers, as a NumPy array; text lies in an array of objects or of unicode."""
    if isinstance(value, (jax.Array, Variable)):
        return np.asarray(unwrap(value))
    other = of_other_libraries(value)
    value = other if other is not None else value.numpy() if hasattr(value, "numpy") else value  # TensorFlow's
    first: Any = value
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    as_objects = isinstance(first, (str, bytes)) and not isinstance(value, np.ndarray)
    try:
        array = np.array(value, dtype=object) if as_objects else np.asarray(value)
    except ValueError:
        array = np.empty(1, object)
        array[0] = [value]
    if array.dtype == object and array.size and not isinstance(array.flat[0], (str, bytes)):
        raise problem("This is neither a full table of text nor one of numbers.", where=where, received=value,
                      expected="strings or numbers, every row of one length",
                      fix="pad rows of different lengths, or join them into one string each")
    return array


def as_integers(array: np.ndarray, where: Any, fix: str | None = None) -> np.ndarray:
    """An array as int64; floats, as some tables hold integers, must be whole."""
    fits = array.dtype.kind in "iub" or (not is_text(array) and bool((np.abs(array) < 2**63).all()))
    if array.size and not (fits and are_whole(array)):
        if array.dtype.kind == "f" and np.isnan(array).any():
            fix = "fill gaps in, `.fillna(-1)`"
        raise problem("This layer takes integers.", received=array, where=where, expected="integers", fix=fix)
    return array.astype(np.int64)


def as_texts(array: np.ndarray, where: Any) -> list[Any]:
    """The strings (or bytes) of an array, in a row."""
    if array.size and not is_text(array):
        raise problem("This layer takes text.", received=array, where=where, expected="strings",
                      fix="numbers are for IntegerLookup; or turn them to text with .astype(str)")
    texts = array.ravel().tolist()
    others = [kind for kind in set(map(type, texts)) if not issubclass(kind, (str, bytes))]
    if others:
        place = next(i for i, one in enumerate(texts) if isinstance(one, others[0]))
        raise problem("This layer takes text, and there is something else among it.", where=where,
                      received=f"{texts[place]!r} in row {place}", expected="strings",
                      fix='fill gaps in, `.fillna("")`; numbers become text by .astype(str)')
    return texts


def refuse_sparse(owner: Any, *, sparse: Any, ragged: Any = False) -> None:
    """There are no sparse or ragged tensors here."""
    if sparse or ragged:
        raise problem("Sparse and ragged tensors are not supported.", where=owner,
                      received="sparse=True" if sparse else "ragged=True", expected="sparse=False, ragged=False",
                      fix="the dense form holds the same numbers")


def salt_of(owner: Any, salt: Any) -> list[int] | None:
    """The key of a salted hash: two numbers, or one that stands for both."""
    if salt is None:
        return None
    pair = [salt, salt] if isinstance(salt, (int, np.integer)) and not isinstance(salt, bool) else salt
    if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not all(
            isinstance(s, (int, np.integer)) and not isinstance(s, bool) for s in pair):
        raise problem("`salt` is not valid.", received=f"salt={salt!r}", where=owner, expected="an int or two ints")
    return [int(s) for s in pair]


def encode_ids(ids: np.ndarray, mode: str, depth: int, dtype: Any) -> np.ndarray:
    """Indices as they are ("int"), or by 0 and 1 or counts over `depth` places; indices outside count for nothing.

    >>> encode_ids(np.array([[0, 2, 2]]), "count", 3, "int32").tolist()
    [[1, 0, 2]]
    """
    if mode == "int":
        return ids.astype(dtype)
    ids = ids[None] if ids.ndim == 0 else ids
    if mode == "one_hot":
        ids = ids[..., 0] if ids.ndim > 1 and ids.shape[-1] == 1 else ids
        flat = encode_rows(np.arange(ids.size), ids.ravel(), ids.size, "count", depth, dtype)
        return flat.reshape(*ids.shape, depth)
    rows = int(np.prod(ids.shape[:-1]))
    where = np.repeat(np.arange(rows), ids.shape[-1])
    return encode_rows(where, ids.ravel(), rows, mode, depth, dtype).reshape(*ids.shape[:-1], depth)


def encode_rows(where: np.ndarray, ids: np.ndarray, rows: int, mode: str, depth: int, dtype: Any) -> np.ndarray:
    """A table of `rows` by `depth`: how often ("count") or whether ("multi_hot") each index stands in its row.

    The rows in `where` must be in order: some are counted at a time, as many as stay in the processor's cache.
    """
    inside = (ids >= 0) & (ids < depth)
    where, ids = where[inside], ids[inside]
    table = np.zeros((rows, depth), dtype)
    if mode == "multi_hot":
        table[where, ids] = 1
        return table
    size = max(_CELLS // depth, 1)
    begins = range(0, rows, size)
    ends = np.searchsorted(where, [*begins, rows])
    for begin, first, last in zip(begins, ends, ends[1:]):
        part = table[begin:begin + size]
        places = (where[first:last] - begin) * depth + ids[first:last]
        part[:] = np.bincount(places, minlength=part.size).reshape(part.shape)
    return table
