"""No file can act: over a thousand hostile files, each opened in a child process under an audit hook and limits.

The files are made here, from tables: `hostile/configs.py`, `hostile/files.py`, and `hostile/rows.py`, which gives one
row by its name to each vulnerability that was published. `docs/security.md` says what is refused and why.
"""

import sys
import warnings

import pytest

from tests.saving.hostile.harness import verdict
from tests.saving.hostile.rows import PUBLISHED, ROWS, size_rows
from tests.thin import SLOW, thinned

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the harness forks and sets limits as Linux has them")
SIZES = list(size_rows((0, -1, 3.5, 10**6, 10**9, 10**12, 2**63) if SLOW else (10**6, 10**9)))[::1 if SLOW else 17]


def judged(row, harness, good, folder, afresh=False, **words):
    """What is wrong with the way the file of a row was taken."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of those who make files: a name twice in a zip, ...
        path = row.make(folder, good, harness.canary.words())
    size = min(path.stat().st_size if path.is_file() else 2**16, 2**26)
    run = harness.run_afresh if afresh else harness.run
    result = run(path, row.entry, folder=str(folder), **row.words, **words)
    return verdict(result, row.words.get("memory", size), harness, row.refused)


def test_the_corpus_is_large():
    names = [row.name for row in ROWS]
    assert len(names) >= 300 and len(set(names)) == len(names)
    assert len(PUBLISHED) >= 55


@pytest.mark.parametrize("name", PUBLISHED)
def test_published(name, harness, good, tmp_path):
    assert judged(PUBLISHED[name], harness, good, tmp_path, run=True) == []


@pytest.mark.parametrize("number", [pytest.param(n, id=ROWS[n].name) for n in thinned(range(len(ROWS)), 2)])
def test_hostile(number, harness, good, tmp_path):
    assert judged(ROWS[number], harness, good, tmp_path, run=SLOW or number % 10 == 0) == []


@pytest.mark.parametrize("row", SIZES, ids=[row.name for row in SIZES])
def test_sizes(row, harness, good, tmp_path):
    assert judged(row, harness, good, tmp_path) == []


@pytest.mark.parametrize("name", ["CVE-2024-3660", "CVE-2026-0897", "CVE-2026-1669"])
def test_a_fork_is_like_a_fresh_interpreter(name, harness, good, tmp_path):
    assert judged(PUBLISHED[name], harness, good, tmp_path, afresh=True) == []


# -- the harness itself ------------------------------------------------------------------------------------
ACTS = {  # an act, and what must be noted of it
    "write": "open", "append": None, "read": "open", "os.open": "open", "socket": "socket.", "resolve": "socket.",
    "http": "", "urllib": "urllib.", "subprocess": "subprocess.", "system": "os.system", "exec": "os.exec",
    "fork": "os.fork", "spawn": "os.posix_spawn", "kill": "os.kill", "remove": "os.remove", "rename": "os.rename",
    "mkdir": "os.mkdir", "symlink": "os.symlink", "link": "os.link", "chmod": "os.chmod", "truncate": "os.truncate",
    "copy": "shutil.", "tempfile": "", "listdir": "os.listdir", "putenv": "os.putenv", "chdir": "os.chdir",
    "import": "import", "import path": "import", "eval": "", "code": "", "marshal": "marshal.", "pickle": "pickle.",
    "numpy pickle": "", "dlopen": "ctypes.", "address": "ctypes.", "sqlite": "sqlite3.", "trace": "sys.settrace",
    "external": "watched", "memory": "out of memory", "time": "signal", "wait": "signal", "trap": "trapped", "leak": "leaked",
    "crash": "",
}


@pytest.mark.parametrize("act", ACTS)
def test_the_harness_catches(act, harness, tmp_path):
    import h5py

    path = tmp_path / "file"
    path.write_bytes(b"x")
    with h5py.File(tmp_path / "external.h5", "w") as file:
        file.create_dataset("0", (3, 4), "float32", external=[(str(harness.canary.folder / "secret.bin"), 0, 48)])
    limits = {"time": {"seconds": 1}, "wait": {"waiting": 1}}.get(act, {})
    result = harness.run(path, f"act {act}", folder=str(tmp_path), external=str(tmp_path / "external.h5"), **limits)
    wrong = verdict(result, 1, harness)
    assert wrong, f"{act} was let through"
    wanted = ACTS[act]
    if wanted in ("watched", "trapped", "leaked"):
        assert result[wanted]
    elif wanted in ("out of memory", "signal"):
        assert result["outcome"].startswith(wanted)
    elif wanted:
        assert any(event.startswith(wanted) for event, _ in result["events"]), result
