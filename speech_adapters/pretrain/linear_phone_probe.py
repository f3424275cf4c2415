"""A linear phone probe: how well frames of an encoder tell phones apart, which no pre-training loss measures.

The labels are those of the Russian read sentences (festvox-ru), which the English encoders never heard.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from common.data.pcm import as_floats
from common.results import Item
from speech_adapters.model.architecture import SAMPLE_RATE_HZ
from speech_adapters.model.best_rq import RandomProjectionQuantiser
from speech_adapters.model.wav2vec2 import Wav2Vec2

if TYPE_CHECKING:
    from speech_adapters.data.packages.festvox import Phone
    from speech_adapters.data.prepared import Clip

SOURCE = "festvox-ru"
PART = "phones (Russian)"
TRAINED_ON, TESTED_ON = 60, 40  # sentences, about ten seconds each
SHRINKAGE = 1e-4  # of the classifier's squared weights
ITERATIONS = 40  # of L-BFGS


def score(encoder: Wav2Vec2, split: str) -> Iterator[Item]:
    """Frames, and frames named right, of each sentence of a part: by conv features, embedding and every layer.

    Beside them by the log-mel spectrum that the first stage's codes are made of, which nothing has learned.
    """
    from speech_adapters.data import prepared

    labels = _labels()
    train = prepared.clips(SOURCE, "train")[:TRAINED_ON]
    phones = sorted({phone.phone for clip in train for phone in labels[clip.id]})
    states = [_states(encoder, clip) for clip in train]
    wanted = torch.cat(
        [
            numbers(labels[clip.id], clip.lead / SAMPLE_RATE_HZ, len(state[0]), phones)
            for clip, state in zip(train, states, strict=True)
        ]
    )
    probes = [Probe.fit(torch.cat(depth), wanted, len(phones)) for depth in zip(*states, strict=True)]
    for clip in prepared.clips(SOURCE, split)[:TESTED_ON]:
        tested = _states(encoder, clip)
        answers = numbers(labels[clip.id], clip.lead / SAMPLE_RATE_HZ, len(tested[0]), phones)
        scores = {"frames": float(len(answers))}
        for depth, (probe, x) in enumerate(zip(probes, tested, strict=True)):
            scores[f"right/{depth_name(depth)}"] = float((probe.name(x) == answers).sum())
        yield Item(f"{PART}/{clip.id}", clip.group, PART, scores)


def depth_name(depth: int) -> str:
    return ("spectrum", "features", "embedding")[depth] if depth < 3 else f"layer{depth - 2}"


def numbers(
    phones: Sequence[Phone], lead_s: float, frames: int, known: Sequence[str]
) -> Int[Tensor, " frame"]:
    """Number of the phone in the middle of each frame (25 ms every 20 ms); -1 for one that is not known.

    `lead_s` seconds were cut off in front of what the frames are of.
    """
    middles_s = np.arange(frames) * 0.02 + 0.0125 + lead_s
    places = np.searchsorted([phone.stop_s for phone in phones], middles_s).clip(max=len(phones) - 1)
    found = {phone: number for number, phone in enumerate(known)}
    return torch.tensor([found.get(phones[place].phone, -1) for place in places])


class Probe:
    """Multinomial logistic regression on standardised channels."""

    def __init__(self, mean: Tensor, scale: Tensor, weights: Tensor):
        self.mean, self.scale, self.weights = mean, scale, weights

    @classmethod
    def fit(cls, x: Float[Tensor, "frame channel"], wanted: Int[Tensor, " frame"], classes: int) -> Probe:
        """Least cross-entropy with a little shrinkage; no random number is drawn."""
        mean, scale = x.mean(dim=0), x.std(dim=0) + 1e-5
        standard = F.pad((x - mean) / scale, (0, 1), value=1.0)
        weights = torch.zeros(standard.shape[1], classes, requires_grad=True)
        optimiser = torch.optim.LBFGS([weights], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

        def loss() -> float:
            optimiser.zero_grad()
            value = F.cross_entropy(standard @ weights, wanted) + SHRINKAGE / 2 * weights.square().sum()
            value.backward()
            return value.item()

        optimiser.step(loss)
        return cls(mean, scale, weights.detach())

    def name(self, x: Float[Tensor, "frame channel"]) -> Int[Tensor, " frame"]:
        """The likeliest class of each frame."""
        return (F.pad((x - self.mean) / self.scale, (0, 1), value=1.0) @ self.weights).argmax(dim=1)


def _labels() -> dict[str, list[Phone]]:
    from common.data.packages import data_root
    from speech_adapters.data.packages import festvox

    root = data_root()
    return {utterance.id: festvox.phones(root, utterance) for utterance in festvox.utterances(root)}


@torch.no_grad()
def _states(encoder: Wav2Vec2, clip: Clip) -> list[Float[Tensor, "frame channel"]]:
    """Spectrum, conv features, embedding and each layer's output of one clip."""
    device = next(encoder.parameters()).device
    waveform = torch.from_numpy(as_floats(clip.waveform()))[None].to(device)
    features, _ = encoder.extract(waveform)
    depths = encoder.hidden_states(waveform)[: 1 + len(encoder.layers)]
    learned = [state[0].float().cpu() for state in (encoder.feature_norm(features), *depths)]
    return [RandomProjectionQuantiser(encoder.architecture).spectrum(waveform[0].cpu()), *learned]
