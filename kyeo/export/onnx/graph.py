"""The graph that is being written: tensors, nodes, initializers, and the few ways to make one from another.

A tensor of the program need not be stored as it is. `perm` says that its axes are stored in another order, so that two
transpositions meet and vanish; and sizes of 1 (or missing first axes) stand for those it would be repeated over, since
every elementwise operator of ONNX repeats by itself. `plain` and `full` give the tensor as the program sees it.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kyeo.export.onnx.sizes import Size, evaluate

__all__ = ["Builder", "Graph", "Node", "Tensor", "Unsupported", "padded"]

Shape = tuple[Any, ...]


class Unsupported(Exception):
    """ONNX has no operator for what the message names."""


@dataclasses.dataclass(eq=False)
class Tensor:
    """A value: a name in the file, or a known array that gets one when it is used.

    `shape` is that of what is stored; stored axis `i` is axis `perm[i]` of the program's.
    """

    shape: Shape
    dtype: np.dtype
    name: str = ""
    perm: tuple[int, ...] | None = None
    const: np.ndarray | None = None
    weight: bool = False
    parts: "tuple[Tensor, Tensor] | None" = None  # of complex numbers, which ONNX has not: real and imaginary

    @property
    def seen(self) -> Shape:
        """The shape with the axes in the program's order."""
        return self.shape if self.perm is None else tuple(self.shape[self.perm.index(a)] for a in range(len(self.perm)))


@dataclasses.dataclass(eq=False)
class Node:
    """One operator. `note` is what a rule that recognises a pattern later wants to know."""

    op: str
    inputs: list[Any]
    outputs: list[Tensor]
    attributes: dict[str, Any]
    where: str
    note: Any = None


class Graph:
    """Nodes in order; the body of a loop has a parent whose tensors it sees."""

    def __init__(self, parent: "Graph | None" = None):
        self.parent = parent
        self.nodes: list[Node] = []
        self.made: dict[str, Node] = {}
        self.kept: dict[Any, Tensor] = {}
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []

    def look(self, table: str, key: Any) -> Any:
        """The entry of this graph, or of one around it; None."""
        graph: Graph | None = self
        while graph is not None:
            if key in getattr(graph, table):
                return getattr(graph, table)[key]
            graph = graph.parent
        return None


def padded(shape: Sequence[Any], rank: int) -> Shape:
    """The shape with as many 1 before it as it takes."""
    return (1,) * (rank - len(shape)) + tuple(shape)


def _small(tensor: Tensor) -> bool:
    """Whether it is a vector along one axis, or less."""
    return sum(size != 1 for size in tensor.shape) <= 1 and all(isinstance(s, int) for s in tensor.shape)


class Builder:
    """Adds to the graph in hand. `root` holds the initializers; `where` is the layer that runs."""

    def __init__(self, opset: int):
        self.opset = opset
        self.root = self.graph = Graph()
        self.where = ""
        self.initializers: dict[str, np.ndarray] = {}
        self.derived: dict[str, str] = {}  # a weight in another layout -> the weight
        self.renamed: dict[str, str] = {}  # names that the file shows otherwise
        self.symbols: dict[str, tuple[Tensor, int]] = {}  # a symbolic size -> the input and axis that has it
        self._names: dict[str, int] = {}

    # -- names and values ----------------------------------------------------------------------------------
    def unique(self, name: str) -> str:
        """The name, with a number where it is taken."""
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        return f"{name}_{count}" if count else name

    def const(self, value: Any, dtype: Any = None) -> Tensor:
        """A known array."""
        array = np.asarray(value, dtype)
        return Tensor(array.shape, array.dtype, const=array)

    def ints(self, *values: Any) -> Tensor:
        """A vector of int64, as shapes and axes are given."""
        return self.const(np.array(values, np.int64))

    def weight(self, name: str, array: np.ndarray) -> Tensor:
        """An initializer of that name."""
        name = self.unique(name)
        self.initializers[name] = array
        return Tensor(array.shape, array.dtype, name, weight=True)

    def name(self, tensor: Tensor | None) -> str:
        """What a node calls it; "" for an input that is left out."""
        if tensor is None:
            return ""
        if not tensor.name:
            assert tensor.const is not None
            key = (tensor.const.dtype.str, tensor.const.shape, tensor.const.tobytes())
            if key not in self.root.kept:
                self.root.kept[key] = self.weight("constant", np.ascontiguousarray(tensor.const).reshape(tensor.shape))
            tensor.name = self.root.kept[key].name
        return tensor.name

    def emit(self, op: str, inputs: Sequence[Tensor | None], shape: Shape, dtype: Any, layout: Any = None,
             note: Any = None, **attributes: Any) -> Tensor:
        """Add a node with one output, whose axes are stored in the order `layout`."""
        out = Tensor(tuple(shape), np.dtype(dtype), self.unique(f"{self.where}/{op}".lstrip("/")), layout)
        self.add(op, inputs, [out], note, **attributes)
        return out

    def add(self, op: str, inputs: Sequence[Tensor | None], outputs: list[Tensor], note: Any = None,
            **attributes: Any) -> None:
        """Add a node."""
        for tensor in inputs:
            self.name(tensor)
        node = Node(op, list(inputs), outputs, attributes, self.where, note)
        self.graph.nodes.append(node)
        for tensor in outputs:
            self.graph.made[tensor.name] = node

    def maker(self, tensor: Any, *ops: str) -> Node | None:
        """The node that made the tensor, if it is one of these operators."""
        node = self.graph.look("made", tensor.name) if isinstance(tensor, Tensor) and tensor.name else None
        return node if node is not None and node.op in ops else None

    # -- layouts -------------------------------------------------------------------------------------------
    def derive(self, tensor: Tensor, change: Any, perm: Any = None) -> Tensor:
        """A known array, or a weight, after a change of its layout alone: no node is needed."""
        if tensor.const is not None:
            array = change(tensor.const)
            return Tensor(array.shape, array.dtype, perm=perm, const=array)
        base = self.derived.get(tensor.name, tensor.name)
        made = self.weight(f"{base}/stored", np.ascontiguousarray(change(self.initializers[tensor.name])))
        self.derived[made.name] = base
        made.perm = perm
        return made

    def stored(self, tensor: Tensor, perm: Sequence[int] | None) -> Tensor:
        """The tensor with its axes stored in this order; None for the program's."""
        current = tensor.perm or tuple(range(len(tensor.shape)))
        wanted = current if perm is None and tensor.perm is None else tuple(perm or range(len(current)))
        if current == wanted:
            return tensor
        kept = self.graph.look("kept", (tensor, wanted))
        if kept is None:
            order = tuple(current.index(axis) for axis in wanted)
            new = None if wanted == tuple(range(len(wanted))) else wanted
            if tensor.const is not None or tensor.weight:
                kept = self.derive(tensor, lambda array: array.transpose(order), new)
            else:
                shape = tuple(tensor.shape[a] for a in order)
                kept = self.emit("Transpose", [tensor], shape, tensor.dtype, new, perm=order)
            self.graph.kept[tensor, wanted] = kept
        return kept

    def plain(self, tensor: Tensor) -> Tensor:
        """The tensor with its axes in the program's order."""
        return self.stored(tensor, None) if tensor.perm is None else self.stored(tensor, range(len(tensor.perm)))

    def full(self, tensor: Tensor, shape: Sequence[Any]) -> Tensor:
        """The tensor exactly as the program sees it."""
        shape, tensor = tuple(shape), self.plain(tensor)
        if tensor.shape == shape:
            return tensor
        if tensor.const is not None and all(isinstance(s, int) for s in shape):
            return self.const(np.broadcast_to(tensor.const, shape))
        have = padded(tensor.shape, len(shape))
        if have == shape:
            return self.reshape(tensor, shape)
        kept = self.graph.look("kept", (tensor, shape))
        if kept is None:
            sizes = self.sizes([1 if a == b else b for a, b in zip(have, shape)])
            kept = self.graph.kept[tensor, shape] = self.emit("Expand", [tensor, sizes], shape, tensor.dtype)
        return kept

    def whole(self, tensor: Tensor, shape: Sequence[Any]) -> Tensor:
        """The tensor with every element stored, in whatever order of axes."""
        return tensor if tensor.seen == tuple(shape) else self.full(tensor, shape)

    def together(self, tensors: Sequence[Tensor], rank: int) -> tuple[list[Tensor], Any]:
        """The tensors in one order of axes, and that order."""
        perms = {t.perm for t in tensors if t.perm is not None}
        if len(perms) == 1 and all(t.perm is not None or _small(t) for t in tensors):
            (perm,) = perms

            def fit(tensor: Tensor) -> Tensor:
                if tensor.perm is not None or math.prod(tensor.shape) == 1:
                    return tensor
                sizes = padded(tensor.shape, rank)  # one axis at most has a size: to move axes is to reshape
                return dataclasses.replace(self.reshape(tensor, tuple(sizes[a] for a in perm)), perm=perm)

            return [fit(t) for t in tensors], perm
        return [self.plain(t) for t in tensors], None

    def elementwise(self, op: str, tensors: Sequence[Tensor], rank: int, dtype: Any = None,
                    **attributes: Any) -> Tensor:
        """An operator that repeats its inputs as far as needed."""
        tensors, perm = self.together(tensors, rank)
        long = max(len(t.shape) for t in tensors)
        axes = zip(*(padded(t.shape, long) for t in tensors))
        shape = tuple(next((s for s in sizes if not (isinstance(s, int) and s == 1)), 1) for sizes in axes)
        return self.emit(op, tensors, shape, tensors[0].dtype if dtype is None else dtype, perm, **attributes)

    # -- sizes ---------------------------------------------------------------------------------------------
    def size(self, dimension: Any) -> Tensor:
        """A size as a vector of one int64."""
        if isinstance(dimension, int):
            return self.ints(dimension)
        kept = self.root.kept.get(("size", str(dimension)))
        if kept is None:
            inside, where, self.graph, self.where = self.graph, self.where, self.root, ""
            kept = self.root.kept["size", str(dimension)] = evaluate(str(dimension), self._symbol).tensor
            self.graph, self.where = inside, where
        return kept

    def _symbol(self, name: str) -> Any:
        tensor, axis = self.symbols[name]
        key = ("symbol", name)
        if key not in self.root.kept:
            self.root.kept[key] = self.emit("Shape", [tensor], (1,), np.int64, start=axis, end=axis + 1)
        return Size(self, self.root.kept[key])

    def sizes(self, shape: Sequence[Any]) -> Tensor:
        """A shape as a vector of int64."""
        if all(isinstance(s, int) for s in shape):
            return self.ints(*shape)
        return self.emit("Concat", [self.size(s) for s in shape], (len(shape),), np.int64, axis=0)

    def reshape(self, tensor: Tensor, shape: Sequence[Any]) -> Tensor:
        """The elements in row-major order, as another shape."""
        shape, tensor = tuple(shape), self.plain(tensor)
        before = self.maker(tensor, "Reshape")
        tensor = before.inputs[0] if before is not None and before.inputs[0].perm is None else tensor
        if tensor.shape == shape:
            return tensor
        if (tensor.const is not None or tensor.weight) and all(isinstance(s, int) for s in shape):
            return self.derive(tensor, lambda array: array.reshape(shape))
        kept = self.graph.look("kept", (tensor, "as", shape))
        if kept is None:
            open_sizes = [i for i, s in enumerate(shape) if not isinstance(s, int)]
            same = [i for i in open_sizes if tensor.shape[:i + 1] == shape[:i + 1]]
            rest = [i for i in open_sizes if i not in same]
            if 0 not in shape and len(same if len(open_sizes) > 1 else []) + 1 >= len(open_sizes):
                left = rest or same[:1]  # 0 copies a size, -1 is what is left
                target = self.ints(*(-1 if i in left else 0 if i in same else s for i, s in enumerate(shape)))
                kept = self.emit("Reshape", [tensor, target], shape, tensor.dtype)
            else:
                kept = self.emit("Reshape", [tensor, self.sizes(shape)], shape, tensor.dtype, allowzero=1)
            self.graph.kept[tensor, "as", shape] = kept
        return kept

    def cast(self, tensor: Tensor, dtype: Any) -> Tensor:
        """Another number type."""
        dtype = np.dtype(dtype)
        if tensor.dtype == dtype:
            return tensor
        if tensor.const is not None:
            return dataclasses.replace(tensor, name="", dtype=dtype, const=tensor.const.astype(dtype))
        return self.emit("Cast", [tensor], tensor.shape, dtype, tensor.perm, to=dtype)
