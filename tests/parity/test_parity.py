"""A few random calls of both packages, always the same ones; `scripts/random_parity.py` draws as many as there is time for."""

import random

import keras
import pytest

from tests.parity import images, layers, models, ops, rooms, training
from tests.parity.compare import by_numpy, compare

pytestmark = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("UserWarning", "RuntimeWarning", "FutureWarning")]
DRAWN = {"images": (images, range(4)), "layers": (layers, range(16)), "rooms": (rooms, range(1, 12)), "ops": (ops, range(30)), "models": (models, (22,)),
         "training": (training, (3, 8))}


@pytest.mark.parametrize("area", DRAWN)
def test_no_difference(area, monkeypatch):
    """What both refuse, or Keras alone, is no difference."""
    monkeypatch.setattr(keras.src.backend.jax.trainer, "jit", by_numpy)
    module, seeds = DRAWN[area]
    found = {seed: compare(module.draw(random.Random(f"{area}{seed}")), module.steps) for seed in seeds}
    assert not {seed: one[:3] for seed, one in found.items() if one and one[0] in ("ours", "differ")}
