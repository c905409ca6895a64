"""TextVectorization over 100,000 texts, beside Keras on TensorFlow: adapt, and texts to indices or counts.

```
python benchmarks/text.py compare --rounds 3     # both sides in turns, in processes of their own
```

The interpreters come from setup_envs.py. Texts are drawn: 10 to 70 words of a vocabulary of 30,000 with Zipf's law,
with capitals and punctuation. Times are the best of a process, then the median over the rounds.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import time

import numpy as np
from setup_envs import ENVIRONMENTS, ROOT

__all__ = ["main"]

TEXTS, WORDS = 100_000, 30_000
SIDES = {"kyeo": "kyeo", "tensorflow": "tensorflow"}
PARTS = {
    "adapt": {"max_tokens": 20_000},
    "int, length 64": {"max_tokens": 20_000, "output_sequence_length": 64},
    "int": {"max_tokens": 20_000},
    "count, 1,000 tokens": {"max_tokens": 1_000, "output_mode": "count"},
}


def texts() -> list[str]:
    """The texts, always the same ones."""
    rng = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    words = np.array(["".join(rng.choice(letters, rng.integers(2, 11))) for _ in range(WORDS)], dtype=object)
    words[::7] = [w.capitalize() for w in words[::7]]
    words[::11] = [w + "," for w in words[::11]]
    sizes = rng.integers(10, 71, TEXTS)
    drawn = words[np.minimum(rng.zipf(1.3, int(sizes.sum())) - 1, WORDS - 1)]
    ends = np.cumsum(sizes)
    return [" ".join(drawn[e - s:e]) + "." for s, e in zip(sizes, ends)]


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("compare", *SIDES))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    compare(options.rounds) if options.what == "compare" else side(options.what)


def side(name: str) -> None:
    """Time one side and print the seconds."""
    if name == "kyeo":
        import kyeo as keras
        ready = np.asarray
    else:
        os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")
        import keras
        ready = np.asarray
    data = texts()
    found = {}
    for part, config in PARTS.items():
        layer = keras.layers.TextVectorization(**config)
        begin = time.perf_counter()
        layer.adapt(data if part == "adapt" else data[:10_000])
        found[part] = time.perf_counter() - begin
        if part != "adapt":
            def once(layer=layer):
                begin = time.perf_counter()
                ready(layer(data))
                return time.perf_counter() - begin
            found[part] = min(once() for _ in range(3))
    print("RESULT " + json.dumps(found))


def compare(rounds: int) -> None:
    """Run the sides in turns and print a table."""
    pythons = json.loads((ENVIRONMENTS / "pythons.json").read_text())
    results: dict[str, list[dict]] = {name: [] for name in SIDES}
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    for _ in range(rounds):
        for name, peer in SIDES.items():
            text = subprocess.run([pythons[peer], str(pathlib.Path(__file__)), name], env=environment, check=True,
                                  stdout=subprocess.PIPE, text=True).stdout
            results[name].append(json.loads(text.partition("RESULT ")[2]))
    print(f"| {TEXTS:,} texts | " + " | ".join(f"{n} (s)" for n in SIDES) + " | ratio |")
    print("|---|" + "---|" * (len(SIDES) + 1))
    for part in PARTS:
        ours, theirs = (statistics.median(r[part] for r in results[n]) for n in SIDES)
        print(f"| {part} | {ours:.3f} | {theirs:.3f} | {theirs / ours:.2f} |")


if __name__ == "__main__":
    main()
