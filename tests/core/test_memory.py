"""Steps reuse the memory of the steps before them, unless the user has rules of his own."""

import os
import platform
import subprocess
import sys

import pytest

from kyeo.core import memory

# A step with 100 MB of its own, as a program runs it: prints how many pages ten more runs take from the system.
STEP = """
import resource
import kyeo
kyeo.utils.set_random_seed(0)
import jax, jax.numpy as jnp
step = jax.jit(lambda a: jnp.tanh((a @ a.T) @ a), donate_argnums=0)
a = jnp.ones((5000, 8))
for run in range(3):
    a = step(a)
a.block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for run in range(10):
    a = step(a)
a.block_until_ready()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
RULES = {"MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "8", "GLIBC_TUNABLES": "glibc.malloc.arena_max=8"}
pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the rules are those of glibc")


def run(script, **variables):
    """What a new process prints that has of these rules only the given ones."""
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    return subprocess.run([sys.executable, "-c", script], env=surroundings | variables, capture_output=True, text=True,
                          check=True).stdout.strip()


def test_later_steps_take_no_pages_from_the_system():
    # 100 MB are 24,000 pages a step; the first steps may still find their place
    assert int(run(STEP)) < 60_000


@pytest.mark.parametrize("name", RULES)
def test_the_users_own_rules_stay(name):
    script = "from kyeo.core.memory import keep_memory; print(keep_memory())"
    assert run(script) == "True" and run(script, **{name: RULES[name]}) == "False"


HEAP = """
import pathlib, re
parts = re.split(r"\\n(?=[0-9a-f]+-[0-9a-f]+ )", pathlib.Path("/proc/self/smaps").read_text())
print(sum(int(re.search(rf"{name}: *([0-9]+)", part)[1]) for part in parts if "[heap]" in part))
"""


@pytest.mark.skipif(not memory.may_choose_pages(), reason="this system gives all programs the same pages")
def test_large_arrays_lie_in_huge_pages():
    script = STEP.replace("print(resource", "(resource") + "name = 'AnonHugePages'" + HEAP
    assert int(run(script)) > 50_000  # kB of the 100 MB


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_nothing_is_asked_for_at_once_where_memory_is_limited(limit):
    script = f"import resource; resource.setrlimit(resource.{limit}, (2**33, 2**33))\nname = 'Size'\nimport kyeo.core" + HEAP
    assert int(run(script)) < 500_000  # kB
