"""The one epoch loop that `fit`, `evaluate` and `predict` share, and the loop over epochs around it.

    for epoch in epochs:
        reset metrics; tell callbacks
        for portion in the source's epoch:        # a batch, or many stacked
            logs = compiled step(state, portion)  # old buffers in, new ones out
            write the new state into the variables; tell callbacks
        validate, if it is time; tell callbacks
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax

from kyeo.callbacks.base import plain_logs
from kyeo.callbacks.callback import CallbackList, LazyLogs
from kyeo.core.errors import NotMaskable
from kyeo.core.processes import note_of_loss, several
from kyeo.data.source import Source
from kyeo.train.ahead import Ahead
from kyeo.train.feed import Portion, portions
from kyeo.train.not_finite import warn_of_not_finite
from kyeo.train.prepare import build_for
from kyeo.train.resume import Place, Progress
from kyeo.train.runner import Runner
from kyeo.train.signals import SafePoints
from kyeo.train.team import agreed_steps

__all__ = ["Job", "run_epoch", "run_epochs", "train"]


class Job:
    """One kind of step with its data: what an epoch needs.

    Args:
        model: the model.
        mode: "train", "test" or "predict"; names the callbacks' hooks.
        source: where batches come from.
        callbacks: who is told.
        safe: delays Ctrl-C while state is in flight.
        check: called with each batch's labels; None where they were checked as a whole.
        epochs: how many are planned in all, those of an earlier part included.

    Attributes:
        after: called after each dispatch with epoch, steps done and the logs so far.
    """

    def __init__(self, model: Any, mode: str, source: Source, callbacks: CallbackList, safe: SafePoints,
                 check: Callable[[Any], None] | None = None, epochs: int = 1):
        self.model, self.mode, self.source, self.callbacks, self.safe, self.check = (
            model, mode, source, callbacks, safe, check)
        self.epochs, self.form = epochs, "single"
        self.after: Callable[[int, int, Any], None] | None = None
        self.padded = model.may_pad(source)
        self.per_dispatch: int | None = None

    def __enter__(self) -> "Job":
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        note_of_loss(error)
        if kind is not None and self.mode == "train":
            self.callbacks.on_train_interrupted()
        self.source.close()

    @property
    def runner(self) -> Runner:
        """The compiled step that is right for the model as it is now: a callback may have changed it, or compiled it
        anew, or given it another optimizer."""
        model = self.model
        if self.mode != "predict" and not (model._objective.built and getattr(model.optimizer, "built", True)):
            build_for(model, self.source.peek())
        return model.runner(self.mode)

    def settle(self) -> None:
        """Find out, at the first batch, whether padding works out, how many steps go into a dispatch and in
        which form they run."""
        if self.per_dispatch is not None:
            return
        self.model.make_late_variables(self.mode, self.source.peek)
        asked = self.model.steps_per_execution
        # Single steps where a callback listens to batches, and for iterators, whose batches are not to wait for others.
        single = self.callbacks.wants(self.mode) or self.source.num_rows is None or self.source.num_batches == 1
        # And where checkpoints need the state of the data right behind the last step: for several it may be read ahead.
        for_state = self.callbacks.backup is not None and self.source.keeps_state
        if self.mode == "predict" or (asked == 1 and single) or for_state:
            asked = 0
        self.callbacks.note("compiling ...")
        try:
            count = self._steps_per_dispatch(asked)
        except NotMaskable:
            self.model.refuse_padding()
            self.padded = False
            count = self._steps_per_dispatch(asked)
        self.per_dispatch = agreed_steps(self.source.num_batches, self.source.batch_size, count)

    def epochs_per_dispatch(self) -> int:
        """How many epochs may go into one dispatch, as far as the data and the step decide it."""
        self.settle()
        source = self.source
        rows, size, batches = source.num_rows, source.batch_size, source.num_batches
        if self.model.steps_per_execution != 1 or not rows or not size or not batches:
            return 1
        if not self.padded and rows % size:
            return 1
        first = self._first()
        return self.runner.epochs_per_dispatch(first.data, first.rows, batches)

    def _first(self) -> Portion:
        """The first batch as a step takes it, without using it up."""
        return next(portions(_Peeked(self.source), 0, 1, self.padded))

    def _steps_per_dispatch(self, asked: int) -> int:
        batches = self.source.num_batches
        if not asked and not self.padded and self.mode == "test" and batches in (None, 1):
            return 1
        first = self._first()
        # An evaluation's batches are too small for products by oneDNN: 32 texts through a transformer 21.3 instead of
        # 19.9 ms.
        by_products = self.mode != "test"
        known = self.runner.steps_per_dispatch(first.data, first.rows, asked)
        self.form = self.runner.form(first.data, first.rows, self.epochs * (batches or math.inf), by_products)
        if batches is not None and asked == 1 and known > 1:  # even portions, so that little is filled up
            dispatches = -(-batches // known)
            known = -(-batches // dispatches)
        return known


class _Peeked(Source):
    """The first batch of a source, without using it up."""

    def __init__(self, source: Source):
        self._batch = source.peek()
        self.batch_size = source.batch_size

    def batches(self, epoch: int, start: int = 0) -> Any:
        yield self._batch


_STOPS = {"train": "stop_training", "test": "stop_evaluating", "predict": "stop_predicting"}  # a callback may set them


def run_epoch(job: Job, epoch: int, on_result: Callable[[Any, Portion], Any] | None = None,
              place: Place | None = None) -> Any:
    """Run the steps of one epoch. Gives the last logs, still on the device.

    `on_result`, for `predict`, gets what each step gave and its portion, and hands back what callbacks shall see.
    `place`: where in the epoch to go on.
    """
    job.settle()
    assert job.per_dispatch is not None
    begin, end = (getattr(job.callbacks, f"on_{job.mode}_batch_{edge}") for edge in ("begin", "end"))
    logs: Any = {}
    done = 0
    if place is not None and place.step:
        logs, done = place.logs, place.step
    else:
        job.source.on_epoch_begin()
    stopped = done > 0 and job.model.stop_training
    for portion in () if stopped else portions(job.source, epoch, job.per_dispatch, job.padded, done):
        if job.check is not None and portion.data[1] is not None:
            job.check(portion.data[1])
        begin(done)
        count = portion.steps if portion.stacked else None
        result = job.runner.run(portion.data, portion.rows, job.safe, count, job.form)
        done += portion.steps
        if on_result is not None:
            result = {"outputs": on_result(result, portion)}
        else:
            logs = result
        end(done - 1, LazyLogs(functools.partial(fetched, result)) if on_result is None else result)
        if job.after is not None:
            job.after(epoch, done, logs)
        if getattr(job.model, _STOPS[job.mode]):
            break
    job.source.on_epoch_end()
    return logs


def fetched(logs: Any) -> dict[str, Any]:
    """Logs as Python numbers, sorted by name; waits for the device."""
    # On the CPU nothing is to be fetched beforehand: 15 instead of 95 us for one number.
    return plain_logs(logs if jax.default_backend() == "cpu" else jax.device_get(logs))


def train(model: Any, source: Source, validation: Source | None, callbacks: CallbackList,
          check: Callable[[Any], None] | None, epochs: range, is_due: Callable[[int], bool]) -> None:
    """The second half of `fit`, once there are batches and a model built for them.

    Args:
        model: the model.
        source, validation: batches to train and, unless None, to validate on.
        callbacks: who is told.
        check: called with each batch's labels; None where they were checked as a whole.
        epochs: their numbers.
        is_due: whether to validate after an epoch.
    """
    with SafePoints(callbacks.backup is not None, several()) as safe:
        progress = Progress(model, source, validation, callbacks, safe)
        job = Job(model, "train", source, callbacks, safe, check, epochs.stop)
        test_job = None
        if validation is not None:
            test_job = Job(model, "test", validation, callbacks, safe, epochs=epochs.stop)

        def validate(place: Place) -> dict[str, Any]:
            assert test_job is not None
            if not is_due(place.epoch):
                return {}
            progress.before_validation()
            test_job.after = (lambda *_: progress.while_validating(place)) if progress.listens else None
            return {f"val_{name}": value for name, value in model._evaluate(test_job).items()}

        progress.jobs = [job, test_job] if test_job is not None else [job]
        with job:
            try:
                run_epochs(job, epochs.start, epochs.stop, validate if test_job is not None else None, progress)
            finally:
                progress.close()
                if validation is not None:
                    validation.close()


def run_epochs(job: Job, first: int, last: int, validate: Callable[[Place], dict[str, Any]] | None,
               progress: Progress) -> None:
    """The loop of `fit`. `validate(place)` gives the validation logs, empty where it is not time."""
    model, callbacks = job.model, job.callbacks
    model.stop_training = False
    results: Callable[[], dict[str, Any]] = dict  # of the last epoch
    validated: dict[str, Any] = {}
    place = progress.load(first)
    callbacks.on_train_begin()
    progress.begin(place)
    inside = place.step > 0  # of an epoch: what its beginning does is put right by `restore`
    if inside:
        callbacks.on_epoch_begin(place.epoch)
    progress.restore()
    job.after = progress.after_step if progress.listens else None
    ends = model.stop_training and not inside
    ahead = Ahead(job, last, not (validate or inside or progress.listens or callbacks.wants_epochs
                                  or callbacks.wants("train") or model.stop_training))
    for epoch in range(place.epoch, place.epoch if ends else last):
        if not inside:
            if epoch not in ahead:
                model.reset_metrics()
            callbacks.on_epoch_begin(epoch)
        # Unless somebody reads them the device is not waited for: the next epoch is prepared meanwhile.
        results = ahead.logs(epoch) or functools.cache(functools.partial(
            fetched, place.logs if place.trained else run_epoch(job, epoch, place=place)))
        logs = LazyLogs(results)
        if validate is not None and (validated := validate(Place(epoch, 1, True, logs))):
            # sorted as a whole, as Keras has them: they become the columns of the history
            logs = LazyLogs(functools.partial(plain_logs, {**logs, **validated}))
        callbacks.on_epoch_end(epoch, logs)
        inside, place = False, Place(epoch + 1)
        progress.after_epoch(epoch)
        if model.stop_training:
            break
    if model.optimizer is not None and last > first:
        model.optimizer.finalize_variable_values(model.state_variables().trainable)
    final = {**results(), **validated}  # waits for the last step; without what callbacks wrote into their logs
    warn_of_not_finite(model, job.source, final)
    callbacks.on_train_end(final)
    progress.finish()
