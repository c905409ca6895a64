"""Settings that must be made before JAX or Keras is imported, and the digits many tests use."""

import gc
import os
import pathlib
import shutil
import tempfile

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["MPLBACKEND"] = "Agg"
os.environ["KYEO_COMPILE_CACHE"] = "0"  # tests of the cache use folders of their own

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

__all__ = ["digits", "full_compilation", "nothing_compiled"]

collect_ignore = ["data", "distribution/program.py", "distribution/together.py"]  # programs of their own: test_note.py and test_distribution.py run them

# Most of the suite's time goes into compiling thousands of small programs that run once: without LLVM's optimizations
# it takes a third less. Programs that tests start as processes of their own are compiled as for users.
jax.config.update("jax_disable_most_optimizations", True)

# What one test has compiled, another test and the other worker load: JAX's own cache, in a folder of this run.
# The workers have its name from the process that starts them.
_COMPILED = pathlib.Path(os.environ.setdefault(
    "KYEO_TESTS_COMPILED", str(pathlib.Path(tempfile.gettempdir(), f"kyeo-tests-{os.getpid()}"))))


def _use_compiled(folder):
    jax.config.update("jax_compilation_cache_dir", folder and str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0 if folder else 1.0)
    compilation_cache.reset_cache()


def pytest_configure():
    _COMPILED.mkdir(mode=0o700, exist_ok=True)
    _use_compiled(_COMPILED)


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):  # else others still use it
        shutil.rmtree(_COMPILED, ignore_errors=True)


def pytest_collection_finish():
    """The garbage collector need not look again and again at what importing and collecting have made."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def nothing_compiled():
    """For tests of a compile cache: what this run keeps is out of the way."""
    _use_compiled(None)
    yield
    _use_compiled(_COMPILED)


@pytest.fixture(scope="session")
def digits():
    """The embedded digits, scaled: `(x_train, y_train), (x_test, y_test)`, images of (28, 28, 1)."""
    from kyeo.datasets import mnist

    return [(images[..., None].astype("float32") / 255, labels) for images, labels in mnist.load_sample()]


@pytest.fixture(scope="module")
def full_compilation():
    """For a file that trains for long, or that tests what only an optimized program does."""
    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()
    yield
    jax.config.update("jax_disable_most_optimizations", True)
    jax.clear_caches()
