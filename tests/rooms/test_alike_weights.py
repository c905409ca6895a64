"""Weights of one shape, whose update is traced once (`optimizers/alike.py`): the same numbers, and smaller programs."""

import jax
import numpy as np
import pytest

from kyeo import optimizers
from kyeo.core.variable import Variable
from kyeo.optimizers import optimizer as module
from kyeo.optimizers.alike import places_alike
from tests.rooms.test_small_weights import CASES, built, built_for, stepped

SIZES = [(4, 3), (5,), (4, 3), (5,), (2,), (5,), (4, 3), (5,)]


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda case: case if isinstance(case, str) else "-".join(case))
def test_the_numbers_are_those_of_each_by_itself(name, options, monkeypatch):
    found, text = stepped(*built(name, options, SIZES))
    assert text.count("func.func private @updated") == 2 * getattr(optimizers, name)._by_element
    monkeypatch.setattr(module, "places_alike", lambda variables, apart: [])
    wanted, text = stepped(*built(name, options, SIZES))
    assert "@updated" not in text
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-6, atol=1e-7)


def test_what_all_share_is_computed_once():
    _, text = stepped(*built_for(SIZES, optimizers.Adam()))
    assert text.count("stablehlo.power") == 2  # both corrections, outside of the functions


@pytest.mark.parametrize(("sizes", "apart", "found"), [
    ([2, 2], [], []), ([2, 2, 2], [], [[1, 2]]), ([2, 2, 2, 3], [], [[0, 1, 2]]), ([2, 2, 2, 3], [3], [[1, 2]]),
    ([2, 3] * 3, [], [[2, 4], [1, 3, 5]]), ([2] * 4, [0, 1], []), ([], [], []),
])
def test_which_weights(sizes, apart, found):
    assert places_alike([Variable(np.zeros(size)) for size in sizes], apart) == found


def test_weights_of_another_dtype_are_not_alike():
    weights = [Variable(np.zeros(2), dtype=dtype) for dtype in ("float32", "bfloat16") * 2]
    assert places_alike(weights, []) == []


def test_a_rule_of_the_users_own_is_run_for_each():
    class Halves(optimizers.SGD):
        calls = 0

        def update_step(self, gradient, variable, learning_rate):
            self.calls += 1
            super().update_step(gradient / 2, variable, learning_rate)

    optimizer, weights, gradients = built_for(SIZES, Halves())
    _, text = stepped(optimizer, weights, gradients)
    assert "@updated" not in text and optimizer.calls >= len(SIZES)


def test_without_a_program_each_is_updated_as_it_stands(monkeypatch):
    monkeypatch.setattr(module, "run_alike", None)
    optimizer, weights, gradients = built_for(SIZES, optimizers.SGD(1.0))
    before = [w.numpy() for w in weights]
    optimizer.apply([g[0] for g in gradients], weights)
    for one, other, gradient in zip(weights, before, gradients, strict=True):
        np.testing.assert_allclose(one.numpy(), other - gradient[0], rtol=1e-6)


def test_functions_of_the_step_can_be_differentiated():
    optimizer, weights, gradients = built_for(SIZES, optimizers.SGD(0.5))

    def moved(grads):
        new, _ = optimizer.stateless_apply([v.value for v in optimizer.variables], grads, [w.value for w in weights])
        return sum(value.sum() for value in new)

    for slope in jax.grad(moved)([g[0] for g in gradients]):
        np.testing.assert_allclose(slope, -0.5)
