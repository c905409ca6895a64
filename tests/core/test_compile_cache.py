"""The compile cache: hits give the same numbers, nothing that is wrong with it stops a program, nobody else's code runs."""

import os
import socket
import stat
import warnings

import jax
import numpy as np
import pytest
from jax._src import compilation_cache as jax_cache

import kyeo
from kyeo.core import compile_cache as room
from kyeo.core.settings import set_seed
from kyeo.ops.kernels import onednn
from kyeo.train import compiled, runner

X = np.random.default_rng(0).normal(size=(12, 5)).astype("float32")
DEAD = 2**22 + 1  # above the largest process number of Linux


@pytest.fixture
def start(monkeypatch, tmp_path):
    """Gives `start()`: as if a new process began, whose cache lies in a folder of the test."""
    monkeypatch.setenv("KYEO_COMPILE_CACHE", str(tmp_path))
    monkeypatch.setattr(room, "_QUICK", 0.0)
    made = []

    def begin():
        if made:
            made[-1].switch_off()
        made.append(room.CompileCache())
        monkeypatch.setattr(runner, "compile_cache", made[-1])
        compiled._shared.clear()
        jax.clear_caches()
        return made[-1]

    before = jax.config.jax_persistent_cache_min_compile_time_secs
    with warnings.catch_warnings():
        yield begin
    if made:
        made[-1].switch_off()
    jax.config.update("jax_persistent_cache_min_compile_time_secs", before)


def train():
    """The losses of a small model and how many compilations the cache spared."""
    hits = []
    on = [True]

    def heard(event, **kwargs):
        if on and event == "/jax/compilation_cache/cache_hits":
            hits.append(event)

    jax.monitoring.register_event_listener(heard)
    set_seed(3)
    layers = [kyeo.Input((5,)), kyeo.layers.Dense(4, activation="tanh"), kyeo.layers.Dropout(0.2), kyeo.layers.Dense(1)]
    model = kyeo.Sequential(layers)
    model.compile("adam", "mse")
    losses = model.fit(X, X[:, :1], epochs=3, batch_size=4, verbose=0).history["loss"]
    on.clear()
    return losses, len(hits)


def entries(cache):
    return sorted(cache.folder.glob("*-cache"))


def test_a_second_start_compiles_nothing_and_gives_the_same(start):
    cache = start()
    assert cache.folder is None  # not before something is compiled
    losses, hits = train()
    assert not hits and cache.reason == "" and len(entries(cache)) >= 1
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    start()
    again, hits = train()
    assert again == losses and hits >= 1


def test_a_broken_entry_is_compiled_anew(start):
    cache = start()
    losses, _ = train()
    for file in entries(cache):
        file.write_bytes(file.read_bytes()[:100])
    start()
    with warnings.catch_warnings(record=True) as told:
        assert train() == (losses, 0)
    assert not [w for w in told if "compilation cache" in str(w.message)]


def test_a_folder_that_cannot_be_made_is_no_cache(start, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("KYEO_COMPILE_CACHE", str(tmp_path / "file"))
    cache = start()
    assert len(train()[0]) == 3
    assert cache.folder is None and "Error" in cache.reason


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
def test_a_folder_others_may_write_is_not_used(start):
    start()
    room.place().mkdir(mode=0o700)
    room.place().chmod(0o770)
    cache = start()
    train()
    assert cache.folder is None and "others may use" in cache.reason


@pytest.mark.skipif(os.name != "posix", reason="owners of files")
def test_a_folder_of_another_user_is_not_used(start, monkeypatch):
    cache = start()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    train()
    assert cache.folder is None and "another user" in cache.reason


def test_what_others_left_beside_the_folder_is_passed_over(start, tmp_path):
    (tmp_path / "compiled-x").touch()
    cache = start()
    train()
    assert cache.folder is not None


def test_a_cache_of_the_users_own_stays(start, tmp_path):
    cache = start()
    own = str(tmp_path / "own")
    jax.config.update("jax_compilation_cache_dir", own)
    try:
        train()
        assert jax.config.jax_compilation_cache_dir == own and own in cache.reason
    finally:
        jax.config.update("jax_compilation_cache_dir", None)
    cache = start()  # the program has taken its own away: ours is used, though JAX still has the other one open
    train()
    assert entries(cache)


def test_a_start_that_died_while_loading(start):
    cache = start()
    train()
    for crash in (1, 2):
        folder = cache.folder
        (folder / f"loading-{DEAD}-{socket.gethostname()}").touch()
        cache = start()
        with pytest.warns(UserWarning, match="compile cache is off"):
            train()
        assert cache.folder is None and "died" in cache.reason and not list(folder.glob("*-cache"))
        cache = start()
        train()
        assert (cache.folder is not None) == (crash == 1)  # after the second nobody tries again
    assert "remove it" in cache.reason


def test_the_mark_of_a_living_process_means_nothing(start):
    cache = start()
    train()
    (cache.folder / f"loading-{os.getppid()}-{socket.gethostname()}").touch()
    (cache.folder / f"loading-{DEAD}-elsewhere").touch()
    cache = start()
    assert train()[1] >= 1 and cache.reason == ""


def test_a_start_that_died_before_anything_was_there(start):
    cache = start()
    train()
    folder = cache.folder
    (folder / f"filling-{DEAD}-{socket.gethostname()}").touch()
    cache = start()
    assert train()[1] == 0 and cache.reason == ""  # began anew, and says nothing


def test_a_mark_stands_while_something_is_loaded(start):
    cache = start()
    train()
    cache = start()
    with cache.loading():
        assert len(list(cache.folder.glob("loading-*"))) == 1
    assert not list(cache.folder.glob("loading-*"))


def test_the_oldest_entries_go_first(start, monkeypatch, tmp_path):
    folder = tmp_path / "full"
    folder.mkdir(mode=0o700)
    for age, name in enumerate(["newest-cache", "middle-cache", "oldest-cache"]):
        (folder / name).write_bytes(b"x" * 10)
        os.utime(folder / name, (10_000 - age, 10_000 - age))
    monkeypatch.setattr(room, "_LIMIT", 20)
    room._prune(folder)
    assert sorted(file.name for file in folder.iterdir()) == ["middle-cache", "newest-cache"]


@pytest.mark.parametrize("word", ["0", "off"])
def test_the_environment_turns_it_off(start, monkeypatch, word):
    monkeypatch.setenv("KYEO_COMPILE_CACHE", word)
    cache = start()
    train()
    assert cache.folder is None and "KYEO_COMPILE_CACHE" in cache.reason


def test_config_turns_it_off_and_on(start, monkeypatch):
    cache = start()
    monkeypatch.setattr(kyeo.config, "compile_cache", cache)
    train()
    kyeo.config.set_compile_cache(False)
    assert cache.folder is None and jax.config.jax_compilation_cache_dir is None
    kyeo.config.set_compile_cache(True)
    cache.switch_on()
    assert cache.folder is not None


@pytest.mark.skipif(not onednn.compiler_options(), reason="this jaxlib has no oneDNN")
def test_a_program_with_onednn_is_never_written(start, monkeypatch):
    """jaxlib reads memory that it never set when it writes one: so it is not asked to."""
    start()
    monkeypatch.setattr(runner, "_LONG_FLOPS", 0)
    monkeypatch.setattr(onednn, "LEAST_FLOPS", 0)
    written, write = [], jax_cache.put_executable_and_time
    monkeypatch.setattr(jax_cache, "put_executable_and_time", lambda *args: written.append(args[2]) or write(*args))
    asked, unwritten = [], compiled.unwritten
    monkeypatch.setattr(compiled, "unwritten", lambda: asked.append(1) or unwritten())
    model = kyeo.Sequential([kyeo.layers.Conv2D(32, 3), kyeo.layers.Flatten(), kyeo.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((8, 6, 6, 32), "float32")
    for rows in (8, 4):
        model.fit(x[:rows], x[:rows, 0, 0, :1], batch_size=rows, epochs=2, verbose=0)
    model.predict(x, verbose=0)
    assert len(asked) == 2 and written
    assert not [program for program in written if "__onednn" in program.hlo_modules()[0].to_string()]
