"""Networks that were published with weights trained on ImageNet: 40 of them, in the families of this folder.

>>> import kyeo
>>> network = kyeo.applications.MobileNetV2(weights=None, include_top=False, alpha=0.35, pooling="avg")
>>> network.output_shape
(None, 1280)
"""

from kyeo.applications import (
    convnext,
    densenet,
    efficientnet,
    efficientnet_v2,
    imagenet_utils,
    inception_resnet_v2,
    inception_v3,
    mobilenet,
    mobilenet_v2,
    mobilenet_v3,
    nasnet,
    resnet,
    resnet50,
    resnet_v2,
    vgg16,
    vgg19,
    xception,
)
from kyeo.applications.convnext import ConvNeXtBase, ConvNeXtLarge, ConvNeXtSmall, ConvNeXtTiny, ConvNeXtXLarge
from kyeo.applications.densenet import DenseNet121, DenseNet169, DenseNet201
from kyeo.applications.efficientnet import (
    EfficientNetB0,
    EfficientNetB1,
    EfficientNetB2,
    EfficientNetB3,
    EfficientNetB4,
    EfficientNetB5,
    EfficientNetB6,
    EfficientNetB7,
)
from kyeo.applications.efficientnet_v2 import (
    EfficientNetV2B0,
    EfficientNetV2B1,
    EfficientNetV2B2,
    EfficientNetV2B3,
    EfficientNetV2L,
    EfficientNetV2M,
    EfficientNetV2S,
)
from kyeo.applications.inception_resnet_v2 import InceptionResNetV2
from kyeo.applications.inception_v3 import InceptionV3
from kyeo.applications.mobilenet import MobileNet
from kyeo.applications.mobilenet_v2 import MobileNetV2
from kyeo.applications.mobilenet_v3 import MobileNetV3Large, MobileNetV3Small
from kyeo.applications.nasnet import NASNetLarge, NASNetMobile
from kyeo.applications.resnet import ResNet50, ResNet101, ResNet152
from kyeo.applications.resnet_v2 import ResNet50V2, ResNet101V2, ResNet152V2
from kyeo.applications.vgg16 import VGG16
from kyeo.applications.vgg19 import VGG19
from kyeo.applications.xception import Xception
from kyeo.core.gone import answer_for_missing

__all__ = [
    "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge", "DenseNet121",
    "DenseNet169", "DenseNet201", "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3",
    "EfficientNetB4", "EfficientNetB5", "EfficientNetB6", "EfficientNetB7", "EfficientNetV2B0", "EfficientNetV2B1",
    "EfficientNetV2B2", "EfficientNetV2B3", "EfficientNetV2L", "EfficientNetV2M", "EfficientNetV2S",
    "InceptionResNetV2", "InceptionV3", "MobileNet", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small",
    "NASNetLarge", "NASNetMobile", "ResNet101", "ResNet101V2", "ResNet152", "ResNet152V2", "ResNet50", "ResNet50V2",
    "VGG16", "VGG19", "Xception", "convnext", "densenet", "efficientnet", "efficientnet_v2", "imagenet_utils",
    "inception_resnet_v2", "inception_v3", "mobilenet", "mobilenet_v2", "mobilenet_v3", "nasnet", "resnet",
    "resnet50", "resnet_v2", "vgg16", "vgg19", "xception",
]

answer_for_missing(__name__)
