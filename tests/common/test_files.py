"""Files that are whole or not there, and folders with one writer."""

import multiprocessing
import os
import signal

import pytest
from patience import HANG_S

from common.files import (
    new_folder,
    only_writer,
    replacing,
    scratch_folder,
    sweep,
    write_atomically,
    writer_in_turn,
)


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


def test_what_appears_is_what_a_program_wrote_by_name_and_nobody_who_lists_its_kind_sees_a_part(tmp_path):
    with replacing(tmp_path / "a" / "b.json") as beside:
        beside.unlink()  # some programs make their files anew
        beside.write_text("[]")
        assert not list((tmp_path / "a").glob("*.json"))
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b.json"]


def test_a_name_as_long_as_a_file_system_takes_is_written(tmp_path):
    path = tmp_path / ("\u00e9" * 124 + ".npy")
    write_atomically(path, b"content")
    assert path.read_bytes() == b"content"


@pytest.mark.parametrize("fault", [KeyboardInterrupt, ValueError])
def test_a_folder_is_whole_or_not_there(tmp_path, fault):
    def write(name, error=None):
        with new_folder(tmp_path / name) as beside:
            (beside / "0.png").touch()
            if error:
                raise error

    write("frames")
    with pytest.raises(fault):
        write("more", fault)
    assert [p.name for p in tmp_path.iterdir()] == ["frames"]


def test_a_folder_that_is_there_is_never_overwritten(tmp_path):
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "mine").touch()
    with pytest.raises(OSError, match="not empty"), new_folder(tmp_path / "frames") as beside:
        (beside / "0.png").touch()
    assert [p.name for p in tmp_path.rglob("*")] == ["frames", "mine"]


def leave_halves(folder, ready):
    with replacing(folder / "a.npy") as file, scratch_folder(folder / "b") as inside:
        file.write_bytes(b"half")
        (inside / "part").touch()
        ready.set()
        signal.pause()


def test_what_a_kill_left_is_swept_and_what_is_being_written_is_not(tmp_path):
    """Nor is anything that other programs name alike."""
    (tmp_path / ".download.partial").touch()
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    writer = context.Process(target=leave_halves, args=(tmp_path, ready))
    writer.start()
    assert ready.wait(HANG_S)
    sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    sweep(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [".download.partial"]


def test_a_folder_that_is_being_written_is_waited_for(tmp_path):
    context = multiprocessing.get_context("fork")
    ready, said = context.Event(), []
    other = context.Process(target=hold, args=(tmp_path, ready))
    other.start()
    assert ready.wait(HANG_S)

    def say(text):
        said.append(text)
        other.kill()

    with writer_in_turn(tmp_path, say):
        pass
    other.join()
    assert said == [f"{tmp_path} is being written by process {other.pid}; waiting for it"]
