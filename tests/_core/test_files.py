"""Files are there whole, or are what they were."""

import os
import threading

import pytest

from keras_imbalance._core import write_atomically


def test_the_file_holds_what_was_written_and_nothing_else_is_left(tmp_path):
    write_atomically(tmp_path / "state", lambda file: file.write(b"one"))
    write_atomically(str(tmp_path / "state"), lambda file: file.write(b"two"))
    assert (tmp_path / "state").read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["state"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, error):
    (tmp_path / "state").write_bytes(b"old")

    def fail(file):
        file.write(b"half")
        raise error

    with pytest.raises(error):
        write_atomically(tmp_path / "state", fail)
    assert (tmp_path / "state").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state"]


def test_a_folder_that_is_not_there_is_the_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "no" / "state", lambda file: file.write(b""))


def test_two_writers_never_share_an_unfinished_file(tmp_path):
    both_write = threading.Barrier(2, timeout=60)

    def write(content):
        def slowly(file):
            file.write(content[:1])
            both_write.wait()
            file.write(content[1:])

        write_atomically(tmp_path / "state", slowly)

    threads = [threading.Thread(target=write, args=(content,)) for content in (b"aaaa", b"bbbb")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "state").read_bytes() in (b"aaaa", b"bbbb")
    assert os.listdir(tmp_path) == ["state"]


def test_the_content_and_then_the_folder_are_flushed(tmp_path, monkeypatch):
    done = []
    flush, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append(os.fstat(handle).st_mode & 0o40000), flush(handle)))
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("replace"), replace(*paths)))
    write_atomically(tmp_path / "state", lambda file: file.write(b"one"))
    assert done == [0, "replace", 0o40000]


def test_others_may_read_it_as_they_may_read_any_new_file(tmp_path):
    write_atomically(tmp_path / "state", lambda file: file.write(b"one"))
    (tmp_path / "other").write_bytes(b"")
    assert (tmp_path / "state").stat().st_mode == (tmp_path / "other").stat().st_mode
