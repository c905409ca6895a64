"""Images, as `keras.preprocessing.image` has them."""

from typing import Any

import numpy as np

from kyeo.core.gone import answer_for_missing
from kyeo.core.parameters import checked
from kyeo.ops.image import resize
from kyeo.utils.images import array_to_img, img_to_array, load_img, save_img

__all__ = ["array_to_img", "img_to_array", "load_img", "save_img", "smart_resize"]


@checked
def smart_resize(x: Any, size: Any, interpolation: str = "bilinear", data_format: str = "channels_last") -> Any:
    """Images in another size, cut off where they would be distorted.

    Args:
        x: an image or a batch; a NumPy array comes back as one.
        size: (height, width).
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3" or "lanczos5".
        data_format: "channels_last" or "channels_first".

    >>> import numpy as np
    >>> smart_resize(np.ones((4, 9, 3)), (2, 2)).shape
    (2, 2, 3)
    """
    resized = resize(x, size, interpolation, crop_to_aspect_ratio=True, data_format=data_format)
    return np.array(resized) if isinstance(x, np.ndarray) else resized

answer_for_missing(__name__)
