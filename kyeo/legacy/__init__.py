"""What Keras 2 called otherwise."""

from kyeo.legacy import saving as saving

__all__ = ["saving"]
