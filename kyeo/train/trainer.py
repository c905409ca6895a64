"""Trainer: the half of Model that compiles, fits, evaluates and predicts. Signatures and docs; the work is beside.

Where a batch goes: `fit` here, `data.adapters.as_source`, `train.loop.run_epochs`, `train.runner.Runner.run`,
`train.step.train_step`, the layers, the optimizer, and back into the variables.
"""

import functools
import sys
from typing import Any

import jax

from kyeo import optimizers
from kyeo.callbacks.history import History
from kyeo.core.errors import given_in, is_told, positive_int, problem
from kyeo.core.naming import is_kyeos
from kyeo.core.plain import plainly
from kyeo.core.settings import hash_of, seed_of, settings
from kyeo.core.variable import pure
from kyeo.data.adapters import as_batch, as_source, train_validation_split
from kyeo.data.source import Source
from kyeo.data.unpack import unpack_x_y_sample_weight
from kyeo.train import prepare, step
from kyeo.train.calling import CompiledCall
from kyeo.train.in_vain import warn_before_training
from kyeo.train.loop import Job, fetched, run_epoch, train
from kyeo.train.objective import Objective, real_rows
from kyeo.train.options import callback_list, capped, is_due, with_backup
from kyeo.train.predicting import predict, predict_on_batch
from kyeo.train.signals import SafePoints
from kyeo.train.state import StepCache
from kyeo.train.texts import without_text
from kyeo.train.turns import Turns, in_turn
from kyeo.train.young_statistics import warn_of_young_statistics, young_statistics

__all__ = ["Trainer"]


class Trainer(StepCache):
    """Mixin of Model: training and use."""

    name: str

    def _start_untrained(self) -> None:
        self.optimizer: Any = None
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self.steps_per_execution = 1
        self.loss: Any = None
        self._objective: Objective | None = None
        self._compile_config: dict[str, Any] | None = None
        self._calls = CompiledCall()
        self._turns = Turns()
        self._forget_steps()

    # -- compile -------------------------------------------------------------------------------------------
    @plainly
    def compile(
        self, optimizer: Any = "rmsprop", loss: Any = None, loss_weights: Any = None, metrics: Any = None,
        weighted_metrics: Any = None, run_eagerly: bool = False, steps_per_execution: int = 1,
        jit_compile: bool | str = "auto", auto_scale_loss: bool = True,
    ) -> None:
        """Say how to train.

        Args:
            optimizer: an optimizer or its name.
            loss: a loss, its name, or a function `(y_true, y_pred)`; for several outputs a list or dict of them.
            loss_weights: factors of the outputs' losses.
            metrics: a list of metrics or names; for several outputs a list of lists or a dict.
            weighted_metrics: likewise; these see the sample weights.
            run_eagerly: run steps without compiling, for debugging.
            steps_per_execution: how many batches go to the device at once. With 1, the default, small networks
                are given many at once where nothing can tell the difference.
            jit_compile: whether steps are compiled; "auto": unless a layer's `supports_jit` is False.
            auto_scale_loss: wrap the optimizer in a LossScaleOptimizer under a float16 policy.

        >>> import kyeo
        >>> model = kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(1)])
        >>> model.compile("sgd", "mse", metrics=["mae"])
        """
        optimizer = optimizers.get(optimizer)
        objective = Objective(loss, loss_weights, metrics, weighted_metrics)
        if getattr(self, "_graph", None) is not None:
            objective.check_outputs(self._graph.outputs, self.output_names)  # type: ignore[attr-defined]
        steps_per_execution = positive_int("compile", steps_per_execution=steps_per_execution)
        self.optimizer = optimizer  # from here on all is checked, and things change
        policy = getattr(self, "dtype_policy", None)
        if auto_scale_loss and policy is not None and policy.name == "mixed_float16" and not isinstance(
                self.optimizer, optimizers.LossScaleOptimizer):
            self.optimizer = optimizers.LossScaleOptimizer(self.optimizer, name="loss_scale_optimizer")
        self.steps_per_execution = steps_per_execution
        compiles = all(layer.supports_jit for layer in self._flatten_layers()) if jit_compile == "auto" else jit_compile
        self.run_eagerly = bool(run_eagerly) or not compiles
        self.loss = loss
        self._objective = objective
        self._compile_config = {
            "optimizer": self.optimizer, "loss": loss, "loss_weights": loss_weights, "metrics": metrics,
            "weighted_metrics": weighted_metrics, "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution, "jit_compile": jit_compile,
        }
        self.stop_training = False
        self._forget_steps()

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._objective is not None

    def _require_compiled(self, method: str) -> None:
        if not self.compiled:
            raise problem(f"`{method}` needs a compiled model.", received="a model that was not compiled", where=self,
                          fix='call model.compile(optimizer="adam", loss=...) first')
        own = not is_kyeos(type(self).train_step)  # with optimizers of its own
        if self.optimizer is None and method in ("fit", "train_on_batch") and not own:
            raise problem(f"`{method}` needs an optimizer.", received="compile(optimizer=None)", where=self,
                          fix='call model.compile(optimizer="adam", loss=...)')

    # -- what a step is made of; users override these ------------------------------------------------------
    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None,
                     training: bool = True) -> Any:
        """The total loss of a batch, a scalar: the compiled losses and those the layers added. A subclass may write its
        own, for example to add a term that looks at `x`.

        Args:
            x: the inputs.
            y: the labels.
            y_pred: what the model gave for `x`.
            sample_weight: a weight for each row, or None.
            training: whether it is a step of `fit`.
        """
        assert self._objective is not None
        prepare.build_objective(self, y, y_pred)
        parts = [self._objective.loss(y, y_pred, sample_weight), *self.losses]  # type: ignore[attr-defined]
        parts = [part for part in parts if part is not None]
        if not parts:
            raise problem("There is nothing to minimise.", received="loss=None", where=self,
                          expected="a loss in compile, or add_loss in a layer")
        return sum(parts[1:], start=parts[0])

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Update the compiled metrics with a batch and give all results so far, by name.

        Args:
            x, y, y_pred, sample_weight: as in `compute_loss`.
        """
        assert self._objective is not None
        prepare.build_objective(self, y, y_pred)
        self._objective.update_metrics(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def track_loss(self, loss: Any, x: Any) -> None:
        """Let the mean of the loss see the loss of a batch."""
        assert self._objective is not None
        self._objective.loss_tracker.update_state(loss, sample_weight=real_rows(jax.tree.leaves(x)[0]))

    def get_metrics_result(self) -> dict[str, Any]:
        """Names and values of all metrics."""
        results: dict[str, Any] = {}
        for metric in self.metrics:
            value = metric.result()
            results.update(value if isinstance(value, dict) else {metric.name: value})
        return results

    def compute_loss_and_updates(
        self, trainable_variables: Any, non_trainable_variables: Any, metrics_variables: Any, x: Any, y: Any,
        sample_weight: Any, training: bool = False, optimizer_variables: Any = None,
    ) -> Any:
        """The loss as a function of values: `(loss, (unscaled loss, y_pred, non-trainables, metrics))`."""
        return step.forward_and_loss(self, trainable_variables, non_trainable_variables, metrics_variables, x, y,
                                     sample_weight, training, optimizer_variables)

    def scaled_loss(self, loss: Any, optimizer_variables: Any) -> Any:
        """The loss as the optimizer wants it differentiated (scaled, for float16)."""
        return pure(lambda: self.optimizer.scale_loss(loss), self.optimizer.variables)(optimizer_variables)[0]

    def train_step(self, state: Any, data: Any) -> tuple[dict[str, Any], Any]:
        """One step on values: the logs and the new state. A subclass may write its own; `compute_loss` is often enough.

        Args:
            state: the values of (trainable, non-trainable, optimizer's, metrics') variables, as in Keras on JAX.
            data: `x`, `(x, y)` or `(x, y, sample_weight)` of a batch.
        """
        return step.train_step(self, state, unpack_x_y_sample_weight(data))

    def test_step(self, state: Any, data: Any) -> tuple[dict[str, Any], Any]:
        """One step of `evaluate`: `state` is (trainable, non-trainable, metrics')."""
        return step.test_step(self, state, unpack_x_y_sample_weight(data))

    def predict_step(self, state: Any, data: Any) -> tuple[Any, Any]:
        """One step of `predict`: `state` is (trainable, non-trainable); gives the outputs and the new non-trainable."""
        return step.predict_step(self, state, unpack_x_y_sample_weight(data))

    # -- metrics -------------------------------------------------------------------------------------------
    @property
    def metrics(self) -> list[Any]:
        """The mean of the loss, the metrics the model holds, and the compiled ones."""
        held = super().metrics  # type: ignore[misc]
        if self._objective is None:
            return held
        compiled = self._objective.metrics
        return [compiled[0], *held, *compiled[1:]]

    @property
    def metrics_names(self) -> list[str]:
        """Names of `metrics`."""
        return [m.name for m in self.metrics]

    def reset_metrics(self) -> None:
        """Start all metrics anew."""
        for metric in self.known_metrics():
            metric.reset_state()

    # -- fit, evaluate, predict ----------------------------------------------------------------------------
    @plainly
    @in_turn
    def fit(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1,
        verbose: int | str = "auto", callbacks: Any = None, validation_split: float = 0.0,
        validation_data: Any = None, shuffle: bool | str = True, class_weight: Any = None,
        sample_weight: Any = None, initial_epoch: int = 0, steps_per_epoch: int | None = None,
        validation_steps: int | None = None, validation_batch_size: int | None = None,
        validation_freq: int | list[int] = 1, *, resume: Any = None,
    ) -> History:
        """Train for `epochs` passes over the data. Gives the History.

        Args:
            x: arrays, lists or dicts of arrays, a generator, a PyDataset, ...; see `kyeo.data`.
            y: labels, beside arrays.
            batch_size: rows of a batch; 32 for arrays.
            epochs: the epoch to stop before.
            verbose: 0 silent, 1 a bar, 2 a line per epoch, "auto" 1.
            callbacks: a list of callbacks.
            validation_split: the fraction of rows, taken from the end, to validate on.
            validation_data: (x, y), (x, y, sample_weight), or a dataset.
            shuffle: whether rows come in a new order each epoch; "batch" shuffles within batches.
            class_weight: {class: weight of its rows in the loss}.
            sample_weight: weight of each row in the loss.
            initial_epoch: the epoch to begin with.
            steps_per_epoch: batches of an epoch.
            validation_steps: batches of a validation.
            validation_batch_size: rows of its batches.
            validation_freq: validate every so many epochs, or after the epochs listed (counted from 1).
            resume: a folder for checkpoints. When the script is killed and started again, training goes on from the
                newest, to the same bits; see `kyeo.callbacks.BackupAndRestore`, which saves more often than each epoch.

        >>> import kyeo, numpy as np
        >>> model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> history = model.fit(np.ones((8, 2)), np.ones((8, 1)), epochs=2, verbose=0)
        >>> len(history.history["loss"])
        2
        """
        self._require_compiled("fit")
        epochs = min(positive_int("fit", minimum=0, epochs=epochs), settings.max_epochs or sys.maxsize)
        initial_epoch = positive_int("fit", minimum=0, initial_epoch=initial_epoch)
        if isinstance(validation_freq, (int, float)):
            validation_freq = positive_int("fit", validation_freq=validation_freq)
        x = without_text(self, x)
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = train_validation_split((x, y, sample_weight), validation_split)
        source = as_source(x, y, sample_weight, batch_size=batch_size, shuffle=shuffle, class_weight=class_weight,
                           steps=capped(steps_per_epoch, "steps_per_epoch"), seed=hash_of(seed_of(f"fit/{self.name}")))
        source.first_epoch = initial_epoch
        self._prepare(source, y)
        warn_before_training(self, source, batch_size if validation_data is None else None)
        validation = None
        if validation_data is not None:
            validation = self._validation_source(validation_data, validation_batch_size or batch_size, validation_steps)
        young = young_statistics(self) if validation is not None else []
        listed = callback_list(self, with_backup(callbacks, resume), verbose, True, epochs=epochs,
                                steps=source.num_batches, validation=validation is not None)
        train(self, source, validation, listed, self._checker(y), range(initial_epoch, max(epochs, initial_epoch)),
              functools.partial(is_due, frequency=validation_freq))
        if validation is not None:
            warn_of_young_statistics(self, young, listed.history.history)
        return listed.history

    @plainly
    @in_turn
    def evaluate(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, verbose: int | str = "auto",
        sample_weight: Any = None, steps: int | None = None, callbacks: Any = None, return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Loss and metrics on data, without training.

        Args:
            x, y, sample_weight, batch_size, steps, callbacks, verbose: as in `fit`.
            return_dict: a dict by name instead of a list (a single number where there is only the loss).

        >>> import kyeo, numpy as np
        >>> model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(1, kernel_initializer="ones")])
        >>> model.compile(loss="mse")
        >>> model.evaluate(np.ones((4, 2)), np.zeros((4, 1)), verbose=0, return_dict=True)
        {'loss': 4.0}
        """
        if kwargs:
            raise problem(f"`{next(iter(kwargs))}` is not a parameter of evaluate.", kind=TypeError, where=self)
        self._require_compiled("evaluate")
        source = as_source(without_text(self, x), y, sample_weight, batch_size=batch_size, steps=capped(steps))
        self._prepare(source, y)
        listed = callback_list(self, callbacks, verbose, False, epochs=1, steps=source.num_batches)
        with SafePoints() as safe, Job(self, "test", source, listed, safe, self._checker(y)) as job:
            logs = self._evaluate(job)
        return logs if return_dict else self._in_order(logs)

    def _evaluate(self, job: Job) -> dict[str, Any]:
        self.reset_metrics()
        self.stop_evaluating = False
        job.callbacks.on_test_begin()
        logs = fetched(run_epoch(job, 0))
        job.callbacks.on_test_end(logs)
        return logs

    @plainly
    def predict(self, x: Any, batch_size: int | None = None, verbose: int | str = "auto", steps: int | None = None,
                callbacks: Any = None) -> Any:
        """The outputs for data, as NumPy arrays in the structure of the model's outputs.

        Args:
            x, batch_size, steps, callbacks, verbose: as in `fit`.

        >>> import kyeo, numpy as np
        >>> model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(1, kernel_initializer="ones")])
        >>> model.predict(np.ones((3, 2)), verbose=0).tolist()
        [[2.0], [2.0], [2.0]]
        """
        return predict(self, x, batch_size, verbose, steps, callbacks)

    # -- one batch -----------------------------------------------------------------------------------------
    @plainly
    @in_turn
    def train_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None,
                       return_dict: bool = False) -> Any:
        """One step on one batch, for a loop of one's own. Loss and metrics are those of this batch.

        Args:
            x, y, sample_weight: arrays, all rows of which are the batch.
            class_weight: {class: weight of its rows in the loss}.
            return_dict: results by name instead of a list (a single number where there is only the loss).
        """
        self._require_compiled("train_on_batch")
        return self._on_batch("train", x, y, sample_weight, class_weight, return_dict)

    @plainly
    @in_turn
    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Loss and metrics on one batch, without training; arguments as in `train_on_batch`."""
        self._require_compiled("test_on_batch")
        return self._on_batch("test", x, y, sample_weight, None, return_dict)

    @plainly
    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch: all rows of `x` at once, as NumPy arrays."""
        return predict_on_batch(self, x)

    def _on_batch(self, mode: str, x: Any, y: Any, sample_weight: Any, class_weight: Any, return_dict: bool) -> Any:
        batch = as_batch(without_text(self, x), y, sample_weight, class_weight)
        prepare.build_for(self, batch)
        prepare.check_targets(self, batch[1])
        self.make_late_variables(mode, lambda: batch)
        self.reset_metrics()
        with SafePoints() as safe:
            logs = fetched(self.runner(mode).run(batch, None, safe))
        return logs if return_dict else self._in_order(logs)

    # -- small things --------------------------------------------------------------------------------------
    def _validation_source(self, data: Any, batch_size: int | None, steps: int | None) -> Source:
        try:
            x, y, weight = prepare.validation_parts(data)
            source = as_source(without_text(self, x), y, weight, batch_size=batch_size,
                               steps=capped(steps, "validation_steps"))
            prepare.build_for(self, source.peek(), "validation_data")
            prepare.check_targets(self, dict(source.whole()).get("y"), "validation_data")
        except (TypeError, ValueError, OverflowError) as error:
            raise (given_in(error, "`validation_data`") if is_told(error) else error) from None
        return source

    def _prepare(self, source: Source, y: Any) -> None:
        prepare.build_for(self, source.peek())
        if y is not None:
            prepare.check_targets(self, dict(source.whole()).get("y", y))

    def _checker(self, y: Any) -> Any:
        """The check of each batch's labels, where they could not be checked as a whole."""
        return functools.partial(prepare.check_targets, self) if y is None else None

    def _in_order(self, logs: dict[str, Any]) -> Any:
        """Logs as a list: the loss, the metrics in the order of `compile`, the others by name; one number alone."""
        names = dict.fromkeys(metric.name for metric in self.single_metrics())
        values = [logs[n] for n in names if n in logs] + [logs[n] for n in sorted(logs) if n not in names]
        return values[0] if len(values) == 1 else values
