"""The tool: `python -m speech_adapters transcribe|finetune|evaluate|...`; what is heavy is imported once one runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.command import complain, plain_errors, tool
from common.progress import progress, say
from speech_adapters.own import commands

if TYPE_CHECKING:
    from speech_adapters.inference.transcribe import Transcript

KEPT = "what was finished before is kept"

app = tool(
    "wav2vec 2.0 with adapters: transcribe, train on your own speech, encode audio, count weights, convert."
)
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Files = Annotated[list[Path], typer.Argument(metavar="FILE", help="Audio, or video with sound; - is stdin.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that are there.")]


@app.command()
def transcribe(
    files: Files,
    adapter: Annotated[
        list[str] | None,
        typer.Option(
            help="A published set (en, es, fr, it, ru) or a set's file, default en; repeat it to write every file in "
            "each."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="An encoder by name or file, default the set's; or a whole recogniser's file, without --adapter."
        ),
    ] = None,
    txt: Annotated[bool, typer.Option("--txt", help="Write FILE.txt, a line per stretch of speech.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write FILE.json: words, seconds, confidences.")
    ] = False,
    srt: Annotated[bool, typer.Option("--srt", help="Write FILE.srt, subtitles.")] = False,
    vtt: Annotated[bool, typer.Option("--vtt", help="Write FILE.vtt, subtitles of the web.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write into; default is each input's own.")
    ] = None,
    overwrite: Overwrite = False,
    lm: commands.Arpa = None,
    words: Annotated[
        Path | None,
        typer.Option(
            help="The only words that beam search may write, default the n-gram's; parted by space."
        ),
    ] = None,
    lm_weight: commands.LmWeight = 2.0,
    word_score: commands.WordScore = -1.0,
    beam: commands.Beam = 50,
    batch_s: Annotated[float, typer.Option(min=1, help="Seconds of sound computed at once.")] = 60.0,
    device: Device = "auto",
) -> None:
    """Writes what is said in files of any length, with times, in constant memory.

    Without --txt, --json, --srt, --vtt or --out the text goes to stdout. Several adapters share one encoder and one
    batch; outputs are then named FILE.en.srt, FILE.fr.srt. A file that cannot be read is named on stderr, the others
    go on, and the exit code is 1.

    \b
    python -m speech_adapters transcribe talk.wav
    python -m speech_adapters transcribe *.mp3 --adapter en --adapter fr --json --srt --out texts/
    python -m speech_adapters transcribe film.mkv --model my-recogniser.safetensors --vtt
    """
    with plain_errors(stopped=KEPT, too_large="--batch-s is"):
        import torch

        from common.runtime import find_device
        from speech_adapters.checkpoints import by_name
        from speech_adapters.inference import recogniser as recognising
        from speech_adapters.inference import transcribe as transcribing
        from speech_adapters.inference.piped import spooled
        from speech_adapters.inference.subtitles import targets

        chosen = {"txt": txt, "json": as_json, "srt": srt, "vtt": vtt}
        formats = [name for name, wanted in chosen.items() if wanted] or (["txt"] if out else [])
        model, sets = by_name.chosen(adapter or (), model)
        _check_beam(lm, words, len(sets))
        found = find_device(device)
        targets((), (), formats, out, overwrite=overwrite)  # before any work
        recogniser = recognising.load(model, sets, torch.device(found.kind))
        if lm:
            only = _words(words) if words else None
            search = recognising.WordSearch(
                arpa=lm, words=only, lm_weight=lm_weight, word_score=word_score, beam=beam
            )
            recogniser = recogniser.with_beam_search(search)
        for decoder in recogniser.decoders:
            if decoder.caution:
                say(f"note: {decoder.caution}")
        with spooled(files) as names:
            labels = [decoder.label for decoder in recogniser.decoders]
            outputs = targets(list(names.values()), labels, formats, out, overwrite=overwrite)
            failed, inputs = 0, list(names)
            with progress("transcribing", transcribing.count_windows(inputs, recogniser), "window") as bar:
                for done in transcribing.transcribe(inputs, recogniser, batch_s=batch_s, advance=bar.advance):
                    if isinstance(done, transcribing.Failure):
                        failed += 1
                        complain(done.reason.replace(str(done.path), str(names[done.path])))
                        continue
                    _tell_note(done[0].note, done[0].path, names)
                    for transcript in done:
                        _put(replace(transcript, path=names[transcript.path]), outputs, formats)
        _finish(failed, len(files))


def _check_beam(lm: Path | None, words: Path | None, num_sets: int) -> None:
    if words and not lm:
        raise ValueError("--words are those of beam search, which needs --lm FILE.arpa as well")
    if lm and num_sets > 1:
        raise ValueError(f"an n-gram is of one language; give --lm with one --adapter, got {num_sets}")


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be UTF-8, got other bytes at {error.start}") from error


def _put(transcript: Transcript, outputs: dict[tuple[Path, str, str], Path], formats: Sequence[str]) -> None:
    """Into its files, or to stdout."""
    from common.data.media import shown
    from common.files import write_atomically
    from speech_adapters.inference.subtitles import WRITERS, as_text

    label, count = transcript.decoder.label, len(transcript.words)
    for suffix in formats:
        target = outputs[transcript.path, label, suffix]
        write_atomically(target, WRITERS[suffix](transcript).encode())
        typer.echo(f"{shown(target)}: {count} words in {transcript.duration_s:.1f} s, by {label}")
    if not formats:
        typer.echo(f"{shown(transcript.path)}, by {label}:\n{as_text(transcript) or 'no words'}".rstrip())


def _tell_note(note: str, path: Path, names: Mapping[Path, Path]) -> None:
    if note:
        say(f"note: {note.replace(str(path), str(names[path]))}")


def _finish(failed: int, total: int) -> None:
    if failed:
        typer.echo(f"{failed} of {total} files failed", err=True)
        raise typer.Exit(1)


@app.command()
def encode(
    files: Files,
    out: Annotated[Path, typer.Option(help="Folder for FILE.npy and encode.json, which says what they are.")],
    model: Annotated[
        str, typer.Option(help="An encoder by name or file, or the encoder of any model.")
    ] = "small-en",
    layer: Annotated[
        int | None, typer.Option(help="0 is the embedding, N what layer N makes; default the last.")
    ] = None,
    overwrite: Overwrite = False,
    whole_s: Annotated[
        float, typer.Option(min=1, help="Longest file, in seconds, that is encoded in one pass.")
    ] = 600.0,
    device: Device = "auto",
) -> None:
    """Writes an encoder's features of any audio, float32 of shape (frames, width), 50 frames a second.

    A file longer than --whole-s is encoded in windows of 30 s that hear 2 s more on each side: lower it where memory
    or time is short, since of ten minutes base's first layer alone makes 4 GB. Features that are there are kept, so
    that a stopped command goes on when it is given again; those of another encoder or layer are refused. A file that
    cannot be read is named on stderr, the others go on, and the exit code is 1.

    \b
    python -m speech_adapters encode talk.wav --out features/
    python -m speech_adapters encode *.mp3 --out features/ --layer 3 --device cuda
    python -c "import numpy; print(numpy.load('features/talk.npy').shape)"
    """
    with plain_errors(stopped=KEPT + "; the same command goes on", too_large="--whole-s is"):
        import torch

        from common.data.media import shown
        from common.runtime import find_device
        from speech_adapters.inference import encode as encoding
        from speech_adapters.inference.piped import spooled

        encoding.targets((), out)  # before any work
        encoder = encoding.load(model, layer, torch.device(find_device(device).kind))
        failed = 0
        with spooled(files) as names, progress("encoding", len(files), "file") as bar:
            by_name = encoding.targets(list(names.values()), out)
            encoding.prepare_folder(encoder, list(by_name.values()), out, overwrite=overwrite)
            targets = {path: by_name[name] for path, name in names.items()}
            for done in encoding.encode(targets, encoder, overwrite=overwrite, whole_s=whole_s):
                bar.advance()
                if isinstance(done, encoding.Failure):
                    failed += 1
                    complain(done.reason.replace(str(done.path), str(names[done.path])))
                else:
                    _tell_note(done.note, done.path, names)
                    made = "is there, kept" if done.frames is None else f"{done.frames} frames"
                    typer.echo(f"{shown(done.target)}: {made}")
        _finish(failed, len(files))


@app.command()
def params(
    backbone: Annotated[str, typer.Option(help="base, large, xlsr, small, tiny or whisper-base.")] = "base",
    arm: Annotated[
        str | None,
        typer.Option(
            help="full, adapters, finetune, single-adapter, single-finetune, head, lora or bitfit; default all."
        ),
    ] = None,
    layers: Annotated[
        int, typer.Option(min=0, help="How many from the top, 0 is all; of single-... which one, from 1.")
    ] = 0,
    bottleneck: Annotated[
        int | None,
        typer.Option(
            min=1, help="Channels inside an adapter; LoRA's rank follows. Default 256, of small 64."
        ),
    ] = None,
    norms: Annotated[
        str, typer.Option(help="Layer norms beside adapters: all, or those of adapted layers.")
    ] = "all",
    strict: Annotated[
        bool, typer.Option("--strict", help="finetune trains its layers alone, nothing below.")
    ] = False,
    symbols: Annotated[int, typer.Option(min=1, help="Symbols of the head.")] = 32,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Counts what an arm trains, and its share of the recogniser; no weights are needed.

    \b
    python -m speech_adapters params
    python -m speech_adapters params --backbone base --arm adapters --layers 6
    python -m speech_adapters params --backbone xlsr --arm lora --bottleneck 128 --json
    """
    with plain_errors():
        from speech_adapters.model.architecture import ARCHITECTURES
        from speech_adapters.model.arm import Arm, usual_bottleneck

        if backbone not in ARCHITECTURES:
            raise ValueError(f"backbone must be one of {', '.join(ARCHITECTURES)}, got {backbone!r}")
        if arm is None and layers:
            raise ValueError(f"--layers is of one arm, got {layers} without --arm")

        from speech_adapters.model import parameter_counts as counting

        architecture = ARCHITECTURES[backbone]
        bottleneck = bottleneck or usual_bottleneck(architecture)
        wanted = Arm(kind=arm or "full", layers=layers, bottleneck=bottleneck, norms=norms, strict=strict)
        arms = [wanted] if arm else counting.every_arm(architecture, wanted)
        rows = counting.records(architecture, arms, symbols)
        if as_json:
            settings = {"bottleneck": bottleneck, "norms": norms, "strict": strict, "symbols": symbols}
            typer.echo(json.dumps({"backbone": backbone, **settings, "arms": rows}, indent=1))
        else:
            typer.echo(counting.table(rows))


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A checkpoint of any family.")],
    target: Annotated[
        Path,
        typer.Argument(metavar="OUT", help=".safetensors of ours, .pt of fairseq, or a folder of others."),
    ],
    to: Annotated[str, typer.Option(help="ours, fairseq, huggingface, peft, mms or onnx.")] = "ours",
    model: Annotated[
        str, typer.Option(help="Encoder that IN's adapters belong to, where IN names none.")
    ] = "",
    symbols: Annotated[
        Path | None, typer.Option(help="The head's symbols, one a line, blank first, where IN names none.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Turns wav2vec 2.0 checkpoints of fairseq, Hugging Face, torchaudio and ours into one another.

    HuBERT and data2vec-audio of Hugging Face are read too, LoRA folders of PEFT and adapter files of MMS both ways. A
    set becomes a whole recogniser, or MMS's file. onnx writes model.onnx, vocab.txt and config.json for onnx-asr and
    sherpa-onnx. Prints what became of every tensor. Nothing inside a checkpoint is run.

    \b
    python -m speech_adapters convert wav2vec_small.pt base.safetensors
    python -m speech_adapters convert wav2vec2-base-960h/ recogniser.safetensors
    python -m speech_adapters convert mine/set.safetensors for-onnx/ --to onnx
    """
    with plain_errors(too_large="the checkpoint is"):
        from speech_adapters.checkpoints import foreign_adapters as converting

        if target.exists() and not overwrite:
            raise ValueError(f"{target} is there already; choose another name, or --overwrite")
        if target.exists() and target.resolve() == source.resolve():
            raise ValueError(f"{target} is IN itself; choose another name")
        names = _words(symbols) if symbols else None
        typer.echo(str(converting.convert(source, target, to, vocabulary=names, model=model)))


app.command()(commands.pretrain)
app.command()(commands.finetune)
app.command()(commands.evaluate)
app.command()(commands.lm)


if __name__ == "__main__":
    app(prog_name="python -m speech_adapters")
