"""Small data sets to learn with: `kyeo.datasets.mnist`."""

from kyeo.datasets import mnist

__all__ = ["mnist"]
