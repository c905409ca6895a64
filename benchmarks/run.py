"""Run the workloads for every peer in turns, and print bars, times, ratios and losses. See README.md."""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
from typing import IO, Any

from setup_envs import ENVIRONMENTS, ROOT
from suite import KERAS, PEERS, WORKLOADS
from tables import Results, report

__all__ = ["main"]

HERE = pathlib.Path(__file__).parent
ANY = ("import", "installed")  # workloads of peer_any.py
PEAKS = {"jax": "kyeo", "torch": "torch"}  # peak.py's argument, the environment that has it


def main() -> None:
    """Measure, print the report, and write it into RESULTS.md when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="0 only prints what --keep has")
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="WORKLOAD")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), metavar="PEER")
    parser.add_argument("--timeout", type=float, default=300, help="seconds a process may take")
    parser.add_argument("--keep", type=pathlib.Path, metavar="FILE", help="add to the measurements in this file")
    parser.add_argument("--write", action="store_true", help="put the report into RESULTS.md")
    options = parser.parse_args()
    results: Results = {}
    if options.keep and options.keep.exists():
        results = json.loads(options.keep.read_text())
    measure_all(results, options)
    text = report(results)
    print(text)
    if options.write:
        (HERE / "RESULTS.md").write_text(text, encoding="utf-8")


def measure_all(results: Results, options: argparse.Namespace) -> None:
    """Measure every pair of workload and peer, `rounds` times, the peers in turns."""
    pythons = json.loads((ENVIRONMENTS / "pythons.json").read_text())
    for number in range(options.rounds):
        for side, environment in PEAKS.items():
            keep(results, "peak", side, timed([pythons[environment], str(HERE / "peak.py"), side], {}, 60), options)
        for workload in options.only:
            peers = [peer for peer in WORKLOADS[workload].peers if peer in options.peers]
            turn = number % max(len(peers), 1)
            for peer in peers[turn:] + peers[:turn]:  # nobody is always first
                keep(results, workload, peer, run_peer(pythons, peer, workload, options.timeout), options)


def keep(results: Results, workload: str, peer: str, result: dict[str, Any], options: argparse.Namespace) -> None:
    """File one result, tell it, and save all."""
    results.setdefault(workload, {}).setdefault(peer, []).append(result)
    shown = {key: round(value, 5) if isinstance(value, float) else value for key, value in result.items()}
    print(f"{workload} {peer} {shown}", file=sys.stderr, flush=True)
    if options.keep:
        options.keep.write_text(json.dumps(results, indent=1))


def run_peer(pythons: dict[str, str], peer: str, workload: str, timeout: float) -> dict[str, Any]:
    """Run one workload in a process of its own with an empty home folder, and so with empty caches."""
    if PEERS[peer].environment not in pythons:
        return {"error": "no environment; see setup_envs.py"}
    script = "peer_any.py" if workload in ANY else PEERS[peer].script
    command = [pythons[PEERS[peer].environment], str(HERE / script), workload, peer]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        own = {"HOME": home, "TORCHINDUCTOR_CACHE_DIR": str(pathlib.Path(home) / "inductor")}
        if peer == "kyeo":
            own["PYTHONPATH"] = str(ROOT)
        if peer in KERAS:
            own["TF_CPP_MIN_LOG_LEVEL"] = "2"
        if workload == "start_warm":
            timed(command, own, timeout)
        return timed(command, own, timeout)


def timed(command: list[str], own: dict[str, str], timeout: float) -> dict[str, Any]:
    """Give what the process reports, or why it did not; `seconds` from its start to its report if it has none."""
    settings = ("JAX_", "XLA_", "KERAS_", "KYEO_", "TF_", "TORCHINDUCTOR_", "XDG_", "PYTHONPATH", "PYTHONDONTWRITE")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(settings)} | {"JAX_PLATFORMS": "cpu"} | own
    start, result, before = time.perf_counter(), None, processor_time()
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            watch = threading.Timer(timeout, process.kill)
            watch.start()
            for line in process.stdout or ():
                if line.startswith("RESULT "):
                    result = {"seconds": time.perf_counter() - start} | json.loads(line.removeprefix("RESULT "))
            process.wait()
            watch.cancel()
        if result is None:
            return {"error": reason(errors, process.returncode, time.perf_counter() - start >= timeout)}
    return result | {"busy": busy(before)}


def processor_time() -> tuple[float, float, float]:
    """Seconds since some start: by the clock, of work on all processors (Linux tells), of work of our children."""
    try:
        ticks = [int(number) for number in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
        work = (sum(ticks[:3]) + ticks[7]) / os.sysconf("SC_CLK_TCK")  # user, nice, system; other guests of the host
    except OSError:
        work = 0.0
    own = os.times()
    return time.perf_counter(), work, own.children_user + own.children_system


def busy(before: tuple[float, float, float]) -> float:
    """The share of the processors that other programs took since then; 0 where the system does not tell."""
    seconds, work, ours = (b - a for a, b in zip(before, processor_time()))
    return max(work - ours, 0) / seconds / (os.cpu_count() or 1)


def reason(errors: IO[str], code: int, late: bool) -> str:
    """Give the last line a process wrote to its errors."""
    errors.seek(0)
    lines = [line.strip() for line in errors if line.strip()]
    return "took too long" if late else (lines[-1] if lines else f"exit code {code}")


if __name__ == "__main__":
    main()
