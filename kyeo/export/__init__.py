"""Programs for those who have not the model: StableHLO, ONNX, archives of several endpoints."""

from kyeo.export.formats import export_model

__all__ = ["export_model"]
