"""Keras 3 on its JAX backend, as anybody would use it."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import keras_api

__all__: list[str] = []

keras_api.main(keras)
