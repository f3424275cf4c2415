"""The recipe behind every arm: a recogniser trained with CTC, whole, in part, or through adapters [Thomas22]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.data.packages import data_root
from common.schedule import TRI_STAGE, Schedule
from common.settings import later
from speech_adapters.ctc.ngram import NgramSearch
from speech_adapters.ctc.training import LOSS, CTCTraining
from speech_adapters.data.source import PARTS, Source
from speech_adapters.model.architecture import (
    NO_DROPOUT,
    SAMPLE_RATE_HZ,
    SMALL,
    Architecture,
    Dropout,
    Masking,
    WhisperArchitecture,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from common.results import Item
    from speech_adapters.data.batches import Batch
    from speech_adapters.data.source import Utterance
    from speech_adapters.model.ctc_model import CTCModel

NO_MASKING = Masking(start=0.0, span=1)
KEPT_EVERY, MOST_KEPT = 9, 8  # test utterances whose sound is kept for the report


@dataclass(frozen=True, kw_only=True)
class FineTune(CTCTraining):
    """Trains a recogniser of characters on transcribed speech of one language: trained, chosen and tested on it."""

    other_voices: tuple[Source, ...] = ()  # tested on as well
    minutes: float = later(0.0)  # of labelled speech to train on; 0 takes all there is
    backbone: str = (
        "small-en"  # a name that `checkpoints.by_name` knows; empty trains everything from nothing
    )
    architecture: Architecture = field(default=SMALL)  # of the encoder
    dropout: Dropout = NO_DROPOUT
    time_masking: Masking = NO_MASKING
    channel_masking: Masking = NO_MASKING
    head_only_steps: int = 0  # at the start, in which the encoder is frozen
    head_lr: float = later(0.0)  # peak rate of the output head where it has one of its own; 0 is `peak_lr`
    schedule: Schedule = TRI_STAGE
    dev_every: int = 50  # steps between scores of the dev part; 0 never scores it
    search: NgramSearch = field(default_factory=NgramSearch)

    # ---- the network

    def model(self) -> nn.Module:
        from speech_adapters.data.text import Vocabulary
        from speech_adapters.model.adapters import apply
        from speech_adapters.model.ctc_model import CTCModel

        if self.backbone:
            from speech_adapters.checkpoints import by_name

            encoder = by_name.load(self.backbone, self.dropout)
        else:
            from speech_adapters.model import encoders

            encoder = encoders.build(self.architecture, self.dropout)
        model = CTCModel(encoder, len(Vocabulary.of(self.language)))
        if self.backbone:
            apply(self.arm, encoder, model.head)
        return self.multiplying(model)

    def encoder_architecture(self) -> Architecture:
        if not self.backbone:
            return self.architecture
        from speech_adapters.checkpoints import by_name

        return by_name.architecture(self.backbone)

    def backbone_key(self) -> str:
        from speech_adapters.checkpoints import by_name

        return by_name.sha256(self.backbone)

    def augmented(self) -> bool:
        masked = self.time_masking.start or self.channel_masking.start
        return bool(masked) or self.dropout != NO_DROPOUT

    # ---- training items

    def prepare(self) -> None:
        """What is only scored is left out on a machine that got its data from a pack without it."""
        from speech_adapters.checkpoints import by_name

        by_name.prepare(self.backbone)
        self.source.prepare()
        packed = self.source.from_pack()
        for source in self.other_voices:
            if not packed or source.from_pack():
                source.prepare()

    def utterances(self, part: str) -> tuple[Utterance, ...]:
        if part != "train" or not self.minutes:
            return super().utterances(part)
        return _drawn_minutes(self.source, self.encoder_architecture(), self.minutes, data_root())

    # ---- learning

    def ratio_of_the_head(self) -> float:
        return self.head_lr / self.peak_lr if self.head_lr else 1.0

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        network: Any = getattr(model, "module", model)
        network.step = step  # `monitor` is not told
        network.head_only = step < self.head_only_steps
        return self.ctc_losses(model, batch, self._masks(batch))

    def _masks(self, batch: Batch) -> dict[str, Tensor | None]:
        """Spans of frames and of channels, where something random may touch the embedding."""
        import torch

        from common.sending import sent
        from speech_adapters.model.wav2vec2 import span_mask

        masks: dict[str, Tensor | None] = {}
        depth = self.frozen_depth()
        if depth > 0:
            return masks
        num_frames = batch.lengths
        if depth < 0 or not self.cache_frozen:
            num_frames = self.encoder_architecture().num_frames(batch.lengths)
        most = int(num_frames.max())
        num_frames = sent(num_frames, batch.inputs.device)  # where masks are drawn
        if self.time_masking.start:
            masks["time_mask"] = span_mask(num_frames, most, self.time_masking)
        if self.channel_masking.start:
            width = self.encoder_architecture().width
            full = torch.full_like(num_frames, width)
            masks["channel_mask"] = span_mask(full, width, self.channel_masking)
        return masks

    def monitor(self, model: CTCModel) -> dict[str, Tensor]:  # type: ignore[override]
        """Loss and character errors on the dev part, every `dev_every` steps and at the last."""
        import torch

        from speech_adapters.asr.measures import DEV_CER, DEV_NATS
        from speech_adapters.ctc.measures import CHARACTER_ERRORS, CHARACTERS, CTC_NATS
        from speech_adapters.ctc.scoring import score_utterance

        done = int(model.step) + 1  # type: ignore[arg-type]
        if not self.dev_every or (done % self.dev_every and done != self.steps):
            return {}
        counts = dict.fromkeys((CTC_NATS.name, CHARACTERS.name, CHARACTER_ERRORS.name), 0.0)
        with torch.inference_mode():
            model.eval()
            for utterance in self.utterances("dev"):
                scored = score_utterance(self.log_probs(model, utterance), utterance)
                counts = {key: count + scored.scores[key] for key, count in counts.items()}
            model.train()
        nats, characters, errors = counts.values()
        return {
            DEV_NATS.name: torch.tensor(nats / characters),
            DEV_CER.name: torch.tensor(errors / characters),
        }

    def log_probs(self, model: CTCModel, utterance: Utterance) -> Tensor:
        """Of one utterance, alone: of its own source from what is kept, of another voice from the waveform."""
        from speech_adapters.data.batches import collate

        if utterance.source not in {source.name for source in self.other_voices}:
            return super().log_probs(model, utterance)
        batch = collate([utterance.id], [utterance.waveform()]).to(next(model.parameters()).device)
        log_probs, _ = model(batch.inputs, batch.lengths)
        row: Tensor = log_probs[0]
        return row

    # ---- scoring

    def score(self, model: Any, *, seed: int, split: str, pictures: Path) -> Iterator[Item]:
        """Greedy, and by beam search with an n-gram of the training texts; then the dev curve of the training."""
        import torch

        from common.metrics.error_rate import word_errors
        from common.results import Item
        from speech_adapters.asr import curves, evaluation, kept_sounds
        from speech_adapters.asr.measures import DEV_CER, DEV_NATS
        from speech_adapters.ctc.measures import BEAM_WORD_ERRORS, CHARACTERS, CTC_NATS
        from speech_adapters.ctc.scoring import feasible, score_utterance
        from speech_adapters.data.text import Vocabulary

        texts = [utterance.text for utterance in self.utterances("train")]
        search = evaluation.beam_search(texts, self.language, self.search)
        vocabulary, frame_s = Vocabulary.of(self.language), self.encoder_architecture().frame_s
        for source in (self.source, *(self.other_voices if split == "test" else ())):
            scored = feasible(source, split, self.encoder_architecture())[0]
            for number, one in enumerate(scored):
                id_ = f"{one.source}/{one.id}"
                with torch.inference_mode():
                    log_probs = self.log_probs(model, one)
                    found, by_beam = score_utterance(log_probs, one), search(log_probs)
                if number % KEPT_EVERY == 0 and number < KEPT_EVERY * MOST_KEPT:
                    kept_sounds.save_audio(pictures, id_, one.waveform())
                    kept_sounds.save_words(pictures, id_, log_probs, vocabulary, frame_s)
                scores = found.scores | {BEAM_WORD_ERRORS.name: word_errors(one.text, by_beam).errors}
                scores[LOSS] = scores[CTC_NATS.name] / scores[CHARACTERS.name]
                told = {"reference": one.text, "greedy": found.hypothesis, "beam": by_beam}
                yield Item(id_, one.group, one.source, {k: round(v, 4) for k, v in scores.items()}, told)
        yield evaluation.parameters(model, self.arm if self.backbone else None)
        if self.steps:
            yield curves.carry(pictures.parent / "journal.jsonl", DEV_NATS.name, DEV_CER.name)

    # ---- where it comes from

    def manifest_sha256(self) -> str:
        backbone = self.backbone_key() if self.backbone else ""
        return _manifest((self.source, *self.other_voices), backbone)

    def bad_items(self) -> tuple[tuple[str, ...], float]:
        """What could not be decoded, and what has more characters than frames can spell."""
        from speech_adapters.ctc.scoring import feasible

        sources = (self.source, *self.other_voices)
        bad, kept = [str(fault) for source in sources for fault in source.bad()], 0
        for source in sources:
            for part in PARTS:
                utterances, refused = feasible(source, part, self.encoder_architecture())
                kept, bad = kept + len(utterances), bad + list(refused)
        return tuple(bad), len(bad) / max(1, kept + len(bad))

    def departures(self) -> tuple[str, ...]:
        from speech_adapters.data.sources import ASTERISK

        whisper = bool(self.backbone) and isinstance(self.architecture, WhisperArchitecture)
        told = {
            "The paper's rates, steps and batch could not be read; they are ours, chosen on dev.": True,
            "Studio prompts of one professional voice a language instead of Libri-Light and Common Voice: "
            "speaker-dependent, and no number here compares with the paper's.": self.source
            in ASTERISK.values(),
            "A small encoder pre-trained on 2.6 hours of English game dialogue instead of BASE on LibriSpeech-960.": (
                self.backbone.startswith("small")
            ),
            "A narrow encoder of twelve layers that named fixed codes of the spectrum on 2.6 hours of English game "
            "dialogue, instead of BASE by wav2vec 2.0's contrast on LibriSpeech-960.": self.backbone.startswith(
                "deep"
            ),
            "From random weights, all of them trained: a control that the paper does not have.": not self.backbone,
            "Whisper's encoder, which was trained with transcripts in many languages, instead of a self-supervised "
            "one: a question of ours, no evidence for what the paper says.": whisper,
            "Of adapters in some layers alone, the norms of those layers are trained, not of all.": (
                self.arm.norms == "adapted"
            ),
        }
        return tuple(sentence for sentence, holds in told.items() if holds)


@cache
def _drawn_minutes(
    source: Source, architecture: Architecture, minutes: float, root: Path
) -> tuple[Utterance, ...]:
    """Training utterances of so many minutes at most, in the source's order, drawn by a hash of their ids: those of
    fewer minutes are among those of more.

    Raises:
        ValueError: there are not as many, or not one utterance is so short.
    """
    import hashlib

    from speech_adapters.ctc.scoring import feasible

    there = feasible(source, "train", architecture)[0]
    samples, total = 60 * minutes * SAMPLE_RATE_HZ, sum(one.samples for one in there)
    if not 0 < samples <= total:
        raise ValueError(
            f"minutes must be above 0 and at most the {total / SAMPLE_RATE_HZ / 60:.1f} of {source.name}'s training "
            f"part, got {minutes:g}; 0 takes all"
        )
    drawn: set[str] = set()
    for one in sorted(there, key=lambda one: hashlib.sha256(one.id.encode()).digest()):
        if (samples := samples - one.samples) < 0:
            break
        drawn.add(one.id)
    if not drawn:
        raise ValueError(
            f"minutes={minutes:g} is shorter than the first utterance of {source.name}; raise it"
        )
    return tuple(one for one in there if one.id in drawn)


@cache
def _manifest(sources: tuple[Source, ...], backbone: str) -> str:
    import hashlib

    from speech_adapters.data.prepared import manifest_sha256

    parts = [manifest_sha256(sources), backbone]  # of the backbone the hash, where there is one
    return hashlib.sha256(" ".join(filter(None, parts)).encode()).hexdigest()
