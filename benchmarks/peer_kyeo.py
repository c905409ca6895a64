"""Kyeo, as anybody would use it."""

import keras_api

import kyeo

__all__: list[str] = []

keras_api.main(kyeo)
