"""Attention in several heads: MultiHeadAttention, and GroupQueryAttention, whose heads share keys and values."""

import functools
import operator
from typing import Any

import jax.numpy as jnp

from kyeo.core.errors import boolean, fraction, int_tuple, positive_int, problem
from kyeo.layers.arguments import explain, weight_rules
from kyeo.layers.dropout import Dropout
from kyeo.layers.heads_inside import RULES, HeadsInside, give_names, with_heads
from kyeo.ops.agree import agreed

__all__ = ["GroupQueryAttention", "MultiHeadAttention"]

_EXPLAINED = """
Args:
    dropout: the share of the weights that is dropped while training.
    use_bias: whether the projections add a bias.
    sliding_window: a query looks at keys at most `sliding_window - 1` places away.
    flash_attention: taken for Keras's sake: the form of the computation is chosen here, and all give the same. True
        refuses what Keras refuses with it: dropout, and giving the weights back.
    kernel_initializer, bias_initializer: how the weights of the projections begin.
    kernel_regularizer, bias_regularizer, activity_regularizer: penalties of the projections.
    kernel_constraint, bias_constraint: applied to their weights after each step.
    use_gate: multiply what attention gives by `sigmoid(a projection of query)` (Qiu et al., 2025,
        https://arxiv.org/abs/2505.06708).
    seed: of the dropout; the process's seed and the layer's path decide where None.

Called with `query`, `value` and, where it is not `value`, `key`. The masks that these carry are respected; further:
    attention_mask: True where a query may look at a key; shape (batch, queries, keys), or with heads after the batch.
    use_causal_mask: no query looks at later keys.
    return_attention_scores: give the weights as well, of shape (batch, heads, queries, keys).
"""


class _Heads(HeadsInside):
    """Projections into heads, attention, and the projection back."""

    def _set_attention(
        self, dropout: Any, use_bias: Any, sliding_window: Any, flash_attention: Any, use_gate: Any, seed: Any,
        **rules: Any,
    ) -> None:
        self.dropout = fraction(self, dropout=dropout)
        self.use_bias, self.use_gate = boolean(self, use_bias=use_bias), boolean(self, use_gate=use_gate)
        self.sliding_window = positive_int(self, optional=True, sliding_window=sliding_window)
        self.flash_attention = flash_attention if flash_attention is None else boolean(
            self, flash_attention=flash_attention)
        if self.flash_attention and self.dropout:
            raise problem("`flash_attention` and `dropout` do not go together.", where=self,
                          received=f"flash_attention=True, dropout={dropout}", fix="leave one of them out")
        self.seed = seed
        weight_rules(self, **rules)
        self.supports_masking = True

    def _make(self, query: Any, value: Any, key: Any, heads: int, shared: int, size: int, value_size: int) -> None:
        """Make the layers inside for inputs of these shapes: `heads` of the queries, `shared` of keys and values."""
        key = value if key is None else key
        differ = any(len({*sizes} - {None}) > 1 for sizes in zip(value[1:-1], key[1:-1]))
        if differ or not len(query) == len(key) == len(value) >= 3:
            raise problem("The inputs do not fit together.", where=self,
                          received=f"query {query}, value {value}, key {key}", expected=(
                              "(batch, queries, features) and (batch, keys, features), as many keys as values"))
        axes = tuple(range(1, len(query) - 1)) if self.attention_axes is None else self.attention_axes
        self.attention_axes = tuple(a + len(query) if a < 0 else a for a in axes)
        if not all(0 <= a < len(query) - 1 for a in self.attention_axes):
            raise problem("The input does not have these axes.", received=f"attention_axes={axes}, query {query}",
                          where=self, expected=f"axes from 0 to {len(query) - 2}")
        self.mixes_rows = 0 in self.attention_axes
        self._query_dense = self._projection("query", query, 1, (heads, size))
        self._key_dense = self._projection("key", key, 1, (shared, size))
        if self.use_gate:
            self._gate_dense = self._projection("gate", query, 1, (heads, value_size), "sigmoid")
        self._value_dense = self._projection("value", value, 1, (shared, value_size))
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy)
        back = self.output_shape or (query[-1],)
        self._output_dense = self._projection("attention_output", (*query[:-1], heads, value_size), 2, back)

    def call(
        self, query: Any, value: Any, key: Any = None, query_mask: Any = None, value_mask: Any = None,
        key_mask: Any = None, attention_mask: Any = None, return_attention_scores: bool = False,
        training: Any = None, use_causal_mask: bool = False,
    ) -> Any:
        """What the values say to each query; with `return_attention_scores`, the weights as well."""
        if self.flash_attention and return_attention_scores:
            raise problem("`return_attention_scores` and `flash_attention` do not go together.", where=self,
                          received="return_attention_scores=True", fix="make the layer without `flash_attention`")
        key = value if key is None else key
        places = range(query.ndim - 1)
        value, key = agreed([[*places, "v"], [*places, "k"]], value, key)
        mask = self._mask(query, key, query_mask, (value_mask, key_mask), attention_mask, use_causal_mask)
        output, weights = self._compute_attention(
            self._query_dense(query), self._key_dense(key), self._value_dense(value), mask, training,
            return_attention_scores)
        output = self._output_dense(output * self._gate_dense(query) if self.use_gate else output)
        return (output, weights) if return_attention_scores else output

    def _mask(self, query: Any, key: Any, of_query: Any, of_keys: Any, given: Any, causal: bool) -> Any:
        """The masks as one that broadcasts to the weights; None where everything may be seen."""
        axes = self.attention_axes or (1,)
        ones = (1,) * len(axes)
        masks = []
        if given is not None:  # heads, and what else it does not name, come before its places
            masks.append(with_heads(given, query.ndim + len(axes), len(axes)))
        if of_query is not None:
            apart, places = self._parts(of_query, query.ndim, axes)
            masks.append(jnp.reshape(places, apart + (1,) + places.shape[len(apart):] + ones))
        for mask in of_keys:
            if mask is not None:
                apart, places = self._parts(mask, key.ndim, axes)
                masks.append(jnp.reshape(places, apart + (1,) + ones + places.shape[len(apart):]))
        if causal or self.sliding_window:
            masks += self._by_distance(key.shape[axes[0]], query.shape[axes[0]], causal)
        return functools.reduce(jnp.logical_and, masks) if masks else None

    @staticmethod
    def _parts(mask: Any, rank: int, axes: tuple[int, ...]) -> tuple[tuple[int, ...], Any]:
        """A mask of the inputs with the axes that attend moved behind the others; and the sizes of the others."""
        mask = jnp.reshape(mask, mask.shape + (1,) * (rank - 1 - mask.ndim))
        apart = [a for a in range(rank - 1) if a not in axes]
        moved = jnp.transpose(mask, (*apart, *axes))
        return moved.shape[:len(apart)], moved

    def _by_distance(self, keys: int, queries: int, causal: bool) -> list[Any]:
        """The masks that follow from how far ahead of a query a key is."""
        if len(self.attention_axes or (1,)) > 1:
            raise problem("There is no order among places of several axes.", where=self, expected="one axis", received=(
                f"attention_axes={self.attention_axes}, use_causal_mask={causal}, "
                f"sliding_window={self.sliding_window}"))
        ahead = jnp.arange(keys) - jnp.arange(queries)[:, None]
        return [ahead <= 0] * causal + [abs(ahead) < (self.sliding_window or 0)] * bool(self.sliding_window)


class MultiHeadAttention(_Heads):
    """Every place of `query` gathers from the values, by how well their keys fit it; several times, in heads.

    A. Vaswani et al., "Attention Is All You Need" (2017), https://arxiv.org/abs/1706.03762

    Args:
        num_heads: how many heads.
        key_dim: size of the queries and keys of a head.
        value_dim: size of the values of a head; `key_dim` where None.
        output_shape: sizes of the output's features; those of `query` where None.
        attention_axes: the axes along which places look at each other; all between batch and features where None.

    >>> import kyeo
    >>> x = kyeo.ops.ones((2, 5, 16))
    >>> kyeo.layers.MultiHeadAttention(num_heads=2, key_dim=8)(x, x, use_causal_mask=True).shape
    (2, 5, 16)
    """

    def __init__(
        self, num_heads: int, key_dim: int, value_dim: int | None = None, dropout: float = 0.0, use_bias: bool = True,
        output_shape: Any = None, attention_axes: Any = None, sliding_window: int | None = None,
        flash_attention: bool | None = None, kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros", kernel_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
        use_gate: bool = False, seed: int | None = None, **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.num_heads = positive_int(self, num_heads=num_heads)
        self.key_dim = positive_int(self, key_dim=key_dim)
        self.value_dim = positive_int(self, optional=True, value_dim=value_dim) or self.key_dim
        self.output_shape = _ints(self, output_shape=output_shape)
        self.attention_axes = _ints(self, attention_axes=attention_axes)
        self._set_attention(
            dropout, use_bias, sliding_window, flash_attention, use_gate, seed, kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer, kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer, kernel_constraint=kernel_constraint, bias_constraint=bias_constraint)

    def build(  # type: ignore[override]
        self, query_shape: Any, value_shape: Any, key_shape: Any = None,
    ) -> None:
        """Make the projections."""
        self._make(query_shape, value_shape, key_shape, self.num_heads, self.num_heads, self.key_dim, self.value_dim)

    def _penalize_activity(self, outputs: Any) -> None:
        """The projections pay it, each for itself."""

    _inverse_sqrt_key_dim = property(lambda self: self.key_dim ** -0.5)
    # A file names the projections by these.
    query_dense = property(operator.attrgetter("_query_dense"), doc="The projection of `query`.")
    key_dense = property(operator.attrgetter("_key_dense"), doc="The projection of `key`.")
    value_dense = property(operator.attrgetter("_value_dense"), doc="The projection of `value`.")
    output_dense = property(operator.attrgetter("_output_dense"), doc="The projection back.")


class GroupedQueryAttention(_Heads):
    """`MultiHeadAttention` with fewer heads of keys and values than of queries: neighbouring heads share them.

    J. Ainslie et al., "GQA: Training Generalized Multi-Query Transformer Models from Multi-Head Checkpoints" (2023),
    https://arxiv.org/abs/2305.13245. In `kyeo.layers` it is called `GroupQueryAttention`, as in Keras.

    Args:
        head_dim: size of queries, keys and values of a head.
        num_query_heads: heads of the queries.
        num_key_value_heads: heads of keys and values; a divisor of `num_query_heads`.

    >>> import kyeo
    >>> x = kyeo.ops.ones((2, 5, 16))
    >>> layer = kyeo.layers.GroupQueryAttention(head_dim=4, num_query_heads=4, num_key_value_heads=2)
    >>> layer(x, x).shape
    (2, 5, 16)
    """

    public_name = "GroupQueryAttention"

    def __init__(
        self, head_dim: int, num_query_heads: int, num_key_value_heads: int, dropout: float = 0.0,
        use_bias: bool = True, sliding_window: int | None = None, flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, use_gate: bool = False, seed: int | None = None, **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.head_dim = positive_int(self, head_dim=head_dim)
        self.num_query_heads = positive_int(self, num_query_heads=num_query_heads)
        self.num_key_value_heads = positive_int(self, num_key_value_heads=num_key_value_heads)
        if self.num_query_heads % self.num_key_value_heads:
            raise problem("`num_query_heads` is not a multiple of `num_key_value_heads`.", where=self, received=(
                f"num_query_heads={num_query_heads}, num_key_value_heads={num_key_value_heads}"),
                expected="as many queries for each key")
        self._set_attention(
            dropout, use_bias, sliding_window, flash_attention, use_gate, seed, kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer, kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer, kernel_constraint=kernel_constraint, bias_constraint=bias_constraint)

    def build(  # type: ignore[override]
        self, query_shape: Any, value_shape: Any, key_shape: Any = None,
    ) -> None:
        """Make the projections."""
        if len(query_shape) != 3:
            raise problem("The layer takes (batch, places, features).", received=f"query {query_shape}", where=self,
                          expected="3 axes")
        self._make(query_shape, value_shape, key_shape, self.num_query_heads, self.num_key_value_heads, self.head_dim,
                   self.head_dim)


def _ints(owner: Any, **named: Any) -> tuple[int, ...] | None:
    """None, or one or more ints."""
    ((name, value),) = named.items()
    if value is None:
        return None
    values = value if isinstance(value, (list, tuple)) else (value,)
    lowest = 1 if name == "output_shape" else -9
    return int_tuple(owner, max(len(values), 1), minimum=lowest, **{name: value})


GroupQueryAttention = GroupedQueryAttention
for _cls in (MultiHeadAttention, GroupedQueryAttention):
    explain(_cls, _EXPLAINED)
    give_names(_cls, "dropout", "use_bias", "use_gate", "sliding_window", "flash_attention", "activity_regularizer",
               *RULES)
give_names(MultiHeadAttention, "num_heads", "key_dim", "value_dim", "output_shape", "attention_axes")
