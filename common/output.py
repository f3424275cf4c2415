"""What a run prints may find nobody who reads it: the reader has ended, or the terminal is closed. The run goes on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def outlives_its_reader() -> Iterator[None]:
    """Inside the block nothing that is printed can fail; may be nested.

    When stdout or stderr can be written no more (`| head` has ended, the terminal is gone, the disk of the log is
    full), what is still said goes nowhere.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (each if isinstance(each, _Stream) else _Stream(each) for each in before)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(ValueError):  # closed
                stream.flush()
        sys.stdout, sys.stderr = before


class _Stream:
    """A text stream whose writes never fail."""

    def __init__(self, stream: Any):
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except OSError:
            self._go_nowhere()
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._go_nowhere()

    def _go_nowhere(self) -> None:
        """Everything that holds the file, and what its buffers still hold, writes to nowhere from now on."""
        with suppress(OSError, ValueError):  # no file of the system's, as under a test
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
