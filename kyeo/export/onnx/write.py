"""A model's prediction as an ONNX file."""

import importlib.util
import os
from typing import Any

import jax
import numpy as np

from kyeo.core.errors import positive_int, problem
from kyeo.core.files import atomic_write
from kyeo.core.scope import scope
from kyeo.core.variable import pure
from kyeo.export.onnx.convert import Converter
from kyeo.export.onnx.file import to_message
from kyeo.export.onnx.graph import Tensor
from kyeo.export.signature import names_of, signature_of, symbolic_inputs

__all__ = ["export_onnx"]

OPSET = 18  # of December 2022: what is in use reads it
_LATER = 'export(..., format="stablehlo"), or save the model itself'


def export_onnx(model: Any, filepath: Any, verbose: bool | None = None, input_signature: Any = None,
                opset_version: int | None = None) -> None:
    """Write what `predict` computes as an ONNX file; the sizes that the inputs leave open stay open.

    The program that JAX traces is written primitive by primitive. Weights go by their paths; a convolution has its
    kernel in ONNX's order of axes. The file is checked by `onnx.checker` before it appears.

    Args:
        model: a built model.
        filepath: the file to write; it appears whole or not at all.
        verbose: whether to print the file's name; True where None.
        input_signature: see `kyeo.export.signature`; needed for models that write their own `call`.
        opset_version: version of the operators, 18 where None.
    """
    if importlib.util.find_spec("onnx") is None:
        raise problem("An ONNX file cannot be written without the package onnx.", kind=ImportError, where=model,
                      fix='pip install "kyeo[onnx]"')
    import onnx

    opset = positive_int(model, minimum=OPSET, optional=True, opset_version=opset_version) or OPSET
    if opset > onnx.defs.onnx_opset_version():
        raise problem("The package onnx that is installed does not know this version.", where=model,
                      received=f"opset_version={opset}", expected=f"at most {onnx.defs.onnx_opset_version()}")
    signature = signature_of(model, input_signature)
    builder = _converted(model, signature, opset)
    message = to_message(onnx, builder, model.name, {"model": model.name, "made_by": "kyeo"})
    try:
        onnx.checker.check_model(message, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise problem("ONNX does not allow an operator that this model needs.", received=str(error).split("\n")[0],
                      where=model, kind=NotImplementedError,
                      fix="export in float32, or a later opset_version") from None
    with atomic_write(filepath) as temporary:
        temporary.write_bytes(message.SerializeToString())
    if verbose is not False:
        print(f"Saved an ONNX model at {os.fspath(filepath)!r}")


def _traced(model: Any, inputs: Any) -> Any:
    """The program of a prediction; its first inputs are the values of the variables."""
    variables = model.variables
    run = pure(lambda *args: model(*args, training=False), variables)
    with scope(plain=True, losses=[]):
        program, shapes = jax.make_jaxpr(run, return_shape=True)(
            [jax.ShapeDtypeStruct(v.shape, v._value.dtype) for v in variables], *inputs)
    count, jaxpr = len(variables), program.jaxpr
    for variable, before, after in zip(variables, jaxpr.invars, jaxpr.outvars[len(jaxpr.outvars) - count:]):
        if before is not after:
            raise problem("This model changes a variable when it predicts; a file of operators cannot.", where=model,
                          received=f"a new value of {variable.path!r}", kind=NotImplementedError, fix=_LATER)
    return program, shapes[0]


def _refuse_host_layers(model: Any) -> None:
    for layer in model._flatten_layers():
        if getattr(layer, "runs_on_host", False):
            raise problem("This layer computes on the host, outside of the program, so no file of operators holds it.",
                          where=layer, kind=NotImplementedError, received="a model that calls it",
                          fix="export a model that begins after the layer, and apply the layer before it")


def _converted(model: Any, signature: Any, opset: int) -> Converter:
    _refuse_host_layers(model)
    inputs = symbolic_inputs(signature, model)
    program, outputs = _traced(model, inputs)
    builder = Converter(opset)
    specs = jax.tree.leaves(inputs)
    for name, spec in zip(names_of(signature), specs):
        tensor = Tensor(tuple(spec.shape), np.dtype(spec.dtype), builder.unique(name))
        builder.root.inputs.append(tensor)
        for axis, size in enumerate(spec.shape):
            if not isinstance(size, int):
                builder.symbols.setdefault(str(size), (tensor, axis))
    weights = [builder.weight(v.path, np.asarray(v._value)) for v in model.variables]
    made = builder.run(program, [*weights, *builder.root.inputs])
    names = _output_names(model, len(jax.tree.leaves(outputs)))
    for name, tensor, variable in zip(names, made, program.jaxpr.outvars):
        whole = builder.full(tensor, variable.aval.shape)
        if whole.name not in builder.root.made or whole.name in builder.renamed:
            whole = builder.emit("Identity", [whole], whole.shape, whole.dtype)
        builder.renamed[whole.name] = builder.unique(name)
        builder.root.outputs.append(whole)
    return builder


def _output_names(model: Any, count: int) -> list[str]:
    known = getattr(model, "output_names", None) or []
    if len(known) == count and len(set(known)) == count:
        return list(known)
    return ["output"] if count == 1 else [f"output_{i}" for i in range(count)]
