"""Files that are whole or not there, and folders with one writer."""

import multiprocessing
import os
import signal

import pytest
from patience import HANG_S

from common.files import only_writer, write_atomically


def hold(folder, ready):
    with only_writer(folder):
        ready.set()
        signal.pause()


def test_a_folder_has_one_writer_until_that_one_is_gone_however_it_went(tmp_path):
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    other = context.Process(target=hold, args=(tmp_path, ready))
    other.start()
    assert ready.wait(HANG_S)
    with pytest.raises(ValueError, match=f"is being written by process {other.pid};"), only_writer(tmp_path):
        pass
    os.kill(other.pid, signal.SIGKILL)
    other.join()
    with only_writer(tmp_path):
        pass


def test_a_failed_write_leaves_the_old_file_and_no_trace(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_atomically(path, b"old")
    monkeypatch.setattr(
        os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
