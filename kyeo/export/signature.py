"""What the inputs of a program look like: specs of many kinds as shapes with symbolic sizes."""

import inspect
import itertools
from typing import Any

import jax
from jax import export as jax_export

from kyeo.core.errors import problem
from kyeo.core.symbolic import SymbolicTensor

__all__ = ["names_of", "signature_of", "symbolic_inputs"]


def _is_pair(spec: Any) -> bool:
    two = isinstance(spec, tuple) and len(spec) == 2
    return two and isinstance(spec[1], str) and isinstance(spec[0], (tuple, list))


def _is_spec(spec: Any) -> bool:
    return _is_pair(spec) or hasattr(spec, "shape")


def signature_of(model: Any, given: Any = None) -> tuple[Any, ...]:
    """The structures of specs that stand for the arguments of the model's call: several of a `call(self, x, y)`.

    Args:
        model: a model; one made from inputs and outputs knows its own, another one takes floats of the shapes that it
            was built for.
        given: what the user said instead: specs in the structure that the model is called with, or, as Keras has it,
            a list of one such structure, or of one for each argument where the model takes several.
    """
    graph = getattr(model, "_graph", None)
    if given is not None:
        several = isinstance(given, (list, tuple)) and not _is_spec(given)
        each = several and (len(given) == 1 or (graph is None and _takes(model, len(given))))
        return tuple(given) if each else (given,)
    shapes = getattr(model, "_call_shapes", None) or getattr(model, "_build_shapes", None) or {}
    if graph is None and model.built and shapes:  # a model that was called: any batch of such shapes
        return jax.tree.map(lambda shape: ((None, *shape[1:]), "float32"), tuple(shapes.values()),
                            is_leaf=lambda s: isinstance(s, tuple) and all(n is None or isinstance(n, int) for n in s))
    if graph is None:
        raise problem("The shapes of the model's inputs are not known.", where=model, received="no `input_signature`",
                      expected="a model made from inputs and outputs, or one that was called",
                      fix='call the model on data first, or input_signature=((None, 28, 28, 1), "float32")')
    if graph.other_sizes and not any(getattr(layer, "stateful", False) for layer in model.layers):
        return (jax.tree.map(_any_batch, graph.inputs),)  # a stack that three rows have built takes four as well
    return (graph.inputs,)


def _takes(model: Any, count: int) -> bool:
    """Whether the model's call takes so many inputs, each as an argument of its own."""
    parameters = inspect.signature(model.call).parameters.values()
    inputs = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
              and p.name not in ("training", "mask") and not p.name.endswith("_mask")]
    return count > 1 and (len(inputs) >= count or any(p.kind is p.VAR_POSITIONAL for p in parameters))


def _any_batch(tensor: SymbolicTensor) -> SymbolicTensor:
    return SymbolicTensor((None, *tensor.shape[1:]), tensor.dtype, name=tensor.name)


def symbolic_inputs(signature: Any, where: Any = None) -> Any:
    """The structure with `jax.ShapeDtypeStruct` for each spec.

    A spec is `(shape, dtype)`, an InputSpec, a symbolic tensor or an array. The size None of a first axis is the batch,
    the same for all; any other None is a size of its own. A size that is a name, as "time", is the same wherever the
    name stands.
    """
    symbols, count = jax_export.SymbolicScope(), itertools.count(1)

    def one(spec: Any) -> jax.ShapeDtypeStruct:
        if not _is_spec(spec) or (not _is_pair(spec) and spec.shape is None):
            raise problem("The signature holds something that is no spec.", received=spec, where=where,
                          expected='(shape, dtype), as ((None, 28, 28, 1), "float32"), or an InputSpec with a shape')
        shape, dtype = spec if _is_pair(spec) else (spec.shape, spec.dtype or "float32")
        if str(dtype) == "string":
            raise problem("A program takes numbers, not text.", received=f"an input of dtype {dtype}", where=where,
                          fix="export the part of the model that comes after the layers for text")
        sizes = [str(s) if s is not None else "batch" if axis == 0 else f"size{next(count)}"
                 for axis, s in enumerate(shape)]
        return jax.ShapeDtypeStruct(jax_export.symbolic_shape(",".join(sizes), scope=symbols), dtype)

    return jax.tree.map(one, signature, is_leaf=_is_spec)


def names_of(signature: Any) -> list[str]:
    """A name for each input: its own, its key in a dict, or "input" and a number."""
    found = jax.tree_util.tree_flatten_with_path(signature, is_leaf=_is_spec)[0]
    names: list[str] = []
    for number, (path, spec) in enumerate(found):
        key = getattr(path[-1], "key", None) if path else None
        name = str(getattr(spec, "name", None) or key or (f"input_{number}" if len(found) > 1 else "input"))
        names.append(name if name not in names else f"{name}_{number}")
    return names
