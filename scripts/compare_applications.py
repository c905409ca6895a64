"""Run Kyeo's networks and Keras's with the same weights on the same images: all of them, or those named.

    python scripts/compare_applications.py [MobileNet ...]

Prints how far the outputs are apart, as a share of the largest. The tests do this for the cheapest ones only.
"""

import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from tests.applications.describe import NAMES
from tests.applications.forward import difference

__all__ = ["main"]


def main() -> None:
    """Compare, and fail where outputs differ."""
    apart = {}
    for name in sys.argv[1:] or NAMES:
        apart[name] = difference(name)
        print(f"{name:20}{apart[name]:.1e}", flush=True)
    sys.exit(any(value > 1e-4 for value in apart.values()))


if __name__ == "__main__":
    main()
