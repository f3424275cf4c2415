"""The network as it is trained and searched with: encoders, and the similarity that says what belongs together."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor, nn

from multimodal_ssl.model.networks import Network
from multimodal_ssl.model.pairs import score_global_pairs, score_pairs
from multimodal_ssl.model.similarities import Similarity
from multimodal_ssl.model.similarity import Compare, mean_and_max_pooled
from multimodal_ssl.model.towers import Towers
from multimodal_ssl.model.units import Units


class Matcher(nn.Module):
    """Scores of all pairs of some clips and texts.

    Args:
        words: vectors of words, row 0 for padding.
        chunk: clips scored at a time; None is all at once.
    """

    def __init__(
        self,
        network: Network,
        words: Float[Tensor, "row channel"],
        similarity: Similarity,
        chunk: int | None = None,
    ):
        super().__init__()
        self.encoders = Towers(network, words)
        self.similarity = similarity.build(network.heads.text_space)
        self.chunk = chunk
        self.monitored: dict[str, Tensor] = {}

    def forward(
        self, video: Float[Tensor, "clip time 3 height width"], text: Int[Tensor, "clip word"]
    ) -> tuple[Float[Tensor, "all_clips all_clips"], Float[Tensor, "all_clips all_clips"]]:
        """Scores of the clips of all ranks (rows) with the texts of all ranks, and the same with both sides pooled."""
        units = self.encoders(video=video, text=text)
        both = (
            score_global_pairs(units["video"], units["text"], way, self.chunk)
            for way in (self.similarity, mean_and_max_pooled)
        )
        fine, pooled = both
        return fine, pooled

    def clips(self, video: Float[Tensor, "clip time 3 height width"]) -> Units:
        units: Units = self.encoders(video=video)["video"]
        return units

    def places(self, video: Float[Tensor, "clip time 3 height width"]) -> Units:
        """Every place of clips, though the network may average them."""
        return self.encoders.places(video)

    def texts(self, text: Int[Tensor, "text word"]) -> Units:
        units: Units = self.encoders(text=text)["text"]
        return units

    def scores(self, clips: Units, texts: Units) -> Float[Tensor, "clip text"]:
        """As trained: by the similarity of the model."""
        return self.scores_by(self.similarity, clips, texts)

    def scores_by(self, similarity: Compare, clips: Units, texts: Units) -> Float[Tensor, "clip text"]:
        """By another similarity than the model's own."""
        found: Tensor = score_pairs(clips, texts, similarity, self.chunk)
        return found
