"""LoRA: a big weight stays frozen, and two thin matrices beside it learn the change."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from kyeo import initializers
from kyeo.core.errors import positive_int, problem
from kyeo.core.variable import Variable
from kyeo.layers.layer import Layer
from kyeo.layers.ownership import Owning

__all__ = ["Adaptable", "adapted"]


def adapted(name: str) -> property:
    """The weight `name` of an `Adaptable` layer: the Variable, or with LoRA the sum of it and the product."""

    def read(layer: "Adaptable") -> Any:
        weight = layer.__dict__.get(f"_{name}")
        if weight is None:
            raise problem(f"`{name}` does not exist before the layer is built.", where=layer, kind=AttributeError,
                          fix="call the layer on data, or `build(input_shape)`, first")
        if not layer.lora_enabled:
            return weight
        return weight.value + layer.lora_change().astype(weight.value.dtype)

    return property(read, doc=f"The weight `{name}`.")


class Adaptable(Layer):
    """Base of layers with one big weight, named by `adaptable`, that LoRA can adapt.

    E. Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021), https://arxiv.org/abs/2106.09685
    """

    adaptable = "kernel"
    lora_enabled = False

    @property
    def trainable(self) -> bool:
        """Whether training changes this layer; with LoRA its big weight stays frozen either way."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        Owning.trainable.fset(self, value)  # type: ignore[attr-defined]
        if self.lora_enabled:
            self.__dict__[f"_{self.adaptable}"].trainable = False

    def _set_lora(self, lora_rank: Any, lora_alpha: Any) -> None:
        """Check and keep the two arguments of the constructor."""
        self.lora_rank = positive_int(self, optional=True, lora_rank=lora_rank)
        self.lora_alpha = lora_alpha if lora_alpha is not None else self.lora_rank

    def _lora_from_arguments(self) -> None:
        """At the end of `build`."""
        if self.lora_rank:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    def enable_lora(
        self, rank: int, lora_alpha: float | None = None, a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
    ) -> None:
        """Freeze the big weight and train `alpha / rank * a @ b`, added to it, instead.

        Args:
            rank: columns of `a` and rows of `b`.
            lora_alpha: the factor; `rank` where None.
            a_initializer, b_initializer: how the two begin.

        >>> import kyeo
        >>> layer = kyeo.layers.Dense(8)
        >>> layer.build((None, 16))
        >>> layer.enable_lora(2)
        >>> [v.shape for v in layer.trainable_variables]
        [(8,), (16, 2), (2, 8)]
        """
        rank, name = positive_int(self, rank=rank), self.adaptable
        weight: Variable | None = self.__dict__.get(f"_{name}")
        wrong = (
            "The layer is not built." if weight is None else
            "LoRA is on already." if self.lora_enabled else
            f"LoRA and `{name}_constraint` do not go together." if getattr(self, f"{name}_constraint") else None)
        if wrong or weight is None:
            raise problem(str(wrong), where=self)
        penalty = getattr(self, f"{name}_regularizer")
        self.lora_a = self.add_weight(
            name=f"lora_{name}_a", shape=(*weight.shape[:-1], rank), initializer=initializers.get(a_initializer),
            dtype="float32", regularizer=penalty)
        self.lora_b = self.add_weight(
            name=f"lora_{name}_b", shape=(rank, weight.shape[-1]), initializer=initializers.get(b_initializer),
            dtype="float32", regularizer=penalty)
        weight.trainable = False
        self.lora_enabled, self.lora_rank = True, rank
        self.lora_alpha = lora_alpha if lora_alpha is not None else rank

    def lora_change(self) -> Any:
        """What LoRA adds to the weight."""
        return self.lora_alpha / self.lora_rank * jnp.matmul(self.lora_a.value, self.lora_b.value)

    def _saved(self) -> list[Variable]:
        """The variables a file holds, the big weight first: the two matrices are folded into it."""
        apart = {id(self.lora_a), id(self.lora_b)}
        return [v for v in self.own_variables() if id(v) not in apart]

    def save_own_variables(self, store: Any) -> None:
        """Write the weight with its change added, so that a layer without LoRA can read it."""
        if not self.lora_enabled:
            return super().save_own_variables(store)
        weight, *others = self._saved()
        store["0"] = weight.numpy() + np.asarray(self.lora_change(), weight.dtype)
        for index, variable in enumerate(others, 1):
            store[str(index)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Read what `save_own_variables` wrote; with LoRA the change begins again at zero."""
        if not self.lora_enabled:
            return super().load_own_variables(store)
        for index, variable in enumerate(self._saved()):
            variable.assign(np.asarray(store[str(index)]))
        self.lora_b.assign(jnp.zeros(self.lora_b.shape))
