"""KeyedDraws: random numbers that are a function of a seed and a turn, without a new generator for every turn."""

import threading

import numpy as np

__all__ = ["KeyedDraws", "draws_at"]


class KeyedDraws:
    """One generator that is set to the begin of any stream, each named by a seed and a turn.

    The streams are Philox's (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), with seed and turn as
    its key. Making a generator takes 11 us, since NumPy asks the system for a seed even where it gets a key; to set
    one 1 us: of tiny trainings' epochs (0.5 ms) that is 2 %.

    >>> draws = KeyedDraws()
    >>> first = draws.at(7, 0).permutation(5)
    >>> (draws.at(7, 1).permutation(5) == first).all(), (draws.at(7, 0).permutation(5) == first).all()
    (np.False_, np.True_)
    """

    def __init__(self) -> None:
        self._bits = np.random.Philox(key=[0, 0])
        self._begin = self._bits.state
        self._generator = np.random.Generator(self._bits)

    def at(self, seed: int, turn: int) -> np.random.Generator:
        """The generator, at the begin of the stream of these two; good until the next call."""
        key = self._begin["state"]["key"]
        key[0], key[1] = seed % 2**64, turn  # by themselves: NumPy takes large ints in a list for floats
        self._bits.state = self._begin
        return self._generator


_of_thread = threading.local()


def draws_at(seed: int, turn: int) -> np.random.Generator:
    """The generator of this thread, at the begin of a stream; good until the next call, so draw at once.

    >>> draws_at(7, 0).permutation(5).tolist() == KeyedDraws().at(7, 0).permutation(5).tolist()
    True
    """
    if not hasattr(_of_thread, "draws"):
        _of_thread.draws = KeyedDraws()
    return _of_thread.draws.at(seed, turn)
