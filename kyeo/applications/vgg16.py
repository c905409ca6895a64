"""VGG16; see vgg.py."""

from kyeo.applications.imagenet_utils import decode_predictions, preprocessing
from kyeo.applications.vgg import vgg

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]

VGG16 = vgg("VGG16")
preprocess_input = preprocessing("caffe")
