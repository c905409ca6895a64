"""The hard part: boxes, scopes, graphs, configs. See README.md here."""

from kyeo.core.memory import keep_memory

__all__: list[str] = []

keep_memory()  # here, since everything that starts JAX loads something of this folder first
