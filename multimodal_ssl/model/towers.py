"""An encoder a modality, and the heads that bring their units together."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor, nn

from multimodal_ssl.model.networks import Network
from multimodal_ssl.model.similarity import mean
from multimodal_ssl.model.units import Units


class Towers(nn.Module):
    """Clips, texts and sounds to units that can be compared.

    Args:
        network: which encoders and heads, and their sizes.
        words: vectors of words, row 0 for padding; frozen ones are not saved with the weights.
    """

    def __init__(self, network: Network, words: Float[Tensor, "row channel"]):
        super().__init__()
        self.pool_video = network.pool_video
        self.video = network.video.build()
        self.text = network.text.build(words)
        self.audio = network.audio.build() if network.audio else None
        widths = {"video": self.video.width, "text": self.text.width}
        if self.audio is not None:
            widths["audio"] = self.audio.width
        self.heads = network.heads.build(widths)

    def places(self, video: Float[Tensor, "clip time 3 height width"]) -> Units:
        """Units of every place of clips, where the clip was averaged in training too: what a fine matcher compares."""
        return self.heads({"video": self.video(video)})["video"]

    def forward(
        self,
        video: Float[Tensor, "clip time 3 height width"] | None = None,
        text: Int[Tensor, "caption word"] | None = None,
        audio: Float[Tensor, "sound sample"] | None = None,
        num_samples: Int[Tensor, " sound"] | None = None,
    ) -> dict[str, Units]:
        """Units of what is given; the numbers of clips, captions and sounds need not agree.

        Compare "video" with "text", and "video_for_audio" with "audio"; "audio_for_text" with "text" (under
        `FineAndCoarse` in evaluation only). Units of one comparison have equal width, and unit length unless settings
        say otherwise.

        Args:
            video: pixels in [0, 1].
            text: ids of words, 0 for padding; a row of zeros is a clip without text.
            audio: mono at 16 kHz, in [-1, 1], padded to one length.
            num_samples: of each sound before padding, 0 for a clip without sound.
        """
        units: dict[str, Units] = {}
        if video is not None:
            clips = self.video(video)
            units["video"] = Units.one(mean(clips)) if self.pool_video else clips
        if text is not None:
            units["text"] = self.text(text)
        if audio is not None:
            if self.audio is None or num_samples is None:
                raise ValueError("sound needs num_samples, and settings whose audio is not None")
            units["audio"] = self.audio(audio, num_samples)
        return self.heads(units)
