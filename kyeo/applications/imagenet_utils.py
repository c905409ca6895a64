"""Pixels into the form a network was trained on, and scores of the 1,000 ImageNet classes into their names."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from kyeo import ops
from kyeo.core.dtypes import is_float
from kyeo.core.errors import describe, one_of, positive_int, problem
from kyeo.core.parameters import checked
from kyeo.core.settings import settings
from kyeo.datasets.fetch import fetch

__all__ = ["decode_predictions", "preprocess_input", "preprocessing"]

CLASSES = 1000
_INDEX = ("imagenet_class_index.json", "https://storage.googleapis.com/download.tensorflow.org/data/"
          "imagenet_class_index.json", "c2c37ea517e94d9795004a39431a14cb")
# Form: order of colours, mean and deviation of each channel, in that order.
_FORMATS = ("channels_last", "channels_first")
_MODES = {
    "tf": (1, (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "torch": (1, (0.485 * 255, 0.456 * 255, 0.406 * 255), (0.229 * 255, 0.224 * 255, 0.225 * 255)),
    "caffe": (-1, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
}


@checked
def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Bring pixels into the form that the published weights of a network expect.

    Args:
        x: one image or a batch of them, RGB, values 0 to 255; an array or a symbolic tensor. It is not changed.
        data_format: "channels_last" or "channels_first"; the process's setting when None.
        mode: "tf" scales to -1..1; "torch" to 0..1 and then by ImageNet's mean and deviation of each channel;
            "caffe" turns RGB into BGR and takes ImageNet's mean away, without scaling.

    Returns:
        The pixels as floats, in the shape of `x`. A NumPy array gives a NumPy array.

    Raises:
        ValueError: `mode`, `data_format` or the shape is not one of these.

    >>> import numpy as np
    >>> from kyeo.applications import imagenet_utils
    >>> imagenet_utils.preprocess_input(np.full((1, 1, 3), 255), mode="tf").tolist()
    [[[1.0, 1.0, 1.0]]]
    """
    where = "preprocess_input"
    order, mean, deviation = _MODES[one_of(where, tuple(_MODES), mode=mode)]
    data_format = one_of(where, _FORMATS,
                         data_format=settings.image_data_format if data_format is None else data_format)
    x = x if hasattr(x, "shape") else np.asarray(x)
    axis = -1 if data_format == "channels_last" else -3
    if len(x.shape) not in (3, 4) or x.shape[axis] not in (3, None):
        raise problem("This is no image of three colours.", received=f"x={describe(x)}", where=where,
                      expected="(height, width, 3), or a batch of such" if axis == -1 else "(3, height, width), or "
                      "a batch of such")
    on_host = isinstance(x, np.ndarray)
    if not is_float(x.dtype):
        x = x.astype(settings.floatx) if on_host else ops.cast(x, settings.floatx)
    if order < 0:
        x = np.flip(x, axis) if on_host else ops.flip(x, axis)
    shape = (3,) if axis == -1 else (3, 1, 1)
    mean, deviation = (np.reshape(np.asarray(v, x.dtype), shape) for v in (mean, deviation))
    return (x - mean) / deviation


def preprocessing(mode: str | None) -> Callable[..., Any]:
    """The `preprocess_input` of a family of networks; of one that scales pixels itself where `mode` is None."""

    def preprocess(x: Any, data_format: str | None = None) -> Any:
        if mode is None and data_format is not None:
            one_of("preprocess_input", _FORMATS, data_format=data_format)
        return x if mode is None else preprocess_input(x, data_format, mode)

    preprocess.__name__ = preprocess.__qualname__ = "preprocess_input"
    preprocess.__doc__ = (
        "Gives `x` back as it is: these networks scale pixels of 0 to 255 themselves." if mode is None else
        f'`imagenet_utils.preprocess_input` with mode="{mode}": the form that these networks were trained on.')
    preprocess.__module__ = __name__
    return checked(preprocess)


@checked
def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[str, str, Any]]]:
    """The likeliest classes of each image, by name.

    The names come from a file of 35 kB that is downloaded into the cache of Keras (`~/.keras/models`) once.

    Args:
        preds: the scores, an array of the shape (images, 1000).
        top: how many classes to give.

    Returns:
        For each image a list of (id in WordNet, name, score), the highest score first.

    Raises:
        ValueError: the shape of `preds` is another.
        OSError: the names are not in the cache and there is no network.

    >>> import kyeo
    >>> scores = kyeo.ops.one_hot([207], 1000)
    >>> kyeo.applications.imagenet_utils.decode_predictions(scores, top=1)  # doctest: +SKIP
    [[('n02099601', 'golden_retriever', 1.0)]]
    """
    scores = np.asarray(preds)
    top = min(positive_int("decode_predictions", top=top), CLASSES)
    if scores.ndim != 2 or scores.shape[1] != CLASSES:
        raise problem("These are no scores of the ImageNet classes.", received=f"preds={describe(scores)}",
                      expected=f"shape (images, {CLASSES})", where="decode_predictions",
                      fix="a network made with include_top=False or other `classes` has none")
    names = _class_names()
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return [[(*names[i], row[i]) for i in indices] for row, indices in zip(scores, best)]


def _class_names() -> list[tuple[str, str]]:
    name, url, digest = _INDEX
    table = json.loads(fetch(name, url, digest, folder="models").read_text(encoding="utf-8"))
    return [(table[str(i)][0], table[str(i)][1]) for i in range(CLASSES)]
