"""Corpora made tiny: lists in the published layout, and real pictures and sound where something is decoded."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from common.data.video_writer import VideoWriter


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    """An empty data root."""
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def make():
    """Functions that write files."""
    return SimpleNamespace(write=write, films=films, film=film, tone=tone)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def films(folder, *names):
    """Files that are there: readers of lists decode nothing."""
    for name in names:
        write(folder / name, "not empty")


def film(path, num_frames=20, rate_hz=10):
    """Frame i is grey of level 10 i."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, width=32, height=32, rate_hz=Fraction(rate_hz)) as writer:
        for i in range(num_frames):
            writer.write(np.full((32, 32, 3), 10 * i, np.uint8))
    return path


def tone(path, seconds=2.5, rate_hz=16_000):
    """Sample i is i / 100,000: tells where a piece was cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.arange(round(seconds * rate_hz)) / 100_000, rate_hz, subtype="FLOAT")
    return path
