"""Power lost at any instant of a save: what was not flushed may be on the disk in any part and order, or not at all.

A save is recorded as the disk sees it. `fsync` of a file makes its content last, `fsync` of the folder the names in it;
of all else since then any blocks, any length and any of the renamings and removals may have come to the disk, whatever
came first. From each such disk the loader must get the old weights or the new, whole. KYEO_TESTS=slow tries many more.
"""

import os
import random
import stat

import numpy as np
import pytest

from kyeo.callbacks.checkpoint import Checkpoints
from tests.saving.test_disk_refuses import SHARDS, changed
from tests.saving.test_failing import small
from tests.thin import SLOW

pytestmark = pytest.mark.skipif(os.name != "posix", reason="folders are flushed on POSIX")
DISKS = 40 if SLOW else 3  # of each instant
BLOCK = 64  # bytes that come to the disk together: few, as the files are small
WAYS = {
    "m.keras": lambda model, path: model.save(path),
    "m.weights.h5": lambda model, path: model.save_weights(path),
    "m.h5": lambda model, path: model.save(path),
    "m.safetensors": lambda model, path: model.save_weights(path),
    "m.weights.json": lambda model, path: model.save_weights(path, **SHARDS),
    "m.safetensors.index.json": lambda model, path: model.save_weights(path, **SHARDS),
}


class Recording:
    """What a folder's disk holds for certain, and what may have come to it since, at each call of a save.

    Args:
        folder: the folder; all that is in it is on the disk.
        barriers: whether flushing is looked at.
    """

    def __init__(self, folder, barriers=True):
        self.folder, self.barriers = folder, barriers
        self.numbers, self.files, self.states = {}, [], []  # a file's inode -> its place in `files`; [lasting, now]
        self.entries, self.renamings = {}, []  # name -> file, for certain; (name, file or None) since then
        self.look()
        self.keep()

    def look(self):
        """See what is in the folder now."""
        found = {}
        for entry in os.scandir(self.folder):
            inode = entry.inode()
            if inode not in self.numbers:
                self.numbers[inode] = len(self.files)
                self.files.append([b"", b""])
            number = found[entry.name] = self.numbers[inode]
            with open(entry.path, "rb") as file:
                self.files[number][1] = file.read()
        before = {**self.entries, **dict(self.renamings)}
        self.renamings += [(name, found.get(name)) for name in sorted({*before, *found}) if before.get(name) != found.get(name)]
        self.numbers = {inode: number for inode, number in self.numbers.items() if number in found.values()}
        self.states.append(([tuple(file) for file in self.files], dict(self.entries), list(self.renamings)))

    def keep(self):
        """All is on the disk."""
        self.files = [[now, now] for _, now in self.files]
        self.entries, self.renamings = {n: f for n, f in {**self.entries, **dict(self.renamings)}.items() if f is not None}, []
        self.states.clear()

    def flushed(self, descriptor):
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            self.entries, self.renamings = {**self.entries, **dict(self.renamings)}, []
        elif found.st_ino in self.numbers:
            file = self.files[self.numbers[found.st_ino]]
            file[0] = file[1]

    def on(self, patch):
        """Look before and after each call that a save is made of."""
        def watched(name):
            real = getattr(os, name)

            def call(*args, **kwargs):
                self.look()
                result = real(*args, **kwargs)
                if name == "fsync" and self.barriers:
                    self.flushed(*args)
                self.look()
                return result
            return call

        for name in ("fsync", "replace", "unlink"):
            patch.setattr(os, name, watched(name))


def disks(recording, draw, each):
    """Disks as they may be after the power was lost: dicts of bytes by name."""
    for files, entries, renamings in recording.states:
        for number in range(each):
            share = (0.0, 1.0, draw.random())[min(number, 2)]
            names = {**entries, **dict(one for one in renamings if draw.random() < share)}
            content = [draw.choice([lasting, now, torn(lasting, now, draw), torn(lasting, now, draw)])
                       if lasting != now else now for lasting, now in files]
            yield {name: content[file] for name, file in names.items() if file is not None}


def torn(lasting, now, draw):
    """Some blocks of the new content, others as they were or never written; of any length."""
    length = draw.choice([len(now), len(now), draw.randrange(len(now) + 1), len(lasting)])
    parts = [(now if draw.random() < 0.5 else lasting)[at:at + BLOCK].ljust(BLOCK, b"\0") for at in range(0, length, BLOCK)]
    return b"".join(parts)[:length]


def tried(recording, folder, load, seed=0):
    """What the loader gives for each different disk."""
    seen, found = set(), []
    for disk in disks(recording, random.Random(seed), DISKS):
        key = tuple(sorted(disk.items()))
        if key in seen:
            continue
        seen.add(key)
        for path in folder.iterdir():
            path.unlink()
        for name, data in disk.items():
            (folder / name).write_bytes(data)
        found.append(load(folder))
    return found


def weights_by(name):
    model = small()

    def load(folder):
        model.set_weights([w * 0 - 7 for w in model.get_weights()])
        try:
            model.load_weights(folder / name)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return np.concatenate([w.ravel() for w in model.get_weights()]).tobytes()

    return load


def saved_twice(name, folder, monkeypatch, barriers=True):
    """The recording of a save over an older one; the weights of both."""
    folder.mkdir()
    model, flat = small(), lambda: np.concatenate([w.ravel() for w in model.get_weights()]).tobytes()
    WAYS[name](model, folder / name)
    recording, both = Recording(folder, barriers), [flat()]
    changed(model)
    with monkeypatch.context() as patch:
        recording.on(patch)
        WAYS[name](model, folder / name)
    recording.look()
    return recording, [*both, flat()]


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.filterwarnings("ignore:A `.h5` file")
def test_old_or_new(name, tmp_path, monkeypatch):
    recording, both = saved_twice(name, tmp_path / "a", monkeypatch)
    (tmp_path / "b").mkdir()
    found = tried(recording, tmp_path / "b", weights_by(name))
    print(f"{name}: {len(found)} disks, {found.count(both[0])} old, {found.count(both[1])} new")
    assert [one for one in found if one not in both] == [] and set(found) == set(both)


def test_without_flushing_it_would_show(tmp_path, monkeypatch):
    recording, both = saved_twice("m.safetensors", tmp_path / "a", monkeypatch, barriers=False)
    (tmp_path / "b").mkdir()
    assert [one for one in tried(recording, tmp_path / "b", weights_by("m.safetensors")) if one not in both]


def test_checkpoints(tmp_path, monkeypatch):
    """The newest whole one, or the one before it, and never a complaint of damage that ends in nothing."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    trees = [{"step": step, "w": np.full(400, step, "float32")} for step in range(4)]
    saves = Checkpoints(tmp_path / "a")
    for step in range(3):
        saves.write((0, step), trees[step])
    recording = Recording(tmp_path / "a")
    with monkeypatch.context() as patch:
        recording.on(patch)
        saves.write((0, 3), trees[3])
    recording.look()
    complaints = []
    found = tried(recording, tmp_path / "b", lambda folder: repr(Checkpoints(folder).latest(complaints.append)))
    print(f"checkpoints: {len(found)} disks, {found.count(repr(trees[3]))} new, {len(complaints)} damaged")
    assert set(found) == {repr(trees[2]), repr(trees[3])} and not complaints
