"""Resizing of pictures in NumPy by a weighted sum over rows, then columns: no compilation for each new size."""

import functools
import math
from collections.abc import Callable

import numpy as np

__all__ = ["INTERPOLATIONS", "cropped", "padded", "resized"]

Kernel = Callable[[np.ndarray], np.ndarray]


def _cubic(b: float, c: float) -> Kernel:
    """The family of cubic filters of Mitchell and Netravali (1988)."""
    def kernel(x: np.ndarray) -> np.ndarray:
        near = ((12 - 9 * b - 6 * c) * x**3 + (-18 + 12 * b + 6 * c) * x**2 + (6 - 2 * b)) / 6
        far = ((-b - 6 * c) * x**3 + (6 * b + 30 * c) * x**2 + (-12 * b - 48 * c) * x + (8 * b + 24 * c)) / 6
        return np.where(x < 1, near, np.where(x < 2, far, 0))

    return kernel


def _lanczos(radius: int) -> Kernel:
    return lambda x: np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0)


_KERNELS: dict[str, Kernel] = {
    "bilinear": lambda x: np.maximum(0, 1 - x),
    "bicubic": _cubic(0, 0.5),
    "mitchellcubic": _cubic(1 / 3, 1 / 3),
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
    "gaussian": lambda x: np.where(x < 1.5, np.exp(-2 * x**2), 0),  # a deviation of 0.5
}
INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic")


@functools.lru_cache(maxsize=128)
def _weights(size: int, new: int, interpolation: str) -> np.ndarray:
    """What each old row gives to each new one."""
    scale = size / new
    old = np.arange(size)
    if interpolation == "area":
        begin, end = np.arange(new)[:, None] * scale, (np.arange(new)[:, None] + 1) * scale
        weights = np.clip(np.minimum(old + 1, end) - np.maximum(old, begin), 0, None)
    else:
        place = (np.arange(new)[:, None] + 0.5) * scale - 0.5
        weights = _KERNELS[interpolation](np.abs(place - old))
    return (weights / weights.sum(axis=1, keepdims=True)).astype("float32")


def resized(image: np.ndarray, size: tuple[int, int], interpolation: str = "bilinear") -> np.ndarray:
    """A picture of shape (height, width, channels) in another size, as floats; "nearest" keeps the dtype.

    As `tf.image.resize` without antialiasing.
    """
    height, width = size
    if interpolation == "nearest":
        rows = np.minimum(((np.arange(height) + 0.5) * image.shape[0] / height).astype(int), image.shape[0] - 1)
        columns = np.minimum(((np.arange(width) + 0.5) * image.shape[1] / width).astype(int), image.shape[1] - 1)
        return image[rows][:, columns]
    image = image.astype("float32")
    if image.shape[:2] == (height, width):
        return image
    down = np.tensordot(_weights(image.shape[0], height, interpolation), image, axes=(1, 0))
    return np.moveaxis(np.tensordot(_weights(image.shape[1], width, interpolation), down, axes=(1, 1)), 0, 1)


def cropped(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The largest part from the middle of a picture that has the proportions of `size`."""
    height, width = image.shape[:2]
    new_height = max(min(height, int(width * size[0] / size[1])), 1)
    new_width = max(min(width, int(height * size[1] / size[0])), 1)
    top, left = int((height - new_height) / 2), int((width - new_width) / 2)
    return image[top:top + new_height, left:left + new_width]


def padded(image: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    """The whole picture in the middle of one of `size`, with zeros around it."""
    ratio = max(image.shape[0] / size[0], image.shape[1] / size[1])
    inner = tuple(max(math.floor(side / ratio), 1) for side in image.shape[:2])
    small = resized(image, inner, interpolation)  # type: ignore[arg-type]
    before = [math.floor((want - side / ratio) / 2) for want, side in zip(size, image.shape)]  # of sizes not rounded
    around = [(b, want - have - b) for b, want, have in zip(before, size, inner)]
    return np.pad(small, [*around, (0, 0)])
