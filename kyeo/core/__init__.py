"""The hard part: boxes, scopes, graphs, configs. See README.md here."""

from importlib.util import find_spec

from kyeo.core.collector import set_aside
from kyeo.core.memory import keep_memory, run_in_callers_thread

__all__: list[str] = []

if find_spec("jax") is None:
    raise ImportError("Kyeo computes with JAX, which is not installed in this Python.\n"
                      "  Fix:      pip install jax; where there is no JAX for this machine, `kyeo doctor` says why",
                      name="jax")

with set_aside("jax"):
    kept = keep_memory()  # here, since everything that starts JAX loads something of this folder first
    import jax as _  # noqa: F401 (behind the rules for its memory)

    if kept:
        run_in_callers_thread()
