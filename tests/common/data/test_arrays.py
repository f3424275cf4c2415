"""Arrays appear whole, as numpy writes them, and a full disk is an error that a program can catch."""

import subprocess
import sys

import numpy as np
import pytest
from patience import HANG_S

from common.data.arrays import save_array, writing_rows


@pytest.mark.parametrize(
    "array", [np.arange(6, dtype=np.int16), np.zeros((0, 3), np.float32), np.eye(3)[::2].T]
)
def test_a_saved_array_has_the_bytes_that_numpy_would_write(tmp_path, array):
    save_array(tmp_path / "a.npy", array)
    np.save(tmp_path / "b.npy", np.ascontiguousarray(array))
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_rows_grow_to_one_array(tmp_path):
    parts = [np.full((count, 2), count, np.uint8) for count in (3, 0, 1)]
    with writing_rows(tmp_path / "a.npy", 4) as rows:
        for part in parts:
            rows.add(part)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy", mmap_mode="r"), np.concatenate(parts))


def test_too_few_rows_are_no_array(tmp_path):
    with (
        pytest.raises(ValueError, match=r"a\.npy must get 4 rows, got 3"),
        writing_rows(tmp_path / "a.npy", 4) as rows,
    ):
        rows.add(np.zeros(3))
    assert not list(tmp_path.iterdir())


def test_rows_of_another_shape_are_refused(tmp_path):
    def write():
        with writing_rows(tmp_path / "a.npy", 2) as rows:
            rows.add(np.zeros((1, 3), np.uint8))
            rows.add(np.zeros((1, 2), np.uint8))

    with pytest.raises(ValueError, match="rows must be"):
        write()
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_an_error_and_no_crash(tmp_path):
    """A limit on the size of files stands for the disk; a mapped file would end the process."""
    code = (
        "import resource, signal, sys, numpy; from pathlib import Path; from common.data.arrays import save_array\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "try: save_array(Path(sys.argv[1]), numpy.zeros(4000))\n"
        "except OSError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.npy")],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=True,
    )
    assert "File too large" in done.stdout
    assert not list(tmp_path.iterdir())
