"""Where does Kyeo differ from Keras? Random calls of both, and a line for each difference: PYTHONPATH=. python scripts/random_parity.py layers 0 200"""

import collections
import os
import random
import re
import sys
import time
import traceback
import warnings

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["KYEO_COMPILE_CACHE"] = "0"

import importlib

import jax
import keras
import numpy as np

import kyeo
from tests.numpy_jaxpr import program_of

jax.config.update("jax_disable_most_optimizations", True)

def by_numpy(function, **_):
    """In the place of `jax.jit` in Keras's trainer: traced once for each shape, worked out by NumPy, never compiled."""
    programs = {}

    def call(*args):
        leaves, tree = jax.tree.flatten(args)
        key = tree, tuple((np.shape(leaf), str(jax.numpy.asarray(leaf).dtype)) for leaf in leaves)
        if key not in programs:
            programs[key] = program_of(function, *args)
        return jax.tree.map(jax.numpy.asarray, programs[key](*args))

    return call


keras.src.backend.jax.trainer.jit = by_numpy


def outcome(function, *args):
    """('gives', value) or ('raises', error)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return "gives", function(*args)
        except Exception as error:
            return "raises", error


def short(error):
    lines = [line for line in str(error).strip().splitlines() if line.strip()] or [""]
    return f"{type(error).__name__}: {' | '.join(lines)[:400]}"


def unlike_words(mine, theirs, path=""):
    """Where two configs differ."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return [d for key in {**mine, **theirs} for d in unlike_words(mine.get(key), theirs.get(key), f"{path}.{key}")]
    if isinstance(mine, (list, tuple)) and isinstance(theirs, (list, tuple)) and len(mine) == len(theirs):
        return [d for i, (a, b) in enumerate(zip(mine, theirs)) for d in unlike_words(a, b, f"{path}[{i}]")]
    if isinstance(mine, float) and isinstance(theirs, float):
        return [] if np.isclose(mine, theirs, rtol=1e-4, atol=1e-6, equal_nan=True) else [f"{path}: {mine!r} / {theirs!r}"]
    if isinstance(mine, int) and theirs is None and path[-1:] == "]":
        return []  # a size that Keras does not know
    same = mine == theirs and isinstance(mine, bool) == isinstance(theirs, bool)
    return [] if same else [f"{path}: {mine!r} / {theirs!r}"]


def unlike(mine, theirs, tolerance=1e-5, floor=1e-3):
    """What differs between two trees of arrays, numbers and words; None where nothing does."""
    if isinstance(mine, dict) and isinstance(theirs, dict) and not any(hasattr(v, "shape") for v in jax.tree.leaves([mine, theirs])):
        return "; ".join(unlike_words(mine, theirs))[:600] or None
    if isinstance(mine, list) and isinstance(theirs, list) and not any(hasattr(v, "shape") for v in jax.tree.leaves([mine, theirs])):
        return "; ".join(unlike_words(mine, theirs))[:600] or None
    a, b = jax.tree.leaves(mine, is_leaf=lambda v: v is None), jax.tree.leaves(theirs, is_leaf=lambda v: v is None)
    if jax.tree.structure(mine) != jax.tree.structure(theirs) and len(a) != len(b):
        return f"structure {str(mine)[:300]} / {str(theirs)[:300]}"
    for x, y in zip(a, b):
        if not (hasattr(x, "shape") and hasattr(y, "shape")):
            if isinstance(x, (float, np.floating)) and isinstance(y, (float, np.floating)):
                if not np.isclose(x, y, rtol=tolerance, atol=1e-5, equal_nan=True):
                    return f"{x} / {y} in {str(mine)[:600]} / {str(theirs)[:600]}"
            elif x is not y and (type(x) is not type(y) or x != y):
                return f"{str(mine)[:1000]} / {str(theirs)[:1000]}"
            continue
        if x.shape != y.shape or x.dtype != y.dtype:
            return f"{x.shape} {x.dtype} / {y.shape} {y.dtype}"
        if x.dtype.kind in "OUS":
            continue
        if x.dtype.kind in "biu":
            if (np.asarray(x) != np.asarray(y)).any():
                return f"ints {np.asarray(x).ravel()[:8]} / {np.asarray(y).ravel()[:8]}"
            continue
        wide = "complex128" if x.dtype.kind == "c" else "float64"
        u, v = np.asarray(x).astype(wide), np.asarray(y).astype(wide)
        scale = np.abs(v[np.isfinite(v)]).max(initial=floor)
        rough = {"bfloat16": 3e-2, "float16": 4e-3}.get(str(x.dtype), tolerance)
        if not np.allclose(u, v, rtol=rough, atol=max(rough, tolerance) * scale, equal_nan=True):
            worst = np.nanmax(np.abs(u - v)) if u.size else 0
            return f"values differ by {worst:.3g}, scale {scale:.3g}: {u.ravel()[:6]} / {v.ravel()[:6]}"
    return None


def compare(case, steps, known=()):
    """The first difference: (step, what)."""
    late = None
    for name, step in steps(case):
        theirs, mine = outcome(step, keras), outcome(step, kyeo)
        if theirs[0] == "raises" and mine[0] == "raises":
            return name, "both raise", theirs[1]
        if late is not None and name == "inference":
            return "symbolic", *((f"Keras raises later {short(theirs[1])}", theirs[1]) if theirs[0] == "raises" else late)
        if theirs[0] == "raises":
            return name, f"Keras raises {short(theirs[1])}", theirs[1]
        if mine[0] == "raises" and name == "symbolic":
            late = f"KYEO RAISES {short(mine[1])}", mine[1]
            continue
        if mine[0] == "raises":
            return name, f"KYEO RAISES {short(mine[1])}", mine[1]
        rough = 1e-5 if "cls" in case else 3e-4
        policy = str(case.get("policy", "float32")) if isinstance(case, dict) else "float32"
        if "16" in policy or (isinstance(case, dict) and "16" in str(case.get("dtype"))):
            rough = 4e-2 if "bfloat16" in policy + str(case.get("dtype")) else 1e-2
        difference = unlike(mine[1], theirs[1], rough)
        if difference:
            return name, difference, None
    return late and ("symbolic", *late)


def main():
    area, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    module = importlib.import_module(f"scripts.random_{area}")
    seen, counts, start = set(), collections.Counter(), time.time()
    only = sys.argv[4] if len(sys.argv) > 4 and sys.argv[4][0] != "-" else None
    for seed in range(first, last):
        if time.time() - start > 165:
            print("stopped before", seed)
            break
        case = module.draw(random.Random(f"{area}{seed}"))
        if only and only != case.get("cls"):
            continue
        found = compare(case, module.steps)
        counts["all"] += 1
        if found is None:
            continue
        step, what, error = found
        kind = "both raise" if what == "both raise" else "theirs" if what.startswith("Keras raises") else "ours" if what.startswith("KYEO") else "differ"
        counts[kind] += 1
        if kind == "both raise" and "-b" not in sys.argv:
            continue
        if kind == "both raise":
            what = "both raise: " + short(error)
        key = (case.get("cls"), step, re.sub(r"[\d.]+|'[^']*'", "#", what)[:90])
        if key in seen:
            continue
        seen.add(key)
        if "-q" in sys.argv:
            print(f"{seed} [{kind}] {step} {case.get('cls', '')}: {what[:700]}")
            continue
        print(f"{seed} [{kind}] {step}: {case}\n      {what}")
        if "-v" in sys.argv and error is not None:
            traceback.print_exception(error)
    print(dict(counts), f"{time.time() - start:.0f} s")


if __name__ == "__main__":
    main()
