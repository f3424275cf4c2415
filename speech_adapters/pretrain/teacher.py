"""Which features are clustered: a setting, so that recipes are read without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speech_adapters.model.wav2vec2 import Wav2Vec2


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """What is clustered.

    Args:
        encoder: a name or path that `checkpoints.by_name` knows.
        layer: whose output, 1 is the lowest.
        clusters: how many.
    """

    encoder: str = "small-en"
    layer: int = 3
    clusters: int = 256

    def __post_init__(self) -> None:
        if self.layer < 1 or not 2 <= self.clusters <= 2**16:
            raise ValueError(
                f"layer must be 1 or more and clusters 2 to {2**16}, got {self.layer} and {self.clusters}"
            )

    def load_encoder(self) -> Wav2Vec2:
        """The encoder at rest.

        Raises:
            ValueError: it has fewer layers, or is no wav2vec 2.0.
        """
        from speech_adapters.checkpoints import by_name
        from speech_adapters.model.wav2vec2 import Wav2Vec2

        encoder = by_name.load(self.encoder)
        if not isinstance(encoder, Wav2Vec2):
            raise ValueError(
                f"features are clustered of wav2vec 2.0 alone, {self.encoder} is another encoder"
            )
        if self.layer > len(encoder.layers):
            raise ValueError(f"layer must be 1 to {len(encoder.layers)} of {self.encoder}, got {self.layer}")
        return encoder.eval().requires_grad_(False)
