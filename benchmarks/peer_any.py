"""What is measured in the same way for every peer: `python peer_any.py import|installed PEER`, as run.py calls it."""

import json
import os
import pathlib
import sys
import sysconfig
import time

from suite import PEERS

__all__ = ["main"]

TOOLS = ("pip", "setuptools", "wheel")


def import_seconds(peer: str) -> dict[str, float]:
    """Time the first lines of a program, up to the names a model needs."""
    os.environ["KERAS_BACKEND"] = peer.removeprefix("keras_")
    start = time.perf_counter()
    exec(PEERS[peer].imports, {})
    return {"seconds": time.perf_counter() - start}


def installed(peer: str) -> dict[str, float]:
    """Add up the environment's packages, and kyeo's own folder if it is not among them; without __pycache__."""
    folders = [pathlib.Path(folder) for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}]
    if peer == "kyeo" and not any((folder / "kyeo").exists() for folder in folders):
        folders.append(pathlib.Path(__file__).parents[1] / "kyeo")
    return {"megabytes": sum(size(folder) for folder in folders) / 1e6}


def size(folder: pathlib.Path) -> int:
    """Bytes of the files below, without installers and what Python made itself."""
    total = 0
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).parts
        if path.is_file() and "__pycache__" not in inside and not inside[0].startswith(TOOLS):
            total += path.stat().st_size
    return total


def main() -> None:
    """Run the workload named on the command line and report."""
    workload, peer = sys.argv[1:]
    result = {"import": import_seconds, "installed": installed}[workload](peer)
    print("RESULT " + json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
