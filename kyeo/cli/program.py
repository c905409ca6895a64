"""`kyeo run program.py`: a program that says `import keras` runs on Kyeo, unchanged."""

import argparse
import os
import runpy
import sys
import tempfile
from pathlib import Path

from kyeo.compat import install_as_keras

__all__ = ["run"]

# What processes that the program starts find first as `keras`: workers that read data, say.
_KERAS_PY = """import sys
from kyeo.compat import install_as_keras
del sys.modules["keras"]
install_as_keras()
import keras
"""


def run(options: argparse.Namespace) -> int:
    """Run the program as `python` would, with Kyeo in the place of Keras, in it and in the processes that it starts.

    Its errors and its exit code pass through.
    """
    if not options.as_module and not Path(options.program).is_file():
        raise SystemExit(f"kyeo run: there is no file {options.program!r}")
    install_as_keras()
    sys.argv = [options.program, *options.arguments]
    with tempfile.TemporaryDirectory(prefix="kyeo-run-") as folder:
        Path(folder, "keras.py").write_text(_KERAS_PY)
        sys.path.insert(0, folder)  # workers of `multiprocessing` get this path, others the variable
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
        if options.as_module:
            sys.path.insert(0, "")
            runpy.run_module(options.program, run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, str(Path(options.program).resolve().parent))
            runpy.run_path(options.program, run_name="__main__")
    return 0
