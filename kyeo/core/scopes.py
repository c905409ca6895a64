"""The scopes that users open: values for variables, a prefix for paths, a device. Each is a `with` around `scope`."""

from collections.abc import Iterable
from contextvars import ContextVar, Token
from typing import Any

import jax

from kyeo.core.arrays import to_array
from kyeo.core.errors import problem
from kyeo.core.scope import current, scope
from kyeo.core.variable import Variable, unwrap

__all__ = ["Block", "StatelessScope", "SymbolicScope", "device", "name_scope"]


class Block:
    """A `with` block around `scope`, which may be entered again while it is open; `_changes` says what changes."""

    _open: list[scope]

    def _changes(self) -> dict[str, Any]:
        raise NotImplementedError

    def __enter__(self) -> Any:
        opened = scope(**self._changes())
        self.__dict__.setdefault("_open", []).append(opened)
        opened.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.pop().__exit__(*exc)


class StatelessScope(Block):
    """Inside this block variables have the values given, and what is assigned to them stays in the block.

    Args:
        state_mapping: pairs (variable, value).
        collect_losses: whether losses that layers add are found in `losses`, and not in the layers.
        initialize_variables: of no effect; variables made in the block have values at once.

    >>> import kyeo
    >>> v = kyeo.Variable(1.0)
    >>> with kyeo.StatelessScope([(v, 5.0)]) as block:
    ...     _ = v.assign(v + 1)
    >>> float(block.get_current_value(v)), float(v)
    (6.0, 1.0)
    """

    def __init__(self, state_mapping: Iterable[tuple[Variable, Any]] | None = None, collect_losses: bool = False,
                 initialize_variables: bool = True):
        self.collect_losses, self.initialize_variables = collect_losses, initialize_variables
        self.state_mapping: dict[Variable, Any] = {}
        self._losses: list[Any] = []
        for variable, value in state_mapping or ():
            if not isinstance(variable, Variable):
                raise problem("Only variables have values.", received=variable, where="StatelessScope",
                              expected="pairs (variable, value)")
            array = to_array(unwrap(value), variable._dtype)
            if array.shape != variable.shape:
                raise problem(f"The value does not fit the variable `{variable.path}`.", received=array,
                              expected=f"shape {variable.shape}", where="StatelessScope")
            self.state_mapping[variable] = array

    def _changes(self) -> dict[str, Any]:
        self._outer = current().overlay or {}
        self._overlay = {**self._outer, **self.state_mapping}
        return {"overlay": self._overlay, **({"losses": self._losses} if self.collect_losses else {})}

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self.state_mapping.update({v: x for v, x in self._overlay.items() if self._outer.get(v) is not x})

    @property
    def losses(self) -> list[Any]:
        """The losses added in the block, if it collects them."""
        return [value for _, value in self._losses]

    def add_loss(self, loss: Any) -> None:
        """Put a loss beside those of the layers."""
        self._losses.append((None, loss))

    def add_update(self, update: tuple[Variable, Any]) -> None:
        """Take a pair (variable, new value)."""
        variable, value = update
        self.state_mapping[variable] = value
        if hasattr(self, "_overlay"):
            self._overlay[variable] = value

    def get_current_value(self, variable: Variable) -> Any:
        """The value a variable has (at the end of) the block; None if it was neither given nor assigned."""
        value = getattr(self, "_overlay", {}).get(variable)
        return self.state_mapping.get(variable) if value is None else value


class SymbolicScope(Block):
    """Inside this block only shapes are wanted; layers that draw or count may leave it.

    >>> import kyeo
    >>> with kyeo.SymbolicScope():
    ...     y = kyeo.layers.Dense(2)(kyeo.Input((3,)))
    >>> y.shape
    (None, 2)
    """

    def _changes(self) -> dict[str, Any]:
        return {"symbolic": True}


_innermost: ContextVar[tuple[Any, str, str] | None] = ContextVar("kyeo_name_scope", default=None)


class name_scope(Block):
    """Variables and layers made inside this block have its name before their path.

    Args:
        name: the name, without "/".
        caller: who opens it. Opened again by the same caller under the same name, it adds nothing.
        deduplicate: False lets it add its name even then.
        override_parent: a path to stand before the name, instead of that of the blocks around.

    >>> import kyeo
    >>> with kyeo.name_scope("encoder"):
    ...     v = kyeo.Variable(0.0, name="v")
    >>> v.path
    'encoder/v'
    """

    def __init__(self, name: str, caller: Any = None, deduplicate: bool = True, override_parent: str | None = None):
        if not isinstance(name, str) or "/" in name:
            raise problem("The name of a scope must be a string without '/'.", received=f"name={name!r}",
                          where="name_scope", expected='a plain name such as "encoder"')
        self.name, self.caller, self.deduplicate, self.override_parent = name, caller, deduplicate, override_parent
        self._tokens: list[Token[Any]] = []

    def _changes(self) -> dict[str, Any]:
        parent, inner = current().path, _innermost.get()
        same = self.deduplicate and self.caller is not None and inner is not None and (
            inner[0] is self.caller and inner[1] == self.name and inner[2] == parent)
        before = parent if self.override_parent is None else self.override_parent
        path = parent if same else f"{before}/{self.name}" if before else self.name
        self._tokens.append(_innermost.set((self.caller, self.name, path)))
        return {"path": path}

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        _innermost.reset(self._tokens.pop())


def device(device_name: Any) -> Any:
    """Inside this block, arrays are made and computed on a device.

    Args:
        device_name: "cpu", "cpu:0", "gpu:1", "tpu:0", or a `jax.Device`.

    >>> import kyeo
    >>> with kyeo.device("cpu:0"):
    ...     x = kyeo.ops.ones(2)
    >>> x.device.platform
    'cpu'
    """
    if isinstance(device_name, jax.Device):
        return jax.default_device(device_name)
    kind, _, number = str(device_name).lower().partition(":")
    try:
        found = jax.devices({"cuda": "gpu"}.get(kind, kind))[int(number or 0)]
    except (RuntimeError, ValueError, IndexError):
        names = [f"{d.platform}:{d.id}" for d in jax.devices() + jax.devices("cpu")]
        raise problem("There is no such device.", received=f"device_name={device_name!r}", where="device",
                      expected="one of " + ", ".join(dict.fromkeys(names)),
                      fix='JAX finds no other here; for a GPU it needs more: pip install "jax[cuda13]"') from None
    return jax.default_device(found)
