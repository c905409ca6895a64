"""Layer: something that owns variables; `build` makes them, `call` uses them.

`__call__` is the one road in: it finds out whether the call is symbolic, builds the layer at its first use,
and runs `call` inside a Scope that carries the mode, the path, the compute dtype, losses and masks.
"""

import inspect
from typing import Any, Self

import jax
import numpy as np

from kyeo import dtype_policies, regularizers
from kyeo.core.arrays import is_text, of_other_libraries, to_array
from kyeo.core.configurable import given_arguments, parameters_of
from kyeo.core.dtypes import is_float
from kyeo.core.errors import boolean, is_told, meant, problem, retold
from kyeo.core.masks import get_mask, set_mask
from kyeo.core.naming import auto_name, is_kyeos
from kyeo.core.owned import CONTAINERS, Structure
from kyeo.core.per_class import per_class
from kyeo.core.plain import plainly, warn
from kyeo.core.scope import current, scope
from kyeo.core.symbolic import Node, SymbolicTensor, any_symbolic, infer, record
from kyeo.core.variable import Variable, pure, unwrap
from kyeo.layers.call_spec import call_spec, shape_of, shapes_for_build
from kyeo.layers.complaints import explained
from kyeo.layers.habits import watched
from kyeo.layers.input_spec import InputSpec, check_inputs
from kyeo.layers.ownership import LossList
from kyeo.layers.shapes import Shaped, in_own_scope, is_shape
from kyeo.quantizers.schemes import policy_to_save, quantize

__all__ = ["InputSpec", "Layer"]

_HOST = (np.ndarray, np.generic, Variable)  # what becomes an array before the call


class Layer(Shaped):
    """Base of all layers. A subclass writes `call`, and `build` if it has weights.

    Args:
        activity_regularizer: a penalty on the layer's output, added to the loss (divided by the batch size).
        trainable: whether training changes its weights.
        dtype: a dtype or a dtype policy.
        autocast: whether float inputs are cast to the compute dtype.
        name: its name; made from the class name where None.

    >>> import kyeo
    >>> class Scale(kyeo.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")
    ...     def call(self, inputs):
    ...         return inputs * self.factor
    >>> Scale()(kyeo.ops.ones((2, 3))).shape
    (2, 3)
    """

    _keeps_keywords = True
    _graph_arguments: tuple[str, ...] = ()  # what a model takes besides
    _in_programs: tuple[str, ...] = ()  # attributes that a compiled step holds as constants, though they are learned
    _counts_changes = True  # whether what it computes hangs on its public attributes
    mixes_rows = True  # whether a row of the output may depend on other rows of the batch; False for built-in layers

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = in_own_scope(cls.build)  # type: ignore[method-assign]
        if "mixes_rows" not in cls.__dict__:
            cls.mixes_rows = not is_kyeos(cls)

    def __init__(
        self, *, activity_regularizer: Any = None, trainable: bool = True, dtype: Any = None, autocast: bool = True,
        name: str | None = None, **kwargs: Any,
    ):
        if "input_dim" in kwargs:
            kwargs["input_shape"] = (kwargs.pop("input_dim"),)
        input_shape, batch_shape = kwargs.pop("input_shape", None), kwargs.pop("batch_input_shape", None)
        if kwargs:
            names = (*self._graph_arguments, *_init_names(type(self)))
            raise problem(f"`{next(iter(kwargs))}` is not a parameter of this layer.", kind=TypeError,
                          received=", ".join(f"{k}={v!r}" for k, v in kwargs.items()), where=type(self),
                          expected="one of " + ", ".join(names), fix=meant(next(iter(kwargs)), names))
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise problem("A layer's name must be a string without '/'.", received=f"name={name!r}", where=type(self),
                          expected='a plain name such as "encoder"')
        self.name: str = name or auto_name(type(self).__name__)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.autocast: bool = boolean(self, autocast=autocast)
        self.dtype_policy = dtype_policies.get(dtype)
        self.built = False
        self.path = ""
        self.input_spec: Any = None
        self.supports_masking = getattr(self, "supports_masking", type(self).compute_mask is not Layer.compute_mask)
        self._trainable = boolean(self, trainable=trainable)
        self._weights: list[Variable] = []
        self._loss_values: list[Any] = []
        self._inbound_nodes: list[Node] = []
        self._build_shapes: dict[str, Any] | None = None
        self._call_shapes: dict[str, Any] | None = None  # of the arguments it was first called with
        self._remat = current().remat
        if batch_shape is None and input_shape is not None:
            batch_shape = (None, *((input_shape,) if isinstance(input_shape, int) else input_shape))
        self._input_shape_given = batch_shape  # for the first layer of a Sequential written in the tf.keras way
        if current().made is not None:
            current().made.append(self)
        Structure.version += 1

    def __setattr__(self, name: str, value: Any) -> None:
        if name[0] != "_":
            if isinstance(value, (Variable, Shaped, CONTAINERS)) or name == "call":
                Structure.version += 1
                if vars(self).get(name, self) is None:  # in the order of Keras: by when it got something to own
                    del self.__dict__[name]
            if self._counts_changes and self.__dict__.get("built"):  # programs made before are stale
                self.__dict__["_changes"] = self.__dict__.get("_changes", 0) + 1
        try:
            object.__setattr__(self, name, value)
        except AttributeError:
            known = getattr(type(self), name, None)
            if not isinstance(known, property) or known.fset is not None:
                raise
            raise problem(f"`{name}` of a layer cannot be set: it is read off the layer.", kind=AttributeError,
                          where=type(self), received=f"self.{name} = ...", fix=f"a name such as `my_{name}`") from None

    # -- types ---------------------------------------------------------------------------------------------
    @property
    def dtype(self) -> str:
        """The number type of its variables."""
        return self.variable_dtype

    @property
    def compute_dtype(self) -> str:
        """The number type it computes in."""
        return self.dtype_policy.for_path(self.path).compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The number type of its variables."""
        return self.dtype_policy.for_path(self.path).variable_dtype

    @property
    def input_dtype(self) -> str:
        """The number type its float inputs are cast to."""
        return self.compute_dtype

    @property
    def quantization_mode(self) -> str | None:
        """How its weights are quantized; None where they are not."""
        return self.dtype_policy.for_path(self.path).quantization_mode

    def quantize(self, mode: str | None = None, type_check: bool = True, config: Any = None) -> None:
        """Put numbers of 8 or 4 bits in the place of the weights of a built layer that can do with them.

        Args:
            mode: "int8", "int4" or "float8".
            type_check: whether subclasses are refused.
            config: a `kyeo.quantizers.QuantizationConfig`, which says more than the mode.
        """
        quantize(self, mode, config, type_check)

    # -- to be written by subclasses -----------------------------------------------------------------------
    def build(self, input_shape: Any) -> None:
        """Make the weights. The default runs `call` on shapes, unless a class's own `build` asks for it."""
        if input_shape is not None and type(self).build is Layer.build:
            self._build_shapes = self._build_shapes or {call_spec(type(self)).names[0]: input_shape}
            if any(True for _ in self.layers_inside()):
                self._build_by_running(input_shape)
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation of the layer."""
        raise problem("This layer has no `call`.", where=self, kind=NotImplementedError,
                      fix="write `def call(self, inputs): ...` in the class")

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the output, for `inputs` with the mask `previous_mask`: by default that one."""
        return previous_mask

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values, `from_config` takes them back."""
        config = super().get_config()
        given = {"name": self.name, "trainable": self._trainable}
        config.update({k: v for k, v in given.items() if k in config or k in _init_names(type(self))})
        if "dtype" in _init_names(type(self)):  # else the constructor could not take it back
            config["dtype"] = dtype_policies.serialize(policy_to_save(self))
        if self.activity_regularizer is None and "activity_regularizer" not in _own_init_names(type(self)):
            config.pop("activity_regularizer", None)
        if given_arguments(self).get("autocast", True):
            config.pop("autocast", None)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Self:
        """A layer like the one whose `get_config` gave `config`. A plain policy is handed to the constructor by its
        name, such as "float32": constructors of users make arrays of that dtype."""
        dtype = config.get("dtype")
        if isinstance(dtype, dict) and dtype.get("class_name") == "DTypePolicy" and "shared_object_id" not in dtype:
            config = {**config, "dtype": dtype_policies.deserialize(dtype).name}
        return super().from_config(config, custom_objects)

    # -- calling -------------------------------------------------------------------------------------------
    def _check_made(self) -> None:
        if "_inbound_nodes" not in self.__dict__:
            raise problem("The layer was not set up.", received="an __init__ that does not call that of its base class",
                          where=type(self), fix="call super().__init__() at the start of the layer's __init__")

    @plainly
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        spec = call_spec(type(self))
        training = self._training_for(kwargs.get("training"), spec.defaults.get("training"))
        if "training" in kwargs and not (spec.takes("training") or spec.takes_any_keyword):
            kwargs.pop("training")
        args, kwargs = jax.tree.map(self._as_tensor, (args, kwargs), is_leaf=lambda v: isinstance(v, Variable))
        bound = spec.bind(self, args, kwargs)
        first = args[0] if args else next(iter(bound.values()), None)
        check_inputs(self.input_spec, first, self)
        if not self.built:
            self._build_for(bound)
            check_inputs(self.input_spec, first, self)
        if any_symbolic((args, kwargs)):
            return self._record(args, kwargs, bound, training)
        return self._run(args, kwargs, bound, training)

    def _training_for(self, asked: Any, default: Any) -> Any:
        if asked is not None:
            return asked
        surrounding = current().training
        return surrounding if surrounding is not None else default

    def _as_tensor(self, value: Any) -> Any:
        if isinstance(value, (np.ndarray, np.generic)) and is_text(value) and not self._wants_numbers():
            return value  # strings stay on the host; layers that take them say so
        try:
            if isinstance(value, _HOST):
                return to_array(unwrap(value))
            if hasattr(value, "to_numpy") or hasattr(value, "detach"):  # a table, a tensor of torch
                return to_array(of_other_libraries(value))
        except (TypeError, OverflowError) as error:
            raise (retold(error, self) if is_told(error) else error) from None
        return value

    def _wants_numbers(self) -> bool:
        return self.autocast and bool(self.input_spec) and str(type(self).call.__module__).startswith("kyeo.layers.")

    def _build_for(self, bound: dict[str, Any]) -> None:
        shapes = shapes_for_build(self, bound)
        default_build = type(self).build is Layer.build
        with scope(compute_dtype=None):
            if default_build:
                self._enter_path()
                self.built = True
            else:
                with explained(self, bound):
                    self.build(**shapes)
        self._build_shapes = shapes
        self._call_shapes = {name: shape_of(value) for name, value in bound.items()
                             if any(hasattr(leaf, "shape") for leaf in jax.tree.leaves(value))}

    def _build_by_running(self, input_shape: Any) -> None:
        inputs = jax.tree.map(lambda s: SymbolicTensor(s, self.compute_dtype), input_shape, is_leaf=is_shape)
        self.built: bool = True
        with explained(self, {"input_shape": inputs}):
            infer(lambda x: self._run((x,), {}, {call_spec(type(self)).names[0]: x}, None), (inputs,), {})

    def _enter_path(self) -> str:
        if not self.path:
            prefix = current().path
            self.path: str = f"{prefix}/{self.name}" if prefix else self.name
        return self.path

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any], bound: dict[str, Any], training: Any) -> Any:
        """Run `call` on arrays (or on tracers)."""
        now = current()
        losses = [] if now.losses is None else now.losses
        spec = call_spec(type(self))
        kwargs, first_mask = self._with_masks(kwargs, bound)
        if spec.takes("training") and "training" not in bound:
            kwargs["training"] = bool(training) if training is not None else spec.defaults.get("training", False)
        if self.autocast:
            args, kwargs = jax.tree.map(self._cast, (args, kwargs))
        changes = {"training": training, "path": self._enter_path(), "losses": losses,
                   "compute_dtype": self.compute_dtype if self.compute_dtype != self.variable_dtype else None}
        with scope(**changes), explained(self, bound), watched(self):
            outputs = self.call(*args, **kwargs) if self._remat is None else self._remat.call(self, args, kwargs)
            if self.activity_regularizer is not None:
                self._penalize_activity(outputs)
        self._mark(bound, outputs, first_mask)
        if now.losses is None and not now.symbolic:  # a call for its shapes leaves those of the last call
            self._keep_losses(losses)
        return outputs

    def _with_masks(self, kwargs: dict[str, Any], bound: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        """The keywords with the masks that the arguments carry and `call` takes; and the mask of the input."""
        filled = dict(kwargs)
        masks = {n: jax.tree.map(get_mask, v, is_leaf=_is_none) for n, v in bound.items()}
        for name, mask_name in call_spec(type(self)).mask_names.items():
            if bound.get(mask_name) is None and jax.tree.leaves(masks.get(name)):
                filled[mask_name] = masks[name]
        return filled, filled.get("mask", next(iter(masks.values()), None))

    def _cast(self, value: Any) -> Any:
        wanted = self.compute_dtype
        if isinstance(value, jax.Array) and value.dtype != wanted and is_float(value.dtype) and is_float(wanted):
            cast = value.astype(wanted)
            set_mask(cast, get_mask(value))
            return cast
        return value

    def _mark(self, bound: dict[str, Any], outputs: Any, mask: Any) -> None:
        """Give the outputs the mask that follows from the inputs'."""
        leaves = jax.tree.leaves(outputs)
        if not self.supports_masking:
            if jax.tree.leaves(mask) and not any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
                warn(f"Layer {self.name!r} ({type(self).__name__}) was passed an input with a mask attached to it, and "
                     "does not hand masks on: layers after it count every step. If its outputs belong to the same "
                     "steps as its inputs, set `supports_masking = True` in its constructor.")
            return
        if type(self).compute_mask is Layer.compute_mask and not jax.tree.leaves(mask):
            return
        if not leaves or all(get_mask(leaf) is not None for leaf in leaves):
            return
        new = self.compute_mask(next(iter(bound.values()), None), mask)
        for leaf, one in zip(leaves, jax.tree.leaves(new, is_leaf=_is_none)):
            if one is not None and get_mask(leaf) is None:
                set_mask(leaf, one)

    def _penalize_activity(self, outputs: Any) -> None:
        rows = current().row_mask
        for output in jax.tree.leaves(outputs):
            if rows is not None:
                output = output * rows.astype(output.dtype).reshape((-1,) + (1,) * (output.ndim - 1))
            size = (max(output.shape[0], 1) if rows is None else rows.sum()) if output.ndim else 1
            self._collect_loss(self.activity_regularizer(output) / size)

    def _keep_losses(self, losses: list[Any]) -> None:
        if not losses and not self.__dict__.get("_kept_losses"):
            return
        self._clear_losses()
        self._kept_losses = bool(losses)
        for layer, value in losses:
            if not isinstance(value, jax.core.Tracer):
                layer._loss_values.append(value)

    def _record(self, args: tuple[Any, ...], kwargs: dict[str, Any], bound: dict[str, Any], training: Any) -> Any:
        """Find the shapes of the outputs and remember the call in the graph."""
        filled, first_mask = self._with_masks(kwargs, bound)
        outputs = record(self, args, kwargs, self._specs(args, filled, training))
        leaves = jax.tree.leaves(outputs)
        if not leaves:
            raise problem("`call` gives nothing back.", received=f"{outputs!r} from `call`", expected="a tensor",
                          where=self, fix="end `call` with `return ...`")
        self._inbound_nodes.append(leaves[0].node)
        self._mark(bound, outputs, first_mask)
        return outputs

    # -- as a pure function --------------------------------------------------------------------------------
    def stateless_call(self, trainable_variables: Any, non_trainable_variables: Any, *args: Any,
                       return_losses: bool = False, **kwargs: Any) -> Any:
        """Call with the variables' values passed in: `(outputs, new non-trainable values[, losses])`.

        >>> import kyeo
        >>> kyeo.layers.Rescaling(2.0).stateless_call([], [], kyeo.ops.ones(2))[0].tolist()
        [2.0, 2.0]
        """
        if not self.built and (type(self).build is not Layer.build or any(True for _ in self.layers_inside())):
            raise problem("The layer has no weights yet.", where=self,
                          fix="call it on data, or `build(input_shape)`, first")
        trainable, frozen = self.trainable_variables, self.non_trainable_variables
        surrounding = current().losses

        def run() -> Any:
            with scope(losses=LossList()):
                outputs = self(*args, **kwargs)
                return outputs, self.losses

        values = [unwrap(v) for v in (*trainable_variables, *non_trainable_variables)]
        (outputs, losses), new = pure(run, trainable + frozen)(values)
        if isinstance(surrounding, LossList):  # a training step: `losses` and `compute_loss` find them there
            surrounding[:] = [(self, loss) for loss in losses]
            surrounding.complete = True
        rest = new[len(trainable):]
        return (outputs, rest, losses) if return_losses else (outputs, rest)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


@per_class
def _init_names(cls: type) -> tuple[str, ...]:
    return tuple(parameters_of(cls))


@per_class
def _own_init_names(cls: type) -> tuple[str, ...]:
    return tuple(inspect.signature(cls).parameters) if cls is not Layer else ()


def _is_none(value: Any) -> bool:
    return value is None
