"""SymbolicTensor: a shape and a dtype that remember the Node they came from. Shapes come from tracing.

`infer` runs a function with `jax.eval_shape`, unknown sizes replaced by one symbolic size; an output size
that is not a number is unknown again. There are no shape rules written by hand.
"""

import contextlib
import copy
import functools
import gc
import itertools
import operator
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from kyeo.core.arithmetic import Arithmetic
from kyeo.core.dtypes import standardize_dtype
from kyeo.core.errors import problem
from kyeo.core.masks import get_mask, set_mask
from kyeo.core.naming import auto_name
from kyeo.core.reading import check_sizes
from kyeo.core.registry import OPS
from kyeo.core.scope import current, scope
from kyeo.core.walking import KerasHistory, Walked

__all__ = [
    "Node", "ShapeDtype", "SymbolicTensor", "any_symbolic", "infer", "map_tensors", "record",
    "sized_by_others", "tensors_in",
]

_MANY = 8  # arguments, beyond which not every size is tried in every place
_PROBES = (480, 960)  # two stand-ins for an unknown size where tracing with a symbolic one is refused; most numbers of
# heads, groups and parts divide them
_INSTEAD = {"T": "kyeo.ops.transpose(x)", "astype": "kyeo.ops.cast(x, dtype)", "get_shape": "x.shape",
            "size": "kyeo.ops.size(x)", "eval": "predict(...) of a model with this output", "dim": "x.ndim"}


class SymbolicTensor(Arithmetic):
    """A tensor without a value: what `Input` gives and what layers and ops give when called on one.

    Args:
        shape: sizes, None where unknown.
        dtype: number type.
        name: its name.

    >>> import kyeo
    >>> x = kyeo.KerasTensor((None, 4))
    >>> (x + 1).shape
    (None, 4)
    """

    def __init__(self, shape: Sequence[int | None], dtype: Any = None, sparse: bool = False, ragged: bool = False,
                 record_history: bool = True, name: str | None = None, **kwargs: Any):
        if sparse or ragged or kwargs:
            raise problem("Sparse and ragged tensors are not supported.", fix="use dense arrays and masks",
                          received=f"sparse={sparse}, ragged={ragged}, {', '.join(kwargs)}")
        self.shape: tuple[int | None, ...] = _sizes(shape)
        check_sizes(self.shape)
        self.dtype: str = standardize_dtype(dtype)
        self.name: str = name or auto_name("keras_tensor")
        self.record_history = record_history
        self.sparse = self.ragged = False
        self.node: Node | None = None
        self.index = 0  # which of the node's outputs this is
        self.made_by: Any = None  # the node's target, which lives as long as its tensors

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("shape", "dtype", "sparse", "ragged") and name in self.__dict__:
            raise problem(f"`{name}` of a symbolic tensor cannot be set.", received=f"{self}, {name}={value!r}",
                          expected="a new tensor", fix="ops.reshape, ops.cast, or a new `Input`", kind=AttributeError)
        object.__setattr__(self, name, value)

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    @property
    def _keras_mask(self) -> Any:
        return get_mask(self)

    @_keras_mask.setter
    def _keras_mask(self, mask: Any) -> None:
        set_mask(self, mask)

    @property
    def _keras_history(self) -> KerasHistory:
        if self.node is None:
            raise AttributeError("'KerasTensor' object has no attribute '_keras_history'")
        operation = self.node.operation
        return KerasHistory(operation, operation._inbound_nodes.index(self.node), self.index)

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    def _has_no_value(self, use: str, kind: type[Exception] = TypeError) -> Exception:
        return problem(
            f"A symbolic tensor has no values, so {use} is not possible.", received=repr(self), kind=kind,
            expected="an operation of `kyeo.ops` or a layer, which can wait for the values",
            fix="put the computation into a layer's `call`, or use kyeo.ops functions instead of NumPy or jax.numpy",
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise self._has_no_value("turning it into an array")

    @property
    def __jax_array__(self) -> Any:  # a property: JAX only asks whether it is there
        raise self._has_no_value("turning it into a JAX array", ValueError)  # JAX would replace a TypeError

    if not TYPE_CHECKING:
        def __getattr__(self, name: str) -> Any:  # only asked for what is not there
            if name == "numpy":
                raise self._has_no_value("`numpy()`", AttributeError)
            if name.startswith("_"):
                raise AttributeError(f"'KerasTensor' object has no attribute {name!r}")
            fix = _INSTEAD.get(name) or (f"kyeo.ops.{name}(x)" if name in OPS else None)
            raise problem(f"A symbolic tensor has no attribute `{name}`.", received=repr(self), kind=AttributeError,
                          expected="shape, ndim, dtype, name, reshape, squeeze", fix=fix)

    def __iter__(self) -> Any:
        raise self._has_no_value("iterating over it", NotImplementedError)

    def __bool__(self) -> bool:
        raise self._has_no_value("using it as True or False")

    def __float__(self) -> float:
        raise self._has_no_value("turning it into a number")

    __int__ = __float__  # type: ignore[assignment]
    __hash__ = object.__hash__


SymbolicTensor.__name__ = "KerasTensor"  # as Python's own messages name it, and programs that ask for names

ShapeDtype = jax.ShapeDtypeStruct


class Node(Walked):
    """One recorded call: which target, with which arguments, giving which tensors.

    `target` is a layer or an op's function; `args` and `kwargs` are as the user gave them. `name` is the name
    of the layer, or one of its own for the call of an op.

    A layer keeps its nodes, a node its inputs, a tensor its node and the layer. What leads back, a node's layer and
    its outputs, is weak, so that a model goes with the last reference to it; outputs that nobody has are made again.
    One way back is left: a layer called on what it gave itself.
    """

    def __init__(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any):
        self.args, self.kwargs = args, kwargs
        self.inputs: list[SymbolicTensor] = tensors_in((args, kwargs))
        self.masks: dict[int, Any] = {}  # of the outputs
        self.name: str = getattr(target, "name", None) or auto_name(getattr(target, "__name__", "op"))
        self._of_layer = hasattr(target, "_inbound_nodes")
        tensors = tensors_in(outputs)
        self._looks = [(t.shape, t.dtype, t.name) for t in tensors]
        counter = itertools.count()
        self._places = jax.tree.map(lambda _: next(counter), outputs)
        self._link(target, tensors)

    def _link(self, target: Any, tensors: "list[SymbolicTensor]") -> None:
        self._target: Callable[[], Any] = weakref.ref(target) if self._of_layer else functools.partial(_itself, target)
        self._outputs = [weakref.ref(tensor) for tensor in tensors]
        for index, tensor in enumerate(tensors):
            tensor.node, tensor.index, tensor.made_by = self, index, target

    def __getstate__(self) -> dict[str, Any]:
        links = {"_target": self.target, "_outputs": self.output_tensors, "masks": {}}
        return {**self.__dict__, **links}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._link(state["_target"], state["_outputs"])

    def __deepcopy__(self, memo: dict[int, Any]) -> "Node":
        """Begun at the node by itself, a copy would go as deep as the graph before it."""
        for node in self._after_parents():
            if id(node) not in memo:
                made = memo[id(node)] = object.__new__(Node)
                made.__setstate__(copy.deepcopy(node.__getstate__(), memo))
        made_of_self: Node = memo[id(self)]
        return made_of_self

    def _after_parents(self) -> "Iterator[Node]":
        """The nodes that lead here, each after those it needs; this one last."""
        done: set[Node] = set()
        stack = [self]
        while stack:
            node = stack[-1]
            missing = [parent for parent in node.parents if parent not in done]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            if node not in done:
                done.add(node)
                yield node

    @property
    def target(self) -> Any:
        """What was called."""
        return self._target()

    @property
    def structure(self) -> Any:
        """What it gave: the structure of symbolic tensors."""
        tensors = self.output_tensors
        return jax.tree.map(lambda place: tensors[place], self._places)

    @property
    def output_tensors(self) -> "list[SymbolicTensor]":
        """The symbolic tensors among `outputs`."""
        return [self._output(index) for index in range(len(self._outputs))]

    def _output(self, index: int) -> "SymbolicTensor":
        tensor = self._outputs[index]()
        if tensor is None:
            shape, dtype, name = self._looks[index]
            tensor = SymbolicTensor(shape, dtype, name=name)
            tensor.node, tensor.index, tensor.made_by = self, index, self.target
            self._outputs[index] = weakref.ref(tensor)
            set_mask(tensor, self.masks.get(index))
        return tensor

    @property
    def operation(self) -> Any:
        """What counts as one thing in a graph: a layer however often it is called, but each call of an op."""
        return self.target if self._of_layer else self

    @property
    def parents(self) -> "list[Node]":
        """The nodes whose outputs this one takes, each once."""
        return list(dict.fromkeys(t.node for t in self.inputs if t.node is not None))


def _itself(value: Any) -> Any:
    return value


def tensors_in(tree: Any) -> list[SymbolicTensor]:
    """The symbolic tensors among the leaves of nested lists, tuples and dicts."""
    return [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, SymbolicTensor)]


def any_symbolic(tree: Any) -> bool:
    """Whether a symbolic tensor is among the leaves."""
    return any(isinstance(leaf, SymbolicTensor) for leaf in jax.tree.leaves(tree))


def map_tensors(fn: Callable[[SymbolicTensor], Any], tree: Any) -> Any:
    """The tree with `fn` applied to its symbolic tensors and all other leaves as they are."""
    return jax.tree.map(lambda leaf: fn(leaf) if isinstance(leaf, SymbolicTensor) else leaf, tree)


@functools.cache
def _unknown_size() -> Any:
    (size,) = jax.export.symbolic_shape("None", constraints=["None>=2"])  # how messages show it
    return size


def infer(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The tree of `ShapeDtype` that `fn(*args, **kwargs)` would give; unknown sizes are None.

    State written meanwhile goes into a throw-away overlay.
    """
    leaves, treedef = jax.tree.flatten((args, kwargs))
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, SymbolicTensor)]
    tensors = [leaves[i] for i in places]
    if any(t.dtype == "string" for t in tensors):
        raise problem("This cannot be applied to text.", expected="numbers",
                      received=", ".join(f"{t.name} of dtype {t.dtype}" for t in tensors),
                      fix="call a layer for text on it first, such as TextVectorization, in the outermost model")

    def run(values: list[Any], symbolic: bool | int = True) -> Any:
        filled = list(leaves)
        for place, value in zip(places, values):
            filled[place] = value
        run_args, run_kwargs = jax.tree.unflatten(treedef, filled)
        with scope(overlay=dict(current().overlay or {}), symbolic=symbolic):
            return fn(*run_args, **run_kwargs)

    def with_size(unknown: Any) -> Any:
        specs = [ShapeDtype(tuple(unknown if s is None else s for s in t.shape), jax.dtypes.canonicalize_dtype(t.dtype))
                 for t in tensors]
        return jax.eval_shape(functools.partial(run, symbolic=unknown if isinstance(unknown, int) else True), specs)

    if all(size is not None for tensor in tensors for size in tensor.shape):
        return with_size(None)
    try:
        out = with_size(_unknown_size())
    except Exception as error:
        try:  # a Python `if` on the unknown size: see which sizes move with it
            first, second = with_size(_PROBES[0]), with_size(_PROBES[1])
            return jax.tree.map(
                lambda a, b: _spec([s if s == t else None for s, t in zip(a.shape, b.shape)], a.dtype), first, second)
        except Exception:
            raise error from None
    finally:  # JAX leaves an exception for each symbolic size, in a cycle that holds the variables of all callers
        gc.collect(0)
    return jax.tree.map(lambda leaf: _spec([s if isinstance(s, int) else None for s in leaf.shape], leaf.dtype), out)


def sized_by_others(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The arguments with unknown sizes taken from other arguments: the sizes in the same place, counted from the last
    axis. As few as possible come first, for an axis along which tensors are joined has no reason to be alike.

    Then one size at a time from any place, as a product sums over a last axis and one before it; not the number of
    rows, for that is how a matrix given the wrong way round shows."""
    leaves, treedef = jax.tree.flatten((args, kwargs))
    shapes = [tuple(leaf.shape)[::-1] if hasattr(leaf, "shape") else () for leaf in leaves]
    known: dict[int, int] = {}
    for axis, sizes in enumerate(itertools.zip_longest(*shapes, fillvalue=1)):
        if None in sizes and len({*sizes} - {None, 1}) == 1:
            known[axis] = max(size or 0 for size in sizes)
    for count in range(1, len(known) + 1):
        for axes in itertools.combinations(known, count):
            new = [leaf if not isinstance(leaf, SymbolicTensor) else SymbolicTensor(
                [known[a] if a in axes and size is None else size for a, size in enumerate(shape)][::-1], leaf.dtype)
                for leaf, shape in zip(leaves, shapes)]
            yield jax.tree.unflatten(treedef, new)
    for place, (leaf, shape) in enumerate(zip(leaves, shapes)):
        others = {size for other in shapes[:place] + shapes[place + 1:] for size in other if size}
        if not isinstance(leaf, SymbolicTensor) or len(shapes) > _MANY:
            continue
        for axis, size in itertools.product(range(len(shape) - 1), sorted(others)):
            if shape[axis] is None:
                sizes = [*shape[:axis], size, *shape[axis + 1:]][::-1]
                new = [*leaves[:place], SymbolicTensor(sizes, leaf.dtype), *leaves[place + 1:]]
                yield jax.tree.unflatten(treedef, new)


def _sizes(shape: Any) -> tuple[int | None, ...]:
    """A shape as a tuple of sizes, None for unknown ones."""
    with contextlib.suppress(TypeError):
        sizes = tuple(None if size is None else operator.index(size) for size in shape)
        if min((size or 0 for size in sizes), default=0) >= 0:
            return sizes
    raise problem("`shape` is not valid.", received=f"shape={shape!r}", where="KerasTensor",
                  expected="a tuple of sizes, None where they are not known")


class _Spec:
    """A shape with unknown sizes and a dtype (jax.ShapeDtypeStruct takes no None)."""

    def __init__(self, shape: tuple[int | None, ...], dtype: Any):
        self.shape, self.dtype = shape, dtype


def _spec(shape: Sequence[int | None], dtype: Any) -> _Spec:
    return _Spec(tuple(shape), dtype)


def record(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any], specs: Any) -> Any:
    """Make the symbolic outputs of a call and the node they remember."""
    outputs = jax.tree.map(lambda spec: SymbolicTensor(spec.shape, np.dtype(spec.dtype).name), specs)
    Node(target, args, kwargs, outputs)
    return outputs
