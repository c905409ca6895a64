"""Meshes, layouts and distributions; trainings on four virtual devices in a process of their own."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kyeo
from kyeo.core import processes

PROGRAM = pathlib.Path(__file__).with_name("program.py")


def test_on_four_devices_as_on_one(tmp_path):
    root = str(PROGRAM.parents[2])
    flags = "--xla_force_host_platform_device_count=4"
    done = subprocess.run(
        [sys.executable, "-W", "error", str(PROGRAM), str(tmp_path / "m.keras")], capture_output=True, text=True,
        timeout=300, env={**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": root, "KYEO_COMPILE_CACHE": "0",
                                "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found.pop("kernel"), found.pop("slot")) == ("P(None, 'model')",) * 2
    assert max(found.values()) < 1e-5, found


def test_two_processes_train_as_one_and_go_on(tmp_path):
    """The last of two processes is asked to end: both save and leave; begun again they reach the same bits."""
    env = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2", "PYTHONPATH": str(PROGRAM.parents[2]),
           "KYEO_COMPILE_CACHE": "0", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = str(listening.getsockname()[1])
    running = [subprocess.Popen([sys.executable, str(PROGRAM.with_name("together.py")), tmp_path, port, mine], env=env,
                                text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for mine in "01"]
    for process, (out, err) in [(process, process.communicate(timeout=170)) for process in running]:
        assert process.returncode == 0, err[-2000:]
        found = json.loads(out.split("here ")[-1])
        error = found.pop("error")
        assert "12 rows x 2 in process 0, 12 rows x 1 in process 1" in error
        assert "process 0: the variable own () float32" in error and "do not do the same" in error
        for name in ("data rows", "model rows", "as one"):
            assert max(found.pop(name)) < 1e-5, name
        assert all(all(same) for same in found.values()) and len(found) == 9, found


def test_meshes_and_layouts_as_in_keras():
    assert kyeo.distribution.list_devices() == keras.distribution.list_devices()
    assert kyeo.distribution.get_device_count("CPU") == keras.distribution.get_device_count("CPU")
    for room in (kyeo.distribution, keras.distribution):
        mesh = room.DeviceMesh((1, 1), ["batch", "model"], [["cpu:0"]])
        assert mesh.devices.shape == (1, 1) and mesh.backend_mesh.axis_names == ("batch", "model")
        layouts = room.LayoutMap(mesh)
        layouts[".*kernel"] = ("batch", "model")
        layouts["a/bias"] = room.TensorLayout(["model"])
        assert [layouts[path] and layouts[path].axes for path in ("x/kernel", "a/bias", "b/bias")] == [
            ("batch", "model"), ("model",), None]
        parallel = room.ModelParallel(layout_map=layouts)
        assert (parallel.batch_dim_name, parallel.num_model_replicas, parallel.num_processes) == ("batch", 1, 1)
        assert parallel.get_data_layout((3, 4)).axes == ("batch", None) and parallel.get_tensor_layout("x") is None
        assert parallel.data_shard_id == 0 and parallel.auto_shard_dataset
        layout = room.TensorLayout(["batch", None], mesh)
        made = room.distribute_tensor(jnp.ones((2, 3)), layout)
        assert made.sharding.is_equivalent_to(layout.backend_layout, 2)
        jitted = jax.jit(lambda x, layout=layout, room=room: room.distribute_tensor(x, layout) * 2)(jnp.ones((2, 3)))
        np.testing.assert_array_equal(jitted, np.full((2, 3), 2))
        with room.DataParallel().scope():
            assert room.distribution().get_variable_layout(kyeo.Variable([1.0, 2.0])).axes == (None,)
        assert room.distribution() is None


def test_errors():
    room = kyeo.distribution
    mesh = room.DeviceMesh((1,), ["batch"], ["cpu:0"])
    layouts = room.LayoutMap(mesh)
    layouts[".*"] = layouts["a.*"] = ("batch",)
    for bad in (lambda: room.DeviceMesh((2,), ["batch"], ["cpu:0"]), lambda: room.DeviceMesh((1,), [], ["cpu:0"]),
                lambda: room.TensorLayout(["x"], mesh), lambda: room.TensorLayout(["batch"]).backend_layout,
                lambda: layouts["ab"], lambda: layouts.update({".*": ("batch",)}), lambda: room.ModelParallel(),
                lambda: room.ModelParallel(layout_map=layouts, batch_dim_name="x"), lambda: room.set_distribution(3),
                lambda: room.DeviceMesh((1,), ["batch"], ["cpu:99"]).backend_mesh,
                lambda: room.initialize("a:1,b:2", num_processes=3)):
        with pytest.raises((ValueError, TypeError), match="Received:"):
            bad()
    symbol = kyeo.Input((3,))
    assert room.distribute_tensor(symbol, room.TensorLayout(["batch", None], mesh)) is symbol


@pytest.mark.parametrize("address, fix", [("127.0.1.1", "write `10.0.0.2 here` into /etc/hosts"), ("10.0.0.2", "firewalls")])
def test_a_name_that_leads_back_to_its_own_machine(address, fix, monkeypatch):
    """As Debian gives it to a machine; the one that cannot be reached is told what to write instead."""
    monkeypatch.setattr(processes.socket, "gethostname", lambda: "here")
    monkeypatch.setattr(processes.socket, "gethostbyname", {"here": address}.__getitem__)
    monkeypatch.setattr(processes.socket.socket, "connect", lambda self, place: None)
    monkeypatch.setattr(processes.socket.socket, "getsockname", lambda self: ("10.0.0.2", 5))
    with pytest.raises(ConnectionError, match=rf"stands for {address}(.|\n)*{fix}"), processes.joining("10.0.0.1:99"):
        raise RuntimeError("Gloo context initialization failed: timed out connecting")
    with pytest.raises(ZeroDivisionError), processes.joining(""):
        raise ZeroDivisionError
    assert processes._own_addresses("nowhere")[1] == "no address"
