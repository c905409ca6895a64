"""SafePoints: when a signal may end training: never while state is on its way between variables and device."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kyeo.core.progbar import say

__all__ = ["SafePoints"]


class SafePoints:
    """`with SafePoints() as safe:` and inside it `with safe.hold():` delays Ctrl-C to the end of the block.

    Args:
        saves: whether somebody saves at the end of a step. Then a first Ctrl-C, and SIGTERM and SIGUSR1 where the
            program does not handle them, only set `asked`.

    Attributes:
        asked: the signal that asked for the end, or None.
    """

    def __init__(self, saves: bool = False) -> None:
        self.asked: int | None = None
        self._saves = saves
        self._holding = self._pending = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "SafePoints":
        if threading.current_thread() is not threading.main_thread():
            return self
        if callable(signal.getsignal(signal.SIGINT)):
            self._previous[signal.SIGINT] = signal.signal(signal.SIGINT, self._on_interrupt)
        for name in ("SIGTERM", "SIGUSR1") if self._saves else ():
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                self._previous[number] = signal.signal(number, self._on_request)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _on_request(self, number: int, frame: Any) -> None:
        self.asked = number

    def _on_interrupt(self, number: int, frame: Any) -> None:
        if self._saves and self.asked is None:
            self.asked = number
            say("Stopping after this step, which is then saved. Ctrl-C again stops at once.")
        elif self._holding and not self._pending:
            self._pending = True
        else:
            self._previous[number](number, frame)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Let no interrupt in while variables and device disagree."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
            if self._pending:
                self._pending = False
                self._previous[signal.SIGINT](signal.SIGINT, None)
