"""Make an environment for each peer in .venv-bench/, or note an interpreter that is already there.

`--torch-python PATH`, `--kyeo-python PATH` and so on use an existing one. PyTorch comes as the package index
gives it; for a build without CUDA set PIP_INDEX_URL to PyTorch's index of CPU builds, or give `--torch-python`.
`--base PATH` names the interpreter that makes the environments; a `--only` chooses some.
"""

import argparse
import json
import pathlib
import subprocess
import sys

__all__ = ["ENVIRONMENTS", "PACKAGES", "ROOT", "main"]

ROOT = pathlib.Path(__file__).parents[1]
ENVIRONMENTS = ROOT / ".venv-bench"
KERAS, TORCH = "keras>=3.15,<3.16", "torch>=2.13,<2.14"
PACKAGES = {
    "kyeo": ["--editable", str(ROOT)],
    "tensorflow": ["tensorflow-cpu>=2.21,<2.22" if sys.platform == "linux" else "tensorflow>=2.21,<2.22", KERAS],
    "keras_jax": [KERAS, "jax>=0.10.2"],
    "keras_torch": [KERAS, TORCH],
    "torch": [TORCH, "numpy"],
}


def main() -> None:
    """Make what is missing and write down which interpreter serves which peer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default=sys.executable, help="the Python that makes environments")
    parser.add_argument("--only", nargs="+", choices=PACKAGES, default=list(PACKAGES))
    for peer in PACKAGES:
        parser.add_argument(f"--{peer.replace('_', '-')}-python", type=pathlib.Path, help="one that has it already")
    options = parser.parse_args()
    ENVIRONMENTS.mkdir(exist_ok=True)
    notes = ENVIRONMENTS / "pythons.json"
    pythons = json.loads(notes.read_text()) if notes.exists() else {}
    for peer in options.only:
        given = getattr(options, f"{peer}_python")
        pythons[peer] = str((given or make(peer, options.base)).absolute())
        notes.write_text(json.dumps(pythons, indent=1))
        print(f"{peer}: {pythons[peer]}", flush=True)


def make(peer: str, base: str) -> pathlib.Path:
    """Make the environment and install the peer; give its interpreter."""
    folder = ENVIRONMENTS / peer
    subprocess.run([base, "-m", "venv", folder], check=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", *PACKAGES[peer]], check=True)
    return python


if __name__ == "__main__":
    main()
