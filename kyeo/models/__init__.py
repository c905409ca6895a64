"""Models: graphs, stacks and subclasses that can be trained; copying them, and their files."""

from typing import TYPE_CHECKING

from kyeo.core.gone import missing
from kyeo.models.clone import clone_model
from kyeo.models.functional import Functional
from kyeo.models.model import Model
from kyeo.models.sequential import Sequential
from kyeo.saving import load_model, model_from_json, save_model

__all__ = ["Functional", "Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]

if not TYPE_CHECKING:  # else type checkers would take every name for one that is there
    __getattr__, __dir__ = missing(__name__)
