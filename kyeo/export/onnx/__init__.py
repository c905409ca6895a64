"""ONNX: from the program that JAX traces to a file that other engines run."""

from kyeo.export.onnx.write import export_onnx

__all__ = ["export_onnx"]
