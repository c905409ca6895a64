"""rearrange: reshape and transpose, written as a pattern of axis names."""

import math
import re
from typing import Any

import jax

from kyeo.core.arrays import to_array
from kyeo.core.errors import positive_int, problem
from kyeo.core.op import op

__all__ = ["rearrange"]

_WHERE = "ops.rearrange"
_Groups = list[list[str]]


def _groups(pattern: str, side: str) -> _Groups:
    """One side of a pattern as lists of names: `a (b c)` is [["a"], ["b", "c"]]."""
    if not re.fullmatch(r"\s*(?:(?:[A-Za-z_]\w*|\([\w\s]*\))\s*)+", side):
        raise problem("The pattern cannot be read.", received=f"pattern={pattern!r}", where=_WHERE,
                      expected='names of axes, some in parentheses, as in "b h w c -> b (h w) c"')
    return [group.strip("()").split() for group in re.findall(r"\w+|\([^)]*\)", side)]


def _read(pattern: Any) -> tuple[_Groups, _Groups]:
    if not isinstance(pattern, str) or pattern.count("->") != 1:
        raise problem("The pattern cannot be read.", received=f"pattern={pattern!r}", where=_WHERE,
                      expected='a text with one "->", as in "b h w c -> b c h w"')
    left, right = (_groups(pattern, side) for side in pattern.split("->"))
    before, after = (sorted(name for group in side for name in group) for side in (left, right))
    if before != after or len(set(before)) != len(before):
        raise problem("Every axis must be named once on either side.", received=f"pattern={pattern!r}", where=_WHERE,
                      expected="the same names left and right")
    return left, right


def _lengths(groups: _Groups, shape: tuple[Any, ...], given: dict[str, int], pattern: str) -> dict[str, Any]:
    """The length of every named axis; one in a group may be left to be found."""
    if len(groups) != len(shape):
        raise problem("The pattern names another number of axes.", received=f"pattern={pattern!r}, shape {shape}",
                      expected=f"{len(shape)} names or groups on the left", where=_WHERE)
    lengths: dict[str, Any] = dict(given)
    for group, size in zip(groups, shape):
        open_names = [name for name in group if name not in given]
        known = math.prod(given[name] for name in group if name in given)
        fits = size % known == 0 if open_names else size == known
        if len(open_names) > 1 or not fits:
            raise problem("The lengths of the axes do not fit.", where=_WHERE, expected=f"a product of {size}",
                          received=f"({' '.join(group)}) with {given}",
                          fix="give the length of all but one axis of a group: rearrange(x, pattern, name=length)")
        if open_names:
            lengths[open_names[0]] = size // known
    return lengths


@op
def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> jax.Array:
    """Axes split, moved and joined as a pattern says (Rogozhnikov, 2022, https://openreview.net/forum?id=oapKSVM2bcj).

    Args:
        tensor: array.
        pattern: names of the axes before and after "->"; those in parentheses are (to be) joined in one.
        axes_lengths: lengths of axes that are joined before; one in each group may be left out.

    >>> import kyeo
    >>> kyeo.ops.rearrange([[1, 2, 3, 4]], "a (b c) -> c (a b)", b=2).tolist()
    [[1, 3], [2, 4]]
    """
    x, (left, right) = to_array(tensor), _read(pattern)
    names = [name for group in left for name in group]
    for name, length in axes_lengths.items():
        positive_int(_WHERE, optional=False, minimum=1, **{name: length})
        if name not in names:
            raise problem("A length is given to an axis that is not there.", received=f"{name}={length}",
                          expected=f"one of {', '.join(names)}", where=_WHERE)
    lengths = _lengths(left, x.shape, axes_lengths, pattern)
    x = x.reshape([lengths[name] for name in names])
    x = x.transpose([names.index(name) for group in right for name in group])
    return x.reshape([math.prod([lengths[name] for name in group]) for group in right])
