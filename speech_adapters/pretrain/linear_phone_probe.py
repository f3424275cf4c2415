"""A linear phone probe: how well frames of an encoder tell phones apart, which no pre-training loss measures.

The labels are those of the Russian read sentences (festvox-ru), which the English encoders never heard.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from numpy import ndarray

from common.data.pcm import as_floats
from common.results import Item
from speech_adapters.data.prepared import PreparedUtterance
from speech_adapters.data.sources import FESTVOX
from speech_adapters.model.architecture import SAMPLE_RATE_HZ
from speech_adapters.model.best_rq import RandomProjectionQuantiser
from speech_adapters.model.wav2vec2 import Wav2Vec2
from speech_adapters.pretrain.measures import FRAMES, PHONES, depth_name, right

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from speech_adapters.data.packages.festvox import Phone

TRAINED_ON, TESTED_ON = 60, 40  # sentences, about ten seconds each
SHRINKAGE = 1e-4  # of the classifier's squared weights, beside the mean cross-entropy
MOST_ITERATIONS = 200  # of L-BFGS; some dozens are enough
UNKNOWN = -1


def score(encoder: Wav2Vec2, part: str) -> Iterator[Item]:
    """Frames, and frames named right, of each sentence of a part: by conv features, embedding and every layer.

    Beside them by the log-mel spectrum that the first stage's targets are made of, which nothing has learned.
    """
    labels = FESTVOX.phones()
    train = FESTVOX.utterances("train")[:TRAINED_ON]
    phones = sorted({phone.phone for utterance in train for phone in labels[utterance.id]})
    states = [_states(encoder, utterance) for utterance in train]
    wanted = np.concatenate(
        [
            numbers(labels[one.id], one.lead / SAMPLE_RATE_HZ, len(state[0]), phones)
            for one, state in zip(train, states, strict=True)
        ]
    )
    probes = [fit(np.concatenate(depth), wanted) for depth in zip(*states, strict=True)]
    for utterance in FESTVOX.utterances(part)[:TESTED_ON]:
        tested = _states(encoder, utterance)
        answers = numbers(labels[utterance.id], utterance.lead / SAMPLE_RATE_HZ, len(tested[0]), phones)
        scores = {FRAMES.name: float(len(answers))}
        for depth, (probe, x) in enumerate(zip(probes, tested, strict=True)):
            scores[right(depth_name(depth)).name] = float((probe.predict(x) == answers).sum())
        yield Item(f"{PHONES.name}/{utterance.id}", utterance.group, PHONES.name, scores)


def numbers(
    phones: Sequence[Phone], lead_s: float, frames: int, known: Sequence[str]
) -> Int[ndarray, " frame"]:
    """Number of the phone in the middle of each frame (25 ms every 20 ms); -1 for one that is not known.

    `lead_s` seconds were cut off in front of what the frames are of.
    """
    middles_s = np.arange(frames) * 0.02 + 0.0125 + lead_s
    places = np.searchsorted([phone.stop_s for phone in phones], middles_s).clip(max=len(phones) - 1)
    found = {phone: number for number, phone in enumerate(known)}
    return np.array([found.get(phones[place].phone, UNKNOWN) for place in places])


def fit(x: Float[ndarray, "frame channel"], wanted: Int[ndarray, " frame"]) -> Pipeline:
    """Multinomial logistic regression on standardised channels; no random number is drawn."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # sklearn weighs the summed cross-entropy against half of the squares.
    classifier = LogisticRegression(C=1 / (SHRINKAGE * len(x)), max_iter=MOST_ITERATIONS)
    return make_pipeline(StandardScaler(), classifier).fit(x, wanted)


@torch.no_grad()
def _states(encoder: Wav2Vec2, utterance: PreparedUtterance) -> list[Float32[ndarray, "frame channel"]]:
    """Spectrum, conv features, embedding and each layer's output of one utterance."""
    device = next(encoder.parameters()).device
    waveform = torch.from_numpy(as_floats(utterance.waveform()))[None].to(device)
    features, _ = encoder.extract(waveform)
    depths = encoder.hidden_states(waveform)[: 1 + len(encoder.layers)]
    learned = [state[0].float().cpu().numpy() for state in (encoder.feature_norm(features), *depths)]
    return [RandomProjectionQuantiser(encoder.architecture).spectrum(waveform[0].cpu()).numpy(), *learned]
