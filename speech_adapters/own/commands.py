"""`pretrain`, `finetune`, `evaluate` and `lm` of the tool; what is heavy is imported once one runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from common.command import plain_errors
from common.own_training import GOES_ON, Device, Out, PrintSettings, Resume, Settings, carry_out
from common.progress import say

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Folder with metadata.csv or .jsonl, .wav beside .txt, or Kaldi's; a .tsv or manifest.",
    ),
]
Language = Annotated[str, typer.Option(help="Code of the language, for the name on the set.")]
Layout = Annotated[
    str,
    typer.Option(help="audiofolder, common-voice, nemo, kaldi, fairseq or pairs; default told by looking."),
]
Arpa = Annotated[
    Path | None, typer.Option(help="Beam search with this n-gram of words (ARPA), as `lm` writes it.")
]
LmWeight = Annotated[float, typer.Option(help="Weight of the n-gram's log10 probabilities.")]
WordScore = Annotated[float, typer.Option(help="Nats given for each word of beam search.")]
Beam = Annotated[int, typer.Option(min=1, help="Hypotheses kept by beam search.")]


def pretrain(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Sound of any kind, in folders of any depth.")
    ],
    model: Annotated[
        str, typer.Option(help="Encoder to start from: a name, a file of ours, a Hugging Face folder, a .pt.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the set, its card, and what resuming needs.")],
    language: Language = "und",
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps of training; default ten rounds over FOLDER, 400 to 20000."),
    ] = None,
    settings: Settings = None,
    print_settings: PrintSettings = False,
    resume: Resume = "auto",
    device: Device = "auto",
) -> None:
    """Goes on pre-training an encoder on sound without texts, by adapters; stopped, the same command goes on.

    Writes OUT/pretrained.safetensors for `finetune --on`, and OUT/README.md. What cannot be read is named; a training
    that collapses stops and says so.

    \b
    python -m speech_adapters pretrain radio/ --model small-en --language it --out it-sound/
    python -m speech_adapters pretrain radio/ --model wav2vec_small.pt --steps 5000 --set crop_s=8 --out it-sound/
    python -m speech_adapters finetune cv/train.tsv --model small-en --on it-sound/pretrained.safetensors --out it/
    """
    with plain_errors(stopped=GOES_ON, too_large="a batch is"):
        from speech_adapters.own import pretraining

        wanted = pretraining.Wanted(
            folder=folder, model=model, out=out, language=language, steps=steps, settings=settings or ()
        )
        carry_out(wanted, pretraining.pretrain, print_settings=print_settings, device=device, resume=resume)


def finetune(
    data: Data,
    model: Annotated[
        str, typer.Option(help="Encoder to start from: a name, a file of ours, a Hugging Face folder, a .pt.")
    ],
    out: Out,
    arm: Annotated[str, typer.Option(help="adapters, head, full or lora.")] = "adapters",
    dev: Annotated[
        Path | None, typer.Option(help="Recordings to score on; default a tenth of DATA, by speaker or text.")
    ] = None,
    on: Annotated[
        Path | None, typer.Option(help="Begin from the adapters of this set, such as one of `pretrain`.")
    ] = None,
    language: Language = "und",
    layout: Layout = "",
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, help="Steps of training; default thirty rounds over DATA, of Whisper four; 300 to 20000."
        ),
    ] = None,
    patience: Annotated[
        int, typer.Option(min=0, help="Stop after so many dev scores that are no best; 0 never does.")
    ] = 0,
    settings: Settings = None,
    print_settings: PrintSettings = False,
    resume: Resume = "auto",
    device: Device = "auto",
) -> None:
    """Trains a recogniser on your own recordings; stopped, the same command goes on.

    The alphabet is made of the texts, in any script. Arms adapters and head write OUT/set.safetensors for `transcribe
    --adapter`; full and lora write OUT/recogniser.safetensors for `transcribe --model`. OUT/README.md says how well it
    does on dev, OUT/left-out.txt which recordings were not used and why.

    \b
    python -m speech_adapters finetune recordings/ --model whisper-base --out mine/
    python -m speech_adapters finetune cv/train.tsv --dev cv/dev.tsv --model wav2vec_small.pt --language it --out it/
    python -m speech_adapters transcribe talk.wav --adapter mine/set.safetensors
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
            on=on,
            layout=layout,
            patience=patience,
        )
        carry_out(wanted, finetuning.finetune, print_settings=print_settings, device=device, resume=resume)


def evaluate(
    data: Data,
    adapter: Annotated[
        str | None, typer.Option(help="A published set (en, es, fr, it, ru) or a set's file.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="The set's encoder, default the one it names; or a whole recogniser without --adapter."
        ),
    ] = None,
    layout: Layout = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    lm: Arpa = None,
    lm_weight: LmWeight = 2.0,
    word_score: WordScore = -1.0,
    beam: Beam = 50,
    device: Device = "auto",
) -> None:
    """Word and character error rates on your own recordings, with 95 % intervals, by speaker, the worst aligned.

    \b
    python -m speech_adapters evaluate recordings/ --adapter mine/set.safetensors
    python -m speech_adapters evaluate recordings/ --adapter en --lm words.arpa --json
    python -m speech_adapters evaluate recordings/ --model mine/recogniser.safetensors
    """
    with plain_errors(too_large="a recording is"):
        import torch

        from common.runtime import find_device
        from speech_adapters.checkpoints import by_name
        from speech_adapters.inference.recogniser import WordSearch
        from speech_adapters.own import evaluation

        search = None
        if lm:
            search = WordSearch(arpa=lm, lm_weight=lm_weight, word_score=word_score, beam=beam)
        path = None
        if adapter:
            model, sets = by_name.chosen([adapter], model)
            (path,) = sets.values()
        found = torch.device(find_device(device).kind)
        scores = evaluation.evaluate(data, model, path, found, search, layout)
        if scores.trained_on:
            say(
                f"warning: {scores.trained_on} of {len(scores.items)} recordings were trained on: errors flatter"
            )
        named = {"data": str(data), "adapter": adapter, "model": model, "lm": str(lm) if lm else None}
        typer.echo(
            json.dumps(named | scores.record(), indent=1, ensure_ascii=False) if as_json else scores.table()
        )


def lm(
    texts: Annotated[
        Path,
        typer.Argument(
            metavar="TEXTS", help="A sentence a line, UTF-8; or recordings as `finetune` takes them."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The n-gram to write, .arpa.")],
    order: Annotated[int, typer.Option(min=2, max=6, help="Words of the longest n-gram.")] = 3,
    adapter: Annotated[
        str | None, typer.Option(help="Write words as this set does; default: any script, accents kept.")
    ] = None,
    dev: Annotated[
        Path | None, typer.Option(help="Texts that TEXTS does not hold, whose perplexity is told.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT where it is there.")] = False,
) -> None:
    """Makes an n-gram of words (modified Kneser-Ney) for beam search, in the form that KenLM and pyctcdecode read.

    Only words of TEXTS can come out of a beam search with it: give much text of the kind that is spoken.

    \b
    python -m speech_adapters lm sentences.txt --out words.arpa
    python -m speech_adapters lm recordings/ --dev others/ --order 4 --out words.arpa
    python -m speech_adapters transcribe talk.wav --adapter en --lm words.arpa
    """
    with plain_errors(too_large="the text is"):
        from speech_adapters.own import language_model

        if out.exists() and not overwrite:
            raise ValueError(f"{out} is there already; choose another name, or --overwrite")
        typer.echo(language_model.make(texts, out, order=order, adapter=adapter, dev=dev))
