"""`upscale` and `degrade` keep what belongs to a clip, in flat memory, and leave nothing half-written."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from patience import HANG_S, started
from PIL import Image
from typer.testing import CliRunner

import video_sr.upscale
from common.data.pictures import read_image
from common.data.video import probe, read_frames
from common.metrics.image_quality import psnr
from video_sr import protocol
from video_sr.__main__ import app
from video_sr.models.bicubic import Bicubic
from video_sr.upscale import pictures_in

av = pytest.importorskip("av")
SOUND_HZ = 16_000


def waves(count, height=18, width=32):
    """A smooth pattern that drifts."""
    y, x = np.mgrid[:height, :width]
    for i in range(count):
        planes = (np.sin((x + i) / 5), np.sin((y + i) / 7), np.cos((x + y) / 9))
        yield (127 + 100 * np.stack(planes, -1)).astype(np.uint8)


def clip(path, count=12, rate_hz=Fraction(10), sound=False, size=(18, 32), **settings):
    """A lossy video, with a tone of the same length when `sound`."""
    with av.open(str(path), "w", options=settings) as container:
        stream = container.add_stream("libx264", rate=rate_hz)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        track = container.add_stream("aac", rate=SOUND_HZ, layout="mono") if sound else None
        for index, frame in enumerate(waves(count, *size)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            if track:
                samples = np.arange(index * SOUND_HZ, (index + 1) * SOUND_HZ, int(rate_hz)) // int(rate_hz)
                tone = av.AudioFrame.from_ndarray(
                    (8000 * np.sin(0.1 * samples)).astype(np.int16)[None], format="s16", layout="mono"
                )
                tone.sample_rate, tone.pts = SOUND_HZ, int(samples[0])
                container.mux(track.encode(tone))
        for each in filter(None, (stream, track)):
            container.mux(each.encode(None))
    return path


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


def upscale(*arguments):
    return run("upscale", *arguments, "--model", "bicubic")


def folder_of(path, frames):
    path.mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(path / f"{index}.png")
    return path


# ---- what is kept


@pytest.mark.parametrize("rate_hz", [Fraction(10), Fraction(30_000, 1001)])
def test_frames_rate_and_size_are_kept(tmp_path, rate_hz):
    source = clip(tmp_path / "in.mp4", rate_hz=rate_hz)
    done = upscale(source, tmp_path / "out.mp4")
    assert done.exit_code == 0, done.output
    info = probe(tmp_path / "out.mp4")
    assert (info.width, info.height, info.rate_hz) == (32 * 16, 18 * 16, rate_hz)
    assert len(list(read_frames(tmp_path / "out.mp4"))) == 12
    assert "12 frames, 32x18 to 512x288" in done.stdout


def test_the_video_shows_what_the_network_made(tmp_path):
    source = clip(tmp_path / "in.mp4")
    assert upscale(source, tmp_path / "out.mp4").exit_code == 0
    made = list(protocol.super_resolve(Bicubic(), read_frames(source)))
    each = [psnr(a, b) for a, b in zip(read_frames(tmp_path / "out.mp4"), made, strict=True)]
    assert min(each) > 35
    assert psnr(made[0], made[6]) < 25  # so a frame out of order would show


def test_sound_is_kept_as_long_as_the_picture(tmp_path):
    source = clip(tmp_path / "in.mp4", count=20, sound=True)
    assert upscale(source, tmp_path / "out.mp4").exit_code == 0
    with av.open(str(source)) as before, av.open(str(tmp_path / "out.mp4")) as after:
        assert [stream.type for stream in after.streams] == ["video", "audio"]
        for ours, theirs in zip(after.streams, before.streams, strict=True):
            lengths_s = [float(stream.duration * stream.time_base) for stream in (ours, theirs)]
            assert lengths_s[0] == pytest.approx(2.0, abs=0.1)
            assert lengths_s[0] == pytest.approx(lengths_s[1], abs=0.1)


def test_odd_sizes_are_welcome(tmp_path):
    source = folder_of(tmp_path / "in", waves(2, 5, 7))
    assert upscale(source, tmp_path / "out.mp4", "--rate", "12.5").exit_code == 0
    info = probe(tmp_path / "out.mp4")
    assert (info.width, info.height, info.rate_hz) == (7 * 16, 5 * 16, Fraction(25, 2))


def test_a_folder_of_frames_becomes_a_folder_of_exact_frames(tmp_path):
    frames = list(waves(11, 4, 6))  # 10.png comes after 9.png
    assert upscale(folder_of(tmp_path / "in", frames), tmp_path / "out").exit_code == 0
    pictures = pictures_in(tmp_path / "out")
    assert [path.name for path in pictures] == [f"{i}.png" for i in range(11)]
    made = [read_image(path) for path in pictures]
    np.testing.assert_array_equal(made, list(protocol.super_resolve(Bicubic(), frames)))


def test_degraded_frames_are_the_protocols(tmp_path):
    frames = list(waves(3, 40, 70))
    done = run("degrade", folder_of(tmp_path / "in", frames), tmp_path / "out")
    assert "70x40 cut to 64x32, to 4x2" in done.stdout
    made = [read_image(path) for path in sorted((tmp_path / "out").iterdir())]
    np.testing.assert_array_equal(
        made, [protocol.degrade(protocol.crop_to_multiple(frame)) for frame in frames]
    )


def test_a_present_output_is_replaced_only_when_asked(tmp_path):
    source, out = clip(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    out.write_text("before")
    done = upscale(source, out)
    assert (done.exit_code, out.read_text(), "--overwrite" in done.stderr) == (2, "before", True)
    assert upscale(source, out, "--overwrite").exit_code == 0
    assert probe(out).width == 512


# ---- faults: one sentence, exit code 2, nothing left behind


def cut(path, share, **settings):
    content = clip(path, count=60, **settings).read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def text(path):
    path.write_text("this is no film\n" * 50)


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("in.mp4", lambda path: None, "no such file"),
        ("in.mp4", Path.touch, "0 bytes"),
        ("in.mp4", text, "cannot be read as a video"),
        ("in.mp4", lambda path: cut(path, 0.7), "moov atom not found|Invalid data"),
        ("in.mp4", lambda path: cut(path, 0.7, movflags="faststart"), r"after frame \d+"),
        ("in.mkv", lambda path: cut(path, 0.7), r"breaks off after frame \d+, at \S+ s of 6.00 s"),
        ("in", Path.mkdir, "the folder holds no pictures"),
        ("in", lambda path: folder_of(path, [*waves(1, 4, 4), *waves(1, 4, 6)]), "frame 1 is 6x4, the first"),
        ("in", lambda path: folder_of(path, waves(1, 4, 1025)), "more than H.264's 16384 pixels"),
    ],
)
def test_a_faulty_input_leaves_nothing(tmp_path, name, make, words):
    make(tmp_path / name)
    rate = [] if "." in name else ["--rate", "10"]
    done = upscale(tmp_path / name, tmp_path / "out.mp4", *rate)
    check_fault(done, words)
    assert [path.name for path in tmp_path.iterdir() if path.name != name] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["in.mp4", "out.mp4", "--model", "nope"], "unknown model 'nope'; known models: bicubic"),
        (["in.mp4", "out.mp4", "--model", "no.safetensors"], "no.safetensors: cannot be read"),
        (["in.mp4", "out.mp4", "--model", "bicubic", "--device", "tpu"], "auto, cpu or cuda, got 'tpu'"),
        (["in.mp4", "out.xyz"], "must end in .mp4, .*, got '.xyz'"),
        (["in.mp4", "no/out.mp4"], "there is no folder no"),
        (["in.mp4", "in.mp4", "--overwrite"], "is the input itself"),
        (["in.mp4", "frames", "--overwrite"], "is a folder, which is never overwritten"),
        (["in.mp4", "out.mp4", "--model", "bicubic", "--rate", "5"], "has its own rate of 10 Hz"),
        (["frames", "out.mp4", "--model", "bicubic"], "pictures have no frame rate"),
    ],
)
def test_a_wrong_request_leaves_nothing(tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    clip(Path("in.mp4"))
    folder_of(Path("frames"), waves(2))
    check_fault(run("upscale", *arguments), words)
    assert sorted(os.listdir()) == ["frames", "in.mp4"]


def test_degrading_into_a_lossy_video_is_refused(tmp_path):
    check_fault(run("degrade", clip(tmp_path / "in.mp4"), tmp_path / "out.mp4"), "would be another task")


def check_fault(done, words):
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert re.search(words, done.stderr), done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("target", ["out.mp4", "out"])
def test_a_signal_half_way_leaves_nothing(tmp_path, monkeypatch, number, code, target):
    source = clip(tmp_path / "in.mp4", count=80, size=(4, 6))

    def interrupted(network, frames):
        for index, frame in enumerate(protocol.super_resolve(network, frames)):
            if index == 70:  # the encoder holds some 40 back
                assert len(list(tmp_path.iterdir())) == 2  # something is there to leave behind
                os.kill(os.getpid(), number)
            yield frame

    monkeypatch.setattr(video_sr.upscale, "super_resolve", interrupted)
    handler = signal.getsignal(number)
    done = upscale(source, tmp_path / target)
    assert done.exit_code == code
    assert done.stderr == f"error: stopped by {number.name}, nothing was written\n"
    assert list(tmp_path.iterdir()) == [source]
    assert signal.getsignal(number) == handler


def test_a_failing_network_leaves_nothing_and_is_not_hushed_up(tmp_path, monkeypatch):
    source = clip(tmp_path / "in.mp4")
    monkeypatch.setattr(Bicubic, "forward", lambda self, frames: 1 / 0)
    assert isinstance(upscale(source, tmp_path / "out.mp4").exception, ZeroDivisionError)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("command", [[], ["upscale"], ["score"], ["degrade"]])
def test_help_begins_with_a_sentence_and_lines_to_paste(command):
    shown = run(*command, "--help").stdout
    assert shown.count("  python -m video_sr ") == (3 if command else 0)
    assert shown.split("\n\n")[1].rstrip().endswith(".")


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from video_sr.__main__ import app; app(['upscale', '--help'], standalone_mode=False);"
        "print({'torch', 'av', 'matplotlib', 'numpy'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "set()\n"


# ---- drills

PEAK = """
import sys
from video_sr.__main__ import app
app(sys.argv[1:], standalone_mode=False)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def peak_kib(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[-1])


@pytest.fixture
def small_network(tmp_path):
    """A run's weights of a network that reads three frames."""
    import dataclasses

    import torch

    from common import checkpoint
    from video_sr import recipes

    sizes = dataclasses.replace(recipes.NARROW, channels=8, trunk_channels=None, trunk_blocks=1)
    recipe = dataclasses.replace(recipes.EVESRNET_MINI, network=sizes)
    torch.manual_seed(0)
    path = tmp_path / "weights.safetensors"
    checkpoint.save(path, recipe.model().state_dict(), {"settings": recipe.settings()})
    return path


def test_a_runs_weights_upscale_a_video(tmp_path, small_network):
    source = clip(tmp_path / "in.mp4", count=3, size=(8, 12))
    done = run("upscale", source, tmp_path / "out.mp4", "--model", small_network, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert (probe(tmp_path / "out.mp4").width, len(list(read_frames(tmp_path / "out.mp4")))) == (192, 3)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
@pytest.mark.parametrize("model", ["bicubic", "small network"])
def test_memory_does_not_grow_with_the_length(tmp_path, small_network, model):
    model = small_network if model == "small network" else model
    peaks = []
    for duration_s in (6, 60):
        source = clip(tmp_path / f"{duration_s}.mp4", count=10 * duration_s, sound=True)
        out = tmp_path / f"{duration_s}-large.mp4"
        peaks.append(peak_kib("upscale", source, out, "--model", model, "--device", "cpu"))
        assert probe(out).num_frames == 10 * duration_s
    frames_kib = 540 * 512 * 288 * 3 / 1024  # what keeping the further frames would add
    assert frames_kib > 0.2 * peaks[0]
    assert peaks[1] < 1.1 * peaks[0], peaks


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_at_any_moment_of_writing_leaves_nothing(tmp_path, number, code):
    source = clip(tmp_path / "in.mp4", count=1200)
    draw = random.Random(code)
    for _ in range(4):
        command = [
            sys.executable,
            "-m",
            "video_sr",
            "upscale",
            source,
            tmp_path / "out.mp4",
            "--model",
            "bicubic",
        ]
        with started(command, stderr=subprocess.PIPE) as process:
            while len(list(tmp_path.iterdir())) == 1:
                assert process.poll() is None
                time.sleep(0.001)
            time.sleep(draw.choice([0, draw.uniform(0, 2)]))
            process.send_signal(number)
            _, words = process.communicate(timeout=HANG_S)
        assert (process.returncode, words.count("\n")) == (code, 1), words
        assert list(tmp_path.iterdir()) == [source]
