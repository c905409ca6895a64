"""Steps reuse the memory of the steps before them, unless the user has rules of his own."""

import os
import platform
import subprocess
import sys

import pytest

# A step with 100 MB of its own, as a program runs it: prints how many pages ten more runs take from the system.
STEP = """
import resource
import kyeo
kyeo.utils.set_random_seed(0)
import jax, jax.numpy as jnp
step = jax.jit(lambda a: ((a @ a.T) @ a).sum())
a = jnp.ones((5000, 8))
for run in range(3):
    step(a).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for run in range(10):
    step(a).block_until_ready()
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
