"""Where does Kyeo differ from Keras? Random calls of both packages, and a line for each difference.

    PYTHONPATH=. python scripts/random_parity.py AREA FIRST LAST [CLASS] [-q] [-b] [-v]

AREA is a file of tests/parity (images, layers, models, rooms, ops, training); the seeds FIRST to LAST are drawn from,
those of one CLASS only where it is given. -q leaves the cases out, -b tells also of what both refuse, -v shows
tracebacks.
"""

import argparse
import collections
import importlib
import os
import random
import re
import time
import traceback

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["KYEO_COMPILE_CACHE"] = "0"

import jax
import keras

from tests.parity.compare import by_numpy, compare, short

keras.src.backend.jax.trainer.jit = by_numpy
jax.config.update("jax_disable_most_optimizations", True)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("area", choices=["images", "layers", "models", "rooms", "ops", "training"])
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    parser.add_argument("only", nargs="?")
    for flag in "qbv":
        parser.add_argument(f"-{flag}", action="store_true")
    parser.add_argument("--seconds", type=float, default=165)
    return parser.parse_args()


def main():
    asked, seen, counts, start = arguments(), set(), collections.Counter(), time.time()
    area = importlib.import_module(f"tests.parity.{asked.area}")
    for seed in range(asked.first, asked.last):
        if time.time() - start > asked.seconds:
            print("stopped before", seed)
            break
        case = area.draw(random.Random(f"{asked.area}{seed}"))
        if asked.only and asked.only != case.get("cls"):
            continue
        counts["all"] += 1
        found = compare(case, area.steps)
        if found is None:
            continue
        kind, step, what, error = found
        counts[kind] += 1
        if kind == "both raise":
            if not asked.b:
                continue
            what = short(error)
        key = (case.get("cls"), step, re.sub(r"[\d.]+|'[^']*'", "#", what)[:90])
        if key in seen:
            continue
        seen.add(key)
        print(f"{seed} [{kind}] {step}: {case.get('cls', '') if asked.q else case}\n      {what}", flush=True)
        if asked.v and error is not None:
            traceback.print_exception(error)
    print(dict(counts), f"{time.time() - start:.0f} s")


if __name__ == "__main__":
    main()
