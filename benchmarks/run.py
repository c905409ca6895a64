"""Run the workloads for every peer in turns, and print medians, spreads and ratios. See README.md."""

import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from typing import TypeAlias

from setup_envs import ENVIRONMENTS, ROOT

__all__ = ["main"]

HERE = pathlib.Path(__file__).parent
Results: TypeAlias = dict[tuple[str, str], list[dict]]
COLUMNS = (("loss", ".3f"), ("compilations", ".0f"))
PEERS = ("kyeo", "keras", "torch")
WORKLOADS = ("cnn_step", "mlp_epoch", "predict_one", "build", "cold_start", "second_start")


def main() -> None:
    """Measure, print the report, and write it into RESULTS.md when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=WORKLOADS)
    parser.add_argument("--write", action="store_true", help="put the report into RESULTS.md")
    options = parser.parse_args()
    pythons = json.loads((ENVIRONMENTS / "pythons.json").read_text())
    results = measure_all(pythons, [w for w in WORKLOADS if w in options.only], options.rounds)
    text = report(results, options.rounds)
    print(text)
    if options.write:
        (HERE / "RESULTS.md").write_text(text, encoding="utf-8")


def measure_all(pythons: dict[str, str], workloads: list[str], rounds: int) -> Results:
    """Measure every pair of workload and peer, `rounds` times, the peers in turns."""
    results: Results = {}
    for number in range(rounds):
        for workload in workloads:
            for peer in PEERS[number % 3 :] + PEERS[: number % 3]:  # nobody is always first
                result = run_peer(pythons[peer], peer, workload)
                results.setdefault((workload, peer), []).append(result)
                print(f"{workload} {peer} {result['seconds'] * 1000:.3f} ms", file=sys.stderr, flush=True)
    return results


def run_peer(python: str, peer: str, workload: str) -> dict:
    """Run one workload in a process of its own with an empty home folder, and so with empty caches."""
    with tempfile.TemporaryDirectory() as home:
        settings = ("JAX_", "XLA_", "KERAS_", "XDG_", "PYTHONPATH")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(settings)}
        environment |= {"HOME": home, "JAX_PLATFORMS": "cpu"}
        if peer == "kyeo":
            environment["PYTHONPATH"] = str(ROOT)
        command = [python, str(HERE / f"peer_{peer}.py"), workload]
        if workload == "second_start":
            timed(command, environment)
        seconds, result = timed(command, environment)
    return {"seconds": seconds} | result


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, dict]:
    """Give the seconds from the start of the process to its result, and the result."""
    start = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if line.startswith("RESULT "):
                return time.perf_counter() - start, json.loads(line.removeprefix("RESULT "))
    raise RuntimeError(f"{' '.join(command)} gave no result; exit code {process.returncode}")


def report(results: Results, rounds: int) -> str:
    """Lay the results out as Markdown."""
    versions = ", ".join(dict.fromkeys(runs[0]["versions"] for runs in results.values()))
    lines = [
        "# Results",
        "",
        f"{datetime.date.today()}; {rounds} rounds in turns; {platform.system()} {platform.machine()}, "
        f"{processor()}, {os.cpu_count()} cores; {versions}.",
        "",
        "Times are medians in milliseconds, with the lowest and the highest round. A ratio above 1 means",
        "that kyeo is faster. README.md tells what a row times. Loss and compiled: kyeo, Keras, PyTorch.",
        "",
        "| workload | kyeo | Keras on JAX | PyTorch | Keras / kyeo | PyTorch / kyeo | loss | compiled |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for workload in dict.fromkeys(workload for workload, _ in results):
        runs = [results[workload, peer] for peer in PEERS]
        medians = [statistics.median(run["seconds"] for run in one) for one in runs]
        cells = [spread([run["seconds"] * 1000 for run in one]) for one in runs]
        cells += [f"{median / medians[0]:.2f}" for median in medians[1:]]
        cells += [", ".join(medians_of(one, key, style) for one in runs) for key, style in COLUMNS]
        lines.append(f"| `{workload}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def medians_of(runs: list[dict], key: str, style: str) -> str:
    """Give the median of another value, or a dash where the workload has none."""
    return format(statistics.median(run[key] for run in runs), style) if key in runs[0] else "-"


def spread(values: list[float]) -> str:
    """Write a median with its range, in milliseconds."""
    low, middle, high = (
        f"{value:,.3f}" if value < 10 else f"{value:,.1f}"
        for value in (min(values), statistics.median(values), max(values))
    )
    return f"{middle} ({low}-{high})"


def processor() -> str:
    """Give the processor's name where the system tells it."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line), "")


if __name__ == "__main__":
    main()
