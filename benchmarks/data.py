"""The data of the benchmarks and the small protocol of their processes; needs NumPy only."""

import json
import pathlib
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = [
    "BATCH", "digits", "films", "flat_digits", "maps", "measure", "memory", "padded", "photos", "pictures", "report",
    "rows", "slope", "texts", "tokens", "waves", "words",
]  # fmt: skip

BATCH = 32
_SAMPLE = pathlib.Path(__file__).parents[1] / "kyeo" / "datasets" / "mnist_sample.npz"


def digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the first training digits, scaled, as (count, 28, 28, 1) and int32 labels."""
    with np.load(_SAMPLE) as file:
        images, labels = file["x_train"][:count], file["y_train"][:count]
    return images[..., None].astype("float32") / 255, labels.astype("int32")


def flat_digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the first training digits as (count, 784) and int32 labels."""
    images, labels = digits(count)
    return images.reshape(count, -1), labels


def rows(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Give rows of 20 numbers and a smooth target."""
    x = _generator().normal(size=(count, 20)).astype("float32")
    return x, np.sin(x[:, :3].sum(axis=1, keepdims=True)).astype("float32")


def pictures(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Give noisy pictures (count, 32, 32, 3) of ten kinds."""
    return _kinds(count, (32, 32, 3))


def maps(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Give noisy feature maps (count, 32, 32, 32) of ten kinds."""
    return _kinds(count, (32, 32, 32))


def photos(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Give noisy pictures (count, 150, 150, 3) of ten kinds."""
    x, labels = _kinds(count, (152, 152, 3))
    return np.ascontiguousarray(x[:, 1:-1, 1:-1]), labels


def words(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Give texts of 80 words out of 10,000, and as (count, 1) which half of the words they prefer."""
    x, y = _texts(count, 80, 10_000)
    return x, y[:, None].astype("float32")


def tokens(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Give texts of 64 tokens out of 1,000, and the half they prefer as int32 labels."""
    return _texts(count, 64, 1_000)


def padded(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Give texts of 20 to 64 tokens, filled up with zeros, and the half they prefer as int32 labels."""
    x, labels = _texts(count, 64, 998)
    return np.where(np.arange(64) < _generator().integers(20, 65, (count, 1)), x + 1, 0).astype("int32"), labels


def waves(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Give noisy tones (count, 8000, 1), a second each, of ten pitches."""
    generator = _generator()
    labels = generator.integers(10, size=count).astype("int32")
    turns = np.arange(8000) / 8000 * (200 * 1.3 ** labels[:, None]) + generator.random((count, 1))
    return (np.sin(2 * np.pi * turns) + generator.normal(size=turns.shape))[..., None].astype("float32"), labels


def films(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Give noisy films (count, 8, 24, 24, 1) of a square that goes in one of four directions."""
    generator = _generator()
    labels, start = generator.integers(4, size=count).astype("int32"), generator.integers(24, size=(count, 2))
    steps = np.array([(0, 2), (2, 0), (0, -2), (-2, 0)])[labels]
    corner = (start[:, None] + steps[:, None] * np.arange(8)[:, None])[..., None]
    inside = (np.arange(24) - corner) % 24 < 6  # (count, 8, 2, 24)
    squares = inside[:, :, 0, :, None] & inside[:, :, 1, None]
    return (squares + generator.normal(size=squares.shape, scale=0.3))[..., None].astype("float32"), labels


def texts(count: int, vocabulary: int = 30_000) -> list[str]:
    """Give texts of 10 to 70 words by Zipf's law, some with capitals and punctuation."""
    generator = _generator()
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    known = ["".join(generator.choice(letters, generator.integers(2, 11))) for _ in range(vocabulary)]
    known = np.array(known, dtype=object)
    known[::7] = [word.capitalize() for word in known[::7]]
    known[::11] = [word + "," for word in known[::11]]
    sizes = generator.integers(10, 71, count)
    drawn = known[np.minimum(generator.zipf(1.3, int(sizes.sum())) - 1, vocabulary - 1)]
    return [" ".join(drawn[end - size : end]) + "." for size, end in zip(sizes, np.cumsum(sizes))]


def _kinds(count: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Ten patterns, each with one weak mean by channel and quarter, under noise."""
    generator = _generator()
    labels = generator.integers(10, size=count).astype("int32")
    means = generator.normal(size=(10, 4, 4, shape[-1])).repeat(shape[0] // 4, 1).repeat(shape[1] // 4, 2)
    noise = generator.normal(size=(count, *shape), scale=2.0)
    return (means[labels] + noise).astype("float32"), labels


def _texts(count: int, length: int, vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    """Words at random; seven of ten come from one half of the vocabulary."""
    generator = _generator()
    labels = generator.integers(2, size=count).astype("int32")
    lower = (generator.random((count, length)) < 0.7) == (labels[:, None] == 0)
    x = generator.integers(vocabulary // 2, size=(count, length)) + np.where(lower, 0, vocabulary // 2)
    return x.astype("int32"), labels


def _generator() -> np.random.Generator:
    """The same numbers for every peer."""
    return np.random.Generator(np.random.PCG64(0))


def measure(function: Callable[[], Any], repeats: int) -> float:
    """Give the median time of a call in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def memory(peak: bool = True) -> float:
    """Give the memory of this process in MB: the peak, or (on Linux) what it holds now."""
    current = pathlib.Path("/proc/self/statm")
    if not peak and current.exists():
        return int(current.read_text().split()[1]) * resource.getpagesize() / 1e6
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (1e6 if sys.platform == "darwin" else 1e3)  # macOS counts bytes


def slope(values: list[float]) -> float:
    """Give the mean growth from one value to the next."""
    return (values[-1] - values[0]) / max(len(values) - 1, 1)


def report(**values: Any) -> None:
    """Hand the result of this process to run.py: one line of JSON."""
    print("RESULT " + json.dumps(values), flush=True)
