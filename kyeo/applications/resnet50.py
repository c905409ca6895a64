"""ResNet50 by itself; see resnet.py."""

from kyeo.applications.resnet import ResNet50, decode_predictions, preprocess_input

__all__ = ["ResNet50", "decode_predictions", "preprocess_input"]
