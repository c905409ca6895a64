"""Files in folders, one folder a class: which there are, their labels, and how they are split."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kyeo.core.errors import describe, one_of, problem
from kyeo.data.dataset import Dataset

__all__ = ["Choice", "datasets_of", "padded_batch"]


class Choice(NamedTuple):
    """The arguments that all the functions for folders share."""

    where: str
    directory: Any
    labels: Any
    label_mode: Any
    class_names: Any
    batch_size: int | None
    shuffle: bool
    seed: int | None
    validation_split: float | None
    subset: str | None
    follow_links: bool
    verbose: bool


def datasets_of(choice: Choice, formats: tuple[str, ...], load: Callable[[str], Any],
                batched: Callable[[Dataset, int], Dataset] = Dataset.batch) -> Any:
    """The data set of the files in a folder, or the two of `subset="both"`, as a list.

    Args:
        choice: the arguments.
        formats: endings of names.
        load: gives what is in a file.
        batched: puts elements together.
    """
    choice = _checked(choice)
    seed = int(np.random.default_rng().integers(10**6)) if choice.seed is None else choice.seed
    paths, labels, names = _index(choice, formats, seed)
    if choice.label_mode == "binary" and len(names) != 2:
        raise problem('label_mode="binary" needs two classes.', received=f"classes {names}", where=choice.where)
    parts = [choice.subset] if choice.subset != "both" else ["training", "validation"]
    made = []
    for part in parts:
        chosen = _part(choice, part, len(paths))
        some = paths[chosen]
        if not some:
            raise problem(f"There are no files in {part or 'the folder'}.", received=f"directory={choice.directory!r}",
                          where=choice.where, expected="files whose names end in " + ", ".join(formats))
        shuffle = choice.shuffle and not (choice.subset == "both" and part == "validation")
        data = _elements(some, None if labels is None else labels[chosen], load, seed if shuffle else None)
        data = batched(data, choice.batch_size) if choice.batch_size is not None else data
        data.class_names, data.file_paths = names or None, some
        made.append(data)
    return made if choice.subset == "both" else made[0]


def _elements(paths: list[str], labels: Any, load: Callable[[str], Any], seed: int | None) -> Dataset:
    def elements(turn: int) -> Any:
        order: Any = range(len(paths))
        if seed is not None:
            order = np.random.Generator(np.random.Philox(key=[seed % 2**64, turn])).permutation(len(paths))
        for i in order:
            yield load(paths[i]) if labels is None else (load(paths[i]), labels[i])

    return Dataset(elements, len(paths))


def _checked(choice: Choice) -> Choice:
    where, labels = choice.where, choice.labels
    if not os.path.isdir(choice.directory):
        raise problem("There is no such folder.", received=f"directory={choice.directory!r}", where=where,
                      kind=FileNotFoundError)
    if isinstance(labels, np.ndarray) and labels.ndim == 1:
        labels = labels.tolist()
        choice = choice._replace(labels=labels)
    if labels is not None and not isinstance(labels, (list, tuple)) and labels != "inferred":
        raise problem("`labels` is not valid.", received=f"labels={describe(labels)}", where=where,
                      expected='"inferred" (from the names of folders), None, or a list of integers')
    if labels != "inferred" and choice.class_names is not None:
        raise problem('`class_names` needs labels="inferred".', received=f"labels={describe(labels)}", where=where)
    one_of(where, ("int", "categorical", "binary", None), label_mode=choice.label_mode)
    one_of(where, ("training", "validation", "both", None), subset=choice.subset)
    split = choice.validation_split
    if (split is None) != (choice.subset is None) or (split is not None and not 0 < split < 1):
        raise problem("`validation_split` and `subset` go together.", where=where,
                      received=f"validation_split={split}, subset={choice.subset!r}",
                      expected="a number between 0 and 1, and which part is wanted")
    if split and choice.shuffle and choice.seed is None:
        raise problem("A split of shuffled files needs a seed: without one the two parts would overlap.",
                      received="seed=None", where=where, fix="pass the same seed=... in both calls")
    if labels is None or choice.label_mode is None:
        return choice._replace(labels=None, label_mode=None)
    return choice


def _index(choice: Choice, formats: tuple[str, ...], seed: int) -> tuple[list[str], Any, list[str]]:
    """The files, in the order of their names or shuffled as Keras does it, their labels and the names of classes."""
    root, labels = os.fspath(choice.directory), choice.labels
    folders = [""]
    if labels == "inferred":
        found = sorted(f.name for f in Path(root).iterdir() if f.is_dir() and not f.name.startswith("."))
        folders = list(choice.class_names) if choice.class_names is not None else found
        if not set(folders) <= set(found):
            raise problem("`class_names` names folders that there are not.", where=choice.where,
                          received=f"class_names={choice.class_names}", expected=f"some of {found}")
    names = [_files(os.path.join(root, folder), choice.follow_links, formats) for folder in folders]
    paths = [path for files in names for path in files]
    if labels == "inferred":
        labels = np.repeat(np.arange(len(folders), dtype="int32"), [len(files) for files in names])
    elif labels is not None:
        if len(labels) != len(paths):
            raise problem("`labels` does not fit the files.", received=f"{len(labels)} labels", where=choice.where,
                          expected=f"{len(paths)}, one for each file in the order of their names")
        folders, labels = [str(label) for label in sorted(set(labels))], _given(labels, choice.where)
    else:
        folders = []
    if choice.label_mode == "categorical" and not set(np.ravel(labels).tolist()) <= set(range(len(folders))):
        raise problem('label_mode="categorical" needs class numbers from 0.', received=f"labels {', '.join(folders)}",
                      where=choice.where, expected=f"integers from 0 to {len(folders) - 1}",
                      fix="np.unique(labels, return_inverse=True)[1] counts the classes there are")
    if choice.verbose:
        print(f"Found {len(paths)} files" + (f" belonging to {len(folders)} classes." if folders else "."))
    if choice.shuffle:
        np.random.RandomState(seed).shuffle(paths)
        if labels is not None:
            labels = labels.copy()
            np.random.RandomState(seed).shuffle(labels)
    return paths, _as_mode(labels, choice.label_mode, len(folders)), folders


def _given(labels: Any, where: str) -> np.ndarray:
    array = np.asarray(labels)
    if array.dtype.kind not in "biuf":
        raise problem("`labels` is not valid.", received=f"labels={describe(labels)}", where=where,
                      expected="an integer for each file in the order of their names",
                      fix="np.unique(labels, return_inverse=True)[1] makes integers of names")
    return array if array.dtype.kind == "f" else array.astype("int32")


def _files(folder: str, follow_links: bool, formats: tuple[str, ...]) -> list[str]:
    walked = sorted(os.walk(folder, followlinks=follow_links), key=lambda found: found[0])
    return [os.path.join(root, name) for root, _, names in walked for name in sorted(names)
            if name.lower().endswith(formats)]


def _as_mode(labels: Any, mode: Any, classes: int) -> Any:
    if labels is None:
        return None
    if mode == "binary":
        return labels.astype("float32")[:, None]
    return np.eye(classes, dtype="float32")[labels] if mode == "categorical" else labels


def _part(choice: Choice, part: str | None, count: int) -> slice:
    held = int((choice.validation_split or 0) * count)
    chosen = {None: slice(None), "training": slice(0, count - held), "validation": slice(count - held, None)}[part]
    if part is not None and choice.verbose:
        print(f"Using {len(range(count)[chosen])} files for {part}.")
    return chosen


def padded_batch(data: Dataset, batch_size: int) -> Dataset:
    """Batches in which shorter arrays are filled up with zeros on their first axis."""
    def padded(group: Sequence[np.ndarray]) -> np.ndarray:
        longest = max(len(a) for a in group)
        return np.stack([np.pad(a, [(0, longest - len(a))] + [(0, 0)] * (a.ndim - 1)) for a in group])

    def elements(turn: int) -> Any:
        rows, group = data._elements(turn), []
        for row in rows:
            group.append(row)
            if len(group) == batch_size:
                yield together(group)
                group = []
        if group:
            yield together(group)

    def together(group: list[Any]) -> Any:
        if isinstance(group[0], tuple):
            sounds, labels = zip(*group)
            return padded(sounds), np.stack(labels)
        return padded(group)

    size = data.cardinality()
    return Dataset(elements, -(-size // batch_size), batch_size)
