"""Data sets of the files in a folder: pictures, texts, sounds."""

from pathlib import Path
from typing import Any

import numpy as np

from kyeo.core.errors import boolean, one_of, positive_int, problem
from kyeo.core.parameters import checked
from kyeo.core.settings import settings
from kyeo.data.dataset import Dataset
from kyeo.utils.directory import Choice, datasets_of, padded_batch
from kyeo.utils.resizing import INTERPOLATIONS, cropped, padded, resized

__all__ = ["audio_dataset_from_directory", "image_dataset_from_directory", "text_dataset_from_directory"]

_IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_COLORS = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}


@checked
def image_dataset_from_directory(
    directory: Any, labels: Any = "inferred", label_mode: str | None = "int", class_names: Any = None,
    color_mode: str = "rgb", batch_size: int | None = 32, image_size: Any = (256, 256), shuffle: bool = True,
    seed: int | None = None, validation_split: float | None = None, subset: str | None = None,
    interpolation: str = "bilinear", follow_links: bool = False, crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False, data_format: str | None = None, format: str = "tf", verbose: bool = True,
) -> Any:
    """Batches of the pictures in a folder, with a folder in it for each class. Needs Pillow.

    Args:
        directory: the folder.
        labels: "inferred" from the names of folders, a list of integers for the files in the order of their names,
            or None.
        label_mode: "int", "categorical" (one-hot), "binary" (floats of shape (batch, 1)) or None.
        class_names: the folders to use, in the order of the classes; None: all, by the alphabet.
        color_mode: "grayscale", "rgb" or "rgba".
        batch_size: pictures of a batch; None for single ones.
        image_size: (height, width).
        shuffle: whether each pass has an order of its own.
        seed: fixes the orders and the split.
        validation_split: the part of the files that is held out.
        subset: "training", "validation" or "both".
        interpolation: "bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic".
        follow_links: whether to look into folders behind links.
        crop_to_aspect_ratio, pad_to_aspect_ratio: keep proportions by cutting the middle out, or by zeros around.
        data_format: "channels_last" or "channels_first".
        format: "tf" or "grain", which both give a `kyeo.data.Dataset`.
        verbose: whether to say how many files there are.

    Returns:
        A Dataset of `(pictures, labels)` (pictures alone without labels) with `class_names` and `file_paths`; a list
        of two for `subset="both"`. Pictures are floats from 0 to 255 (bytes, if `interpolation` is
        "nearest"); labels are int32, or floats of one-hot and binary labels.
    """
    where = "image_dataset_from_directory"
    one_of(where, tuple(_COLORS), color_mode=color_mode)
    one_of(where, ("tf", "grain"), format=format)
    interpolation = one_of(where, INTERPOLATIONS, interpolation=interpolation)
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise problem("Proportions are kept in one way only.", where=where,
                      received="crop_to_aspect_ratio=True, pad_to_aspect_ratio=True")
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    size = tuple(positive_int(where, image_size=side) for side in size)
    if len(size) != 2:
        raise problem("`image_size` is not valid.", received=f"image_size={image_size}", where=where,
                      expected="(height, width)")
    data_format = one_of("image_dataset_from_directory", ("channels_last", "channels_first"),
                         data_format=data_format or settings.image_data_format)
    first = data_format == "channels_first"

    def load(path: str) -> np.ndarray:
        image = _picture(path, color_mode)
        if pad_to_aspect_ratio:
            image = padded(image, size, interpolation)  # type: ignore[arg-type]
        else:
            image = resized(cropped(image, size) if crop_to_aspect_ratio else image, size,  # type: ignore[arg-type]
                            interpolation)
        return image.transpose(2, 0, 1) if first else image

    choice = Choice(where, directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split,
                    subset, follow_links, verbose)
    return datasets_of(choice, _IMAGES, load)


def _picture(path: str, color_mode: str) -> np.ndarray:
    try:
        from PIL import Image
    except ImportError:
        raise problem("Pictures are read by Pillow, which is not installed.", where=path, kind=ImportError,
                      fix='pip install "kyeo[images]"') from None
    with Image.open(path) as file:
        image: Any = file
        if image.mode.startswith("I"):  # 16 bits of grey: Pillow would cut off what is above 255
            image = Image.fromarray((np.asarray(image).astype("uint16") >> 8).astype("uint8"))
        array = np.asarray(image.convert(_COLORS[color_mode]))
    return array[..., None] if array.ndim == 2 else array


@checked
def text_dataset_from_directory(
    directory: Any, labels: Any = "inferred", label_mode: str | None = "int", class_names: Any = None,
    batch_size: int | None = 32, max_length: int | None = None, shuffle: bool = True, seed: int | None = None,
    validation_split: float | None = None, subset: str | None = None, follow_links: bool = False, format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Batches of the texts in a folder (`.txt`, UTF-8), with a folder in it for each class.

    Args:
        directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset, follow_links,
            format, verbose: as in `image_dataset_from_directory`.
        max_length: bytes after which texts are cut off.

    Returns:
        A Dataset of `(texts, labels)`, texts as arrays of strings; a list of two for `subset="both"`.
    """
    where = "text_dataset_from_directory"
    one_of(where, ("tf", "grain"), format=format)
    limit = positive_int(where, optional=True, max_length=max_length)

    def load(path: str) -> str:
        data = Path(path).read_bytes()
        return data.decode("utf-8", "replace") if limit is None else data[:limit].decode("utf-8", "ignore")

    choice = Choice(where, directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split,
                    subset, follow_links, verbose)
    return datasets_of(choice, (".txt",), load)


@checked
def audio_dataset_from_directory(
    directory: Any, labels: Any = "inferred", label_mode: str | None = "int", class_names: Any = None,
    batch_size: int | None = 32, sampling_rate: int | None = None, output_sequence_length: int | None = None,
    ragged: bool = False, shuffle: bool = True, seed: int | None = None, validation_split: float | None = None,
    subset: str | None = None, follow_links: bool = False, verbose: bool = True,
) -> Any:
    """Batches of the sounds in a folder (`.wav`), with a folder in it for each class.

    Args:
        directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset, follow_links,
            verbose: as in `image_dataset_from_directory`.
        sampling_rate: samples of a second to resample to; None leaves sounds as they are.
        output_sequence_length: samples to cut or fill up to; None fills up to the longest of the batch.
        ragged: must be False.

    Returns:
        A Dataset of `(sounds, labels)`, sounds of shape (batch, samples, channels) from -1 to 1; a list of two for
        `subset="both"`.
    """
    where = "audio_dataset_from_directory"
    if boolean(where, ragged=ragged):
        raise problem("Ragged tensors are not supported.", received="ragged=True", where=where,
                      fix="leave output_sequence_length=None to have shorter sounds filled up with zeros")
    rate = positive_int(where, optional=True, sampling_rate=sampling_rate)
    length = positive_int(where, optional=True, output_sequence_length=output_sequence_length)

    def load(path: str) -> np.ndarray:
        sound = _sound(path, rate)
        if length is None:
            return sound
        return np.pad(sound[:length], ((0, max(length - len(sound), 0)), (0, 0)))

    choice = Choice(where, directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split,
                    subset, follow_links, verbose)
    return datasets_of(choice, (".wav",), load, padded_batch if length is None else Dataset.batch)


def _sound(path: str, rate: int | None) -> np.ndarray:
    """The samples of a `.wav` file of integers of 8 to 32 bits, from -1 to 1."""
    import wave

    try:
        with wave.open(path, "rb") as file:
            width, channels, own_rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            data = np.frombuffer(file.readframes(file.getnframes()), np.uint8)
    except (wave.Error, EOFError) as error:
        raise problem("This sound cannot be read.", received=str(error), where=path,
                      expected="a .wav file of 8, 16, 24 or 32 bit integers") from None
    if width == 1:
        sound = (data.astype("float32") - 128) / 128
    else:
        wide = np.zeros((len(data) // width, 4), np.uint8)
        wide[:, 4 - width:] = data[:len(data) // width * width].reshape(-1, width)
        sound = (wide.view("<i4")[:, 0] / np.float64(2**31)).astype("float32")
    sound = sound[:len(sound) // channels * channels].reshape(-1, channels)
    if rate is not None and rate != own_rate:
        from scipy.signal import resample_poly

        divisor = int(np.gcd(rate, own_rate))
        sound = resample_poly(sound, rate // divisor, own_rate // divisor).astype("float32")
    return sound
