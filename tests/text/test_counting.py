"""Many texts at a time give what one text at a time gives: bytes that separate texts inside, words of any length."""

import random
from collections import Counter

import pytest

import kyeo
from kyeo.layers.text import counting

PUNCTUATION = b"!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"
LETTERS = [*"aabABI \t\n\v\f\r\x1c\x1f,.-'\0\x7f\x85\xa0éÉ日\u2028", "\udcff", "\udcc3", "  "]
RULES = (None, "lower", "strip_punctuation", "lower_and_strip_punctuation")


@pytest.fixture(params=(0, 1 << 60), ids=("in_slots", "one_by_one"), autouse=True)
def way(request, monkeypatch):
    monkeypatch.setattr(counting, "_LITTLE", request.param)


def made(seed):
    generator = random.Random(seed)
    texts = ["".join(generator.choices(LETTERS, k=generator.choice((0, 1, 40, 200)))) for _ in range(600)]
    texts += [" ".join("ab\0"[i % 3] * i for i in range(40)), *(f"w{i} W{i}" for i in range(3000)), " \n" * 40, ""]
    generator.shuffle(texts)
    return texts


def words_of(text, rule):
    text = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    text = text.lower() if rule and "lower" in rule else text
    return text.translate(None, PUNCTUATION if rule and "strip" in rule else b"").split()


@pytest.mark.parametrize("rule", RULES)
def test_counts_are_those_of_single_texts(rule):
    texts = made(0)
    as_bytes = [t.encode("utf-8", "surrogateescape") for t in texts]
    expected = Counter(word for text in texts for word in words_of(text, rule))
    for given in (texts, as_bytes, texts[::2] + as_bytes[1::2]):
        assert sum(counting.word_counts(given, rule), Counter()) == expected


@pytest.mark.parametrize("rule", RULES)
def test_adapt_orders_by_count_then_backwards(rule):
    texts = made(1)
    layer = kyeo.layers.TextVectorization(standardize=rule)
    layer.adapt(texts)
    counts = Counter(w.decode("utf-8", "surrogateescape") for text in texts for w in words_of(text, rule))
    expected = [w for w, _ in sorted(counts.items(), key=lambda pair: (pair[1], pair[0]), reverse=True)]
    assert layer.get_vocabulary(include_special_tokens=False) == expected
    rows = layer(texts).tolist()
    place = {word: i for i, word in enumerate(layer.get_vocabulary())}
    for text, row in zip(texts, rows):
        indices = [place[w.decode("utf-8", "surrogateescape")] for w in words_of(text, rule)]
        assert row == indices + [0] * (len(row) - len(indices))
