"""Every Python block of the README runs as it stands there, the other language's are the same, links lead to files."""

import pathlib
import re

import pytest

import kyeo
from kyeo.datasets import mnist

ROOT = pathlib.Path(__file__).parents[1]
READMES = ("README.md", "README.ko.md")


def blocks(name):
    return re.findall(r"^```python\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.M | re.S)


def test_snippets(monkeypatch, tmp_path, capsys):
    (x, y), (x_test, y_test) = mnist.load_sample()
    monkeypatch.setattr(mnist, "load_sample", lambda: ((x[:64], y[:64]), (x_test[:32], y_test[:32])))
    monkeypatch.chdir(tmp_path)
    kyeo.utils.set_random_seed(0)
    names = {"__name__": "README.md"}
    with pytest.warns(UserWarning, match="using SparseCategoricalAccuracy"):
        for number, block in enumerate(blocks("README.md")):
            exec(compile(block, f"README.md, block {number}", "exec"), names)
    assert {"basic_cnn", "2.0"} <= set(re.findall(r"basic_cnn|2\.0", capsys.readouterr().out))
    assert (tmp_path / "digits.keras").is_file()


def test_both_say_the_same():
    """The Korean README has the same programs; only comments may be in Korean."""
    english, korean = ([re.sub(r"  #.*", "", block) for block in blocks(name)] for name in READMES)
    assert english == korean and len(english) >= 3


@pytest.mark.parametrize("name", READMES)
def test_links(name):
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert not missing
