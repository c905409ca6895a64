"""Models: graphs, stacks and subclasses that can be trained."""

from kyeo.models.functional import Functional
from kyeo.models.model import Model
from kyeo.models.sequential import Sequential

__all__ = ["Functional", "Model", "Sequential"]
