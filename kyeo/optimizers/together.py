"""Small weights, updated together: XLA's CPU makes one kernel of them, instead of some for each.

Adam needs three kernels for each weight (both means and the weight), and each costs some 15 ms to compile: 36 of the 79
of the tutorial's CNN. Measured for it, processor time of XLA: 1.37 -> 1.10 s. That kernel waits for all gradients and
runs on one core (1 % of a step), so long trainings do without, and loops where a step has work for both cores: that of
one attention and three norms of 32 units took 0.84 to 0.95 ms, and 1.0 to 1.07 so; nine smaller networks took as long
as before, their first `fit` 0.8 to 0.9 of the time.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from jax import Array, lax

from kyeo.core.codegen import in_one_kernel
from kyeo.core.scope import current, scope
from kyeo.core.settings import settings
from kyeo.core.variable import Variable, pure

__all__ = ["MOST_TOGETHER", "parts", "places_of_small", "run_together"]

MOST_TOGETHER = 5  # in a kernel

_SMALL, _SMALL_LOOPED = 2**16, 2**14  # elements; a larger weight is worth both cores
_OFTEN = 3  # so many weights of a shape share their kernels anyway
_FEWEST = 4
_MOST_LOOPED = 14  # weights; with more, a step has work for two threads


def places_of_small(variables: Sequence[Variable]) -> list[int]:
    """Which of these weights are updated together, while a step is traced; none where it gains nothing.

    >>> places_of_small([Variable([0.0] * size) for size in (5, 6, 70_000, 7, 8)])
    [0, 1, 3, 4]
    """
    now = current()
    if settings.distribution is not None or now.onednn:
        return []
    if now.looped:
        all_small = len(variables) <= _MOST_LOOPED and all(v.size < _SMALL_LOOPED for v in variables)
        return [*range(len(variables))] if all_small else []
    shapes = Counter(v.shape for v in variables)
    found = [i for i, v in enumerate(variables) if v.size < _SMALL and shapes[v.shape] < _OFTEN]
    return found if len(found) >= _FEWEST else []


def parts(places: Sequence[int]) -> list[Sequence[int]]:
    """What is updated in a kernel each: of much the same number, as two threads of LLVM's work on them at once.

    >>> parts([0, 1, 2, 3, 4, 6])
    [[0, 1, 2], [3, 4, 6]]
    """
    count = -(-len(places) // MOST_TOGETHER)
    return [places[len(places) * i // count:len(places) * (i + 1) // count] for i in range(count)]


def run_together(update: Callable[..., None], variables: Sequence[Variable], grads: Sequence[Array],
                 rate: Array) -> None:
    """Run what assigns to these variables, of the gradients and a rate, in one kernel.

    There all are vectors: over a short last axis XLA's CPU computes one number at a time, and loops within loops take
    LLVM longer. Measured on two cores of an AMD EPYC, processor time of XLA, of the tutorial's CNN 2.64 -> 2.35 s.
    """
    with scope(flat=True):
        run = in_one_kernel(lambda values, grads, rate: pure(update, variables)(values, grads, rate)[1])
        values = run([_as_vector(v.value) for v in variables], [_as_vector(g) for g in grads], rate)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(lax.reshape(value, variable.shape))


def _as_vector(array: Array) -> Array:
    return lax.reshape(array, (array.size,))
