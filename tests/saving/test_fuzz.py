"""Files changed at random, with a sense for their structure: whatever comes is a documented error or a model.

Hypothesis makes the changes; the files are opened by the harness of `test_hostile.py`, many in one child. The same
ones each time, so that a change of the code is the only thing that can break it; with KYEO_FUZZ_SECONDS=600 other ones
for so long, and those that break something are kept in the folder KYEO_FUZZ_KEEP.
"""

import json
import os
import re
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from kyeo.core.tensors import write_tensors
from tests.saving.hostile.archives import with_code, with_facts, with_program
from tests.saving.hostile.harness import verdict
from tests.saving.hostile.rows import members_of, whole_h5, zipped

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the harness forks and sets limits as Linux has them")
SECONDS, KEEP = float(os.environ.get("KYEO_FUZZ_SECONDS", 0)), os.environ.get("KYEO_FUZZ_KEEP")
EACH = 20  # files in a child
WORDS = ["Dense", "Lambda", "function", "relu", "../x", "/etc/passwd", "__lambda__", "__numpy__", "__keras_tensor__", "os",
         "keras.layers", "builtins", "string", "float64", "x", "only", "first", "class_name", "config", "name", "", "\0"]
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 70), st.sampled_from([2**31, 2**63, -2**63, 10**9, 10**18, 2**64]),
    st.integers(-2**70, 2**70), st.floats(), st.sampled_from(WORDS), st.text(max_size=6))
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=3), max_leaves=6)
EDITS = st.lists(st.tuples(st.sampled_from("replace delete rename twin move".split()), st.integers(0, 10**6), st.integers(
    0, 10**6), VALUES), min_size=1, max_size=4)
BYTES = st.lists(st.tuples(
    st.sampled_from("flip number zero copy cut insert near near near".split()), st.integers(0, 2**30), st.integers(0, 2**30),
    st.sampled_from([0, 1, 2, 4, 8, 0x7F, 0x80, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1]),
    st.sampled_from([1, 2, 4, 8])), min_size=1, max_size=4)
SIGNS = re.compile(rb"TREE|HEAP|SNOD|PK\x01\x02|PK\x03\x04|PK\x05\x06|\x89HDF|\x01\x00.\x00[\x01-\x09]\x00\x00\x00", re.S)


def edited(tree, edits):
    """A copy of plain values with some places replaced, left out, named otherwise, doubled or moved."""
    tree = json.loads(json.dumps(tree))
    for act, at, other, value in edits:
        places, todo = [], [tree]
        while todo:
            one = todo.pop()
            for key in one if isinstance(one, dict) else range(len(one)):
                places.append((one, key))
                if isinstance(one[key], (dict, list)):
                    todo.append(one[key])
        if not places:
            return tree
        (where, key), (there, name) = places[at % len(places)], places[other % len(places)]
        if act == "delete":
            del where[key]
        elif act == "rename" and isinstance(where, dict):
            where[str(value)[:20]] = where.pop(key)
        elif act == "twin" and isinstance(where, list):
            where.append(json.loads(json.dumps(where[key])))
        elif act == "move":
            where[key] = json.loads(json.dumps(there[name]))
        else:
            where[key] = value
    return tree


def damaged(data, edits):
    """Bytes with some of them changed; "near" changes those that follow a sign of the format."""
    data = bytearray(data)
    for act, at, other, number, width in edits:
        if not data:
            break
        signs = [m.start() for m in SIGNS.finditer(data)] if act == "near" else []
        place = (signs[at % len(signs)] + other % 64 if signs else at) % len(data)
        if act == "flip":
            data[place] ^= 1 << other % 8
        elif act == "cut":
            del data[place:place + (number if other % 2 else len(data))]
        elif act == "insert":
            data[place:place] = bytes(width)
        elif act == "copy":
            data[place:place + 16] = data[other % len(data):][:16]
        elif act == "zero":
            data[place:place + 16 * width] = bytes(16 * width)
        else:
            data[place:place + width] = (number % 256**width).to_bytes(width, "little")
    return bytes(data)


def fuzz(strategy, check, examples):
    """Run a check on examples of a strategy: the same few each time, or others for as long as it was asked for."""
    words = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck),
             "phases": [Phase.generate]}  # a file is small enough to be looked at as it is
    if not SECONDS:
        settings(max_examples=examples, derandomize=True, **words)(given(strategy)(check))()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        seed(time.time_ns())(settings(max_examples=50, **words)(given(strategy)(check)))()


TARGETS = {  # way in, name of a file, its edits, (good files, edits) -> bytes
    "json": ("model_from_json", "m.json", EDITS, lambda g, e: json.dumps(edited(json.loads(g.specs[_one(e)]), e)).encode()),
    "zip config": ("load_model", "m.keras", EDITS, lambda g, e: zipped({
        **members_of(g.zips["stack"]), "config.json": json.dumps(edited(json.loads(g.specs["stack"]), e))})),
    "zip": ("load_model", "m.keras", BYTES, lambda g, e: damaged(g.zips["stack"], e)),
    "hdf5": ("load_weights", "m.weights.h5", BYTES, lambda g, e: damaged(g.weights["stack"], e)),
    "whole h5": ("load_model", "m.h5", BYTES, lambda g, e: damaged(whole_h5(g.folder, g), e)),
    "h5 config": ("load_model", "m.h5", EDITS, lambda g, e: whole_h5(g.folder, g, lambda spec: edited(spec, e))),
    "legacy hdf5": ("load_weights", "m.h5", BYTES, lambda g, e: damaged(g.weights["legacy"], e)),
    "arrays": ("tensors", "m.safetensors", BYTES, lambda g, e: damaged(g.tensors, e)),
    "header": ("tensors", "m.safetensors", EDITS, lambda g, e: _headed(g.tensors, e)),
    "checkpoint": ("tree", "c", BYTES, lambda g, e: damaged(_checkpoint({"a": {"__array__": "w", "scalar": False}}), e)),
    "archive": ("archive", "a.kyeo", EDITS, lambda g, e: with_facts(g.archive, lambda facts: edited(facts, e))),
    "program": ("archive", "a.kyeo", BYTES, lambda g, e: with_program(g.archive, lambda data: damaged(data, e))),
    "code": ("archive", "a.kyeo", BYTES, lambda g, e: with_program(g.archive, with_code(lambda code: damaged(code, e)))),
    "tree": ("tree", "c", EDITS, lambda g, e: _checkpoint(edited(TREE, e))),
}
TREE = {"a": {"__array__": "w", "scalar": False}, "b": {"__tuple__": [1, {"__bytes__": "v"}]}, "c": {
    "__dict__": [[{"__tuple__": [1, 2]}, "x"]]}, "d": [1.5, None, {"e": {"__array__": "v", "scalar": True}}]}


def _one(edits):
    return ("stack", "graph")[edits[0][1] % 2]


def _headed(good, edits):
    length = int.from_bytes(good[:8], "little")
    text = json.dumps(edited(json.loads(good[8:8 + length]), edits)).encode()
    return len(text).to_bytes(8, "little") + text + good[8 + length:]


def _checkpoint(tree):
    path = Path(os.environ.get("TMPDIR", "/tmp"), f"kyeo-fuzz-{os.getpid()}")
    try:
        write_tensors(path, {"w": np.ones(3), "v": np.arange(3, dtype="uint8")},
                      {"form": "kyeo checkpoint 1", "tree": json.dumps(tree)}, sealed=True)
        return path.read_bytes()
    finally:
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("target", TARGETS)
def test_changed_at_random(target, harness, good, tmp_path):
    entry, name, edits, make = TARGETS[target]

    def check(many):
        files = []
        for number, one in enumerate(many):
            folder = tmp_path / str(number)
            folder.mkdir(exist_ok=True)
            (folder / name).write_bytes(make(good, one))
            files.append(str(folder / name))
        result = harness.run(tmp_path / "0" / name, "batch", of=entry, files=files, folder=str(tmp_path))
        wrong = verdict(result, sum(os.path.getsize(f) for f in files), harness)
        if wrong and KEEP:
            shutil.copytree(tmp_path, Path(KEEP, f"{target}-{time.time_ns()}"))
        assert not wrong, wrong

    fuzz(st.lists(edits, min_size=EACH, max_size=EACH), check, 2 if "hdf5" in target or "zip" in target else 1)
