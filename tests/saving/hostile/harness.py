"""The tests' side of `zygote.py`: starts it, gives it jobs, and judges what became of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

__all__ = ["Canary", "Harness", "verdict"]

ROOT = Path(__file__).parents[3]
SECONDS, MEMORY = 5, 64 * 2**20
DOCUMENTED = {"ValueError", "TypeError", "FileNotFoundError"}


class Canary:
    """A folder with secrets that nobody may read and nothing may change."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.token = "canary-" + os.urandom(8).hex()
        folder.mkdir()
        (folder / "secret.txt").write_text(self.token + "\n" * 3 + self.token[:5])
        (folder / "secret.bin").write_bytes(self.token.encode().ljust(48, b"!"))
        (folder / "evil.py").write_text("raise SystemExit('imported')\n")
        (folder / "saved_model").mkdir()
        (folder / "saved_model" / "saved_model.pb").write_bytes(b"\x08\x01")
        with h5py.File(folder / "secret.h5", "w") as file:
            file["0"] = np.frombuffer((folder / "secret.bin").read_bytes(), "float32").reshape(3, 4)
        np.save(folder / "pickled.npy", np.array([{}], object), allow_pickle=True)

    def words(self) -> dict[str, str]:
        """What a job may want to know."""
        return {"secret": str(self.folder / "secret.txt"), "token": self.token,
                "pickled": str(self.folder / "pickled.npy")}


class Harness:
    """The running zygote."""

    def __init__(self, canary: Canary, benign: list[dict]):
        self.canary = canary
        self._process = self._start()
        try:
            head = self._ask({"benign": benign, "watched": str(canary.folder)})
        except BaseException:
            self.close()
            raise
        self.allowed, self.memory, self.modules = head["allowed"], head["memory"], head["modules"]

    def _start(self) -> subprocess.Popen:
        paths = [str(ROOT), str(self.canary.folder), os.environ.get("PYTHONPATH", "")]
        return subprocess.Popen([sys.executable, "-m", "tests.saving.hostile.zygote"], cwd=ROOT, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))})

    def _ask(self, message: dict) -> dict:
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the zygote ended with {self._process.wait()} at {message}"
        return json.loads(line)

    def run(self, path: Path, entry: str, **job) -> dict:
        """What became of a file."""
        return self._ask({"path": str(path), "entry": entry, **self.canary.words(), **job})

    def run_afresh(self, path: Path, entry: str, **job) -> dict:
        """The same in an interpreter that has done nothing else."""
        job = {"path": str(path), "entry": entry, **self.canary.words(), **job}
        with self._start() as process:
            out, _ = process.communicate(json.dumps({"direct": job, "allowed": self.allowed, "modules": self.modules}) + "\n")
        return json.loads(out)

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def verdict(result: dict, size: int, harness: Harness, refused: bool | None = None) -> list[str]:
    """What is wrong with the way a file was taken; nothing where it was refused in order, or did no harm."""
    wrong = [f"{event} {about}" for event, about in result["events"]]
    if result["outcome"] not in ("done", "error"):
        wrong.append(f"{result['outcome']}: {result['kind']} {result['message'][:300]}")
    if result["outcome"] == "error" and not (result["told"] and DOCUMENTED & set(result["bases"])):
        wrong.append(f"an error that is not documented: {result['kind']} {result['message'][:300]}")
    if result["leaked"]:
        wrong.append("the secret shows")
    if result["trapped"]:
        wrong.append("a registered function was called where none was expected")
    if result["watched"]:
        wrong.append("the canary folder was opened or changed")
    if result["seconds"] >= SECONDS:
        wrong.append(f"{result['seconds']:.1f} s")
    if result["memory"] > harness.memory + 3 * size + MEMORY:
        wrong.append(f"{result['memory'] >> 20} MB, where benign files take {harness.memory >> 20}")
    if refused is not None and (result["outcome"] == "error") != refused:
        wrong.append("it was not refused" if refused else f"it was refused: {result['message'][:300]}")
    return wrong
