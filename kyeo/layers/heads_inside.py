"""What classes derived from `MultiHeadAttention` find in it: the names that Keras keeps its parts under.

Libraries write attention with a cache, with rotated places and so on as such classes, whose own `build` and `call` put
these parts together anew.
"""

import operator
from collections.abc import Sequence
from string import ascii_lowercase as LETTERS
from typing import Any

import jax.numpy as jnp

from kyeo.layers.activation import Softmax
from kyeo.layers.dropout import Dropout
from kyeo.layers.einsum import EinsumDense
from kyeo.layers.layer import Layer
from kyeo.ops.kernels import attend

__all__ = ["RULES", "HeadsInside", "give_names", "with_heads"]

RULES = tuple(f"{weight}_{kind}" for weight in ("kernel", "bias")
              for kind in ("initializer", "regularizer", "constraint"))


class HeadsInside(Layer):
    """The parts of attention in heads: projections, the weights of the places, and what is gathered by them."""

    attention_axes: tuple[int, ...] | None = None  # of the inputs; all between batch and features where None
    output_shape: tuple[int, ...] | None = None

    def _projection(self, name: str, shape: Any, summed: int, last: Any, activation: Any = None) -> EinsumDense:
        """A dense layer from the last `summed` axes to axes of sizes `last`."""
        free = len(shape) - summed
        kept, gone, new = LETTERS[:free], LETTERS[free:len(shape)], LETTERS[len(shape):len(shape) + len(last)]
        layer = EinsumDense(
            f"{kept}{gone},{gone}{new}->{kept}{new}", output_shape=(None,) * (free - 1) + tuple(last), name=name,
            activation=activation, bias_axes=new if self.use_bias else None, **self._get_common_kwargs_for_sublayer())
        layer.build(shape)
        layer.supports_masking = True  # each step stays where it is; without it every masked call would warn
        return layer

    def _get_common_kwargs_for_sublayer(self) -> dict[str, Any]:
        """What all projections are made with."""
        return {"dtype": self.dtype_policy, "activity_regularizer": self.activity_regularizer,
                **{rule: getattr(self, rule) for rule in RULES}}

    def _build_attention(self, rank: int) -> None:
        """Make what stands between the projections; `rank`: of projected inputs, (batch, ..., heads, size)."""
        axes = tuple(range(1, rank - 2)) if self.attention_axes is None else self.attention_axes
        self.attention_axes = axes = tuple(a + rank - 1 if a < 0 else a for a in axes)
        self._dot_product_equation, self._combine_equation = _equations(rank, axes)
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy)

    def _masked_softmax(self, attention_scores: Any, attention_mask: Any = None) -> Any:
        """The weights from the products of queries and keys; a mask without heads is that of all."""
        count = len(self.attention_axes or (1,))
        if attention_mask is not None:
            attention_mask = with_heads(attention_mask, attention_scores.ndim, count)
        return Softmax(axis=tuple(range(-count, 0)), dtype=self.dtype_policy)(attention_scores, mask=attention_mask)

    def _compute_attention(
        self, query: Any, key: Any, value: Any, attention_mask: Any = None, training: Any = None,
        return_attention_scores: bool = False, use_causal_mask: bool = False,
    ) -> tuple[Any, Any]:
        """What projected queries gather from projected values, and the weights, None unless asked for.

        A class may have a method of its own here: `call` asks for it.
        """
        axes = self.attention_axes or (1,)
        if attention_mask is not None:
            attention_mask = with_heads(attention_mask, query.ndim + len(axes) - 1, len(axes)).astype(bool)
        elif use_causal_mask:
            attention_mask = jnp.arange(key.shape[axes[0]]) <= jnp.arange(query.shape[axes[0]])[:, None]
        return attend(
            query, key, value, axes, attention_mask, blind=bool(self.dropout or return_attention_scores),
            drop=(lambda weights: self._dropout_layer(weights, training=training)) if self.dropout else None,
            wanted=return_attention_scores)


def with_heads(mask: Any, rank: int, count: int) -> Any:
    """A mask over the last `count` axes of the queries and of the keys, with the axes that it lacks before these."""
    mask = jnp.asarray(mask)
    cut = max(mask.ndim - 2 * count, 0)
    return jnp.reshape(mask, mask.shape[:cut] + (1,) * (rank - mask.ndim) + mask.shape[cut:])


def _equations(rank: int, axes: Sequence[int]) -> tuple[str, str]:
    """The products of keys and queries, and of weights and values, for `einsum`."""
    of_query, others = LETTERS[:rank], iter(LETTERS[rank:])
    of_key = "".join(next(others) if a in axes else of_query[a] for a in range(rank))
    apart = "".join(of_query[a] for a in range(rank - 1) if a not in axes)
    scores = apart + "".join(of_query[a] for a in axes) + "".join(of_key[a] for a in axes)
    return f"{of_key},{of_query}->{scores}", f"{scores},{of_key}->{of_query}"


def give_names(cls: type, *names: str) -> None:
    """Let `_name` be `name`, to read and to set."""
    for name in names:
        setattr(cls, f"_{name}", property(operator.attrgetter(name), lambda self, value, name=name: setattr(
            self, name, value), doc=f"`{name}`, as Keras keeps it."))
