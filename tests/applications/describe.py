"""What a network is made of, as plain values: the same for a model of Kyeo's and one of Keras's."""

import hashlib
import json

__all__ = ["NAMES", "VARIANTS", "configs_of", "connections_of", "described", "layers_of"]

NAMES = [
    *(f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")),
    *(f"DenseNet{depth}" for depth in (121, 169, 201)),
    *(f"EfficientNetB{size}" for size in range(8)),
    *(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")),
    "InceptionResNetV2", "InceptionV3", "MobileNet", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small",
    "NASNetLarge", "NASNetMobile",
    *(f"ResNet{depth}{version}" for depth in (50, 101, 152) for version in ("", "V2")), "VGG16", "VGG19", "Xception",
]
VARIANTS = {  # further forms of some: name of the row -> (network, arguments)
    "MobileNet-thin": ("MobileNet", {"alpha": 0.25, "depth_multiplier": 2, "input_shape": (96, 64, 3), "classes": 7}),
    "MobileNet-open": ("MobileNet", {"alpha": 0.5, "include_top": False, "pooling": "max"}),
    "MobileNetV2-wide": ("MobileNetV2", {"alpha": 1.4, "input_shape": (65, 49, 3), "classes": 3}),
    "MobileNetV2-open": ("MobileNetV2", {"alpha": 0.35, "include_top": False, "pooling": "avg"}),
    "MobileNetV3Large-minimalistic": ("MobileNetV3Large", {"minimalistic": True, "alpha": 1.25, "dropout_rate": 0}),
    "MobileNetV3Small-bare": ("MobileNetV3Small", {"alpha": 0.75, "include_top": False, "pooling": "avg",
                                                   "include_preprocessing": False, "input_shape": (33, 64, 3)}),
    "EfficientNetB1-open": ("EfficientNetB1", {"include_top": False, "pooling": "max", "name": "mine"}),
    "EfficientNetB0-odd": ("EfficientNetB0", {"include_top": False, "input_shape": (45, 64, 1)}),
    "EfficientNetV2B3-bare": ("EfficientNetV2B3", {"include_top": False, "include_preprocessing": False}),
    "EfficientNetV2B0-grey": ("EfficientNetV2B0", {"input_shape": (40, 41, 1), "classes": 2}),
    "ConvNeXtTiny-open": ("ConvNeXtTiny", {"include_top": False, "pooling": "avg", "name": "mine"}),
    "ConvNeXtTiny-bare": ("ConvNeXtTiny", {"include_top": False, "include_preprocessing": False}),
    "NASNetMobile-open": ("NASNetMobile", {"include_top": False, "pooling": "avg"}),
    "ResNet50-open": ("ResNet50", {"include_top": False, "pooling": "avg"}),
    "ResNet50V2-open": ("ResNet50V2", {"include_top": False, "pooling": "max", "input_shape": (33, 40, 3)}),
    "InceptionV3-open": ("InceptionV3", {"include_top": False, "pooling": "avg"}),
    "InceptionResNetV2-open": ("InceptionResNetV2", {"include_top": False, "pooling": "max"}),
    "VGG16-open": ("VGG16", {"include_top": False, "pooling": "avg", "input_shape": (32, 48, 3)}),
    "Xception-open": ("Xception", {"include_top": False, "pooling": "max"}),
    "DenseNet121-open": ("DenseNet121", {"include_top": False, "input_shape": (64, 32, 3)}),
}
# What a layer computes and how it begins. Left out: names and dtypes, which stand elsewhere.
_KEYS = (
    "activation", "axis", "center", "cropping", "data_format", "depth_multiplier", "depthwise_initializer", "dilation_rate",
    "epsilon", "filters", "groups", "init_values", "kernel_initializer", "kernel_size", "keepdims", "max_value", "mean",
    "momentum", "noise_shape", "offset", "padding", "pointwise_initializer", "pool_size", "projection_dim", "rate", "scale",
    "strides", "target_shape", "units", "use_bias", "variance",
)


def flat_layers(model):
    """The layers of a model, those inside a Sequential after it."""
    for layer in model.layers:
        yield layer
        yield from flat_layers(layer) if hasattr(layer, "layers") else ()


def layers_of(model):
    """Name, class, output shape and shapes of the weights of each layer."""
    return [[layer.name, type(layer).__name__, list(layer.output.shape), [list(w.shape) for w in layer.weights]]
            for layer in flat_layers(model)]


def configs_of(model):
    """The part of each layer's config that decides what it computes."""
    def plain(value):
        if isinstance(value, dict):
            return [value.get("class_name"), {k: v for k, v in value.get("config", {}).items() if k != "seed"}]
        return [value] if isinstance(value, int) else value  # Keras writes axis=-1 as [-1]

    return [[layer.name, {k: plain(v) for k, v in layer.get_config().items() if k in _KEYS}]
            for layer in flat_layers(model)]


def connections_of(model):
    """Each layer and each call of an op, with what it takes from which others."""
    if hasattr(model, "_graph"):
        nodes = [(node.name, node.inputs) for node in model._graph.nodes]
        made_by = {id(t): node.name for node in model._graph.nodes for t in node.output_tensors}
        found = [[name, [made_by[id(t)] for t in inputs]] for name, inputs in nodes]
    else:
        found = [[op.name, [t._keras_history.operation.name for t in op._inbound_nodes[0].input_tensors]]
                 for op in model.operations]
    return sorted(found)


def described(model):
    """The row of the table."""
    parts = {"layers": layers_of(model), "connections": connections_of(model), "configs": configs_of(model)}
    digests = {key: hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest() for key, value in parts.items()}
    return {"name": model.name, "params": model.count_params(), "count": len(parts["layers"]),
            "output": list(model.output_shape), **digests}
