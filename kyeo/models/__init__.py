"""Models: graphs, stacks and subclasses that can be trained; copying them, and their files."""

from kyeo.core.gone import answer_for_missing
from kyeo.models.clone import clone_model
from kyeo.models.functional import Functional
from kyeo.models.model import Model
from kyeo.models.sequential import Sequential
from kyeo.saving import load_model, model_from_json, save_model

__all__ = ["Functional", "Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]

answer_for_missing(__name__)
