"""The estimators: fit makes a model and trains it; they can be cloned, searched over and pickled."""

import copy
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from kyeo.core.errors import describe, problem, retold
from kyeo.core.parameters import checks_of, is_misfit, misfit
from kyeo.models import Model, clone_model
from kyeo.saving import load_model, save_model

try:
    from sklearn.base import (
        BaseEstimator,
        ClassifierMixin,
        ClassNamePrefixFeaturesOutMixin,
        RegressorMixin,
        TransformerMixin,
    )
    from sklearn.utils.multiclass import type_of_target
    from sklearn.utils.validation import check_is_fitted
except ImportError:
    raise problem("The wrappers need scikit-learn, which is not installed.", kind=ImportError, where="kyeo.wrappers",
                  fix="pip install scikit-learn") from None

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]


class _Wrapped(BaseEstimator):
    """What the estimators share."""

    _several_targets = False

    def __init__(self, model: Any, warm_start: bool = False, model_kwargs: dict[str, Any] | None = None,
                 fit_kwargs: dict[str, Any] | None = None):
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags

    def __sklearn_clone__(self) -> Any:
        model: Any = self.model
        if isinstance(model, Model):  # weights count where the first fit goes on with them
            model = copy.deepcopy(model) if self.warm_start else _fresh(model)
        return type(self)(model, self.warm_start, copy.deepcopy(self.model_kwargs), copy.deepcopy(self.fit_kwargs))

    # -- files and other processes -------------------------------------------------------------------------
    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        for name in ("model", "model_"):
            if isinstance(state.get(name), Model):
                state[name] = _Saved(_to_bytes(state[name]))
        if "history_" in state:
            state["history_"] = _alone(state["history_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({k: _from_bytes(v.data) if isinstance(v, _Saved) else v for k, v in state.items()})

    # -- fitting -------------------------------------------------------------------------------------------
    @property
    def epoch_(self) -> list[int]:
        """The epochs of the last `fit`."""
        return getattr(getattr(self, "history_", None), "epoch", [])

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **kwargs: Any) -> Any:
        """Make the model and train it.

        Args:
            X: features, shape (n, features).
            y: targets.
            sample_weight: how much each row counts, shape (n,).
            kwargs: for the model's `fit`, on top of `fit_kwargs`.
        """
        _check_arguments(self)
        X, y = _validated(self, X, y, **({"multi_output": True, "y_numeric": True} if self._several_targets else {}))
        y = self._targets(y)
        goes_on = self.warm_start and hasattr(self, "model_")
        model: Any = self.__dict__["model_"] if goes_on else self._make_model(X, y)
        if not getattr(model, "compiled", False):
            raise problem("The model is not compiled.", received=f"model={model!r:.60}", where=type(self).__name__,
                          kind=RuntimeError, fix='call model.compile(loss=..., optimizer=...) before giving it away')
        if sample_weight is not None:
            sample_weight = np.asarray(sample_weight)
            if not sample_weight.any():
                raise problem("All weights are zero.", received=sample_weight, where=type(self).__name__,
                              expected="a `sample_weight` above 0 for some rows")
            kwargs["sample_weight"] = sample_weight
        words = self._in_numbers(model, {**(self.fit_kwargs or {}), **kwargs})
        self.history_ = model.fit(X, self._for_model(model, y), **words)
        self.model_ = model
        return self

    def _make_model(self, X: np.ndarray, y: np.ndarray) -> Any:
        if isinstance(self.model, Model):
            return self.model if self.warm_start else _fresh(self.model)
        words = self.model_kwargs or {}
        try:
            return self.model(X=X, y=y, **words)
        except TypeError as error:
            if not is_misfit(error) or words.keys() & {"X", "y"}:
                raise
            wrong = misfit(self.model, type(self).__name__, (), {"X": X, "y": y, **words})
            raise retold(wrong, "model", "def model(X, y, ...): both are given by name, then `model_kwargs`") from None

    def _targets(self, y: np.ndarray) -> np.ndarray:
        """The targets as a table; remembers the form they came in."""
        self._ndim = y.ndim
        return y.reshape(-1, 1) if y.ndim == 1 else y

    def _for_model(self, model: Any, y: np.ndarray) -> np.ndarray:
        return y

    def _in_numbers(self, model: Any, words: dict[str, Any]) -> dict[str, Any]:
        """The words for the model's `fit`, without names of classes."""
        return words

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "model_")
        outputs = self.model_.predict(_validated(self, X, reset=False), verbose=0)
        return outputs[0] if isinstance(outputs, (list, tuple)) else outputs

    def predict(self, X: Any) -> np.ndarray:
        """The model's outputs, in the form of the targets.

        Args:
            X: features, shape (n, features).
        """
        outputs = self._outputs(X)
        if self._ndim == 1:
            return outputs[:, 0] if outputs.ndim == 2 and outputs.shape[1] == 1 else outputs
        return outputs.astype("float64")  # scikit-learn asks for it of several targets


class SKLearnClassifier(ClassifierMixin, _Wrapped):
    """A classifier of scikit-learn made from a model.

    Args:
        model: a compiled model, or a function `model(X, y, **model_kwargs)` that gives one. `y` comes one-hot
            encoded, so its width is the number of classes.
        warm_start: whether `fit` goes on with the model of the last `fit`.
        model_kwargs: for the function.
        fit_kwargs: for the model's `fit`.

    A model with one output (sigmoid) gets 0 and 1 for two classes; one with a sparse loss gets integers.

    >>> import kyeo, numpy as np
    >>> def model(X, y):
    ...     model = kyeo.Sequential([kyeo.Input(X.shape[1:]), kyeo.layers.Dense(y.shape[1], activation="softmax")])
    ...     model.compile("adam", "categorical_crossentropy")
    ...     return model
    >>> X, y = np.eye(4), np.array(["a", "b", "a", "b"])
    >>> kyeo.wrappers.SKLearnClassifier(model, fit_kwargs={"verbose": 0}).fit(X, y).predict(X).shape
    (4,)
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags

    def _targets(self, y: np.ndarray) -> np.ndarray:
        kind = type_of_target(y)
        if kind not in ("binary", "multiclass"):
            raise problem(f"Unknown label type: {kind}.", received=y, where=type(self).__name__,
                          expected="a class for each row")
        self.classes_, places = np.unique(y, return_inverse=True)
        if len(self.classes_) == 1:
            raise problem("Classifier can't train when only one class is present.", received=f"{self.classes_!r}",
                          where=type(self).__name__, expected="two classes or more")
        return np.eye(len(self.classes_), dtype="float32")[places]

    def _for_model(self, model: Any, y: np.ndarray) -> np.ndarray:
        if "sparse" in str(getattr(_loss(model), "name", _loss(model))).lower():
            return y.argmax(axis=1)
        one = getattr(model, "output_shape", (None, None))[-1] == 1
        return y[:, 1:] if one and y.shape[1] == 2 else y

    def _in_numbers(self, model: Any, words: dict[str, Any]) -> dict[str, Any]:
        places = {label: place for place, label in enumerate(self.classes_.tolist())}
        data, weights = words.get("validation_data"), words.get("class_weight")
        if isinstance(data, (tuple, list)) and len(data) > 1 and np.size(data[1]) == len(data[1]):
            labels = np.ravel(data[1]).tolist()
            if not set(labels) <= places.keys():
                raise problem("`validation_data` has classes that `y` does not have.", where=type(self).__name__,
                              received=sorted(set(labels) - places.keys(), key=str)[:20],
                              expected=f"labels as in `y`: some of {list(places)[:20]}")
            rows = np.eye(len(places), dtype="float32")[[places[label] for label in labels]]
            words = {**words, "validation_data": (data[0], self._for_model(model, rows), *data[2:])}
        if isinstance(weights, dict) and self.classes_.dtype.kind not in "biuf":  # numbers are places, as for a model
            words = {**words, "class_weight": {places.get(label, label): weight for label, weight in weights.items()}}
        return words

    def decision_function(self, X: Any) -> np.ndarray:
        """The model's outputs, shape (n, classes): the largest one of a row is the class. Of two classes, shape (n,):
        how much more there is for the second, as scikit-learn has it.

        Args:
            X: features, shape (n, features).
        """
        outputs = self._outputs(X)
        if outputs.shape[-1] == 1:
            return outputs[:, 0] - self._middle
        return outputs[:, 1] - outputs[:, 0] if outputs.shape[-1] == 2 else outputs

    @property
    def _middle(self) -> float:
        """What a single output is compared with."""
        return 0.0 if getattr(_loss(self.model_), "from_logits", False) else 0.5

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, shape (n, classes).

        Args:
            X: features, shape (n, features).
        """
        outputs = self._outputs(X)
        logits = bool(getattr(_loss(self.model_), "from_logits", False))
        if outputs.shape[-1] == 1:
            second = 1 / (1 + np.exp(-outputs)) if logits else outputs
            return np.concatenate([1 - second, second], axis=1)
        if not logits:
            return outputs
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row.

        Args:
            X: features, shape (n, features).
        """
        outputs = self._outputs(X)
        if outputs.shape[-1] > 1:
            return self.classes_[outputs.argmax(axis=1)]
        return self.classes_[(outputs[:, 0] > self._middle).astype(int)]


class SKLearnRegressor(RegressorMixin, _Wrapped):
    """A regressor of scikit-learn made from a model; targets may have several columns.

    Args:
        model, warm_start, model_kwargs, fit_kwargs: as for `SKLearnClassifier`; `y` comes as a table.

    >>> import kyeo, numpy as np
    >>> def model(X, y):
    ...     model = kyeo.Sequential([kyeo.Input(X.shape[1:]), kyeo.layers.Dense(y.shape[1])])
    ...     model.compile("adam", "mse")
    ...     return model
    >>> kyeo.wrappers.SKLearnRegressor(model, fit_kwargs={"verbose": 0}).fit(np.eye(4), np.arange(4)).predict(
    ...     np.eye(4)).shape
    (4,)
    """

    _several_targets = True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        tags.target_tags.multi_output = True
        return tags


class SKLearnTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _Wrapped):
    """A transformer of scikit-learn made from a model: its outputs are the new features.

    Args:
        model, warm_start, model_kwargs, fit_kwargs: as for `SKLearnClassifier`; `y` comes as a table.

    >>> import kyeo, numpy as np
    >>> def model(X, y):
    ...     model = kyeo.Sequential([kyeo.Input(X.shape[1:]), kyeo.layers.Dense(y.shape[1])])
    ...     model.compile("adam", "mse")
    ...     return model
    >>> kyeo.wrappers.SKLearnTransformer(model, fit_kwargs={"verbose": 0}).fit_transform(np.eye(4), np.arange(4)).shape
    (4, 1)
    """

    _several_targets = True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        tags.target_tags.required = True
        return tags

    @property
    def _n_features_out(self) -> int:
        """How many columns `get_feature_names_out` names, which `set_output` asks for."""
        return int(self.model_.output_shape[-1])

    def transform(self, X: Any) -> np.ndarray:
        """The model's outputs.

        Args:
            X: features, shape (n, features).
        """
        return self._outputs(X)


class _Saved:
    """A model as the bytes of its file, inside a pickle."""

    def __init__(self, data: bytes):
        self.data = data


def _loss(model: Any) -> Any:
    """The loss a model is compiled with, as it was given."""
    return model._objective.spec["loss"]


def _to_bytes(model: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        save_model(model, path)
        return path.read_bytes()


def _from_bytes(data: bytes) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        path.write_bytes(data)
        return load_model(path)


def _fresh(model: Any) -> Any:
    """A model like this one with new weights, compiled as it is."""
    made = clone_model(model)
    config = model.get_compile_config() if getattr(model, "compiled", False) else None
    if config and not made.compiled:
        made.compile_from_config(config)
    return made


def _alone(history: Any) -> Any:
    """A history without the model it belongs to."""
    alone = copy.copy(history)
    alone.__dict__.update({k: None for k in ("_model", "model") if k in alone.__dict__})
    return alone


def _check_arguments(estimator: Any) -> None:
    """What the constructor was given: scikit-learn wants it looked at when fitting, not before."""
    arguments, where = estimator.get_params(deep=False), type(estimator).__name__
    checks_of(type(estimator).__init__).run(where, (), arguments)
    if not callable(arguments["model"]):
        raise problem("`model` is not valid.", received=f"model={describe(arguments['model'])}", where=where,
                      expected="a compiled model, or a function of X and y that makes one", kind=TypeError)


def _validated(estimator: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        from sklearn.utils.validation import validate_data
    except ImportError:  # before scikit-learn 1.6
        return estimator._validate_data(*args, **kwargs)
    return validate_data(estimator, *args, **kwargs)
