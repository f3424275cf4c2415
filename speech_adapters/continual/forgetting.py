"""What became of the language that was learned first: contrast on fixed pieces, masks, negatives and codes.

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
from speech_adapters.model.contrastive import Pretraining, contrastive, draw_negatives
from speech_adapters.model.wav2vec2 import Wav2Vec2, span_mask

MASKING = Masking()  # BASE's, whatever a recipe trains with
PIECES = 24  # of each source


def contrast_items(
    model: Pretraining, source_model: Pretraining, source: str, split: str, piece_samples: int
) -> Iterator[Item]:
    """Nats and share told apart of held-out pieces of one source, the answers being the source model's codes."""
    device = next(model.parameters()).device
    part = f"contrast {source}"
    for piece in itertools.islice(crops.pieces(source, split, piece_samples), PIECES):
        seed_all("forgetting", piece.id)
        waveform = batches.as_float(piece.waveform())[None].to(device)
        lengths = torch.tensor([waveform.shape[1]], device=device)
        num_frames = model.encoder.architecture.num_frames(lengths)
        hidden = span_mask(num_frames, int(num_frames), MASKING)
        with torch.inference_mode():
            nats, right = _contrast(model, source_model, waveform, lengths, hidden)
        scores = {"contrastive": nats.item(), "accuracy": right.item()}
        yield Item(f"{part}/{piece.id}", piece.stretch.group, part, scores)


def _contrast(
    model: Pretraining, source_model: Pretraining, waveform: Tensor, lengths: Tensor, hidden: Tensor
) -> tuple[Tensor, Tensor]:
    encoder, judge = model.encoder, source_model.encoder
    features, num_frames = encoder.extract(waveform, lengths)
    x = encoder.contextualise(encoder.embed(features, num_frames, hidden), num_frames)
    own = judge.feature_norm(judge.extract(waveform, lengths)[0])
    codes, entries, _ = source_model.quantiser(own[hidden], 1.0)
    counts = hidden.sum(dim=1)
    return contrastive(
        model.context_projection(x[hidden])[None],
        source_model.code_projection(codes)[None],
        entries[None],
        counts,
        draw_negatives(counts, model.contrast.num_negatives),
        model.contrast.temperature,
    )


def switched_off_items(
    source_encoder: Wav2Vec2, adapters: AdapterSet, source: str, split: str, piece_samples: int
) -> Iterator[Item]:
    """Largest difference between the source encoder and itself with a set put in and switched off: 0 to the bit.

    Beside it, how much switching the set on moves the output, so that the zero is not that of a set which does nothing.
    """
    device = next(source_encoder.parameters()).device
    pieces = list(itertools.islice(crops.pieces(source, split, piece_samples), 8))
    waveforms = [batches.as_float(piece.waveform())[None].to(device) for piece in pieces]
    with torch.inference_mode():
        before = [source_encoder(waveform)[0] for waveform in waveforms]
    bank: Any = AdapterBank(source_encoder)
    bank.add("learned", adapters)
    for piece, waveform, wanted in zip(pieces, waveforms, before, strict=True):
        lengths = torch.tensor([waveform.shape[1]], device=device)
        off, on = (bank.encode(waveform, lengths, [name])[0] for name in (None, "learned"))
        differences = {"off": (off - wanted).abs().max().item(), "on": (on - wanted).abs().max().item()}
        yield Item(f"switched off/{piece.id}", piece.stretch.group, "switched off", differences)
