"""What `import kyeo` loads, what it weighs, and what it says where JAX is missing."""

import io
import os
import pathlib
import subprocess
import sys
import zipfile

import pytest

from kyeo.core.processor import cpu_quota

ROOT = pathlib.Path(__file__).parents[2]
HEAVY = "tensorflow torch pandas matplotlib scipy.stats IPython h5py rich keras PIL sklearn optax onnx".split()
USE = f"""
import sys, kyeo
assert not {{"jax", "numpy"}} & set(sys.modules)
model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(1)])
model.compile("sgd", "mse", metrics=["mae"])
model.fit(kyeo.ops.ones((2, 2)), kyeo.ops.ones((2, 1)), verbose=2)
print([name for name in {HEAVY} if name in sys.modules])
"""
THREADS = """
import os, kyeo
from kyeo.config import set_num_threads
few = max(len(os.sched_getaffinity(0)) - 1, 1)
set_num_threads(few)
assert all(os.sched_getaffinity(int(t)) == os.sched_getaffinity(0) for t in os.listdir("/proc/self/task"))
print(float(kyeo.ops.sum(kyeo.ops.ones(3))))
set_num_threads(few)
"""
WITHOUT_JAX = "import sys; sys.modules['jax'] = None; import kyeo.cli; from kyeo.layers import Dense"


def run(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    return done.stdout.splitlines()[-1:], done.stderr


def test_a_training_loads_jax_and_numpy_only():
    assert run(USE) == (["[]"], "")


@pytest.mark.parametrize(("files", "own", "quota"), [
    ({"cpu.max": "150000 100000"}, "0::/", 1.5),
    ({"cpu.max": "max 100000"}, "0::/", None),
    ({"pod/cpu.max": "200000 100000", "pod/job/cpu.max": "max 100000"}, "0::/pod/job", 2.0),
    ({"cpu.max": "400000 100000"}, "0::/not/seen/from/here", 4.0),
    ({"cpu,cpuacct/x/cpu.cfs_quota_us": "50000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"}, "4:cpu,cpuacct:/x", 0.5),
    ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu:/\n5:memory:/m", None),
    ({}, "", None),
])
def test_quota_of_a_container(tmp_path, files, own, quota):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "own").write_text(own + "\n" if own else "")
    assert cpu_quota(str(tmp_path), str(tmp_path / "own")) == quota


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_fewer_threads():
    out, words = run(THREADS)
    assert out == ["3.0"] and "RuntimeError: JAX has started already" in words


def test_where_jax_is_missing():
    words = run(WITHOUT_JAX)[1]
    assert "ImportError: Kyeo computes with JAX" in words and "kyeo doctor" in words


def test_a_wheel_is_small():
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as file:
        for path in (ROOT / "kyeo").rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                file.write(path, path.relative_to(ROOT))
    assert len(wheel.getvalue()) < 2e6
