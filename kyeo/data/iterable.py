"""IterableSource: batches of a generator, a list of batches, a torch DataLoader, a tf.data.Dataset, ..."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kyeo.core.errors import problem
from kyeo.core.plain import warn
from kyeo.data.arrays import standard_batch
from kyeo.data.source import Batch, Source, warn_out_of_data

__all__ = ["IterableSource", "own_state", "restore_own_state"]

_END = object()
_OWN_STATES = (("state_dict", "load_state_dict"), ("get_state", "set_state"))


class IterableSource(Source):
    """Batches of an iterable. One that can be started anew is, each epoch; a generator goes on where it was.

    With `steps` an epoch goes on where the one before stopped, but where it is the same epoch once more: validation.

    A training that is resumed reads again, unused, what was read before; an iterable or iterator with `state_dict` and
    `load_state_dict` (or `get_state` and `set_state`) is set to where it was instead.

    Args:
        iterable: yields `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`.
        kind: its name in messages.
        steps: batches of an epoch; None: until it ends.
        num_batches: how many batches one pass gives, where known.
        batch_size: rows of a full batch, where known.
        weigh: turns a batch into one with class weights.
    """

    def __init__(
        self, iterable: Iterable[Any], *, kind: str = "generator", steps: int | None = None,
        num_batches: int | None = None, batch_size: int | None = None,
        weigh: Callable[[Batch], Batch] | None = None,
    ):
        self._iterable, self._kind, self._steps = iterable, kind, steps
        self._weigh = weigh
        self.num_batches = steps or num_batches
        self.batch_size = batch_size
        self._restarts = not hasattr(iterable, "__next__")
        self._iterator: Iterator[Any] | None = None if self._restarts else iter(iterable)
        self._inner: Any = self._iterator  # the iterator itself, without what `peek` put before it
        self._begun = False  # whether the iterator has given a batch to an epoch
        self._passes: list[list[Any]] = [] if self._restarts else [[0, False]]  # batches given, whether it ended
        self._keeps_state = _pair(self._inner) is not None
        self._restored = False
        self._epoch: int | None = None  # the one that was read last
        self._resumed_at: tuple[int, int] | None = None  # pass and batch at which an own state was loaded

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        goes_on, self._restored = self._restored and start > 0, False
        begins = self._steps is None or epoch == self._epoch
        self._epoch = epoch
        if self._restarts and not goes_on and (self._iterator is None or (self._begun and begins)):
            self._renew()
        taken = start if goes_on else 0
        while self._steps is None or taken < self._steps:
            data = self._next(may_renew=taken == 0)
            if data is _END:
                break
            taken += 1
            if taken > start:
                yield self._standard(data)
        warn_out_of_data(taken, self._steps or 1)
        if self._restarts and self.num_batches is None and taken:
            self.num_batches = taken

    def peek(self) -> Batch:
        if self._iterator is None:
            self._renew()
        assert self._iterator is not None
        for data in self._iterator:
            self._iterator = itertools.chain([data], self._iterator)
            return self._standard(data)
        fix = None if self._restarts else "a generator gives its batches once; make it anew for each call"
        raise problem(f"The {self._kind} yields nothing.", received=f"x is a {type(self._iterable).__name__}",
                      expected="at least one batch", fix=fix)

    def close(self) -> None:
        if self._restarts:
            self._iterator = self._inner = None

    def description(self) -> dict[str, Any]:
        return {**super().description(), "kind": self._kind}

    # -- going on in another process -----------------------------------------------------------------------
    @property
    def keeps_state(self) -> bool:  # type: ignore[override]
        """Whether iterable or iterator say where they stand."""
        return self._keeps_state or (self._restarts and _pair(self._iterable) is not None)

    def state(self) -> dict[str, Any]:
        passes = [list(one) for one in self._passes]
        count, ended = passes[-1] if passes else (0, False)
        if passes:
            passes[-1][0] -= self.ahead
        own: Any = None
        if not count:
            own = ("none", None)  # what `peek` took would be missing from it
        elif self._restarts and _pair(self._iterable) is not None:
            own = ("iterable", own_state(self._iterable), own_state(_generator(self._iterable)))
        elif self._keeps_state:
            own = ("iterator", None if ended else own_state(self._inner))
        return {"passes": passes, "own": own, "epoch": self._epoch}

    def restore(self, state: dict[str, Any], step: int) -> None:
        passes, own = state["passes"], state["own"]
        ended = bool(passes) and passes[-1][1]
        kind, value, *drawn = own or ("", None)
        if not kind:
            for number, (count, was_read) in enumerate(passes):
                self._read_again(number, count, was_read)
        elif kind == "iterable":
            restore_own_state(self._iterable, value)
            self._restore_iterator(ended, *drawn)
            self._resumed_at = (len(passes) - 1, passes[-1][0])
        elif kind == "iterator" and not ended:
            if self._restarts:
                self._inner = iter(self._iterable)
            restore_own_state(self._inner, value)
            self._iterator = self._inner  # without what was peeked at
        if ended and self._restarts:
            self._iterator = self._inner = None
        self._passes = [list(one) for one in passes] or self._passes
        self._begun, self._restored = bool(passes) and passes[-1][0] > 0, True
        self._epoch = state.get("epoch")

    def _restore_iterator(self, ended: bool, drawn: Any = None) -> None:
        """Begin where the iterable now stands; what it draws from at random is set to what was `drawn` so far.

        torchdata's StatefulDataLoader draws a seed for its workers as an iterator is made, which its state leaves out:
        every later epoch had another order. What it makes of a state is made here, before its generator is set.
        """
        generator = _generator(self._iterable)
        known = drawn is not None and generator is not None
        self._inner = iter(self._iterable) if known or not ended else None
        if known:
            restore_own_state(generator, drawn)
        self._iterator = self._inner

    def _read_again(self, number: int, count: int, ended: bool) -> None:
        """Take the batches of a pass that an earlier process took."""
        if self._iterator is None or number > 0:
            self._iterator = self._inner = iter(self._iterable)
        read = sum(1 for _ in itertools.islice(self._iterator, count))
        if read < count:
            raise problem(f"The {self._kind} gives less than before, so training cannot go on from where it was.",
                          received=f"{read} batches", expected=f"{count} that were used already")
        if ended:
            next(self._iterator, None)

    # -- reading -------------------------------------------------------------------------------------------
    def _renew(self) -> None:
        if self._resumed_at is not None and type(self._iterable).__module__.startswith("datasets."):
            restore_own_state(self._iterable, None)  # else each pass of such a stream begins at the state it was given
        self._iterator, self._begun = iter(self._iterable), False
        self._inner = self._iterator
        self._keeps_state = _pair(self._inner) is not None
        self._passes.append([0, False])

    def _next(self, may_renew: bool) -> Any:
        """What comes next, or `_END`; with steps an epoch may begin exactly where a pass ends."""
        if self._iterator is None:  # a pass that an earlier process came to the end of
            return _END
        for data in self._iterator:
            self._begun = True
            self._passes[-1][0] += 1
            return data
        self._passes[-1][1] = True
        self._warn_of_lost_batches()
        if self._restarts and may_renew and self._begun:
            self._renew()
            return self._next(may_renew=False)
        if self._restarts:
            self._iterator = self._inner = None
        return _END

    def _warn_of_lost_batches(self) -> None:
        """Say so where the pass after the resumed one is what was left of that: a stream of Hugging Face, inside an
        iterable of the user's own, begins each pass at the state it was given."""
        number, at = self._resumed_at or (len(self._passes), 0)
        count = self._passes[-1][0]
        if at and number == len(self._passes) - 2 and count == self._passes[number][0] - at:
            warn(f"A pass over the {type(self._iterable).__name__} gave {count} batches, the one before {count + at}: "
                 "it began where the state stands that was loaded to resume. Let that count for one pass only; of a "
                 "data set of Hugging Face call `.load_state_dict(None)` before the next.")

    def _standard(self, data: Any) -> Batch:
        batch = standard_batch(data, self._kind)
        return self._weigh(batch) if self._weigh else batch


def _pair(owner: Any) -> tuple[str, str] | None:
    return next((pair for pair in _OWN_STATES if all(callable(getattr(owner, name, None)) for name in pair)), None)


def _generator(owner: Any) -> Any:
    """What a loader draws its order from, if it is told and has a state, as torch's is and has."""
    found = getattr(owner, "generator", None)
    return found if _pair(found) is not None else None


def own_state(owner: Any) -> Any:
    """What an object says of where it stands (`state_dict` or `get_state`); None where it says nothing."""
    pair = _pair(owner)
    return getattr(owner, pair[0])() if pair else None


def restore_own_state(owner: Any, state: Any) -> None:
    """Set an object to where `own_state` found it."""
    pair = _pair(owner)
    if pair:
        getattr(owner, pair[1])(state)
