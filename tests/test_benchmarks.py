"""The benchmarks' tables agree with each other: read without the peers, which have environments of their own."""

import ast
import importlib
import pathlib
import sys

import pytest

FOLDER = pathlib.Path(__file__).parents[1] / "benchmarks"
MODULES = ("data", "setup_envs", "suite", "tables")


@pytest.fixture
def load(monkeypatch):
    """Import modules of benchmarks/ as its scripts do, and forget them afterwards."""
    monkeypatch.syspath_prepend(FOLDER)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield lambda *names: [importlib.import_module(name) for name in names]
    for name in MODULES:
        sys.modules.pop(name, None)


def keys(file, table, suite):
    """The keys of a dictionary literal at the top of a file; `for name in TRAINING` stands for all trainings."""
    tree = ast.parse((FOLDER / file).read_text(encoding="utf-8"))
    found = [
        n for n in tree.body if isinstance(n, ast.Assign | ast.AnnAssign) and table in ast.unparse(n).split("=")[0]
    ]
    literals = [n for n in ast.walk(found[0].value) if isinstance(n, ast.Dict)]
    names = {key.value for literal in literals for key in literal.keys}
    return names | set(suite.TRAINING) if "TRAINING" in ast.unparse(found[0]) else names


@pytest.mark.parametrize("kind", ["keras", "torch"])
def test_every_workload_is_there_for_every_peer(load, kind):
    (suite,) = load("suite")
    measured = {name for name, row in suite.WORKLOADS.items()
                if any(suite.PEERS[peer].script == f"peer_{kind}.py" for peer in row.peers)}
    assert keys(f"peer_{kind}.py", "WORKLOADS", suite) | {"import", "installed"} == measured
    assert keys(f"models_{kind}.py", "MODELS", suite) == set(suite.TRAINING)


def test_peers_have_scripts_and_environments(load):
    suite, setup = load("suite", "setup_envs")
    assert {peer.environment for peer in suite.PEERS.values()} == set(setup.PACKAGES)
    assert keys("peer_keras.py", "ENGINES", suite) == {"kyeo", *suite.KERAS}
    assert all((FOLDER / peer.script).is_file() for peer in suite.PEERS.values())


def test_trainings_have_data_and_losses(load):
    suite, data = load("suite", "data")
    for plan in suite.TRAINING.values():
        x, y = getattr(data, plan.data)(plan.rows)
        assert len(x) == len(y) == plan.rows
    assert keys("models_torch.py", "LOSSES", suite) == {plan.loss for plan in suite.TRAINING.values()}


def test_bars_name_what_is_measured(load):
    (suite,) = load("suite")
    for bar in suite.BARS:
        assert set(bar.against) <= set(suite.PEERS) - {"kyeo"}
    assert {row.workload for row in (*suite.BARS, *suite.LIMITS)} <= set(suite.WORKLOADS)


def test_readme_explains_every_workload(load):
    (suite,) = load("suite")
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [name for name in suite.WORKLOADS if f"`{name}`" not in text] == []


def test_report(load):
    _, tables = load("suite", "tables")

    def runs(*seconds, **more):
        return [{"seconds": value, "versions": "v 1", **more} for value in seconds]

    results = {
        "cnn_32": {"kyeo": runs(0.03, 0.01, 0.02, loss=0.4), "keras_jax": runs(0.04, loss=0.5) + runs(9.0, busy=0.3), "torch": runs(0.03, loss=3.0)},
        "lstm": {"kyeo": [{"error": "AttributeError: no LSTM"}], "torch": runs(0.5)},
        "fit_batch": {"kyeo": runs(0.002, busy=0.3)},
        "peak": {"jax": [{"gigaflops": 200.0, "gigabytes": 20.0}]},
    }  # fmt: skip
    text = tables.report(results)
    assert "| `cnn_32` | at least 1.3 x best | 1.50 (PyTorch) | yes |" in text
    assert "| `cnn_32` | at least 2.2 x Keras on JAX | 2.00 (Keras on JAX) | **no** |" in text
    assert "| 20.0 (10.0-30.0) | - | 40.0 | - | 30.0 | - | 1.50 |" in text
    assert "| `cnn_32` | 0.400 | - | 0.500 | - | 3.000 ! | - |" in text
    assert "| `fit_batch` | at most 0.001 seconds for a `fit` on one batch | 0.002 | **no** |" in text
    assert "| `lstm` | at least 1.3 x best | - | not measured |" in text
    assert "- `lstm`, kyeo: AttributeError: no LSTM" in text
    assert "one batch, MLP 20-32-16-1, ms | 2.00 | - | - | - | - | - | - ~ |" in text
    assert "| XLA | 200 | 20.0 |" in text
