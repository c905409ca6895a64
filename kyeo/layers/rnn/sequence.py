"""SimpleRNN, LSTM, GRU: RNN with a cell of one kind, whose arguments they take."""

from typing import Any

from kyeo.core.configurable import parameters_of
from kyeo.core.errors import one_of
from kyeo.core.naming import auto_name, is_kyeos
from kyeo.core.scope import current, scope
from kyeo.layers.arguments import arguments_of, explain
from kyeo.layers.layer import InputSpec, Layer
from kyeo.layers.rnn.cells import GRUCell, LSTMCell, SimpleRNNCell
from kyeo.layers.rnn.loop import RNN

__all__ = ["GRU", "LSTM", "SimpleRNN"]  # and OfCell, for the family of ConvLSTM

_ARGUMENTS = """
Args:
    units: size of the state and of the output.
    activation: function of what goes into the state.
    recurrent_activation: function of the gates.
    use_bias: whether biases are added.
    kernel_initializer, recurrent_initializer, bias_initializer: how the weights begin.
    kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties on the weights.
    activity_regularizer: penalty on the output.
    kernel_constraint, recurrent_constraint, bias_constraint: applied to the weights after each step.
    dropout: the share of the inputs that is dropped while training, the same ones at each time step.
    recurrent_dropout: the share of the state that is dropped while training. It keeps the layer off its fast path.
    seed: an int for the two; the process's seed and the layer's path decide where None.
    return_sequences, return_state, go_backwards, stateful, unroll: as in `RNN`.
    use_cudnn: kept for programs that set it.

Input of shape (batch, time, features), output of shape (batch, units) or (batch, time, units).
"""


def _of_cell(name: str) -> property:
    return property(lambda self: getattr(self.cell, name), doc=f"`{name}` of the cell.")


class OfCell(RNN):
    """A cell class and its arguments; they are read off the cell."""

    cell_class: type
    cell_name: str
    input_axes = 3
    explained = _ARGUMENTS
    _not_in_config = frozenset({"cell", "use_cudnn"})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if is_kyeos(cls) and not cls.__name__.startswith("_"):
            explain(cls, cls.explained)
            for name in {*parameters_of(cls.cell_class)} - {*parameters_of(Layer), *vars(cls)}:
                setattr(cls, name, _of_cell(name))

    def _set_up(self, given: dict[str, Any], words: dict[str, Any]) -> None:
        own = parameters_of(self.cell_class)
        words["name"] = words.get("name") or auto_name(type(self).__name__)
        for_cell = {name: given.pop(name) for name in list(given) if name in own and name != "activity_regularizer"}
        for_cell |= {name: words[name] for name in ("dtype", "trainable") if name in words}
        if "implementation" in words:
            for_cell["implementation"] = words.pop("implementation")
        self.use_cudnn = one_of(self, ("auto", True, False), use_cudnn=given.pop("use_cudnn", "auto"))
        with scope(path=f"{current().path}/{words['name']}".lstrip("/")):
            cell = self.cell_class(**for_cell, **self._of_family(), name=self.cell_name)
        super().__init__(cell, **given, **words)
        self.input_spec = InputSpec(ndim=self.input_axes)

    def _of_family(self) -> dict[str, Any]:
        """Further arguments of the cell."""
        return {}


class SimpleRNN(OfCell):
    """The recurrent layer whose output is its state: `h = activation(inputs @ kernel + h @ recurrent_kernel + bias)`.

    J. Elman, "Finding Structure in Time", Cognitive Science 14 (1990).

    >>> import kyeo
    >>> kyeo.layers.SimpleRNN(3)(kyeo.ops.ones((2, 5, 4))).shape
    (2, 3)
    """

    cell_class, cell_name = SimpleRNNCell, "simple_rnn_cell"

    def __init__(
        self, units: int, activation: Any = "tanh", use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
        kernel_constraint: Any = None, recurrent_constraint: Any = None, bias_constraint: Any = None,
        dropout: float = 0.0, recurrent_dropout: float = 0.0, return_sequences: bool = False,
        return_state: bool = False, go_backwards: bool = False, stateful: bool = False, unroll: bool = False,
        seed: Any = None, **kwargs: Any,
    ):
        self._set_up(arguments_of(locals()), kwargs)


class LSTM(OfCell):
    """Long short-term memory: a recurrent layer with gates that decide what it remembers.

    S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9 (1997).

    `unit_forget_bias` begins with a bias of 1 at the gate that forgets.

    >>> import kyeo
    >>> layer = kyeo.layers.LSTM(3, return_sequences=True, return_state=True)
    >>> [tensor.shape for tensor in layer(kyeo.ops.ones((2, 5, 4)))]
    [(2, 5, 3), (2, 3), (2, 3)]
    """

    cell_class, cell_name = LSTMCell, "lstm_cell"

    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros", unit_forget_bias: bool = True, kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
        kernel_constraint: Any = None, recurrent_constraint: Any = None, bias_constraint: Any = None,
        dropout: float = 0.0, recurrent_dropout: float = 0.0, seed: Any = None, return_sequences: bool = False,
        return_state: bool = False, go_backwards: bool = False, stateful: bool = False, unroll: bool = False,
        use_cudnn: Any = "auto", **kwargs: Any,
    ):
        self._set_up(arguments_of(locals()), kwargs)


class GRU(OfCell):
    """Gated recurrent unit: as LSTM, with one state and one gate less.

    K. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation"
    (2014), https://arxiv.org/abs/1406.1078

    `reset_after` says whether the reset gate is applied after the product with the recurrent weights, or before.

    >>> import kyeo
    >>> kyeo.layers.GRU(3)(kyeo.ops.ones((2, 5, 4))).shape
    (2, 3)
    """

    cell_class, cell_name = GRUCell, "gru_cell"

    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros", kernel_regularizer: Any = None, recurrent_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        recurrent_constraint: Any = None, bias_constraint: Any = None, dropout: float = 0.0,
        recurrent_dropout: float = 0.0, seed: Any = None, return_sequences: bool = False, return_state: bool = False,
        go_backwards: bool = False, stateful: bool = False, unroll: bool = False, reset_after: bool = True,
        use_cudnn: Any = "auto", **kwargs: Any,
    ):
        self._set_up(arguments_of(locals()), kwargs)
