"""Programs for those who have not the model: StableHLO, ONNX, archives of several endpoints."""

from kyeo.export.archive import ExportArchive
from kyeo.export.artifact import Artifact, load
from kyeo.export.formats import export_model

__all__ = ["Artifact", "ExportArchive", "export_model", "load"]
