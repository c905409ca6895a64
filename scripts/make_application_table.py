"""Write tests/applications/architectures.json: what each of Keras's published networks is made of.

    KERAS_BACKEND=jax python scripts/make_application_table.py

The tests build Kyeo's networks and compare. Run it again when another version of Keras becomes the one to follow; it
takes some minutes.
"""

import json
import os
import pathlib
import sys
from unittest import mock

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"

import keras
import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.applications.describe import NAMES, VARIANTS, described  # noqa: E402

__all__ = ["main"]

TABLE = ROOT / "tests" / "applications" / "architectures.json"


def zeros(shape, *args, dtype=None, **words):
    """Instead of random weights, which nobody looks at."""
    return np.zeros(shape, dtype)


def main() -> None:
    """Build all networks and write the table."""
    requests = {**{name: (name, {}) for name in NAMES}, **VARIANTS}
    rows = {}
    with mock.patch.multiple(keras.src.backend.random, uniform=zeros, truncated_normal=zeros, normal=zeros):
        for row, (name, words) in requests.items():
            keras.utils.clear_session()
            rows[row] = described(getattr(keras.applications, name)(weights=None, **words))
            print(row, rows[row]["params"], flush=True)
    lines = ",\n".join(f"{json.dumps(row)}: {json.dumps(values)}" for row, values in rows.items())
    TABLE.write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
