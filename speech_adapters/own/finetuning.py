"""From a folder of recordings and a checkpoint to a trained file that `transcribe` takes, with a card of its scores."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from common import checkpoint, runtime, trainer
from common.files import check_folder, write_atomically
from common.own_training import CARD, mirrors
from common.progress import say
from common.recipe import Shard
from common.runtime import find_device
from common.settings import override
from speech_adapters.checkpoints import by_name, convert, model_files
from speech_adapters.checkpoints.adapter_sets import AdapterSet
from speech_adapters.data import any_script
from speech_adapters.inference import recogniser as recognising
from speech_adapters.model.adapters import Share, share
from speech_adapters.model.architecture import kind_of
from speech_adapters.own import card, evaluation, training
from speech_adapters.own.evaluation import Scores
from speech_adapters.own.recordings import OwnSpeech, summary
from speech_adapters.own.training import OwnTraining

if TYPE_CHECKING:
    from torch import Tensor

SEED = 0
SWITCHED_ARMS = (
    "adapters",
    "head",
)  # make a set; the others change matrices of the encoder: a whole recogniser
SET, WHOLE, ENCODER = "set.safetensors", "recogniser.safetensors", "encoder.safetensors"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a command line asks for."""

    data: Path
    model: str
    arm: str
    out: Path
    dev: Path | None = None
    language: str = "und"  # undetermined, as ISO 639 has it
    steps: int | None = None
    settings: Sequence[str] = ()  # as --set takes them
    layout: str = ""  # see `reading.read`
    patience: int = 0  # see `OwnTraining`
    on: Path | None = None  # a set whose adapters training begins from

    def recipe(self) -> OwnTraining:
        """The training, its recordings read and checked.

        Raises:
            ValueError: recordings, a checkpoint or settings that cannot be used.
        """
        check_folder(self.out)
        by_name.find(self.model)  # before any work
        source = OwnSpeech(
            self.language, by_name.architecture(self.model), folder=str(self.data),
            dev_folder=str(self.dev or ""), kept=str(self.out / "recordings"),
            layout=self.layout,
        )  # fmt: skip
        source.prepare()
        seconds = training.seconds_of(source, "train")
        recipe = training.planned(source, self.model, self.arm, self.steps, seconds)
        if self.patience:
            recipe = replace(recipe, patience=self.patience, keep_every=recipe.dev_every)
        if self.on:
            arm = AdapterSet.load(self.on).arm
            recipe = replace(recipe, on=str(self.on), arm=arm if self.arm == "adapters" else recipe.arm)
        return override(recipe, self.settings)


def finetune(wanted: Wanted, *, device: str, resume: str) -> Path:
    """Trains, or goes on training, and leaves the file and its card in the folder; returns the file.

    Raises:
        Interrupted: after a signal; the same call goes on.
        ValueError: as `Wanted.recipe`, or what is in the folder is of another training.
    """
    recipe = wanted.recipe()
    for sentence in summary(recipe.source):
        say(sentence)
    model: Any = recipe.model()
    trained_share = share(model)
    say(f"arm {recipe.arm.kind}: {trained_share.trained:,} of {trained_share.total:,} weights are trained "
        f"({trained_share.percent:.2f} %), {recipe.steps} steps")  # fmt: skip

    run = wanted.out / "run"
    if not (run / "checkpoints").exists():
        say(_foretold(recipe, model, find_device(device).kind))

    shown = mirrors(recipe, run, label="finetune", group=recipe.source.name)
    trained = trainer.train(recipe, seed=SEED, folder=run, device=device, resume=resume, mirrors=shown)
    made = checkpoint.load(trained.weights)
    model.to("cpu").load_state_dict(_best(recipe, run, trained.steps) or made.tensors)
    path, needs = _save(wanted, recipe, model, made.state["provenance"])
    scores = _dev_scores(recipe, path, needs, torch.device(find_device(device).kind))
    write_atomically(wanted.out / "scores-dev.json", scores.json().encode())
    _describe(wanted, recipe, path, needs, trained_share, scores)
    return path


def _foretold(recipe: OwnTraining, model: Any, device: str) -> str:
    """What training takes here, as two passes of its first batch tell; the model's weights stay as they are."""
    torch.set_num_threads(recipe.threads)
    model.to(device).train()
    batch = recipe.batch(SEED, 0, Shard()).to(device)
    for _ in range(2):  # the first one warms up
        begun_s = time.monotonic()
        sum(recipe.losses(model, batch, recipe.steps).values()).backward()  # type: ignore[union-attr]
        step_s = time.monotonic() - begun_s
    model.zero_grad()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    used = torch.cuda.max_memory_allocated() if device == "cuda" else runtime.peak_memory_bytes()
    memory = used + 8 * sum(weight.numel() for weight in trained)  # AdamW keeps two numbers of each
    minutes = recipe.steps * step_s / 60
    return f"about {minutes:.1f} min ({step_s:.2f} s a step) and {memory / 1e9:.1f} GB, scores on dev aside"


def _best(recipe: OwnTraining, run: Path, steps: int) -> dict[str, Tensor] | None:
    """The weights of the best dev score, where training was to end early and it was not the last."""
    scores = training.dev_scores(run / "journal.jsonl") if recipe.patience else {}
    step = training.best_step(scores) if scores else steps
    if step == steps:
        return None
    say(f"of {steps} steps those up to {step} are taken: {100 * scores[step]:.1f} % character errors on dev")
    found: dict[str, Tensor] = checkpoint.load(run / "snapshots" / f"step-{step:08d}.safetensors").tensors
    return found


def _save(wanted: Wanted, recipe: OwnTraining, model: Any, provenance: Any) -> tuple[Path, str]:
    """The file, and which encoder it needs; "" where it is a whole recogniser."""
    origin = {
        "data": recipe.source.name,
        "heard": recipe.source.heard(),
        "settings": recipe.settings(),
        "provenance": provenance,
    }
    vocabulary = recipe.vocabulary()
    if recipe.arm.kind not in SWITCHED_ARMS:
        path = wanted.out / WHOLE
        model_files.save_recogniser(path, model, vocabulary.symbols, origin)
        return path, ""
    needs = encoder_of(wanted.model, wanted.out)
    path = wanted.out / SET
    below = AdapterSet.load(wanted.on) if wanted.on else None
    tensors: dict[str, Tensor] = {
        name: weight.detach().clone()
        for name, weight in model.named_parameters()
        if weight.requires_grad or (below and name in below.tensors)
    }
    AdapterSet(
        tensors, below.arm if below else recipe.arm, wanted.language, vocabulary, by_name.sha256(recipe.backbone),
        origin | {"model": needs}, any_script.NORMALISER,
    ).save(path)  # fmt: skip
    return path, needs


def encoder_of(model: str, out: Path) -> str:
    """What `--model` of `transcribe` must be: the checkpoint, or its encoder alone where it has an output head."""
    found = by_name.find(model)
    if convert.read(found).stored.kind == "recogniser":
        path = (out / ENCODER).resolve()
        model_files.save_encoder(path, by_name.load(model), {"file": found.name})
        return str(path)
    return str(found.resolve()) if Path(model).expanduser().exists() else model


def _dev_scores(recipe: OwnTraining, path: Path, needs: str, device: torch.device) -> Scores:
    """Of what was written, loaded as `transcribe` loads it."""
    adapters = {"set": path} if needs else {}
    recogniser = recognising.load(needs or str(path), adapters, device)
    spoken = ((one.id, one.speaker, one.text, one.waveform()) for one in recipe.utterances("dev"))
    return Scores(tuple(evaluation.items(recogniser, spoken, any_script.normalise)))


def _describe(
    wanted: Wanted, recipe: OwnTraining, path: Path, needs: str, trained: Share, scores: Scores
) -> None:
    chosen = f"--model {Path(needs).name} --adapter {path.name}" if needs else f"--model {path.name}"
    text = card.card(
        name=wanted.out.resolve().name, language=wanted.language, model=Path(wanted.model).name,
        encoder=kind_of(recipe.source.architecture), arm=recipe.arm.kind,
        data=summary(recipe.source), left_out=recipe.source.index()["left_out"], trained=trained,
        steps=recipe.steps, peak_lr=recipe.peak_lr, scores=scores, chosen=chosen,
    )  # fmt: skip
    write_atomically(wanted.out / CARD, text.encode())
