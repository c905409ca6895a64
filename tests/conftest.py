"""Settings that must be made before JAX or Keras is imported, and the digits many tests use."""

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["MPLBACKEND"] = "Agg"
os.environ["KYEO_COMPILE_CACHE"] = "0"  # tests of the cache use folders of their own

import pytest

__all__ = ["digits", "quick_compilation"]

collect_ignore = ["data", "distribution/program.py"]  # programs of their own: test_note.py and test_distribution.py run them


@pytest.fixture(scope="session")
def digits():
    """The embedded digits, scaled: `(x_train, y_train), (x_test, y_test)`, images of (28, 28, 1)."""
    from kyeo.datasets import mnist

    return [(images[..., None].astype("float32") / 255, labels) for images, labels in mnist.load_sample()]


@pytest.fixture(scope="module")
def quick_compilation():
    """Most of the time of some files goes into compiling thousands of small programs; each runs once."""
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()
