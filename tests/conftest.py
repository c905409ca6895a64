"""Settings that must be made before JAX or Keras is imported, and the digits many tests use."""

import gc
import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["MPLBACKEND"] = "Agg"
os.environ["KYEO_COMPILE_CACHE"] = "0"  # tests of the cache use folders of their own

import jax
import pytest

__all__ = ["digits", "full_compilation"]

collect_ignore = ["data", "distribution/program.py", "distribution/together.py"]  # programs of their own: test_note.py and test_distribution.py run them

# Most of the suite's time goes into compiling thousands of small programs that run once: without LLVM's optimizations
# it takes a third less. Programs that tests start as processes of their own are compiled as for users.
jax.config.update("jax_disable_most_optimizations", True)


def pytest_collection_finish():
    """The garbage collector need not look again and again at what importing and collecting have made."""
    gc.collect()
    gc.freeze()


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
