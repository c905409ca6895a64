"""Progbar: how far the work has come. A live line on a terminal or in a notebook, few lines in a log."""

import os
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kyeo.core.errors import one_of, problem
from kyeo.core.parameters import checked

__all__ = ["Progbar", "is_live", "say"]

_BOLD, _GREEN, _GREY, _PLAIN = "\x1b[1m", "\x1b[32m", "\x1b[37m", ""
_ERASE = "\r\x1b[K"


class _Terminal:
    """One line, drawn over and over."""

    pause = 0.1
    live = True

    def draw(self, pieces: list[tuple[str, str]], final: bool) -> None:
        room = None if final else shutil.get_terminal_size().columns - 1  # what wraps cannot be drawn over
        text = _ERASE
        for piece, style in pieces:
            piece = piece if room is None else piece[:room]
            room = None if room is None else room - len(piece)
            styled = style and piece and "NO_COLOR" not in os.environ
            text += f"{style}{piece}\x1b[0m" if styled else piece
        _write(text + "\n" * final)


class _Notebook:
    """One output of the cell, replaced over and over."""

    pause = 0.2
    live = True

    def __init__(self) -> None:
        self._handle: Any = None

    def draw(self, pieces: list[tuple[str, str]], final: bool) -> None:
        data = {"text/plain": "".join(piece for piece, _ in pieces)}
        if self._handle is None:
            self._handle = sys.modules["IPython"].display.display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


class _Log:
    """A line at the end, and one a minute on the way there."""

    pause = 60.0
    live = False

    def draw(self, pieces: list[tuple[str, str]], final: bool) -> None:
        _write("".join(piece for piece, _ in pieces) + "\n")


def _display() -> _Terminal | _Notebook | _Log:
    if sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        return _Terminal()
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return _Notebook() if shell is not None and "ipykernel" in sys.modules else _Log()


def is_live() -> bool:
    """Whether somebody looks on: a terminal or a notebook, where a line can be drawn over and over."""
    return _display().live


def _write(text: str) -> None:
    if sys.stdout is not None:
        sys.stdout.write(text)
        sys.stdout.flush()


def _bar_characters() -> tuple[str, str]:
    try:
        "━".encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return "=", "."
    return "━", "─"


def say(text: str) -> None:
    """Print a line above the live progress bar, if there is one."""
    bar, Progbar._unfinished = Progbar._unfinished, None
    _write((_ERASE if bar is not None else "") + text + "\n")
    if bar is not None:
        bar._drawn = 0.0


class Progbar:
    """A progress bar.

    On a terminal it is one line, drawn at most ten times a second; in a notebook one output, at most five
    times a second; anywhere else (a pipe, a log file) a line when it is finished and one a minute until then.

    Args:
        target: how many steps there are; None where that is not known.
        width: of the bar, in characters.
        verbose: 1 (or "auto") shows all this, 2 one line at the end, 0 nothing.
        interval: least time between two drawings, in seconds.
        stateful_metrics: names of values to show as they are; all others are averaged over the steps.
        stateless_metrics: names of values to average; all others are shown as they are. Only one of the two.
        unit_name: what a step is called.

    >>> bar = Progbar(2, verbose=2)
    >>> bar.update(1, [("loss", 0.5)])
    >>> bar.update(2, [("loss", 0.25)])  # doctest: +ELLIPSIS
    2/2 - 0s - .../step - loss: 0.2500
    """

    _unfinished: "Progbar | None" = None  # whose line stands on the terminal without an end

    @checked
    def __init__(
        self, target: int | None, width: int = 20, verbose: int | str = 1, interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None, stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ):
        if stateful_metrics is not None and stateless_metrics is not None:
            raise problem("Only one of `stateful_metrics` and `stateless_metrics` can be given.", where=self,
                          received=f"{[*stateful_metrics]} and {[*stateless_metrics]}")
        self.target, self.width, self.interval, self.unit_name = target, width, interval, unit_name
        self.verbose = 1 if verbose == "auto" else one_of(self, (0, 1, 2), verbose=int(verbose))
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self.stateful_metrics = set(stateful_metrics or ()) if stateless_metrics is None else None
        self.label = ""
        self._display = _display() if self.verbose == 1 else _Log()
        self._pause = max(interval, self._display.pause)
        self._characters = _bar_characters()
        self._sums: dict[str, list[Any]] = {}  # name -> [sum, count]
        self._shown: Mapping[str, Any] = {}
        self._seen = 0
        self._start = now = time.perf_counter()
        self._first = self._last = (0, now)  # (steps, time): the first step is left out of the time per step
        self._drawn = 0.0 if self._display.live else now

    @property
    def joins_label(self) -> bool:
        """Whether `label` ("Epoch 1/5") stands on the same line."""
        return self.verbose == 1 and not isinstance(self._display, _Terminal)

    def update(self, current: int, values: Any = None, finalize: bool | None = None) -> None:
        """Say how far the work has come.

        Args:
            current: how many steps are done.
            values: `(name, value of the last steps)` pairs, averaged over the steps as the constructor says;
                or a dict, shown as it is and read only when the bar is drawn.
            finalize: whether this was the last update; None: when `target` is reached.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        now = time.perf_counter()
        if current > self._last[0]:
            self._last = (current, now)
            if not self._first[0]:
                self._first = self._last
        if isinstance(values, dict):
            self._shown = values
        elif values:
            self._average(current, values, finalize)
        self._seen = current
        if finalize or (self.verbose == 1 and now - self._drawn >= self._pause):
            self._draw(now, finalize)

    def add(self, n: int, values: Any = None) -> None:
        """`update` by `n` more steps."""
        self.update(self._seen + n, values)

    def note(self, text: str) -> None:
        """Show a remark on the live line until the next update; nothing where there is no such line."""
        if self.verbose == 1 and self._display.live:
            self._draw(time.perf_counter(), False, text)
            self._drawn = 0.0

    def leave(self) -> None:
        """End the line as it stands."""
        if Progbar._unfinished is self:
            Progbar._unfinished = None
            _write("\n")

    def _average(self, current: int, values: Iterable[tuple[str, Any]], final: bool) -> None:
        steps = max(current - self._seen, 1)
        for name, value in values:
            averaged = (name in (self.stateless_metrics or ()) if self.stateful_metrics is None
                        else name not in self.stateful_metrics)
            if final or not averaged or name not in self._sums:
                steps_here = steps if averaged and not final else 1
                self._sums[name] = [value * steps_here if averaged else value, steps_here]
            else:
                self._sums[name][0] += value * steps
                self._sums[name][1] += steps

    def _draw(self, now: float, final: bool, note: str = "") -> None:
        if self.verbose == 0:
            return
        self._drawn = now
        pieces = self._live_pieces(now, final, note) if self._display.live else self._log_pieces(now)
        if self.label:
            pieces.insert(0, (self.label + " - ", _PLAIN))
        self._display.draw(pieces, final)
        if isinstance(self._display, _Terminal):
            Progbar._unfinished = None if final else self

    def _live_pieces(self, now: float, final: bool, note: str) -> list[tuple[str, str]]:
        """`12/125 ━━━━━━━━━━━ 1s 23ms/step - loss: 0.3000`, each piece with its style."""
        if note and not self._seen:
            return [(note, _PLAIN)]
        pieces = [(self._count(), _BOLD)]
        time_shown = now - self._start
        if self.target:
            done = min(int(self.width * self._seen / self.target), self.width)
            full, empty = self._characters
            pieces += [(" ", _PLAIN), (full * done, _GREEN), (empty * (self.width - done), _GREY)]
            if not final:
                time_shown = self._step_time() * (self.target - self._seen)
        if final or self._last != self._first:  # the first step alone, which compiles, says nothing of the others
            pieces += [(f" {_clock(time_shown)}", _BOLD), (f" {self._rate()}", _PLAIN)]
        return [*pieces, (self._results() + (f" - {note}" if note else ""), _PLAIN)]

    def _log_pieces(self, now: float) -> list[tuple[str, str]]:
        return [(f"{self._count()} - {now - self._start:.0f}s - {self._rate()}{self._results()}", _PLAIN)]

    def _count(self) -> str:
        if not self.target:
            return f"{self._seen:7d}/Unknown"
        return f"{self._seen:{len(str(self.target))}d}/{self.target}"

    def _step_time(self) -> float:
        (first, began), (last, ended) = self._first, self._last
        if last > first:
            return (ended - began) / (last - first)
        return (ended - self._start) / last if last else 0.0

    def _rate(self) -> str:
        seconds = self._step_time()
        if seconds >= 1 or seconds == 0:
            return f"{seconds:.0f}s/{self.unit_name}"
        return f"{seconds * 1e3:.0f}ms/{self.unit_name}" if seconds >= 1e-3 else (
            f"{seconds * 1e6:.0f}us/{self.unit_name}")

    def _results(self) -> str:
        values = {name: total if count == 1 else total / count for name, (total, count) in self._sums.items()}
        return "".join(f" - {name}: {_short(value)}" for name, value in {**values, **self._shown}.items())


def _short(value: Any) -> str:
    if isinstance(value, str):
        return value
    mean = float(np.mean(value))
    return f"{mean:.4f}" if abs(mean) > 1e-3 else f"{mean:.4e}"


def _clock(seconds: float) -> str:
    whole = round(seconds)
    if whole > 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}" if whole > 60 else f"{whole}s"
