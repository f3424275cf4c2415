"""The sound of one file, carried over to another beside its pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from common.data.container import Clock, Holes, main_sound, moving_pictures, open_container
from common.data.media import MediaError, decoder_words
from common.data.video import probe

# Ways to carry sound over, the best first: as it is, or as AAC in its own layout of channels, or in mono or stereo.
WAYS = ("copy", "own", "common")
AAC_HZ = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000)
AAC_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
RESAMPLED_HZ = 48_000  # of sound whose rate AAC does not know


class Soundtrack:
    """The main sound of a file, handed over piece by piece; nothing when the file has none.

    Errors are the decoder's own: see `faults`.
    """

    def __init__(self, path: Path, *, way: str = "copy", begin_s: float = 0.0, holes: Holes | None = None):
        """Opens a file.

        Args:
            way: one of `WAYS`.
            begin_s: time by the file's clock at which the new file begins: that of the first picture.
            holes: where pieces that cannot be decoded are noted, and passed over; None: they are an error.
        """
        self.path, self.way, self.begin_s, self.holes = path, way, begin_s, holes
        self.source = open_container(path, "sound")
        self.track = main_sound(self.source)
        self.clock = Clock()
        self.pieces: Iterator[Any] = iter(())
        self.held: Any = None

    @classmethod
    def proven(cls, path: Path, trial: Path, *, holes: Holes | None = None) -> Soundtrack | None:
        """The best way that carries all of a file's sound over, tried out; None of a file without sound.

        Args:
            trial: a file of the new kind that is written with the sound alone, and removed.
            holes: as in `__init__`; sound that no way carries over is noted there too, and None returned.

        Raises:
            MediaError: no way carries it over.
        """
        begin_s, first_fault = _first_picture_s(path, holes), ""
        for way in WAYS:
            unnoted = None if holes is None else Holes()  # the sound is read again, and then noted
            with closing(cls(path, way=way, begin_s=begin_s, holes=unnoted)) as sound:
                if sound.track is None:
                    return None
                fault = sound._fault_in(trial)
            if not fault:
                return cls(path, way=way, begin_s=begin_s, holes=holes)
            first_fault = first_fault or fault
        if holes is None:
            raise MediaError(path, f"the sound cannot be carried over into {trial.suffix}: {first_fault}")
        holes.add(0.0, float("inf"), f"no sound, since it cannot be carried over: {first_fault}")
        return None

    def _fault_in(self, trial: Path) -> str:
        """Why a file of the kind of `trial` does not take the sound; "" where it does."""
        import av

        container = None
        try:
            container = av.open(str(trial.absolute()), "w")
            self.add_to(container)
            self.copy_until(container, float("inf"))
            container.close()
        except faults() as error:
            return decoder_words(error)
        finally:
            with suppress(*faults()):
                if container is not None:
                    container.close()
            trial.unlink(missing_ok=True)
        return ""

    @property
    def told(self) -> str:
        """What of the sound is lost on its way; "" where nothing is."""
        if self.way == "common" and self.track is not None and self.track.channels > 2:
            return f"{self.track.channels} channels of sound become stereo"
        return ""

    def add_to(self, container: Any) -> None:
        """Adds a track to a container that has not begun to be written."""
        import av

        track = self.track
        if track is None:
            return
        if self.way == "copy":
            if track.codec_context.name not in container.supported_codecs:
                raise ValueError(f"{track.codec_context.name} does not go into {container.format.name}")
            self.target = container.add_stream_from_template(track)
            self.pieces = (packet for packet in self.source.demux(track) if packet.dts is not None)
        else:
            rate_hz = track.rate if track.rate in AAC_HZ else RESAMPLED_HZ
            self.target = container.add_stream("aac", rate=rate_hz)
            # The number of channels says enough: some containers name no layout.
            fewest = "mono" if track.channels == 1 else "stereo"
            own = AAC_LAYOUTS.get(track.channels, fewest)
            if track.layout.name not in (own, f"{own}(side)"):
                track.codec_context.layout = own
            self.target.layout = own if self.way == "own" else fewest
            coder = self.target.codec_context
            resampler = av.AudioResampler(coder.format, coder.layout, coder.sample_rate, frame_size=1024)
            self.pieces = (piece for frame in self._decoded() for piece in resampler.resample(frame))
        if track.language:
            self.target.metadata["language"] = track.language

    def _decoded(self) -> Iterator[Any]:
        """Frames, then None, which hands out what a resampler holds back."""
        import av

        for packet in self.source.demux(self.track):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                if self.holes is None:
                    raise
                begin_s = (self.clock.now_s or 0.0) - self.begin_s
                length_s = float((packet.duration or 0) * packet.time_base)
                self.holes.add(begin_s, begin_s + length_s, "its sound cannot be decoded")
                continue
            for frame in frames:
                told_s = None if frame.pts is None else float(frame.pts * frame.time_base)
                time_s = self.clock.at(told_s, frame.samples / frame.sample_rate)
                frame.pts = round((time_s - self.begin_s) / frame.time_base)
                yield frame
        yield None

    def copy_until(self, container: Any, end_s: float) -> None:
        """Moves everything that begins before `end_s`; at infinity also what the encoder holds back."""
        while (piece := self.held or next(self.pieces, None)) is not None:
            self.held = None
            if self.way == "copy":
                piece = self._shifted(piece)
            begins = piece.dts if piece.pts is None else piece.pts
            if begins is not None and float(begins * piece.time_base) >= end_s:
                self.held = piece
                return
            container.mux(piece if self.way == "copy" else self.target.encode(piece))
        if end_s == float("inf") and self.way != "copy" and self.track is not None:
            container.mux(self.target.encode(None))

    def _shifted(self, packet: Any) -> Any:
        if packet.stream is self.target:
            return packet  # it was held back
        length_s = float((packet.duration or 0) * packet.time_base)
        self.clock.at(float(packet.dts * packet.time_base), length_s)
        shift = round((self.clock.shift_s - self.begin_s) / packet.time_base)
        packet.dts += shift
        if packet.pts is not None:
            packet.pts += shift
        packet.stream = self.target
        return packet

    def close(self) -> None:
        self.source.close()


def faults() -> tuple[type[Exception], ...]:
    """What FFmpeg raises, and what PyAV makes of sound that it does not expect."""
    import av

    return (av.FFmpegError, ValueError, TypeError, RuntimeError)


def _first_picture_s(path: Path, holes: Holes | None) -> float:
    with open_container(path, "sound") as source:
        if moving_pictures(source) is None:
            return 0.0
    return probe(path, holes=None if holes is None else Holes()).start_s
