"""Where batches come from: arrays, generators, PyDatasets, other libraries' loaders, all as one `Source`."""

from kyeo.core.gone import answer_for_missing
from kyeo.data.adapters import as_source, train_validation_split
from kyeo.data.checks import check_binary_labels, check_labels
from kyeo.data.dataset import Dataset
from kyeo.data.pydataset import PyDataset
from kyeo.data.source import Batch, Source, pad_batch
from kyeo.data.unpack import pack_x_y_sample_weight, unpack_x_y_sample_weight

__all__ = [
    "Batch", "Dataset", "PyDataset", "Source", "as_source", "check_binary_labels", "check_labels",
    "pack_x_y_sample_weight", "pad_batch", "train_validation_split", "unpack_x_y_sample_weight",
]

answer_for_missing(__name__)
