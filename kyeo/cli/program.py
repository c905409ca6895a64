"""`kyeo run program.py`: a program that says `import keras` runs on Kyeo, unchanged."""

import argparse
import runpy
import sys
from pathlib import Path

from kyeo.compat import install_as_keras

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Run the program as `python` would, with Kyeo in the place of Keras. Its errors and its exit code pass through.

    """
    if not options.as_module and not Path(options.program).is_file():
        raise SystemExit(f"kyeo run: there is no file {options.program!r}")
    install_as_keras()
    sys.argv = [options.program, *options.arguments]
    if options.as_module:
        sys.path.insert(0, "")
        runpy.run_module(options.program, run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(options.program).resolve().parent))
        runpy.run_path(options.program, run_name="__main__")
    return 0
