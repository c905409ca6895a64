"""Variables get the values that a file holds: all of them, or none.

Where reading fails halfway (the disk, a file that another program cuts off, Ctrl-C), the old values come back. They
are kept until all is read, unless they are many: memory is to hold a large model and its largest array, no more. Of
such a one all arrays are read once before the first is changed, and again as they are needed, so only what goes wrong
at the second reading leaves a model with values of both, and the error says so.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax

from kyeo.core.variable import Variable

__all__ = ["Change", "make_all"]

_KEPT = 2**28  # bytes of old values
_LARGE = 2**20  # bytes


class Change(NamedTuple):
    """New values for some variables.

    Attributes:
        variables: those that it changes.
        make: reads the values and puts them in.
        check: reads the values, and raises where it cannot.
        size: how many bytes are read.
    """

    variables: Sequence[Variable]
    make: Callable[[], Any]
    check: Callable[[], Any]
    size: int


def make_all(changes: Sequence[Change], is_new: bool = False,
             progress: Callable[[int], None] = lambda size: None) -> None:
    """Make all changes, or none.

    Args:
        changes: what is made, one after the other.
        is_new: whether the model is one that nobody has if this fails.
        progress: told how many bytes were read.
    """
    variables = [variable for change in changes for variable in change.variables]
    is_large = sum(variable.nbytes for variable in variables) > _KEPT
    if is_large and not is_new:
        for change in changes:
            change.check()
    made = 0
    with _kept([] if is_large or is_new else variables):
        try:
            for change in changes:
                change.make()
                made += 1
                if change.size >= _LARGE:  # until then JAX holds the array it copies from
                    jax.block_until_ready([variable.value for variable in change.variables])
                progress(change.size)
        except BaseException as error:
            if is_large and not is_new:
                error.add_note(f"  All could be read once, but not again after {made} of {len(changes)} layers. These "
                               "have the new values now, the others the old ones: load a whole file.")
            raise


@contextmanager
def _kept(variables: Sequence[Variable]) -> Iterator[None]:
    """Give variables their old values again, where the block raises."""
    before = [(variable, variable.keep()) for variable in variables]
    try:
        yield
    except BaseException:
        for variable, value in before:
            variable.give_back(value)
        raise
