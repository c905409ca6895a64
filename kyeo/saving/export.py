"""A model's prediction as one StableHLO program with its weights inside, for those who have JAX but not the model."""

import importlib.util
import itertools
import os
from typing import Any

import jax
from jax import export as jax_export

from kyeo.core.errors import one_of, problem
from kyeo.core.files import atomic_write

__all__ = ["export_model"]

_ELSEWHERE = "write it by model.save, load it in Keras on TensorFlow, and export it there"


def export_model(model: Any, filepath: Any, format: str = "stablehlo", verbose: bool | None = None,
                 input_signature: Any = None) -> None:
    """Write what `predict` computes, for any number of rows, as a program that `jax.export.deserialize` reads.

    JAX promises to run such a program for six months after it was written; `model.save` is for keeping.

    Args:
        model: a built model.
        filepath: the file to write; it appears whole or not at all.
        format: "stablehlo".
        verbose: whether to print the file's name; True where None.
        input_signature: `(shape, dtype)` of the input, or a list or dict of them, with None for sizes left open; needed
            for models that write their own `call`.

    >>> import kyeo, jax, tempfile, pathlib
    >>> model = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "model.stablehlo")
    ...     model.export(file, verbose=False)
    ...     program = jax.export.deserialize(bytearray(file.read_bytes()))
    >>> program.call(kyeo.ops.ones((5, 3))).shape
    (5, 2)
    """
    if format in ("tf_saved_model", "onnx", "openvino", "litert"):
        raise problem(f"Kyeo does not write the format {format!r}.", received=f"format={format!r}", where=model,
                      expected='format="stablehlo"', fix=_ELSEWHERE)
    one_of(model, ("stablehlo",), format=format)
    if importlib.util.find_spec("flatbuffers") is None:
        raise problem("A program cannot be written without the package flatbuffers.", kind=ImportError, where=model,
                      fix='pip install "kyeo[export]"')
    signature = _signature_of(model) if input_signature is None else input_signature
    is_one = lambda s: isinstance(s, tuple) and len(s) == 2 and isinstance(s[1], str)  # noqa: E731
    scope, count = jax_export.SymbolicScope(), itertools.count(1)

    def spec(one: Any) -> jax.ShapeDtypeStruct:
        shape, dtype = one
        sizes = ["batch" if at == 0 and s is None else f"size{next(count)}" if s is None else str(s)
                 for at, s in enumerate(shape)]
        return jax.ShapeDtypeStruct(jax_export.symbolic_shape(",".join(sizes), scope=scope), dtype)

    values = [[v.value for v in group] for group in (model.trainable_variables, model.non_trainable_variables)]
    program = jax_export.export(jax.jit(lambda x: model.stateless_call(*values, x, training=False)[0]))(
        jax.tree.map(spec, signature, is_leaf=is_one))
    with atomic_write(filepath) as temporary:
        temporary.write_bytes(program.serialize())
    if verbose is not False:
        print(f"Saved a StableHLO program at {os.fspath(filepath)!r}")


def _signature_of(model: Any) -> Any:
    graph = getattr(model, "_graph", None)
    if graph is None:
        raise problem("The shapes of the model's inputs are not known.", where=model, received="no `input_signature`",
                      expected="a model made from inputs and outputs",
                      fix='input_signature=((None, 28, 28, 1), "float32")')
    return jax.tree.map(lambda t: (tuple(t.shape), str(t.dtype)), graph.inputs, is_leaf=lambda t: hasattr(t, "node"))
