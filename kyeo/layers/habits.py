"""Two habits that a compiled step does not go with, told where they would stay unseen: tensors that a `call` leaves in
attributes, and layers that it makes."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import jax

from kyeo.core.errors import problem, where_is
from kyeo.core.naming import is_kyeos
from kyeo.core.per_class import per_class
from kyeo.core.plain import plainly, warn
from kyeo.core.scope import scope
from kyeo.core.variable import variables_of

__all__ = ["Leftover", "sweep", "watched"]


class Leftover:
    """What stands in an attribute for a tensor that only a running step had. Whoever uses it learns so.

    Args:
        owner: the layer.
        name: its attribute.
        tensor: the tensor.
    """

    def __init__(self, owner: Any, name: str, tensor: Any):
        self.owner, self.name = where_is(owner), name
        self.shape = tuple(size if isinstance(size, int) else None for size in tensor.shape)
        self.dtype = tensor.dtype

    def __repr__(self) -> str:
        return f"<{self.name} of {self.owner}: a tensor of shape {self.shape} that was left when its step was over>"

    def _is_over(self, kind: type[Exception] = TypeError) -> Exception:
        return problem(
            f"`self.{self.name}` holds a tensor of a step that is over, and its values are gone.", where=self.owner,
            received=f"a tensor of dtype {self.dtype} and shape {self.shape} that `call` put there", kind=kind,
            fix="to look at it, call the model on data, as model(x) leaves an array there; to keep a value from step "
                f"to step, make a variable in __init__, self.{self.name} = self.add_weight(...), and assign to it")

    @property
    def __jax_array__(self) -> Any:  # a property: JAX only asks whether it is there
        raise self._is_over(ValueError)  # JAX would replace a TypeError

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "shape" not in self.__dict__:  # copying asks for methods of its own
            raise AttributeError(name)
        raise self._is_over(AttributeError)


@plainly
def _refusing(self: Leftover, *args: Any, **kwargs: Any) -> Any:
    raise self._is_over()


for _name in (
    "array", "float", "int", "bool", "index", "iter", "len", "getitem", "neg", "abs", "matmul", "rmatmul", "add",
    "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "pow", "rpow", "lt", "le", "gt", "ge",
):
    setattr(Leftover, f"__{_name}__", _refusing)


@per_class
def _is_own(cls: type) -> bool:
    """Whether the user wrote the `call` of a class."""
    return not is_kyeos(cls.call)  # type: ignore[attr-defined]


def sweep(layer: Any) -> None:
    """Put a Leftover for every traced tensor in the attributes of the user's own layers, from this one down."""
    for one in layer._flatten_layers():
        if _is_own(type(one)):
            for name, value in list(vars(one).items()):
                swept = _swept(one, name, value)
                if swept is not value:
                    vars(one)[name] = swept


def _swept(owner: Any, name: str, value: Any) -> Any:
    if isinstance(value, jax.core.Tracer):
        return Leftover(owner, name, value)
    if isinstance(value, (list, dict)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(item, jax.core.Tracer):
                value[key] = Leftover(owner, name, item)
    elif isinstance(value, tuple) and any(isinstance(item, jax.core.Tracer) for item in value):
        return tuple(_swept(owner, name, item) for item in value)
    return value


def watched(layer: Any) -> AbstractContextManager[Any]:
    """Inside, which is a `call`: layers with weights that it makes are noticed."""
    return _watched(layer) if _is_own(type(layer)) else nullcontext()


@contextmanager
def _watched(layer: Any) -> Iterator[None]:
    with scope(made=[]) as inside:
        yield
    made = [one for one in inside.made or () if variables_of(one)]
    if not made or layer.__dict__.get("_makes_layers") == "told":
        return
    kept = {id(one) for one in layer._flatten_layers()}
    lost = [one for one in made if id(one) not in kept]
    if lost or "_makes_layers" in layer.__dict__:  # one that is made once and kept is all right
        warn(f"`call` of {where_is(layer)} makes layers: {where_is((lost or made)[0])}. Each call makes new weights, "
             "which are not trained and not saved. Make them in __init__ or `build`, and keep them in attributes.")
        layer._makes_layers = "told"
    else:
        layer._makes_layers = "once"
