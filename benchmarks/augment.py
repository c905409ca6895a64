"""How long a pipeline of image augmentation takes, beside Keras on JAX where it is in the same interpreter.

```
python benchmarks/augment.py               # 32 images of 64x64x3: flip, rotation, zoom, contrast, brightness
python benchmarks/augment.py --layers all  # and every layer by itself
```

Times are medians of calls on a NumPy batch, in milliseconds, after three to warm up; the results are waited for.
"""

import argparse
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["main"]

PIPELINE: list[tuple[str, dict[str, Any]]] = [
    ("RandomFlip", {}), ("RandomRotation", {"factor": 0.1}), ("RandomZoom", {"height_factor": 0.1}),
    ("RandomContrast", {"factor": 0.2}), ("RandomBrightness", {"factor": 0.2}),
]
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("RandomTranslation", {"height_factor": 0.1, "width_factor": 0.1}), ("RandomShear", {"x_factor": 0.1}),
    ("RandomPerspective", {"scale": 0.3}), ("RandomSharpness", {"factor": 0.5}), ("RandomHue", {"factor": 0.2}),
    ("RandomGaussianBlur", {}), ("RandomErasing", {}), ("RandomElasticTransform", {}), ("Equalization", {}),
    ("AutoContrast", {}), ("ContrastLimitedAdaptiveHistogramEqualization", {}), ("CutMix", {}), ("MixUp", {}),
    ("Resizing", {"height": 32, "width": 32}), ("RandomCrop", {"height": 32, "width": 32}),
    ("RandomColorJitter", {"brightness_factor": 0.2, "contrast_factor": 0.2, "hue_factor": 0.2}), ("RandAugment", {}),
    ("AugMix", {}),
]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", choices=("pipeline", "all"), default="pipeline")
    parser.add_argument("--calls", type=int, default=20)
    options = parser.parse_args()
    sides = {"kyeo": of_kyeo(), "keras": of_keras()}
    rows = [("pipeline", PIPELINE)]
    if options.layers == "all":
        rows += [(name, [(name, words)]) for name, words in (*PIPELINE, *OTHERS)]
    batch = np.random.default_rng(0).uniform(0, 255, (32, 64, 64, 3)).astype("float32")
    print(f"{'ms a batch':44}" + "".join(f"{side:>10}" for side, room in sides.items() if room) + f"{'ratio':>8}")
    for name, layers in rows:
        times = [median_time(made(room, layers), batch, options.calls) for room in sides.values() if room]
        ratio = f"{times[1] / times[0]:8.1f}" if len(times) == 2 else ""
        print(f"{name:44}" + "".join(f"{t:10.2f}" for t in times) + ratio, flush=True)


def of_kyeo() -> Any:
    """Kyeo's layers."""
    import kyeo

    return kyeo.layers


def of_keras() -> Any:
    """The layers of Keras on JAX, None where it is not installed."""
    os.environ["KERAS_BACKEND"] = "jax"
    try:
        import keras
    except ImportError:
        return None
    return keras.layers


def made(room: Any, layers: list[tuple[str, dict[str, Any]]]) -> Callable:
    """The layers as a pipeline, or the only one."""
    ready = [getattr(room, name)(**words) for name, words in layers]
    return room.Pipeline(ready) if len(ready) > 1 else ready[0]


def median_time(layer: Callable, batch: np.ndarray, calls: int) -> float:
    """Milliseconds of a call."""
    import jax

    times, begin = [], time.perf_counter()
    while len(times) < calls + 3 and (len(times) < 5 or time.perf_counter() - begin < 20):
        start = time.perf_counter()
        jax.block_until_ready(layer(batch, training=True))
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[3:])


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
    main()
