"""ResNet, version 2; see resnet.py."""

from kyeo.applications.imagenet_utils import decode_predictions, preprocessing
from kyeo.applications.resnet import resnet

__all__ = ["ResNet101V2", "ResNet152V2", "ResNet50V2", "decode_predictions", "preprocess_input"]

ResNet50V2, ResNet101V2, ResNet152V2 = (resnet(f"ResNet{depth}V2", "resnet_v2") for depth in (50, 101, 152))
preprocess_input = preprocessing("tf")
