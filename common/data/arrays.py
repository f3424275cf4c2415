"""Arrays on disk that are whole or not there, written from front to back and mapped when read.

A file of the right size whose blocks are not there yet (`open_memmap`) ends the process with a bus error where the
disk is full; what is written from front to back raises OSError.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy import ndarray

from common.files import replacing

BLOCK_BYTES = 1 << 24  # copied at a time


def save_array(path: Path, array: ndarray) -> None:
    """Writes a .npy file atomically."""
    with writing_rows(path, len(array)) as rows:
        rows.add(array)


@contextmanager
def writing_rows(path: Path, num_rows: int) -> Iterator[Rows]:
    """A .npy file that grows by rows, the first ones say of what type, and appears when all `num_rows` are there.

    Raises:
        OSError: the disk is full; nothing is left.
    """
    with replacing(path) as beside, open(beside, "wb") as file:
        rows = Rows(file, num_rows)
        yield rows
        if rows.num_written != num_rows or not rows.begun:
            raise ValueError(
                f"{path} must get {num_rows} rows, got {rows.num_written if rows.begun else 'none'}"
            )


class Rows:
    """What `writing_rows` gives."""

    def __init__(self, file: BinaryIO, num_rows: int):
        self.num_rows, self.num_written = num_rows, 0
        self._file = file
        self._kind: tuple[np.dtype, tuple[int, ...]] | None = None

    @property
    def begun(self) -> bool:
        """Whether there was an array, perhaps one without rows, that says of what type they are."""
        return self._kind is not None

    def add(self, rows: ndarray) -> None:
        """Appends rows, all of one type and shape."""
        kind = rows.dtype, rows.shape[1:]
        if self._kind is None:
            self._kind = kind
            described = {"descr": np.lib.format.dtype_to_descr(rows.dtype), "fortran_order": False}
            np.lib.format.write_array_header_1_0(self._file, described | {"shape": (self.num_rows, *kind[1])})
        if kind != self._kind:
            raise ValueError(f"rows must be {self._kind}, got {kind}")
        step = max(1, BLOCK_BYTES // max(1, rows[:1].nbytes))
        for start in range(0, len(rows), step):
            self._file.write(rows[start : start + step].tobytes())
        self.num_written += len(rows)
