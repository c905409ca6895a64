"""Kyeo: the Keras 3 API on JAX."""
