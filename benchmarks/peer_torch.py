"""PyTorch as an expert writes it for a CPU: own loop, channels last, fused Adam."""

import sys
import time

import torch
from data import BATCH, digits, measure, report, rows
from torch import nn
from torch.nn import functional

__all__: list[str] = []

STEPS, EPOCHS = 60, 3


def cnn() -> nn.Module:
    """Make the tutorial's CNN; the softmax is left to the loss, as PyTorch has it."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding="same"), nn.ReLU()),
        *(nn.Conv2d(32, 32, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Conv2d(32, 64, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Conv2d(64, 128, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Flatten(), nn.Linear(128 * 3 * 3, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 10)),
    ).to(memory_format=torch.channels_last)


def images(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Give digits as (count, 1, 28, 28), channels last in memory."""
    x, y = digits(count)
    return torch.from_numpy(x).permute(0, 3, 1, 2), torch.from_numpy(y).long()


def train(model, loss_of, x, y, epochs) -> float:
    """Train with shuffled batches; give the mean loss of the last epoch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, fused=True)
    for _ in range(epochs):
        total = torch.zeros(())
        for places in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model(x[places]), y[places])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(places)
    return float(total / len(x))


def cnn_step() -> dict[str, float]:
    """Time a training step, after an epoch to warm up."""
    x, y = images(STEPS * BATCH)
    model, losses = cnn(), []
    train(model, functional.cross_entropy, x, y, 1)
    seconds = measure(lambda: losses.append(train(model, functional.cross_entropy, x, y, 1)), EPOCHS)
    return {"seconds": seconds / STEPS, "loss": losses[-1]}


def mlp_epoch() -> dict[str, float]:
    """Time an epoch of the small dense network."""
    x, y = map(torch.from_numpy, rows())
    model = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))
    train(model, functional.mse_loss, x, y, 2)
    start = time.perf_counter()
    loss = train(model, functional.mse_loss, x, y, 40)
    return {"seconds": (time.perf_counter() - start) / 40, "loss": loss}


def predict_one() -> dict[str, float]:
    """Time one digit, NumPy in and NumPy out."""
    x, model = digits(1)[0], cnn().eval()

    def predict():
        with torch.inference_mode():
            return model(torch.from_numpy(x).permute(0, 3, 1, 2)).softmax(1).numpy()

    measure(predict, 20)
    return {"seconds": measure(predict, 300)}


def build() -> dict[str, float]:
    """Time making the CNN."""
    return {"seconds": measure(cnn, 1), "compilations": 0}


def start() -> dict[str, float]:
    """Run the first 10 steps; run.py holds the watch."""
    return {"loss": train(cnn(), functional.cross_entropy, *images(10 * BATCH), 1)}


if __name__ == "__main__":
    torch.manual_seed(0)
    workloads = {f.__name__: f for f in (cnn_step, mlp_epoch, predict_one, build)}
    report(**workloads.get(sys.argv[1], start)(), versions=f"PyTorch {torch.__version__}")
