"""What a trained model is and what it looks at, whatever it was trained on; no torch, so that recipes load fast."""

from __future__ import annotations

from dataclasses import dataclass

from multimodal_ssl.model.networks import Network
from multimodal_ssl.model.similarities import Similarity


@dataclass(frozen=True, kw_only=True)
class Matching:
    """All that must be known to use weights: what they are the weights of, and the clips and words that they take.

    Args:
        size_px: shorter side of a frame.
        num_frames: of a clip.
        rate_hz: frames looked at per second, unless a person says otherwise.
        made_up: its words have vectors drawn by code, and no others can be asked.
    """

    network: Network
    similarity: Similarity
    size_px: int
    num_frames: int
    rate_hz: float = 4.0
    made_up: bool = False
