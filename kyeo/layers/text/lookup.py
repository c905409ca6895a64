"""IndexLookup: tokens to indices by a vocabulary, or back; StringLookup and IntegerLookup are its two kinds."""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kyeo.core.errors import boolean, one_of, positive_int, problem
from kyeo.core.settings import settings
from kyeo.layers.text.host import HostLayer, as_integers, encode_ids, refuse_sparse, salt_of
from kyeo.layers.text.vocabulary import Tally, batches_of, inverse_frequency, padded_weights, read_terms, tokens_of

__all__ = ["MODES", "IndexLookup", "output_mode_of"]

MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")
_OLD_MODES = {"binary": "multi_hot", "tf-idf": "tf_idf"}
_ENCODINGS = frozenset((
    "ascii utf-8 utf8 utf-8-sig utf-16 utf-16-be utf-16-le utf-32 utf-32-be utf-32-le latin-1 latin1 iso-8859-1 "
    "iso-8859-15 cp1250 cp1251 cp1252 windows-1252 koi8-r gbk gb18030 big5 shift-jis euc-jp euc-kr").split())
ASSET = "vocabulary.txt"


def output_mode_of(owner: Any, mode: Any) -> str:
    """A mode of output, old names as well."""
    return one_of(owner, MODES, output_mode=_OLD_MODES.get(mode, mode) if isinstance(mode, str) else mode)


class IndexLookup(HostLayer):
    """The base of the lookup layers. Index 0 is the mask (if there is one), then come the indices of unknown tokens,
    then the vocabulary. A subclass says how tokens are looked up."""

    as_int = False  # whether tokens are integers

    def __init__(
        self, max_tokens: int | None, num_oov_indices: int, mask_token: Any, oov_token: Any,
        vocabulary: Any = None, idf_weights: Any = None, invert: bool = False, output_mode: str = "int",
        sparse: bool = False, pad_to_max_tokens: bool = False, oov_method: str = "floormod", salt: Any = None,
        name: str | None = None, **kwargs: Any,
    ):
        self._given_size = kwargs.pop("vocabulary_size", None)
        self._fixed = bool(kwargs.pop("has_input_vocabulary", vocabulary is not None))
        super().__init__(name=name, **kwargs)
        refuse_sparse(self, sparse=sparse)
        self.sparse = False
        self.max_tokens = positive_int(self, optional=True, minimum=2, max_tokens=max_tokens)
        self.num_oov_indices = positive_int(self, minimum=0, num_oov_indices=num_oov_indices)
        self.mask_token, self.oov_token = mask_token, oov_token
        self.output_mode = output_mode_of(self, output_mode)
        self.invert = boolean(self, invert=invert)
        self.pad_to_max_tokens = boolean(self, pad_to_max_tokens=pad_to_max_tokens)
        self.oov_method = one_of(self, ("floormod", "farmhash"), oov_method=oov_method)
        self.salt = salt_of(self, salt)
        self._check_together(idf_weights)
        self.input_vocabulary = None if isinstance(vocabulary, (str, Path)) else vocabulary
        self.input_idf_weights = idf_weights
        self.idf_weights: np.ndarray | None = None
        self._tokens: list[Any] | None = None
        self.reset_state()
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)

    def _check_together(self, idf_weights: Any) -> None:
        wrong = [
            (self.pad_to_max_tokens and self.max_tokens is None, "pad_to_max_tokens=True without max_tokens"),
            (self.invert and self.output_mode != "int", f'invert=True, output_mode="{self.output_mode}"'),
            (self.salt is not None and self.as_int and self.oov_method != "farmhash",
             f'salt={self.salt}, oov_method="{self.oov_method}"'),
            (idf_weights is not None and self.output_mode != "tf_idf",
             f'idf_weights with output_mode="{self.output_mode}"'),
        ]
        expected = ("max_tokens to pad to", 'output_mode="int" beside invert', 'oov_method="farmhash" beside salt',
                    'idf_weights only beside output_mode="tf_idf"')
        for (is_wrong, received), right in zip(wrong, expected):
            if is_wrong:
                raise problem("These arguments do not go together.", received=received, expected=right, where=self)

    # -- the vocabulary ------------------------------------------------------------------------------------
    @property
    def _special(self) -> list[Any]:
        """The tokens at the first indices."""
        masks = self.mask_token is not None and self.output_mode == "int"
        return [self.mask_token] * masks + [self.oov_token] * self.num_oov_indices

    @property
    def _oov_start(self) -> int:
        return len(self._special) - self.num_oov_indices

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens, each at its index; without the special ones if so asked."""
        tokens = self._tokens or []
        return self._special + tokens if include_special_tokens else list(tokens)

    def vocabulary_size(self) -> int:
        """How many indices there are, those of special tokens included."""
        return len(self._special) + len(self._tokens or [])

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Use this vocabulary.

        Args:
            vocabulary: a sequence of tokens, or the path of a text file with one a line. The special tokens may
                stand at its start.
            idf_weights: a weight for each of its tokens, needed by output_mode="tf_idf" and only there.
        """
        if (idf_weights is None) == (self.output_mode == "tf_idf"):
            raise problem('`idf_weights` goes with output_mode="tf_idf", and is needed there.', where=self,
                          received=f'output_mode="{self.output_mode}", idf_weights={idf_weights}')
        terms = read_terms(vocabulary, self.as_int, self)
        reserved = {"mask_token": self.mask_token} if self.mask_token is not None else {}
        if self.invert and self.oov_token is not None:
            reserved["oov_token"] = self.oov_token
        tokens, found = tokens_of(terms, self._special, reserved, self)
        size = len(self._special) + len(tokens)
        if self.max_tokens is not None and size > self.max_tokens:
            raise problem("The vocabulary is larger than `max_tokens`.", received=f"{size} with the special tokens",
                          expected=f"at most max_tokens={self.max_tokens}", where=self)
        weights = None
        if idf_weights is not None:
            depth = self.max_tokens if self.pad_to_max_tokens else None
            weights = padded_weights(idf_weights, found, len(self._special), len(terms), depth, self)
        self._take(tokens, weights)

    def _take(self, tokens: list[Any], weights: np.ndarray | None) -> None:
        new = len(self._special) + len(tokens)
        if self._inbound_nodes and self._depth() not in (None, new) and not self.pad_to_max_tokens:
            raise problem("A model was built with another size of the vocabulary.", where=self,
                          received=f"{new} indices", expected=f"{self._depth()}, the size of the layer's output",
                          fix="adapt the layer before it is used in a model, or use pad_to_max_tokens=True")
        self._tokens, self.idf_weights, self._given_size = tokens, weights, None
        self._index()

    def _depth(self) -> int | None:
        """The size of the last axis of the output; None for indices, and while it is not known."""
        if self.output_mode == "int":
            return None
        if self.pad_to_max_tokens:
            return self.max_tokens
        return self._given_size if self._tokens is None else self.vocabulary_size()

    def _index(self) -> None:
        """Prepare for looking tokens up."""
        raise NotImplementedError

    # -- learning it ---------------------------------------------------------------------------------------
    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Take the most frequent tokens of data for the vocabulary; "tf_idf" also learns their weights.

        Args:
            data: an array or list (each row is a document), or an iterable of batches.
            steps: how many batches to look at; None: all.
        """
        self.reset_state()
        for batch in batches_of(data, steps, self):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Count the tokens of a batch: a row is a document, a vector is one."""
        array = np.atleast_2d(self._checked(data))
        self.count(array.reshape(len(array), math.prod(array.shape[1:])).tolist())

    def count(self, documents: list[list[Any]] | Counter[Any]) -> None:
        """Count the tokens of documents, or add what was counted."""
        if self._fixed:
            raise problem("The vocabulary was given to the constructor, so nothing can be adapted.", where=self,
                          fix="leave `vocabulary` out, or use set_vocabulary")
        self._tally.add(documents, by_document=self.output_mode == "tf_idf")

    def finalize_state(self) -> None:
        """Make the vocabulary of what was counted."""
        tally, special = self._tally, self._special
        if self._fixed or not tally.counts:
            return
        limit = self.max_tokens - len(special) if self.max_tokens is not None else None
        tokens = tally.most_frequent((self.mask_token, self.oov_token), limit)
        weights = None
        if self.output_mode == "tf_idf":
            weights = inverse_frequency(tally.documents, (tally.in_documents[t] for t in tokens))
            depth = self.max_tokens if self.pad_to_max_tokens else None
            weights = padded_weights(weights, False, len(special), len(tokens), depth, self)
        self._take(tokens, weights)
        self.reset_state()

    def reset_state(self) -> None:
        """Forget what was counted."""
        self._tally = Tally()

    # -- calling -------------------------------------------------------------------------------------------
    def _checked(self, data: Any) -> np.ndarray:
        """The data as an array of tokens."""
        raise NotImplementedError

    def _found(self, inputs: np.ndarray) -> np.ndarray:
        """The place in the vocabulary of each token in a row, -1 of unknown ones."""
        raise NotImplementedError

    def _bucket(self, unknown: np.ndarray) -> np.ndarray:
        """Which of the indices of unknown tokens each of these has."""
        raise NotImplementedError

    def _ready(self) -> None:
        if self._tokens is None:
            raise problem("The layer has no vocabulary yet.", where=self,
                          fix="call adapt(data) first, or give it `vocabulary`")

    def call(self, inputs: np.ndarray) -> np.ndarray:
        """The indices of the tokens, or their encoding; the tokens of the indices if inverted."""
        self._ready()
        if self.invert:
            return self._tokens_at(inputs)
        return self._encoded(self._ids(self._checked(inputs)))

    def _ids(self, inputs: np.ndarray) -> np.ndarray:
        flat = inputs.ravel()
        ids = self._found(flat)
        unknown = ids < 0
        ids = ids + len(self._special)
        masked = np.equal(flat, self.mask_token) if self.mask_token is not None else np.zeros(ids.shape, bool)
        unknown &= ~masked
        if unknown.any():
            ids[unknown] = self._oov_start + self._unknown(flat[unknown])
        ids[masked] = 0 if self.output_mode == "int" else -1  # -1 counts for nothing
        return ids.reshape(inputs.shape)

    def _unknown(self, tokens: np.ndarray) -> Any:
        if self.num_oov_indices == 0:
            raise problem("Some tokens are not in the vocabulary.", received=tokens[:5].tolist(), where=self,
                          expected="tokens of the vocabulary, as num_oov_indices=0",
                          fix="num_oov_indices=1 gives unknown tokens an index")
        return 0 if self.num_oov_indices == 1 else self._bucket(tokens)

    def _tokens_at(self, ids: np.ndarray) -> np.ndarray:
        ids = as_integers(ids, self, "an inverted lookup takes indices")
        table = np.array([*self.get_vocabulary(), self.oov_token], np.int64 if self.as_int else object)
        last = len(table) - 1
        places = np.where((ids >= 0) & (ids < last), ids, last)
        found = table[places]
        return found if not self.as_int else found.astype(_narrow(found, self))

    def _encoded(self, ids: np.ndarray) -> np.ndarray:
        if self.output_mode == "int":
            return ids.astype(np.int32)
        depth = self._depth()
        if depth is None:
            raise problem(f'output_mode="{self.output_mode}" needs the size of the vocabulary.', where=self,
                          fix="call adapt(data) first, give it `vocabulary`, or use pad_to_max_tokens=True")
        if self.output_mode != "tf_idf":
            return encode_ids(ids, self.output_mode, depth, np.int32)
        counts = encode_ids(ids, "count", depth, settings.floatx)
        return counts if self.idf_weights is None else counts * self.idf_weights.astype(counts.dtype)

    def sample(self, shapes: list[tuple[int, ...]], words: int) -> np.ndarray:
        """Index 0 everywhere."""
        if self.invert:
            return np.zeros(shapes[0], np.int32 if self.as_int else object)
        return self._encoded(np.zeros(shapes[0], np.int64))

    # -- files ---------------------------------------------------------------------------------------------
    def get_config(self) -> dict[str, Any]:
        """The arguments; a vocabulary that was learned is not among them, it is stored beside the weights."""
        config = super().get_config()
        vocabulary, weights = self.input_vocabulary, self.input_idf_weights
        if vocabulary is None and self._tokens is not None and not _fits_lines(self._tokens):
            vocabulary, weights = self._tokens, self._weights_of_tokens()  # a text of lines would not hold them
        plain = [None if v is None else list(to_plain(v)) for v in (vocabulary, weights)]
        size = self.vocabulary_size() if self._tokens is not None else self._given_size
        return {**config, "vocabulary": plain[0], "idf_weights": plain[1], "vocabulary_size": size}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """The layer whose `get_config` gave `config`; a config cannot name a file to be read."""
        check_as_data(config, cls)
        return super().from_config(config, custom_objects)

    def get_build_config(self) -> dict[str, Any]:
        """Nothing: there is nothing to build."""
        return {}

    def _weights_of_tokens(self) -> Any:
        if self.idf_weights is None:
            return None
        return self.idf_weights[len(self._special):self.vocabulary_size()]

    def save_own_variables(self, store: Any) -> None:
        """The weights of "tf_idf"."""
        if self.output_mode == "tf_idf" and self.idf_weights is not None:
            store["idf_weights"] = self.idf_weights

    def load_own_variables(self, store: Any) -> None:
        """What `save_own_variables` wrote; `load_assets` checks it against the vocabulary."""
        if self.output_mode == "tf_idf" and "idf_weights" in store:
            self.idf_weights = np.asarray(store["idf_weights"], np.float32)

    def save_assets(self, dir_path: Any) -> None:
        """Write the vocabulary, one token a line, into a folder; not one that stands in the config."""
        if self.input_vocabulary is None and self._tokens is not None and _fits_lines(self._tokens):
            lines = "\n".join(map(str, self.get_vocabulary()))
            Path(dir_path, ASSET).write_bytes(lines.encode("utf-8", "surrogatepass"))

    def load_assets(self, dir_path: Any) -> None:
        """Read what `save_assets` wrote."""
        path = Path(dir_path, ASSET)
        self.read_assets({ASSET: path.read_bytes()} if path.is_file() else {})

    def read_assets(self, files: Mapping[str, bytes]) -> None:
        """Take the vocabulary out of the files that `save_assets` wrote, by their names."""
        if self.input_vocabulary is not None or ASSET not in files:
            return
        try:
            lines = files[ASSET].decode("utf-8", "surrogatepass").splitlines()
        except UnicodeDecodeError as error:
            raise problem("The stored vocabulary is not text.", received=str(error), where=self) from None
        while lines and lines[-1] == "":
            lines.pop()
        terms = read_terms(lines, self.as_int, self) if lines else []
        special = self._special
        tokens = terms[len(special):] if terms[:len(special)] == special else terms
        if not tokens:
            return
        depth, weights = self.max_tokens if self.pad_to_max_tokens else len(special) + len(tokens), self.idf_weights
        if self.output_mode == "tf_idf" and (weights is None or weights.shape != (depth,)):
            raise problem("The stored weights do not fit the stored vocabulary.", where=self,
                          received=weights, expected=f"{depth} numbers")
        self._take(tokens_of(tokens, [], {}, self)[0], weights)


def check_as_data(config: dict[str, Any], owner: Any) -> None:
    """A config is data: a path in it would have any file of this computer read, an odd encoding would load code."""
    vocabulary, encoding = config.get("vocabulary"), config.get("encoding", "utf-8")
    if not isinstance(encoding, str) or encoding.lower().replace("_", "-") not in _ENCODINGS:
        raise problem("A config cannot name this encoding.", received=f"encoding={encoding!r}", where=owner,
                      expected="one of " + ", ".join(sorted(_ENCODINGS)), fix="make the layer in code")
    if isinstance(vocabulary, (str, Path)):
        raise problem("A config cannot name a vocabulary file.", received=f"vocabulary={str(vocabulary)!r}",
                      where=owner, expected="the tokens themselves",
                      fix="make the layer in code, or call set_vocabulary(path) on it")


def to_plain(values: Any) -> list[Any]:
    """A sequence or array as a list of plain values."""
    return [v.decode() if isinstance(v, bytes) else v for v in np.asarray(values).ravel().tolist()]


def _fits_lines(tokens: list[Any]) -> bool:
    """Whether a text with a token a line gives the same tokens when it is read."""
    texts = [str(t) for t in tokens]
    return not texts or (texts[-1] != "" and "\n".join(texts).splitlines() == texts)


def _narrow(values: np.ndarray, where: Any) -> Any:
    if values.size and np.abs(values).max() >= 2**31:
        raise problem("Some tokens do not fit into 32 bits.", received=values, where=where, kind=OverflowError,
                      expected="tokens from -2147483648 to 2147483647")
    return np.int32
