"""What CIFAR-10 and CIFAR-100 share: their batches, read out of the archive without unpacking it to the disk."""

import tarfile
from pathlib import Path

import numpy as np

from kyeo.core.errors import problem
from kyeo.core.settings import settings
from kyeo.datasets.restricted import read_pickle

__all__ = ["read_batches"]


def read_batches(path: Path, names: list[str], label: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The pictures and labels of some batches of an archive, one after the other.

    Args:
        path: the archive.
        names: the members to read.
        label: which of the labels a batch has.
    """
    images, labels = [], []
    with tarfile.open(path, "r:*") as archive:
        for name in names:
            member = archive.getmember(name)
            file = archive.extractfile(member) if member.isreg() else None
            if file is None:
                raise problem("A batch is missing in the archive.", received=name, where=str(path))
            batch = read_pickle(file.read(), path)
            images.append(np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32))
            labels.append(np.asarray(batch[label]))
    x = np.concatenate(images)
    return x.transpose(0, 2, 3, 1) if settings.image_data_format == "channels_last" else x, np.concatenate(labels)
