"""Whether memory grows with hours of sound, a long clip, a whole film: `python -m benchmarks.memory`.

Each job is done on something short and on something long, each in a process of its own, whose peaks stand side by side.
Networks are small: what is measured is what is held of the media, which no network changes. Sound and pictures are
made up: a tone that comes and goes, noise that moves.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch

from benchmarks.harness import Peak, Rounds, peak_memory
from benchmarks.records import options, publish
from common.data.video_writer import VideoWriter
from speech_adapters.data.text import Vocabulary
from speech_adapters.inference.recogniser import Decoder, Recogniser, SingleModel
from speech_adapters.inference.transcribe import transcribe
from speech_adapters.model.architecture import BASE_CONV, SAMPLE_RATE_HZ, Architecture
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.wav2vec2 import Wav2Vec2

WITHIN = 1.1  # of the short one's peak
SMALL = Architecture(
    conv=tuple((8, kernel, stride) for _, kernel, stride in BASE_CONV), width=24, layers=2, heads=2, inner=48,
    positional_kernel=16, positional_groups=4,
)  # fmt: skip
FRAME, SMALL_FRAME, FILM_HZ = (48, 64), (18, 32), 4


@dataclass(frozen=True)
class Lengths:
    """Seconds of what is short and of what is long; both are longer than what is read ahead."""

    speech: tuple[float, float] = (600.0, 3 * 3600.0)
    clip: tuple[float, float] = (10.0, 60.0)
    film: tuple[float, float] = (300.0, 2 * 3600.0)


# ---- what is worked on


def speech(path: Path, seconds: float) -> Path:
    """A tone of two seconds in every three, written a minute at a time."""
    with soundfile.SoundFile(path, "w", SAMPLE_RATE_HZ, 1, "PCM_16") as file:
        for start in range(0, round(seconds), 60):
            times = start + np.arange(SAMPLE_RATE_HZ * min(60, round(seconds) - start)) / SAMPLE_RATE_HZ
            file.write(0.3 * np.sin(2 * np.pi * 220 * times) * (times % 3 < 2))
    return path


def film(path: Path, seconds: float, size: tuple[int, int], rate_hz: int) -> Path:
    """Noise that moves."""
    picture = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    with VideoWriter(path, width=size[1], height=size[0], rate_hz=Fraction(rate_hz)) as writer:
        for number in range(round(seconds * rate_hz)):
            writer.write(np.roll(picture, number, axis=1))
    return path


# ---- jobs


def transcribing(path: Path) -> Callable[[], object]:
    torch.manual_seed(0)
    vocabulary = Vocabulary.of("en")
    model = SingleModel(CTCModel(Wav2Vec2(SMALL), len(vocabulary)), vocabulary.symbols)
    recogniser = Recogniser(model, SMALL, (Decoder(SingleModel.NAME, "small", "en", vocabulary),))
    return lambda: sum(1 for _ in transcribe([path], recogniser))


def upscaling(path: Path) -> Callable[[], object]:
    from video_sr import python_api

    upscaler = python_api.load("bicubic", device="cpu")
    return lambda: upscaler.upscale(path, path.with_name(f"large-{path.name}"), overwrite=True)


def indexing(path: Path) -> Callable[[], object]:
    """Anew each time."""
    from benchmarks.clip_search import CUT, matcher
    from multimodal_ssl.search.index import Index, encoder

    encode, folders = encoder(matcher()), iter(range(10**6))

    def index() -> int:
        folder = path.parent / f"index-{path.stem}-{next(folders)}"
        made = Index.begin(Index(folder, path.parent, "noise", "0" * 64, CUT))
        return sum(1 for _ in made.update({path.name: path}, encode))

    return index


def peaks(job: str, maker: str, files: Sequence[Path], names: Sequence[str], rounds: Rounds) -> list[Peak]:
    """Of the same job on each file."""
    return [
        peak_memory(
            f"{job} {name}",
            module="benchmarks.memory",
            maker=maker,
            arguments=(file,),
            threads=rounds.threads,
        )
        for file, name in zip(files, names, strict=True)
    ]


def in_words(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds:g} s"


def part(job: str, folder: Path, lengths: Lengths, rounds: Rounds) -> list[Peak]:
    """One job on what is short and on what is long."""
    makers: dict[str, tuple[str, tuple[float, float], Callable[[float], Path]]] = {
        "transcribe": (
            transcribing.__name__, lengths.speech, lambda s: speech(folder / f"{s:g}.wav", s),
        ),
        "upscale": (
            upscaling.__name__, lengths.clip, lambda s: film(folder / f"clip-{s:g}.mp4", s, SMALL_FRAME, 24),
        ),
        "index": (
            indexing.__name__, lengths.film, lambda s: film(folder / f"film-{s:g}.mp4", s, FRAME, FILM_HZ),
        ),
    }  # fmt: skip
    maker, seconds, write = makers[job]
    folder.mkdir(parents=True, exist_ok=True)
    names = [in_words(each) for each in seconds]
    short, long = peaks(job, maker, [write(each) for each in seconds], names, rounds)
    within = "within" if long.peak_bytes <= WITHIN * short.peak_bytes else "NOT within"
    print(
        f"{job}: {names[1]} takes {long.peak_bytes / short.peak_bytes:.2f} of {names[0]}, {within} {WITHIN:g}"
    )
    return [short, long]


JOBS = ("transcribe", "upscale", "index")

if __name__ == "__main__":
    asked = options("Compares the memory that long media take with that of short ones.", threads=1)
    with tempfile.TemporaryDirectory() as temporary:
        parts = {job: partial(part, job, Path(temporary), Lengths()) for job in JOBS}
        publish("memory", asked, parts)
