"""What older Keras code looks for in `keras.backend`; the same functions as in `kyeo.config` and `kyeo.utils`.

>>> import kyeo
>>> kyeo.backend.backend(), kyeo.backend.floatx()
('jax', 'float32')
"""

from kyeo.config import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from kyeo.utils import clear_session, is_keras_tensor

__all__ = [
    "backend", "clear_session", "epsilon", "floatx", "image_data_format", "is_keras_tensor", "set_epsilon",
    "set_floatx", "set_image_data_format",
]
