"""Makes the published sets on Whisper's encoder: `python -m speech_adapters.own.published it --out DIR`, resumable.

Speech of packages is handed to `finetune` as a folder of anybody's recordings would be, training and dev parts alone.
The test parts are opened once the set is there: of the voices trained on, and of voices that training never heard.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import soundfile
import torch
import typer

from common.command import plain_errors
from common.files import write_atomically
from common.progress import say
from speech_adapters.checkpoints import whisper_base
from speech_adapters.checkpoints.adapter_sets import AdapterSet
from speech_adapters.data.prepared import PackagedSpeech, PreparedUtterance
from speech_adapters.data.sources import AMAZON_QUEEN, ASTERISK, DRASCULA, FESTVOX, TUXPAINT
from speech_adapters.data.text import NORMALISER
from speech_adapters.inference import recogniser as recognising
from speech_adapters.model.architecture import SAMPLE_RATE_HZ
from speech_adapters.own import evaluation, finetuning
from speech_adapters.own.evaluation import Scores


@dataclass(frozen=True)
class Heard:
    """What a language's set is trained on and what it is tried on beside that."""

    trained: tuple[PackagedSpeech, ...]
    others: tuple[PackagedSpeech, ...] = ()  # voices that training never heard
    plain: bool = False  # letters without accents: the texts have partly lost theirs


LANGUAGES = {
    "en": Heard((ASTERISK["en"], AMAZON_QUEEN), (DRASCULA["en"],)),
    "fr": Heard((ASTERISK["fr"], TUXPAINT["fr"]), plain=True),
    "es": Heard((ASTERISK["es"], TUXPAINT["es"]), (DRASCULA["es"],), plain=True),
    "it": Heard((ASTERISK["it"],)),
    "ru": Heard((ASTERISK["ru"],), (FESTVOX,)),
}
MOST_MIN = 30.0  # of one source in training: of the others' size, so that no voice outweighs the rest
STEPS = 500
SETTINGS = ("threads=1", "dev_every=250", "log_every=10", "save_every_s=30")


def folder(language: str, place: Path) -> Path:
    """Training and dev parts as Common Voice lays them out; at once where they are there."""
    done = place / "dev.tsv"
    if done.exists():
        return place
    heard = LANGUAGES[language]
    (place / "clips").mkdir(parents=True, exist_ok=True)
    for part in ("train", "dev"):
        rows = [("client_id", "path", "sentence")]
        for source in heard.trained:
            source.prepare()
            written = {line["id"]: line["raw_text"] for line in source.index()["utterances"]}
            for one in _some(source.utterances(part)):
                name = f"{source.name}-{one.id}".replace("/", "_") + ".wav"
                soundfile.write(place / "clips" / name, one.waveform(), SAMPLE_RATE_HZ)
                text = one.text if heard.plain else " ".join(written[one.id].split())
                rows.append((f"{source.name}-{one.speaker}", name, text))
        with (place / f"{part}.tsv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None).writerows(rows)
    return place


def _some(utterances: Sequence[PreparedUtterance]) -> list[PreparedUtterance]:
    """At most `MOST_MIN` of them, drawn by their ids."""
    kept, samples = list[PreparedUtterance](), 0
    for one in sorted(utterances, key=lambda one: hashlib.sha256(one.id.encode()).digest()):
        samples += one.samples
        if samples > MOST_MIN * 60 * SAMPLE_RATE_HZ:
            break
        kept.append(one)
    return kept


def train(language: str, out: Path, steps: int) -> Path:
    """The set in half precision, under its language's name."""
    wanted = finetuning.Wanted(
        data=folder(language, out / "speech"), model=whisper_base.NAME, arm="adapters", out=out / "trained",
        language=language, steps=steps, settings=SETTINGS,
    )  # fmt: skip
    made = AdapterSet.load(finetuning.finetune(wanted, device="cpu", resume="auto"))
    halves = {name: tensor.half() for name, tensor in made.tensors.items()}
    normaliser = NORMALISER if LANGUAGES[language].plain else made.normaliser
    path = out / f"{language}.safetensors"
    replace(made, tensors=halves, normaliser=normaliser).save(path)
    return path


def score(language: str, path: Path) -> dict[str, Scores]:
    """Of the file as it is published, by what it heard: dev of what it was trained on, and every test part."""
    heard, found = LANGUAGES[language], dict[str, Scores]()
    recogniser = recognising.load(whisper_base.NAME, {language: path}, torch.device("cpu"))
    normalise = evaluation.normaliser_of(AdapterSet.load(path))
    wanted = [(source, part) for source in heard.trained for part in ("dev", "test")]
    for source, part in [*wanted, *((source, "test") for source in heard.others)]:
        source.prepare()
        written = {line["id"]: line["raw_text"] for line in source.index()["utterances"]}

        def spoken(
            source: PackagedSpeech = source, part: str = part, written: dict[str, str] = written
        ) -> Iterator[tuple[str, str, str, object]]:
            for one in source.utterances(part):
                yield one.id, one.speaker, normalise(written[one.id]), one.waveform()

        say(f"scoring {source.name} {part}")
        found[f"{source.name} {part}"] = Scores(tuple(evaluation.items(recogniser, spoken(), normalise)))
    return found


def told(language: str, scores: Mapping[str, Scores]) -> dict[str, Any]:
    """What the set's file says of itself beside its tensors: a sentence for people, and every score."""
    heard = LANGUAGES[language]
    minutes = (
        sum(u.samples for one in heard.trained for u in _some(one.utterances("train"))) / SAMPLE_RATE_HZ / 60
    )
    rates: dict[str, dict[str, Any]] = {
        name: {key: one.rate(key) for key in evaluation.RATES} | {"recordings": len(one.items)}
        for name, one in scores.items()
    }
    known = ", ".join(f"{rates[f'{one.name} test']['cer']['percent']:.0f} %" for one in heard.trained)
    sentence = (
        f"learned from {minutes:.0f} min of {' and '.join(one.name for one in heard.trained)}: "
        f"character errors {known} on more of the same"
    )
    for one in heard.others:
        sentence += (
            f", {rates[f'{one.name} test']['cer']['percent']:.0f} % on voices it never heard ({one.name})"
        )
    return {"quality": sentence if heard.others else f"{sentence}; other voices do worse", "scores": rates}


def page(made: AdapterSet) -> str:
    """The card of a published set, in Markdown."""
    rows = [
        f"| {name} | {row['recordings']} | " + " | ".join(_shown(row[key]) for key in ("wer", "cer")) + " |"
        for name, row in made.origin["scores"].items()
    ]
    plain = (
        " Its letters have no accents, since its texts had partly lost theirs."
        if made.normaliser == NORMALISER
        else ""
    )
    return f"""# {made.language}, on {made.origin["model"]}

Adapters over Whisper's encoder, which is supervised and multilingual: {made.origin["quality"]}.{plain}
Made by `python -m speech_adapters.own.published {made.language} --out DIR`, on training parts alone; every test part
was opened {made.origin["test_opened"]} time(s), after the set was made.

| part | recordings | WER %, 95 % interval | CER %, 95 % interval |
|---|---|---|---|
{chr(10).join(rows)}

The likeliest path, without a language model. Licences: Whisper's weights MIT; the speech as its packages say
(`speech_adapters/data/packages/`).
"""


def _shown(rate: Mapping[str, Any]) -> str:
    bounds = "" if rate["low"] is None else f" ({rate['low']:.1f} to {rate['high']:.1f})"
    return f"{rate['percent']:.1f}{bounds}"


def publish(language: str, out: Path) -> str:
    """Scores the set that lies in `out`, writes what it says of itself into it and beside it; returns its card."""
    path = out / f"{language}.safetensors"
    made, count = AdapterSet.load(path), out / "test-opened.json"
    opened = 1 + (json.loads(count.read_text()) if count.exists() else 0)
    write_atomically(count, json.dumps(opened).encode())
    origin = {**made.origin, **told(language, score(language, path)), "test_opened": opened}
    made = replace(made, origin=origin)
    made.save(path)
    text = page(made)
    write_atomically(path.with_suffix(".md"), text.encode())
    return text


def main(
    language: Annotated[str, typer.Argument(help=", ".join(LANGUAGES))],
    out: Annotated[Path, typer.Option(help="Folder for the speech, the run, the set and its card.")],
    steps: Annotated[int, typer.Option(min=1, help="Steps of training.")] = STEPS,
) -> None:
    """Trains a language's set on its training parts and scores it; stopped, the same command goes on."""
    with plain_errors(stopped="the same command goes on"):
        train(language, out, steps)
        typer.echo(publish(language, out))


if __name__ == "__main__":
    typer.run(main)
