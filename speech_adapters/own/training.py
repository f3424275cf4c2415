"""The recipe behind `finetune`: CTC on somebody's own recordings, through the one trainer."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.journal import read as read_journal
from common.schedule import TRI_STAGE, Schedule
from common.settings import free
from speech_adapters.checkpoints import by_name
from speech_adapters.ctc.training import CTCTraining
from speech_adapters.model.architecture import SAMPLE_RATE_HZ, Architecture, WhisperArchitecture
from speech_adapters.model.arm import Arm, usual_bottleneck
from speech_adapters.own.checking import MOST_S
from speech_adapters.own.recordings import OwnSpeech, OwnUtterance

if TYPE_CHECKING:
    from torch import Tensor, nn

    from common.results import Item
    from speech_adapters.data.batches import Batch
    from speech_adapters.data.source import Utterance
    from speech_adapters.data.text import Vocabulary
    from speech_adapters.model.ctc_model import CTCModel

DEV_CER = "dev_character_error_rate"
# Peak rates of encoders up to 256 wide, and of wider ones. Of the first, those of adapters, full and head are what
# asr-adapters chose on dev; of the second, adapters and full are its `paper` scale. The others were not searched for.
RATES = {"adapters": (1.25e-2, 1e-3), "full": (2e-3, 5e-5), "lora": (5e-3, 1e-3), "head": (3e-2, 1e-3)}
# Of Whisper: trained with texts already, so that small batches and few rounds do. Chosen in runs of 80 steps on
# English dev, that of the head aside.
WHISPER_RATES = {"adapters": 1e-3, "full": 1e-4, "lora": 1.5e-3, "head": 1e-2}
EPOCHS, WHISPER_EPOCHS, LEAST_STEPS, MOST_STEPS = 30, 4, 300, 20_000
WHISPER_BATCH_S = 8.0
# Shares of the steps. The head comes first where more than it is trained of Whisper, or the whole of another encoder:
# adapters and a head from nothing together wrote blanks alone for long.
WARM_UP, HEAD_ONLY, WHISPER_HEAD_ONLY = 0.1, 0.1, 0.25
MOST_THREADS = 8
LOG_EVERY = 10  # steps


@dataclass(frozen=True, kw_only=True)
class OwnTraining(CTCTraining):
    """Trains a recogniser of the letters that the texts hold."""

    source: OwnSpeech
    backbone: str = free("")  # whose weights are hashed with the data
    schedule: Schedule = TRI_STAGE
    head_only_steps: int = 0  # at the start, in which the encoder is frozen
    head_lr_ratio: float = 1.0  # of the head's rate to that of all else
    on: str = free("")  # file of a set whose adapters training begins from; hashed with the data
    dev_every: int = free(100)  # steps between scores of the dev part, a multiple of `log_every`
    patience: int = (
        0  # dev scores in a row that are no best, after which training ends; 0 goes to the last step
    )

    # ---- the network

    def model(self) -> nn.Module:
        from speech_adapters.model.adapters import apply
        from speech_adapters.model.ctc_model import CTCModel

        encoder = by_name.load(self.backbone)
        model = CTCModel(encoder, len(self.vocabulary()))
        if not self.on:
            apply(self.arm, encoder, model.head)
            return self.multiplying(model)
        from speech_adapters.checkpoints.adapter_sets import AdapterSet

        AdapterSet.load(Path(self.on)).begin(encoder)
        if self.arm.kind != "adapters":  # else these adapters go on
            apply(self.arm, encoder)
        model.head.requires_grad_(True)
        return self.multiplying(model)

    def vocabulary(self) -> Vocabulary:
        return self.source.vocabulary()

    def encoder_architecture(self) -> Architecture:
        return self.source.architecture

    def backbone_key(self) -> str:
        if not self.on:
            return by_name.sha256(self.backbone)
        below = hashlib.sha256(Path(self.on).read_bytes()).hexdigest()
        return hashlib.sha256(f"{by_name.sha256(self.backbone)} {below}".encode()).hexdigest()

    def activations_folder(self) -> Path:
        return Path(self.source.kept) / "frozen"

    # ---- data

    def prepare(self) -> None:
        self.source.prepare()

    def manifest_sha256(self) -> str:
        held = f"{self.source.content_sha256()} {self.backbone_key()}"
        return hashlib.sha256(held.encode()).hexdigest()

    def utterances(self, part: str) -> tuple[OwnUtterance, ...]:
        """All of the source, which has left out those that frames cannot spell."""
        return self.source.utterances(part)

    def labels(self, utterance: Utterance) -> tuple[int, ...]:
        """Of what is trained on; dev texts are compared as text, and may have letters that training lacks."""
        return _labels(self.source, self.source.content_sha256()).get(utterance.id, ())

    # ---- learning

    def ratio_of_the_head(self) -> float:
        return self.head_lr_ratio

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        network: Any = getattr(model, "module", model)
        network.step = step  # `monitor` is not told
        network.head_only = step < self.head_only_steps
        return self.ctc_losses(model, batch, {})

    def monitor(self, model: CTCModel) -> dict[str, Tensor]:  # type: ignore[override]
        """Greedy character errors on the dev part, every `dev_every` steps and at the last."""
        import torch

        from speech_adapters.ctc.measures import CHARACTER_ERRORS, CHARACTERS, ratio

        done = int(model.step) + 1  # type: ignore[arg-type]
        if done % self.dev_every and done != self.steps:
            return {}
        model.eval()
        items = list(self.score(model, seed=0, split="dev", pictures=Path()))
        model.train()
        return {DEV_CER: torch.tensor(ratio(items, CHARACTER_ERRORS.name, CHARACTERS.name))}

    def enough(self, journal: Path) -> bool:
        scores = dev_scores(journal) if self.patience else {}
        return len(scores) - 1 - list(scores).index(best_step(scores)) >= self.patience if scores else False

    def score(self, model: CTCModel, *, seed: int, split: str, pictures: Path) -> Iterator[Item]:  # type: ignore[override]
        """Greedy errors of every utterance."""
        import torch

        from speech_adapters.ctc import decoding
        from speech_adapters.own.evaluation import item

        for utterance in self.utterances(split):
            with torch.inference_mode():
                heard = decoding.greedy(self.log_probs(model, utterance), self.vocabulary())
            yield item(utterance.id, utterance.speaker, utterance.text, heard)


def dev_scores(journal: Path) -> dict[int, float]:
    """Character error rates on the dev part, in 0..1 or more, by the steps after which they were taken."""
    return {row["step"]: row[DEV_CER] for row in read_journal(journal) if DEV_CER in row}


def best_step(scores: Mapping[int, float]) -> int:
    """Of the lowest error, the first of equals."""
    return min(scores, key=lambda step: (scores[step], step))


@lru_cache(maxsize=4)
def _labels(source: OwnSpeech, content_sha256: str) -> dict[str, tuple[int, ...]]:
    vocabulary = source.vocabulary()
    return {one.id: tuple(vocabulary.encode(one.text)) for one in source.utterances("train")}


def planned(source: OwnSpeech, backbone: str, kind: str, steps: int | None, seconds: float) -> OwnTraining:
    """Settings that suit the encoder's width, the arm and the seconds of training speech.

    Raises:
        ValueError: an arm without a rate.
    """
    if kind not in RATES:
        raise ValueError(f"arm must be one of {', '.join(RATES)}, got {kind!r}")
    architecture = source.architecture
    whisper = isinstance(architecture, WhisperArchitecture)
    batch_s = max(WHISPER_BATCH_S, math.ceil(longest_of(source))) if whisper else MOST_S + 2
    if steps is None:
        epochs = WHISPER_EPOCHS if whisper else EPOCHS
        steps = min(MOST_STEPS, max(LEAST_STEPS, round(epochs * seconds / batch_s)))
    wide = architecture.width > 256
    peak_lr = WHISPER_RATES[kind] if whisper else RATES[kind][wide]
    head_only = (
        0.0 if kind == "head" else WHISPER_HEAD_ONLY if whisper else HEAD_ONLY if kind == "full" else 0.0
    )
    return OwnTraining(
        source=source, backbone=backbone, arm=Arm(kind=kind, bottleneck=usual_bottleneck(architecture)),
        steps=steps, batch_s=batch_s, peak_lr=peak_lr, bf16=wide,
        schedule=replace(TRI_STAGE, warmup_steps=round(WARM_UP * steps)), betas=(0.9, 0.98), clip_norm=1.0,
        head_only_steps=round(head_only * steps),
        head_lr_ratio=WHISPER_RATES["head"] / peak_lr if whisper else 1.0, dev_every=max(1, steps // 100) * LOG_EVERY,
        log_every=LOG_EVERY,
        threads=min(MOST_THREADS, os.cpu_count() or 1), packed=True, fused=True, onednn=True,
    )  # fmt: skip


def longest_of(source: OwnSpeech) -> float:
    """Seconds of the longest training utterance."""
    return max(one.samples for one in source.utterances("train")) / SAMPLE_RATE_HZ


def seconds_of(source: OwnSpeech, part: str) -> float:
    return sum(one.samples for one in source.utterances(part)) / SAMPLE_RATE_HZ
