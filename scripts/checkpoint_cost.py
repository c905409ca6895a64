"""Measures what checkpoints every 100 steps cost the training of README's CNN: many short trainings with and without
them, in pairs, which comes first by turns.

    python scripts/checkpoint_cost.py --pairs 8 --into ratios.txt     # again and again: pairs are added to the file

Prints the median of the pairs' ratios, how many pairs were slower with checkpoints, the probability of so many or
more among pairs that are alike (a sign test), and the fastest and the median training of each kind.
"""

import argparse
import json
import math
import os
import re
import shutil
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import numpy as np

import kyeo


def build():
    """The network of README's program, as it stands there."""
    text = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    names = {"tf": kyeo, "layers": kyeo.layers}
    exec(re.search(r"^inputs = .*?^model = .*?$", text, re.M | re.S)[0], names)
    names["model"].compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return names["model"]


def seconds(model, data, every, clock=time.perf_counter):
    """One training; with checkpoints every so many steps, or without where it is None."""
    folder = tempfile.mkdtemp(prefix="checkpoint_cost_")
    kept = kyeo.callbacks.BackupAndRestore(folder, save_freq=every) if every else kyeo.callbacks.Callback()
    begin = clock()
    model.fit(*data, batch_size=32, epochs=1, verbose=0, callbacks=[kept])
    taken = clock() - begin
    shutil.rmtree(folder, ignore_errors=True)
    return taken


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--steps", type=int, default=400, help="of a training")
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--into", type=Path, help="a file of the pairs so far")
    parser.add_argument("--processor", action="store_true", help="time of the processors, the writer's thread included")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.processor else time.perf_counter
    draw, model = np.random.default_rng(0), build()
    data = draw.random((32 * arguments.steps, 28, 28, 1), "float32"), draw.integers(0, 10, 32 * arguments.steps)
    for every in (None, arguments.every):  # compiles
        seconds(model, data, every)
    pairs = []
    if arguments.into and arguments.into.exists():
        pairs = [json.loads(line) for line in arguments.into.read_text().splitlines()]
    for number in range(arguments.pairs):
        order = (None, arguments.every) if number % 2 else (arguments.every, None)
        taken = {every: seconds(model, data, every, clock) for every in order}
        pairs.append([taken[None], taken[arguments.every]])
        if arguments.into:
            arguments.into.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    ratios = [kept / plain for plain, kept in pairs]
    slower = sum(ratio > 1 for ratio in ratios)
    chance = sum(math.comb(len(pairs), k) for k in range(slower, len(pairs) + 1)) / 2 ** len(pairs)
    print(json.dumps({
        "pairs": len(pairs), "median": f"{statistics.median(ratios) - 1:+.1%}", "slower": slower,
        "sign test": round(chance, 3),
        "quartiles": [f"{q - 1:+.1%}" for q in statistics.quantiles(ratios, n=4)[::2]],
        **{name: [round(min(each), 2), round(statistics.median(each), 2)]
           for name, each in zip(("without", "with"), zip(*pairs))}}))


if __name__ == "__main__":
    main()
