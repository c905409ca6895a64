"""EfficientNetB0 beside Keras on JAX: `predict` of 1 and of 16 images, in processes of their own, in turns.

```
python benchmarks/applications.py --rounds 3     # kyeo and Keras on JAX
python benchmarks/applications.py kyeo           # one side by itself
```

Both sides have the same random weights' shapes and the same images; times are medians over the rounds of each process'
median call. The interpreters come from setup_envs.py, or are the running one where that has not been run.
"""

import argparse
import importlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np
from data import measure, report
from setup_envs import ENVIRONMENTS, ROOT

__all__ = ["main"]

SIDES = {"kyeo": "kyeo", "keras": "keras-jax"}  # name of the package: name of its environment
BATCHES = (1, 16)
CALLS = 8


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("side", nargs="?", choices=tuple(SIDES))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.side is None:
        compare(options.rounds)
    else:
        predict(options.side)


def compare(rounds: int) -> None:
    """Run the sides in turns and print a table."""
    notes = ENVIRONMENTS / "pythons.json"
    pythons = json.loads(notes.read_text()) if notes.exists() else {}
    results: dict[str, list[dict]] = {side: [] for side in SIDES}
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "jax"}
    for _ in range(rounds):
        for side, peer in SIDES.items():
            command = [pythons.get(peer, sys.executable), __file__, side]
            text = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
            results[side].append(json.loads(text.partition("RESULT ")[2]))
    keys = list(results["kyeo"][0])
    print(f"{'seconds':12}" + "".join(f"{key:>12}" for key in keys))
    middle = {side: [statistics.median(run[key] for run in runs) for key in keys] for side, runs in results.items()}
    for side, values in middle.items():
        print(f"{side:12}" + "".join(f"{value:12.4f}" for value in values))
    print(f"{'ratio':12}" + "".join(f"{a / b:12.2f}" for a, b in zip(middle["kyeo"], middle["keras"])), flush=True)


def predict(side: str) -> None:
    """Time one side: building, the first call of each batch size, and the calls after it."""
    keras = importlib.import_module(side)
    start = time.perf_counter()
    model = keras.applications.EfficientNetB0(weights=None)
    seconds = {"build": time.perf_counter() - start}
    for batch in BATCHES:
        images = np.random.default_rng(0).uniform(0, 255, (batch, 224, 224, 3)).astype("float32")
        start = time.perf_counter()
        model.predict(images, verbose=0)
        seconds[f"first {batch}"] = time.perf_counter() - start
        seconds[f"batch {batch}"] = measure(lambda x=images: model.predict(x, verbose=0), CALLS)
    report(**seconds)


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
    main()
