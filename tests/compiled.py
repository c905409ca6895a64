"""How many programs are compiled."""

import contextlib

import jax

__all__ = ["programs"]


@contextlib.contextmanager
def programs():
    """A list with an entry for each program that is compiled inside the block."""
    seen = []

    def listen(event, _duration, **_):
        seen.extend([event] * (event == "/jax/core/compile/backend_compile_duration"))

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield seen
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
