"""Python's garbage collector, paused and set aside (`core/collector.py`)."""

import gc
import subprocess
import sys
import threading

import pytest

from kyeo.core.collector import paused


def test_blocks_in_one_another_and_errors():
    with pytest.raises(KeyError), paused():
        with paused():
            pass
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()


def test_who_switched_it_off_finds_it_off():
    gc.disable()
    try:
        with paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_last_thread_switches_it_on():
    inside, leave = threading.Event(), threading.Event()

    def work():
        with paused():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(10)
    with paused():
        pass
    assert not gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()


@pytest.mark.parametrize(("first", "aside"), [("", True), ("import jax", False)])
def test_jax_is_set_aside_where_kyeo_loads_it(first, aside):
    program = f"{first}\nimport gc, kyeo\nkyeo.layers\nprint(gc.get_freeze_count() > 10_000, gc.isenabled())"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert answer.stdout.split() == [str(aside), "True"]


@pytest.mark.parametrize("first", ["kyeo.utils.set_random_seed(0)", "kyeo.layers", "kyeo.config.floatx()",
                                   "from kyeo.keras import layers", "kyeo.Model"])
def test_nothing_is_collected_while_the_first_room_is_loaded(first):
    program = f"""
import gc, sys, kyeo
passes = []
gc.callbacks.append(lambda phase, info: passes.append(phase))
{first}
gc.callbacks.clear()
print(len(passes), "kyeo.models" in sys.modules, gc.get_freeze_count() > 10_000, gc.isenabled())
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert answer.stdout.split() == ["0", "True", "True", "True"]


@pytest.mark.parametrize("first", ["import kyeo.train.objective", "import kyeo.layers", "from kyeo.ops import sin",
                                   "import kyeo.config", "from kyeo.keras.layers import Dense"])
def test_a_file_may_be_the_first_to_be_loaded(first):
    program = f"{first}\nimport kyeo\nprint(kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(1)]).output_shape)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert answer.stdout.strip() == "(None, 1)"


def test_models_are_collected_as_ever():
    program = """
import gc, weakref
import numpy as np
import kyeo
gone = []
for _ in range(3):
    model = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(2)])
    model.compile("adam", "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    gone.append(weakref.ref(model))
del model
gc.collect()
print([one() is None for one in gone])
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert answer.stdout.strip() == "[True, True, True]"
