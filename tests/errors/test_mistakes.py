"""Mistakes that beginners make: what the message says, where the exception comes from, and that nothing is lost.

The whole messages are in `snapshots/`. After a change that is meant: `KYEO_SNAPSHOTS=write pytest tests/errors`,
and read the difference.
"""

import functools
import os
import pathlib
import re
import traceback

import pytest

import kyeo
from kyeo.core.naming import reset_names
from tests.errors import mistakes_building, mistakes_data, mistakes_training  # noqa: F401  (they fill the table)
from tests.errors.table import MISTAKES, Still, line_at_fault, whole_message

SNAPSHOTS = pathlib.Path(__file__).parent / "snapshots"
INTERNALS = ("jax._src", "Traced<", "Tracer", "dot_general", "XlaRuntimeError", "pytree", "PyTree", "ShapedArray",
             "JAX has removed", "aval", "eval_shape", "jaxlib", "object at 0x", "_kyeo")
ROWS = ("\n  Received: ", "\n  Expected: ", "\n  Where:    ", "\n  Fix:      ")


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    """Each message is as in a fresh process, and files are written elsewhere."""
    reset_names()
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=MISTAKES, ids=lambda m: m.name)
def made(request):
    """(the mistake, its exception, what must still be)."""
    still = Still()
    with pytest.raises(Exception) as caught:
        request.param.make(still)
    return request.param, caught.value, still


def test_message_nothing_lost(made):
    mistake, error, still = made
    message = (str(error) if mistake.by_jax else whole_message(error)).replace(str(pathlib.Path.cwd()), "<folder>")
    path = SNAPSHOTS / f"{mistake.name}.txt"
    if os.environ.get("KYEO_SNAPSHOTS") == "write":
        path.write_text(f"{type(error).__name__}: {message}\n", encoding="utf-8")
    assert isinstance(error, mistake.kind) and type(error).__module__ == "builtins", repr(error)
    assert path.read_text(encoding="utf-8") == f"{type(error).__name__}: {message}\n"
    assert [row for row in ROWS if row in message][1:], "at least two rows of the template"
    assert [name for name in mistake.names if name not in message] == []
    assert [text for text in INTERNALS if text in message] == []
    assert len(message.splitlines()) <= 15
    assert "# <-" in line_at_fault(error, mistake.make)
    for check in still.checks:
        check()


def test_traceback_shows_the_user_s_lines(made):
    mistake, error, _ = made
    if mistake.by_jax:
        return
    files = [pathlib.Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    assert not any("site-packages" in f.parts for f in files)
    ours = [f.name for f in files if f.is_relative_to(pathlib.Path(kyeo.__file__).parent)]
    assert len(ours) <= (1 if "plain.py" in ours else 4), ours
    text = "".join(traceback.format_exception(error))
    assert "During handling" not in text and "direct cause" not in text and "JAX has removed" not in text


def test_full_traceback_on_request(monkeypatch):
    """An environment variable brings back the frames of Kyeo."""
    lengths = []
    for full in ("", "1"):
        monkeypatch.setenv("KYEO_FULL_TRACEBACK", full)
        with pytest.raises(ValueError) as caught:
            kyeo.layers.Dense(3, activation="rleu")
        lengths.append(len(traceback.extract_tb(caught.value.__traceback__)))
    assert lengths[0] == 2 < lengths[1]


def test_names_in_messages_exist():
    """What a message tells the user to call is there."""
    text = "\n".join(p.read_text(encoding="utf-8") for p in sorted(SNAPSHOTS.iterdir()))
    found = set(re.findall(r"(?<![\w/])kyeo((?:\.[A-Za-z_]\w*)+)", text))
    assert len(found) > 5
    for name in sorted(found):
        functools.reduce(getattr, name[1:].split("."), kyeo)


def test_table():
    """Enough mistakes, each told apart, and no snapshot without one."""
    names = [m.name for m in MISTAKES]
    assert len(names) == len(set(names)) >= 40
    assert {p.stem for p in SNAPSHOTS.iterdir()} == set(names)
