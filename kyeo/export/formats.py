"""`Model.export`: which format, and who writes it."""

import os
from typing import Any

from kyeo.core.errors import no_more, one_of, problem
from kyeo.export.onnx import export_onnx
from kyeo.export.stablehlo import export_stablehlo

__all__ = ["export_model"]

_OTHERS = ("tf_saved_model", "openvino", "litert", "torch")
_ELSEWHERE = "write it by model.save, load it in Keras on TensorFlow, and export it there"


def export_model(model: Any, filepath: Any, format: str | None = None, verbose: bool | None = None,
                 input_signature: Any = None, **kwargs: Any) -> None:
    """Write the model's prediction in a format; see `Model.export`."""
    if format is None:
        format = "onnx" if os.fspath(filepath).lower().endswith(".onnx") else "stablehlo"
    if format in _OTHERS:
        raise problem(f"Kyeo does not write the format {format!r}.", received=f"format={format!r}", where=model,
                      expected='format="stablehlo" or format="onnx"', fix=_ELSEWHERE)
    if one_of(model, ("stablehlo", "onnx"), format=format) == "onnx":
        opset = kwargs.pop("opset_version", None)
        no_more(model, kwargs)
        return export_onnx(model, filepath, verbose, input_signature, opset)
    no_more(model, kwargs)
    return export_stablehlo(model, filepath, verbose, input_signature)
