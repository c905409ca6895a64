"""ExportArchive: several endpoints in one file, used without the model; a file that was changed is refused."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export as jax_export

import kyeo
from kyeo import layers
from kyeo.export import ExportArchive, container, load
from kyeo.export.programs import bytecode_of
from tests.saving.hostile.archives import archived


def make():
    model = kyeo.Sequential([kyeo.Input((3,)), layers.Dense(4, activation="relu"), layers.BatchNormalization(), layers.Dense(2)])
    model.compile("adam", "mse")
    archive = ExportArchive()
    archive.track_and_add_endpoint("serve", model, [kyeo.InputSpec(shape=(None, 3), dtype="float32")])
    archive.add_endpoint("learn", lambda x: model(x, training=True), [((None, 3), "float32")])
    archive.add_endpoint("static", lambda x: model(x, training=True), [((None, 3), "float32")], is_static=True)
    archive.add_endpoint("named", lambda pair, scale: {"out": model(pair[0]) * scale + pair[1]},
                         [[((None, 3), "float32"), ((None, 2), "float32")], ((), "float32")])
    archive.add_variable_collection("optimizer_variables", model.optimizer.variables)
    return model, archive


def test_endpoints(tmp_path, capsys):
    model, archive = make()
    archive.write_out(tmp_path / "m")
    assert "serve, learn, static, named" in capsys.readouterr().out
    loaded = load(tmp_path / "m")
    assert list(loaded.endpoints) == ["serve", "learn", "static", "named"]
    assert [v.path for v in loaded.variables] == [v.path for v in archive.variables] == [v.path for v in model.variables][:len(model.weights)]
    assert len(loaded.trainable_variables) == len(model.trainable_variables) == len(archive.trainable_variables)
    assert [v.path for v in loaded.optimizer_variables] == [v.path for v in model.optimizer.variables]
    assert "serve" in repr(loaded) and "float32[batch,3]" in repr(loaded.serve).replace(" ", "").replace("(", "[").replace(")", "]")
    for rows in (1, 4):
        x = np.random.default_rng(rows).normal(size=(rows, 3))  # float64: cast as the program wants it
        np.testing.assert_allclose(loaded.serve(x), model(x.astype("float32")), atol=1e-6)
        pair = [x, np.ones((rows, 2), "float32")]
        np.testing.assert_allclose(loaded.named(pair, 2)["out"], model(pair[0].astype("float32")) * 2 + 1, atol=1e-5)
    moving = loaded.non_trainable_variables[0]
    before = moving.numpy()
    loaded.static(x)
    np.testing.assert_array_equal(moving, before)
    np.testing.assert_allclose(loaded.learn(x), model(x.astype("float32"), training=True), atol=1e-5)
    np.testing.assert_allclose(moving, model.non_trainable_variables[0], atol=1e-6)
    assert not np.array_equal(moving, before)
    with pytest.raises(ValueError, match="cannot take these inputs"):
        loaded.serve(np.ones((2, 5)))
    with pytest.raises(AttributeError, match="serve, learn"):
        loaded.other


@pytest.mark.parametrize("call, message", [
    (lambda a: a.add_endpoint("x y", abs, []), "letters"), (lambda a: a.add_endpoint("_x", abs, []), "letters"),
    (lambda a: a.add_endpoint("f", abs), "each argument"), (lambda a: a.add_endpoint("f", abs, [3]), "no spec"),
    (lambda a: a.add_endpoint("f", abs, [((2,), "string")]), "not text"), (lambda a: a.track(3), "holds variables"),
    (lambda a: a.track(layers.Dense(2)), "no weights"), (lambda a: a.write_out("x"), "no endpoint"),
    (lambda a: a.add_variable_collection("v", [3]), "list of variables"), (lambda a: a.add_variable_collection("variables", []), "cannot be used"),
    (lambda a: ExportArchive("saved_model"), "stablehlo"), (lambda a: a.add_endpoint("f", abs, [((2,), "float32")], jax2tf_kwargs={}), "no such argument"),
    (lambda a: [a.add_endpoint("f", jnp.abs, [((2,), "float32")]) for _ in "ab"], "taken"),
])
def test_refusals(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(ExportArchive())


def test_changed_files_are_refused(tmp_path):
    """Cut off at many places, a bit turned at many places, a header that lies, a program that calls back into Python."""
    archive = ExportArchive()
    archive.add_endpoint("f", lambda x: x + 1, [((None,), "float32")])
    archive.add_variable_collection("kept", [kyeo.Variable([1.0, 2.0], name="v")])
    good, bad = tmp_path / "good", tmp_path / "bad"
    archive.write_out(good, verbose=False)
    data = good.read_bytes()
    assert load(good).kept[0].numpy().tolist() == [1, 2]
    for at in range(0, len(data), 37):
        bad.write_bytes(data[:at])
        with pytest.raises(ValueError, match="not whole"):
            load(bad)
        bad.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1:])
        with pytest.raises(ValueError, match="not whole"):
            load(bad)
    facts, parts = container.read_parts(good)
    facts.pop("parts")
    for change in ({"variables": [{"path": "v", "shape": [1 << 40], "dtype": "float32", "trainable": True}]}, {"endpoints": []},
                   {"variables": [{"path": "v", "shape": [2], "dtype": "object", "trainable": True}]}, {"collections": {"kept": [7]}},
                   {"collections": 3}, {"variables": [{}]}, {"tracked": "x"}):
        container.write_parts(bad, {**facts, **change}, parts)
        with pytest.raises(ValueError, match=r"This file|A variable of this file|A program in this file"):
            load(bad)
    for header in ({}, {"parts": 3}, {"parts": [{}]}, {"parts": [{"size": 1 << 60, "sha256": ""}]}, {"parts": [{"size": "1", "sha256": ""}]}):
        bad.write_bytes(archived(header, []))
        with pytest.raises(ValueError, match="not whole"):
            load(bad)
    calling = jax_export.export(jax.jit(lambda x: jax.pure_callback(lambda v: v, x, x)),
                                disabled_checks=[jax_export.DisabledSafetyCheck.custom_call("xla_ffi_python_cpu_callback")])
    with pytest.raises(Exception, match=r"callback|effect|serializ"):
        calling(jax.ShapeDtypeStruct((2,), "float32")).serialize()  # JAX does not write such a program itself
    for text, message in (
            ('%0 = stablehlo.custom_call @xla_ffi_python_cpu_callback(%x) : (tensor<2xf32>) -> tensor<2xf32>', "not part of Stab"),
            ('%0 = stablehlo.custom_call @"a b"(%x) : (tensor<2xf32>) -> tensor<2xf32>', "not part of StableHLO"),
            ('%0 = "stablehlo.custom_call"(%x) <{call_target_name = "xla_python_cpu_callback"}> : (tensor<2xf32>) -> tensor<2xf32>',
             "not part of StableHLO"),
            ('%0 = arith.constant 1 : i32', "not part of StableHLO"), ("%0 = tuple<" + "(" * 101, "100 deep"),
            ("%0 = stablehlo.add %x, %x // : tensor<2xf32>", "'//' in a program")):
        with pytest.raises(ValueError, match=message):
            bytecode_of(f"module {{ func.func @main(%x: tensor<2xf32>) {{ {text}\n return }} }}", "f")
    assert json.loads(json.dumps(facts)) == facts


def test_linear_algebra_runs(tmp_path):
    archive = ExportArchive()
    archive.add_endpoint("f", jnp.linalg.cholesky, [((None, 2, 2), "float32")])
    archive.write_out(tmp_path / "m", verbose=False)
    x = np.array([[[4, 2], [2, 3]]], "float32")
    np.testing.assert_allclose(load(tmp_path / "m").f(x), np.linalg.cholesky(x), atol=1e-5)
