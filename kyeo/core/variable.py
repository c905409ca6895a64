"""Variable: a named box with a value. `pure`: the one bridge from boxes to functions of values.

While a pure function runs, values live in the overlay of the scope and never in the boxes, so nothing has
to be put back and no tracer can leak out of a transform.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.arithmetic import Arithmetic
from kyeo.core.arrays import to_array
from kyeo.core.dtypes import is_float, standardize_dtype
from kyeo.core.errors import describe, problem
from kyeo.core.lookup import resolve
from kyeo.core.naming import auto_name
from kyeo.core.owned import Structure, VariableOwner, owned
from kyeo.core.placement import place_value
from kyeo.core.plain import warn
from kyeo.core.processes import for_numpy
from kyeo.core.reading import is_reading, spend
from kyeo.core.scope import current, scope
from kyeo.core.settings import settings

__all__ = ["Variable", "pure", "unwrap", "variables_of"]


class _Checked:
    """An attribute of variables that users set; a wrong value would be noticed in the middle of training."""

    def __init__(self, is_right: Callable[[Any], bool], expected: str, kind: type[Exception]):
        self._is_right, self._expected, self._kind = is_right, expected, kind

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, owner: Any, cls: type | None = None) -> Any:
        return self if owner is None else vars(owner)[self._name]

    def __set__(self, owner: Any, value: Any) -> None:
        if not self._is_right(value):
            raise problem(f"`{self._name}` of a variable is not valid.", received=f"{self._name}={describe(value)}",
                          expected=self._expected, where=f"variable {owner.path!r}", kind=self._kind)
        vars(owner)[self._name] = value


def _function_or_none(value: Any) -> bool:
    return value is None or callable(value)


class Variable(Arithmetic):
    """A named array that a model remembers and may train.

    Args:
        initializer: the first value, or an initializer's name, or a callable `(shape, dtype=...)` that makes it.
        shape: needed with a name or a callable only.
        dtype: number type; that of the value, or `floatx()`.
        trainable: whether optimizers change it.
        autocast: whether layers of a mixed policy read it in their compute dtype.
        aggregation, synchronization: as in Keras; kept for distributed runs and for config.
        name: its name; the path is the enclosing scope's path, "/", the name.

    >>> import kyeo
    >>> v = kyeo.Variable([1.0, 2.0], name="v")
    >>> v.assign(v * 2).tolist(), v.shape, v.path
    ([2.0, 4.0], (2,), 'v')
    >>> kyeo.Variable("ones", shape=(2,)).numpy().tolist()
    [1.0, 1.0]
    """

    _born = 0  # the version of the structure when it was made
    regularizer = _Checked(_function_or_none, "a function of the value that gives a penalty, or None", ValueError)
    constraint = _Checked(_function_or_none, "a function of the value that gives a new one, or None", ValueError)
    overwrite_with_gradient = _Checked(lambda value: isinstance(value, bool), "True or False", TypeError)

    def __init__(
        self, initializer: Any, shape: Sequence[int] | None = None, dtype: Any = None, trainable: bool = True,
        autocast: bool = True, aggregation: str = "none", synchronization: str = "auto", name: str | None = None,
    ):
        self.name: str = name or auto_name("variable")
        if "/" in self.name:
            raise problem("The name of a variable may not contain '/'.", received=f"name={self.name!r}",
                          expected="a plain name; layers and paths give the prefix")
        prefix = current().path
        self.path: str = f"{prefix}/{self.name}" if prefix else self.name
        self.autocast, self.aggregation, self.synchronization = autocast, aggregation, synchronization
        self.regularizer = self.constraint = None
        self.overwrite_with_gradient = False
        self._trainable = bool(trainable)
        self.born_trainable: bool = self._trainable  # the order of `weights` goes by this, not by later freezing
        self._layout: Any = None  # of its own, whatever the distribution says
        self._lent = True  # whether someone outside may hold the array, so that it must not be donated
        self._later: Any = None  # gives the first value when it is asked for
        if isinstance(initializer, str):
            initializer = resolve(initializer, "initializers")
        if not self._put_off(initializer, shape, dtype):
            self._value = place_value(self._first_value(initializer, shape, dtype), self.path)
            self._shape, self._dtype = self._value.shape, standardize_dtype(self._value.dtype)
        Structure.version += 1
        self._born = Structure.version

    def _put_off(self, initializer: Any, shape: Any, dtype: Any) -> bool:
        """Whether the first value can wait until someone asks for it: often weights of a file come before."""
        here = settings.distribution is None and jax.config.jax_default_device is None
        if not here or shape is None or not hasattr(initializer, "_later") or not all(
                type(size) is int and size >= 0 for size in shape):
            return False
        self._shape, self._dtype = tuple(shape), standardize_dtype(dtype)
        if self._dtype == "string" or (self.nbytes > _AT_ONCE and not is_reading()):
            return False
        with scope(path=self.path):
            self._later = initializer._later(self._shape, self._dtype)
        if self._later is None:
            return False
        spend(self._shape, self._dtype, self.path)
        return True

    def __getattr__(self, name: str) -> Any:
        later = self.__dict__.get("_later") if name == "_value" else None
        if later is None:
            raise AttributeError(f"'Variable' object has no attribute {name!r}")
        with jax.ensure_compile_time_eval():  # a real array, also inside a trace
            first = place_value(later(), self.path, self._layout)
        return self.__dict__.setdefault("_value", first)  # another thread may have been faster, and trained it since

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_value": self._value, "_later": None}

    def _first_value(self, initializer: Any, shape: Any, dtype: Any) -> jax.Array:
        # a real array, also when a model is built inside a trace; the path is what an unseeded draw goes by
        with jax.ensure_compile_time_eval(), scope(path=self.path):
            if callable(initializer) and not isinstance(initializer, Variable):
                if shape is None:
                    raise problem("A variable made by an initializer needs a shape.", received="shape=None",
                                  expected="a tuple of ints", where=self.path)
                if any(size is None for size in shape):
                    raise problem("A variable needs a known size on every axis.", received=f"shape={shape}",
                                  expected="ints only", where=self.path,
                                  fix="give the layer's input a known size on that axis")
                spend(sizes := tuple(int(s) for s in shape), standardize_dtype(dtype), self.path)
                value = initializer(sizes, dtype=standardize_dtype(dtype))
            else:
                value = unwrap(initializer)
                if value is None:
                    raise problem("A variable needs a value.", received="initializer=None", where=self.path,
                                  expected="an array, a number, or an initializer with a shape", kind=TypeError)
            if isinstance(value, jax.core.Tracer):
                raise problem("A variable cannot be made from a traced value.", received=value, where=self.path,
                              expected="a NumPy or JAX array, a number, or an initializer")
            if dtype is None and not isinstance(value, jax.Array):
                value = np.asarray(value)
                # Python's floats come as float64; an array of another type has it on purpose
                dtype = standardize_dtype(None) if value.dtype.kind == "f" and value.dtype.itemsize > 4 else None
            array = to_array(value, None if dtype is None else standardize_dtype(dtype))
        if shape is not None and tuple(shape) != array.shape:
            raise problem("The value does not have the shape asked for.", received=value, where=self.path,
                          expected=f"shape {tuple(shape)}")
        return array

    # -- reading -------------------------------------------------------------------------------------------
    @property
    def trainable(self) -> bool:
        """Whether optimizers change it. A compiled step that took it for the other is not used again."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        if self._trainable != bool(value):
            self._trainable = bool(value)
            Structure.version += 1

    @property
    def value(self) -> jax.Array:
        """The array: from the overlay while a pure function runs, else from the box."""
        now = current()
        value = self._as_stored(now.overlay)
        if now.compute_dtype is not None and self.autocast and is_float(self._dtype):
            return value.astype(now.compute_dtype)
        return value

    def _as_stored(self, overlay: dict[Any, Any] | None) -> jax.Array:
        """The array in the type it is kept in, whatever the layer around computes in."""
        if overlay is None:
            self._lent = True
        value = None if overlay is None else overlay.get(self)
        return self._value if value is None else value

    @property
    def dtype(self) -> str:
        """The number type it is read in here: the compute dtype inside a mixed-precision layer."""
        compute_dtype = current().compute_dtype
        return compute_dtype if compute_dtype and self.autocast and is_float(self._dtype) else self._dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sizes."""
        return self._shape

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self._shape)

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self._shape)

    @property
    def nbytes(self) -> int:
        """How many bytes it takes."""
        return self.size * jnp.dtype(self._dtype).itemsize

    def numpy(self) -> np.ndarray:
        """A copy of the value for NumPy."""
        for _ in range(1000):
            try:
                return np.array(self.whole())
            except RuntimeError as error:  # a step of another thread took the buffer, and puts a new one here
                if "has been deleted" not in str(error):
                    raise
                time.sleep(0.001)
        return np.array(self.whole())

    def whole(self) -> jax.Array:
        """The array, gathered where parts of it lie with other processes, which then must do the same."""
        return for_numpy(self.value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.whole(), dtype=dtype)

    def __jax_array__(self) -> jax.Array:
        return self.value

    # -- writing -------------------------------------------------------------------------------------------
    def assign(self, value: Any) -> jax.Array:
        """Put a new value of the same shape in the box (or in the overlay while a pure function runs)."""
        value, now = to_array(unwrap(value), self._dtype), current()
        if value.shape != ((self.size,) if now.flat else self.shape):
            raise problem(f"This value does not fit the variable `{self.path}`.", received=value,
                          expected=f"shape {self.shape}")
        overlay = now.overlay
        if overlay is not None:
            overlay[self] = value
        elif isinstance(value, jax.core.Tracer):
            raise problem(
                f"The variable `{self.path}` was assigned inside a JAX transformation, where its value would be lost.",
                received=value, expected="a pure function of the variables",
                fix="inside jax.jit and jax.grad use `model.stateless_call(...)`, which gives the new values back")
        else:
            self._value, self._lent = place_value(value, self.path, self._layout), True
        return value

    def place(self) -> None:
        """Move the value to where the distribution wants it."""
        if settings.distribution is not None:
            self._value = place_value(self._value, self.path, self._layout)

    def to_donate(self) -> jax.Array:
        """The array for a compiled step that may overwrite it: a copy if anyone else may hold it."""
        if self._lent:
            # JAX refuses one that other processes have parts of, unless it is told where; told, it ties the copy to the
            # device, and the step would be compiled a second time for what it gives itself
            where = None if self._value.is_fully_addressable else self._value.sharding
            self._value, self._lent = jax.device_put(self._value, where, may_alias=False), False
        return self._value

    def keep(self) -> jax.Array | None:
        """What `give_back` takes to have the value of now again; None where nobody asked for the first one yet."""
        return self.value if "_value" in self.__dict__ else None

    def give_back(self, kept: jax.Array | None) -> None:
        """Have the value that `keep` gave."""
        if kept is None:
            self.__dict__.pop("_value", None)
        else:
            self.assign(kept)

    def put(self, value: jax.Array) -> None:
        """Take the result of a compiled step; shape and dtype are known to be right."""
        self._value, self._lent = value, False

    def assign_add(self, value: Any) -> jax.Array:
        """Add to the value."""
        return self.assign(self._as_stored(current().overlay) + to_array(unwrap(value)))

    def assign_sub(self, value: Any) -> jax.Array:
        """Subtract from the value."""
        return self.assign(self._as_stored(current().overlay) - to_array(unwrap(value)))

    __hash__ = object.__hash__

    def __len__(self) -> int:
        return len(self._value)

    def __float__(self) -> float:
        return float(self._single())

    def __int__(self) -> int:
        return int(self._single())

    def _single(self) -> jax.Array:
        if self.shape != ():
            raise problem("A variable of an axis or more is not one number.", received=f"`{self.path}` of shape "
                          f"{self.shape}", expected="shape ()", fix="variable[0], or kyeo.ops.sum(variable)",
                          kind=TypeError)
        return self.value

    def __bool__(self) -> bool:
        raise problem("A variable is neither True nor False.", received=f"`{self.path}` of shape {self.shape}",
                      expected="its value, or whether there is one", kind=TypeError,
                      fix="`if variable.value:`, inside a step kyeo.ops.cond(...); `if variable is not None:`")

    def __repr__(self) -> str:
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self._dtype}, value={self.value}>"


_AT_ONCE = 2**29  # bytes of a value that is made where its layer is, so that too large a layer fails there


def unwrap(value: Any) -> Any:
    """The array in a Variable; anything else as it is."""
    return value.value if isinstance(value, Variable) else value


def variables_of(owner: Any) -> list[Variable]:
    """Every variable below `owner`, each once, in the order `weights` has: own ones first (born trainable before
    the others), then those of seed generators and layers it holds."""
    found: dict[Variable, None] = {}
    _gather(owner, found, set())
    return list(found)


def _gather(owner: Any, found: dict[Variable, None], visited: set[int]) -> None:
    if id(owner) in visited:
        return
    visited.add(id(owner))
    held = list(owned(owner, (Variable, VariableOwner)))
    own = [one for one in held if isinstance(one, Variable)]
    found.update(dict.fromkeys(sorted(own, key=lambda v: not v.born_trainable)))
    for one in held:
        if not isinstance(one, Variable):
            _gather(one, found, visited)


def _tell_lost(assigned: Iterable[Variable], begun: int) -> None:
    """Warn of what was assigned in a step that hands it to nobody; one made in the step is known to the next."""
    lost = next((v for v in assigned if v._born <= begun), None)
    if lost is not None:
        warn(f"The variable `{lost.path}` was assigned inside a step that does not know it, so its new value is lost. "
             "Keep it, or the seed generator that it belongs to, in an attribute of the layer, metric or optimizer "
             "that uses it.")


def pure(fn: Callable[..., Any], variables: Iterable[Variable]) -> Callable[..., tuple[Any, list[jax.Array]]]:
    """`fn` as a pure function: `run(values, *args)` gives `(fn's result, the new values)`.

    Inside, the variables read as the values passed in, and what is assigned to them comes out.

    >>> v = Variable(1.0)
    >>> def count():
    ...     return v.assign_add(1.0)
    >>> out, (new,) = jax.jit(pure(count, [v]))([jax.numpy.float32(5)])
    >>> float(new), float(v.value)
    (6.0, 1.0)
    """
    variables = list(variables)

    def run(values: Sequence[Any], *args: Any, **kwargs: Any) -> tuple[Any, list[jax.Array]]:
        if len(values) != len(variables):
            raise problem("The values do not match the variables.", received=f"{len(values)} values",
                          expected=f"{len(variables)} values, in the order of the variables: "
                                   + describe([v.path for v in variables]))
        outer = current().overlay
        values = [unwrap(value) for value in values]  # a variable in its own place would ask for itself for ever
        known, begun = {**(outer or {}), **dict(zip(variables, values))}, Structure.version
        with scope(overlay=dict(known)) as inside:
            out = jax.tree.map(unwrap, fn(*args, **kwargs))  # a variable stands for the value it has here
        assert inside.overlay is not None
        if len(inside.overlay) > len(known):
            _tell_lost((v for v in inside.overlay if v not in known), begun)
        return out, [inside.overlay[v] for v in variables]

    return run
