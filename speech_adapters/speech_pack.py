"""Speech for a machine without a network."""

from collections.abc import Callable
from pathlib import Path

from speech_adapters.packages.utterances import Utterance


def open_pack(root: Path, name: str) -> tuple[list[Utterance], Callable[[Utterance], bytes]] | None:
    return None
