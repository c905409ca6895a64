"""The demo's picture: how training went, and what the network says about digits it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw"]

_COLUMNS = 10
_INK, _GREY, _BLUE, _ORANGE, _RED = "#222222", "#777777", "#1f6fb4", "#e08214", "#d62728"


def draw(
    history: Mapping[str, Sequence[float]], images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray
) -> Figure:
    """Draw the curves of a training run beside digits with the prediction and its confidence.

    Args:
        history: `History.history` with accuracy and loss, and the same with `val_` before the name.
        images: Held-out digits, shape `(n, 28, 28)`.
        labels: The true digits, shape `(n,)`.
        probabilities: What the network says, shape `(n, 10)`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 8.4), facecolor="white")
    curves, digits = figure.subfigures(1, 2, width_ratios=(0.34, 0.66), squeeze=False)[0]
    top, bottom = curves.subplots(2, 1, sharex=True)
    curves.subplots_adjust(left=0.15, right=0.94, top=0.92, bottom=0.08, hspace=0.2)
    _curve(top, history, "accuracy")
    _curve(bottom, history, "loss")
    top.legend(frameon=False, labelcolor=_INK, loc="lower right")
    bottom.set_xlabel("epoch", color=_INK)

    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    surest = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]
    shown = surest[: 2 * _COLUMNS]
    upper, lower = digits.subfigures(2, 1, height_ratios=(4, 2), squeeze=False)[:, 0]
    right = f"{len(labels) - len(wrong):,} of {len(labels):,} right"
    _digits(upper, 4, np.arange(len(labels)), images, labels, probabilities)
    upper.suptitle(f"Held-out digits: {right} (the first {4 * _COLUMNS}: prediction, confidence)", color=_INK)
    _digits(lower, 2, shown, images, labels, probabilities)
    lower.suptitle(f"{len(shown)} of the {len(wrong)} mistakes, the surest first", color=_RED)
    return figure


def _curve(axes: Axes, history: Mapping[str, Sequence[float]], name: str) -> None:
    """Draw one number over the epochs, while training (with dropout) and on held-out digits."""
    from matplotlib.ticker import MaxNLocator

    for key, label, color in ((name, "training", _BLUE), (f"val_{name}", "held out", _ORANGE)):
        values = history[key]
        epochs = range(1, len(values) + 1)
        axes.plot(epochs, values, "o-", markersize=4, linewidth=2, color=color, label=label)
    axes.set_title(name, color=_INK, loc="left")
    axes.grid(color="#e6e6e6")
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(colors=_GREY, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#c8c8c8")


def _digits(
    figure: SubFigure,
    rows: int,
    places: np.ndarray,
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
) -> None:
    """Draw a grid of digits; below each the prediction and how sure the network is, in red when wrong."""
    grid = figure.subplots(rows, _COLUMNS)
    margins = {"left": 0.01, "right": 0.985, "bottom": 0.26 / rows, "top": 1 - 0.4 / rows}
    figure.subplots_adjust(**margins, hspace=0.36, wspace=0.1)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, place in zip(grid.flat, places):
        answer = int(probabilities[place].argmax())
        wrong = answer != labels[place]
        color, weight, width = (_RED, "bold", 2.0) if wrong else (_INK, "normal", 0.8)
        text = f"{answer}  {probabilities[place, answer]:.0%}" + (f" (is {labels[place]})" if wrong else "")
        axes.set_axis_on()
        axes.imshow(images[place], cmap="gray_r", interpolation="nearest")
        axes.set(xticks=(), yticks=())
        axes.set_xlabel(text, color=color, fontsize=8.5, fontweight=weight)
        axes.spines[:].set(color=color if wrong else "#d9d9d9", linewidth=width)
