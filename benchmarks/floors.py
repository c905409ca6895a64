"""How far each workload is from what the machine could do at best; ../docs/speed.md has the figures.

```
python benchmarks/run.py --peers kyeo --keep times.json      # or the file of a whole run
python benchmarks/floors.py --kept times.json                # operations, bytes, floor and share of each workload
python benchmarks/floors.py --profile resnet lstm            # where the time of a step goes
```

Run it in kyeo's environment. Operations are the multiplications and additions of the network's matrix products and
convolutions as mathematics needs them, whatever form a kernel gives them. Bytes are what must be written and read:
weights and the optimizer's two means, the outputs of layers that hold products, and in a training the gradients of
these. What is done element by element (activations, normalisation, pools) can ride along and counts as free.
The floor is the longer of two times: the operations at the speed of a plain matmul, the bytes at that of a plain copy,
each in the library that does it better.
"""

import argparse
import collections
import glob
import json
import math
import os
import pathlib
import re
import statistics
import sys
import tempfile
import time
from typing import Any, NamedTuple

import data
from suite import TRAINING
from tables import Results, brief, middle, table

__all__ = ["Work", "kinds_of", "main", "work_of"]

ROWS = (*TRAINING, "predict_one")
PEAKS = ("jax", "torch")  # what peak.py measures
NUMBER = 4  # bytes
STEPS = 20  # of a profile
KINDS = ("convolutions", "products", "element by element", "copies")
MOVES = {"bitcast", "broadcast", "concatenate", "constant", "copy", "fusion", "pad", "parameter", "reshape", "slice",
         "transpose", "tuple"}  # fmt: skip
GATES = {"LSTM": (4, 2), "ConvLSTM2D": (4, 2), "GRU": (3, 1)}  # and states
WITHIN = {"while", "call", "conditional"}  # they last as long as what they call


class Work(NamedTuple):
    """What a step has to do."""

    operations: float
    bytes: float


def sizes(layer: Any) -> tuple[float, float]:
    """Give the operations of a layer's products for one row, forward, and how many numbers they give."""
    kind, shape = type(layer).__name__, tuple(layer.output.shape[1:]) if hasattr(layer, "output") else ()
    size = float(math.prod(shape))
    if kind == "Dense":
        return 2 * size * layer.kernel.shape[0], size
    if kind in ("Conv1D", "Conv2D"):
        return 2 * size * math.prod(layer.kernel.shape[:-1]), size
    if kind == "DepthwiseConv2D":
        return 2 * size * math.prod(layer.kernel_size), size
    if kind == "Embedding":
        return 0.0, size
    if kind in GATES:  # input and state times the weights of the gates; the gates and the states
        gates, states = GATES[kind]
        _, steps, *places, width = layer.input.shape
        units = layer.filters if places else layer.units
        taps = math.prod(layer.kernel_size) if places else 1
        each = float(steps * math.prod(places) * units)
        return 2 * each * taps * (width + units) * gates, (gates + states) * each
    if kind == "Bidirectional":  # its layers are not called on tensors of their own
        _, steps, width = layer.input.shape
        gates, states = GATES[type(layer.forward_layer).__name__]
        each = 2.0 * steps * layer.forward_layer.units
        return 2 * each * (width + layer.forward_layer.units) * gates, (gates + states) * each
    if kind == "MultiHeadAttention":  # four projections, scores, their mean of the values
        _, steps, width = layer.output.shape
        inner = layer.num_heads * layer.key_dim
        operations = 2.0 * steps * width * inner * 4 + 2 * 2.0 * steps * steps * inner
        return operations, steps * (4.0 * inner + width) + layer.num_heads * steps * steps
    if any(len(weight.shape) > 1 for weight in layer.weights):
        raise NotImplementedError(f"floors.py does not know the products of {kind}")
    return 0.0, 0.0


def work_of(model: Any, batch: int, training: bool = True) -> Work:
    """Add up a step: forward, and in a training the gradients by weights and by inputs other than the data."""
    given = {id(tensor) for tensor in model.inputs}
    operations, numbers = 0.0, float(sum(math.prod(tensor.shape[1:]) for tensor in model.inputs))
    for layer in model.layers:
        products, outputs = sizes(layer)
        gradients = 0 if not training or not products else 1 if id(layer.input) in given else 2
        operations += products * (1 + gradients)
        numbers += outputs * (4 if training else 2)  # an output, and its gradient, are written and read
    weights = sum(math.prod(weight.shape) for weight in model.trainable_variables)
    moved = weights * (6 if training else 1)  # the weight and both means are read and written
    return Work(operations * batch, NUMBER * (numbers * batch + moved))


def floors(kept: Results, names: list[str]) -> list[str]:
    """Give the table of the workloads."""
    from models_keras import MODELS

    import kyeo

    found = [[middle(kept, "peak", side, key) for side in PEAKS] for key in ("gigaflops", "gigabytes")]
    speed, bandwidth = (max((v for v in values if v), default=math.nan) for values in found)  # the better library
    rows = []
    for name in names:
        training = name in TRAINING
        work = work_of(MODELS[name if training else "cnn_32"](kyeo), TRAINING[name].batch if training else 1, training)
        times = work.operations / speed / 1e6, work.bytes / bandwidth / 1e6
        measured = (middle(kept, name, "kyeo") or math.nan) * 1000
        cells = [brief(value) for value in (work.operations / 1e6, work.bytes / 1e6, *times, measured)]
        rows.append([f"`{name}`", *cells, f"{max(times) / measured:.0%}" if measured == measured else "-"])
    machine = f"Matmul {brief(speed)} GFLOP/s, copy {brief(bandwidth)} GB/s read and written."
    head = ("workload", "million operations", "MB", "operations, ms", "bytes, ms", "measured, ms", "floor / measured")
    return [machine, "", *table(head, rows), ""]


# Where the time goes -------------------------------------------------------------------------------------


def kinds_of(program: str) -> dict[str, str]:
    """Give the kind of what a compiled program runs, by the names of the profiler, from the program's text."""
    bodies: dict[str, str] = collections.defaultdict(str)
    lines, inside = {}, ""
    for line in program.splitlines():
        begin = re.match(r"(?:ENTRY )?%?([\w.$-]+) .*\{$", line)
        found = re.match(r"\s+(?:ROOT )?%?([\w.$-]+) = (.*)", line)
        if begin:
            inside = begin[1]
        elif found:
            text = re.sub(r", (metadata|backend_config)=.*", "", found[2])
            target = re.search('custom_call_target="(.*?)"', text)
            bodies[inside] += text + "\n"
            lines[found[1] + (target[1] if target else "")] = text
    return {name: kind_of(text, bodies) for name, text in lines.items()}


def kind_of(text: str, bodies: dict[str, str]) -> str:
    """Give the kind of one instruction: of what it calls, if it is a fusion; nothing if it only waits for others."""
    called = re.search(r"calls=%?([\w.$-]+)", text)
    whole = text + "\n" + (bodies[called[1]] if called else "")
    opcodes = {found[1] for line in whole.splitlines() if (found := re.search(r"\s([a-z][\w-]*)\(", " " + line))}
    if opcodes & WITHIN:
        return ""
    if "convolution" in opcodes or "onednn$convolution" in whole:
        return "convolutions"
    if "dot" in opcodes or "onednn$matmul" in whole:
        return "products"
    return "copies" if opcodes <= MOVES else "element by element"


def profile(name: str) -> list[str]:
    """Run single steps under JAX's profiler; give a row with the share of each kind.

    XLA names what it runs by its instruction. An instruction that two threads share is seen in the one that began it,
    and instructions may run side by side: so these are shares of what was seen, not of the clock.
    """
    import jax

    step, state, arguments, steps = compiled_step(name)
    kinds = kinds_of(step.as_text())
    state = jax.block_until_ready(step(state, *arguments)[1][: len(state)])
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level, options.host_tracer_level = 0, 2
    with tempfile.TemporaryDirectory() as folder:
        times = []
        with jax.profiler.trace(folder, profiler_options=options):
            for _ in range(steps):
                start = time.perf_counter()
                state = jax.block_until_ready(step(state, *arguments)[1][: len(state)])
                times.append(time.perf_counter() - start)
        (file,) = glob.glob(folder + "/**/*.xplane.pb", recursive=True)
        planes = jax.profiler.ProfileData.from_file(file).planes
        seen: dict[str, float] = collections.Counter()
        for event in (event for plane in planes for line in plane.lines for event in line.events):
            if kinds.get(event.name):
                seen[kinds[event.name]] += event.duration_ns / 1e6 / steps
    total = sum(seen.values())
    shares = [f"{seen[kind] / total:.0%}" for kind in KINDS]
    return [f"`{name}`", *shares, brief(total), brief(statistics.median(times) * 1000)]


def compiled_step(name: str) -> tuple[Any, Any, tuple[Any, ...], int]:
    """Give the compiled training step of a workload, its state to give up, its other arguments; how often to run it."""
    import jax
    from models_keras import compiled

    import kyeo
    from kyeo.core.compile_cache import unwritten

    plan = TRAINING[name]
    x, y = getattr(data, plan.data)(plan.batch * 2)
    model = compiled(kyeo, name)
    model.fit(x, y, batch_size=plan.batch, verbose=0)
    batch = (x[: plan.batch], y[: plan.batch], None)
    runner = model.runner("train")
    # the form that `fit` takes in the benchmark, but single steps where it folds many into a dispatch
    long = runner.form(batch, None, plan.steps) == "long"
    jitted = runner._compiled.jitted_long if long else runner._compiled.single
    donated, kept = runner.state()
    arguments = (kept, jax.tree.map(jax.numpy.asarray, batch), None)
    with unwritten():  # an attempt to write it would leave this thread with memory that does not stay
        step = runner._asking(lambda: jitted.lower(donated, *arguments).compile())
    return step, donated, arguments, STEPS


def main() -> None:
    """Print the table, and profiles where they are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kept", type=pathlib.Path, metavar="FILE", help="what run.py --keep wrote")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), metavar="WORKLOAD")
    parser.add_argument("--profile", nargs="+", choices=TRAINING, default=[], metavar="WORKLOAD")
    options = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    if options.kept:
        print("\n".join(floors(json.loads(options.kept.read_text()), options.only)))
    rows = [profile(name) for name in options.profile]
    if rows:
        head = ("a step of", *KINDS, "seen, ms", "by the clock, ms")
        print("\n".join(table(head, rows)))
    if not rows and not options.kept:
        sys.exit("Nothing to do: pass --kept FILE, --profile WORKLOAD, or both.")


if __name__ == "__main__":
    main()
