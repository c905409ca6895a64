"""Write `kyeo/keras/*.pyi`: what `kyeo.keras` is, for editors and type checkers, which do not run its finder.

    python scripts/keras_stubs.py

A module of Keras's public API is a file here that names the module of Kyeo, so `from kyeo.keras.layers import Dense` is
known to them too. Python itself never reads these files: `kyeo/rooms.py` answers first, with the very modules of Kyeo.
"""

import pathlib

import keras

import kyeo

__all__ = ["main", "stubs"]

FOLDER = pathlib.Path(kyeo.__file__).parent / "keras"
HEAD = "# Written by scripts/keras_stubs.py: `kyeo.keras` for editors and type checkers.\n"
NOT_PUBLIC = {"src", "_tf_keras", "api", "__pycache__"}


def public_modules() -> list[str]:
    """The public modules of Keras, as `applications.vgg16`."""
    root = pathlib.Path(keras.__file__).parent
    paths = [path.relative_to(root) for path in root.rglob("*.py")]
    parts = [path.parent.parts if path.name == "__init__.py" else path.with_suffix("").parts for path in paths]
    return sorted({".".join(names) for names in parts if names and not NOT_PUBLIC & {*names}})


def stubs() -> dict[str, str]:
    """The text of each file, by its path in the folder."""
    modules = public_modules()
    texts = {"__init__.pyi": HEAD + _listed("kyeo", list({*kyeo.__all__} - {"keras", "__version__"}))}
    for name in modules:
        inner = [other.rpartition(".")[2] for other in modules if other.rpartition(".")[0] == name]
        path = name.replace(".", "/")
        text = f"from kyeo.{name} import *\n" + (_listed(f"kyeo.{name}", inner) if inner else "")
        texts[f"{path}/__init__.pyi" if inner else f"{path}.pyi"] = HEAD + text
    return texts


def _listed(module: str, names: list[str]) -> str:
    """`from module import a as a`, which is how a stub says that it gives a name on."""
    return f"from {module} import (\n" + "".join(f"    {name} as {name},\n" for name in sorted(names)) + ")\n"


def main() -> None:
    """Write the files."""
    for path, text in stubs().items():
        (FOLDER / path).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
