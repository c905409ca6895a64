"""Files are written whole or not at all."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from kyeo.core.contents import sha256_of
from kyeo.core.files import atomic_write
from kyeo.core.folders import atomic_folder


def test_writes_and_replaces(tmp_path):
    file = tmp_path / "a.txt"
    for content in ("first", "second"):
        with atomic_write(file) as temporary:
            assert temporary.parent == file.parent and temporary.suffix == ".txt" and temporary != file
            temporary.write_text(content)
        assert file.read_text() == content
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_keeps_the_old_content_on_any_exception(tmp_path, error):
    file = tmp_path / "a.txt"
    file.write_text("old")
    with pytest.raises(error), atomic_write(file) as temporary:
        temporary.write_text("half")
        raise error
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


def test_nothing_is_there_before_the_end(tmp_path):
    file = tmp_path / "a.txt"
    with atomic_write(file) as temporary:
        temporary.write_text("half")
        assert not file.exists()


def test_missing_folder(tmp_path):
    file = tmp_path / "no" / "a.txt"
    with pytest.raises(FileNotFoundError, match="folder does not exist"), atomic_write(file):
        pass


@pytest.mark.parametrize("name, kind, words", [
    ("no/a.txt", FileNotFoundError, r"os\.makedirs\("), ("~/a.txt", FileNotFoundError, r"os\.path\.expanduser\('~/a.txt'\)"),
    ("file/a.txt", NotADirectoryError, "a file has this name"), ("file/b/a.txt", NotADirectoryError, "a file has this name"),
    ("folder", IsADirectoryError, "is a folder"), ("gone/a.txt", FileNotFoundError, r"os\.makedirs\("),
])
def test_where_nothing_can_be_written(name, kind, words, tmp_path):
    """`gone` is removed while the file is written."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for write in [atomic_write, lambda path: atomic_folder(path, ["a"], "a")][:1 if name == "folder" else 2]:
        (tmp_path / "gone").mkdir()
        with pytest.raises(kind, match=words), write(tmp_path / name):
            shutil.rmtree(tmp_path / "gone")
        shutil.rmtree(tmp_path / "gone", ignore_errors=True)


def test_the_longest_names(tmp_path):
    """Of 255 bytes, which are 85 letters here."""
    for written in (tmp_path / ("한" * 83 + ".keras"), tmp_path / ("한" * 85)):
        with atomic_write(written) as temporary:
            temporary.touch()
    with atomic_folder(tmp_path / ("글" * 85), ["a"], "a") as folder:
        (folder / "a").touch()
    assert len(os.listdir(tmp_path)) == 3


@pytest.mark.skipif(os.name != "posix", reason="modes and symbolic links are POSIX's")
def test_mode_and_links(tmp_path):
    file, link = tmp_path / "a.txt", tmp_path / "link.txt"
    file.touch()
    file.chmod(0o640)
    link.symlink_to(file)
    with atomic_write(link) as temporary:
        temporary.write_text("through the link")
    assert link.is_symlink() and file.read_text() == "through the link"
    assert file.stat().st_mode & 0o777 == 0o640
    mask = os.umask(0o022)
    os.umask(mask)
    with atomic_write(tmp_path / "new.txt"):
        pass
    assert (tmp_path / "new.txt").stat().st_mode & 0o777 == 0o666 & ~mask


def test_many_writers_at_once(tmp_path):
    file = tmp_path / "a.bin"

    def write(number):
        with atomic_write(file) as temporary:
            temporary.write_bytes(bytes([number]) * 100_000)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = file.read_bytes()
    assert len(content) == 100_000 and len(set(content)) == 1 and list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_a_killed_writer_leaves_the_old_file(tmp_path, name):
    file = tmp_path / "a.txt"
    file.write_text("old")
    code = (
        "import sys, time; from kyeo.core.files import atomic_write\n"
        "with atomic_write(sys.argv[1]) as t:\n"
        "    t.write_text('half'); print('ready', flush=True)\n"
        "    for _ in range(600): time.sleep(0.1)"  # a signal just before a sleep begins counts only after it
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, file], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(getattr(signal, name))
        process.wait(30)
    assert file.read_text() == "old"
    if name == "SIGINT":
        assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(os.name != "posix", reason="signals, and folders that can be locked")
def test_what_a_killed_writer_of_a_folder_left_goes_with_the_next(tmp_path):
    """That of a process that lives stays, and so do folders beside it that are not of this one."""
    folder, others = tmp_path / "m", {".other.000000000000", ".m.mine", ".m.000000000007"}
    code = (
        "import sys; from kyeo.core.folders import atomic_folder\n"
        "with atomic_folder(sys.argv[1], ['a'], 'a') as t:\n"
        "    (t / 'a').write_text('half'); print('ready', flush=True); sys.stdin.read()"
    )
    with contextlib.ExitStack() as stack:
        killed, alive = (stack.enter_context(subprocess.Popen(
            [sys.executable, "-c", code, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)) for _ in range(2))
        assert killed.stdout.readline() == alive.stdout.readline() == b"ready\n"
        killed.kill()
        killed.wait(30)
        assert len(os.listdir(tmp_path)) == 2
        for name in others:
            (tmp_path / name).mkdir()
        for content in ("first", "second"):  # the second takes the place of a folder
            with atomic_folder(folder, ["a"], "a") as temporary:
                (temporary / "a").write_text(content)
            left = set(os.listdir(tmp_path)) - others
            assert (folder / "a").read_text() == content and len(left) == 2
        alive.communicate()
    assert set(os.listdir(tmp_path)) == others | {"m"} and (folder / "a").read_text() == "half"


def test_many_writers_of_a_folder_at_once(tmp_path):
    def write(number):
        for _ in range(10):
            with atomic_folder(tmp_path / "m", ["a", "b"], "b") as temporary:
                for name in "ab":
                    (temporary / name).write_text(str(number))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    assert os.listdir(tmp_path) == ["m"] and sorted(os.listdir(tmp_path / "m")) == ["a", "b"]


def test_sha256_of(tmp_path):
    file = tmp_path / "a.bin"
    file.write_bytes(b"kyeo" * 1_000_000)
    assert sha256_of(file) == hashlib.sha256(b"kyeo" * 1_000_000).hexdigest()
