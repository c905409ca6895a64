"""The same networks in PyTorch as an expert writes them; softmax and sigmoid are left to the losses."""

import functools

import torch
from torch import nn
from torch.nn import functional

__all__ = ["LOSSES", "MODELS", "cnn"]


def cnn() -> nn.Module:
    """Make the tutorial's CNN."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding="same"), nn.ReLU()),
        *(nn.Conv2d(32, 32, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Conv2d(32, 64, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Conv2d(64, 128, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Flatten(), nn.Linear(128 * 3 * 3, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 10)),
    ).to(memory_format=torch.channels_last)


def tiny_mlp() -> nn.Module:
    """Make the small dense network for regression."""
    return nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))


def mnist_mlp() -> nn.Module:
    """Make the dense network for digits."""
    hidden = [nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(512, 10))


class Reader(nn.Module):
    """Embedding, a recurrent layer, and a score from its last output in each direction."""

    def __init__(self, kind: type[nn.RNNBase] = nn.LSTM, both: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10_000, 64)
        nn.init.uniform_(self.embedding.weight, -0.05, 0.05)  # Keras' start; PyTorch's normal(0, 1) learns otherwise
        self.recurrent = kind(64, 64, batch_first=True, bidirectional=both)
        self.score = nn.Linear(128 if both else 64, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = self.recurrent(self.embedding(x))[1]
        last = state[0] if isinstance(state, tuple) else state
        return self.score(last.movedim(0, 1).flatten(1))


class Block(nn.Module):
    """An encoder block: one matmul for queries, keys and values, and PyTorch's fused attention."""

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.out = nn.Linear(128, 3 * 128), nn.Linear(128, 128)
        self.wide, self.narrow = nn.Linear(128, 512), nn.Linear(512, 128)
        self.first, self.second = nn.LayerNorm(128, eps=1e-6), nn.LayerNorm(128, eps=1e-6)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = self.mix(x).view(*x.shape[:2], 3, 4, 32).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(*parts).transpose(1, 2).reshape(x.shape)
        x = self.first(x + self.dropout(self.out(seen)))
        return self.second(x + self.dropout(self.narrow(functional.relu(self.wide(x)))))


class Encoder(nn.Module):
    """Embedding, two blocks, mean over time, scores."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(1_000, 128)
        nn.init.uniform_(self.embedding.weight, -0.05, 0.05)
        self.blocks = nn.Sequential(Block(), Block())
        self.score = nn.Linear(128, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.score(self.blocks(self.embedding(x)).mean(1))


def normal(filters: int) -> nn.Module:
    """Batch normalisation with Keras' numbers."""
    return nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01)


class Residual(nn.Module):
    """Two 3x3 convolutions beside a short cut."""

    def __init__(self, before: int, filters: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, filters, 3, stride, padding=1, bias=False)
        self.second = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.normal_1, self.normal_2 = normal(filters), normal(filters)
        short = (nn.Conv2d(before, filters, 1, stride, bias=False), normal(filters)) if stride != 1 else ()
        self.short = nn.Sequential(*short)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.normal_1(self.first(x)), inplace=True)
        return functional.relu(self.short(x) + self.normal_2(self.second(y)), inplace=True)


def resnet() -> nn.Module:
    """Make ResNet-20."""
    parts: list[nn.Module] = [nn.Conv2d(3, 16, 3, padding=1, bias=False), normal(16), nn.ReLU(inplace=True)]
    before = 16
    for filters, first in ((16, 1), (32, 2), (64, 2)):
        for stride in (first, 1, 1):
            parts.append(Residual(before, filters, stride))
            before = filters
    parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    return nn.Sequential(*parts).to(memory_format=torch.channels_last)


def separable() -> nn.Module:
    """Make a network of depthwise and 1x1 convolutions, each with batch normalisation."""
    parts: list[nn.Module] = []
    before = 32
    for filters, pool in ((64, True), (64, False), (128, True), (128, False)):
        parts += [nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False)]
        parts += [normal(before), nn.ReLU(inplace=True), nn.Conv2d(before, filters, 1, bias=False)]
        parts += [normal(filters), nn.ReLU(inplace=True)]
        parts += [nn.MaxPool2d(2)] if pool else []
        before = filters
    parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10)]
    return nn.Sequential(*parts).to(memory_format=torch.channels_last)


def audio() -> nn.Module:
    """Make a network on raw sound: a wide strided convolution, then narrow ones, each with batch normalisation."""
    parts: list[nn.Module] = []
    before = 1
    for filters, size, stride, padding in ((32, 80, 4, 0), (32, 3, 1, 1), (64, 3, 1, 1), (128, 3, 1, 1)):
        parts += [nn.Conv1d(before, filters, size, stride, padding, bias=False)]
        parts += [nn.BatchNorm1d(filters, eps=1e-3, momentum=0.01), nn.ReLU(inplace=True), nn.MaxPool1d(4)]
        before = filters
    return nn.Sequential(*parts, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(128, 10))


class ConvLSTM(nn.Module):
    """A convolutional LSTM over (batch, time, channels, height, width); the inputs of all steps go in at once."""

    def __init__(self, before: int, filters: int) -> None:
        super().__init__()
        self.filters = filters
        self.inputs = nn.Conv2d(before, 4 * filters, 3, padding=1)
        self.state = nn.Conv2d(filters, 4 * filters, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = self.inputs(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        h = c = x.new_zeros(len(x), self.filters, *x.shape[3:])
        outputs = []
        for step in steps.unbind(1):
            i, f, g, o = (step + self.state(h)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
        return torch.stack(outputs, 1)


class Films(nn.Module):
    """Two convolutional LSTMs and scores from the last step."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.score = ConvLSTM(1, 16), ConvLSTM(16, 16), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.score(self.second(self.first(x.movedim(-1, 2)))[:, -1].mean((2, 3)))


class Masked(nn.Module):
    """Two attentions over texts of several lengths, each with a sum and a normalisation; mean over the real tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(1_000, 128)
        nn.init.uniform_(self.embedding.weight, -0.05, 0.05)
        self.mixes = nn.ModuleList(nn.Linear(128, 3 * 128) for _ in range(2))
        self.outs = nn.ModuleList(nn.Linear(128, 128) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(128, eps=1e-6) for _ in range(2))
        self.score = nn.Linear(128, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        mask, x = tokens != 0, self.embedding(tokens)
        for mix, out, norm in zip(self.mixes, self.outs, self.norms):
            parts = mix(x).view(*x.shape[:2], 3, 4, 32).permute(2, 0, 3, 1, 4)
            seen = functional.scaled_dot_product_attention(*parts, attn_mask=mask[:, None, None])
            x = norm(x + out(seen.transpose(1, 2).reshape(x.shape)))
        real = mask[..., None].to(x.dtype)
        return self.score((x * real).sum(1) / real.sum(1))


def photos() -> nn.Module:
    """Make the network of the lesson on cats and dogs: four convolutions with a pool behind each."""
    parts: list[nn.Module] = []
    before = 3
    for filters in (32, 64, 128, 128):
        parts += [nn.Conv2d(before, filters, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        before = filters
    parts += [nn.Flatten(), nn.Dropout(0.5), nn.Linear(128 * 7 * 7, 512), nn.ReLU(inplace=True), nn.Linear(512, 10)]
    return nn.Sequential(*parts).to(memory_format=torch.channels_last)


MODELS = {
    "cnn_32": cnn,
    "cnn_128": cnn,
    "tiny_mlp": tiny_mlp,
    "mnist_mlp": mnist_mlp,
    "lstm": Reader,
    "transformer": Encoder,
    "resnet": resnet,
    "separable": separable,
    "audio": audio,
    "gru": functools.partial(Reader, nn.GRU),
    "bidirectional": functools.partial(Reader, nn.LSTM, True),
    "conv_lstm": Films,
    "masked": Masked,
    "photos": photos,
}
LOSSES = {
    "sparse_categorical_crossentropy": functional.cross_entropy,
    "binary_crossentropy": functional.binary_cross_entropy_with_logits,
    "mse": functional.mse_loss,
}
