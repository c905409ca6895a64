"""A model's prediction as one StableHLO program with its weights inside, for those who have JAX but not the model."""

import importlib.util
import os
from typing import Any

import jax
from jax import export as jax_export

from kyeo.core.errors import problem
from kyeo.core.files import atomic_write
from kyeo.export.signature import signature_of, symbolic_inputs

__all__ = ["check_flatbuffers", "export_stablehlo"]


def check_flatbuffers(where: Any) -> None:
    """Complain where the package is missing that `jax.export` writes with."""
    if importlib.util.find_spec("flatbuffers") is None:
        raise problem("A program cannot be written without the package flatbuffers.", kind=ImportError, where=where,
                      fix='pip install "kyeo[export]"')


def export_stablehlo(model: Any, filepath: Any, verbose: bool | None = None, input_signature: Any = None) -> None:
    """Write what `predict` computes, for any number of rows, as a program that `jax.export.deserialize` reads.

    JAX promises to run such a program for six months after it was written; `model.save` is for keeping.

    Args:
        model: a built model.
        filepath: the file to write; it appears whole or not at all.
        verbose: whether to print the file's name; True where None.
        input_signature: see `kyeo.export.signature`; needed for models that write their own `call`.

    >>> import kyeo, jax, tempfile, pathlib
    >>> model = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "model.stablehlo")
    ...     model.export(file, verbose=False)
    ...     program = jax.export.deserialize(bytearray(file.read_bytes()))
    >>> program.call(kyeo.ops.ones((5, 3))).shape
    (5, 2)
    """
    check_flatbuffers(model)
    inputs = symbolic_inputs(signature_of(model, input_signature), model)
    values = [[v.value for v in group] for group in (model.trainable_variables, model.non_trainable_variables)]
    program = jax_export.export(jax.jit(lambda *args: model.stateless_call(*values, *args, training=False)[0]))(*inputs)
    with atomic_write(filepath) as temporary:
        temporary.write_bytes(program.serialize())
    if verbose is not False:
        print(f"Saved a StableHLO program at {os.fspath(filepath)!r}")
