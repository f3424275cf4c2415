"""`finetune` and `evaluate` of the tool; what is heavy is imported once one runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from common.command import plain_errors

GOES_ON = "the same command goes on"
Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Folder with metadata.csv or .jsonl, .wav beside .txt, or Kaldi's; a .tsv or manifest.",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def finetune(
    data: Data,
    model: Annotated[
        str, typer.Option(help="Encoder to start from: a name, a file of ours, a Hugging Face folder, a .pt.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the weights, their card, and what resuming needs.")],
    arm: Annotated[str, typer.Option(help="adapters, head, full or lora.")] = "adapters",
    dev: Annotated[
        Path | None, typer.Option(help="Recordings to score on; default a tenth of DATA, by speaker or text.")
    ] = None,
    language: Annotated[str, typer.Option(help="Code of the language, for the name on the set.")] = "und",
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps of training; default thirty rounds over DATA, 300 to 20000."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; repeatable.")
    ] = None,
    print_settings: Annotated[
        bool, typer.Option("--print-settings", help="Check DATA, show every setting as --set takes it, stop.")
    ] = False,
    resume: Annotated[
        str, typer.Option(help="auto goes on if it can; must fails if not; never or replace start anew.")
    ] = "auto",
    device: Device = "auto",
) -> None:
    """Trains a recogniser on your own recordings; stopped, the same command goes on.

    The alphabet is made of the texts, in any script. Arms adapters and head write OUT/set.safetensors for `transcribe
    --adapter`; full and lora write OUT/recogniser.safetensors for `transcribe --model`. OUT/README.md says how well it
    does on dev, OUT/left-out.txt which recordings were not used and why.

    \b
    python -m speech_adapters finetune recordings/ --model small-en --out mine/
    python -m speech_adapters finetune cv/train.tsv --dev cv/dev.tsv --model wav2vec_small.pt --language it --out it/
    python -m speech_adapters transcribe talk.wav --model small-en --adapter mine/set.safetensors
    """
    with plain_errors(stopped=GOES_ON, too_large="a batch is"):
        from speech_adapters.own import finetuning

        wanted = finetuning.Wanted(
            data=data,
            model=model,
            arm=arm,
            out=out,
            dev=dev,
            language=language,
            steps=steps,
            settings=settings or (),
        )
        if print_settings:
            from common.settings import assignments

            typer.echo("\n".join(assignments(wanted.recipe())))
            return
        path = finetuning.finetune(wanted, device=device, resume=resume)
        typer.echo((out / finetuning.CARD).read_text(encoding="utf-8"))
        typer.echo(f"{path}: its card is {out / finetuning.CARD}")


def evaluate(
    data: Data,
    adapter: Annotated[str | None, typer.Option(help="A published set (en, fr) or a set's file.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="The set's encoder, default the one it names; or a whole recogniser without --adapter."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    device: Device = "auto",
) -> None:
    """Word and character error rates on your own recordings, with 95 % intervals, by speaker, the worst aligned.

    \b
    python -m speech_adapters evaluate recordings/ --adapter mine/set.safetensors
    python -m speech_adapters evaluate recordings/ --adapter en --model small-en --json
    python -m speech_adapters evaluate recordings/ --model mine/recogniser.safetensors
    """
    with plain_errors(too_large="a recording is"):
        import torch

        from common.runtime import find_device
        from speech_adapters.checkpoints import by_name
        from speech_adapters.own import evaluation

        (path,) = by_name.find_adapter_sets([adapter]).values() if adapter else (None,)
        found = torch.device(find_device(device).kind)
        scores = evaluation.evaluate(data, model, path, found)
        named = {"data": str(data), "adapter": adapter, "model": model}
        typer.echo(
            json.dumps(named | scores.record(), indent=1, ensure_ascii=False) if as_json else scores.table()
        )
