"""VGG19; see vgg.py."""

from kyeo.applications.imagenet_utils import decode_predictions, preprocessing
from kyeo.applications.vgg import vgg

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]

VGG19 = vgg("VGG19")
preprocess_input = preprocessing("caffe")
