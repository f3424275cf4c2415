"""Sound that comes through a pipe, kept in a file while it is used: decoders look at a file more than once."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

STDIN = Path("-")


@contextmanager
def spooled(paths: Sequence[Path]) -> Iterator[dict[Path, Path]]:
    """What to read for each path, and the name it goes by: its own, or of a pipe "stdin" or "pipe-63".

    Raises:
        ValueError: `-` twice, or where somebody types.
    """
    with tempfile.TemporaryDirectory(prefix="sound-") as folder:
        found: dict[Path, Path] = {}
        for path in paths:
            if path == STDIN or path.is_fifo() or path.is_char_device() or path.is_socket():
                told = _name(path)
                kept = Path(folder) / told.name
                if kept.exists():
                    raise ValueError(f"{told} can be read once, give it once")
                _keep(path, kept)
                found[kept] = told
            else:
                found[path] = path
        yield found


def _name(path: Path) -> Path:
    if path in (STDIN, Path("/dev/stdin"), Path("/dev/fd/0"), Path("/proc/self/fd/0")):
        return Path("stdin")
    # The shell names what `<(...)` writes /dev/fd/63 or so: no place to write beside it.
    return Path(f"pipe-{path.name}") if path.is_relative_to("/dev") or path.is_relative_to("/proc") else path


def _keep(path: Path, kept: Path) -> None:
    if path == STDIN or path.is_char_device():
        if path == STDIN and not sys.stdin.isatty():
            with kept.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
            return
        raise ValueError(f"{path} must be a pipe with sound in it, as in `ffmpeg -i FILE -f wav - | ...`")
    with path.open("rb") as source, kept.open("wb") as file:
        shutil.copyfileobj(source, file)
