"""Corpora made tiny: the pieces that several layouts share, with real sound in them."""

import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    """An empty data root."""
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def make():
    """Functions that write files."""
    return SimpleNamespace(tone=tone, write=write, chapter=chapter, packed=packed)


def tone(path, seconds=0.1, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.sin(np.arange(round(16_000 * seconds)) * 0.2)
    soundfile.write(path, samples, 16_000, **how)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def chapter(folder, speaker, number, texts, seconds=0.1):
    """A chapter as LibriSpeech has it."""
    place, prefix = folder / speaker / number, f"{speaker}-{number}"
    lines = [f"{prefix}-{i:04d} {text}\n" for i, text in enumerate(texts)]
    write(place / f"{prefix}.trans.txt", "".join(lines))
    for i in range(len(texts)):
        tone(place / f"{prefix}-{i:04d}.flac", seconds)
    return place


def packed(archive, folder):
    """What `folder` holds as a .tar.gz, without the folder itself."""
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    return archive
