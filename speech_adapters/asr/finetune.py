"""The recipe behind every arm: a recogniser trained with CTC, whole, in part, or through adapters [Thomas22]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.recipe import Recipe, Shard
from common.schedule import TRI_STAGE, Schedule
from speech_adapters.asr import data
from speech_adapters.model.architecture import (
    NO_DROPOUT,
    SAMPLE_RATE_HZ,
    SMALL,
    Architecture,
    Dropout,
    Masking,
)
from speech_adapters.model.arm import Arm

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from common.results import Item
    from speech_adapters.ctc.frozen_activations import FrozenActivations
    from speech_adapters.data.batches import Batch
    from speech_adapters.data.prepared import Clip
    from speech_adapters.model.ctc_model import CTCModel

NO_MASKING = Masking(start=0.0, span=1)
LOSS = "ctc_nats_per_character"
KEPT_EVERY, MOST_KEPT = 9, 8  # test clips whose sound is kept for the report


@dataclass(frozen=True, kw_only=True)
class FineTune(Recipe):
    """Trains a recogniser of characters on transcribed speech of one language."""

    language: str = "en"
    source: str = "asterisk-en"  # trained on, chosen on, tested on, each a part of it
    probes: tuple[str, ...] = ()  # tested on as well: other voices
    backbone: str = (
        "small-en"  # a name that `checkpoints.by_name` knows; empty trains everything from nothing
    )
    architecture: Architecture = field(default=SMALL)  # of a network from nothing
    arm: Arm = field(default_factory=Arm)
    dropout: Dropout = NO_DROPOUT
    time_masking: Masking = NO_MASKING
    channel_masking: Masking = NO_MASKING
    head_only_steps: int = 0  # at the start, while the encoder rests
    batch_s: float = 16.0  # seconds in a batch, padding included
    schedule: Schedule = TRI_STAGE
    dev_every: int = 50  # steps between looks at the dev part; 0 never looks
    cache_prefix: bool = True  # keep what the frozen part makes; the same numbers either way
    lm_order: int = 3  # of the n-gram of words, estimated from the training texts
    lm_weight: float = 2.0
    word_score: float = -1.0
    beam: int = 50

    # ---- the network

    def model(self) -> nn.Module:
        from speech_adapters.data.text import Vocabulary
        from speech_adapters.model.adapters import apply
        from speech_adapters.model.ctc_model import CTCModel
        from speech_adapters.model.wav2vec2 import Wav2Vec2

        if self.backbone:
            from speech_adapters.checkpoints import by_name

            encoder = by_name.load(self.backbone, self.dropout)
        else:
            encoder = Wav2Vec2(self.architecture, self.dropout)
        model = CTCModel(encoder, len(Vocabulary.of(self.language)))
        if self.backbone:
            apply(self.arm, encoder, model.head)
        return model

    def _depth(self) -> int:
        return _depth(replace(self, steps=0))

    # ---- training items

    def prepare(self) -> None:
        data.prepare(self.source, self.probes)

    def _clips(self, split: str) -> tuple[Clip, ...]:
        from speech_adapters.asr.evaluation import feasible

        return feasible(self.source, split, self._architecture())[0]

    def _architecture(self) -> Architecture:
        if not self.backbone:
            return self.architecture
        from speech_adapters.checkpoints import by_name

        return by_name.architecture(self.backbone)

    def _places(self, seed: int, step: int, shard: Shard) -> tuple[int, ...]:
        from speech_adapters.data import batches

        lengths = tuple(clip.samples for clip in self._clips("train"))
        return batches.at(lengths, round(self.batch_s * SAMPLE_RATE_HZ), seed, step, shard)

    def item_ids(self, seed: int, step: int, shard: Shard) -> list[str]:
        clips = self._clips("train")
        return [clips[place].id for place in self._places(seed, step, shard)]

    def batch(self, seed: int, step: int, shard: Shard) -> Batch:
        clips = self._clips("train")
        return self._collate([clips[place] for place in self._places(seed, step, shard)])

    def _collate(self, clips: list[Clip]) -> Batch:
        from speech_adapters.ctc.scoring import labels
        from speech_adapters.data.batches import collate

        rows: list[np.ndarray]
        if self.cache_prefix and self._depth() >= 0:
            kept = _frozen_activations(replace(self, steps=0))
            rows = [kept[clip.id] for clip in clips]
        else:
            rows = [clip.waveform() for clip in clips]
        return collate([clip.id for clip in clips], rows, [labels(clip) for clip in clips])

    # ---- learning

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        import torch

        from speech_adapters.ctc.scoring import nats

        network: Any = getattr(model, "module", model)
        network.step = step  # `monitor` is not told
        inputs, lengths, depth = self._inputs(network, batch)
        masks: dict[str, Tensor | None] = {}
        if depth <= 0 and (self.time_masking.start or self.channel_masking.start):
            from speech_adapters.model.wav2vec2 import span_mask

            num_frames = self._architecture().num_frames(lengths) if depth < 0 else lengths
            if self.time_masking.start:
                masks["time_mask"] = span_mask(num_frames, int(num_frames.max()), self.time_masking)
            if self.channel_masking.start:
                width = self._architecture().width
                full = torch.full_like(num_frames, width)
                masks["channel_mask"] = span_mask(full, width, self.channel_masking)
        network.head_only = step < self.head_only_steps
        log_probs, num_frames = model(inputs, lengths, depth, **masks)
        total = nats(log_probs, num_frames, batch.labels).sum()
        return {LOSS: total / sum(map(len, batch.labels))}

    def _inputs(self, network: CTCModel, batch: Batch) -> tuple[Tensor, Tensor, int]:
        """What the network starts from, and at which depth; without a cache the prefix is computed here."""
        depth = self._depth()
        if depth < 0 or self.cache_prefix:
            return batch.inputs, batch.lengths, depth
        from speech_adapters.model.wav2vec2 import pad

        rows = [
            network.prefix(row[:n], depth)
            for row, n in zip(batch.inputs, batch.lengths.tolist(), strict=True)
        ]
        inputs, lengths = pad(rows)
        return inputs, lengths.to(inputs.device), depth

    def monitor(self, model: CTCModel) -> dict[str, Tensor]:  # type: ignore[override]
        """Loss and character errors on the dev part, every `dev_every` steps and at the last."""
        import torch

        from speech_adapters.ctc.scoring import score_utterance

        done = int(model.step) + 1  # type: ignore[arg-type]
        if not self.dev_every or (done % self.dev_every and done != self.steps):
            return {}
        counts = {"ctc_nats": 0.0, "characters": 0.0, "character_errors": 0.0}
        with torch.inference_mode():
            model.eval()
            for clip in self._clips("dev"):
                heard = score_utterance(self._log_probs(model, clip), clip)
                counts = {key: count + heard.scores[key] for key, count in counts.items()}
            model.train()
        return {
            f"dev_{LOSS}": torch.tensor(counts["ctc_nats"] / counts["characters"]),
            "dev_cer": torch.tensor(counts["character_errors"] / counts["characters"]),
        }

    def _log_probs(self, model: CTCModel, clip: Clip) -> Tensor:
        """Of one clip, alone: of its own source from the kept prefix, of another voice from the waveform."""
        from speech_adapters.data.batches import collate

        device = next(model.parameters()).device
        if clip.source in self.probes:
            batch = collate([clip.id], [clip.waveform()]).to(device)
            log_probs, _ = model(batch.inputs, batch.lengths)
        else:
            log_probs, _ = model(*self._inputs(model, self._collate([clip]).to(device)))
        row: Tensor = log_probs[0]
        return row

    # ---- scoring

    def score(self, model: CTCModel, *, seed: int, split: str, pictures: Path) -> Iterator[Item]:  # type: ignore[override]
        """Greedy, and by beam search with an n-gram of the training texts; then the dev curve of the training."""
        import torch

        from common.metrics.error_rate import word_errors
        from common.results import Item
        from speech_adapters.asr import curves, evaluation, panels
        from speech_adapters.ctc.scoring import score_utterance

        settings = evaluation.Search(
            order=self.lm_order, lm_weight=self.lm_weight, word_score=self.word_score, beam=self.beam
        )
        search = evaluation.beam_search([clip.text for clip in self._clips("train")], self.language, settings)
        for source in (self.source, *(self.probes if split == "test" else ())):
            for number, clip in enumerate(evaluation.feasible(source, split, self._architecture())[0]):
                if number % KEPT_EVERY == 0 and number < KEPT_EVERY * MOST_KEPT:
                    panels.save_audio(pictures, f"{clip.source}/{clip.id}", clip.waveform())
                with torch.inference_mode():
                    log_probs = self._log_probs(model, clip)
                    heard, by_beam = score_utterance(log_probs, clip), search(log_probs)
                scores = heard.scores | {"word_errors/beam": word_errors(clip.text, by_beam).errors}
                scores[LOSS] = scores["ctc_nats"] / scores["characters"]
                texts = {"reference": clip.text, "greedy": heard.hypothesis, "beam": by_beam}
                rounded = {key: round(value, 4) for key, value in scores.items()}
                yield Item(f"{clip.source}/{clip.id}", clip.group, clip.source, rounded, texts)
        yield evaluation.parameters(model, self.arm if self.backbone else None)
        yield curves.carry(pictures.parent / "journal.jsonl", f"dev_{LOSS}", "dev_cer")

    # ---- where it comes from

    def manifest_sha256(self) -> str:
        return _manifest(self.source, self.probes, self.backbone)

    def bad_items(self) -> tuple[tuple[str, ...], float]:
        """What could not be decoded, and what has more characters than frames can spell."""
        from speech_adapters.asr.evaluation import feasible

        bad = data.bad(self.source, *self.probes)
        kept = 0
        for source in (self.source, *self.probes):
            for split in ("train", "dev", "test"):
                clips, refused = feasible(source, split, self._architecture())
                kept, bad = kept + len(clips), bad + list(refused)
        return tuple(bad), len(bad) / max(1, kept + len(bad))

    def departures(self) -> tuple[str, ...]:
        told = {
            "The paper's rates, steps and batch could not be read; they are ours, chosen on dev.": True,
            "Studio prompts of one professional voice a language instead of Libri-Light and Common Voice: "
            "speaker-dependent, and no number here compares with the paper's.": self.source.startswith(
                "asterisk"
            ),
            "A small encoder pre-trained on 2.6 hours of English game dialogue instead of BASE on LibriSpeech-960.": (
                self.backbone.startswith("small")
            ),
            "A narrow encoder of twelve layers that named fixed codes of the spectrum on 2.6 hours of English game "
            "dialogue, instead of BASE by wav2vec 2.0's contrast on LibriSpeech-960.": self.backbone.startswith(
                "deep"
            ),
            "From random weights, all of them trained: a control that the paper does not have.": not self.backbone,
        }
        return tuple(sentence for sentence, holds in told.items() if holds)


@cache
def _depth(recipe: FineTune) -> int:
    """How deep the prefix goes that never changes while training: what is frozen and no augmentation touches."""
    from speech_adapters.model.adapters import FEATURES, WAVEFORM, frozen_depth

    if not recipe.backbone:
        return WAVEFORM
    model: Any = _apart(recipe)
    touched = recipe.time_masking.start or recipe.channel_masking.start or recipe.dropout != NO_DROPOUT
    return min(frozen_depth(model.encoder), FEATURES) if touched else frozen_depth(model.encoder)


@cache
def _frozen_activations(recipe: FineTune) -> FrozenActivations:
    """Filled for the train, dev and test clips of a recipe's source."""
    from speech_adapters.checkpoints import by_name
    from speech_adapters.ctc.frozen_activations import FrozenActivations

    clips = [clip for split in ("train", "dev", "test") for clip in recipe._clips(split)]
    manifest = data.manifest_sha256(recipe.source)
    kept = FrozenActivations(clips, by_name.sha256(recipe.backbone), recipe._depth(), manifest)
    kept.fill(_apart(recipe))  # type: ignore[arg-type]
    return kept


def _apart(recipe: FineTune) -> nn.Module:
    """A model of its own, made without touching the random numbers of the step that asks for it."""
    import torch

    with torch.random.fork_rng(devices=[]):
        return recipe.model()


@cache
def _manifest(source: str, probes: tuple[str, ...], backbone_name: str) -> str:
    import hashlib

    from speech_adapters.checkpoints import by_name

    parts = [data.manifest_sha256(source, *probes)]
    parts += [by_name.sha256(backbone_name)] if backbone_name else []
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()
