"""One line a case: a layer that needs TensorFlow in Keras, its arguments, what it adapts to, what it is called on.

`scripts/make_text_expected.py` runs them in Keras on TensorFlow and writes expected.json; test_expected.py compares.
Texts are lists, so that both sides make of them what they take.
"""

from typing import Any, NamedTuple

__all__ = ["CASES", "Case", "FEATURES", "TABLE", "SIGNS", "TEXTS", "WORDS"]


class Case(NamedTuple):
    """`calls` are the inputs, one call each."""

    layer: str
    config: dict[str, Any]
    calls: list[Any]
    adapt: Any = None
    steps: int | None = None

    def __str__(self) -> str:
        inner = ",".join(f"{k}={v}" for k, v in self.config.items()).replace(" ", "")
        return f"{self.layer}-{inner}-{'adapted' if self.adapt is not None else ''}"


WORDS = ["b", "a", "c", "ä", "", "x1", "b"]
TEXTS = ["The cat sat. On the MAT!", "the  Dog's\tden\n", "", "Äpfel über ÄPFEL; naïve-café", "a b c d e f g h",
         "tail\x0bform\x0cfeed\rend  nbsp\u00a0here", "日本 語 日本"]
SIGNS = ["a,b.c!d\"e#f$g%h&i(j)k*l+m,n-o.p/q:r;s<t=u>v?w@x[y\\z]a^b_c`d{e|f}g~h'i"]
INTS = [[3, 1, 1], [7, -2, 12]]
MODES = ("one_hot", "multi_hot", "count")


def lookup(calls: Any, *, layer: str = "StringLookup", adapt: Any = None, steps: int | None = None,
           **config: Any) -> Case:
    return Case(layer, config, calls, adapt, steps)


def integers(calls: Any, **words: Any) -> Case:
    return lookup(calls, layer="IntegerLookup", **words)


def texts(calls: Any, **words: Any) -> Case:
    return lookup(calls, layer="TextVectorization", **words)


ABC = ["a", "b", "ä"]
MANY = [["a", "b", "c"], ["ä", "", "zz"], ["b", "b", "a"]]
HASHING = [
    Case("Hashing", {"num_bins": n, **more}, calls)
    for n, calls in ((3, [[["A"], ["B"], ["C"], ["D"], ["E"]], [["a", "b"], ["c", ""]], ["x", "é" * 40, "日本語" * 9]]),
                     (100, [[[11], [12], [-13], [2**40]], [[1.5, -1.5], [2.0, 1e6]], [1, 2, 3]]))
    for more in ({}, {"salt": 133}, {"salt": (133, 137)}, {"salt": [-1, 2]}, {"output_mode": "one_hot"},
                 {"output_mode": "multi_hot"}, {"output_mode": "count"})
] + [
    Case("Hashing", {"num_bins": 3, "mask_value": ""}, [[["A"], ["B"], [""], ["C"], ["D"]]]),
    Case("Hashing", {"num_bins": 3, "mask_value": 1}, [[[1], [2], [3]]]),
    Case("Hashing", {"num_bins": 1, "mask_value": ""}, [["A", ""]]),
    Case("Hashing", {"num_bins": 4, "mask_value": "", "output_mode": "count", "salt": 5}, [[["A", "", "B", "A"]]]),
    Case("Hashing", {"num_bins": 1000}, ["one", 7]),
    Case("Hashing", {"num_bins": 2**31 - 1}, [[["w" * n] for n in range(70)]]),
    *(Case("HashedCrossing", {"num_bins": 5, **more}, [
        [["A", "B", "A", "B", "A"], [101, 101, 101, 102, 102]], [[["A"], ["B"]], [["x"], ["y"]]], [[1, 2], [3, -4]],
        [["a", "b"], ["c", "d"], [1, 2]]]) for more in ({}, {"output_mode": "one_hot"})),
    Case("HashedCrossing", {"num_bins": 2**31 - 1}, [[["A", "é"], [2**40, -1]], ["x", "y"], [3, 4]]),
]
LOOKUP = [
    lookup([MANY, WORDS, "b", "q"], vocabulary=ABC),
    lookup([MANY], vocabulary=ABC, mask_token=""),
    lookup([MANY], vocabulary=["", "[UNK]", *ABC], mask_token=""),
    lookup([MANY], vocabulary=["[UNK]", *ABC]),
    lookup([MANY], vocabulary=ABC, mask_token="", oov_token="?", num_oov_indices=3),
    lookup([MANY], vocabulary=ABC, num_oov_indices=4, salt=7),
    lookup([MANY], vocabulary=ABC, num_oov_indices=4, salt=[7, 8]),
    lookup([[["a", "b"]]], vocabulary=ABC, num_oov_indices=0),
    lookup([[["a", ""]]], vocabulary=ABC, num_oov_indices=0, mask_token=""),
    lookup([[[1, 2, 3], [0, 9, -1]]], vocabulary=ABC, invert=True),
    lookup([[[1, 2, 3], [0, 9, -1]]], vocabulary=ABC, invert=True, mask_token="", oov_token="?"),
    lookup([[[1, 2, 3], [0, 9, 4]]], vocabulary=ABC, invert=True, num_oov_indices=2),
    *(lookup([MANY, [["a"], ["q"]], ["a", "b", "b"], "a"], vocabulary=ABC, output_mode=mode) for mode in MODES),
    *(lookup([MANY], vocabulary=ABC, output_mode=mode, mask_token="", num_oov_indices=2) for mode in MODES),
    *(lookup([MANY], vocabulary=ABC, output_mode=mode, max_tokens=7, pad_to_max_tokens=True) for mode in MODES),
    lookup([MANY], vocabulary=ABC, output_mode="tf_idf", idf_weights=[0.25, 0.75, 0.5]),
    lookup([MANY], vocabulary=["[UNK]", *ABC], output_mode="tf_idf", idf_weights=[0.9, 0.25, 0.75, 0.5]),
    lookup([MANY], vocabulary=ABC, output_mode="tf_idf", idf_weights=[0.25, 0.75, 0.5], max_tokens=6,
           pad_to_max_tokens=True),
    lookup([MANY], adapt=WORDS),
    lookup([MANY], adapt=MANY, mask_token=""),
    lookup([MANY], adapt=MANY, mask_token="", max_tokens=4),
    lookup([MANY], adapt=MANY, oov_token="a", num_oov_indices=2),
    lookup([MANY], adapt=MANY, output_mode="tf_idf"),
    lookup([MANY], adapt=WORDS, output_mode="tf_idf", max_tokens=8, pad_to_max_tokens=True, mask_token=""),
    *(lookup([MANY], adapt=MANY, output_mode=mode, max_tokens=3) for mode in MODES),
    integers([INTS, [3, 4], 3], vocabulary=[3, 1, 12]),
    integers([INTS], vocabulary=[3, 1, 12], mask_token=0, oov_token=-1),
    integers([[[0, 3], [5, 1]]], vocabulary=[0, -1, 3, 1, 12], mask_token=0),
    integers([INTS], vocabulary=[3, 1, 12], num_oov_indices=3),
    integers([INTS], vocabulary=[3, 1, 12], num_oov_indices=3, oov_method="farmhash"),
    integers([INTS], vocabulary=[3, 1, 12], num_oov_indices=3, oov_method="farmhash", salt=9),
    integers([[[0, 1], [2, 9]]], vocabulary=[3, 1, 12], invert=True),
    integers([[[0, 1], [2, 9]]], vocabulary=[3, 1, 12], invert=True, mask_token=0, oov_token=-7),
    *(integers([INTS, [[3], [2]], [3, 3, 1], 3], vocabulary=[3, 1, 12], output_mode=mode) for mode in MODES),
    integers([INTS], vocabulary=[3, 1, 12], output_mode="tf_idf", idf_weights=[0.5, 1.5, 2.0]),
    integers([INTS], adapt=INTS),
    integers([INTS], adapt=[1, 1, 2, 3, 3, 3, 0], mask_token=0, max_tokens=4),
    integers([INTS], adapt=INTS, output_mode="tf_idf", mask_token=1),
    integers([[[2**40, 5]]], vocabulary=[5, 2**40]),
    integers([[[3.0, 1.0], [7.0, -2.0]]], adapt=[3.0, 3.0, 1.0]),
    lookup([[[1.0, 3.0]]], vocabulary=ABC, invert=True),
]
VECTORIZE = [
    texts([TEXTS, [[t] for t in TEXTS]], adapt=TEXTS),
    texts([TEXTS, SIGNS], adapt=TEXTS + SIGNS, output_sequence_length=4),
    texts([TEXTS], adapt=TEXTS, output_sequence_length=12, max_tokens=6),
    *(texts([TEXTS, SIGNS], adapt=TEXTS + SIGNS, standardize=standardize, split=split)
      for standardize in (None, "lower", "strip_punctuation", "lower_and_strip_punctuation")
      for split in ("whitespace", "character")),
    texts([TEXTS], adapt=TEXTS, split=None),
    texts([[[t, "a"] for t in TEXTS]], adapt=TEXTS, split=None, output_sequence_length=3),
    texts([TEXTS], adapt=TEXTS, ngrams=2),
    texts([TEXTS], adapt=TEXTS, ngrams=(1, 3), output_sequence_length=5),
    texts([TEXTS], adapt=TEXTS, ngrams=(2,), output_mode="count"),
    texts([TEXTS], vocabulary=["a", "the", "cat"]),
    texts([TEXTS], vocabulary=["", "[UNK]", "a", "the", "cat"], output_sequence_length=3),
    *(texts([TEXTS, [[t] for t in TEXTS]], adapt=TEXTS, output_mode=mode) for mode in (*MODES[1:], "tf_idf")),
    *(texts([TEXTS], adapt=TEXTS, output_mode=mode, max_tokens=30, pad_to_max_tokens=True)
      for mode in (*MODES[1:], "tf_idf")),
    texts([TEXTS], vocabulary=["a", "the", "cat"], output_mode="multi_hot", max_tokens=9, pad_to_max_tokens=True),
    texts([TEXTS], vocabulary=["a", "the", "cat"], output_mode="tf_idf", idf_weights=[0.5, 1.0, 2.0]),
    texts([TEXTS], adapt=TEXTS, output_mode="multi_hot", split="character", max_tokens=9),
    texts([[["a", "b"], ["b", "b"]], ["a", "b"]], vocabulary=["a", "b"], split=None, output_mode="count"),
    texts(["the cat"], vocabulary=["a", "the", "cat"]),
    texts(["the", ["a", "the"], [["a", "b", "the"]]], vocabulary=["a", "the", "cat"], split=None),
]
CASES = [*HASHING, *LOOKUP, *VECTORIZE]

FEATURES = {"f": "float", "m": "float_normalized", "r": "float_rescaled", "d": "float_discretized",
            "n": "integer_categorical", "s": "string_categorical", "i": "integer_hashed", "h": "string_hashed"}
TABLE = {
    "f": [0.5, 1.5, 2.5, -1.0, 0.0, 4.0], "m": [1.0, 2.0, 3.0, 4.0, 5.0, 9.0], "r": [3.0, 1.0, 2.0, 0.0, 5.0, 6.0],
    "d": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "n": [7, 7, 8, 9, 9, 9], "s": ["a", "b", "b", "c", "a", "a"],
    "i": [1, 2, 3, 4, 5, 6], "h": ["x", "y", "z", "x", "y", "w"],
}
