"""SafePoints: when a signal may end training: never while state is on its way between variables and device. Watch: that
it does end, where the main thread waits for a process that is gone."""

import contextlib
import gc
import math
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kyeo.callbacks.backup import EXIT_CODE
from kyeo.core.progbar import say

__all__ = ["SafePoints", "Watch", "ending"]

_REQUESTS = ("SIGTERM", "SIGUSR1")
_PATIENCE = 20  # seconds: who sends SIGTERM often sends SIGKILL 30 seconds later
_SECOND = 2  # after Ctrl-C was pressed again


def ending(number: int, saved: bool) -> BaseException:
    """How a training ends that a signal ended: exit code 75 where all is saved, else that of the signal.

    >>> ending(signal.SIGTERM, saved=False)
    SystemExit(143)
    """
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(EXIT_CODE if saved else 128 + number)


class SafePoints:
    """`with SafePoints() as safe:` and inside it `with safe.hold():` delays Ctrl-C to the end of the block.

    Args:
        saves: whether somebody saves at the end of a step. Then a first Ctrl-C, and SIGTERM and SIGUSR1 where the
            program does not handle them, only set `asked`.
        together: whether other processes take the same steps, so that none may leave alone: `asked` is set too, and
            the process ends by force where it is not heeded.

    Attributes:
        asked: the signal that asked for the end, or None.
    """

    def __init__(self, saves: bool = False, together: bool = False) -> None:
        self.asked: int | None = None
        self._saves, self._waits = saves, saves or together
        self._holding = self._pending = False
        self._previous: dict[int, Any] = {}
        self._watch = Watch(saves) if together else None

    def __enter__(self) -> "SafePoints":
        if threading.current_thread() is not threading.main_thread():
            return self
        if callable(signal.getsignal(signal.SIGINT)):
            self._previous[signal.SIGINT] = signal.signal(signal.SIGINT, self._on_interrupt)
        for name in _REQUESTS if self._waits else ():
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL and not _dumps(number):
                self._previous[number] = signal.signal(number, self._on_request)
        if self._watch is not None:
            self._watch.begin(set(self._previous))
        return self

    def __exit__(self, kind: Any, *exc: object) -> None:
        if self._watch is not None:
            self._watch.end()
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        asked = signal.SIGINT if self._pending else self.asked
        if asked is not None and kind is None:  # it came after the last step: as if it came now
            signal.raise_signal(asked)

    def heeded(self) -> None:
        """All processes know that they end: what is still to be done may take its time."""
        if self._watch is not None:
            self._watch.heeded()

    def _on_request(self, number: int, frame: Any) -> None:
        self.asked = number

    def _on_interrupt(self, number: int, frame: Any) -> None:
        if self._waits and self.asked is None:
            self.asked = number
            say(f"Stopping after this step{', which is then saved' * self._saves}. Ctrl-C again stops at once.")
        elif (self._holding or _is_deaf(frame)) and not self._pending:
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


def _is_deaf(frame: Any) -> bool:
    """Whether Python would only print an exception that is raised here: in a callback of its garbage collector, of
    which JAX has one, or while an object goes."""
    callbacks = {getattr(callback, "__code__", None) for callback in gc.callbacks}
    while frame is not None:
        if frame.f_code in callbacks or frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def _dumps(number: int) -> bool:
    """Whether SIGUSR1 is faulthandler's, or that of other C code: Python knows its own handlers only. SIGTERM is taken
    from C code: JAX has a handler that does nothing."""
    try:
        caught = re.search(r"^SigCgt:\s*(\w+)", Path("/proc/self/status").read_text(), re.M)
    except OSError:  # not Linux
        return False
    return number != signal.SIGTERM and caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


class Watch:
    """A thread that sees signals while the main thread waits inside JAX, where no handler of Python runs, and ends the
    process where they are not heeded in time.

    Args:
        saves: whether checkpoints are kept.
    """

    def __init__(self, saves: bool) -> None:
        self._saves, self._numbers = saves, set[int]()
        self._theirs: socket.socket | None = None
        self._previous, self._heeded = -1, False

    def begin(self, numbers: set[int]) -> None:
        """Watch for these signals, from the main thread."""
        self._numbers = numbers
        ours, self._theirs = socket.socketpair()
        self._theirs.setblocking(False)
        self._previous = signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._run, args=(ours,), name="kyeo_signals", daemon=True).start()

    def end(self) -> None:
        """Watch no more."""
        if self._theirs is not None:
            signal.set_wakeup_fd(self._previous)
            self._theirs.close()

    def heeded(self) -> None:
        """Wait for ever, unless Ctrl-C is pressed again."""
        self._heeded = True

    def _run(self, ours: socket.socket) -> None:
        interrupts, deadline, asked = 0, math.inf, 0
        with ours:
            while True:
                waits = min(deadline - time.monotonic(), 3600)
                if waits <= 0 and not (self._heeded and interrupts < 2):
                    break
                ours.settimeout(waits if waits > 0 else 1)
                try:
                    data = ours.recv(64)
                except TimeoutError:
                    continue
                if not data:
                    return
                self._pass_on(data)
                for number in self._numbers.intersection(data):
                    interrupts += data.count(number) if number == signal.SIGINT else 0
                    patience = _SECOND if interrupts > 1 else _PATIENCE
                    deadline, asked = min(deadline, time.monotonic() + patience), asked or number
        self._end(asked)

    def _pass_on(self, data: bytes) -> None:
        """To who watched before, an event loop for example."""
        if self._previous != -1:
            with contextlib.suppress(OSError):
                os.write(self._previous, data)

    def _end(self, asked: int) -> None:
        saved = "it is saved as of the last checkpoint" if self._saves else "nothing of it is saved"
        say(f"Training stopped by {signal.Signals(asked).name} while it waited for other processes, which may have "
            f"ended; {saved}.")
        os._exit(EXIT_CODE if self._saves and asked != signal.SIGINT else 128 + asked)
