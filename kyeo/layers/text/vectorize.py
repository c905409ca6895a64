"""TextVectorization: texts to standardized words, to indices, to an array."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, repeat
from typing import Any

import numpy as np

from kyeo.core.errors import boolean, describe, one_of, positive_int, problem
from kyeo.core.settings import settings
from kyeo.layers.text.counting import word_counts
from kyeo.layers.text.documents import character_lists, cleaned_texts, ngrams_of, word_lists
from kyeo.layers.text.host import HostLayer, as_texts, encode_rows, refuse_sparse, to_host
from kyeo.layers.text.lookup import check_as_data, output_mode_of
from kyeo.layers.text.lookups import StringLookup, encoding_of
from kyeo.layers.text.vocabulary import batches_of

__all__ = ["TextVectorization"]

Documents = Iterable[list[list[Any]]]  # groups of lists of tokens; tokens are bytes


class TextVectorization(HostLayer):
    """Texts to numbers: standardize each text, split it into words, look the words up.

    Args:
        max_tokens: the largest vocabulary, special tokens included.
        standardize: "lower_and_strip_punctuation", "lower", "strip_punctuation", None, or a function from an array of
            strings to one like it.
        split: "whitespace", "character", None (each string is a word), or a function from an array of strings to a
            list of lists of strings.
        ngrams: runs of up to so many words are words as well; a tuple names the lengths of the runs.
        output_mode: "int" (indices, filled up with 0), "multi_hot", "count" or "tf_idf".
        output_sequence_length: cut or fill rows of indices to this length; None: to the longest text.
        pad_to_max_tokens: whether encodings have `max_tokens` places however many words there are.
        vocabulary: the words, or the path of a text file with one a line; None to `adapt`.
        idf_weights: the weights of the vocabulary for "tf_idf".
        sparse, ragged: must be False.
        encoding: how bytes in the vocabulary are read.

    Upper case means A to Z and white space the six bytes of ASCII, as in TensorFlow.

    >>> import kyeo
    >>> layer = kyeo.layers.TextVectorization(output_sequence_length=4)
    >>> layer.adapt(["foo bar", "bar baz", "baz bada boom"])
    >>> layer([["Foo qux bar!"], ["qux baz"]]).tolist()
    [[4, 1, 3, 0], [1, 2, 0, 0]]
    """

    takes_text = True

    def __init__(
        self, max_tokens: int | None = None, standardize: Any = "lower_and_strip_punctuation",
        split: Any = "whitespace", ngrams: Any = None, output_mode: str = "int",
        output_sequence_length: int | None = None, pad_to_max_tokens: bool = False, vocabulary: Any = None,
        idf_weights: Any = None, sparse: bool = False, ragged: bool = False, encoding: str = "utf-8",
        name: str | None = None, **kwargs: Any,
    ):
        hidden = {k: kwargs.pop(k) for k in ("vocabulary_size", "has_input_vocabulary") if k in kwargs}
        super().__init__(name=name, **kwargs)
        refuse_sparse(self, sparse=sparse, ragged=ragged)
        self.sparse = self.ragged = False
        self.max_tokens = positive_int(self, optional=True, minimum=2, max_tokens=max_tokens)
        self.pad_to_max_tokens = boolean(self, pad_to_max_tokens=pad_to_max_tokens)
        self.standardize = standardize if callable(standardize) or standardize is None else one_of(
            self, ("lower_and_strip_punctuation", "lower", "strip_punctuation"), standardize=standardize)
        self.split = split if callable(split) or split is None else one_of(
            self, ("whitespace", "character"), split=split)
        self.ngrams = ngrams
        self._widths = _widths(self, ngrams)
        self.output_mode = output_mode_of(self, output_mode)
        self.output_sequence_length = positive_int(
            self, optional=True, output_sequence_length=output_sequence_length)
        if self.output_mode != "int" and output_sequence_length is not None:
            raise problem("`output_sequence_length` is the length of rows of indices.", where=self,
                          received=f'output_sequence_length with output_mode="{self.output_mode}"',
                          expected='output_mode="int"')
        self.encoding = encoding_of(self, encoding)
        self._lookup_layer = StringLookup(
            max_tokens=max_tokens, vocabulary=vocabulary, idf_weights=idf_weights, mask_token="",
            pad_to_max_tokens=pad_to_max_tokens, output_mode=self.output_mode, encoding=encoding, **hidden)

    # -- the vocabulary ------------------------------------------------------------------------------------
    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """The words, each at its index; without the mask "" and "[UNK]" if so asked."""
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def vocabulary_size(self) -> int:
        """How many indices there are, those of special tokens included."""
        return self._lookup_layer.vocabulary_size()

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Use this vocabulary: words or the path of a text file, and weights for "tf_idf"."""
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights)

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Take the most frequent words of texts for the vocabulary; "tf_idf" also learns their weights.

        Args:
            data: an array or list of texts, or an iterable of batches.
            batch_size: not used; texts are read as they come.
            steps: how many batches to look at; None: all.
        """
        self.reset_state()
        for batch in batches_of(data, steps, self):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Count the words of a batch of texts."""
        texts = self._texts(to_host(data, self))
        if self.split == "whitespace" and self._widths is None and self.output_mode != "tf_idf":
            for counts in word_counts(as_texts(texts, self), self._rule):  # it does not matter which text a word is in
                self._lookup_layer.count(counts)
            return
        for documents in self._documents(texts, None):
            self._lookup_layer.count(documents)

    def finalize_state(self) -> None:
        """Make the vocabulary of what was counted."""
        tally = self._lookup_layer._tally
        for name in ("counts", "in_documents"):
            counted = getattr(tally, name)
            setattr(tally, name, type(counted)({_as_text(k): n for k, n in counted.items()}))
        self._lookup_layer.finalize_state()

    def reset_state(self) -> None:
        """Forget what was counted."""
        self._lookup_layer.reset_state()

    # -- calling -------------------------------------------------------------------------------------------
    def _ready(self) -> None:
        if self._lookup_layer._tokens is None:
            raise problem("The layer has no vocabulary yet.", where=self,
                          fix="call adapt(data) first, or give it `vocabulary`")

    def call(self, inputs: np.ndarray) -> np.ndarray:
        """The indices of the words of each text, or their encoding."""
        self._ready()
        texts = self._texts(inputs)
        limit = self.output_sequence_length if self._widths is None else None
        ids, lengths = self._looked_up(self._documents(texts, limit))
        if self.split is None and self._widths is None:
            if self.output_mode == "int" and self.output_sequence_length is None:
                return ids.reshape(texts.shape)
            lengths = np.full(int(np.prod(texts.shape[:-1])), texts.shape[-1] if texts.ndim else 1)
        rows = texts.shape if self.split is not None else texts.shape[:-1]
        return self._shaped(ids, lengths, rows)

    @property
    def _rule(self) -> str | None:
        """What `_texts` left to do."""
        return None if callable(self.standardize) else self.standardize

    def _texts(self, inputs: np.ndarray) -> np.ndarray:
        """The texts, without the last axis of one, standardized by the user's function if there is one."""
        as_texts(inputs, self)
        if callable(self.standardize):
            inputs = to_host(self.standardize(_unicode(inputs, self.encoding)), self)
        if self.split is not None and inputs.ndim > 1:
            if inputs.shape[-1] != 1:
                raise problem("Each row must hold one text.", received=inputs, where=self,
                              expected="shape (batch,) or (batch, 1)",
                              fix="join the strings of a row, or use split=None")
            inputs = inputs[..., 0]
        return inputs

    def _documents(self, texts: np.ndarray, limit: int | None) -> Documents:
        standardize, flat = self._rule, as_texts(texts, self)
        groups: Documents
        if self.split == "whitespace":
            groups = word_lists(flat, standardize, limit)
        elif self.split == "character":
            groups = character_lists(flat, standardize)
        elif self.split is None:
            words = list(chain.from_iterable(cleaned_texts(flat, standardize)))
            width = texts.shape[-1] if texts.ndim else 1
            groups = [[words[i:i + width] for i in range(0, len(words), max(width, 1))]]
        else:
            given = [t.decode("utf-8") for group in cleaned_texts(flat, standardize) for t in group]
            groups = [_user_lists(self.split(np.array(given, dtype=object)), len(given), self)]
        return groups if self._widths is None else _with_ngrams(groups, self._widths)

    def _looked_up(self, groups: Documents) -> tuple[np.ndarray, np.ndarray]:
        """The indices of all tokens in a row, and how many each document has; -1 for a mask that counts for nothing."""
        lookup = self._lookup_layer
        places, first = lookup._places, len(lookup._special)
        if lookup.__dict__.get("_bytes_of") is not places:
            lookup._bytes_of = places
            lookup._by_bytes = {k.encode("utf-8", "surrogateescape"): i + first for k, i in places.items()}
            lookup._by_bytes[b""] = 0 if self.output_mode == "int" else -1
        get, unknown = lookup._by_bytes.get, repeat(lookup._oov_start)
        ids, lengths = [], []
        for documents in groups:
            sizes = list(map(len, documents))
            ids.append(np.fromiter(map(get, chain.from_iterable(documents), unknown), np.int32, sum(sizes)))
            lengths += sizes
        return np.concatenate(ids or [np.zeros(0, np.int32)]), np.array(lengths, np.int64)

    def _shaped(self, ids: np.ndarray, lengths: np.ndarray, rows: tuple[int, ...]) -> np.ndarray:
        """The indices of documents as one array."""
        lookup = self._lookup_layer
        if self.output_mode == "int":
            size = self.output_sequence_length or int(lengths.max(initial=0))
            if lengths.max(initial=0) > size:
                begins = np.cumsum(lengths) - lengths
                within = np.arange(len(ids)) - np.repeat(begins, lengths)
                ids, lengths = ids[within < size], np.minimum(lengths, size)
            out = np.zeros((len(lengths), size), np.int32)
            out[np.arange(size) < lengths[:, None]] = ids
            return out.reshape(*rows, size)
        if self.output_mode == "one_hot":
            return lookup._encoded(self._full(ids, lengths).reshape(*rows, -1))
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        depth: Any = lookup._depth()
        dtype = settings.floatx if self.output_mode == "tf_idf" else np.int32
        where = np.repeat(np.arange(len(lengths)), lengths)
        table = encode_rows(where, ids, len(lengths), mode, depth, dtype)
        table = table * lookup.idf_weights.astype(dtype) if self.output_mode == "tf_idf" else table
        return table.reshape(*rows, depth)

    def _full(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        out = np.full((len(lengths), int(lengths.max(initial=0))), -1, np.int64)
        out[np.arange(out.shape[1]) < lengths[:, None]] = ids
        return out

    def sample(self, shapes: list[tuple[int, ...]], words: int) -> np.ndarray:
        """Index 0 everywhere, in rows of as many words."""
        (shape,) = shapes
        if self.split is not None:
            shape = (*(shape[:-1] if len(shape) > 1 else shape), words)
        if self.output_mode == "int" and self.output_sequence_length:
            shape = (*shape[:-1], self.output_sequence_length)
        return self._lookup_layer._encoded(np.zeros(shape, np.int64))

    # -- files ---------------------------------------------------------------------------------------------
    def get_config(self) -> dict[str, Any]:
        """The arguments; a vocabulary that was learned is stored beside the weights."""
        inner = self._lookup_layer.get_config()
        size = inner["vocabulary_size"] or self.vocabulary_size()
        return {**super().get_config(), **{k: inner[k] for k in ("vocabulary", "idf_weights")}, "vocabulary_size": size}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """The layer whose `get_config` gave `config`; a config cannot name a file to be read."""
        check_as_data(config, cls)
        ngrams = config.get("ngrams")
        config = {**config, "ngrams": tuple(ngrams)} if isinstance(ngrams, list) else config
        return super().from_config(config, custom_objects)

    def save_own_variables(self, store: Any) -> None:
        """The weights of "tf_idf"."""
        self._lookup_layer.save_own_variables(store)

    def load_own_variables(self, store: Any) -> None:
        """What `save_own_variables` wrote."""
        self._lookup_layer.load_own_variables(store)

    def save_assets(self, dir_path: Any) -> None:
        """Write the vocabulary that was learned into a folder."""
        self._lookup_layer.save_assets(dir_path)

    def load_assets(self, dir_path: Any) -> None:
        """Read what `save_assets` wrote."""
        self._lookup_layer.load_assets(dir_path)

    def read_assets(self, files: Mapping[str, bytes]) -> None:
        """Take the vocabulary out of the files that `save_assets` wrote, by their names."""
        self._lookup_layer.read_assets(files)


def _widths(owner: Any, ngrams: Any) -> tuple[int, ...] | None:
    if ngrams is None:
        return None
    if isinstance(ngrams, int) and not isinstance(ngrams, bool) and ngrams > 0:
        return tuple(range(1, ngrams + 1))
    if isinstance(ngrams, tuple) and ngrams and all(isinstance(n, int) and n > 0 for n in ngrams):
        return ngrams
    raise problem("`ngrams` is not valid.", received=f"ngrams={describe(ngrams)}", where=owner,
                  expected="None, an int of at least 1, or a tuple of such ints")


def _with_ngrams(groups: Documents, widths: tuple[int, ...]) -> Iterator[list[list[bytes]]]:
    for documents in groups:
        yield [ngrams_of(tokens, widths) for tokens in documents]


def _unicode(array: np.ndarray, encoding: str) -> np.ndarray:
    texts = [t.decode(encoding) if isinstance(t, bytes) else t for t in array.ravel().tolist()]
    return np.array(texts, dtype=np.str_).reshape(array.shape)


def _as_text(token: Any) -> Any:
    return token.decode("utf-8", "surrogateescape") if isinstance(token, bytes) else token


def _user_lists(given: Any, rows: int, owner: Any) -> list[list[bytes]]:
    """What the user's `split` gave, as lists of bytes."""
    given = given.tolist() if hasattr(given, "tolist") else list(given)
    if len(given) != rows or not all(isinstance(row, (list, tuple, np.ndarray)) for row in given):
        raise problem("`split` must give a list of tokens for each text.", received=given, where=owner,
                      expected=f"{rows} lists of strings")
    return [[t if isinstance(t, bytes) else str(t).encode("utf-8", "surrogateescape") for t in row] for row in given]
