"""FeatureSpace: a table's columns, each prepared by its kind, crossed, and put together into one tensor."""

from collections.abc import Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.configurable import Configurable, deserialize_value
from kyeo.core.errors import did_you_mean, one_of, positive_int, problem
from kyeo.core.naming import auto_name
from kyeo.core.registry import register_builtin
from kyeo.core.symbolic import SymbolicTensor
from kyeo.layers.category import CategoryEncoding, Discretization
from kyeo.layers.input import Input
from kyeo.layers.layer import Layer
from kyeo.layers.merge import Concatenate
from kyeo.layers.preprocessing import Normalization, Rescaling
from kyeo.layers.text import HashedCrossing, Hashing, IntegerLookup, StringLookup
from kyeo.layers.text.host import to_host
from kyeo.saving import save_model

__all__ = ["Cross", "Feature", "FeatureSpace"]

_MODULE = "keras.src.layers.preprocessing.feature_space"  # where Keras has the helpers, by which files name them
_BATCH = 32  # rows that `adapt` takes at once


class Cross(Configurable):
    """Some features to be hashed together; `FeatureSpace.cross` makes one.

    Args:
        feature_names: the features.
        crossing_dim: how many bins.
        output_mode: "one_hot" or "int".
    """

    public_module = _MODULE

    def __init__(self, feature_names: Iterable[str], crossing_dim: int, output_mode: str = "one_hot"):
        self.feature_names = tuple(feature_names)
        self.crossing_dim = positive_int(type(self), crossing_dim=crossing_dim)
        self.output_mode = one_of(type(self), ("int", "one_hot"), output_mode=output_mode)

    @property
    def name(self) -> str:
        """The names of its features, joined."""
        return "_X_".join(self.feature_names)


class Feature(Configurable):
    """A kind of column: its dtype, the layer that prepares it, and how it comes out; `FeatureSpace.feature` makes one.

    Args:
        dtype: "float32", "int32" or "string", of the raw values.
        preprocessor: the layer.
        output_mode: "float" or "int" (as the layer gives it), or "one_hot" of the integers that it gives.
    """

    public_module = _MODULE

    def __init__(self, dtype: str, preprocessor: Any, output_mode: str):
        self.dtype = dtype
        self.preprocessor = deserialize_value(preprocessor) if isinstance(preprocessor, dict) else preprocessor
        self.output_mode = one_of(type(self), ("int", "one_hot", "float"), output_mode=output_mode)


class TFDIdentity(Layer):
    """A feature of numbers, as it is, in the compute dtype."""

    public_module = _MODULE

    def call(self, inputs: Any) -> Any:
        """The numbers."""
        return inputs.astype(self.compute_dtype)


class TFDConcat(Concatenate):
    """What Keras puts encoded features together by: its files name it."""

    public_module = _MODULE


class FeatureSpace(Layer):
    """Columns of a table to one tensor for a network: each column by its kind, some of them crossed.

    Args:
        features: {column: kind}; a kind is "float", "float_normalized", "float_rescaled", "float_discretized",
            "integer_categorical", "string_categorical", "integer_hashed", "string_hashed", or what the class
            methods of the same names give.
        output_mode: "concat" (one tensor) or "dict" (one for each feature).
        crosses: tuples of names of features, or what `FeatureSpace.cross` gives, to be hashed together.
        crossing_dim: bins of crosses given as tuples.
        hashing_dim: bins of "integer_hashed" and "string_hashed".
        num_discretization_bins: ranges of "float_discretized".
        name: its name.

    Called on a table or a dict of columns, or a dict of values for one row.

    >>> import kyeo, numpy as np
    >>> space = kyeo.utils.FeatureSpace({"age": "float", "city": "string_categorical"})
    >>> space.adapt({"age": [20.0, 30.0], "city": ["Rome", "Oslo"]})
    >>> space({"age": 25.0, "city": "Oslo"}).tolist()
    [25.0, 0.0, 0.0, 1.0]
    """

    public_module = "keras.utils"
    saved_alone = True  # a file may hold one by itself

    def __init__(
        self, features: dict[str, Any], output_mode: str = "concat", crosses: Any = None, crossing_dim: int = 32,
        hashing_dim: int = 32, num_discretization_bins: int = 32, name: str | None = None,
    ):
        super().__init__(name=name)
        if not isinstance(features, dict) or not features:
            raise problem("`features` is not valid.", received=f"features={features!r}", where=self,
                          expected='a dict such as {"age": "float_normalized"}')
        self.crossing_dim = positive_int(self, crossing_dim=crossing_dim)
        self.hashing_dim = positive_int(self, hashing_dim=hashing_dim)
        self.num_discretization_bins = positive_int(self, num_discretization_bins=num_discretization_bins)
        self.output_mode = one_of(self, ("dict", "concat"), output_mode=output_mode)
        self.features = {key: self._feature(key, kind) for key, kind in features.items()}
        self.crosses = [self._cross(cross) for cross in crosses or ()]
        self.inputs = {key: Input((1,), dtype=f.dtype, name=key) for key, f in self.features.items()}
        self.preprocessors = {key: feature.preprocessor for key, feature in self.features.items()}
        self.crossers = {cross.name: HashedCrossing(cross.crossing_dim, name=cross.name) for cross in self.crosses}
        self.one_hot_encoders: dict[str, Layer] = {}
        self.encoded_features: Any = None
        self._adapted = not self._adaptable()

    # -- kinds of features ---------------------------------------------------------------------------------
    @classmethod
    def cross(cls, feature_names: Iterable[str], crossing_dim: int, output_mode: str = "one_hot") -> Cross:
        """Features to be hashed together into `crossing_dim` bins."""
        return Cross(feature_names, crossing_dim, output_mode)

    @classmethod
    def feature(cls, dtype: str, preprocessor: Any, output_mode: str) -> Feature:
        """A feature that a layer of the user's choice prepares."""
        return Feature(dtype, preprocessor, output_mode)

    @classmethod
    def float(cls, name: str | None = None) -> Feature:
        """Numbers as they are."""
        return Feature("float32", TFDIdentity(dtype="float32", name=_name("float", name)), "float")

    @classmethod
    def float_rescaled(cls, scale: Any = 1.0, offset: Any = 0.0, name: str | None = None) -> Feature:
        """Numbers times `scale` plus `offset`."""
        return Feature("float32", Rescaling(scale, offset, name=_name("float_rescaled", name)), "float")

    @classmethod
    def float_normalized(cls, name: str | None = None) -> Feature:
        """Numbers with mean 0 and variance 1 over the data."""
        return Feature("float32", Normalization(axis=-1, name=_name("float_normalized", name)), "float")

    @classmethod
    def float_discretized(cls, num_bins: int | None, bin_boundaries: Any = None, output_mode: str = "one_hot",
                          name: str | None = None) -> Feature:
        """The range numbers lie in; the boundaries are given or learned."""
        layer = Discretization(bin_boundaries, num_bins, name=_name("float_discretized", name))
        return Feature("float32", layer, output_mode)

    @classmethod
    def integer_categorical(cls, max_tokens: int | None = None, num_oov_indices: int = 1,
                            output_mode: str = "one_hot", name: str | None = None) -> Feature:
        """Integers by a vocabulary that is learned."""
        layer = IntegerLookup(max_tokens, num_oov_indices, name=_name("integer_categorical", name))
        return Feature("int32", layer, output_mode)

    @classmethod
    def string_categorical(cls, max_tokens: int | None = None, num_oov_indices: int = 1,
                           output_mode: str = "one_hot", name: str | None = None) -> Feature:
        """Strings by a vocabulary that is learned."""
        layer = StringLookup(max_tokens, num_oov_indices, name=_name("string_categorical", name))
        return Feature("string", layer, output_mode)

    @classmethod
    def string_hashed(cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None) -> Feature:
        """Strings hashed into bins."""
        return Feature("string", Hashing(num_bins, name=_name("string_hashed", name)), output_mode)

    @classmethod
    def integer_hashed(cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None) -> Feature:
        """Integers hashed into bins."""
        return Feature("int32", Hashing(num_bins, name=_name("integer_hashed", name)), output_mode)

    def _feature(self, name: str, kind: Any) -> Feature:
        kind = deserialize_value(kind) if isinstance(kind, dict) else kind
        if isinstance(kind, Feature):
            return kind
        given: dict[str, dict[str, Any]] = {
            "float": {}, "float_normalized": {}, "float_rescaled": {},
            "float_discretized": {"num_bins": self.num_discretization_bins},
            "integer_categorical": {}, "string_categorical": {},
            "integer_hashed": {"num_bins": self.hashing_dim}, "string_hashed": {"num_bins": self.hashing_dim},
        }
        if kind not in given:
            raise problem("There is no such kind of feature.", received=f"{name!r}: {kind!r}", where=self,
                          expected="one of " + ", ".join(given), fix=did_you_mean(kind, given))
        return getattr(self, kind)(name=name, **given[kind])

    def _cross(self, cross: Any) -> Cross:
        cross = deserialize_value(cross) if isinstance(cross, dict) else cross
        names = cross.feature_names if isinstance(cross, Cross) else tuple(cross)
        unknown = [name for name in names if name not in self.features]
        if unknown or isinstance(cross, str):
            raise problem("A cross names a feature that there is not.", received=f"crosses={cross!r}", where=self,
                          expected="tuples of some of " + ", ".join(self.features))
        return cross if isinstance(cross, Cross) else Cross(names, self.crossing_dim)

    # -- learning ------------------------------------------------------------------------------------------
    def _adaptable(self) -> list[str]:
        def learns(layer: Any) -> bool:
            given = (getattr(layer, "input_mean", None) is not None,
                     getattr(getattr(layer, "_lookup_layer", layer), "_fixed", False),  # a given vocabulary
                     isinstance(layer, Discretization) and layer.num_bins is None)
            return hasattr(layer, "adapt") and not any(given)

        return [name for name, layer in self.preprocessors.items() if learns(layer)]

    def adapt(self, dataset: Any) -> None:
        """Let every feature learn what it needs: means, boundaries, vocabularies.

        Args:
            dataset: a table or a dict of columns, or an iterable of such dicts (or of tuples that begin with one).
        """
        dataset = _as_columns(dataset)
        if isinstance(dataset, dict):
            columns = {name: to_host(column, self) for name, column in dataset.items()}
            lengths = {name: column.shape[:1] for name, column in columns.items()}
            if len(set(lengths.values())) > 1 or () in lengths.values():
                raise problem("The columns are not of one length.", where=self, expected="a value for each row",
                              received=", ".join(f"{name}: {len(columns[name]) if rows else 'one value'}"
                                                 for name, rows in lengths.items()))
            dataset = _Rows(columns)
        elif not hasattr(dataset, "__iter__") or hasattr(dataset, "__next__"):
            raise problem("This cannot be adapted to.", received=dataset, where=self,
                          expected="a dict of columns, or a data set that can be read several times")
        for name in self._adaptable():
            self.preprocessors[name].adapt(_column(dataset, name, self))
        self._adapted = True
        self.encoded_features, self.one_hot_encoders = None, {}  # a vocabulary may have grown
        self.get_encoded_features()

    # -- as a graph ----------------------------------------------------------------------------------------
    def get_inputs(self) -> dict[str, SymbolicTensor]:
        """The symbolic inputs, one for each feature: what a model that takes raw values begins with."""
        self._check_adapted()
        return self.inputs

    def get_encoded_features(self) -> Any:
        """The symbolic output for `get_inputs()`: what a model that takes encoded features begins with."""
        self._check_adapted()
        if self.encoded_features is None:
            self.encoded_features = self._encode(self.inputs)
            self.built = True
        return self.encoded_features

    def _check_adapted(self) -> None:
        if not self._adapted:
            raise problem("The features have not learned yet.", received="no data so far", where=self,
                          expected="a call of adapt(data) first: " + ", ".join(self._adaptable()) + " need it")

    # -- calling -------------------------------------------------------------------------------------------
    def __call__(self, data: Any, training: Any = None) -> Any:  # type: ignore[override]
        self.get_encoded_features()
        data = _as_columns(data)
        if not isinstance(data, dict) or not data.keys() >= self.features.keys():
            raise problem("The columns do not fit.", where=self, expected="a dict with " + ", ".join(self.features),
                          received=list(data) if isinstance(data, dict) else data)
        columns = {name: _as_column(data[name], self) for name in self.features}
        one_row = all(np.ndim(data[name]) == 0 for name in self.features)
        outputs = self._encode(columns)
        return jax.tree.map(lambda x: x[0], outputs) if one_row else outputs

    def call(self, data: dict[str, Any]) -> Any:
        """The encoded columns."""
        return self._encode(data)

    def _encode(self, columns: dict[str, Any]) -> Any:
        found = {name: self.preprocessors[name](columns[name]) for name in self.features}
        crossed = {c.name: self.crossers[c.name]([found[n] for n in c.feature_names]) for c in self.crosses}
        specs = {**self.features, **{c.name: c for c in self.crosses}}
        outputs = {name: self._one_hot(name, value) if specs[name].output_mode == "one_hot" else value
                   for part in (found, crossed) for name, value in sorted(part.items())}
        if self.output_mode == "dict":
            return outputs
        ready = [self._as_floats(name, value, specs[name]) for name, value in outputs.items()]
        if "_concatenate" not in self.__dict__:
            self._concatenate = Concatenate(axis=-1)
        return self._concatenate(ready) if len(ready) > 1 else ready[0]

    def _one_hot(self, name: str, ids: Any) -> Any:
        if name not in self.one_hot_encoders:
            size = _places(self.preprocessors.get(name) or self.crossers.get(name))
            if size is None or "int" not in str(ids.dtype):
                raise problem(f'The feature "{name}" cannot be one-hot encoded.', where=self,
                              received=f"{ids.dtype} from its layer", expected="integers of a known range",
                              fix='use output_mode="int", or a layer that encodes by itself and output_mode="float"')
            self.one_hot_encoders[name] = CategoryEncoding(size, output_mode="multi_hot")
        return self.one_hot_encoders[name](ids)

    def _as_floats(self, name: str, value: Any, spec: Any) -> Any:
        encoded = getattr(self.preprocessors.get(name), "output_mode", "int") != "int"
        if "float" in str(value.dtype):
            return value
        if encoded and isinstance(value, SymbolicTensor):
            return TFDIdentity(name=f"{name}_as_float")(value)
        if encoded:
            return jnp.asarray(value, self.compute_dtype)
        raise problem(f'The feature "{name}" is not encoded, so it cannot be put beside others.', where=self,
                      received=f'dtype {value.dtype}, output_mode="{spec.output_mode}"',
                      expected='output_mode="one_hot" or "float"', fix='use FeatureSpace(..., output_mode="dict")')

    # -- files ---------------------------------------------------------------------------------------------
    def get_build_config(self) -> dict[str, Any]:
        """How the layers of the features were built."""
        return {name: layer.get_build_config() for name, layer in self.preprocessors.items()}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build the layers of the features as they were."""
        for name, given in config.items():
            layer = self.preprocessors[name]
            if given and not layer.built:
                layer.build_from_config(given)
        self._adapted = True

    def get_config(self) -> dict[str, Any]:
        """The arguments; features as they are."""
        config = super().get_config()
        return {k: v for k, v in config.items() if k not in ("name", "trainable", "dtype")}

    def save(self, filepath: Any) -> None:
        """Write it to a `.keras` file, from which `kyeo.saving.load_model` reads it."""
        save_model(self, filepath)

    def own_variables(self) -> list[Any]:
        """None: the layers of the features have theirs."""
        return []


for _helper in (Cross, Feature, TFDConcat, TFDIdentity):
    register_builtin("layers", _helper.__name__, _helper)  # files of Keras name them there


def _name(kind: str, name: str | None) -> str:
    return f"{name or auto_name(kind)}_preprocessor"


def _places(layer: Any) -> int | None:
    """How many different integers a layer can give."""
    if isinstance(layer, (IntegerLookup, StringLookup)):
        return layer.vocabulary_size()
    if isinstance(layer, Discretization):
        return layer.num_bins or len(layer.bin_boundaries or ()) + 1
    return getattr(layer, "num_bins", getattr(layer, "num_tokens", None))


def _as_column(value: Any, where: Any) -> Any:
    if isinstance(value, (SymbolicTensor, jax.Array)):
        column = value
    else:
        column = to_host(value, where)
        if column.dtype.kind in "iuf":
            small = column.astype(column.dtype.name.replace("64", "32"))
            column = small if column.dtype.kind == "f" or (small == column).all() else column  # ids may be larger
    return column.reshape(-1, 1) if column.ndim < 2 else column


def _as_columns(data: Any) -> Any:
    """The columns of a table (of pandas, polars, pyarrow, Hugging Face) by name; anything else as it is."""
    names = getattr(data, "column_names", None)
    names = getattr(data, "columns", None) if names is None else names
    return data if names is None or isinstance(data, dict) else {str(name): data[name] for name in names}


class _Rows:
    """Columns in memory as a data set that can be read again and again."""

    def __init__(self, columns: dict[str, np.ndarray]):
        self._columns = columns

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        size = len(next(iter(self._columns.values())))
        for begin in range(0, size, _BATCH):
            yield {name: column[begin:begin + _BATCH] for name, column in self._columns.items()}


def _column(dataset: Iterable[Any], name: str, where: Any) -> Iterator[np.ndarray]:
    for batch in dataset:
        row = batch[0] if isinstance(batch, tuple) else batch
        if not isinstance(row, dict) or name not in row:
            raise problem(f'The data has no column "{name}".', received=row, where=where, expected="dicts of columns")
        column = to_host(row[name], where)
        yield column.reshape(-1, 1) if column.ndim < 2 else column
