"""The benchmarks' tables agree with each other: read without the peers, which have environments of their own."""

import ast
import importlib
import pathlib
import sys

import numpy as np
import pytest

import kyeo
from kyeo.train import prepare

FOLDER = pathlib.Path(__file__).parents[1] / "benchmarks"
MODULES = ("data", "floors", "models_keras", "setup_envs", "suite", "tables")


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


def test_floors_count_what_the_step_of_a_dense_network_does(load):
    floors, networks, suite = load("floors", "models_keras", "suite")
    model, batch = networks.MODELS["mnist_mlp"](kyeo), suite.TRAINING["mnist_mlp"].batch
    model.compile("adam", "sparse_categorical_crossentropy")
    x, y = np.zeros((batch, 784), "float32"), np.zeros(batch, "int32")
    prepare.build_for(model, (x, y, None))
    traced = model.runner("train")._cost((x, y, None), None).flops
    products = 784 * 512 + 512 * 512 + 512 * 10
    assert floors.work_of(model, batch).operations == 2 * batch * (3 * products - 784 * 512) == traced
    assert floors.work_of(model, 1, training=False).operations == 2 * products
    weights, outputs = products + 512 + 512 + 10, 512 + 512 + 10
    assert floors.work_of(model, batch).bytes == 4 * (6 * weights + batch * (784 + 4 * outputs))


def test_floors_know_the_layers_of_every_training(load):
    floors, networks, suite = load("floors", "models_keras", "suite")
    found = {name: floors.work_of(networks.MODELS[name](kyeo), 1) for name in suite.TRAINING}
    assert found["bidirectional"].operations == 2 * found["lstm"].operations  # two readers, a score of twice the inputs
    assert found["gru"].operations < found["lstm"].operations and min(w.operations for w in found.values()) > 0


def test_floors_tell_products_from_the_rest(load):
    (floors,) = load("floors")
    program = """HloModule step, entry_computation_layout={(f32[4,4]{1,0})->f32[4,4]{1,0}}

%fused_computation (p.1: f32[4,4], p.2: f32[4,4]) -> f32[4,4] {
  %p.1 = f32[4,4]{1,0} parameter(0)
  ROOT %dot.9 = f32[4,4]{1,0} dot(%p.1, %p.2), lhs_contracting_dims={1}
}

%other (p.3: f32[4,4]) -> f32[4,4] {
  %p.3 = f32[4,4]{1,0} parameter(0)
  ROOT %add.9 = f32[4,4]{1,0} add(%p.3, %p.3)
}

ENTRY %main (x.1: f32[4,4]) -> f32[4,4] {
  %x.1 = f32[4,4]{1,0} parameter(0)
  %ynn_fusion = f32[4,4]{1,0} fusion(%x.1, %x.1), kind=kCustom, calls=%fused_computation, metadata={op_name="relu"}
  %add_fusion.1 = f32[4,4]{1,0} fusion(%ynn_fusion), kind=kLoop, calls=%other, metadata={op_name="dot("}
  %conv.2 = (f32[4,4]{1,0}, u8[0]{0}) custom-call(%x.1), custom_call_target="__onednn$convolution"
  %while.3 = (s32[], f32[4,4]{1,0}) while(%tuple), condition=%c, body=%b
  ROOT %copy.4 = f32[4,4]{1,0} copy(%add_fusion.1)
}
"""
    kinds = floors.kinds_of(program)
    names = ("ynn_fusion", "add_fusion.1", "conv.2__onednn$convolution", "while.3", "copy.4")
    assert [kinds[name] for name in names] == ["products", "element by element", "convolutions", "", "copies"]
