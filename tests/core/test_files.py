"""Files are written whole or not at all."""

import hashlib
import os
import signal
import subprocess
import sys
import threading

import pytest

from kyeo.core.files import atomic_write, sha256_of


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
        "    t.write_text('half'); print('ready', flush=True); time.sleep(60)"
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


def test_sha256_of(tmp_path):
    file = tmp_path / "a.bin"
    file.write_bytes(b"kyeo" * 1_000_000)
    assert sha256_of(file) == hashlib.sha256(b"kyeo" * 1_000_000).hexdigest()
