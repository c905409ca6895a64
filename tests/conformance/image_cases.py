"""Cases of layers on images; see cases.py. What they do while training is compared in tests/layers/test_images.py."""

from tests.conformance.case import case

__all__ = ["IMAGES", "IMAGES_BAD", "MIXES_ROWS"]

IMAGE, FIRST = (2, 6, 5, 3), (2, 3, 6, 5)
MIXES_ROWS = ("CutMix", "MixUp")

IMAGES = [
    case("RandomFlip", IMAGE, mode="vertical"),
    case("RandomTranslation", IMAGE, height_factor=0.2, width_factor=(-0.1, 0.3), fill_mode="wrap", fill_value=1.0),
    case("RandomRotation", IMAGE, factor=0.1, interpolation="nearest", bounding_box_format="xyxy"),
    case("RandomZoom", IMAGE, height_factor=(-0.2, 0.3)),
    case("RandomShear", IMAGE, x_factor=(0.0, 0.3), y_factor=(0.1, 0.2)),
    case("RandomPerspective", IMAGE, factor=0.7, scale=0.3),
    case("RandomBrightness", IMAGE, factor=0.2, value_range=(1, 0)),
    case("RandomContrast", IMAGE, factor=0.2),
    case("RandomInvert", IMAGE, factor=(0.2, 0.7), value_range=(0, 1)),
    case("RandomPosterization", IMAGE, factor=3),
    case("RandomSharpness", IMAGE, factor=0.5),
    case("Solarization", IMAGE, addition_factor=0.3, threshold_factor=(0.2, 0.4)),
    case("RandomColorDegeneration", IMAGE, factor=0.5),
    case("RandomGrayscale", IMAGE, factor=0.3),
    case("RandomHue", IMAGE, factor=0.5),
    case("RandomSaturation", IMAGE, factor=(0.2, 0.6)),
    case("RandomGaussianBlur", IMAGE, factor=0.5, kernel_size=(3, 5), sigma=0.7),
    case("RandomElasticTransform", IMAGE, factor=0.5, scale=(0.2, 1.0)),
    case("RandomErasing", IMAGE, factor=0.5, fill_value=2.0),
    case("AutoContrast", IMAGE, _floor=1.0), case("AutoContrast", IMAGE, value_range=(-1, 1)),
    case("Equalization", IMAGE, bins=64),
    case("ContrastLimitedAdaptiveHistogramEqualization", (2, 8, 8, 3), tile_grid_size=(2, 3), value_range=(-3, 3), _floor=1.0, _known=True),
    case("Resizing", IMAGE, height=4, width=7), case("Resizing", FIRST, height=4, width=7, data_format="channels_first", interpolation="bicubic"),
    case("Resizing", IMAGE, height=9, width=3, crop_to_aspect_ratio=True, antialias=True, _known=True),
    case("Resizing", IMAGE, height=4, width=9, pad_to_aspect_ratio=True, fill_value=0.5, interpolation="nearest", _known=True),
    case("Resizing", IMAGE, height=4, width=7, _dtype="uint8"),
    case("CenterCrop", IMAGE, height=3, width=4), case("CenterCrop", FIRST, height=9, width=4, data_format="channels_first", _known=True),
    case("RandomCrop", IMAGE, height=6, width=5, seed=3),
    case("MaxNumBoundingBoxes", IMAGE, max_number=3),
    case("CutMix", IMAGE, factor=0.5), case("MixUp", IMAGE, alpha=0.3),
    case("RandomColorJitter", IMAGE, brightness_factor=0.2, hue_factor=(0.1, 0.2)),
    case("RandAugment", IMAGE, num_ops=1, factor=0.3), case("RandAugment", IMAGE, num_ops=0),
    case("AugMix", IMAGE, num_chains=2, chain_depth=1, all_ops=False),
]

IMAGES_BAD = [
    ("RandomFlip", {"mode": "horizontl"}), ("RandomTranslation", {"height_factor": 2.0, "width_factor": 0.1}),
    ("RandomTranslation", {"height_factor": 0.1, "width_factor": (0.1,)}), ("RandomRotation", {"factor": "x"}),
    ("RandomRotation", {"factor": 0.1, "fill_mode": "mirror"}), ("RandomRotation", {"factor": 0.1, "interpolation": "bicubic"}),
    ("RandomZoom", {"height_factor": -1.5}), ("RandomZoom", {"height_factor": (-1.0, 0.0)}), ("RandomShear", {"x_factor": (-0.1, 0.3)}),
    ("RandomPerspective", {"scale": 2}), ("RandomBrightness", {"factor": 1.2}), ("RandomBrightness", {"factor": 0.2, "value_range": 255}),
    ("RandomContrast", {"factor": -0.2}), ("RandomInvert", {"factor": 2}), ("RandomPosterization", {"factor": 9}),
    ("RandomSharpness", {"factor": (2, 3)}), ("Solarization", {"addition_factor": 2}), ("RandomColorDegeneration", {"factor": None}),
    ("RandomGrayscale", {"factor": 1.1}), ("RandomHue", {"factor": 1.5}), ("RandomSaturation", {"factor": 1.5}),
    ("RandomGaussianBlur", {"kernel_size": 4}), ("RandomGaussianBlur", {"sigma": 2}), ("RandomElasticTransform", {"fill_mode": "edge"}),
    ("RandomErasing", {"fill_value": (1, 2)}), ("RandomErasing", {"scale": 2}), ("AutoContrast", {"value_range": (0,)}),
    ("Equalization", {"bins": 1}), ("ContrastLimitedAdaptiveHistogramEqualization", {"tile_grid_size": 0}), ("Resizing", {"height": 0, "width": 3}),
    ("Resizing", {"height": 3, "width": 3, "interpolation": "cubic"}), ("Resizing", {"height": 3, "width": 3, "fill_mode": "wrap"}),
    ("Resizing", {"height": 3, "width": 3, "crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}), ("CenterCrop", {"height": 3, "width": "x"}),
    ("RandomCrop", {"height": -3, "width": 3}), ("RandomCrop", {"height": 3, "width": 3, "seed": "x"}), ("MaxNumBoundingBoxes", {"max_number": 0}),
    ("CutMix", {"factor": -1}), ("MixUp", {"alpha": 0}), ("RandomColorJitter", {"hue_factor": 2}), ("RandAugment", {"num_ops": -1}),
    ("AugMix", {"chain_depth": 0}), ("AugMix", {"all_ops": 1}), ("Pipeline", {"layers": [3]}), ("RandomFlip", {"bounding_box_format": "xyhw"}),
]
