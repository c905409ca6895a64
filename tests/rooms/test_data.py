"""Data: kinds of input, order of rows, padding, workers, checks."""

import datetime
import itertools
import os
import threading
import time
import warnings
from contextlib import nullcontext
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

import kyeo
from kyeo.data import (
    PyDataset,
    as_source,
    check_binary_labels,
    check_labels,
    pack_x_y_sample_weight,
    pad_batch,
    train_validation_split,
    unpack_x_y_sample_weight,
)
from kyeo.data.iterable import IterableSource
from kyeo.train.feed import portions


def xs(source, epoch=0, start=0):
    return [np.asarray(x).ravel().tolist() for x, _, _ in source.batches(epoch, start)]


def flat(lists):
    return [v for part in lists for v in part]


# -- arrays
def test_unshuffled_batches_are_views():
    x = np.arange(10, dtype="float32").reshape(5, 2)
    source = as_source(x, batch_size=2)
    batches = [b[0] for b in source.batches(0)]
    assert [len(b) for b in batches] == [2, 2, 1]
    assert all(np.shares_memory(b, x) for b in batches)
    assert (source.num_batches, source.batch_size, source.num_rows) == (3, 2, 5)


@pytest.mark.parametrize("seeds", [(-1, -2), (2**63 + 5, 2**63 + 6), (2**64 - 1, 0)])
def test_large_and_negative_seeds_have_orders_of_their_own(seeds):
    sources = [as_source(np.arange(50), batch_size=50, shuffle=True, seed=seed) for seed in seeds]
    assert xs(sources[0]) != xs(sources[1])
    data = [kyeo.data.Dataset.from_tensor_slices(np.arange(50)).shuffle(50, seed=seed) for seed in seeds]
    assert [int(x) for x in data[0]] != [int(x) for x in data[1]]


@pytest.mark.parametrize(("dtype", "shuffle"), [("float32", True), ("float32", "batch"), ("float64", True), ("int64", False)])
def test_whole_epochs_are_those_of_one_by_one(dtype, shuffle):
    source = as_source(np.arange(26).reshape(13, 2).astype(dtype), np.arange(13), batch_size=4, shuffle=shuffle, seed=9)
    x, y, _ = source.whole_epochs(3, 2, 5)
    assert (x.shape, y.shape) == ((5, 4, 4, 2), (5, 4, 4))
    for i in range(2):
        (rows, labels, _), real = next(source.stacked(3 + i, 4))
        assert real == 13 and rows.dtype == x.dtype
        np.testing.assert_array_equal(x[i], rows)
        np.testing.assert_array_equal(y[i], labels)


def test_order_is_a_function_of_seed_and_epoch():
    def make(seed=3):
        return as_source(np.arange(50), np.arange(50) * 2, batch_size=8, shuffle=True, seed=seed)

    first = xs(make(), epoch=4)
    assert first == xs(make(), epoch=4)
    assert first != xs(make(), epoch=5) != xs(make(seed=4), epoch=5)
    assert sorted(flat(first)) == list(range(50))
    assert first[3:] == xs(make(), epoch=4, start=3)
    assert all((2 * x == y).all() for x, y, _ in make().batches(1))


def test_batch_shuffle_keeps_rows_in_their_batch():
    got = xs(as_source(np.arange(10), batch_size=4, shuffle="batch", seed=1))
    assert [sorted(b) for b in got] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert flat(got) != list(range(10))


@pytest.mark.parametrize("shuffle", [False, True, "batch"])
@pytest.mark.parametrize("start", [0, 1, 3, 5])
def test_groups_are_the_batches_stacked(shuffle, start):
    source = as_source({"a": np.arange(23), "b": np.ones((23, 2, 3))}, np.arange(23), batch_size=4,
                       shuffle=shuffle)
    batches = list(source.batches(2, start))
    groups = list(source.groups(2, 3, start))
    unstacked = [{k: v[i] for k, v in x.items()} for (x, _, _), n in groups for i in range(n)]
    assert sum(n for _, n in groups) == len(batches)
    for got, (want, _, _) in zip(unstacked, batches):
        assert all((got[k] == want[k]).all() for k in want)
    (last_x, _, _), count = groups[-1]
    assert count == 1 and last_x["b"].shape == (1, 3, 2, 3)  # the partial batch stands alone


@pytest.mark.parametrize("shuffle", [False, True, "batch"])
@pytest.mark.parametrize(("rows", "steps"), [(23, None), (24, None), (23, 4)])
def test_the_quick_way_to_stacked_batches_gives_what_the_general_one_gives(shuffle, rows, steps, monkeypatch):
    source = as_source({"a": np.arange(rows), "b": np.ones((rows, 2))}, np.arange(rows), batch_size=4,
                       shuffle=shuffle, steps=steps)
    padded, kinds = rows % 4 != 0, [(epoch, size, start) for epoch in (0, 1) for size in (3, 6) for start in (0, 1)]

    def seen():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the second epoch of 4 steps is short
            return [portion for epoch, size, start in kinds for portion in portions(source, epoch, size, padded, start)]

    quick = seen()
    monkeypatch.setattr(type(source), "stacked", lambda *_: None)
    general = seen()
    assert [(p.steps, p.data[0]["b"].shape) for p in quick] == [(p.steps, p.data[0]["b"].shape) for p in general]
    for one, other in zip(quick, general):
        real = np.arange(one.data[1].shape[0]) < one.steps
        if padded:
            assert (one.rows == other.rows).all()
            real = one.rows > 0
        assert (one.data[0]["a"] == one.data[1]).all() and (one.data[1][real] == other.data[1][real]).all()
        assert set(np.ravel(one.data[1])) <= set(np.ravel(one.data[1][real]))  # what fills up are real rows again


def test_steps_go_on_over_epochs_as_in_keras():
    source = as_source(np.arange(10), batch_size=2, steps=2)
    assert (xs(source, 0), xs(source, 1)) == ([[0, 1], [2, 3]], [[4, 5], [6, 7]])
    with pytest.warns(UserWarning, match="1 of 2 batches"):
        assert xs(source, 2) == [[8, 9]]
    assert xs(source, 3) == [[0, 1], [2, 3]]
    assert as_source(np.arange(10), steps=3).batch_size == 4
    late = as_source(np.arange(10), batch_size=2, steps=2)
    late.first_epoch = 3  # fit(initial_epoch=3): the data begins with it
    assert [b[0].tolist() for b in late.batches(3)] == [[0, 1], [2, 3]]


def test_number_types():
    x, y = np.zeros((4, 2)), np.array([1, 2, 3, 4])
    bx, by, _ = next(as_source(x, y, batch_size=2).batches(0))
    assert (bx.dtype, by.dtype) == (np.float32, np.int32)
    for dtype in ("uint8", "int32", "bool", "int16"):
        assert next(as_source(x.astype(dtype)).batches(0))[0].dtype == dtype
    with pytest.raises(OverflowError, match=r"x\['id'\].*32 bits(.|\n)*8589934597"):
        as_source({"id": np.array([1, 2**33 + 5])})
    with pytest.raises(OverflowError):
        next(as_source(iter([(np.array([2**40]),)])).batches(0))


def test_any_memory_layout_gathers_the_right_rows():
    base = np.arange(24.0).reshape(6, 4)
    for x in (base, np.asfortranarray(base), base[::-1], base[:, ::2], base.astype(">f4")):
        source = as_source(x, batch_size=4, shuffle=True, seed=9)
        order = np.random.Generator(np.random.Philox(key=[9, 0])).permutation(6)
        assert np.array_equal(np.concatenate([b[0] for b in source.batches(0)]), x[order])


@pytest.mark.parametrize("x", [
    [1.0, 2.0, 3.0], [[1], [2], [3]], jnp.arange(3), (np.arange(3), jnp.ones((3, 2))), {"a": [1, 2, 3]},
    [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
])
def test_kinds_of_arrays(x):
    source = as_source(x)
    assert source.num_rows == 3
    assert len(list(source.batches(0))) == 1


def test_tables():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": [3, 4]})
    x, y, _ = next(as_source(frame, frame["b"]).batches(0))
    assert x.shape == (2, 2) and x.dtype == np.float32
    assert y.shape == (2, 1)  # a column is a table of width one, as in Keras
    frame["c"] = ["u", "v"]
    with pytest.raises(TypeError, match=r"`x` does not hold numbers \(columns: c\)"):
        as_source(frame)


def test_sparse_rows_become_dense():
    sparse = pytest.importorskip("scipy.sparse").random(7, 5, 0.5, format="coo", dtype="float32")
    got = np.concatenate([x for x, _, _ in as_source(sparse, batch_size=3).batches(0)])
    assert np.array_equal(got, sparse.toarray())
    (x, _, _), _ = next(as_source(sparse, batch_size=3, shuffle=True).groups(0, 2))
    assert x.shape == (2, 3, 5)


@pytest.mark.parametrize("x, y, kind, message", [
    (np.array(["a", "b"]), None, TypeError, "`x` does not hold numbers"),
    ({"t": np.array([object()])}, None, TypeError, r"`x\['t'\]`"),
    (np.zeros(4), np.zeros(5), ValueError, "x: 4, y: 5"),
    ([np.zeros(4), np.zeros(3)], None, ValueError, r"x\[0\]: 4, x\[1\]: 3"),
    ([[1, 2], [3]], None, ValueError, "different lengths"),
    (np.float32(3), None, ValueError, "row axis"),
    (np.zeros((0, 3)), None, ValueError, "no rows"),
    ("text", None, TypeError, "cannot be used as data"),
    (None, None, TypeError, "cannot be used as data"),
    (iter([]), np.zeros(3), ValueError, "`y` cannot be passed beside a generator"),
    (range(3), np.zeros(3), ValueError, r"np\.array\(list\(x\)\)"),
    ([object()], None, TypeError, r"`x\[0\]` cannot be used"),
    (np.ma.masked_array([1.0, 2.0], [False, True]), None, TypeError, r"(?s)1 of its values masked.*x\.filled\(0\)"),
    (np.zeros(2), {"a": np.ma.masked_array([1, 2], [False, True])}, TypeError, r"`y\['a'\]` has masked values"),
    (np.zeros(2, [("a", "f4"), ("b", "f4")]), None, TypeError, "structured_to_unstructured"),
    (np.array([[1], [2, 3], None], object)[:2], None, TypeError, r"np\.stack\(list\(x\)\)"),
    (np.array([1.0, "a"], object), None, TypeError, "(?s)objects such as 'a'.*turn text into integers"),
    (np.array([1, None], object), None, TypeError, "(?s)objects such as None.*fill them in"),
    (np.array([datetime.date(2020, 1, 1)]), None, TypeError, "turn times into numbers"),
    (np.zeros(2, "M8[D]"), None, TypeError, "turn times into numbers"),
    (np.array(["a", "b"], np.dtypes.StringDType()), None, TypeError, "turn text into integers"),
    (np.zeros(2), np.zeros(2, "c8"), TypeError, "(?s)`y` does not hold numbers.*real and imaginary"),
])
def test_bad_data(x, y, kind, message):
    with pytest.raises(kind, match=message):
        as_source(x, y)


# -- weights
@pytest.mark.parametrize("y", [
    np.array([0, 1, 2, 1]), np.array([[0], [1], [2], [1]]), np.eye(3)[[0, 1, 2, 1]],
    np.array([0.0, 1.0, 2.0, 1.0]),
])
def test_class_weight_multiplies(y):
    class_weight = {0: 1.0, 1: 5.0, 2: 0.5}
    expected = np.array([1, 5, 0.5, 5], "float32")
    _, _, weight = next(as_source(np.zeros(4), y, class_weight=class_weight).batches(0))
    assert np.array_equal(weight, expected) and weight.dtype == np.float32
    given = np.array([2.0, 1.0, 1.0, 3.0])
    _, _, weight = next(as_source(np.zeros(4), y, given, class_weight=class_weight).batches(0))
    assert np.array_equal(weight, expected * given)
    _, _, weight = next(as_source(iter([(np.zeros(4), y, given)]), class_weight=class_weight).batches(0))
    assert np.array_equal(weight, expected * given)


def test_class_weight_mistakes():
    x, y = np.zeros(4), np.array([0, 1, 0, 2])
    with pytest.warns(UserWarning, match=r"no weight for class \[2\]"):
        source = as_source(x, y, class_weight={0: 1, 1: 2})
    assert next(source.batches(0))[2].tolist() == [1, 2, 1, 1]
    with pytest.raises(ValueError, match=r"classes \[7\]"):
        as_source(x, y, class_weight={0: 1, 1: 2, 7: 3})
    source = as_source(x, y, class_weight={0: 1, 1: 2, 2: 1, 7: 3})  # as where a fold lacks a rare class
    assert next(source.batches(0))[2].tolist() == [1, 2, 1, 1]
    with pytest.raises(ValueError, match="several outputs"):
        as_source(x, (y, y), class_weight={0: 1, 1: 2, 2: 1})
    for wrong, fix in [([1, 2], "class_weight={0"), ("balanced", "np.bincount"), ({0: "a", 1: 2}, "a number for each")]:
        with pytest.raises(TypeError, match=fix):
            as_source(x, y, class_weight=wrong)
    with pytest.raises(ValueError, match="int\\(label\\)"):
        as_source(x, y, class_weight={"0": 1, "1": 2, "2": 3})  # as JSON gives them
    assert next(as_source(x, y, class_weight={}).batches(0))[2] is None
    one_source = as_source(iter([(x, y)] * 3), class_weight={0: 1})
    with pytest.warns(UserWarning) as told:
        list(one_source.batches(0))
    assert len(told) == 1


def test_weights_of_several_outputs():
    x, y = np.zeros(2), {"a": np.array([0, 1]), "b": np.array([1, 1])}
    _, _, weight = next(as_source(x, y, np.array([1.0, 2.0])).batches(0))
    assert weight["a"].tolist() == weight["b"].tolist() == [1, 2]
    _, _, weight = next(as_source(x, y, class_weight={"a": {0: 3.0, 1: 4.0}}).batches(0))
    assert (weight["a"].tolist(), weight["b"].tolist()) == ([3, 4], [1, 1])
    with pytest.raises(ValueError, match="does not match the outputs"):
        as_source(x, y, {"a": np.ones(2), "c": np.ones(2)})


# -- splitting and padding
def test_validation_split_takes_the_last_rows():
    x = np.arange(10.0)
    (rest, y, none), (held, held_y, _) = train_validation_split((x, [x, x], None), 0.25)
    assert rest.tolist() == list(range(7)) and held.tolist() == [7, 8, 9] and none is None
    assert np.shares_memory(held, x) and len(y[1]) == 7 and len(held_y[0]) == 3
    with pytest.raises(ValueError, match="too few"):
        train_validation_split((np.zeros(1), None, None), 0.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        train_validation_split((x, None, None), 1.5)
    with pytest.raises(ValueError, match="needs arrays"):
        train_validation_split((iter([]), None, None), 0.5)


@pytest.mark.parametrize("encode", [
    lambda y: y, lambda y: np.eye(10)[y], lambda y: y[:, None].astype("float32"),
])
def test_sorted_labels_warn_and_shuffled_do_not(encode):
    y = np.repeat(np.arange(10), 100)
    with pytest.warns(UserWarning, match="looks sorted"):
        train_validation_split((y, encode(y), None), 0.1)
    mixed = np.random.default_rng(0).permutation(y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train_validation_split((y, encode(mixed), None), 0.1)
        train_validation_split((y, np.random.default_rng(0).normal(size=1000), None), 0.1)


def test_padding_repeats_the_first_row():
    batch = ({"a": np.array([[1, 2], [3, 4]])}, jnp.array([7, 8]), None)
    (x, y, weight), real = pad_batch(batch, 5)
    assert x["a"].tolist() == [[1, 2], [3, 4], [1, 2], [1, 2], [1, 2]]
    assert np.asarray(y).tolist() == [7, 8, 7, 7, 7] and weight is None and real == 2
    same, real = pad_batch(batch, 2)
    assert same is batch and real == 2
    with pytest.raises(ValueError):
        pad_batch(batch, 1)


# -- generators and other iterables
def numbers(n):
    for i in range(n):
        yield np.array([i]), np.array([i])


def test_a_generator_goes_on_over_epochs():
    source = as_source(numbers(5), steps=2)
    assert source.num_batches == 2
    assert np.asarray(source.peek()[0]).tolist() == [0]
    assert (xs(source, 0), xs(source, 1)) == ([[0], [1]], [[2], [3]])
    with pytest.warns(UserWarning, match="ran out"):
        assert xs(source, 2) == [[4]]


def test_a_generator_without_steps_gives_one_epoch():
    source = as_source(numbers(3))
    assert source.num_batches is None and xs(source, 0) == [[0], [1], [2]]
    with pytest.warns(UserWarning, match="ran out"):
        assert xs(source, 1) == []


class Again:
    """An iterable that can be started again."""

    def __iter__(self):
        return numbers(4)


def test_an_iterable_starts_again():
    source = as_source(Again())
    source.peek()
    assert xs(source, 0) == xs(source, 1) == [[0], [1], [2], [3]]
    assert source.num_batches == 4
    assert xs(source, 2, start=3) == [[3]]
    first = next(source.batches(3))  # left in the middle
    assert first[0] == 0 and len(xs(source, 4)) == 4


def test_an_iterable_with_steps_goes_on_and_wraps():
    source = as_source(Again(), steps=2)
    got = [xs(source, e) for e in range(4)]
    assert got == [[[0], [1]], [[2], [3]]] * 2


def test_a_validation_of_some_batches_begins_anew():
    source = as_source(Again(), steps=3)
    assert [xs(source, 0) for _ in range(3)] == [[[0], [1], [2]]] * 3  # one epoch, asked for again
    later = as_source(Again(), steps=3)
    later.restore(source.state(), 0)
    assert xs(later, 0) == [[0], [1], [2]]


class Stream:
    """A stream of Hugging Face: a state it was given counts for each pass, until it is given none."""

    __module__ = "datasets.iterable_dataset"

    def __init__(self):
        self.begin = self.at = 0

    def __iter__(self):
        self.at = self.begin
        while self.at < 4:
            self.at += 1
            yield np.array([self.at - 1]), np.array([0])

    def state_dict(self):
        return {"at": self.at}

    def load_state_dict(self, state):
        self.begin = state["at"] if state else 0


class Own(Stream):
    """Inside a class of the user's own it cannot be known."""


@pytest.mark.parametrize(("kind", "second"), [(Stream, [[0], [1], [2], [3]]), (Own, [[1], [2], [3]])])
def test_a_stream_that_is_resumed_loses_no_rows_unseen(kind, second):
    first, later = as_source(kind()), as_source(kind())
    assert [x.tolist() for x, _, _ in itertools.islice(first.batches(0), 1)] == [[0]]
    later.restore(first.state(), 1)
    assert xs(later, 0, start=1) == [[1], [2], [3]]
    with pytest.warns(UserWarning, match="gave 3 batches, the one before 4") if kind is Own else nullcontext():
        assert xs(later, 1) == second


def test_a_filtered_data_set_with_steps_goes_on_too():
    data = kyeo.data.Dataset.from_tensor_slices(np.arange(6)).filter(lambda x: x != 4).batch(1)
    source = as_source(data, steps=2)
    with pytest.warns(UserWarning, match="1 of 2 batches"):
        assert [xs(source, e) for e in range(4)] == [[[0], [1]], [[2], [3]], [[5]], [[0], [1]]]
    assert [xs(as_source(data, steps=2)), xs(source, 3)] == [[[0], [1]]] * 2  # nothing is left of the one before
    later = as_source(data, steps=2)
    source = as_source(data, steps=2)
    assert xs(source, 0) == [[0], [1]]
    later.restore(source.state(), 0)
    assert xs(later, 1) == [[2], [3]]


def test_parts_of_a_batch():
    for data, want in [(np.zeros(2), 1), ((np.zeros(2),), 1), ([np.zeros(2), np.ones(2)], 2),
                       ((np.zeros(2), np.ones(2), np.ones(2)), 3)]:
        (batch,) = as_source(iter([data])).batches(0)
        assert sum(part is not None for part in batch) == want
    with pytest.raises(ValueError, match="4 parts"):
        list(as_source(iter([(1, 2, 3, 4)])).batches(0))
    with pytest.raises(ValueError, match=r"(?s)in a batch of the generator.*not single samples"):
        list(as_source(iter([(np.zeros(2), np.zeros(1))])).batches(0))
    with pytest.raises(ValueError, match="yields nothing"):
        as_source(iter([])).peek()
    jax_batch = jnp.ones((2, 3))
    assert next(as_source(iter([(jax_batch,)])).batches(0))[0] is jax_batch


def test_groups_of_an_iterable():
    shapes = [(4, 2)] * 5 + [(3, 2)]
    source = as_source(iter([(np.zeros(s),) for s in shapes]))
    assert [(x.shape, n) for (x, _, _), n in source.groups(0, 2)] == [
        ((2, 4, 2), 2), ((2, 4, 2), 2), ((1, 4, 2), 1), ((1, 3, 2), 1)]


@pytest.mark.parametrize("data", [(1,), (1, 2), (1, 2, 3)])
def test_packing_is_the_inverse_of_unpacking(data):
    packed = pack_x_y_sample_weight(*unpack_x_y_sample_weight(data))
    assert unpack_x_y_sample_weight(packed) == unpack_x_y_sample_weight(data)


# -- PyDataset
class Counting(PyDataset):
    def __init__(self, n=12, bad=None, **kwargs):
        super().__init__(**kwargs)
        self.n, self.bad, self.offset = n, bad, 0

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        if index == self.bad:
            raise KeyError("planted")
        time.sleep(0.001 * (index % 3))
        return np.array([index + self.offset, os.getpid()], "int64") % 2**31, np.array([index, index])

    def on_epoch_end(self):
        self.offset += 100


class Logged(Counting):
    """Knows which batches were read."""

    def __init__(self, n, **kwargs):
        super().__init__(n, **kwargs)
        self.read = []

    def __getitem__(self, index):
        self.read.append(index)
        return super().__getitem__(index)


def seen(source, epoch=0, start=0):
    return [int(x[0]) for x, _, _ in source.batches(epoch, start)]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_threads_keep_the_order(workers):
    def make(**kwargs):
        return as_source(Counting(workers=workers, max_queue_size=4), **kwargs)

    assert seen(make()) == list(range(12))
    shuffled = seen(make(shuffle=True, seed=5), epoch=2)
    assert sorted(shuffled) == list(range(12)) and shuffled != list(range(12))
    assert shuffled == seen(as_source(Counting(workers=0), shuffle=True, seed=5), epoch=2)
    assert shuffled[5:] == seen(make(shuffle=True, seed=5), epoch=2, start=5)
    steps = make(steps=8)
    assert seen(steps) == list(range(8))
    with pytest.warns(UserWarning, match="4 of 8"):
        assert seen(steps, 1) == [8, 9, 10, 11]


@pytest.mark.parametrize("workers", [0, 3])
def test_an_exception_names_its_batch(workers):
    source = as_source(Counting(bad=7, workers=workers))
    got = []
    with pytest.raises(KeyError, match="planted") as caught:
        got.extend(int(x[0]) for x, _, _ in source.batches(0))
    assert got == list(range(7))
    assert "batch 7 of the PyDataset" in caught.value.__notes__[0]
    source.close()


def test_processes_are_spawned_and_follow_changes():
    source = as_source(Counting(5, workers=2, use_multiprocessing=True))
    batches = list(source.batches(0))
    assert [int(x[0]) for x, _, _ in batches] == list(range(5))
    assert os.getpid() not in {int(x[1]) for x, _, _ in batches}
    source.on_epoch_end()  # changes the data set: the workers must see it
    assert seen(source, 1) == [100, 101, 102, 103, 104]
    source._dataset.bad = 2
    with pytest.raises(KeyError) as caught:
        seen(source, 2)
    assert "batch 2" in "".join(caught.value.__notes__)
    source.close()


def test_a_data_set_that_cannot_be_pickled():
    dataset = Counting(workers=1, use_multiprocessing=True)
    dataset.function = lambda: 0
    with pytest.raises(TypeError, match="use threads"):
        seen(as_source(dataset))


def test_leaving_early_reads_no_further():
    data = Logged(200, workers=2, max_queue_size=3)
    source = as_source(data)
    for x, _, _ in source.batches(0):
        if x[0] == 5:
            break
    source.close()
    assert len(data.read) < 20


def test_the_first_batch_is_read_once_for_shapes():
    data = Logged(3)
    source = as_source(data)
    assert source.peek() is source.peek() and seen(source) == [0, 1, 2] and data.read == [0, 0, 1, 2]


def test_workers_of_validation_end_with_the_training():
    made = []

    class Pooled(PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            made.append(threading.current_thread())
            return np.ones((2, 1)), np.ones((2, 1))

    model = kyeo.Sequential([kyeo.Input((1,)), kyeo.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.keep = Pooled(workers=2)
    with pytest.raises(ZeroDivisionError) as kept:  # its traceback holds the source
        model.fit(np.ones((4, 1)), np.ones((4, 1)), validation_data=model.keep, verbose=0,
                  callbacks=[kyeo.callbacks.LambdaCallback(on_test_end=lambda logs: 1 / 0)])
    for thread in {*made} - {threading.main_thread()}:
        thread.join(5)
        assert not thread.is_alive(), kept


def test_a_data_set_without_an_end():
    class Endless(PyDataset):
        num_batches = None

        def __getitem__(self, index):
            return np.array([index])

    assert [seen(as_source(Endless(workers=2), steps=3), e) for e in range(2)] == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ValueError, match="steps_per_epoch"):
        as_source(Endless())
    class Unsaid(PyDataset):  # a loop goes on until it is left; a training must know
        def __getitem__(self, index):
            return index

    assert [batch for batch, _ in zip(Unsaid(), range(3))] == [0, 1, 2]
    with pytest.raises(NotImplementedError, match="how many batches"):
        as_source(Unsaid())


def test_a_constructor_that_forgets_super():
    class Forgetful(PyDataset):
        def __init__(self):
            self.n = 2

        def __len__(self):
            return self.n

        def __getitem__(self, index):
            return np.array([index])

    assert seen(as_source(Forgetful())) == [0, 1]
    assert [b.tolist() for b in Forgetful()] == [[0], [1]]
    with pytest.raises(NotImplementedError):
        as_source(PyDataset())


# -- checks
@pytest.mark.parametrize("labels, message", [
    ([1, 10], "labels run 1..10 for 10 classes(.|\n)*subtract 1"),
    ([-1, 3], "ignore_class=-1"), ([0, 11], "12 units"), ([-5, 3], "negative"), ([0.0, np.nan], "NaN"),
])
def test_labels_out_of_range(labels, message):
    with pytest.raises(ValueError, match=message):
        check_labels(np.array(labels), 10)
    check_labels(np.array([0, 9]), 10)
    check_labels(np.array([0, 9, 255]), 10, ignore_class=255)
    check_labels(np.array([]), 10)


@pytest.mark.parametrize("labels, message", [
    ([1, 2], "use y - 1"), ([-1, 1], r"\(y \+ 1\) / 2"), ([0, np.nan], "NaN"), ([0, 7], "map two classes"),
])
def test_binary_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        check_binary_labels(np.array(labels))
    check_binary_labels(np.array([0.0, 0.3, 1.0]))
    check_binary_labels(np.array([True, False]))


@pytest.mark.parametrize(("y", "warns"), [
    (np.linspace(0, 9, 40), 1), (np.linspace(5, -1, 40)[:, None], 1), (np.linspace(0.5, 9, 8), 0), (np.full(40, 0.5), 0),
    (np.sin(np.arange(40.0)), 0), (np.linspace(0.5, 9, 80).reshape(40, 2), 0),
])
def test_values_in_order_are_noticed_when_they_are_split(y, warns):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train_validation_split((np.zeros(len(y)), y, None), 0.25)
    assert ["looks sorted: values" in str(w.message) for w in caught] == [True] * warns


class Series:
    """A column as tables have it: each row is a number, or an array of a fixed size."""

    def __init__(self, rows):
        self.rows = rows

    def to_numpy(self):
        return np.array(self.rows)


@pytest.mark.parametrize(("column", "shape"), [(Series([1.0, 2.0]), (2, 1)), (Series([[1.0, 2.0, 3.0]] * 2), (2, 3))])
def test_a_column_is_a_table(column, shape):
    assert next(as_source(np.zeros((2, 1)), column).batches(epoch=0))[1].shape == shape


class Bools:
    """An array of pyarrow, which copies by `__array__` only."""

    __module__ = "pyarrow.lib"

    def to_numpy(self):
        raise ValueError("Zero copy conversions not possible with boolean types")

    def __array__(self, dtype=None, copy=None):
        return np.array([True, False])


class Tensor:
    """As torch's; NumPy has no type for it."""

    dtype = "torch.bfloat16"

    def detach(self):
        return self

    cpu = detach

    def float(self):
        return np.ones((2, 1), "float32")

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Got unsupported ScalarType BFloat16")


class Sparse(Tensor):
    dtype = "torch.float32"

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Use Tensor.to_dense() first")


class Picture:
    """As Pillow's."""

    __array_interface__ = None  # type: ignore[assignment]

    def __repr__(self):
        return "<Picture at 0x7F12ABCD>"


class Lazy:
    def collect(self):
        return self


class Samples:
    """Single samples by their number."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return np.ones(3), 1


@pytest.mark.parametrize(("x", "shape"), [
    (Bools(), (2,)), (Tensor(), (2, 1)), (np.array([1 + 2j, 3]), (2,)), (np.ma.masked_array([1.0, 2.0]), (2,)),
])
def test_arrays_of_other_libraries(x, shape):
    (array, _, _) = next(as_source(x).batches(epoch=0))
    assert array.shape == shape and array.dtype in ("bool", "float32", "complex64")


@pytest.mark.parametrize(("x", "message"), [
    (Sparse(), "(?s)`x` cannot be turned into an array.*Use Tensor.to_dense"),
    ([Picture()], "(?s)`x.0.` cannot be used as data.*Received: <Picture>.*np.stack"),
    (Picture(), r"np\.asarray\(x\)\[None\]"), (Lazy(), r"pass x\.collect\(\)"), (Samples(), "DataLoader"),
])
def test_what_is_not_an_array_is_told_how_to_become_one(x, message):
    with pytest.raises(TypeError, match=message):
        as_source(x)


@pytest.mark.parametrize("x", [
    np.array([[1.0, 2.0]], ">f4"), np.array([[1.0, 2]], object), np.array([[1.0, 2.0]], np.longdouble), np.asfortranarray([[1.0, 2.0]]),
])
def test_layers_take_arrays_of_any_layout(x):
    assert kyeo.layers.Rescaling(2.0)(x).tolist() == [[2.0, 4.0]]


def test_layers_take_tensors_of_torch_and_no_masked_values():
    assert kyeo.layers.Rescaling(2.0)(Tensor()).tolist() == [[2.0], [2.0]]
    for take in (kyeo.layers.Rescaling(2.0), kyeo.layers.Normalization().adapt):
        with pytest.raises(TypeError, match="masked values"):
            take(np.ma.masked_array([[1.0, 2.0]], [[False, True]]))


class Kind:
    """A type of a column as polars has it."""

    def __init__(self, name):
        self.name = name

    def __str__(self):
        return self.name

    def is_numeric(self):
        return self.name.startswith(("Int", "Float"))

    def is_nested(self):
        return self.name == "List"

    def is_temporal(self):
        return self.name == "Date"


class _ArrowSchema:
    def __init__(self, **types):
        self.names, self.types = list(types), list(types.values())


class Table:
    """A table as polars and pyarrow have it, by the types of its columns; `gaps` is how many its first has."""

    def __init__(self, schema, gaps=0):
        self.schema = schema
        names = list(getattr(schema, "names", schema))
        self.by_name = {name: SimpleNamespace(null_count=gaps * (name == names[0])) for name in names}
        self.columns = [*self.by_name.values()] if isinstance(schema, _ArrowSchema) else names

    def __getitem__(self, name):
        return self.by_name[name]

    def to_numpy(self):
        return np.zeros((2, 3))  # polars makes numbers of dates without a word

    __array__ = to_numpy


@pytest.mark.parametrize(("table", "columns"), [
    (Table({"a": Kind("Int64"), "b": Kind("Boolean"), "c": Kind("Float32")}), None),
    (Table({"a": Kind("Int64"), "when": Kind("Date"), "who": Kind("String")}), "when, who"),
    (Table(_ArrowSchema(a="int64", b="bool", c="double")), None),
    (Table(_ArrowSchema(a="int64", when="timestamp[us]", who="dictionary<values=string, indices=int8>")), "when, who"),
])
def test_columns_that_hold_no_numbers(table, columns):
    if columns is None:
        assert next(as_source(table).batches(epoch=0))[0].shape == (2, 3)
    else:
        with pytest.raises(TypeError, match=rf"`x` does not hold numbers \(columns: {columns}\)"):
            as_source(table)


@pytest.mark.parametrize("table", [
    Table({"a": Kind("Int64"), "c": Kind("Float32")}, gaps=1), Table({"a": Kind("Boolean")}, gaps=2),
    Table(_ArrowSchema(a="int64", c="double"), gaps=1), Table({"c": Kind("Float32"), "a": Kind("Int64")}, gaps=1),
])
def test_gaps_in_columns_of_integers(table):
    if next(iter(table.by_name)) == "c":  # of floats: they are NaN
        assert next(as_source(table).batches(epoch=0))[0].shape == (2, 3)
        return
    with pytest.raises(ValueError, match=r"(?s)missing values.*columns \['a'\].*fill_null"):
        as_source(table)


class Column:
    """A column of a data set of Hugging Face: a sequence that reads its rows when they are asked for."""

    __module__ = "datasets.arrow_dataset"

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, at):
        return self.rows[at]

    def __iter__(self):
        return iter(self.rows)


@pytest.mark.parametrize("x", [Column([[1.0, 2.0], [3.0, 4.0]]), Column(np.ones((2, 2))), {"a": Column([[1], [2]])}])
def test_columns_read_late(x):
    inputs, labels, _ = next(as_source(x, Column([0, 1])).batches(epoch=0))
    (array,) = inputs.values() if isinstance(inputs, dict) else [inputs]
    assert array.shape[0] == 2 and array.ndim == 2 and labels.tolist() == [0, 1]


@pytest.mark.parametrize("padded", [False, True])
def test_a_generator_is_read_no_further_than_its_batches_are_used(padded):
    """A checkpoint between two dispatches tells how far it was read, and training goes on from there."""
    read = []

    def batches():
        while True:
            read.append(1)
            yield np.ones((4, 2), "float32"), np.ones((4, 1), "float32")

    source, used = IterableSource(batches(), steps=8, batch_size=4), 0
    for portion in portions(source, 0, 3, padded):
        used += portion.steps
        assert len(read) == used
    assert used == 8


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("padded", [False, True])
def test_a_generator_of_uneven_batches_tells_what_was_used_of_it(padded, size):
    """One of another shape is read before the steps on those before it: training that goes on there reads it again."""
    rows = [4, 4, 3, 4, 1, 4, 4, 4, 2]
    source, used = IterableSource(((np.ones((n, 2)), np.ones((n, 1))) for n in rows), steps=9, batch_size=4), 0
    for portion in portions(source, 0, size, padded):
        used += portion.steps
        assert source.state()["passes"] == [[used, False]]
    assert used == 9
    stopped = IterableSource(((np.ones((n, 2)), np.ones((n, 1))) for n in rows), steps=9, batch_size=4)
    for _ in portions(stopped, 0, size, padded):
        break
    assert stopped.ahead == 0
