"""The sound of one file, carried over to another beside its pictures."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any


class Soundtrack:
    """The first audio track of a file, handed over piece by piece; nothing when the file has none.

    Copied as it is where the new container takes its codec, else encoded as AAC (mono or stereo). Errors are the
    decoder's own (`av.FFmpegError`).
    """

    def __init__(self, path: Path):
        import av

        self.path = path
        self.source = av.open(str(path.absolute()))
        # Some containers count from 1.4 s or so: shift by where the pictures begin.
        self.begin_s = 0.0
        if self.source.streams.video:
            video = self.source.streams.video[0]
            self.begin_s = float((video.start_time or 0) * (video.time_base or 0))
        self.pieces: Iterator[Any] = iter(())
        self.held: Any = None
        self.recode = False

    def add_to(self, container: Any) -> None:
        """Adds a track to a container that has not begun to be written."""
        import av

        if not self.source.streams.audio:
            return
        track = self.source.streams.audio[0]
        if track.codec_context.name in container.supported_codecs:
            self.target = container.add_stream_from_template(track)
            self.pieces = (packet for packet in self.source.demux(track) if packet.dts is not None)
            return
        self.recode = True
        self.target = container.add_stream("aac", rate=track.codec_context.sample_rate)
        # The number of channels says enough: some containers name no layout.
        self.target.layout = "mono" if track.channels == 1 else "stereo"
        coder = self.target.codec_context
        resampler = av.AudioResampler(coder.format, coder.layout, coder.sample_rate, frame_size=1024)
        frames = chain(self.source.decode(track), [None])  # None hands out what the resampler holds back
        self.pieces = (piece for frame in frames for piece in resampler.resample(frame))

    def copy_until(self, container: Any, end_s: float) -> None:
        """Moves everything that begins before `end_s`; at infinity also what the encoder holds back."""
        while (piece := self.held or next(self.pieces, None)) is not None:
            self.held = None
            begins = piece.dts if piece.pts is None else piece.pts
            if float(begins * piece.time_base) - self.begin_s >= end_s:
                self.held = piece
                return
            container.mux(self._shifted(piece))
        if end_s == float("inf") and self.recode:
            container.mux(self.target.encode(None))

    def _shifted(self, piece: Any) -> Any:
        shift = round(self.begin_s / piece.time_base)
        if piece.pts is not None:
            piece.pts -= shift
        if self.recode:
            return self.target.encode(piece)
        piece.dts -= shift
        piece.stream = self.target
        return piece

    def close(self) -> None:
        self.source.close()
