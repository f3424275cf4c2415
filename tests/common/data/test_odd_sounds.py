"""Sound that real files hold and few expect: odd codecs and names, late starts, gaps, opposite phases, new rates."""

import io
import os
import re
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile

from common.data.audio import AudioError, probe_audio, read_audio, stream_audio
from common.data.cut_off import missing_sound
from common.data.mono import LEAST_SAMPLES, MonoMix
from speech_adapters.data import audio_files

RATE_HZ = 16_000


def tone(duration_s=1.0, hz=440.0, rate_hz=RATE_HZ):
    return np.float32(0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate_hz * duration_s)) / rate_hz))


def onset_s(samples):
    return float(np.flatnonzero(np.abs(samples) > 0.05)[0] / RATE_HZ)


def hertz(samples):
    """The loudest frequency."""
    return float(np.abs(np.fft.rfft(samples)).argmax() * RATE_HZ / len(samples))


@pytest.mark.parametrize(
    "kind", ["wav GSM610", "aiff GSM610", "wav NMS_ADPCM_32", "au G721_32", "wav MS_ADPCM", "wav IMA_ADPCM"]
)
def test_kinds_in_which_no_place_is_found_are_read(tmp_path, kind):
    format, subtype = kind.split()
    path = tmp_path / f"a.{format}"
    soundfile.write(path, tone(rate_hz=8_000), 8_000, format=format.upper(), subtype=subtype)
    assert len(read_audio(path)) / RATE_HZ == pytest.approx(1.0, abs=0.041)  # whole blocks of samples
    assert hertz(read_audio(path)[:8000]) == 440
    assert audio_files.examine(path)["fault"] == ""
    crop = audio_files.crop(path, 8_000, 4_000, 12_000)
    np.testing.assert_allclose(crop, read_audio(path)[4_000:12_000], atol=1e-5)


def test_samples_without_a_header_are_refused_by_name(tmp_path):
    (tmp_path / "a.raw").write_bytes(np.int16(tone() * 32767).tobytes())
    with pytest.raises(AudioError, match=r"a\.raw: "):
        read_audio(tmp_path / "a.raw")
    with pytest.raises(AudioError, match=r"a\.raw: "):
        probe_audio(tmp_path / "a.raw")


def test_a_name_that_is_no_text_is_read_and_can_be_printed(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    with path.open("wb") as file:
        soundfile.write(file, tone(), RATE_HZ, format="WAV")
    assert len(read_audio(path)) == RATE_HZ
    path.write_bytes(b"no sound")
    with pytest.raises(AudioError) as caught:
        read_audio(path)
    assert r"caf\xe9.wav: " in str(caught.value).encode().decode()


# ---- times


def film(path, begins_s, codec="aac", picture_s=6.0):
    """A picture from 0 s on, and a second of a tone from each of `begins_s` on."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=10)
        picture.width = picture.height = 32
        sound = container.add_stream(codec, rate=RATE_HZ)
        sound.layout = "mono"
        for i in range(round(picture_s * 10)):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 10)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        coder = sound.codec_context
        for begin_s in begins_s:
            resampler = av.AudioResampler(coder.format, "mono", RATE_HZ, frame_size=sound.frame_size)
            frame = av.AudioFrame.from_ndarray(np.int16(tone() * 32767)[None], "s16", "mono")
            frame.sample_rate = RATE_HZ
            place = round(begin_s * RATE_HZ)
            for piece in [*resampler.resample(frame), *resampler.resample(None)]:
                piece.pts, piece.time_base = place, Fraction(1, RATE_HZ)
                place += piece.samples
                container.mux(sound.encode(piece))
        container.mux(sound.encode(None))
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
def test_sound_that_begins_late_begins_at_the_files_time(tmp_path, name):
    path = film(tmp_path / name, [3.0], picture_s=4.0)
    assert onset_s(read_audio(path)) == pytest.approx(3.0, abs=0.1)
    assert probe_audio(path).duration_s == pytest.approx(4.0, abs=0.1)
    whole = np.concatenate([window for _, window in stream_audio(path, window_s=0.5, hop_s=0.5)])
    np.testing.assert_array_equal(whole, read_audio(path))


def test_a_gap_is_silent_and_what_follows_keeps_its_time(tmp_path):
    samples = read_audio(film(tmp_path / "a.mkv", [0.0, 4.0], "pcm_s16le"))
    assert len(samples) == pytest.approx(5.0 * RATE_HZ, abs=200)
    assert not samples[RATE_HZ + 200 : 4 * RATE_HZ - 200].any()
    assert onset_s(samples[2 * RATE_HZ :]) == pytest.approx(2.0, abs=0.05)


def test_a_rate_that_changes_on_the_way_keeps_pitch_and_length(tmp_path):
    content = b""
    for rate_hz in (44_100, 22_050):
        blob = io.BytesIO()
        with av.open(blob, "w", format="mp3", options={"write_xing": "0", "id3v2_version": "0"}) as container:
            stream = container.add_stream("mp3", rate=rate_hz)
            stream.layout = "mono"
            resampler = av.AudioResampler(
                stream.codec_context.format, "mono", rate_hz, frame_size=stream.frame_size
            )
            samples = np.int16(tone(2.0, rate_hz=rate_hz) * 32767)[None]
            frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
            frame.sample_rate = rate_hz
            for piece in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(stream.encode(piece))
            container.mux(stream.encode(None))
        content += blob.getvalue()
    (tmp_path / "a.mp3").write_bytes(content)
    samples = read_audio(tmp_path / "a.mp3")
    assert len(samples) / RATE_HZ == pytest.approx(4.0, abs=0.3)
    assert hertz(samples[8_000:24_000]) == hertz(samples[40_000:56_000]) == 440


# ---- channels


@pytest.mark.parametrize("name", ["a.wav", "a.mka"])
def test_channels_in_opposite_phase_do_not_cancel(tmp_path, name):
    both = np.stack([tone(8.0), -tone(8.0)], 1)
    path = tmp_path / name
    if path.suffix == ".wav":
        soundfile.write(path, both, RATE_HZ, subtype="FLOAT")
        np.testing.assert_array_equal(
            audio_files.crop(path, RATE_HZ, 10_000, 50_000), tone(8.0)[10_000:50_000]
        )
    else:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=RATE_HZ)
            stream.layout = "stereo"
            packed = np.int16(both * 32767).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, "s16", "stereo")
            frame.sample_rate = RATE_HZ
            container.mux([*stream.encode(frame), *stream.encode(None)])
    np.testing.assert_allclose(np.abs(read_audio(path)), np.abs(tone(8.0)), atol=1e-3)


def test_strangers_and_a_silent_channel_are_averaged_as_before():
    noise = np.random.default_rng(0).normal(size=(LEAST_SAMPLES, 2)).astype(np.float32)
    for gains in ((1, 1), (1, 0), (1, -0.5)):
        block = noise * np.float32(gains) if gains != (1, -0.5) else noise[:, :1] * np.float32(gains)
        np.testing.assert_array_equal(MonoMix().of([block])[0], block.mean(1, dtype=np.float32))


def test_a_choice_holds_through_a_pause():
    voice = np.random.default_rng(0).normal(size=(LEAST_SAMPLES, 1)).astype(np.float32)
    mix = MonoMix()
    opposite, pause = mix.of([voice * np.float32([1, -1])])[0], mix.of([0 * voice * np.float32([1, 1])])[0]
    np.testing.assert_array_equal(opposite, voice[:, 0])
    assert not pause.any()
    assert np.abs(mix.of([voice * np.float32([1, -0.9])])[0]).max() > 1  # still one channel
    together = mix.of([voice * np.float32([1, 1])])[0]
    np.testing.assert_allclose(together, voice[:, 0])


# ---- cut off


def compressed(path, codec, duration_s=8.0, layout="mono"):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=48_000)
        stream.layout = layout
        coder = stream.codec_context
        resampler = av.AudioResampler(coder.format, layout, 48_000, frame_size=coder.frame_size)
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, (1, round(48_000 * duration_s)))
        frame = av.AudioFrame.from_ndarray(np.int16(noise * 32767), "s16", "mono")
        frame.sample_rate = 48_000
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp3", "mp3"), ("a.webm", "libopus"), ("a.oga", "libopus"), ("a.rf64", "")]
)
def test_what_is_cut_off_is_used_and_named(tmp_path, name, codec):
    path = tmp_path / name
    if codec:
        compressed(path, codec)
    else:
        soundfile.write(path, tone(8.0, rate_hz=48_000), 48_000, format="RF64")
    assert missing_sound(path) == ""
    whole = path.read_bytes()
    path.write_bytes(whole[: round(0.6 * len(whole))])
    assert re.match(
        r"promises \d+ bytes, has \d+|its last page is not marked|ends inside a page", missing_sound(path)
    )
    assert len(read_audio(path)) / RATE_HZ == pytest.approx(
        0.6 * 8.0, abs=1.0
    )  # a page of Ogg lasts a second
    assert any(each.startswith("cut: it ") for each in audio_files.examine(path)["told"])


def test_sound_of_which_no_size_is_told_is_not_called_cut_off(tmp_path):
    for name in ("a.wav", "b.flac", "c.aiff"):
        soundfile.write(tmp_path / name, tone(), RATE_HZ)
        assert missing_sound(tmp_path / name) == ""
    (tmp_path / "d.mp3").write_bytes(b"\xff\xfb")
    assert missing_sound(tmp_path / "d.mp3") == ""


@pytest.mark.parametrize("channels", [6, 8])
def test_a_voice_in_one_channel_of_many_is_kept(channels):
    block = np.zeros((LEAST_SAMPLES, channels), np.float32)
    block[:, 2] = tone(2.0)[:LEAST_SAMPLES]
    assert np.corrcoef(MonoMix().of([block])[0], block[:, 2])[0, 1] == pytest.approx(1.0)
