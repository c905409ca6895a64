"""Runner: the compiled form of one kind of step for one model, between the boxes and the device.

A run takes the state out of the variables, hands it to the compiled step (which overwrites the buffers), and
puts the new arrays back at once. A Ctrl-C in between waits until the boxes are whole again.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.arrays import to_array
from kyeo.core.collector import paused
from kyeo.core.compile_cache import compile_cache
from kyeo.core.placement import keeping_places, place_batch
from kyeo.core.scope import scope
from kyeo.core.settings import settings
from kyeo.core.variable import Variable
from kyeo.ops.kernels import onednn
from kyeo.train.compiled import Asker, StepChanged, running, shared_step
from kyeo.train.cost import Cost, bounds_products, step_cost
from kyeo.train.signals import SafePoints

__all__ = ["Runner"]

_MOST_FOLDED = 64  # steps in one dispatch; more gained nothing
_FOLDED_FLOPS = 2.5e10  # about 0.1 s of work, so that a bar can still move and a Ctrl-C still ends
_LEAST_FOLDED, _MOST_FOLDED_BYTES = 4, 32_000_000  # of the batches
_FLOPS_A_BYTE = 16  # of weights and slots: what could be computed while a byte is read and written
_MOST_EPOCHS, _MOST_EPOCH_STEPS, _MOST_EPOCH_BYTES = 64, 1024, 4_000_000  # in one dispatch
_DISPATCH_FLOPS, _MOST_ROWS = 2e9, 1024  # of a prediction
_LARGE_FLOPS, _MOST_LARGE_ROWS = 6e9, 4096  # of one whose products are oneDNN's
_LARGE_CONVOLVED_FLOPS = 4e9  # of one whose convolutions are
# Of the convolutions of images in a training: 170 steps of the tutorial's CNN gain with oneDNN what compiling for it
# costs. They are to be so large a part of all: with oneDNN products are slower (a step of a vision transformer takes
# 1.09 times as long), and so are convolutions of one axis, by their kernel's gradient (texts 1.8, series 1.3 and 1.4)
# or the distance of their taps (a WaveNet's predictions 1.3 to 1.5).
_LONG_FLOPS, _IMAGES_SHARE = 5e11, 0.25
# Of a prediction: what compiling it anew costs goes by its operations. Measured on two cores of an AMD EPYC, seconds,
# XLA's own code / oneDNN, first (the former from JAX's cache) and second call: the tutorial's CNN, 2,000 digits 1.2 /
# 1.35, then 0.81 / 0.67; a network for 150 x 150, 200 images 1.65 / 1.55, 1.2 / 0.9; one for CIFAR, 3,000 images 0.8 /
# 0.86, 0.5 / 0.36; ResNet-20, 600 images 1.5 / 1.8, 0.72 / 0.55. A U-Net 2.6 / 2.2, an Xception 8.5 / 4.7.
_LONG_FLOPS_AN_OPERATION = 2e8
_FEW_ROWS = 4  # so few that a prediction is compiled by itself


class Runner:
    """Runs one kind of step.

    Args:
        step: `(state, data) -> (result, new state)`, pure.
        groups: the variables of the state, a list for each part.
        word: gives the model's fingerprint as it is now; runners with the same one share what is compiled.
        donated: how many of the groups, from the first on, have buffers that may be overwritten.
        eager: run without compiling.
        convolves: whether a layer is a convolution, so that steps may not run in a loop.
        lock: held by a step while the buffers it gives up are not replaced; shared by the runners of a model.
        changes: how often attributes of the model's layers were set when what it runs was traced.
    """

    def __init__(self, step: Callable[..., Any], groups: list[list[Variable]], word: Callable[[], str | None], *,
                 donated: int, eager: bool, convolves: bool, lock: Any, changes: int = 0):
        self._groups = groups
        self._boxes = [v for group in groups for v in group]
        for variable in self._boxes:
            variable.place()
        self._lock, self.changes, self._convolves = lock, changes, convolves
        self._step, self._word, self._donated, self._eager = keeping_places(step, groups), word, donated, eager
        # XLA's own code multiplies ints slowly: 512 x 512 in 0.5 instead of 0.1 ms, 4,096 x 4,096 in 28 instead of 1.6
        self._few_rows = 0 if any(v.dtype == "int8" for v in self._boxes) else _FEW_ROWS
        self._expected: Any = None  # shape, dtype and batch size of the last prediction of a batch as it came
        # By shape and dtype: to how many rows an array was filled up for one dispatch, and its form.
        self.at_once: dict[Any, tuple[int, str]] = {}
        self._example: Any  # what one step gives, as shapes; None until its cost is asked for
        self._choose()

    def _choose(self) -> None:
        """Take the compiled step for the model as it is now."""
        word, self._example = self._word, None
        chosen = None if self._eager or settings.distribution is not None else word()
        self._compiled = shared_step(chosen)
        self._asker = Asker(self._step, lambda: chosen is None or word() == chosen)

    def _run_eagerly(self, data: Any, rows: Any) -> Any:
        with scope(row_mask=rows):
            return self._step(self._values(), jax.tree.map(to_array, data))

    def try_out(self, data: Any) -> None:
        """Trace the step for what it makes; nothing is computed or kept."""
        jax.eval_shape(self._step, self._values(), jax.tree.map(to_array, data))

    def _values(self) -> list[list[jax.Array]]:
        """The values of the variables."""
        return [[v._value for v in group] for group in self._groups]

    def state(self) -> tuple[list[list[jax.Array]], list[list[jax.Array]]]:
        """The values of the variables, as a compiled step takes them: those to be overwritten, and the others."""
        return ([[v.to_donate() for v in group] for group in self._groups[:self._donated]],
                [[v._value for v in group] for group in self._groups[self._donated:]])

    def steps_per_dispatch(self, data: Any, rows: Any, asked: int) -> int:
        """How many steps to run in one dispatch for batches like this one; remembered for the next of their shape.

        The user's number where one was given; one where `asked` is 0. Else many for a small network, one where the
        step holds a convolution (XLA on the CPU runs those many times slower inside a loop), is long by itself or has
        large batches.
        """
        if self._eager:
            return 1
        cost = self._cost(data, rows, looped=asked > 0 and not self._convolves)
        if asked == 0 or (cost.convolves and jax.default_backend() == "cpu"):
            return 1
        if asked > 1:
            return asked
        count = min(_MOST_FOLDED, self._steps_of_work(cost.flops), _MOST_FOLDED_BYTES // (_bytes(data) + 1))
        return count if count >= _LEAST_FOLDED else 1

    def _steps_of_work(self, flops: float) -> int:
        """How many steps of so many operations, each of which goes over weights and slots, are work for a dispatch."""
        state = sum(v._value.nbytes for group in self._groups[:self._donated] for v in group)
        return int(_FOLDED_FLOPS / (flops + _FLOPS_A_BYTE * state + 1))

    def epochs_per_dispatch(self, data: Any, rows: Any, steps: int) -> int:
        """How many epochs of so many batches like this one to run in one dispatch, where nobody listens; 1 for no gain.

        Measured for three small dense layers: 16.5 instead of 26.8 us a step with epochs of 32 steps, 65 instead of
        400 us an epoch with epochs of one.
        """
        if self._eager or settings.distribution is not None:
            return 1
        cost = self._cost(data, rows)
        if cost.convolves and jax.default_backend() == "cpu":
            return 1
        return max(1, min(_MOST_EPOCHS, _MOST_EPOCH_STEPS // steps, self._steps_of_work(cost.flops) // steps,
                          _MOST_EPOCH_BYTES // (_bytes(data) * steps + 1)))

    def form(self, data: Any, rows: Any, steps: float, by_products: bool = True) -> str:
        """The form to run so many steps in: "single", or one for oneDNN, which every start of the process compiles
        anew, where that pays: "long" for a training, "large" for a prediction.

        It depends on shapes and the number of steps alone: a training that is resumed takes the same form. Large
        predictions and evaluations are expected to come again. `by_products`: whether products alone may decide it,
        which gain where there are many rows (measured, 4,000 digits through a network of three dense layers, 25.6
        instead of 19.5 ms, 1,024 texts through a transformer 303 instead of 250).
        """
        if self._eager or settings.distribution is not None or not onednn.compiler_options():
            return "single"
        cost = self._cost(data, rows)
        images = cost.of_images >= _IMAGES_SHARE * cost.flops > 0
        if self._donated:
            return "long" if images and cost.of_images * steps >= _LONG_FLOPS else "single"
        only_floats = cost.dtypes == {"float32"}
        gains = images or (by_products and only_floats and not cost.convolves and not cost.loops)
        if not gains or cost.flops * steps < _LONG_FLOPS_AN_OPERATION * cost.operations:
            return "single"
        form = "large" if only_floats else "long"  # products of other numbers are YNNPACK's
        # oneDNN takes NaN for 0 in a maximum that XLA joins to its product; a relu is something else there
        return "single" if self._bounds_products(data, rows, f"jitted_{form}") else form

    def _cost(self, data: Any, rows: Any, looped: bool = False) -> Cost:
        """The work of a step on data like this; remembered for the next of its shape. `looped`: whether it is likely
        to run in a loop, so that the form for it may as well be traced."""
        key = _shapes(data, rows)
        if key not in self._compiled.costs:
            # first: it may find that the model has changed
            traced = self._traced("looped" if looped else "single", data, rows)
            self._compiled.costs[key] = step_cost(traced)
        cost = self._compiled.costs[key]
        self._example = cost.example
        return cost

    def _bounds_products(self, data: Any, rows: Any, form: str) -> bool:
        """`bounds_products` of a form of the step; remembered likewise."""
        key = _shapes(data, rows), form
        if key not in self._compiled.bounds:
            traced = self._traced(form, data, rows)
            self._compiled.bounds[key] = bounds_products(traced.jaxpr)
        return self._compiled.bounds[key]

    def _traced(self, form: str, data: Any, rows: Any) -> Any:
        def trace() -> Any:
            state = [self._values()] if form == "looped" else self.state()
            return getattr(self._compiled, form).trace(*state, data, rows)

        with paused():
            return self._asking(trace)

    def rows_per_dispatch(self, data: Any, rows: int, total: int) -> int:
        """How many rows to predict in one dispatch, where rows are independent: more than `rows` for a small network.

        Measured, 4,000 rows: 42 instead of 68 ms for a network of dense layers (1,024 rows), 760 instead of 830 ms for
        the tutorial's CNN (64 rows; with 256 it is slower than with 32: the images leave the cache). Where it is large
        it is compiled anew anyway, so in equal parts, lest a last one be filled up; where oneDNN multiplies, in as
        large ones as it likes: 19.5 instead of 22.7 ms for the dense layers (4,000 and 1,000).
        """
        if self._eager:
            return rows
        cost = self._cost(data, None)
        if self.form(data, None, total / rows) == "single":
            wanted = int(_DISPATCH_FLOPS * rows / (cost.flops + 1))
            most = max(rows, min(1 << max(wanted.bit_length() - 1, 0), _MOST_ROWS))
            return min(most, 1 << (total - 1).bit_length())
        flops, most = (_LARGE_CONVOLVED_FLOPS, _MOST_ROWS) if cost.convolves else (_LARGE_FLOPS, _MOST_LARGE_ROWS)
        dispatches = math.ceil(total / max(rows, min(int(flops * rows / (cost.flops + 1)), most)))
        return self._compiled.size_for(-(-total // dispatches))

    def _asking(self, work: Callable[[], Any]) -> Any:
        """Do what may trace the step, in this model's name."""
        token = running.set(self._asker)
        try:
            return work()
        except StepChanged:
            self._choose()
            running.set(self._asker)
            return work()
        finally:
            running.reset(token)

    def run(self, data: Any, rows: Any, safe: SafePoints, count: int | None = None, form: str = "single",
            whole_epochs: bool = False) -> Any:
        """Run on a batch, or on `count` stacked batches, and keep the new state. Gives the step's result.

        `form`, for a batch, is one of those that `form` names. `whole_epochs`: `count` epochs are stacked; each has its
        result.
        """
        data, rows = place_batch((data, rows), axis=0 if count is None else 1)
        with safe.hold(), self._lock:
            if self._eager:
                result, new = self._run_eagerly(data, rows)
            elif count is None:
                result, new = self._guarded(data, lambda: getattr(self._compiled, form)(*self.state(), data, rows))
            else:
                result, new = self._guarded(data, lambda: self._compiled.folded(
                    self._outputs_of_one(data, rows, 1 + whole_epochs), whole_epochs)(
                        *self.state(), data, rows, count))
            self._write(new)
        return result

    def _outputs_of_one(self, data: Any, rows: Any, stacked: int) -> Any:
        """What one step gives, as shapes, for data behind so many further axes.

        It is known where the training asked for the cost before; not where a callback changed the model since.
        """
        if self._example is None:
            one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[stacked:], a.dtype), data)
            self._cost(one, None if rows is None else jax.ShapeDtypeStruct(rows.shape[1:], rows.dtype))
        return self._example

    def predict(self, data: Any, form: str = "single") -> Any:
        """The result of a step whose new state is of no interest; nothing is written. `form` as for `run`."""
        if self._eager:
            return self._run_eagerly(data, None)[0]
        rows = np.shape(jax.tree.leaves(data)[0])[0]
        data = place_batch(data)
        few = rows <= self._few_rows

        def step() -> Any:
            compiled = self._compiled  # another one, where it turns out that the model has changed
            return (compiled.outputs(self._values(), data) if few else
                    getattr(compiled, form)([], self._values(), data, None)[0])

        def work() -> Any:
            return self._guarded(data, step)

        try:
            return work()
        except (RuntimeError, ValueError) as error:
            if not _is_gone(error):
                raise
        with self._lock:
            return work()

    def expect(self, x: np.ndarray, batch_size: int | None) -> None:
        """Note that a batch like this one fits the model and is predicted as it is."""
        if settings.distribution is None:  # else it must be divided first
            self._expected = x.shape, x.dtype, batch_size

    def predict_again(self, x: np.ndarray, batch_size: int | None) -> Any:
        """A prediction like the last, past all questions that were answered then; None where it is another.

        Measured on one digit: 50 us of Python between products that empty the processor's caches become 20.
        """
        outputs = self.outputs_again(x) if self._expected == (x.shape, x.dtype, batch_size) else None
        return np.array(outputs) if isinstance(outputs, jax.Array) else jax.tree.map(np.array, outputs)

    def outputs_again(self, x: Any) -> Any:
        """The outputs for a few rows, of a shape that ran before; None where it takes more."""
        ran = x.shape in self._compiled.started
        if not ran or self._eager or settings.distribution is not None or len(x) > self._few_rows:
            return None
        token = running.set(self._asker)
        try:
            return self._compiled.outputs(self._values(), (x, None, None))
        except (StepChanged, RuntimeError, ValueError) as error:
            if not isinstance(error, StepChanged) and not _is_gone(error):
                raise
            return None
        finally:
            running.reset(token)

    def _guarded(self, data: Any, work: Callable[[], Any]) -> Any:
        """Run the compiled step; the first time for data of a shape under the guard of the compile cache."""
        shape = np.shape(jax.tree.leaves(data)[0])
        if shape in self._compiled.started:
            return self._asking(work)
        with paused(), compile_cache.loading():
            result = jax.block_until_ready(self._asking(work))
        self._compiled.started.add(shape)
        return result

    def _write(self, new: Any) -> None:
        values = [value for group in new for value in group]
        if self._eager:
            for box, value in zip(self._boxes, values, strict=True):
                box.put(jnp.asarray(value, box._dtype))
            return
        for box, value in zip(self._boxes, values, strict=True):
            if value is not None:  # None: unchanged
                box.put(value)


def _shapes(data: Any, rows: Any) -> Any:
    leaves, structure = jax.tree.flatten(data)
    return structure, tuple((a.shape, a.dtype) for a in leaves), rows is None


def _bytes(data: Any) -> int:
    return sum(a.nbytes for a in jax.tree.leaves(data))


def _is_gone(error: Exception) -> bool:
    """Whether a step of another thread took the weights just before they were to be used."""
    return "has been deleted" in str(error)
