"""Make an environment for each peer in .venv-bench/, or note an interpreter that is already there.

`--torch-python PATH`, `--keras-python PATH`, `--kyeo-python PATH` use an existing one. PyTorch comes as
the package index gives it; for a build without CUDA set PIP_INDEX_URL to PyTorch's index of CPU builds
or give `--torch-python`.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import venv

__all__ = ["ENVIRONMENTS", "main"]

ROOT = pathlib.Path(__file__).parents[1]
ENVIRONMENTS = ROOT / ".venv-bench"
PACKAGES = {
    "kyeo": ["--editable", str(ROOT)],
    "keras": ["keras>=3.15,<3.16", "jax>=0.10.2"],
    "torch": ["torch>=2.13,<2.14", "numpy"],
}


def main() -> None:
    """Make what is missing and write down which interpreter serves which peer."""
    parser = argparse.ArgumentParser(description=__doc__)
    for peer in PACKAGES:
        parser.add_argument(f"--{peer}-python", type=pathlib.Path, help="an interpreter that has it already")
    given = vars(parser.parse_args())
    pythons = {}
    for peer, packages in PACKAGES.items():
        python = given[f"{peer}_python"]
        if python is None:
            python = ENVIRONMENTS / peer / "bin" / "python"
            venv.create(ENVIRONMENTS / peer, with_pip=True)
            subprocess.run([python, "-m", "pip", "install", *packages], check=True)
        pythons[peer] = str(python.absolute())
    ENVIRONMENTS.mkdir(exist_ok=True)
    (ENVIRONMENTS / "pythons.json").write_text(json.dumps(pythons, indent=1))
    print(f"Made with {sys.executable}: {pythons}")


if __name__ == "__main__":
    main()
