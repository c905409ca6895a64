"""StateTree: all variables of a model as nested dicts by name, for programs that keep or change state themselves."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from kyeo.core.errors import did_you_mean, one_of, problem
from kyeo.core.variable import Variable

__all__ = ["StateTree"]

_PARTS = ("trainable_variables", "non_trainable_variables", "optimizer_variables", "metrics_variables")


class StateTree:
    """The part of Model that hands its state out as a tree and takes one back."""

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, Any]:
        """The values of all variables: part of the state, then the names on the way to a variable.

        Args:
            value_format: "backend_tensor" for JAX arrays, "numpy_array" for copies in NumPy.

        >>> import kyeo
        >>> model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(1, name="head")], name="net")
        >>> model.get_state_tree()["trainable_variables"]["net"]["head"]["kernel"].shape
        (2, 1)
        """
        one_of(self, ("backend_tensor", "numpy_array"), value_format=value_format)
        tree: dict[str, Any] = {part: {} for part in _PARTS}
        for part, path, variable in self._by_path():
            *way, last = path
            inner = tree[part]
            for name in way:
                inner = inner.setdefault(name, {})
            inner[last] = np.array(variable.value) if value_format == "numpy_array" else variable.value
        return tree

    def set_state_tree(self, state_tree: dict[str, Any]) -> None:
        """Give variables the values in a tree like that of `get_state_tree`; parts that are left out stay as they are.

        Nothing is changed unless every name is known and every shape fits.
        """
        known = {(part, *path): variable for part, path, variable in self._by_path()}
        found = list(_leaves(state_tree, ()))
        for path, value in found:
            if path not in known:
                raise problem("The tree names a variable that the model does not have.", received="/".join(path),
                              where=self, fix=did_you_mean("/".join(path), map("/".join, known)))
            if np.shape(value) != known[path].shape:
                raise problem(f'The value of "{"/".join(path)}" does not fit.', received=value, where=self,
                              expected=f"shape {known[path].shape}")
        for path, value in found:
            known[path].assign(value)

    def _by_path(self) -> Iterator[tuple[str, tuple[str, ...], Variable]]:
        model: Any = self
        optimizer = list(model.optimizer.variables) if model.optimizer is not None else []
        metrics = [v for metric in model.metrics for v in metric.variables]
        groups = (model.trainable_variables, model.non_trainable_variables, optimizer, metrics)
        for part, variables in zip(_PARTS, groups):
            seen = set()
            for variable in variables:
                if variable.path in seen:  # one of the two would be lost
                    raise problem("Two variables have the same path, so a tree cannot hold both.", where=self,
                                  received=f"{variable.path!r} twice among the {part}",
                                  fix="give layers and metrics names of their own")
                seen.add(variable.path)
                yield part, tuple(variable.path.split("/")), variable


def _leaves(tree: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(tree, dict):
        for name, inner in tree.items():
            yield from _leaves(inner, (*path, name))
    else:
        yield path, tree
