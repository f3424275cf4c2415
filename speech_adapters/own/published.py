"""Makes the published sets on Whisper's encoder: `python -m speech_adapters.own.published it --out DIR`, resumable.

Speech of packages is handed to `finetune` as a folder of anybody's recordings would be, training and dev parts alone.
The test parts are opened once the set is there: of the voices trained on, and of voices that training never heard.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import soundfile
import torch
import typer
from numpy import ndarray

from common.command import plain_errors
from common.data.audio import read_audio
from common.data.packages import Package, fetch
from common.data.pcm import PEAK, levelled
from common.files import write_atomically
from common.progress import say
from speech_adapters.checkpoints import whisper_base
from speech_adapters.checkpoints.adapter_sets import AdapterSet
from speech_adapters.data.prepared import PackagedSpeech, PreparedUtterance
from speech_adapters.data.sources import AMAZON_QUEEN, ASTERISK, DRASCULA, FESTVOX, TUXPAINT
from speech_adapters.data.text import NORMALISER
from speech_adapters.inference import recogniser as recognising
from speech_adapters.model.architecture import SAMPLE_RATE_HZ
from speech_adapters.own import evaluation, finetuning, measured
from speech_adapters.own.evaluation import Scores
from speech_adapters.own.measured import shown


@dataclass(frozen=True)
class Heard:
    """What a language's set is trained on and what it is tried on beside that."""

    trained: tuple[PackagedSpeech, ...]
    others: tuple[PackagedSpeech, ...] = ()  # voices that training never heard
    plain: bool = False  # letters without accents: the texts have partly lost theirs
    steps: int = 300
    former: str = ""  # sets that opened the test parts before this one


LANGUAGES = {
    "en": Heard((ASTERISK["en"], AMAZON_QUEEN), (DRASCULA["en"],), steps=1500, former="a set of 300 steps"),
    "fr": Heard((ASTERISK["fr"], TUXPAINT["fr"]), plain=True),
    "es": Heard((ASTERISK["es"], TUXPAINT["es"]), (DRASCULA["es"],), plain=True),
    "it": Heard((ASTERISK["it"],)),
    "ru": Heard((ASTERISK["ru"],), (FESTVOX,)),
}
LIBRIVOX = Package(  # five sentences of a volunteer who reads a novel aloud, for LibriVox
    manager="apt",
    name="pocketsphinx-testdata",
    version="0.8+5prealpha+1-15",
    sha256="eaeb7a01d54f20b799d1a81ef110ec544b2cb47ea006614078220737a33019f0",
    size_bytes=1_822_580,
    licence="BSD-2-Clause",
    files=("usr/share/pocketsphinx/test/data/librivox/*", "usr/share/doc/pocketsphinx-testdata/copyright"),
)
READ_ALOUD = "librivox, five sentences"
MOST_MIN = 30.0  # of one source in training: of the others' size, so that no voice outweighs the rest
# The sets were made before these could be set: float32 would round otherwise.
AS_PUBLISHED = ("packed=false", "fused=false", "onednn=false")
SETTINGS = ("threads=1", "dev_every=250", "log_every=10", "save_every_s=30", *AS_PUBLISHED)


def check_language(language: str) -> None:
    """Raises ValueError for a language without a published set, with those there are."""
    if language not in LANGUAGES:
        raise ValueError(f"no published set of {language!r}; languages are {', '.join(LANGUAGES)}")


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


Spoken = tuple[str, str, str, ndarray]  # id, speaker, normalised text, int16 samples


def parts(language: str, normalise: Callable[[str], str]) -> Mapping[str, Callable[[], Iterator[Spoken]]]:
    """What a set is scored on: dev and test of what it was trained on, and test parts that it never heard."""
    heard = LANGUAGES[language]
    wanted = [(source, part) for source in heard.trained for part in ("dev", "test")]
    wanted += [(source, "test") for source in heard.others]
    found: dict[str, Callable[[], Iterator[Spoken]]] = {
        f"{source.name} {part}": partial(_spoken, source, part, normalise) for source, part in wanted
    }
    return found | ({READ_ALOUD: partial(_read_aloud, normalise)} if language == "en" else {})


def _spoken(source: PackagedSpeech, part: str, normalise: Callable[[str], str]) -> Iterator[Spoken]:
    source.prepare()
    written = {line["id"]: line["raw_text"] for line in source.index()["utterances"]}
    for one in source.utterances(part):
        yield one.id, one.speaker, normalise(written[one.id]), one.waveform()


def _read_aloud(normalise: Callable[[str], str]) -> Iterator[Spoken]:
    """Lines are "<s> text </s> (file)"."""
    folder = fetch(LIBRIVOX) / "usr/share/pocketsphinx/test/data/librivox"
    for line in (folder / "transcription").read_text(encoding="utf-8").splitlines():
        text, _, name = line.removeprefix("<s>").partition("</s>")
        samples = levelled(read_audio(folder / f"{name.strip(' ()')}.wav"), PEAK)
        yield name, "", normalise(text), samples


def score(language: str, path: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Rates of the file as it is published on parts that it is scored on, by their names."""
    recogniser = recognising.load(whisper_base.NAME, {language: path}, torch.device("cpu"))
    normalise, found = evaluation.normaliser_of(AdapterSet.load(path)), dict[str, dict[str, Any]]()
    every = parts(language, normalise)
    for name in names:
        say(f"scoring {name}")
        scores = Scores(tuple(evaluation.items(recogniser, every[name](), normalise)))
        found[name] = {key: scores.rate(key) for key in evaluation.RATES} | {"recordings": len(scores.items)}
    return found


def told(language: str, scores: Mapping[str, Any]) -> str:
    """What the set says of itself to whoever uses it, after its name: learned from what, how good on what."""
    heard = LANGUAGES[language]
    samples = sum(one.samples for source in heard.trained for one in _some(source.utterances("train")))
    minutes = samples / SAMPLE_RATE_HZ / 60

    def errors(name: str) -> str:
        return f"{scores[f'{name} test']['cer']['percent']:.0f} %"

    sentence = (
        f"learned from {minutes:.0f} min of {' and '.join(one.name for one in heard.trained)}: "
        f"character errors {', '.join(errors(one.name) for one in heard.trained)} on more of the same"
    )
    for one in heard.others:
        sentence += f", {errors(one.name)} on voices it never heard ({one.name})"
    return sentence if heard.others else f"{sentence}; other voices do worse"


def opened(language: str) -> str:
    """How often test parts were looked at, by the results that there are; nothing was chosen by them."""
    heard = LANGUAGES[language]
    times = [f"by {heard.former} before it"] if heard.former else []
    times += [
        "once the set was made",
        *(["beside Whisper itself"] if language in measured.read(measured.WHISPER) else []),
    ]
    number = {1: "once", 2: "twice"}.get(len(times), f"{len(times)} times")
    told = f"every test part was opened {number}: {', '.join(times)}"
    nested = [
        one for name, one in measured.read(measured.LABEL_MINUTES).items() if name.startswith(f"{language}-")
    ]
    if not nested:
        return told
    looked = " and ".join(name for name in nested[0]["scores"] if name.endswith(" test"))
    why = "the sets for [minutes of labels](../../README.md#beside-whisper-itself)"
    return f"{told}; {looked} {len(nested)} times more, by {why}"


def page(made: AdapterSet) -> str:
    """The card of a published set, in Markdown."""
    rows = [
        f"| {name} | {row['recordings']} | " + " | ".join(shown(row[key]) for key in ("wer", "cer")) + " |"
        for name, row in made.origin["scores"].items()
    ]
    plain = (
        " Its letters have no accents, since its texts had partly lost theirs."
        if made.normaliser == NORMALISER
        else ""
    )
    heard, language = LANGUAGES[made.language], made.language
    result = measured.read(measured.WHISPER).get(language)
    beside = f"{measured.against_whisper(result)} " if result else ""
    return f"""# {language}, on {made.origin["model"]}

Adapters over Whisper's encoder, which is supervised and multilingual: {made.origin["quality"]}.{plain}
Made by `python -m speech_adapters.own.published {language} --out DIR`, in {heard.steps} steps, on training parts
alone; {opened(language)}. `{language}.safetensors` holds
{sum(one.numel() for one in made.tensors.values()):,} weights in half precision.

| part | recordings | WER %, 95 % interval | CER %, 95 % interval |
|---|---|---|---|
{chr(10).join(rows)}

The likeliest path, without a language model. {beside}[All languages](../../README.md#beside-whisper-itself).

Limits: one or a few voices, recorded well, reading; rooms, telephones, children, dialects and talk were never tried.
What it writes of a voice that it has not heard has to be read over by somebody.

```sh
python -m speech_adapters transcribe talk.wav --adapter {language}
python -m speech_adapters transcribe talk.wav film.mkv --adapter {language} --srt --out texts
python -m speech_adapters evaluate recordings --adapter speech_adapters/own/weights/{language}.safetensors
```

Licences: Whisper's weights MIT; the speech:

{chr(10).join(f"- {name}: {', '.join(sorted(licences))}" for name, licences in _licences(heard).items())}
"""


def _licences(heard: Heard) -> dict[str, set[str]]:
    return {one.name: {package.licence for package in one.packages} for one in heard.trained}


def publish(language: str, path: Path) -> str:
    """Scores the set on parts that it was not scored on, each once; writes what it says of itself; returns its card."""
    made = AdapterSet.load(path)
    known = dict(made.origin.get("scores", {}))
    for name in parts(language, str):
        if name not in known:
            known |= score(language, path, [name])
            made = replace(made, origin={**made.origin, "scores": known})
            made.save(path)  # a part that was opened stays opened
    made = replace(made, origin={**made.origin, "quality": told(language, known)})
    made.save(path)
    text = page(made)
    write_atomically(path.with_suffix(".md"), text.encode())
    return text


def main(
    language: Annotated[str, typer.Argument(help=", ".join(LANGUAGES))],
    out: Annotated[Path, typer.Option(help="Folder for the speech, the run, the set and its card.")],
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of training; default: those of the published set.")
    ] = None,
) -> None:
    """Trains a language's set on its training parts and scores it; stopped, the same command goes on."""
    with plain_errors(stopped="the same command goes on"):
        check_language(language)
        path = out / f"{language}.safetensors"
        if not path.exists():
            train(language, out, steps or LANGUAGES[language].steps)
        typer.echo(publish(language, path))


if __name__ == "__main__":
    typer.run(main)
