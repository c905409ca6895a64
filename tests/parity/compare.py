"""What two packages do with the same call, compared: the outcome, and the first thing that differs."""

import warnings

import jax
import keras
import numpy as np

import kyeo
from tests.numpy_jaxpr import program_of

__all__ = ["by_numpy", "compare", "short", "unlike", "unlike_words"]


def by_numpy(function, **_):
    """For `keras.src.backend.jax.trainer.jit`: a function traced once for each shape, worked out by NumPy, never compiled."""
    programs = {}

    def call(*args):
        leaves, tree = jax.tree.flatten(args)
        key = tree, tuple((np.shape(leaf), str(jax.numpy.asarray(leaf).dtype)) for leaf in leaves)
        if key not in programs:
            programs[key] = program_of(function, *args)
        return jax.tree.map(jax.numpy.asarray, programs[key](*args))

    return call


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
    if len(a) != len(b):
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


def tolerance(case):
    """How far values may be apart: what rounding leaves in the case's number types."""
    types = " ".join(map(str, (case.get("policy"), case.get("dtype"), (case.get("config") or {}).get("dtype"))))
    return 4e-2 if "bfloat16" in types else 1e-2 if "16" in types else 1e-5 if "cls" in case else 3e-4


def compare(case, steps):
    """The first difference of the two packages: (kind, step, what, error), or None.

    Kinds: "both raise", "theirs" (only Keras raises), "ours" (only Kyeo), "differ". What Kyeo refuses from symbols, and Keras
    from arrays, both raise.
    """
    late = None
    for name, step in steps(case):
        theirs, mine = outcome(step, keras), outcome(step, kyeo)
        if late is not None:
            if theirs[0] == "raises":
                return "both raise", "symbolic", short(theirs[1]), theirs[1]
            continue
        if theirs[0] == "raises":
            return "both raise" if mine[0] == "raises" else "theirs", name, short(theirs[1]), theirs[1]
        if mine[0] == "raises":
            late = "ours", name, short(mine[1]), mine[1]
            if name != "symbolic":
                return late
        elif difference := unlike(mine[1], theirs[1], tolerance(case), 1 if "own" in case and "16" in str(case["policy"]) else 1e-3):
            return "differ", name, difference, None
    return late
