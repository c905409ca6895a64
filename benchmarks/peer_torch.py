"""PyTorch as an expert writes it for a CPU: own loop, channels last, fused Adam, inference mode, all cores.

`python peer_torch.py WORKLOAD PEER`, as run.py calls it; the peer `torch_compiled` puts torch.compile around models.
"""

import functools
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import data
import torch
from data import BATCH, digits, measure, memory, report, slope
from models_torch import LOSSES, MODELS, cnn
from suite import TRAINING
from torch import nn

__all__ = ["WORKLOADS", "images", "main"]

COMPILED = sys.argv[2:] == ["torch_compiled"]
BULK = 128  # rows of a batch in bulk prediction; 64 and 128 were the quickest of 32 to 512 for the CNN


def images(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Give digits as (count, 1, 28, 28), channels last in memory."""
    return tensors("digits", count)


def tensors(name: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Give the data of this name; pictures with channels first in the shape and last in memory, sound first in both."""
    x, y = map(torch.from_numpy, getattr(data, name)(count))
    if x.ndim == 3:
        x = x.movedim(-1, 1).contiguous()
    if x.ndim == 4:
        x = x.permute(0, 3, 1, 2)
    return x, y if y.is_floating_point() else y.long()


def made(name: str) -> nn.Module:
    """Make the network, with torch.compile where it is asked for."""
    model = MODELS[name]()
    return torch.compile(model) if COMPILED else model


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    """Adam with Keras' numbers, in one fused kernel."""
    return torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, fused=True)


def train(model, optimizer, loss_of, x, y, batch: int, epochs: int = 1) -> float:
    """Train with shuffled batches; give the mean loss of the last epoch."""
    for _ in range(epochs):
        total = torch.zeros(())
        for places in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model(x[places]), y[places])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(places)
    return float(total / len(x))


def training(name: str) -> dict[str, Any]:
    """Time a training step, after as many as in one `fit` to warm up."""
    plan = TRAINING[name]
    x, y = tensors(plan.data, plan.rows)
    start = time.perf_counter()
    model = made(name)
    optimizer = optimizer_of(model)
    losses: list[float] = []

    def fit() -> None:
        losses.append(train(model, optimizer, LOSSES[plan.loss], x, y, plan.batch, plan.epochs))

    fit()
    first = time.perf_counter() - start
    seconds = measure(fit, plan.repeats) / plan.steps
    return {"seconds": seconds, "loss": losses[-1], "first": first, "memory": memory()}


def predict_one() -> dict[str, Any]:
    """Time calling the module on one digit, NumPy in and NumPy out."""
    x, model = digits(1)[0], made("cnn_32").eval()

    def predict() -> Any:
        with torch.inference_mode():
            return model(torch.from_numpy(x).permute(0, 3, 1, 2)).softmax(1).numpy()

    measure(predict, 20)
    return {"seconds": measure(predict, 200)}


def bulk(name: str, rows: int = 4000, size: int = BULK) -> dict[str, Any]:
    """Time so many rows, NumPy in and NumPy out."""
    x, model = tensors(TRAINING[name].data, rows)[0], made(name).eval()

    def predict() -> Any:
        with torch.inference_mode():
            return torch.cat([model(batch).softmax(1) for batch in x.split(size)]).numpy()

    measure(predict, 3)
    return {"seconds": measure(predict, 9)}


def fit_batch() -> dict[str, Any]:
    """Time one step, data from NumPy, the loss as a number."""
    x, y = data.rows(BATCH)
    model = made("tiny_mlp")
    optimizer, loss_of = optimizer_of(model), LOSSES["mse"]

    def step() -> float:
        return train(model, optimizer, loss_of, torch.from_numpy(x), torch.from_numpy(y), BATCH)

    measure(step, 5)
    return {"seconds": measure(step, 50)}


def models_200() -> dict[str, Any]:
    """Make and train the same small network again and again."""
    x, y = tensors("rows", BATCH)
    held, start = [], time.perf_counter()
    for _ in range(200):
        model = made("tiny_mlp")
        train(model, optimizer_of(model), LOSSES["mse"], x, y, BATCH)
        held.append(memory(peak=False))
    return {"seconds": (time.perf_counter() - start) / 200, "models": 200, "growth": slope(held[100:])}


def start() -> dict[str, Any]:
    """Run the first 10 steps; run.py holds the watch."""
    model = cnn()
    return {"loss": train(model, optimizer_of(model), LOSSES["sparse_categorical_crossentropy"], *images(320), BATCH)}


WORKLOADS: dict[str, Callable[[], dict[str, Any]]] = {name: functools.partial(training, name) for name in TRAINING} | {
    "predict_one": predict_one,
    "call_one": predict_one,
    "bulk_cnn": functools.partial(bulk, "cnn_32"),
    "bulk_mlp": functools.partial(bulk, "mnist_mlp"),
    "bulk_photos": functools.partial(bulk, "photos", 200, 20),
    "fit_batch": fit_batch,
    "models_200": models_200,
    "start_cold": start,
    "start_warm": start,
}


def main() -> None:
    """Run the workload named on the command line and report."""
    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    report(**WORKLOADS[sys.argv[1]](), versions=f"PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
