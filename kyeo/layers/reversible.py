"""ReversibleEmbedding: ids to vectors, and vectors back to a score for each id."""

from typing import Any

import jax.numpy as jnp

from kyeo import ops
from kyeo.core.dtypes import is_integer, standardize_dtype
from kyeo.core.errors import boolean, number
from kyeo.core.variable import unwrap
from kyeo.layers.arguments import make_weight
from kyeo.layers.core import Embedding
from kyeo.ops.kernels import product
from kyeo.quantizers.ints import forms_of

__all__ = ["ReversibleEmbedding"]


class ReversibleEmbedding(Embedding):
    """An `Embedding` that can be called with `reverse=True`: vectors of size `output_dim` become scores of all ids.

    O. Press and L. Wolf, "Using the Output Embedding to Improve Language Models" (2016),
    https://arxiv.org/abs/1608.05859

    Args:
        input_dim: how many ids there are.
        output_dim: size of a vector.
        tie_weights: whether the same table serves both ways; else there is a second one, `reverse_embeddings`.
        embeddings_initializer: how the tables begin.
        embeddings_regularizer: penalty on the table.
        embeddings_constraint: applied to the table after each step.
        mask_zero: whether id 0 is padding.
        reverse_dtype: the dtype that scores are computed in; the layer's compute dtype where None.
        logit_soft_cap: scores are bent, by tanh, into this distance from 0.

    >>> import kyeo
    >>> layer = kyeo.layers.ReversibleEmbedding(100, 8)
    >>> vectors = layer(kyeo.ops.array([[1, 2, 3]]))
    >>> vectors.shape, layer(vectors, reverse=True).shape
    ((1, 3, 8), (1, 3, 100))
    """

    quantizes_inputs = True  # in reverse

    def __init__(
        self, input_dim: int, output_dim: int, tie_weights: bool = True, embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None, embeddings_constraint: Any = None, mask_zero: bool = False,
        reverse_dtype: Any = None, logit_soft_cap: float | None = None, **kwargs: Any,
    ):
        self.tie_weights = boolean(self, tie_weights=tie_weights)  # first: `weights` given to the constructor build
        super().__init__(
            input_dim, output_dim, embeddings_initializer=embeddings_initializer,
            embeddings_regularizer=embeddings_regularizer, embeddings_constraint=embeddings_constraint,
            mask_zero=mask_zero, **kwargs)
        self.reverse_dtype = None if reverse_dtype is None else standardize_dtype(reverse_dtype)
        self.logit_soft_cap = number(
            self, optional=True, check=lambda cap: cap > 0, expected="a number > 0", logit_soft_cap=logit_soft_cap)

    def build(self, input_shape: Any = None) -> None:
        """Make `embeddings`, and `reverse_embeddings` where the two are not tied."""
        super().build(input_shape)
        if not self.tie_weights and self.scheme is None:
            self.reverse_embeddings = make_weight(
                self, "reverse_embeddings", (self.output_dim, self.input_dim), initializer=self.embeddings_initializer)

    def call(self, inputs: Any, reverse: bool = False) -> Any:
        """The vectors of ids; or, `reverse`, the scores of all ids for each vector."""
        return self.scores(inputs) if reverse else super().call(inputs)

    def scores(self, inputs: Any) -> Any:
        """The products of vectors with those of each id."""
        if self.tie_weights:
            kernel = unwrap(self.whole()).T
        elif self.scheme is None:
            kernel = unwrap(self.reverse_embeddings)
        else:
            kernel = self.scheme.weight(self, forms_of(self)[1])
        if self.reverse_dtype is not None:
            inputs, kernel = inputs.astype(self.reverse_dtype), kernel.astype(self.reverse_dtype)
        if self.scheme is not None:
            return self.capped(self.scheme.product(self, product, inputs, weight=kernel))
        return self.capped(product(inputs, kernel))

    def capped(self, scores: Any) -> Any:
        """Scores bent into `logit_soft_cap`."""
        return scores if self.logit_soft_cap is None else jnp.tanh(scores / self.logit_soft_cap) * self.logit_soft_cap

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """With `mask_zero`, False where the id is 0; none for scores."""
        return ops.not_equal(inputs, 0) if self.mask_zero and is_integer(inputs.dtype) else None
