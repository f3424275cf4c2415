"""What counts as a video, a picture and sound by its name, and the one error of whoever cannot read it."""

import os
from pathlib import Path
from typing import Any

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg"),
    *(".wmv", ".flv", ".3gp", ".ts", ".mts", ".m2ts", ".ogv"),
)  # fmt: skip
H264_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".avi")  # containers that `VideoWriter` writes
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
SOUND_SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac"),
    *(".aiff", ".aif", ".au", ".wma"),
)  # fmt: skip


class MediaError(ValueError):
    """`PATH: reason`, with the decoder's own words where it had any."""

    def __init__(self, path: Path, reason: str):
        super().__init__(f"{shown(path)}: {reason}")


def is_utf8(path: Path) -> bool:
    """Whether a name is text; file systems take any bytes for one."""
    return shown(path) == str(path)


def shown(path: Path) -> str:
    """A name to print: what of it is not UTF-8 stands there as `\\xff`."""
    return os.fsencode(path).decode(errors="backslashreplace")


def fault_of(path: Path) -> str:
    """Why there is nothing to decode, as far as the file system tells; "" where nothing speaks against it."""
    if not path.exists():
        return "no such file"
    if not path.is_file():
        return "is a folder, not a file" if path.is_dir() else "is no file but a pipe or device"
    return "is empty (0 bytes)" if path.stat().st_size == 0 else ""


def decoder_words(error: Any) -> str:
    """What a decoder says of its error: the name of it and the last line of its log."""
    log = getattr(error, "log", None)
    told = getattr(error, "strerror", None) or str(error)
    return told + (f" ({log[1]}: {log[2].strip()})" if log else "")
