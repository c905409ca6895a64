"""Many images in one figure."""

import functools
import io
import math
import os
import types
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kyeo.core.errors import problem
from kyeo.core.files import writing
from kyeo.core.parameters import checked
from kyeo.visualization.draw import as_pictures, draw_bounding_boxes, draw_segmentation_masks

__all__ = ["plot_bounding_box_gallery", "plot_image_gallery", "plot_segmentation_mask_gallery"]


@checked
def plot_image_gallery(
    images: Any, y_true: Any = None, y_pred: Any = None, label_map: Mapping[Any, str] | None = None,
    rows: int | None = None, cols: int | None = None, value_range: Any = (0, 255), scale: float = 2, path: Any = None,
    show: bool | None = None, transparent: bool = True, dpi: int = 60, legend_handles: Sequence[Any] | None = None,
    data_format: str | None = None,
) -> None:
    """Show images in rows and columns, or write them into a file.

    Args:
        images: a batch.
        y_true, y_pred: labels to write above them; `label_map` must have their texts.
        label_map: {label: text}.
        rows, cols: how many; by the number of images where None.
        value_range: least and largest value of the images.
        scale: size of an image in inches.
        path: name of a file; the figure is shown where None.
        show: whether to show it; not together with `path`.
        transparent, dpi: of the file.
        legend_handles: for matplotlib's legend.
        data_format: "channels_last", "channels_first", or None for the setting.

    >>> import kyeo, numpy as np, tempfile, os
    >>> file = os.path.join(tempfile.mkdtemp(), "gallery.png")
    >>> kyeo.visualization.plot_image_gallery(np.zeros((3, 8, 8, 3)), path=file)
    >>> os.path.exists(file)
    True
    """
    where = "visualization.plot_image_gallery"
    if not isinstance(path, (str, os.PathLike, io.IOBase, types.NoneType)):
        raise problem("`path` is not valid.", received=f"path={path!r}", expected="a path, an open file or None",
                      where=where, kind=TypeError)
    if path is not None and show:
        raise problem("A figure is either written or shown.", received=f"path={path!r}, show=True", where=where,
                      expected="one of the two")
    if (y_true is not None or y_pred is not None) and label_map is None:
        raise problem("Labels need texts.", received="label_map=None beside y_true or y_pred",
                      expected="{label: text}", where=where)
    pictures = as_pictures(where, images, data_format)
    rows = rows or math.ceil(math.sqrt(len(pictures)))
    cols = cols or math.ceil(len(pictures) / rows)
    low, high = value_range
    pictures = np.clip((pictures[: rows * cols].astype("float32") - low) / (high - low) * 255, 0, 255).astype("uint8")
    titles = [_title(i, label_map, y_true, y_pred) for i in range(len(pictures))]
    figure = _figure(pictures, titles, rows, cols, scale)
    if legend_handles is not None:
        figure.legend(handles=legend_handles, loc="lower center")
    _deliver(figure, path, path is None if show is None else show, transparent, dpi)


def _title(index: int, label_map: Any, y_true: Any, y_pred: Any) -> str:
    parts = [f"{name}: {label_map.get(np.asarray(labels)[index].item(), 'Unknown')}"
             for name, labels in (("Label", y_true), ("Pred", y_pred)) if labels is not None and index < len(labels)]
    return "  ".join(parts)


def _figure(pictures: np.ndarray, titles: list[str], rows: int, cols: int, scale: float) -> Any:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(rows, cols, figsize=(cols * scale, rows * scale), squeeze=False, frameon=False,
                                layout="tight")
    for axis in axes.flat:
        axis.axis("off")
    for axis, picture, title in zip(axes.flat, pictures, titles):
        axis.imshow(picture if picture.shape[2] > 1 else picture[:, :, 0], cmap="gray")
        axis.margins(x=0, y=0)
        if title:
            axis.set_title(title, fontsize=8)
    return figure


def _deliver(figure: Any, path: Any, show: bool, transparent: bool, dpi: int) -> None:
    import matplotlib.pyplot as plt

    words = {"pad_inches": 0, "bbox_inches": "tight", "transparent": transparent, "dpi": dpi}
    try:
        if isinstance(path, (str, os.PathLike)):
            ending = os.path.splitext(path)[1][1:]
            with writing(os.fspath(path) if ending else f"{os.fspath(path)}.png") as file:
                figure.savefig(file, format=ending or "png", **words)
        elif path is not None:
            figure.savefig(path, **words)
        elif show:
            plt.show()
    finally:
        if path is not None or show:
            plt.close(figure)


@checked
def plot_bounding_box_gallery(
    images: Any, bounding_box_format: str, y_true: Any = None, y_pred: Any = None, value_range: Any = (0, 255),
    true_color: Sequence[float] = (0, 188, 212), pred_color: Sequence[float] = (255, 235, 59), line_thickness: int = 2,
    font_scale: float = 1.0, text_thickness: int | None = None, class_mapping: Mapping[Any, str] | None = None,
    ground_truth_mapping: Mapping[Any, str] | None = None, prediction_mapping: Mapping[Any, str] | None = None,
    legend: bool = False, legend_handles: Sequence[Any] | None = None, rows: int | None = None, cols: int | None = None,
    data_format: str | None = None, **kwargs: Any,
) -> None:
    """Show images with the boxes that are there and those that were predicted.

    Args:
        images: a batch.
        bounding_box_format: a format of `utils.bounding_boxes`.
        y_true, y_pred: dicts of "boxes" and "labels".
        value_range: least and largest value of the images.
        true_color, pred_color: of the boxes.
        line_thickness, font_scale, text_thickness: see `draw_bounding_boxes`.
        class_mapping: {label: text}, unless the next two say otherwise.
        ground_truth_mapping, prediction_mapping: likewise for the boxes of y_true and y_pred.
        legend: whether to explain the two colors.
        legend_handles: for a legend of your own.
        rows, cols, kwargs: see `plot_image_gallery`.
        data_format: "channels_last", "channels_first", or None for the setting.

    >>> import kyeo, numpy as np, tempfile, os
    >>> file = os.path.join(tempfile.mkdtemp(), "boxes.png")
    >>> boxes = {"boxes": np.array([[[1.0, 1, 5, 5]]]), "labels": np.array([[0]])}
    >>> kyeo.visualization.plot_bounding_box_gallery(np.zeros((1, 8, 8, 3)), "xyxy", boxes, legend=True, path=file)
    """
    where = "visualization.plot_bounding_box_gallery"
    pictures, last = as_pictures(where, images, data_format), "channels_last"
    low, high = value_range
    pictures = np.clip((pictures.astype("float32") - low) / (high - low) * 255, 0, 255).astype("uint8")
    draw = functools.partial(draw_bounding_boxes, bounding_box_format=bounding_box_format, font_scale=font_scale,
                             line_thickness=line_thickness, text_thickness=text_thickness or line_thickness,
                             data_format=last)
    for boxes, color, mapping in ((y_true, true_color, ground_truth_mapping), (y_pred, pred_color, prediction_mapping)):
        if boxes is not None:
            pictures = draw(pictures, boxes, color=color, class_mapping=mapping or class_mapping)
    if legend and legend_handles:
        raise problem("There is one legend.", received="legend=True and legend_handles", where=where,
                      expected="one of the two")
    if legend:
        legend_handles = _legend({"Ground Truth": true_color, "Prediction": pred_color})
    plot_image_gallery(pictures, legend_handles=legend_handles, rows=rows, cols=cols, data_format=last, **kwargs)


def _legend(colors: dict[str, Any]) -> list[Any]:
    from matplotlib import patches

    return [patches.Patch(color=tuple(v / 255.0 for v in color), label=text) for text, color in colors.items()]


@checked
def plot_segmentation_mask_gallery(
    images: Any, num_classes: int | None, value_range: Any = (0, 255), y_true: Any = None, y_pred: Any = None,
    color_mapping: Any = None, blend: bool = True, alpha: float = 0.8, ignore_index: int = -1,
    data_format: str | None = None, **kwargs: Any,
) -> None:
    """Show each image beside itself with the masks that are there and those that were predicted.

    Args:
        images: a batch.
        num_classes: how many classes there are.
        value_range: least and largest value of the images.
        y_true, y_pred: masks.
        color_mapping, blend, alpha, ignore_index: see `draw_segmentation_masks`.
        data_format: "channels_last", "channels_first", or None for the setting.
        kwargs: see `plot_image_gallery`.

    >>> import kyeo, numpy as np, tempfile, os
    >>> file = os.path.join(tempfile.mkdtemp(), "masks.png")
    >>> masks = np.ones((2, 8, 8, 1), "int32")
    >>> kyeo.visualization.plot_segmentation_mask_gallery(np.zeros((2, 8, 8, 3)), 2, y_true=masks, path=file)
    """
    where, last = "visualization.plot_segmentation_mask_gallery", "channels_last"
    pictures = as_pictures(where, images, data_format).astype("float32")
    low, high = value_range
    pictures = (pictures - low) / (high - low) * 255
    columns = [pictures]
    for name, masks in (("y_true", y_true), ("y_pred", y_pred)):
        if masks is not None:
            classes = as_pictures(where, masks, data_format, name).astype("int32")
            columns.append(draw_segmentation_masks(
                pictures, classes, num_classes, color_mapping, alpha, blend, ignore_index, last))
    rows = np.stack(columns, 1).reshape(-1, *pictures.shape[1:])
    plot_image_gallery(rows, rows=len(pictures), cols=len(columns), data_format=last, **kwargs)
