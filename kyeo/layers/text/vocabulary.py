"""What the lookup layers know: reading a vocabulary, checking it, counting one on data."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from kyeo.core.errors import problem
from kyeo.layers.text.host import to_host

__all__ = ["Tally", "batches_of", "inverse_frequency", "padded_weights", "read_terms", "tokens_of"]


def read_terms(vocabulary: Any, as_int: bool, where: Any) -> list[Any]:
    """The terms the user gave: in a sequence or an array, or one a line in the text file of this path."""
    if isinstance(vocabulary, (str, Path)):
        path = Path(vocabulary)
        if not path.is_file():
            raise problem("There is no such vocabulary file.", received=f"vocabulary={str(vocabulary)!r}", where=where,
                          expected="a sequence of terms, or the path of a text file with one a line",
                          kind=FileNotFoundError)
        lines = path.read_text(encoding="utf-8").split("\n")
        terms: list[Any] = lines[:-1] if lines[-1] == "" else lines
    else:
        terms = to_host(vocabulary, where).ravel().tolist()
    if not terms:
        raise problem("The vocabulary is empty.", received=f"vocabulary={vocabulary!r}", where=where,
                      expected="at least one term")
    try:
        return [_integer(t) if as_int else t.decode() if isinstance(t, bytes) else t + "" for t in terms]
    except (TypeError, ValueError):
        raise problem("A term of the vocabulary is of the wrong kind.", where=where, received=terms,
                      expected="integers" if as_int else "strings") from None


def _integer(term: Any) -> int:
    if isinstance(term, float) and not term.is_integer():
        raise ValueError
    return int(term)


def tokens_of(terms: list[Any], special: list[Any], reserved: dict[str, Any], where: Any) -> tuple[list[Any], bool]:
    """The terms without the special ones that may stand before them, and whether those did.

    Args:
        terms: what `read_terms` gave.
        special: the tokens that stand at the first indices.
        reserved: tokens that must not be among the rest, by the names of their arguments.
        where: the layer.
    """
    found = bool(special) and terms[:len(special)] == special
    tokens = terms[len(special):] if found else terms
    if len(set(tokens)) < len(tokens):
        repeated = [t for t, n in Counter(tokens).items() if n > 1]
        raise problem("A term stands twice in the vocabulary.", received=f"{repeated[:5]} more than once", where=where,
                      expected="different terms", fix="list(dict.fromkeys(vocabulary)) keeps the first of each")
    for name, token in reserved.items():
        if token in tokens:
            raise problem(f"`{name}` stands in the middle of the vocabulary.", where=where,
                          received=f"{name}={token!r} at index {terms.index(token, len(special) if found else 0)}",
                          expected=f"no special tokens, or exactly {special} at the start",
                          fix="leave the special tokens out: the layer adds them")
    return tokens, found


def padded_weights(weights: Any, found: bool, front: int, terms: int, size: int | None, where: Any) -> np.ndarray:
    """The weights of all indices: the mean for special tokens that came without, 0 for places not in use.

    Args:
        weights: those the user gave, one for each of `terms`.
        found: whether the special tokens were among the terms.
        front: how many special tokens there are.
        size: how many places there are in all; None for as many as terms.
        where: the layer.
    """
    array = np.asarray(to_host(weights, where), np.float32)
    if array.ndim != 1 or len(array) != terms:
        raise problem("`idf_weights` does not fit the vocabulary.", received=array, where=where,
                      expected=f"one number for each of the {terms} terms")
    before = np.full(0 if found else front, array.mean(), np.float32)
    array = np.concatenate([before, array])
    return array if size is None else np.pad(array, (0, size - len(array)))


def inverse_frequency(documents: int, with_token: Iterable[int]) -> np.ndarray:
    """log(1 + documents / (1 + documents with the token)), the weight of a token that stands in that many."""
    return np.log(1 + documents / (1 + np.fromiter(with_token, np.float64))).astype(np.float32)


class Tally:
    """How often tokens were seen, and in how many documents."""

    def __init__(self) -> None:
        self.counts: Counter[Any] = Counter()
        self.in_documents: Counter[Any] = Counter()
        self.documents = 0

    def add(self, documents: list[list[Any]] | Counter[Any], by_document: bool) -> None:
        """Count the tokens of some documents; a Counter says how often each is in them, but not in how many."""
        self.counts.update(documents if isinstance(documents, Counter) else chain.from_iterable(documents))
        if by_document:
            self.in_documents.update(chain.from_iterable(map(set, documents)))
            self.documents += len(documents)

    def most_frequent(self, without: Iterable[Any], limit: int | None) -> list[Any]:
        """The tokens, the most frequent first; of equally frequent ones the last in alphabetical order first."""
        for token in without:
            self.counts.pop(token, None)
        ordered = sorted(sorted(self.counts, reverse=True), key=self.counts.__getitem__, reverse=True)
        return ordered[:limit]


def batches_of(data: Any, steps: int | None, where: Any) -> Iterator[np.ndarray]:
    """The batches of what `adapt` was given: an array or a list is one, with a row for each text or number."""
    one = isinstance(data, (list, tuple, str, bytes)) or hasattr(data, "__array__") or hasattr(data, "to_numpy")
    if one:
        array = to_host(data, where)
        yield array[:, None] if array.ndim == 1 else array
        return
    if not hasattr(data, "__iter__"):
        raise problem("This cannot be adapted to.", received=data, where=where,
                      expected="an array, a list, or an iterable of batches")
    for number, batch in enumerate(data):
        if steps is not None and number >= steps:
            return
        yield to_host(batch[0] if isinstance(batch, tuple) else batch, where)
