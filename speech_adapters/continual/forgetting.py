"""What became of the language that was learned first: contrast on fixed crops, masks, negatives and codes.

A loss whose codes are trained too says little, since codes can become easier. So the answers are always those of the
source model: its features, its quantiser, its projection. Only who predicts them changes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from common.results import Item
from common.runtime import seed_all
from speech_adapters.checkpoints.adapter_sets import AdapterBank, AdapterSet
from speech_adapters.data import batches, crops
from speech_adapters.model.architecture import Masking
from speech_adapters.model.contrastive import ContrastiveModel, contrastive, draw_negatives
from speech_adapters.model.wav2vec2 import Wav2Vec2, span_mask

MASKING = Masking()  # BASE's, whatever a recipe trains with
CROPS = 24  # of each source


def contrast_items(
    model: ContrastiveModel, source_model: ContrastiveModel, source: str, split: str, crop_samples: int
) -> Iterator[Item]:
    """Nats and share told apart of held-out crops of one source, the answers being the source model's codes."""
    device = next(model.parameters()).device
    part = f"contrast {source}"
    for crop in itertools.islice(crops.consecutive(source, split, crop_samples), CROPS):
        seed_all("forgetting", crop.id)
        waveform = batches.as_float(crop.waveform())[None].to(device)
        lengths = torch.tensor([waveform.shape[1]], device=device)
        num_frames = model.encoder.architecture.num_frames(lengths)
        mask = span_mask(num_frames, int(num_frames), MASKING)
        with torch.inference_mode():
            nats, right = _contrast(model, source_model, waveform, lengths, mask)
        scores = {"contrastive": nats.item(), "accuracy": right.item()}
        yield Item(f"{part}/{crop.id}", crop.track.group, part, scores)


def _contrast(
    model: ContrastiveModel, source_model: ContrastiveModel, waveform: Tensor, lengths: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    encoder, source_encoder = model.encoder, source_model.encoder
    features, num_frames = encoder.extract(waveform, lengths)
    x = encoder.contextualise(encoder.embed(features, num_frames, mask), num_frames)
    own = source_encoder.feature_norm(source_encoder.extract(waveform, lengths)[0])
    codes, entries, _ = source_model.quantiser(own[mask], 1.0)
    counts = mask.sum(dim=1)
    return contrastive(
        model.context_projection(x[mask])[None],
        source_model.code_projection(codes)[None],
        entries[None],
        counts,
        draw_negatives(counts, model.objective.num_negatives),
        model.objective.temperature,
    )


def switched_off_items(
    source_encoder: Wav2Vec2, adapters: AdapterSet, source: str, split: str, crop_samples: int
) -> Iterator[Item]:
    """Largest difference between the source encoder and itself with a set put in and switched off: 0 to the bit.

    Beside it, how much switching the set on moves the output, so that the zero is not that of a set which does nothing.
    """
    device = next(source_encoder.parameters()).device
    drawn = list(itertools.islice(crops.consecutive(source, split, crop_samples), 8))
    waveforms = [batches.as_float(crop.waveform())[None].to(device) for crop in drawn]
    with torch.inference_mode():
        before = [source_encoder(waveform)[0] for waveform in waveforms]
    bank: Any = AdapterBank(source_encoder)
    bank.add("learned", adapters)
    for crop, waveform, wanted in zip(drawn, waveforms, before, strict=True):
        lengths = torch.tensor([waveform.shape[1]], device=device)
        off, on = (bank.encode(waveform, lengths, [name])[0] for name in (None, "learned"))
        differences = {"off": (off - wanted).abs().max().item(), "on": (on - wanted).abs().max().item()}
        yield Item(f"switched off/{crop.id}", crop.track.group, "switched off", differences)
