"""What is measured, for whom, and the bars kyeo wants to clear: tables only, readable by every peer's Python."""

from dataclasses import dataclass

__all__ = ["BARS", "KERAS", "LIMITS", "PEERS", "TRAINING", "WORKLOADS", "Bar", "Limit", "Peer", "Training", "Workload"]


@dataclass(frozen=True)
class Peer:
    """A library as somebody uses it: `environment` is the one of setup_envs.py, `script` runs its workloads."""

    title: str
    environment: str
    script: str
    imports: str  # what a program begins with: the workload `import` times it


_LAYERS = "; keras.Model, keras.layers.Dense, keras.optimizers.Adam"  # kyeo loads these rooms at their first use
_TORCH = "import torch; from torch import nn, optim"
PEERS = {
    "kyeo": Peer("kyeo", "kyeo", "peer_keras.py", "import kyeo as keras" + _LAYERS),
    "tensorflow": Peer("tf.keras", "tensorflow", "peer_keras.py", "from tensorflow import keras" + _LAYERS),
    "keras_jax": Peer("Keras on JAX", "keras_jax", "peer_keras.py", "import keras" + _LAYERS),
    "keras_torch": Peer("Keras on PyTorch", "keras_torch", "peer_keras.py", "import keras" + _LAYERS),
    "torch": Peer("PyTorch", "torch", "peer_torch.py", _TORCH),
    "torch_compiled": Peer("PyTorch, torch.compile", "torch", "peer_torch.py", _TORCH),
}
_PLAIN = tuple(peer for peer in PEERS if peer != "torch_compiled")
KERAS = ("tensorflow", "keras_jax", "keras_torch")
_APPLICATIONS = ("kyeo", *KERAS)
_TEXT = ("kyeo", "tensorflow")  # Keras has these layers with TensorFlow only


@dataclass(frozen=True)
class Training:
    """A network and its training. `data` names a function of data.py, called with the number of rows."""

    title: str
    loss: str
    data: str
    rows: int
    batch: int
    epochs: int = 1  # of one `fit`
    repeats: int = 3  # fits that are timed, after one that compiles

    @property
    def steps(self) -> int:
        """The optimizer's steps in one `fit`."""
        return -(-self.rows // self.batch) * self.epochs


_SPARSE, _BINARY = "sparse_categorical_crossentropy", "binary_crossentropy"
TRAINING = {
    "cnn_32": Training("the tutorial's CNN, batch 32", _SPARSE, "digits", 1280, 32, epochs=5, repeats=2),
    "cnn_128": Training("the tutorial's CNN, batch 128", _SPARSE, "digits", 1280, 128, epochs=5, repeats=2),
    "tiny_mlp": Training("MLP 20-32-16-1, batch 32, `fit` of 20 epochs", "mse", "rows", 1000, 32, epochs=20),
    "mnist_mlp": Training("MLP 784-512-512-10, batch 128", _SPARSE, "flat_digits", 3840, 128),
    "lstm": Training("Embedding 10,000x64, LSTM 64 over 80 steps, batch 32", _BINARY, "words", 960, 32),
    "transformer": Training("two encoder blocks, d 128, 4 heads, length 64, batch 32", _SPARSE, "tokens", 320, 32),
    "resnet": Training("ResNet-20 on 32x32x3, batch 64", _SPARSE, "pictures", 320, 64, epochs=7, repeats=2),
    "separable": Training("depthwise-separable CNN on 32x32x32", _SPARSE, "maps", 320, 32, epochs=8, repeats=2),
    "audio": Training("Conv1D net on waves of 8,000 samples, batch 32", _SPARSE, "waves", 320, 32, epochs=8, repeats=2),
    "gru": Training("Embedding 10,000x64, GRU 64 over 80 steps, batch 32", _BINARY, "words", 960, 32),
    "bidirectional": Training("the same with a bidirectional LSTM of 64", _BINARY, "words", 960, 32),
    "conv_lstm": Training("two ConvLSTM2D of 16, 8 pictures of 24x24, batch 16", _SPARSE, "films", 160, 16, epochs=3),
    "masked": Training("MultiHeadAttention, padding mask, length 64, batch 32", _SPARSE, "padded", 320, 32, epochs=3),
    "photos": Training("CNN of 32 to 128 filters, 150x150, batch 20", _SPARSE, "photos", 200, 20, epochs=3, repeats=2),
}


@dataclass(frozen=True)
class Workload:
    """One row of the report; README.md tells what is timed."""

    title: str
    unit: str = "ms"
    peers: tuple[str, ...] = _PLAIN
    key: str = "seconds"


WORKLOADS = {name: Workload(f"step: {plan.title}", peers=tuple(PEERS)) for name, plan in TRAINING.items()} | {
    "predict_one": Workload("`predict(x[:1])`, CNN", peers=tuple(PEERS)),
    "call_one": Workload("`model(x[:1])`, CNN", peers=tuple(PEERS)),
    "bulk_cnn": Workload("`predict` of 4,000 digits, CNN", peers=tuple(PEERS)),
    "bulk_mlp": Workload("`predict` of 4,000 digits, MLP 784-512-512-10", peers=tuple(PEERS)),
    "bulk_photos": Workload("`predict` of 200 images of 150x150x3, CNN", peers=tuple(PEERS)),
    "fit_batch": Workload("`fit` on one batch, MLP 20-32-16-1"),
    "models_200": Workload("200 models built, compiled, fitted: each"),
    "import": Workload("import", "s"),
    "start_cold": Workload("start to the end of 10 CNN steps, no caches", "s"),
    "start_warm": Workload("the same, the second time", "s"),
    "installed": Workload("installed size", "MB", key="megabytes"),
    "efficientnet_1": Workload("`predict` of one image, EfficientNetB0", peers=_APPLICATIONS),
    "efficientnet_16": Workload("`predict` of 16 images, EfficientNetB0", peers=_APPLICATIONS),
    "augment": Workload("32 images through flip, rotation, zoom, contrast, brightness", peers=_APPLICATIONS),
    "text_adapt": Workload("TextVectorization, `adapt` to 100,000 texts", "s", peers=_TEXT),
    "text_int": Workload("TextVectorization, 100,000 texts to 64 indices each", "s", peers=_TEXT),
    "text_count": Workload("TextVectorization, 100,000 texts to counts of 1,000 tokens", "s", peers=_TEXT),
}


@dataclass(frozen=True)
class Bar:
    """The quickest of `against` must take at least `ratio` times as long as kyeo."""

    workload: str
    ratio: float
    against: tuple[str, ...]
    words: str


@dataclass(frozen=True)
class Limit:
    """A value of kyeo's own that may not exceed `most`."""

    workload: str
    key: str
    most: float
    words: str


_BEST, _JAX = tuple(peer for peer in PEERS if peer != "kyeo"), ("keras_jax",)
_OTHERS = tuple(peer for peer in _BEST if peer != "keras_jax")
_LATER = ("audio", "gru", "bidirectional", "conv_lstm", "masked", "photos", "bulk_photos", "efficientnet_1",
          "efficientnet_16", "augment")
BARS = (
    Bar("cnn_32", 1.3, _BEST, "best"),
    Bar("cnn_32", 2.2, _JAX, "Keras on JAX"),
    Bar("cnn_128", 1.3, _BEST, "best"),
    Bar("cnn_128", 2.2, _JAX, "Keras on JAX"),
    Bar("tiny_mlp", 15, _JAX, "Keras on JAX"),
    Bar("tiny_mlp", 20, _OTHERS, "best of the others"),
    Bar("mnist_mlp", 1.3, _BEST, "best"),
    Bar("lstm", 1.3, _BEST, "best"),
    Bar("transformer", 1.2, _BEST, "best"),
    Bar("resnet", 1.2, _BEST, "best"),
    Bar("separable", 1.2, _BEST, "best"),
    Bar("predict_one", 3, KERAS, "best Keras"),
    Bar("predict_one", 1, ("torch",), "PyTorch's call with `.numpy()`"),
    Bar("bulk_cnn", 1.2, _BEST, "best"),
    Bar("bulk_mlp", 1.2, _BEST, "best"),
    Bar("start_warm", 1, _BEST, "best"),
    Bar("start_cold", 1, ("tensorflow",), "tf.keras"),
    Bar("start_cold", 3, _JAX, "Keras on JAX"),
    *(Bar(name, 1, ("tensorflow", "keras_jax"), "Keras on JAX and on TensorFlow") for name in _LATER),
    *(Bar(name, 1, ("tensorflow",), "tf.keras") for name in WORKLOADS if name.startswith("text_")),
)
LIMITS = (
    Limit("models_200", "compilations", 1, "programs compiled for 200 identical models"),
    Limit("models_200", "growth", 0.02, "growth of memory, MB a model"),  # 4 MB in 200 models: noise of the allocator
    Limit("fit_batch", "seconds", 0.001, "seconds for a `fit` on one batch"),
)
