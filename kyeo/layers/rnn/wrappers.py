"""Layers around layers for sequences: Bidirectional and TimeDistributed."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.configurable import deserialize_value, serialize_object
from kyeo.core.errors import describe, one_of, problem
from kyeo.core.scope import current, scope
from kyeo.layers.call_spec import call_spec
from kyeo.layers.core import Wrapper
from kyeo.layers.layer import Layer

__all__ = ["Bidirectional", "TimeDistributed"]

_MERGED = {
    "concat": lambda a, b: jnp.concatenate([a, b], axis=-1),
    "sum": lambda a, b: a + b,
    "ave": lambda a, b: (a + b) / 2,
    "mul": lambda a, b: a * b,
}


class Bidirectional(Layer):
    """Reads a sequence in both directions with two copies of a recurrent layer, and merges their outputs.

    M. Schuster and K. Paliwal, "Bidirectional Recurrent Neural Networks", IEEE Transactions on Signal Processing 45
    (1997).

    Args:
        layer: a recurrent layer; it is copied.
        merge_mode: "concat", "sum", "mul", "ave", or None for both outputs.
        weights: arrays to begin with, those of the forward layer first.
        backward_layer: the layer that reads backwards; a copy of `layer` where None.

    >>> import kyeo
    >>> kyeo.layers.Bidirectional(kyeo.layers.LSTM(3))(kyeo.ops.ones((2, 5, 4))).shape
    (2, 6)
    """

    _not_in_config = frozenset({"weights"})

    def __init__(self, layer: Layer, merge_mode: str | None = "concat", weights: Any = None,
                 backward_layer: Layer | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        for name, one in (("layer", layer), ("backward_layer", backward_layer)):
            if not (isinstance(one, Layer) and hasattr(one, "go_backwards")) and not (one is None and name[0] == "b"):
                raise problem(f"`{name}` is not valid.", received=f"{name}={describe(one)}", where=self,
                              expected="a recurrent layer", kind=TypeError)
        self.merge_mode = one_of(self, (*_MERGED, None), merge_mode=merge_mode)
        self.forward_layer = _copied(layer, "forward_")
        self.backward_layer = backward_layer or _copied(layer, "backward_", go_backwards=True)
        self._initial_weights = weights
        self._check_pair()
        for one in (self.forward_layer, self.backward_layer):
            if hasattr(one, "zero_output_for_mask"):  # so that the two agree on masked steps
                one.zero_output_for_mask = one.return_sequences
        self.stateful, self.return_sequences, self.return_state = (
            layer.stateful, layer.return_sequences, layer.return_state)
        self.supports_masking = True
        self.input_spec = layer.input_spec

    def _check_pair(self) -> None:
        pair = self.forward_layer, self.backward_layer
        if pair[0].go_backwards == pair[1].go_backwards:
            raise problem("Both layers read in the same direction.", where=self, expected="one with go_backwards=True",
                          received=f"backward_layer with go_backwards={pair[1].go_backwards}")
        for name in ("stateful", "return_sequences", "return_state"):
            values = [getattr(one, name) for one in pair]
            if values[0] != values[1]:
                raise problem(f"The two layers differ in `{name}`.", received=f"{values[0]} and {values[1]}",
                              where=self, expected="the same for both")

    @property
    def layer(self) -> Layer:
        """The layer that reads forwards."""
        return self.forward_layer

    @property
    def states(self) -> Any:
        """The states of both layers, where they are stateful."""
        both = self.forward_layer.states, self.backward_layer.states
        return None if None in both else (*both[0], *both[1])

    def reset_state(self) -> None:
        """Set the states of stateful layers to zero."""
        if not self.stateful:
            raise problem("There are no states to reset.", where=self, expected="stateful=True", kind=AttributeError)
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Build both layers."""
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        """The merged outputs, and the states of both layers where they are returned."""
        halves: tuple[Any, Any] = (None, None)
        if initial_state is not None:
            half = len(initial_state) // 2
            halves = initial_state[:half], initial_state[half:]
        results = []
        for layer, first in zip((self.forward_layer, self.backward_layer), halves):
            taken = call_spec(type(layer)).takes
            words = {"mask": mask, "training": training, "initial_state": first}
            results.append(layer(sequences, **{k: v for k, v in words.items() if taken(k) and v is not None}))
        (y, *states), (y_back, *more) = results if self.return_state else [[r] for r in results]
        y, y_back = y.astype(self.compute_dtype), y_back.astype(self.compute_dtype)
        if self.return_sequences:
            y_back = jnp.flip(y_back, axis=1)
        outputs = (y, y_back) if self.merge_mode is None else (_MERGED[self.merge_mode](y, y_back),)
        found = (*outputs, *states, *more)
        return found if len(found) > 1 else found[0]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the input for sequences; none for last outputs and for states."""
        leaves = jax.tree.leaves(mask)
        mask = leaves[0] if leaves and self.return_sequences else None
        if self.return_state:
            return [mask] if self.merge_mode else [mask, mask]
        return mask if self.merge_mode else (mask, mask)


def _copied(layer: Layer, prefix: str, **changes: Any) -> Any:
    """A layer like this one under another name, with weights of its own."""
    spec = serialize_object(layer)
    spec.pop("build_config", None)
    if getattr(layer, "use_cudnn", "auto") != "auto":  # it is in no config
        changes["use_cudnn"] = layer.use_cudnn
    spec["config"] = {**spec["config"], **changes, "name": prefix + layer.name.removeprefix(prefix)}
    return deserialize_value(spec)


class TimeDistributed(Wrapper):
    """Applies a layer to each time step by itself.

    Args:
        layer: the layer.

    Input of shape (batch, time, ...), output of shape (batch, time, ...).

    >>> import kyeo
    >>> kyeo.layers.TimeDistributed(kyeo.layers.Dense(3))(kyeo.ops.ones((2, 5, 4))).shape
    (2, 5, 3)
    """

    def __init__(self, layer: Layer, **kwargs: Any):
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any = None) -> None:
        """Build the layer inside for one step."""
        if len(input_shape) < 3:
            raise problem("There is no time axis.", received=f"an input of shape {input_shape}", where=self,
                          expected="shape (batch, time, features ...)",
                          fix="a recurrent layer before this one needs return_sequences=True; or is one feature a step "
                              "meant? `x[..., None]`")
        if not self.layer.built:
            self.layer.build((input_shape[0], *input_shape[2:]))

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        """The layer's outputs for all steps."""
        spec = call_spec(type(self.layer))
        words = {"training": training} if spec.takes("training") else {}
        given = {"mask": mask} if mask is not None and spec.takes("mask") else {}
        if mask is not None and tuple(mask.shape[:2]) != tuple(inputs.shape[:2]):
            raise problem("The mask does not fit the input.", received=f"a mask of shape {mask.shape}", where=self,
                          expected=f"a mask of shape {tuple(inputs.shape[:2])}")
        batch, time = inputs.shape[:2]
        if not (self._folds() or current().symbolic):
            steps = [self.layer(inputs[:, i], **words, **{k: m[:, i] for k, m in given.items()}) for i in range(time)]
            return jnp.stack(steps, axis=1)
        # all steps at once as one larger batch: a loop would make a convolution many times slower on a CPU
        rows = current().row_mask
        with scope(row_mask=None if rows is None else jnp.repeat(rows, time)):
            folded, given = jax.tree.map(lambda a: a.reshape(batch * time, *a.shape[2:]), (inputs, given))
            outputs = self.layer(folded, **words, **given)
        return outputs.reshape(batch, time, *outputs.shape[1:])

    def _folds(self) -> bool:
        """Whether rows of the batch stay apart, and nothing is counted from step to step."""
        counted = any(not v.born_trainable for v in self.layer.weights)
        return not counted and not any(getattr(one, "mixes_rows", True) for one in self.layer._flatten_layers())
