"""Optimizer: what all rules share. Clipping, decay, averages, accumulation; a rule adds one `update_step`.

Everything reads `variable.value` and writes `variable.assign`, so `pure` makes a step a function of values.
"""

import functools
import re
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.errors import problem
from kyeo.core.naming import is_kyeos
from kyeo.core.plain import plainly, warn
from kyeo.core.tracing import step_by_step
from kyeo.core.variable import Variable, pure, unwrap
from kyeo.optimizers.alike import places_alike, run_alike
from kyeo.optimizers.state import _OptimizerState
from kyeo.optimizers.support import branch, clip_by_global_norm, clip_by_norm, one_step
from kyeo.optimizers.together import parts, places_of_small, run_together

__all__ = ["Optimizer"]

_STALE = ("the model has changed since the optimizer was built: call `compile` again after adding, removing or "
          "freezing layers, and give each model an optimizer of its own; make weights in `build`, and layers in "
          "`__init__`, not in `call`")

Pairs = list[tuple[jax.Array, Variable]]


class Optimizer(_OptimizerState):
    """Base of optimizers. To make one, write `update_step`, and `build` if it needs slots.

    Args:
        learning_rate: a number, a schedule, or a function without arguments.
        weight_decay: before each step a weight loses this part of itself, times the learning rate.
        clipnorm: highest L2 norm of the gradient of one variable.
        clipvalue: highest absolute value of an entry of a gradient.
        global_clipnorm: highest L2 norm of all gradients together. Only one of the three may be given.
        use_ema: keep an exponential moving average of the weights.
        ema_momentum: how much of the average stays at each step.
        ema_overwrite_frequency: put the average in place of the weights every so many steps; None puts it
            there only at the end (`finalize_variable_values`).
        loss_scale_factor: the loss is multiplied by it and gradients are divided by it, against underflow.
        gradient_accumulation_steps: update once in so many steps, with the mean of their gradients.
        name: its name, and the prefix of its variables' paths.

    >>> import kyeo
    >>> class Signs(kyeo.optimizers.Optimizer):
    ...     def update_step(self, gradient, variable, learning_rate):
    ...         self.assign_sub(variable, learning_rate * kyeo.ops.sign(gradient))
    >>> weight = kyeo.Variable([1.0, 2.0])
    >>> Signs(learning_rate=0.5).apply([[3.0, -0.1]], [weight])
    >>> weight.numpy().tolist()
    [0.5, 2.5]
    """

    def assign(self, variable: Variable, value: Any) -> None:
        """Put a value in a variable."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Add to a variable."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Subtract from a variable."""
        variable.assign_sub(value)

    @property
    def lr(self) -> Any:
        """`learning_rate`, by its name of Keras 2."""
        return self.learning_rate

    @lr.setter
    def lr(self, value: Any) -> None:
        if hasattr(self, "_learning_rate"):  # else set before `super().__init__`, which gets it too
            self.learning_rate = value

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Change one variable by its gradient. The part that a rule writes."""
        raise problem("An optimizer must say how a variable changes.", where=self, kind=NotImplementedError,
                      fix="write `update_step(self, gradient, variable, learning_rate)`")

    @plainly
    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Variable:
        """Make one step from pairs of gradient and variable; gives the step count."""
        pairs = list(grads_and_vars)
        if not all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in pairs):
            raise problem("Gradients without their variables.", received=pairs, expected="pairs", where=self,
                          fix="apply_gradients(zip(gradients, variables)), or apply(gradients, variables)")
        self.apply([gradient for gradient, _ in pairs], [variable for _, variable in pairs])
        return self._iterations

    def apply(self, grads: Iterable[Any], trainable_variables: Iterable[Variable] | None = None) -> None:
        """Make one step.

        Args:
            grads: one gradient a variable, of its shape; None where the loss does not depend on it.
            trainable_variables: the variables, in the same order; None for those it was built with.
        """
        grads = list(grads)
        if not grads:
            return
        pairs = self._overwrite(self._pairs(grads, trainable_variables))
        if pairs:
            scale = self.loss_scale_factor
            grads = [g if scale is None else g / scale for g, _ in pairs]
            self._apply_grads(grads, [v for _, v in pairs])
            for _, variable in pairs:
                if variable.constraint is not None:
                    variable.assign(variable.constraint(variable.value))
        self._iterations.assign_add(1)

    def _pairs(self, grads: list[Any], variables: Iterable[Variable] | None) -> Pairs:
        """Gradients beside their variables, those without a gradient left out."""
        if variables is None and not self.built:
            raise problem("This optimizer does not know yet which variables it changes.", where=self,
                          fix="call `optimizer.build(variables)`, or pass `trainable_variables`")
        variables = self._trainable_variables if variables is None else list(variables)
        if len(grads) != len(variables):
            raise problem("There must be one gradient for each variable.", where=self,
                          received=f"{len(grads)} gradients", expected=f"{len(variables)} gradients")
        self.build(variables)
        missing = [v.path for g, v in zip(grads, variables) if g is None]
        if len(missing) == len(grads):
            raise problem("There is no gradient for any variable.", where=self,
                          received="None for " + ", ".join(missing), expected="at least one gradient",
                          fix="make the loss depend on the variables")
        if missing:
            warn("Gradients do not exist for variables " + ", ".join(missing)
                 + ", which stay as they are. Does the loss depend on them?")
        return [(self._fitting(g, v), v) for g, v in zip(grads, variables) if g is not None]

    def _fitting(self, gradient: Any, variable: Variable) -> jax.Array:
        self._get_variable_index(variable)  # complains about variables it was not built for
        gradient = jnp.asarray(unwrap(gradient), dtype=variable.dtype)
        if gradient.shape != variable.shape:
            raise problem(f"This gradient does not fit the variable `{variable.path}`.", received=gradient,
                          expected=f"shape {variable.shape}", where=self)
        return gradient

    def _overwrite(self, pairs: Pairs) -> Pairs:
        """Give `overwrite_with_gradient` variables their gradient as value; the other pairs are handed back.

        With accumulation such a variable takes the largest gradient of the round.
        """
        steps = self.gradient_accumulation_steps
        for gradient, variable in pairs:
            if not variable.overwrite_with_gradient:
                continue
            if steps:
                largest = self._accumulated_gradients[self._get_variable_index(variable)]
                last = (self._iterations.value + 1) % steps == 0
                gradient = jnp.maximum(gradient, largest.value)
                largest.assign(jnp.where(last, jnp.zeros_like(gradient), gradient))
                gradient = jnp.where(last, gradient, variable.value)
            variable.assign(gradient)
        return [pair for pair in pairs if not pair[1].overwrite_with_gradient]

    def _apply_grads(self, grads: list[jax.Array], variables: list[Variable]) -> None:
        if self.gradient_accumulation_steps:
            self._accumulate(grads, variables, self.gradient_accumulation_steps)
        else:
            self._update(grads, variables)
        if self.use_ema:
            self._average()

    def _accumulate(self, grads: list[jax.Array], variables: list[Variable], steps: int) -> None:
        sums = [self._accumulated_gradients[self._get_variable_index(v)] for v in variables]

        def update() -> None:
            self._update([(g + total.value) / steps for g, total in zip(grads, sums)], variables)
            for total in sums:
                total.assign(jnp.zeros_like(total.value))

        def wait() -> None:
            for g, total in zip(grads, sums):
                total.assign_add(g)

        branch((self._iterations.value + 1) % steps == 0, update, wait, [*self.variables, *variables])

    def _update(self, grads: list[jax.Array], variables: list[Variable]) -> None:
        with one_step():
            rate = unwrap(self.learning_rate)
            grads = self._clip(grads)
            self._decay(variables, rate)
            self._update_all(grads, variables, rate)

    def _update_all(self, grads: list[jax.Array], variables: list[Variable], rate: jax.Array) -> None:
        update = step_by_step(self.update_step) if is_kyeos(type(self).update_step) else self.update_step
        shares = isinstance(grads[0], jax.core.Tracer) and self._by_element and is_kyeos(type(self))
        small = places_of_small(variables) if shares else []
        alike = places_alike(variables, small) if shares else []
        apart = {*small, *(i for places in alike for i in places)}
        for i, (gradient, variable) in enumerate(zip(grads, variables)):
            if i not in apart:
                update(gradient, variable, rate)
        for places in alike:
            run_alike(update, [self._with_slots(variables[i]) for i in places], [grads[i] for i in places], rate)
        for part in parts(small):
            some = [variables[i] for i in part]
            boxes = [box for variable in some for box in self._with_slots(variable)]
            run_together(functools.partial(_update_each, update, some), boxes, [grads[i] for i in part], rate)

    def _with_slots(self, variable: Variable) -> list[Variable]:
        """A weight and what the rule keeps for it."""
        return [variable, *self._slots.get(variable, ())]

    def _clip(self, grads: list[jax.Array]) -> list[jax.Array]:
        if self.clipnorm:
            return [clip_by_norm(g, self.clipnorm) for g in grads]
        if self.global_clipnorm:
            return clip_by_global_norm(grads, self.global_clipnorm)
        if self.clipvalue:
            return [jnp.clip(g, -self.clipvalue, self.clipvalue) for g in grads]
        return grads

    # -- weight decay --------------------------------------------------------------------------------------
    def exclude_from_weight_decay(
        self, var_list: Iterable[Variable] | None = None, var_names: Sequence[str] | None = None,
    ) -> None:
        """Say which weights do not decay, before the optimizer is built.

        Args:
            var_list: the variables themselves.
            var_names: regular expressions; a variable whose name one of them is found in does not decay.

        >>> import kyeo
        >>> optimizer = kyeo.optimizers.AdamW()
        >>> optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        """
        if self.built:
            raise problem("Which weights decay must be said before the optimizer is built.", where=self,
                          fix="call `exclude_from_weight_decay` before `fit`, `build` or `apply`")
        self._undecayed = (set(var_list or ()), re.compile("|".join(var_names)) if var_names else None)

    def _use_weight_decay(self, variable: Variable) -> bool:
        listed, pattern = self._undecayed
        return variable not in listed and not (pattern and pattern.search(variable.name))

    def _decay_of(self, variable: Variable) -> float | None:
        """The share of this weight that decays; None for none."""
        return self.weight_decay

    def _decay(self, variables: list[Variable], rate: jax.Array) -> None:
        for variable in variables:
            share = self._decay_of(variable)
            if share and self._use_weight_decay(variable):
                variable.assign_sub(variable.value * (share * rate))

    # -- moving average of the weights ---------------------------------------------------------------------
    def _average(self) -> None:
        count = unwrap(self.iterations)
        stays = jnp.where(count == 0, 0.0, self.ema_momentum)  # the first average is the weight itself
        for variable, average in zip(self._trainable_variables, self._model_variables_moving_average):
            if average is None:
                continue
            average.assign(stays * average.value + (1 - stays) * variable.value)
            if self.ema_overwrite_frequency:
                due = (count + 1) % self.ema_overwrite_frequency == 0
                variable.assign(jnp.where(due, average.value, variable.value))

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """Called at the end of training: with `use_ema` the weights become their averages."""
        if not self.use_ema:
            return
        for variable in var_list:
            average = self._model_variables_moving_average[self._get_variable_index(variable)]
            if average is not None:
                variable.assign(average.value)

    # -- as a function of values ---------------------------------------------------------------------------
    def stateless_apply(
        self, optimizer_variables: Sequence[Any], grads: Sequence[Any], trainable_variables: Sequence[Any],
    ) -> tuple[list[jax.Array], list[jax.Array]]:
        """One step as a function of values, for use inside jax.jit: (new weights, new optimizer values).

        >>> import kyeo, jax
        >>> weight, optimizer = kyeo.Variable([1.0, 2.0]), kyeo.optimizers.SGD(0.5)
        >>> optimizer.build([weight])
        >>> step = jax.jit(optimizer.stateless_apply)
        >>> (new,), state = step([v.value for v in optimizer.variables], [weight.value], [weight.value])
        >>> new.tolist(), int(state[0])
        ([0.5, 1.0], 1)
        """
        weights, own = self._trainable_variables, self.variables
        for label, given, wanted in (("optimizer_variables", optimizer_variables, own),
                                     ("trainable_variables", trainable_variables, weights)):
            if not self.built or len(given) != len(wanted):
                raise problem(f"`{label}` must have one value for each variable.", where=self,
                              received=f"{len(given)} values", expected=f"{len(wanted)} values",
                              fix=_STALE if self.built else "call `optimizer.build(trainable_variables)` first")
        _, values = pure(self.apply, [*weights, *own])([*trainable_variables, *optimizer_variables], grads)
        return values[:len(weights)], values[len(weights):]

    def scale_loss(self, loss: Any) -> Any:
        """The loss times `loss_scale_factor`, if there is one."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor


def _update_each(update: Any, variables: list[Variable], grads: list[jax.Array], rate: jax.Array) -> None:
    with one_step():  # the scalars that they share are values of a program of its own
        for gradient, variable in zip(grads, variables):
            update(gradient, variable, rate)
