"""Objects as class name and config, and back, in the form of Keras 2; the same functions as in `kyeo.legacy.saving`.

>>> import kyeo
>>> kyeo.utils.legacy.serialize_keras_object(kyeo.activations.relu)
'relu'
"""

from kyeo.legacy.saving import deserialize_keras_object, serialize_keras_object

__all__ = ["deserialize_keras_object", "serialize_keras_object"]
