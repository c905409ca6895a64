"""JaxLayer and FlaxLayer: functions and modules written for JAX, as layers."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo import random
from kyeo.core.configurable import deserialize_value
from kyeo.core.dtypes import is_float
from kyeo.core.errors import describe, problem
from kyeo.core.registry import custom_object_scope
from kyeo.core.variable import Variable, unwrap
from kyeo.layers.layer import Layer

__all__ = ["FlaxLayer", "JaxLayer"]

_OF_CALL = ("params", "state", "rng", "inputs", "training")
_OF_INIT = ("rng", "inputs", "training")


class JaxLayer(Layer):
    """A JAX function of parameters and inputs as a layer; its parameters become weights.

    Args:
        call_fn: takes some of `params`, `state`, `rng`, `inputs` and `training`, by these names; gives the output, or
            with `state` the output and the new state.
        init_fn: takes some of `rng`, `inputs` and `training`; gives `params`, or `params` and `state`.
        params: the parameters to begin with, any tree of arrays; `init_fn` makes them where None.
        state: likewise what is not trained.
        seed: an int for `rng` of `call_fn`; the process's seed and the layer's path decide where None.
        native_serialization_platforms: kept for programs that set it.

    `rng` of `call_fn` is a key while training and None else.

    >>> import kyeo
    >>> def scale(params, inputs):
    ...     return params["factor"] * inputs
    >>> layer = kyeo.layers.JaxLayer(scale, params={"factor": kyeo.ops.array([2.0, 3.0])})
    >>> layer(kyeo.ops.ones((1, 2))).tolist(), [w.shape for w in layer.trainable_weights]
    ([[2.0, 3.0]], [(2,)])
    """

    mixes_rows = True  # nobody knows what the function does with the batch
    _not_in_config = frozenset({"params", "state"})

    def __init__(
        self, call_fn: Callable[..., Any], init_fn: Callable[..., Any] | None = None, params: Any = None,
        state: Any = None, seed: int | None = None, native_serialization_platforms: Any = None, **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.call_fn, self.init_fn, self.seed = call_fn, init_fn, seed
        self.native_serialization_platforms = native_serialization_platforms
        self._called_with = self._names("call_fn", call_fn, _OF_CALL)
        self._made_with = None if init_fn is None else self._names("init_fn", init_fn, _OF_INIT)
        if init_fn is None and params is None and state is None and {"params", "state"} & set(self._called_with):
            raise problem("`call_fn` takes parameters that nobody makes.", where=self, received="init_fn=None, "
                          "params=None, state=None", fix="give `init_fn`, or `params` and `state`")
        self.seed_generator = random.SeedGenerator(seed) if "rng" in self._called_with else None
        self.params = self.state = None
        self._keep(params, state)
        if params is not None or state is not None:
            self.built = True

    def _names(self, name: str, function: Any, allowed: tuple[str, ...]) -> tuple[str, ...]:
        if not callable(function):
            raise problem(f"`{name}` is not valid.", received=f"{name}={describe(function)}", where=self,
                          expected="a function", kind=TypeError)
        names = tuple(inspect.signature(function).parameters)
        if "inputs" not in names or set(names) - set(allowed):
            raise problem(f"`{name}` has other parameters than expected.", received=", ".join(names) or "none",
                          where=self, expected="`inputs`, and any of " + ", ".join(a for a in allowed if a != "inputs"))
        return names

    # -- weights -------------------------------------------------------------------------------------------
    def _keep(self, params: Any, state: Any) -> None:
        """Make the variables; leaves that are no numbers stay what they are."""
        self.params, self.state = self._variables(params, True), self._variables(state, False)
        self.tracked_params, self.tracked_state = jax.tree.leaves(self.params), jax.tree.leaves(self.state)

    def _variables(self, values: Any, trainable: bool) -> Any:
        def variable(value: Any) -> Any:
            if not isinstance(value, (jax.Array, np.ndarray, np.generic, bool, int, float)):
                return value
            array = jnp.asarray(value)
            dtype = None if is_float(array.dtype) else array.dtype
            return self.add_weight(array.shape, lambda shape, dtype: array.astype(dtype), dtype, trainable)

        return jax.tree.map(variable, values)

    def build(self, input_shape: Any) -> None:
        """Let `init_fn` make the parameters for an input of ones."""
        if self._made_with is None or self.params is not None or self.state is not None:
            return
        is_shape = lambda s: isinstance(s, tuple) and all(n is None or isinstance(n, int) for n in s)  # noqa: E731
        with jax.ensure_compile_time_eval():
            inputs = jax.tree.map(lambda s: jnp.ones([n or 1 for n in s]), input_shape, is_leaf=is_shape)
            given = {"rng": self._rng_of_init(), "inputs": inputs, "training": True}
            assert self.init_fn is not None
            made = self.init_fn(*(given[name] for name in self._made_with))
        self._keep(*(made if "state" in self._called_with else (made, None)))

    def _rng_of_init(self) -> Any:
        return _new_key()

    def _rng_of_call(self, training: Any) -> Any:
        return self.seed_generator.next() if training and self.seed_generator is not None else None

    # -- the call ------------------------------------------------------------------------------------------
    def call(self, inputs: Any, training: bool = False) -> Any:
        """What `call_fn` gives; a new state is kept."""
        given = {"params": jax.tree.map(unwrap, self.params), "state": jax.tree.map(unwrap, self.state),
                 "inputs": inputs, "training": training}
        if "rng" in self._called_with:
            given["rng"] = self._rng_of_call(training)
        outputs = self.call_fn(*(given[name] for name in self._called_with))
        if "state" not in self._called_with:
            return outputs
        outputs, new = outputs
        kept, found = str(jax.tree.structure(self.state)), str(jax.tree.structure(new))
        if found != kept:
            raise problem("`call_fn` gives back a state of another structure.", where=self, received=found,
                          expected=kept)
        for box, value in zip(jax.tree.leaves(self.state), jax.tree.leaves(new)):
            if isinstance(box, Variable):
                box.assign(value)
        return outputs


def _new_key() -> Any:
    return random.SeedGenerator().state.value


class FlaxLayer(JaxLayer):
    """A module of `flax.linen` as a layer; collections other than "params" are its state.

    Args:
        module: the module.
        method: its method to call, or a function of the module; `__call__` where None. It takes `inputs`, and
            `training` if it has such a parameter.
        variables: the module's variables to begin with, as `module.init` gives them.

    Keywords of `JaxLayer` are taken too.

    >>> kyeo.layers.FlaxLayer(flax.linen.Dense(4))(kyeo.ops.ones((2, 3))).shape  # doctest: +SKIP
    (2, 4)
    """

    _not_in_config = frozenset({"call_fn", "init_fn", "params", "state", "variables"})

    def __init__(self, module: Any, method: Any = None, variables: Any = None, **kwargs: Any):
        for name in ("init", "apply"):
            if not hasattr(module, name):
                raise problem("`module` is not valid.", received=f"module={describe(module)}", where=type(self),
                              expected="an object of a subclass of flax.linen.Module", kind=TypeError)
        self.module, self.method = module, method
        modes = "training" in inspect.signature(method or module.__call__).parameters
        params, state = _parted(variables)
        super().__init__(*((self._apply, self._init) if modes else (self._apply_plainly, self._init_plainly)),
                         params=params, state=state, **kwargs)

    def _apply(self, params: Any, state: Any, rng: Any, inputs: Any, training: Any) -> Any:
        return self._applied(params, state, rng, inputs, training=training)

    def _apply_plainly(self, params: Any, state: Any, rng: Any, inputs: Any) -> Any:
        return self._applied(params, state, rng, inputs)

    def _applied(self, params: Any, state: Any, rng: Any, inputs: Any, **words: Any) -> Any:
        outputs, new = self.module.apply(
            {**(params or {}), **(state or {})}, inputs, rngs=rng, method=self.method, mutable=list(state or {}),
            **words)
        return outputs, {**(state or {}), **new}

    def _init(self, rng: Any, inputs: Any, training: Any) -> Any:
        return _parted(self.module.init(rng, inputs, method=self.method, training=training))

    def _init_plainly(self, rng: Any, inputs: Any) -> Any:
        return _parted(self.module.init(rng, inputs, method=self.method))

    def _rng_of_init(self) -> Any:
        return {"params": _new_key(), "dropout": _new_key()}

    def _rng_of_call(self, training: Any) -> Any:
        return {"dropout": super()._rng_of_call(training)} if training else {}

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; a method of the module goes by its name."""
        own, method = getattr(self.method, "__self__", None) is self.module, self.method
        if own:
            self.method = method.__name__
        try:
            return super().get_config()
        finally:
            self.method = method

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """The layer whose `get_config` gave `config`."""
        with custom_object_scope(custom_objects):
            made = {name: deserialize_value(value) for name, value in config.items()}
        method = made.get("method")
        if isinstance(method, str):
            if method.startswith("_") or not inspect.isfunction(getattr(type(made["module"]), method, None)):
                raise problem("The module has no such method.", received=f"method={method!r}", where=cls,
                              expected=f"a method of {type(made['module']).__name__}")
            made["method"] = getattr(made["module"], method)
        return cls(**made)


def _parted(variables: Any) -> tuple[Any, Any]:
    """The variables of a module as parameters and state."""
    if variables is None:
        return None, None
    state = {name: value for name, value in variables.items() if name != "params"}
    return ({"params": variables["params"]} if "params" in variables else {}), state
