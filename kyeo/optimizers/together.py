"""Small weights, updated together: XLA's CPU makes one kernel of them, instead of some for each.

Adam needs three kernels for each weight (both means and the weight), and each costs some 15 ms to compile: 36 of the 79
of the tutorial's CNN. Measured for it, processor time of XLA: 1.37 -> 1.10 s. That kernel waits for all gradients and
runs on one core (1 % of a step), so long trainings, and those in loops, do without.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from kyeo.core.codegen import in_one_kernel
from kyeo.core.scope import current
from kyeo.core.settings import settings
from kyeo.core.variable import Variable, pure

__all__ = ["MOST_TOGETHER", "places_of_small", "run_together"]

MOST_TOGETHER = 5  # in a kernel: LLVM works on several at once

_SMALL = 2**14  # elements; a larger weight is worth both cores
_OFTEN = 3  # so many weights of a shape share their kernels anyway
_FEWEST = 4


def places_of_small(variables: Sequence[Variable]) -> list[int]:
    """Which of these weights are updated together, while a step is traced; none where it gains nothing.

    >>> places_of_small([Variable([0.0] * size) for size in (5, 6, 20_000, 7, 8)])
    [0, 1, 3, 4]
    """
    if settings.distribution is not None or current().onednn or current().looped:
        return []
    shapes = Counter(v.shape for v in variables)
    found = [i for i, v in enumerate(variables) if v.size < _SMALL and shapes[v.shape] < _OFTEN]
    return found if len(found) >= _FEWEST else []


def run_together(update: Callable[..., None], variables: Sequence[Variable], *args: Any) -> None:
    """Run what assigns to these variables, of the arrays `args`, in one kernel."""
    run = in_one_kernel(lambda values, args: pure(update, variables)(values, *args)[1])
    for variable, value in zip(variables, run([v.value for v in variables], args), strict=True):
        variable.assign(value)
