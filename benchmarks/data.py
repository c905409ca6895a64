"""The data of the benchmarks and the small protocol of their processes; needs NumPy only."""

import json
import pathlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["BATCH", "digits", "measure", "report", "rows"]

BATCH = 32
_SAMPLE = pathlib.Path(__file__).parents[1] / "kyeo" / "datasets" / "mnist_sample.npz"


def digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the first training digits, scaled, as (count, 28, 28, 1) and int32 labels."""
    with np.load(_SAMPLE) as file:
        images, labels = file["x_train"][:count], file["y_train"][:count]
    return images[..., None].astype("float32") / 255, labels.astype("int32")


def rows() -> tuple[np.ndarray, np.ndarray]:
    """Give 1,000 rows of 20 numbers and a smooth target."""
    generator = np.random.Generator(np.random.PCG64(0))
    x = generator.normal(size=(1000, 20)).astype("float32")
    return x, np.sin(x[:, :3].sum(axis=1, keepdims=True)).astype("float32")


def measure(function: Callable[[], Any], repeats: int) -> float:
    """Give the median time of a call in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def report(**values: Any) -> None:
    """Hand the result of this process to run.py: one line of JSON."""
    print("RESULT " + json.dumps(values), flush=True)
