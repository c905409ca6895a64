"""Images from files and to files, by Pillow (the extra `images`)."""

import contextlib
import io
import os
from typing import Any

import numpy as np

from kyeo.core.dtypes import standardize_dtype
from kyeo.core.errors import describe, int_tuple, one_of, problem
from kyeo.core.files import atomic_write
from kyeo.core.parameters import checked
from kyeo.core.plain import warn
from kyeo.core.settings import settings

__all__ = ["array_to_img", "img_to_array", "load_img", "save_img"]

_METHODS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
_MODES = {"grayscale": ("L", "I;16", "I"), "rgb": ("RGB",), "rgba": ("RGBA",)}
_LAYOUTS = ("channels_last", "channels_first")


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise problem("Images are read and written by Pillow, which is not installed.", kind=ImportError,
                      fix='pip install "kyeo[images]"') from None
    return Image


def _channels_first(where: str, data_format: Any) -> bool:
    layout = settings.image_data_format if data_format is None else data_format
    return one_of(where, _LAYOUTS, data_format=layout) == "channels_first"


@checked
def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Any:
    """An array as a Pillow image.

    Args:
        x: one image of 1, 3 or 4 channels.
        data_format: "channels_last", "channels_first", or None for the setting.
        scale: whether to spread the values over 0 to 255.
        dtype: in which to compute; `floatx()` where None.

    >>> import numpy as np
    >>> array_to_img(np.zeros((4, 6, 3))).size
    (6, 4)
    """
    image = _pillow()
    x = np.asarray(x, dtype=standardize_dtype(dtype))
    if x.ndim != 3:
        raise problem("The array is not one image.", received=x, expected="3 axes", where="utils.array_to_img")
    if _channels_first("utils.array_to_img", data_format):
        x = x.transpose(1, 2, 0)
    if scale:
        x = x - x.min()
        x = x / (x.max() or 1) * 255
    if x.shape[2] not in (1, 3, 4):
        raise problem("An image has 1, 3 or 4 channels.", received=x, expected="1, 3 or 4 as the size of the channels",
                      where="utils.array_to_img", fix="is `data_format` right?")
    if x.shape[2] == 1:
        return image.fromarray(x[:, :, 0].astype("int32" if x.max() > 255 else "uint8"))
    return image.fromarray(x.astype("uint8"))


@checked
def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """A Pillow image as an array of three axes.

    Args:
        img: the image.
        data_format: "channels_last", "channels_first", or None for the setting.
        dtype: of the array; `floatx()` where None.

    >>> import numpy as np
    >>> img_to_array(array_to_img(np.ones((4, 6, 1)))).shape
    (4, 6, 1)
    """
    x = np.asarray(img, dtype=standardize_dtype(dtype))
    if x.ndim not in (2, 3):
        raise problem("This is not one image.", received=x, expected="2 or 3 axes", where="utils.img_to_array")
    x = x[:, :, None] if x.ndim == 2 else x
    return x.transpose(2, 0, 1) if _channels_first("utils.img_to_array", data_format) else x


@checked
def save_img(path: Any, x: Any, data_format: str | None = None, file_format: str | None = None, scale: bool = True,
             **kwargs: Any) -> None:
    """Write an array into a file.

    Args:
        path: name of the file, or an open file.
        x: one image.
        data_format: "channels_last", "channels_first", or None for the setting.
        file_format: "png", "jpeg", ...; by the end of the name where None.
        scale: whether to spread the values over 0 to 255.
        kwargs: for Pillow's `save`.

    >>> import io, numpy as np
    >>> file = io.BytesIO()
    >>> save_img(file, np.zeros((4, 6, 3)), file_format="png")
    >>> load_img(file).size
    (6, 4)
    """
    if file_format is None and isinstance(path, (str, os.PathLike)):
        file_format = os.path.splitext(os.fspath(path))[1][1:].lower()
    file_format = "jpeg" if (file_format or "").lower() == "jpg" else file_format
    img = array_to_img(x, data_format=data_format, scale=scale)
    if img.mode == "RGBA" and file_format == "jpeg":
        warn("JPEG files keep no transparency, so the image is written without it.")
        img = img.convert("RGB")
    whole = atomic_write(path) if isinstance(path, (str, os.PathLike)) else contextlib.nullcontext(path)
    try:
        with whole as target:
            img.save(target, format=file_format, **kwargs)
    except (KeyError, ValueError, OSError) as error:
        if isinstance(error, OSError) and "cannot write mode" not in str(error):  # the disk's own errors stay
            raise
        raise problem("Pillow cannot write this image.", received=f"path={describe(path)}, file_format={file_format!r}",
                      expected=f"{error}", where="utils.save_img", fix='file_format="png"') from None


@checked
def load_img(
    path: Any, color_mode: str = "rgb", target_size: Any = None, interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """Read an image from a file, as a Pillow image.

    Args:
        path: name of the file, or an `io.BytesIO`.
        color_mode: "rgb", "rgba" or "grayscale".
        target_size: (height, width), or None for as it is.
        interpolation: "nearest", "bilinear", "bicubic", "hamming", "box" or "lanczos".
        keep_aspect_ratio: whether to cut off what would distort the picture.

    >>> import io, numpy as np
    >>> file = io.BytesIO()
    >>> save_img(file, np.zeros((4, 6, 3)), file_format="png")
    >>> load_img(file, "grayscale", target_size=(2, 5)).size
    (5, 2)
    """
    image, where = _pillow(), "utils.load_img"
    if isinstance(path, io.BytesIO):
        img = image.open(path)
    elif isinstance(path, (str, bytes, os.PathLike)):
        if not os.path.exists(path):
            raise problem("There is no such file.", received=f"path={path!r}", expected="the path of an existing file",
                          where=where, fix=f"this program runs in {os.getcwd()}", kind=FileNotFoundError)
        with open(path, "rb") as file:
            img = image.open(io.BytesIO(file.read()))
    else:
        raise problem("This is no file.", received=path, expected="a path or io.BytesIO", where=where, kind=TypeError)
    modes = _MODES[one_of(where, _MODES, color_mode=color_mode)]
    method = one_of(where, _METHODS, interpolation=interpolation)
    img = img if img.mode in modes else img.convert(modes[0])
    if target_size is None:
        return img
    height, width = int_tuple(where, 2, target_size=target_size)
    if img.size == (width, height):
        return img
    resample = getattr(image.Resampling, method.upper())
    if not keep_aspect_ratio:
        return img.resize((width, height), resample)
    wide, tall = img.size
    kept_tall, kept_wide = min(tall, wide * height // width), min(wide, tall * width // height)
    top, left = (tall - kept_tall) // 2, (wide - kept_wide) // 2
    return img.resize((width, height), resample, box=[left, top, left + kept_wide, top + kept_tall])
