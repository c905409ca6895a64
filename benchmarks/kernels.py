"""What the kernels are worth: the tutorial CNN's training step in bare JAX beside PyTorch, and each kernel by itself.

```
python benchmarks/kernels.py step --rounds 5     # kyeo's kernels, plain jax.lax and PyTorch in turns, own processes
python benchmarks/kernels.py parts               # every kernel beside plain jax.lax: forward and gradients
```

Both take the interpreters from setup_envs.py. A step is forward, softmax cross-entropy, backward and Adam for 32
digits; times are medians over the rounds of each process' median, the best step of all, and the processor time of a
step. Where other programs use the machine, only one core and the processor time tell something: `taskset -c 0` before
the command gives every side one core.
"""

import argparse
import functools
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from data import BATCH, digits, report
from setup_envs import ENVIRONMENTS, ROOT

__all__ = ["main"]

STEPS = 150
SIDES = {"kernels": "kyeo", "lax": "kyeo", "torch": "torch"}
SHAPES = [(3, 3, 1, 32), (3, 3, 32, 32), (3, 3, 32, 64), (3, 3, 64, 128), (1152, 512), (512, 10)]
CONVOLUTIONS = {
    # name: input shape, window, filters, stride, groups
    "3x3, 1 -> 32, 28x28": ((32, 28, 28, 1), (3, 3), 32, 1, 1),
    "3x3, 32 -> 32, 28x28": ((32, 28, 28, 32), (3, 3), 32, 1, 1),
    "3x3, 64 -> 128, 7x7": ((32, 7, 7, 64), (3, 3), 128, 1, 1),
    "1x1, 64 -> 256, 56x56": ((8, 56, 56, 64), (1, 1), 256, 1, 1),
    "1x1 / 2, 256 -> 512, 56x56": ((8, 56, 56, 256), (1, 1), 512, 2, 1),
    "3x3 depthwise, 32, 32x32": ((32, 32, 32, 32), (3, 3), 32, 1, 32),
    "3x3 / 2 depthwise, 64, 28x28": ((32, 28, 28, 64), (3, 3), 64, 2, 64),
    "3x3 depthwise x 2, 32, 16x16": ((8, 16, 16, 32), (3, 3), 64, 1, 32),
    "3x3 in 4 groups, 64, 14x14": ((32, 14, 14, 64), (3, 3), 64, 1, 4),
    "3x3 in 32 groups, 128, 7x7": ((32, 7, 7, 128), (3, 3), 128, 1, 32),
    "3x3x3, 16 -> 16, 16x16x16": ((4, 16, 16, 16, 16), (3, 3, 3), 16, 1, 1),
}
POOLS = {
    # name: input shape, window, stride
    "2x2 / 2, 28x28x32": ((32, 28, 28, 32), 2, 2),
    "3x3 / 2, 57x57x64": ((8, 57, 57, 64), 3, 2),
    "3x3 / 1, 28x28x32": ((32, 28, 28, 32), 3, 1),
    "7x7 / 7, 28x28x32": ((32, 28, 28, 32), 7, 7),
}


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("step", "parts", *SIDES))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    {"step": compare, "parts": parts, "torch": torch_step}.get(options.what, jax_step)(options)


# The whole step ------------------------------------------------------------------------------------------


def compare(options: argparse.Namespace) -> None:
    """Run the sides in turns and print a table."""
    pythons = json.loads((ENVIRONMENTS / "pythons.json").read_text())
    results: dict[str, list[dict]] = {side: [] for side in SIDES}
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    for _ in range(options.rounds):
        for side, peer in SIDES.items():
            command = [pythons[peer], __file__, side]
            text = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
            results[side].append(json.loads(text.partition("RESULT ")[2]))
    print(f"{'':10}{'step, ms':>10}{'best, ms':>10}{'cpu, ms':>10}{'compile, s':>12}")
    for side, runs in results.items():
        step, best, cpu, compiling = ([run[key] for run in runs] for key in ("step", "best", "cpu", "compile"))
        print(f"{side:10}{statistics.median(step):10.2f}{min(best):10.2f}{statistics.median(cpu):10.2f}"
              f"{statistics.median(compiling):12.2f}", flush=True)


def time_steps(step: Callable[[], Any], compiling: float) -> None:
    """Time single steps after ten to warm up, and report."""
    times, work = [], []
    for _ in range(STEPS + 10):
        start, cpu = time.perf_counter(), time.process_time()
        step()
        times.append((time.perf_counter() - start) * 1e3)
        work.append((time.process_time() - cpu) * 1e3)
    middle = statistics.median
    report(step=middle(times[10:]), best=min(times[10:]), cpu=middle(work[10:]), compile=compiling)


def torch_step(_: argparse.Namespace) -> None:
    """PyTorch's step: channels last, fused loss, fused Adam."""
    import torch
    from models_torch import cnn
    from peer_torch import images
    from torch.nn import functional

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    (x, y), model = images(BATCH), cnn()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    time_steps(step, 0.0)


def jax_step(options: argparse.Namespace) -> None:
    """The step in bare JAX, with the kernels or with what `jax.lax` and `jax.random` have."""
    import jax

    x, y = map(jax.numpy.asarray, digits(BATCH))
    step, state = step_of(options.what == "kernels"), first_state()
    start = time.perf_counter()
    compiled = jax.jit(step, donate_argnums=0).lower(state, x, y).compile()
    compiling = time.perf_counter() - start

    def one() -> None:
        nonlocal state
        state = jax.block_until_ready(compiled(state, x, y))

    time_steps(one, compiling)


def first_state() -> tuple:
    """Weights and biases, two zeros of Adam for each, and the number of the step."""
    import jax.numpy as jnp
    import numpy as np

    generator = np.random.default_rng(0)
    weights = [generator.normal(size=s) * math.sqrt(2 / math.prod(s[:-1])) for s in SHAPES]
    values = [jnp.asarray(v, "float32") for w in weights for v in (w, np.zeros(w.shape[-1]))]
    return values, [jnp.zeros_like(v) for v in values], [jnp.zeros_like(v) for v in values], jnp.uint32(0)


def layers_of(ours: bool) -> tuple[Callable, Callable, Callable]:
    """Convolution, pool and dropout: kyeo's kernels or plain JAX."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    from kyeo.ops import kernels

    if ours:
        def drop(x, salt, number):
            return jnp.where(kernels.keep_mask(jnp.stack([jnp.uint32(salt), number]), x.shape, 0.5), 2 * x, 0)

        conv = functools.partial(kernels.conv, strides=(1, 1), padding="same", dilation=(1, 1))
        return conv, functools.partial(kernels.max_pool, window=(2, 2), strides=(2, 2)), drop

    def plain_drop(x, salt, number):
        return jnp.where(jax.random.bernoulli(jax.random.fold_in(jax.random.key(salt), number), 0.5, x.shape), 2 * x, 0)

    dims = ("NHWC", "HWIO", "NHWC")
    return (lambda x, w: lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=dims),
            lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"), plain_drop)


def step_of(ours: bool) -> Callable:
    """The training step of the tutorial's CNN."""
    import jax
    import jax.numpy as jnp

    conv, pool, drop = layers_of(ours)
    relu = jax.nn.relu

    def loss_of(values, x, y, number):
        (w1, b1, w2, b2, w3, b3, w4, b4, w5, b5, w6, b6) = values
        h = relu(conv(x, w1) + b1)
        h = drop(relu(pool(relu(conv(h, w2) + b2))), 1, number)
        h = relu(pool(relu(conv(h, w3) + b3)))
        h = drop(relu(pool(relu(conv(h, w4) + b4))), 2, number)
        h = drop(relu(h.reshape(len(h), -1) @ w5 + b5), 3, number)
        scores = jax.nn.log_softmax(h @ w6 + b6)
        return -jnp.take_along_axis(scores, y[:, None], 1).mean()

    def step(state, x, y):
        values, first, second, number = state
        gradients = jax.grad(loss_of)(values, x, y, number)
        number = number + 1
        t = number.astype("float32")
        rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        first = [m + (g - m) * 0.1 for m, g in zip(first, gradients)]
        second = [v + (g * g - v) * 0.001 for v, g in zip(second, gradients)]
        values = [p - rate * m / (jnp.sqrt(v) + 1e-7) for p, m, v in zip(values, first, second)]
        return values, first, second, number

    return step


# Each kernel ---------------------------------------------------------------------------------------------


def parts(_: argparse.Namespace) -> None:
    """Print the best time of each kernel and of what it replaces, in milliseconds."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    from kyeo.ops import kernels
    from kyeo.ops.kernels.conv import plain

    print(f"{'kernel / plain, ms':36}{'forward':>20}{'by input':>20}{'by kernel':>20}")
    for name, (shape, window, filters, stride, groups) in CONVOLUTIONS.items():
        rank = len(window)
        x, w = jnp.ones(shape), jnp.ones((*window, shape[-1] // groups, filters))
        strides, ones = (stride,) * rank, (1,) * rank
        both = [
            lambda x, w, n=groups, s=strides, d=ones: kernels.conv(x, w, s, "same", d, n),
            lambda x, w, n=groups, s=strides, d=ones: plain(x, w, s, "same", d, n),
        ]
        row(name, [gradients(f, x, w) for f in both])
    for name, (shape, size, stride) in POOLS.items():
        window, strides = (size, size), (stride, stride)

        def plain_pool(x, window=window, strides=strides):
            return lax.reduce_window(x, -jnp.inf, lax.max, (1, *window, 1), (1, *strides, 1), "VALID")

        pool = [lambda x, w=window, s=strides: kernels.max_pool(x, w, s), plain_pool]
        row(f"max pool {name}", [gradients(f, jnp.ones(shape)) for f in pool])
    x, key = jnp.ones((32, 14, 14, 64)), jax.random.key(0)
    masks = [
        lambda x, k: jnp.where(kernels.keep_mask(jax.random.key_data(k), x.shape, 0.5), 2 * x, 0),
        lambda x, k: jnp.where(jax.random.bernoulli(k, 0.5, x.shape), 2 * x, 0),
    ]
    row("dropout 14x14x64", [[best(f, x, key)] for f in masks])


def row(name: str, times: list[list[float]]) -> None:
    """Print one kernel's times beside the plain ones."""
    print(f"{name:36}" + "".join(f"{a:10.2f} /{b:8.2f}" for a, b in zip(*times)), flush=True)


def gradients(f: Callable, *arguments: Any) -> list[float]:
    """Best times of a function and of its gradient by each argument."""
    import jax

    y = f(*arguments)
    times = [best(f, *arguments)]
    for i in range(len(arguments)):
        def pull(g, *arguments, i=i):
            return jax.vjp(lambda a: f(*arguments[:i], a, *arguments[i + 1 :]), arguments[i])[1](g)

        times.append(best(pull, y, *arguments))
    return times


def best(f: Callable, *arguments: Any) -> float:
    """The shortest of at least ten calls, in milliseconds; the shortest is what other work disturbs least."""
    import jax

    compiled = jax.jit(f).lower(*arguments).compile()
    times, start = [], time.perf_counter()
    while len(times) < 10 or time.perf_counter() - start < 0.3:
        begin = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        times.append(time.perf_counter() - begin)
    return min(times) * 1e3


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
    main()
