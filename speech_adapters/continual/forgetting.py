"""What became of the language that was learned first: contrast on fixed crops, masks, negatives and positives.

A loss whose codebook is trained too says little, since its entries can become easier to tell apart. So the positives
and negatives are always those of the first language's model: its features, its quantiser, its projection. Only who
predicts them changes.
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
from speech_adapters.continual.measures import ACCURACY, CONTRAST, CONTRASTIVE, OFF, ON, SWITCHED_OFF
from speech_adapters.data import batches, crops
from speech_adapters.data.source import Source
from speech_adapters.model.architecture import Masking
from speech_adapters.model.contrastive import ContrastiveModel, contrastive, draw_negatives
from speech_adapters.model.wav2vec2 import Wav2Vec2, span_mask

MASKING = Masking()  # BASE's, whatever a recipe trains with
# Of each source: as many as English has held-out dialogues, so that each that lasts a second has one. Until 2026-11-28
# they were cut from all that a voice says, which mixes dialogues under the name of the first: 24 crops by two names.
# Runs that are published by then have those.
CROPS = 32
COMPARED = 8  # crops that outputs with a set switched off are compared on


def contrast_items(
    model: ContrastiveModel, first: ContrastiveModel, source: Source, split: str, crop_samples: int
) -> Iterator[Item]:
    """Nats and accuracy on held-out crops of one source, by the quantiser of the first language's model."""
    device = next(model.parameters()).device
    part = CONTRAST.on(source).name
    for crop in itertools.islice(crops.in_turns(source, split, crop_samples), CROPS):
        seed_all("forgetting", crop.id)
        waveform = batches.as_float(crop.waveform())[None].to(device)
        lengths = torch.tensor([waveform.shape[1]], device=device)
        num_frames = model.encoder.architecture.num_frames(lengths)
        mask = span_mask(num_frames, int(num_frames), MASKING)
        if (
            int(mask.sum()) < 2
        ):  # too short for a contrast; so for every arm, since masks are drawn by the crop's name
            continue
        with torch.inference_mode():
            nats, accuracy = _contrast(model, first, waveform, lengths, mask)
        scores = {CONTRASTIVE.name: nats.item(), ACCURACY.name: accuracy.item()}
        yield Item(f"{part}/{crop.id}", crop.track.group, part, scores)


def _contrast(
    model: ContrastiveModel, first: ContrastiveModel, waveform: Tensor, lengths: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    features, num_frames = model.encoder.extract(waveform, lengths)
    x = model.encoder.contextualise(model.encoder.embed(features, num_frames, mask), num_frames)
    unmasked = first.encoder.feature_norm(first.encoder.extract(waveform, lengths)[0])[mask]
    quantised, indices, _ = first.quantiser(unmasked, 1.0)
    counts = mask.sum(dim=1)
    return contrastive(
        model.context_projection(x[mask])[None],
        first.code_projection(quantised)[None],
        indices[None],
        counts,
        draw_negatives(counts, model.objective.num_negatives),
        model.objective.temperature,
    )


def switched_off_items(
    encoder: Wav2Vec2, adapters: AdapterSet, source: Source, split: str, crop_samples: int
) -> Iterator[Item]:
    """Largest difference between an encoder and itself with a set put in and switched off: 0 to the bit.

    Beside it, how much switching the set on moves the output, so that the zero is not that of a set which does nothing.
    """
    device = next(encoder.parameters()).device
    drawn = list(itertools.islice(crops.consecutive(source, split, crop_samples), COMPARED))
    waveforms = [batches.as_float(crop.waveform())[None].to(device) for crop in drawn]
    with torch.inference_mode():
        before = [encoder(waveform)[0] for waveform in waveforms]
    bank: Any = AdapterBank(encoder)
    bank.add("learned", adapters)
    part = SWITCHED_OFF.name
    for crop, waveform, wanted in zip(drawn, waveforms, before, strict=True):
        lengths = torch.tensor([waveform.shape[1]], device=device)
        off, on = (bank.encode(waveform, lengths, [name])[0] for name in (None, "learned"))
        scores = {
            OFF.name: (off - wanted).abs().max().item(),
            ON.name: (on - wanted).abs().max().item(),
        }
        yield Item(f"{part}/{crop.id}", crop.track.group, part, scores)
