"""Attention of queries to values without projections: by dot products, or by a sum under a tanh."""

from typing import Any

import jax.numpy as jnp

from kyeo import ops
from kyeo.core.errors import boolean, fraction, one_of, problem
from kyeo.core.scope import current, scope
from kyeo.layers.dropout import drop
from kyeo.layers.layer import Layer
from kyeo.ops.agree import agreed
from kyeo.random import SeedGenerator

__all__ = ["AdditiveAttention", "Attention"]


class Attention(Layer):
    """For each query, the mean of the values, weighted by the softmax of how well their keys fit it.

    M.-T. Luong et al., "Effective Approaches to Attention-based Neural Machine Translation" (2015),
    https://arxiv.org/abs/1508.04025

    Args:
        use_scale: whether the scores are multiplied by a number that is learned.
        score_mode: "dot", the product of query and key; or "concat", the sum of tanh(query + key), times a number that
            is learned.
        dropout: the share of the weights that is dropped while training.
        seed: of the dropout; the process's seed and the layer's path decide where None.

    Called on [query, value] or [query, value, key], of shapes (batch, queries, size) and (batch, keys, size), with a
    `mask` for each if need be; further:
        return_attention_scores: give the weights as well, of shape (batch, queries, keys).
        use_causal_mask: no query looks at later keys.

    >>> import kyeo
    >>> query, value = kyeo.ops.ones((2, 3, 4)), kyeo.ops.ones((2, 5, 4))
    >>> kyeo.layers.Attention()([query, value]).shape
    (2, 3, 4)
    """

    def __init__(
        self, use_scale: bool = False, score_mode: str = "dot", dropout: float = 0.0, seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.use_scale = boolean(self, use_scale=use_scale)
        self.score_mode = one_of(self, ("dot", "concat"), score_mode=score_mode)
        self.dropout = fraction(self, dropout=dropout)
        self.seed = seed
        self.supports_masking = True
        if self.dropout > 0:
            with scope(path=f"{current().path}/{self.name}".lstrip("/")):  # an unseeded draw goes by its path
                self.seed_generator = SeedGenerator(seed)

    def build(self, input_shape: Any) -> None:
        """Make the weights of the scores."""
        shapes = input_shape if isinstance(input_shape, list) else [input_shape]
        if not isinstance(input_shape, list) or len(shapes) not in (2, 3) or any(len(s) < 3 for s in shapes):
            raise problem("The layer takes a list of tensors.", received=f"input of shape {input_shape}", where=self,
                          expected="[query, value] or [query, value, key], each of (batch, places, size)")
        query, value, key = (*shapes, shapes[1])[:3]
        if any(len({*sizes} - {None}) > 1 for sizes in ((query[-1], key[-1]), (value[-2], key[-2]))):
            raise problem("The inputs do not fit together.", received=f"shapes {shapes}", where=self,
                          expected="queries and keys of the same size, as many keys as values")
        self._make_weights(query[-1] or key[-1])

    def _make_weights(self, size: int) -> None:
        self.scale = self.add_weight((), "ones", name="scale") if self.use_scale else None
        concat = self.score_mode == "concat"
        self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight") if concat else None

    def call(
        self, inputs: Any, mask: Any = None, training: bool = False, return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """The weighted means; with `return_attention_scores`, the weights as well."""
        query, value, key = (*inputs, inputs[1])[:3]
        apart = range(-value.ndim, -2)
        query, value, key = agreed([[*apart, *"qd"], [*apart, *"kv"], [*apart, *"kd"]], query, value, key)
        of_query, of_value = (None, None) if mask is None else self._checked(mask)[:2]
        scores = self.scores(query, key)
        visible = None if of_value is None else of_value.astype(bool)[..., None, :]
        if use_causal_mask:
            earlier = jnp.arange(key.shape[-2]) <= jnp.arange(query.shape[-2])[:, None]
            visible = earlier if visible is None else visible & earlier
        if visible is not None:  # finite, so that a query that sees nothing does not become NaN
            scores = jnp.where(visible, scores, -65504.0 if scores.dtype == jnp.float16 else -1e9)
        weights = ops.softmax(scores, axis=-1)
        if training and self.dropout > 0 and not current().symbolic:
            weights = drop(weights, self.seed_generator.next(), self.dropout, weights.shape)
        output = jnp.matmul(weights, value)
        if of_query is not None:
            output = jnp.where(of_query.astype(bool)[..., None], output, jnp.zeros((), output.dtype))
        return (output, weights) if return_attention_scores else output

    def scores(self, query: Any, key: Any) -> Any:
        """How well each key fits each query."""
        if self.concat_score_weight is None:
            scores = jnp.matmul(query, jnp.swapaxes(key, -2, -1))
            return scores if self.scale is None else scores * self.scale.value
        both = query[..., :, None, :] + key[..., None, :, :]
        both = both if self.scale is None else both * self.scale.value
        return self.concat_score_weight.value * jnp.sum(jnp.tanh(both), axis=-1)

    def _checked(self, mask: Any) -> Any:
        if not isinstance(mask, (list, tuple)) or len(mask) not in (2, 3):
            raise problem("The mask does not fit the inputs.", received=f"mask={mask}", where=self,
                          expected="a list of a mask, or None, for each input")
        return mask

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """That of the queries."""
        return None if mask is None else self._checked(mask)[0]


class AdditiveAttention(Attention):
    """`Attention` whose scores are the sum over `scale * tanh(query + key)`.

    D. Bahdanau et al., "Neural Machine Translation by Jointly Learning to Align and Translate" (2014),
    https://arxiv.org/abs/1409.0473

    Args:
        use_scale: whether there is `scale`, a weight for each feature; all count alike where False.
        dropout: the share of the weights that is dropped while training.
        seed: of the dropout; the process's seed and the layer's path decide where None.

    Called as `Attention` is.

    >>> import kyeo
    >>> query, value = kyeo.ops.ones((2, 3, 4)), kyeo.ops.ones((2, 5, 4))
    >>> kyeo.layers.AdditiveAttention()([query, value]).shape
    (2, 3, 4)
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, seed: int | None = None, **kwargs: Any):
        super().__init__(use_scale=use_scale, dropout=dropout, seed=seed, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; how scores are made is not one of them."""
        config = super().get_config()
        config.pop("score_mode", None)
        return config

    def _make_weights(self, size: int) -> None:
        self.scale = self.add_weight((size,), "glorot_uniform", name="scale") if self.use_scale else None

    def scores(self, query: Any, key: Any) -> Any:
        """How well each key fits each query."""
        both = jnp.tanh(query[..., :, None, :] + key[..., None, :, :])
        return jnp.sum(both if self.scale is None else both * self.scale.value, axis=-1)
