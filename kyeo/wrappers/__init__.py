"""Estimators of scikit-learn made from models: SKLearnClassifier, SKLearnRegressor, SKLearnTransformer.

This room imports scikit-learn; nothing else does.
"""

from kyeo.core.gone import answer_for_missing
from kyeo.wrappers.estimators import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer

__all__ = ["KerasClassifier", "KerasRegressor", "SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]

KerasClassifier, KerasRegressor = SKLearnClassifier, SKLearnRegressor  # the names of tf.keras and SciKeras

answer_for_missing(__name__)
