"""MultiOptimizer: different optimizers for different weights, chosen by path or by a function."""

import re
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any

import numpy as np

from kyeo.core.configurable import Configurable
from kyeo.core.errors import describe, problem
from kyeo.core.variable import Variable
from kyeo.optimizers.loss_scale import LossScaleOptimizer
from kyeo.optimizers.optimizer import Optimizer

__all__ = ["MultiOptimizer", "OptimizerMap"]


def _single(owner: Any, optimizer: Any, name: str) -> Optimizer:
    if not isinstance(optimizer, Optimizer) or isinstance(optimizer, (LossScaleOptimizer, MultiOptimizer)):
        raise problem(f"`{name}` is not valid.", received=f"{name}={describe(optimizer)}", where=owner,
                      kind=TypeError,
                      expected="an optimizer that is no LossScaleOptimizer and no MultiOptimizer")
    return optimizer


class OptimizerMap(Configurable, MutableMapping):
    """Which optimizer is for which weight: a mapping from paths, or regular expressions for whole paths.

    Args:
        default_optimizer: the one for weights that nothing matches.
        optimizer_map: the mapping to begin with.

    >>> import kyeo
    >>> SGD, Adam = kyeo.optimizers.SGD(), kyeo.optimizers.Adam()
    >>> chosen = kyeo.optimizers.OptimizerMap(SGD, {"encoder/.*": Adam})
    >>> chosen["encoder/dense/kernel"] is Adam, chosen["decoder/kernel"] is SGD
    (True, True)
    """

    def __init__(self, default_optimizer: Optimizer, optimizer_map: dict[str, Optimizer] | None = None):
        self.default_optimizer = _single(self, default_optimizer, "default_optimizer")
        self.optimizer_map: dict[str, Optimizer] = {}
        if not isinstance(optimizer_map, dict | None):
            raise problem("`optimizer_map` is not valid.", where=self, kind=TypeError,
                          received=f"optimizer_map={describe(optimizer_map)}",
                          expected="a dict from paths to optimizers, or None")
        self.update(optimizer_map or {})

    def __getitem__(self, path: str) -> Optimizer:
        if path in self.optimizer_map:
            return self.optimizer_map[path]
        matching = [pattern for pattern in self.optimizer_map if re.fullmatch(pattern, path)]
        if len(matching) > 1:
            raise problem("More than one entry matches this path.", received=path, where=self,
                          expected="one of " + ", ".join(map(repr, matching)))
        return self.optimizer_map[matching[0]] if matching else self.default_optimizer

    def __setitem__(self, path: str, optimizer: Optimizer) -> None:
        if not isinstance(path, str) or path in self.optimizer_map:
            raise problem("This key cannot be added.", received=path, where=self,
                          expected="a path or a regular expression that is not there yet")
        self.optimizer_map[path] = _single(self, optimizer, path)

    def __delitem__(self, path: str) -> None:
        del self.optimizer_map[path]

    def __len__(self) -> int:
        return len(self.optimizer_map)

    def __iter__(self) -> Iterator[str]:
        return iter(self.optimizer_map)

    def __call__(self, variable: Variable) -> Optimizer:
        """The optimizer for this weight."""
        return self[variable.path]


class MultiOptimizer(Optimizer):
    """Hands each weight to its own optimizer. There is no single learning rate; see `optimizers`.

    Args:
        optimizer_map: an `OptimizerMap`, a function that gives the optimizer for a variable, or one for all.
        loss_scale_factor: takes the place of that of the optimizers.
        name: its name.

    >>> import kyeo
    >>> kernel, bias = kyeo.Variable([1.0], name="kernel"), kyeo.Variable([1.0], name="bias")
    >>> chosen = kyeo.optimizers.OptimizerMap(kyeo.optimizers.SGD(0.5), {"bias": kyeo.optimizers.SGD(2.0)})
    >>> kyeo.optimizers.MultiOptimizer(chosen).apply([[1.0], [1.0]], [kernel, bias])
    >>> kernel.numpy().tolist(), bias.numpy().tolist()
    ([0.5], [-1.0])
    """

    def __init__(self, optimizer_map: Callable[[Variable], Optimizer] | Optimizer,
                 loss_scale_factor: float | None = None, name: str | None = None):
        super().__init__(0.0, loss_scale_factor=loss_scale_factor, name=name)
        if isinstance(optimizer_map, Optimizer):
            optimizer_map = OptimizerMap(optimizer_map)
        if not callable(optimizer_map):
            raise problem("`optimizer_map` is not valid.", where=self, kind=TypeError,
                          received=f"optimizer_map={describe(optimizer_map)}",
                          expected="an OptimizerMap, an optimizer for all variables, or a function of a variable")
        self.optimizer_map = optimizer_map
        self.optimizers: list[Optimizer] = []
        if isinstance(optimizer_map, OptimizerMap):
            for optimizer in [*optimizer_map.values(), optimizer_map.default_optimizer]:
                self._place(optimizer)
        self._chosen: dict[Variable, int] = {}

    def _place(self, optimizer: Optimizer) -> int:
        """Where an optimizer stands among `optimizers`, which it joins if it is new."""
        optimizer.loss_scale_factor = self.loss_scale_factor
        for place, known in enumerate(self.optimizers):
            if known is optimizer:
                return place
        self.optimizers.append(optimizer)
        return len(self.optimizers) - 1

    def _add_slots(self, variables: list[Variable]) -> None:
        for variable in variables:
            optimizer = _single(self, self.optimizer_map(variable), "optimizer_map")
            self._chosen[variable] = self._place(optimizer)
        for optimizer, group in self._groups(variables):
            optimizer.build(group)

    def _groups(self, variables: Iterable[Variable]) -> list[tuple[Optimizer, list[Variable]]]:
        groups: list[list[Variable]] = [[] for _ in self.optimizers]
        for variable in variables:
            groups[self._chosen[variable]].append(variable)
        return [(optimizer, group) for optimizer, group in zip(self.optimizers, groups) if group]

    @property
    def variables(self) -> list[Variable]:
        """Its own variables, then those of each optimizer."""
        return [*super().variables, *(v for optimizer in self.optimizers for v in optimizer.variables)]

    @property
    def learning_rate(self) -> Any:
        """Not there: each of `optimizers` has its own."""
        raise problem("A MultiOptimizer has no learning rate of its own.", where=self,
                      fix="use that of each of `optimizer.optimizers`", kind=AttributeError)

    @learning_rate.setter
    def learning_rate(self, rate: Any) -> None:
        if self._learning_rate is not None:
            raise problem("A MultiOptimizer has no learning rate of its own.", where=self,
                          fix="set that of each of `optimizer.optimizers`", kind=AttributeError)
        # the base's constructor gives it a variable, which files count on
        self._learning_rate = self._add_scalar("learning_rate", np.array(rate, np.float32))

    def apply(self, grads: Iterable[Any], trainable_variables: Iterable[Variable] | None = None) -> None:
        """Make one step of each optimizer. Arguments as in `Optimizer.apply`."""
        grads = list(grads)
        if not grads:
            return
        given = {variable: gradient for gradient, variable in self._pairs(grads, trainable_variables)}
        for optimizer, group in self._groups(given):
            optimizer.loss_scale_factor = self.loss_scale_factor
            optimizer.apply([given[v] for v in group], group)
        self._iterations.assign_add(1)

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """Called at the end of training; see `Optimizer`."""
        for optimizer, group in self._groups(var_list):
            optimizer.finalize_variable_values(group)
