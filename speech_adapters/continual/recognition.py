"""What an encoder is good for: a recogniser put on it and trained for a little while, scored on held-out utterances.

With the output head alone trained this is a linear probe of letters, with everything trained or with adapters on top of
a language's own it is the fine-tuning that follows pre-training. The same seeds, batches and steps for every encoder.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from common.data.packages import data_root
from common.schedule import Schedule
from speech_adapters.continual.evaluation_settings import ShortTraining
from speech_adapters.ctc.measures import CTC_NATS
from speech_adapters.ctc.training import CTCTraining
from speech_adapters.data.source import Source
from speech_adapters.model.architecture import SAMPLE_RATE_HZ, Architecture
from speech_adapters.model.arm import Arm

if TYPE_CHECKING:
    from torch import nn

    from common.results import Item
    from speech_adapters.ctc.scoring import ScoredUtterance
    from speech_adapters.data.source import Utterance
    from speech_adapters.model.ctc_model import CTCModel
    from speech_adapters.model.wav2vec2 import Wav2Vec2


@dataclass(frozen=True, kw_only=True)
class ShareTriStage(Schedule):
    """fairseq's tri-stage in shares of the steps: warm up from a hundredth, hold, decay exponentially."""

    warmup_share: float = 0.1
    hold_share: float = 0.4
    final_ratio: float = 0.05

    def rate(self, peak_lr: float, step: int, steps: int) -> float:
        done = step / steps
        if done < self.warmup_share:
            return peak_lr * ((done + 1e-3) / self.warmup_share)
        left = 1 - self.warmup_share - self.hold_share
        decayed = max(0.0, (done - self.warmup_share - self.hold_share) / left)
        return peak_lr * float(self.final_ratio**decayed)


@dataclass(frozen=True, kw_only=True)
class Recognise(CTCTraining):
    """A recogniser on an encoder in a file; adapters that the encoder has stay frozen below those of the arm."""

    encoder: str  # path of a file of ours
    head_seed: int  # of what is new: output head, adapters
    train_s: float = 900.0  # seconds of the source's train part, at most
    schedule: Schedule = ShareTriStage()
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.01
    clip_norm: float = 1.0

    def model(self) -> nn.Module:
        from common.runtime import seed_all
        from speech_adapters.checkpoints.model_files import load_encoder
        from speech_adapters.data.text import Vocabulary
        from speech_adapters.model.adapters import apply
        from speech_adapters.model.ctc_model import CTCModel

        encoder = load_encoder(Path(self.encoder))
        seed_all("recognise", self.head_seed, self.source.name, self.arm.kind)
        model = CTCModel(encoder, len(Vocabulary.of(self.language)))
        apply(self.arm, model.encoder, model.head)
        return self.multiplying(model)

    def encoder_architecture(self) -> Architecture:
        return _architecture(self.encoder)

    def backbone_key(self) -> str:
        return self.encoder

    def activations_folder(self) -> Path:
        """Beside the encoder, which they are gone with."""
        return Path(self.encoder).parent

    def utterances(self, part: str) -> tuple[Utterance, ...]:
        if part == "train":
            return _read(self.source, self.train_s, self.encoder_architecture())
        return super().utterances(part)

    def scored(self, model: CTCModel, part: str) -> Iterator[tuple[Utterance, ScoredUtterance]]:
        """Utterances of a part in order, with loss and greedy errors."""
        import torch

        from speech_adapters.ctc.scoring import score_utterance

        for utterance in self.utterances(part):
            with torch.inference_mode():
                yield utterance, score_utterance(self.log_probs(model, utterance), utterance)

    def score(self, model: CTCModel, *, seed: int, split: str, pictures: Path) -> Iterator[Item]:  # type: ignore[override]
        from common.results import Item

        for one, found in self.scored(model, split):
            yield Item(f"{one.source}/{one.id}", one.group, one.source, found.scores)

    def manifest_sha256(self) -> str:
        return self.source.content_sha256()


def deaf_nats(
    architecture: Architecture, source: Source, part: str, training: ShortTraining
) -> dict[str, float]:
    """CTC loss of each utterance of a part under one distribution of symbols, fitted to what a training reads.

    A recogniser that is worse than it has learned nothing of the sound.
    """
    from speech_adapters.ctc.deaf import fitted
    from speech_adapters.ctc.scoring import feasible, score_utterance
    from speech_adapters.data.text import Vocabulary

    texts = _read(source, training.train_s, architecture)
    frames = [architecture.num_frames(one.samples) for one in texts]
    row = fitted(texts, frames, len(Vocabulary.of(source.language)))
    nats = {}
    for one in feasible(source, part, architecture)[0]:
        log_probs = row.expand(architecture.num_frames(one.samples), -1)
        nats[one.id] = score_utterance(log_probs, one).scores[CTC_NATS.name]
    return nats


def _read(source: Source, train_s: float, architecture: Architecture) -> tuple[Utterance, ...]:
    """What a training of so many seconds reads of a source."""
    from speech_adapters.ctc.scoring import feasible

    chosen = {utterance.id for utterance in _first(source, train_s, data_root())}
    return tuple(one for one in feasible(source, "train", architecture)[0] if one.id in chosen)


@cache
def _architecture(path: str) -> Architecture:
    from speech_adapters.checkpoints.model_files import read

    return read(Path(path)).architecture


@cache
def _first(source: Source, most_s: float, root: Path) -> tuple[Utterance, ...]:
    """Utterances of the train part by id until they last that long."""
    chosen, left = [], most_s * SAMPLE_RATE_HZ
    for utterance in source.utterances("train"):
        if (left := left - utterance.samples) < 0:
            break
        chosen.append(utterance)
    return tuple(chosen)


@contextmanager
def _same_precision() -> Iterator[None]:
    """A training on a GPU turns TF32 on; what is scored after it must not notice."""
    import torch

    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def recognise(
    encoder: Wav2Vec2, arm: Arm, source: Source, part: str, *, seed: int, training: ShortTraining
) -> Iterator[tuple[Utterance, ScoredUtterance]]:
    """Utterances of a source's part and their scores, after a short training on its train part.

    The encoder given is not changed. Nothing of the training is kept.
    """
    import torch

    from common import checkpoint, trainer
    from speech_adapters.checkpoints import model_files

    device = next(encoder.parameters()).device
    with TemporaryDirectory() as folder:
        path = Path(folder) / "encoder.safetensors"
        model_files.save_encoder(path, encoder)
        recipe = Recognise(
            source=source, arm=arm, encoder=str(path), head_seed=seed, steps=training.steps,
            peak_lr=training.peak_lr, train_s=training.train_s, threads=torch.get_num_threads(),
        )  # fmt: skip
        with _same_precision():
            trained = trainer.train(
                recipe, seed=seed, folder=Path(folder) / "run", device=device.type, alone=True
            )
        model: Any = recipe.model()
        model.load_state_dict(checkpoint.load(trained.weights).tensors)
        yield from recipe.scored(model.to(device).eval(), part)
