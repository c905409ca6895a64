"""The report in Markdown: bars, times and ratios, losses, other values, the machine."""

import datetime
import os
import pathlib
import platform
import statistics
from collections.abc import Iterable
from typing import Any, TypeAlias

from suite import BARS, LIMITS, PEERS, TRAINING, WORKLOADS, Bar, Limit

__all__ = ["Results", "report"]

Results: TypeAlias = dict[str, dict[str, list[dict[str, Any]]]]  # workload -> peer -> one dict a round
CALM = 0.1  # the share of the processors other programs may take in a round that counts
SCALES = {"ms": 1000, "s": 1, "MB": 1}
OTHERS = {
    # key: title, format, workloads
    "loss": ("Mean training loss of the last epoch. A `!` marks one far above the others'.", ".3f", TRAINING),
    "first": ("Seconds from making the network to the end of the first `fit` or call, compiled too.", ".2f", WORKLOADS),
    "memory": ("Peak memory of the process in MB.", ".0f", WORKLOADS),
    "models": ("Models made; the time is limited.", ".0f", ("models_200",)),
    "compilations": ("Programs JAX compiled, for all models.", ".0f", ("models_200",)),
    "growth": ("Growth of memory in MB a model, in the second half.", ".3f", ("models_200",)),
}


def report(results: Results) -> str:
    """Lay the results out."""
    measured = [workload for workload in WORKLOADS if workload in results]
    rounds = [len(runs) for workload in measured for runs in results[workload].values()]
    lines = [
        "# Results",
        "",
        f"{datetime.date.today()}; {min(rounds, default=0)} to {max(rounds, default=0)} rounds in turns; "
        f"{platform.system()} {platform.machine()}, {processor()}, {os.cpu_count()} cores.",
        "",
        *versions(results),
        "",
        *machine(results),
        "A ratio is another peer's time over kyeo's: above 1, kyeo is faster. README.md tells what a row times.",
        "",
        "## Bars",
        "",
        *bars(results),
        "",
        "## Times",
        "",
        "Medians, with the lowest and the highest round, of the rounds in which other programs took at most",
        f"{CALM:.0%} of the processors; a `~` marks rows that had no such round for some peer.",
        "",
        *times(results, measured),
        "",
        "## What else was seen",
        "",
    ]
    for key in OTHERS:
        lines += others(results, key)
    return "\n".join(lines + failures(results)).rstrip() + "\n"


def values(results: Results, workload: str, peer: str, key: str) -> list[float]:
    """Give what the rounds have under this key: the rounds that other programs left alone, if there are any."""
    runs = [run for run in results.get(workload, {}).get(peer, ()) if key in run]
    calm = [run for run in runs if run.get("busy", 0) <= CALM]
    return [run[key] for run in calm or runs]


def calm(results: Results, workload: str) -> bool:
    """Whether each peer had a round that other programs left alone."""
    measured = [[run.get("busy", 0) for run in runs if "error" not in run] for runs in results[workload].values()]
    return all(min(shares) <= CALM for shares in measured if shares)


def middle(results: Results, workload: str, peer: str, key: str = "seconds") -> float | None:
    """Give the median over the rounds, or None where nothing was measured."""
    found = values(results, workload, peer, key)
    return statistics.median(found) if found else None


def best(results: Results, workload: str, peers: Iterable[str]) -> tuple[float, str] | None:
    """Give the lowest median among the peers and whose it is."""
    key = WORKLOADS[workload].key
    medians = [(middle(results, workload, peer, key), PEERS[peer].title) for peer in peers]
    return min([(median, title) for median, title in medians if median is not None], default=None)


def bars(results: Results) -> list[str]:
    """Say of every bar whether it is met."""
    rows = [bar_row(results, bar) for bar in BARS] + [limit_row(results, limit) for limit in LIMITS]
    return table(("workload", "bar", "measured", "met"), rows)


def bar_row(results: Results, bar: Bar) -> list[str]:
    """One bar that compares."""
    asked = f"at least {bar.ratio:g} x {bar.words}"
    own, other = middle(results, bar.workload, "kyeo"), best(results, bar.workload, bar.against)
    if own is None or other is None:
        return [f"`{bar.workload}`", asked, "-", "not measured"]
    ratio = other[0] / own
    return [f"`{bar.workload}`", asked, f"{ratio:.2f} ({other[1]})", "yes" if ratio >= bar.ratio else "**no**"]


def limit_row(results: Results, limit: Limit) -> list[str]:
    """One bar that is a number of kyeo's own."""
    asked, own = f"at most {limit.most:g} {limit.words}", middle(results, limit.workload, "kyeo", limit.key)
    if own is None:
        return [f"`{limit.workload}`", asked, "-", "not measured"]
    return [f"`{limit.workload}`", asked, f"{own:.4g}", "yes" if own <= limit.most else "**no**"]


def times(results: Results, measured: list[str]) -> list[str]:
    """A row for each workload, a column for each peer, and the ratio to the best of the others."""
    rows = []
    for workload in measured:
        row, (key, unit) = WORKLOADS[workload], (WORKLOADS[workload].key, WORKLOADS[workload].unit)
        cells = [spread([v * SCALES[unit] for v in values(results, workload, peer, key)]) for peer in PEERS]
        own = middle(results, workload, "kyeo", key)
        other = best(results, workload, [peer for peer in row.peers if peer != "kyeo"])
        ratio = f"{other[0] / own:.2f}" if own and other else "-"
        mark = "" if key != "seconds" or calm(results, workload) else " ~"
        rows.append([f"`{workload}`: {row.title}, {unit}", *cells, ratio + mark])
    return table(("workload", *(peer.title for peer in PEERS.values()), "best / kyeo"), rows)


def others(results: Results, key: str) -> list[str]:
    """The table of one other value, or nothing where it was not measured."""
    title, style, workloads = OTHERS[key]
    rows = []
    for workload in workloads:
        medians = {peer: middle(results, workload, peer, key) for peer in PEERS}
        known = [median for median in medians.values() if median is not None]
        if known:
            most = 2 * statistics.median(known) + 0.1 if key == "loss" else float("inf")
            cells = ["-" if m is None else format(m, style) + " !" * (not m <= most) for m in medians.values()]
            rows.append([f"`{workload}`", *cells])
    return [title, "", *table(("", *(peer.title for peer in PEERS.values())), rows), ""] if rows else []


def failures(results: Results) -> list[str]:
    """Which peer failed where, with the last line of its errors."""
    found = {
        f"- `{workload}`, {PEERS[peer].title if peer in PEERS else peer}: {run['error']}": None
        for workload, peers in results.items() for peer, runs in peers.items() for run in runs if "error" in run
    }  # fmt: skip
    return ["## Failed", "", *found] if found else []


def versions(results: Results) -> list[str]:
    """Every version that took part."""
    found = (run.get("versions") for peers in results.values() for runs in peers.values() for run in runs)
    return ["; ".join(dict.fromkeys(text for text in found if text)) + "."]


def machine(results: Results) -> list[str]:
    """What the machine reached in plain matmul and copy during the run."""
    if "peak" not in results:
        return []
    rows = [
        [title, *(spread(values(results, "peak", side, key)) for key in ("gigaflops", "gigabytes"))]
        for side, title in (("jax", "XLA"), ("torch", "PyTorch"))
    ]
    return [*table(("the machine", "float32 matmul of 1024, GFLOP/s", "copy, GB/s read and written"), rows), ""]


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Markdown for a table."""
    head = list(head)
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def spread(numbers: list[float]) -> str:
    """Write a median with its range."""
    if not numbers:
        return "-"
    low, center, high = (brief(value) for value in (min(numbers), statistics.median(numbers), max(numbers)))
    return f"{center} ({low}-{high})" if low != high else center


def brief(value: float) -> str:
    """Write a number with three digits or all before the point."""
    digits = next((digits for limit, digits in ((1, 3), (10, 2), (100, 1)) if value < limit), 0)
    return f"{value:,.{digits}f}"


def processor() -> str:
    """Give the processor's name where the system tells it."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line), "")
