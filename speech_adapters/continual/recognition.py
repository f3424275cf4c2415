"""What an encoder is good for: a recogniser put on it and trained for a little while, judged on held-out clips.

With the head alone trained this is a linear probe of letters, with everything trained or with adapters on top of a
language's own it is the fine-tuning that follows pre-training. The same seeds, batches and steps for every encoder.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from common.runtime import seed_all
from speech_adapters.ctc import scoring
from speech_adapters.data import batches, prepared
from speech_adapters.data.text import Vocabulary
from speech_adapters.model.adapters import apply, frozen_depth
from speech_adapters.model.architecture import SAMPLE_RATE_HZ
from speech_adapters.model.arm import Arm
from speech_adapters.model.ctc_model import CTCModel
from speech_adapters.model.wav2vec2 import Wav2Vec2

BATCH_S = 16.0
BETAS, WEIGHT_DECAY, CLIP_NORM = (0.9, 0.98), 0.01, 1.0
WARM_UP, HOLD, FINAL = 0.1, 0.4, 0.05  # shares of the steps; of the peak rate


def recognise(
    encoder: Wav2Vec2,
    arm: Arm,
    source: str,
    split: str,
    *,
    seed: int,
    steps: int,
    peak_lr: float,
    train_s: float = 900.0,
) -> Iterator[tuple[Any, scoring.ScoredUtterance]]:
    """Clips of a source's part and what was heard, after `steps` on at most `train_s` seconds of its train part.

    The encoder given is not changed; adapters it has stay frozen below those of `arm`.
    """
    seed_all("recognise", seed, source, arm.kind)
    train, _ = scoring.feasible(_first(prepared.clips(source, "train"), train_s), encoder.architecture)
    model = CTCModel(copy.deepcopy(encoder), len(Vocabulary.of(train[0].language)))
    apply(arm, model.encoder, model.head)
    model.to(next(encoder.parameters()).device)
    depth = frozen_depth(model.encoder)
    kept = {clip.id: _prefix(model, clip, depth) for clip in train}
    _train(model, train, kept, depth, seed, steps, peak_lr)
    model.eval()
    for clip in scoring.feasible(prepared.clips(source, split), encoder.architecture)[0]:
        with torch.inference_mode():
            row = _prefix(model, clip, depth)
            log_probs, _ = model(row[None], torch.tensor([len(row)], device=row.device), depth)
            yield clip, scoring.score_utterance(log_probs[0], clip)


def _first(clips: tuple[Any, ...], most_s: float) -> list[Any]:
    """Clips by id until they last that long."""
    chosen, left = [], most_s * SAMPLE_RATE_HZ
    for clip in clips:
        if (left := left - clip.samples) < 0:
            break
        chosen.append(clip)
    return chosen


def _prefix(model: CTCModel, clip: Any, depth: int) -> Tensor:
    device = model.head.weight.device
    waveform = batches.as_float(clip.waveform()).to(device)
    return model.prefix(waveform, depth) if depth >= 0 else waveform


def _train(
    model: CTCModel, clips: tuple[Any, ...], kept: dict[str, Tensor], depth: int, seed: int, steps: int,
    peak_lr: float,
) -> None:  # fmt: skip
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=peak_lr, betas=BETAS, weight_decay=WEIGHT_DECAY)
    lengths, device = tuple(clip.samples for clip in clips), model.head.weight.device
    model.train()
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = peak_lr * _tri_stage(step / steps)
        chosen = [clips[place] for place in batches.at(lengths, round(BATCH_S * SAMPLE_RATE_HZ), seed, step)]
        rows = torch.nn.utils.rnn.pad_sequence([kept[clip.id] for clip in chosen], batch_first=True)
        own = torch.tensor([len(kept[clip.id]) for clip in chosen], device=device)
        texts = [scoring.labels(clip) for clip in chosen]
        log_probs, num_frames = model(rows, own, depth)
        loss = scoring.nats(log_probs, num_frames, texts).sum() / sum(map(len, texts))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, CLIP_NORM)
        optimiser.step()
        optimiser.zero_grad()


def _tri_stage(done: float) -> float:
    """fairseq's schedule: warm up, hold, decay exponentially."""
    if done < WARM_UP:
        return (done + 1e-3) / WARM_UP
    return float(FINAL ** max(0.0, (done - WARM_UP - HOLD) / (1 - WARM_UP - HOLD)))
