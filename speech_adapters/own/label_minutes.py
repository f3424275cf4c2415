"""How scores grow with minutes of labels: `python -m speech_adapters.own.label_minutes --out DIR`, resumable.

Adapters of Whisper's encoder are trained by `finetune` on parts of the published English set's training speech, each
inside the next: 3.5, 7 and 14 min of one voice, which is all of it, then the game's actors too. Steps are equal for
all, so that more minutes are not more training. Test parts choose nothing here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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
from speech_adapters.inference import recogniser as recognising
from speech_adapters.own import evaluation, finetuning, measured, published, training
from speech_adapters.own.evaluation import Scores

LANGUAGE, VOICE = "en", "asterisk-en"
STEPS = 300  # after 100 the least amount still wrote blanks alone
AMOUNTS: Mapping[str, float] = {
    "3.5min": 3.5,
    "7min": 7,
    "14min": 14,
}  # of the voice; the rest comes in "all"
ALL = "all"
PARTS = (
    f"{VOICE} dev",
    f"{VOICE} test",
    "drascula-en test",
)  # the last is of a voice that training never heard


def table(speech: Path, amount: str) -> Path:
    """The first lines of the training table, as many as the amount holds; they are drawn by their ids."""
    head, *lines = (speech / "train.tsv").read_text(encoding="utf-8").splitlines()
    kept, seconds = [head], 0.0
    for line in lines:
        speaker, name, _ = line.split("\t")
        seconds += soundfile.info(speech / "clips" / name).duration
        if amount != ALL and (not speaker.startswith(VOICE) or seconds > 60 * AMOUNTS[amount]):
            break
        kept.append(line)
    return _written(speech / f"{amount}.tsv", kept)


def dev_table(speech: Path) -> Path:
    """The voice's lines of the dev table: equal for all amounts."""
    head, *lines = (speech / "dev.tsv").read_text(encoding="utf-8").splitlines()
    return _written(speech / "dev-voice.tsv", [head, *(line for line in lines if line.startswith(VOICE))])


def _written(path: Path, lines: list[str]) -> Path:
    text = "\n".join(lines) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_atomically(path, text.encode())
    return path


def measure(amount: str, out: Path, steps: int) -> dict[str, Any]:
    """Trains on an amount and scores what came of it."""
    speech = published.folder(LANGUAGE, out / "speech")
    wanted = finetuning.Wanted(
        data=table(speech, amount), dev=dev_table(speech), model=whisper_base.NAME, arm="adapters",
        out=out / amount, language=LANGUAGE, steps=steps, settings=published.SETTINGS,
    )  # fmt: skip
    path = finetuning.finetune(wanted, device="cpu", resume="auto")
    source, made = wanted.recipe().source, AdapterSet.load(path)
    normalise = evaluation.normaliser_of(made)
    recogniser = recognising.load(whisper_base.NAME, {LANGUAGE: path}, torch.device("cpu"))
    every = published.parts(LANGUAGE, normalise)

    def scored(part: Callable[[], Any]) -> dict[str, Any]:
        scores = Scores(tuple(evaluation.items(recogniser, part(), normalise)))
        return {key: scores.rate(key) for key in evaluation.RATES} | {"recordings": len(scores.items)}

    return {
        "minutes": training.seconds_of(source, "train") / 60,
        "recordings": len(source.utterances("train")),
        "scores": {name: scored(every[name]) for name in PARTS},
        "settings": made.origin["settings"],
        "provenance": made.origin["provenance"],
    }


def refuse_other_steps(folder: Path, steps: int) -> None:
    """Amounts compare only after equal training.

    Raises:
        ValueError: a result that is there was trained for another number of steps.
    """
    for amount in (*AMOUNTS, ALL):
        path = folder / f"{LANGUAGE}-{amount}.json"
        if path.exists() and (there := json.loads(path.read_text())["settings"]["steps"]) != steps:
            raise ValueError(
                f"--steps must be equal for all amounts: {path} has {there}, got {steps}; "
                "name another --folder and another --out"
            )


def main(
    out: Annotated[Path, typer.Option(help="Folder for the speech and the runs.")],
    steps: Annotated[int, typer.Option(min=1, help="Steps of training, of each amount.")] = STEPS,
    folder: Annotated[Path, typer.Option(help="Where results go.")] = measured.LABEL_MINUTES,
) -> None:
    """Trains on each amount and writes a result for it; what is there stays, and the same command goes on."""
    with plain_errors(stopped="the same command goes on"):
        refuse_other_steps(folder, steps)
        folder.mkdir(parents=True, exist_ok=True)
        for amount in (*AMOUNTS, ALL):
            path = folder / f"{LANGUAGE}-{amount}.json"
            if not path.exists():
                say(f"{LANGUAGE}, {amount}")
                write_atomically(path, (json.dumps(measure(amount, out, steps), indent=1) + "\n").encode())


if __name__ == "__main__":
    typer.run(main)
