"""A published corpus as a source: its parts are told apart, and a recording that cannot be read never ends a run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from common.data.manifest import Bad
from speech_adapters.data import crops
from speech_adapters.data.corpora.corpus import Corpus
from speech_adapters.data.corpora.folders import LabelledFolder, labelled_folder
from speech_adapters.data.corpora.public import PublicCorpus
from speech_adapters.data.sources import LIBRI_LIGHT


@pytest.fixture
def libri(root, make):
    """Libri-Light with 40 recordings, one of them cut short, and LibriSpeech's dev and test sets."""
    light = root / "librispeech_finetuning"
    for fold in ("9h", *(f"1h/{number}" for number in range(6))):
        for sound in ("clean", "other"):
            (light / fold / sound).mkdir(parents=True)
    make.chapter(light / "1h" / "0" / "clean", "11", "1", ["HE SAID YES"] * 20)
    chapter = make.chapter(light / "9h" / "clean", "12", "1", ["HE SAID YES"] * 20)
    cut = chapter / "12-1-0003.flac"
    cut.write_bytes(cut.read_bytes()[:200])
    for part, speaker in (("dev-other", "21"), ("test-clean", "31"), ("test-other", "32")):
        text = "SHE SAID NO" if part.startswith("dev") else "WE SAY SO"
        make.chapter(root / "LibriSpeech" / part, speaker, "1", [text] * 2)
    return root


def test_each_test_set_keeps_its_name(libri):
    assert {u.source for u in LIBRI_LIGHT.utterances("train")} == {"libri-light-10h"}
    assert {u.source for u in LIBRI_LIGHT.utterances("test")} == {
        "librispeech-test-clean",
        "librispeech-test-other",
    }
    assert {u.text for u in LIBRI_LIGHT.utterances("dev")} == {"she said no"}
    utterance = LIBRI_LIGHT.utterances("train")[0]
    assert utterance.samples == len(utterance.waveform()) == 1_600


def test_a_recording_that_cannot_be_read_is_left_out_and_named(libri):
    LIBRI_LIGHT.prepare()
    assert len(LIBRI_LIGHT.utterances("train")) == 39
    (fault,) = LIBRI_LIGHT.bad()
    assert "12-1-0003" in fault.id
    assert LIBRI_LIGHT.verify() == [fault]


def test_too_many_broken_recordings_stop_with_the_list(libri):
    for path in sorted((libri / "librispeech_finetuning" / "1h").rglob("*.flac"))[:3]:
        path.write_bytes(b"RIFF")
    with pytest.raises(ValueError, match=r"at most 5 % .* got 4 of 40(.|\n)*11-1-0002"):
        LIBRI_LIGHT.prepare()


def test_a_corpus_that_is_not_there_says_where_it_is_looked_for(root):
    with pytest.raises(ValueError, match=f"{root}/librispeech_finetuning is no folder and no archive"):
        LIBRI_LIGHT.prepare()


def test_a_labelled_folder_has_parts_of_its_own(root, make):
    for part in ("train", "dev", "test"):
        make.tone(root / "own" / part / "a.wav", 0.2)
        make.write(root / "own" / part / "manifest.tsv", f"a.wav\tthis is {part}\n")
    source = LabelledFolder("own", "en")
    source.prepare()
    assert [u.text for u in source.utterances("dev")] == ["this is dev"]
    assert {u.source for u in source.utterances("test")} == {"labelled-own-test"}
    first = source.content_sha256()
    make.write(root / "own" / "dev" / "manifest.tsv", "a.wav\tthis is new\n")
    assert LabelledFolder("own", "en").content_sha256() == first  # read once in a process


# ---- a sixth corpus


@dataclass(frozen=True)
class SixthCorpus(PublicCorpus):
    """A corpus nobody knew of: one class, which says how a part is read."""

    folder: str = "sixth"
    language = "en"
    name = "sixth"

    def read(self, part: str) -> tuple[Corpus, ...]:
        return (labelled_folder(Path(self.folder) / part, self.language),)


@pytest.fixture
def sixth(root, make):
    for part in ("train", "dev", "test"):
        names = [f"{number}.wav" for number in range(3)]
        for number, name in enumerate(names):
            path = root / "sixth" / part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.random.default_rng(number).normal(0, 0.1, 16_000), 16_000)
        lines = "".join(f"{name}\tsome words\n" for name in names)
        make.write(root / "sixth" / part / "manifest.tsv", lines)
    return SixthCorpus()


def test_a_new_corpus_is_one_class(sixth):
    sixth.prepare()
    assert [utterance.samples for utterance in sixth.utterances("train")] == [16_000] * 3
    (track,) = sixth.tracks("train", 40_000)
    assert track.samples == 48_000
    (crop,) = crops.draw((sixth,), "train", 48_000, 1, (0,))
    assert crop.waveform().dtype == np.int16
    assert sixth.bad() == ()
    (Path(sixth.utterances("dev")[0].path)).write_bytes(b"")
    assert [type(fault) for fault in sixth.verify()] == [Bad]
