"""Input: where a graph begins."""

import operator
from typing import Any

from kyeo.core.dtypes import standardize_dtype
from kyeo.core.errors import describe, problem
from kyeo.core.parameters import checked
from kyeo.core.symbolic import Node, SymbolicTensor
from kyeo.layers.layer import Layer

__all__ = ["Input", "InputLayer"]


class InputLayer(Layer):
    """The layer that stands for an input of a model; `Input` makes one and gives its tensor.

    Args:
        shape: sizes without the batch axis.
        batch_size: size of the batch axis; None for any.
        dtype: number type.
        sparse, ragged: not supported; here so that files and Keras code are understood.
        batch_shape: sizes with the batch axis, instead of `shape`.
        input_tensor: a symbolic tensor that says shape and type; if no layer gave it, it is the input itself.
        optional: whether None may be passed for it.
        name: its name, by which dicts of inputs are matched.

    >>> import kyeo
    >>> layer = kyeo.layers.InputLayer((4,), name="x")
    >>> layer.output.shape
    (None, 4)
    """

    def __init__(
        self, shape: Any = None, batch_size: int | None = None, dtype: Any = None, sparse: bool | None = None,
        ragged: bool | None = None, batch_shape: Any = None, input_tensor: Any = None, optional: bool = False,
        name: str | None = None, **kwargs: Any,
    ):
        if "input_shape" in kwargs:
            shape = kwargs.pop("input_shape")
        if "batch_input_shape" in kwargs:
            batch_shape = kwargs.pop("batch_input_shape")
        super().__init__(name=name, **kwargs)
        if sparse or ragged:
            raise problem("Sparse and ragged inputs are not supported.", received=f"sparse={sparse}, ragged={ragged}",
                          where=self, fix="use dense arrays, with a mask where rows differ in length")
        if (shape is None) == (batch_shape is None) and input_tensor is None:
            raise problem("An input needs exactly one of `shape` and `batch_shape`.", where=self,
                          received=f"shape={shape}, batch_shape={batch_shape}",
                          expected="for example shape=(28, 28, 1), without the batch axis")
        if input_tensor is None and batch_size is not None and batch_shape is not None:
            raise problem("`batch_shape` says the size of the batch already.", where=self,
                          received=f"batch_size={batch_size}, batch_shape={batch_shape}", expected="one of the two")
        if input_tensor is not None:
            _check_fit(self, input_tensor, shape=shape, batch_size=batch_size, batch_shape=batch_shape, dtype=dtype)
            batch_shape, dtype = input_tensor.shape, input_tensor.dtype
        elif batch_shape is None:
            batch_shape = (batch_size, *_sizes(self, shape))
        self.batch_shape: tuple[int | None, ...] = tuple(_sizes(self, batch_shape))
        self._dtype = standardize_dtype(dtype)
        self.sparse = self.ragged = False
        self.optional = optional
        self.built = True
        self.supports_masking = True
        free = isinstance(input_tensor, SymbolicTensor) and input_tensor.node is None
        tensor = input_tensor if free else SymbolicTensor(self.batch_shape, self._dtype, name=self.name)
        self._inbound_nodes.append(Node(self, (), {}, tensor))

    @property
    def dtype(self) -> str:
        """The number type of the input."""
        return self._dtype

    def call(self) -> Any:
        """An input layer is never computed: values are fed in its place."""
        raise problem("An input layer cannot be called.", where=self, fix="call the model on the data")

    def get_config(self) -> dict[str, Any]:
        """Only what says what the tensor is; the shape includes the batch axis."""
        return {"batch_shape": self.batch_shape, "dtype": self._dtype, "sparse": False, "ragged": False,
                "name": self.name, "optional": self.optional}


def _sizes(owner: Any, shape: Any) -> tuple[int | None, ...]:
    if isinstance(shape, int):
        raise problem("A shape is a tuple of sizes.", received=f"shape={shape}", expected=f"({shape},)", where=owner,
                      kind=TypeError)
    try:
        sizes = tuple(None if size is None else operator.index(size) for size in shape)
    except (TypeError, ValueError):
        raise problem("A shape is a tuple of ints and None.", received=f"shape={describe(shape)}", where=owner,
                      expected="for example (28, 28, 1)", kind=TypeError) from None
    if any(size is not None and size < 0 for size in sizes):
        raise problem("A size cannot be negative.", received=f"shape={shape}", where=owner,
                      expected="ints of at least 0, None where unknown")
    return sizes


def _check_fit(layer: InputLayer, tensor: Any, **said: Any) -> None:
    """Refuse what is no symbolic tensor, and words beside it that say something else."""
    if not isinstance(tensor, SymbolicTensor):
        raise problem("Only a symbolic tensor can be an input.", received=f"tensor={describe(tensor)}",
                      where=layer, expected="a tensor that `Input` or a layer called on one gave", kind=TypeError)
    sizes = tuple(tensor.shape)
    real = {"shape": sizes[1:], "batch_size": sizes[0] if sizes else None, "batch_shape": sizes, "dtype": tensor.dtype}
    read = {"shape": lambda v: _sizes(layer, v), "batch_size": lambda v: v, "batch_shape": lambda v: _sizes(layer, v),
            "dtype": standardize_dtype}
    for word, value in said.items():
        if value is not None and read[word](value) != real[word]:
            raise problem("The tensor is not what is said of it.", received=f"{word}={value!r}, tensor={tensor}",
                          where=layer, expected=f"{word}={real[word]!r}", fix=f"leave `{word}` out: the tensor has one")


@checked
def Input(  # a function with a class's name: that is what Keras calls it
    shape: Any = None, batch_size: int | None = None, dtype: Any = None, sparse: bool | None = None,
    ragged: bool | None = None, batch_shape: Any = None, name: str | None = None, tensor: Any = None,
    optional: bool = False,
) -> SymbolicTensor:
    """A symbolic tensor to begin a functional model with.

    Args:
        shape: sizes without the batch axis, None where unknown.
        batch_size: size of the batch axis, if it is fixed.
        dtype: number type.
        sparse, ragged: not supported.
        batch_shape: sizes with the batch axis, instead of `shape`.
        name: name of the input.
        tensor: an existing symbolic tensor to stand for: one that `Input` gave is given back, for one that a layer
            gave there is a new input of its shape and type.
        optional: whether None may be passed for it.

    >>> import kyeo
    >>> kyeo.Input((28, 28, 1)).shape
    (None, 28, 28, 1)
    """
    if isinstance(tensor, SymbolicTensor) and tensor.node is not None and isinstance(tensor.node.target, InputLayer):
        _check_fit(tensor.node.target, tensor, shape=shape, batch_size=batch_size, batch_shape=batch_shape, dtype=dtype)
        return tensor
    layer = InputLayer(shape=shape, batch_size=batch_size, dtype=dtype, sparse=sparse, ragged=ragged,
                       batch_shape=batch_shape, input_tensor=tensor, optional=optional, name=name)
    return layer.output
