"""Run the guide programs of tests/guides under Keras itself, with only the import changed: are they Keras programs?

    KERAS_BACKEND=jax python scripts/run_guides_in_keras.py [words that choose tests, as after `pytest -k`]

Each file is written anew with Keras's name where Kyeo's stood, into a temporary folder, and run there by pytest.
All must pass, but the three that Keras needs TensorFlow for, where it is not installed.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

__all__ = ["main", "translated"]

GUIDES = pathlib.Path(__file__).parents[1] / "tests" / "guides"


def translated(text: str) -> str:
    """The program with Keras for Kyeo in its imports; nothing else is changed."""
    text = re.sub(r"^import kyeo as keras$", "import keras", text, flags=re.MULTILINE)
    return re.sub(r"^from kyeo\b", "from keras", text, flags=re.MULTILINE)


def main() -> int:
    """Run the programs; 0 if all pass."""
    with tempfile.TemporaryDirectory() as folder:
        fixtures = f"import sys\n\nsys.path.insert(0, {str(GUIDES.parents[1])!r})\nfrom tests.conftest import digits\n"
        (pathlib.Path(folder) / "conftest.py").write_text(fixtures, encoding="utf-8")
        for path in sorted(GUIDES.glob("test_*.py")):
            text = translated(path.read_text(encoding="utf-8"))
            (pathlib.Path(folder) / path.name).write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder, folder]
        chosen = ["-k", " ".join(sys.argv[1:])] if sys.argv[1:] else []
        environment = {"KERAS_BACKEND": "jax", **os.environ}
        return subprocess.run([*command, *chosen], env=environment, cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
