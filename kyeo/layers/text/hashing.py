"""Hashing and HashedCrossing: values and crossed values to the number of a bin, as TensorFlow numbers them."""

import functools
from typing import Any

import numpy as np

from kyeo.core.arrays import is_text
from kyeo.core.errors import one_of, positive_int, problem
from kyeo.core.settings import settings
from kyeo.layers.text.farmhash import combine, farmhash64, siphash24
from kyeo.layers.text.host import HostLayer, as_texts, encode_ids, refuse_sparse, salt_of

__all__ = ["HashedCrossing", "Hashing", "bins_of"]

_CROSS_KEY = 0xDECAFCAFFE


def bins_of(array: np.ndarray, bins: int, salt: list[int] | None, where: Any) -> np.ndarray:
    """The bins of the values of an array: by FarmHash64 of their text, or by SipHash under a salt."""
    texts = _as_bytes(array, where)
    hashes = farmhash64(texts) if salt is None else siphash24(texts, salt)
    return (hashes % np.uint64(bins)).astype(np.int64).reshape(array.shape)


def _as_bytes(array: np.ndarray, where: Any) -> list[bytes]:
    if is_text(array):
        try:
            return [t if isinstance(t, bytes) else t.encode("utf-8", "surrogateescape") for t in as_texts(array, where)]
        except AttributeError:
            raise problem("Not all of these are strings.", received=array, where=where, expected="strings",
                          fix="fill gaps with a string") from None
    if array.dtype.kind == "f" or array.dtype.name == "bfloat16":
        array = array.astype(np.int64)
    if array.dtype.kind == "b":
        return [b"true" if v else b"false" for v in array.ravel().tolist()]
    return [b"%d" % v for v in array.ravel().tolist()]


def _output_dtype(dtype: Any, mode: str) -> Any:
    return ("int32" if mode == "int" else settings.floatx) if dtype is None else dtype


class Hashing(HostLayer):
    """Hash strings or integers into `num_bins` bins: a category becomes a number without a vocabulary.

    The bins are those of TensorFlow: FarmHash64 of the text of the value, or SipHash-2-4 if there is a salt.

    Args:
        num_bins: how many bins, that of `mask_value` included.
        mask_value: a value that gets bin 0 for itself.
        salt: an int or two, the key of another way to distribute the values.
        output_mode: "int" (the bin), "one_hot", "multi_hot" or "count" over the last axis.
        sparse: must be False.

    >>> import kyeo
    >>> kyeo.layers.Hashing(num_bins=3)([["A"], ["B"], ["C"], ["D"], ["E"]]).tolist()
    [[1], [0], [1], [1], [2]]
    """

    def __init__(self, num_bins: int, mask_value: Any = None, salt: Any = None, output_mode: str = "int",
                 sparse: bool = False, **kwargs: Any):
        output_mode = one_of(type(self), ("int", "one_hot", "multi_hot", "count"), output_mode=output_mode)
        super().__init__(**{**kwargs, "dtype": _output_dtype(kwargs.get("dtype"), output_mode)})
        refuse_sparse(self, sparse=sparse)
        self.num_bins = positive_int(self, num_bins=num_bins)
        self.mask_value = mask_value
        self.salt = salt_of(self, salt)
        self.output_mode = output_mode
        self.sparse = False
        if output_mode == "int" and self.compute_dtype not in ("int32", "int64"):
            raise problem("Bins are integers.", received=f"dtype={self.compute_dtype}", where=self,
                          expected='dtype="int32" or "int64" with output_mode="int"')

    def call(self, inputs: np.ndarray) -> np.ndarray:
        """The bins of the inputs."""
        ids = inputs
        if self.output_mode == "one_hot" and ids.ndim and ids.shape[-1] == 1:
            ids = ids[..., 0]
        masks = self.mask_value is not None and self.num_bins > 1
        found = bins_of(ids, self.num_bins - masks, self.salt, self)
        if masks:
            found = np.where(np.equal(ids, self.mask_value), 0, found + 1)
        return self._encoded(found)

    def _encoded(self, bins: np.ndarray) -> np.ndarray:
        return encode_ids(bins, self.output_mode, self.num_bins, self.compute_dtype.replace("64", "32"))

    def sample(self, shapes: list[tuple[int, ...]], words: int) -> np.ndarray:
        """Bin 0 everywhere."""
        return self._encoded(np.zeros(shapes[0], np.int64))


class HashedCrossing(HostLayer):
    """Hash the combination of two features or more into bins, so that a linear model can weigh pairs.

    The bins are those of TensorFlow's `tf.sparse.cross_hashed`.

    Args:
        num_bins: how many bins.
        output_mode: "int" (the bin) or "one_hot".
        sparse: must be False.

    Called on a list of integers or strings of shape (batch,) or (batch, 1), all of one shape.

    >>> import kyeo
    >>> kyeo.layers.HashedCrossing(num_bins=5)((["A", "B", "A", "B", "A"], [101, 101, 101, 102, 102])).tolist()
    [1, 4, 1, 1, 3]
    """

    takes_columns = True

    def __init__(self, num_bins: int, output_mode: str = "int", sparse: bool = False, name: str | None = None,
                 dtype: Any = None, **kwargs: Any):
        output_mode = one_of(type(self), ("int", "one_hot"), output_mode=output_mode)
        super().__init__(name=name, dtype=_output_dtype(dtype, output_mode), **kwargs)
        refuse_sparse(self, sparse=sparse)
        self.num_bins = positive_int(self, num_bins=num_bins)
        self.output_mode = output_mode
        self.sparse = False

    def call(self, inputs: list[np.ndarray]) -> np.ndarray:
        """The bins of the rows."""
        self._check([i.shape for i in inputs])
        if not all(is_text(i) or i.dtype.kind in "iu" for i in inputs):
            raise problem("Only integers and strings can be crossed.", where=self, expected="integers or strings",
                          received=", ".join(str(i.dtype) for i in inputs), fix="put numbers into bins first, "
                          "for example by Discretization")
        columns = [farmhash64(_as_bytes(i, self)) if is_text(i) else i.ravel().astype(np.int64).view(np.uint64)
                   for i in inputs]
        start = np.full(inputs[0].size, _CROSS_KEY, np.uint64)
        bins = functools.reduce(combine, columns, start) % np.uint64(self.num_bins)
        return self._encoded(bins.astype(np.int64).reshape(inputs[0].shape))

    def _check(self, shapes: list[tuple[int, ...]]) -> None:
        shape = shapes[0] if shapes else ()
        if len(shapes) < 2 or len(set(shapes)) > 1 or len(shape) > 2 or shape[1:] not in ((), (1,)):
            raise problem("These cannot be crossed.", received="shapes " + ", ".join(map(str, shapes)), where=self,
                          expected="two tensors or more, all of shape (), (batch,) or (batch, 1)")

    def _encoded(self, bins: np.ndarray) -> np.ndarray:
        return encode_ids(bins, self.output_mode, self.num_bins, self.compute_dtype.replace("64", "32"))

    def sample(self, shapes: list[tuple[int, ...]], words: int) -> np.ndarray:
        """Bin 0 everywhere."""
        self._check(shapes)
        return self._encoded(np.zeros(shapes[0], np.int64))
