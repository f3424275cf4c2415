"""Archives: unpacked once, whole or not at all, never outside their folder, checked by hash."""

import io
import json
import os
import tarfile

import pytest
import soundfile

from common.data.archives import UnsafeArchive
from common.data.packages import file_sha256
from speech_adapters.data.corpora import corpus as opening
from speech_adapters.data.corpora.corpus import STAMP, opened
from speech_adapters.data.corpora.libri import librispeech


def ids(corpus):
    return [utterance.id for utterance in corpus.utterances]


@pytest.fixture
def archive(root, make):
    make.chapter(root / "made/LibriSpeech/dev-clean", "84", "1", ["YES"])
    return make.packed(root / "mine.tar.gz", root / "made")


def test_an_archive_reads_as_its_folder_does(root, archive):
    theirs, ours = librispeech(root / "made", "dev-clean"), librispeech(archive, "dev-clean")
    assert ids(ours) == ids(theirs)
    assert ours.sha256 == theirs.sha256
    assert ours.utterances[0].path.startswith("mine.unpacked/LibriSpeech/dev-clean/")
    assert soundfile.info(root / ours.utterances[0].path).frames == 1600


def test_an_archive_is_unpacked_once_and_again_when_it_changes(root, archive, make):
    marker = opened(archive) / "marker"
    marker.touch()
    assert (opened(archive) / "marker").exists()
    make.chapter(root / "made/LibriSpeech/dev-clean", "85", "1", ["NO"])
    make.packed(archive, root / "made")
    assert len(librispeech(archive, "dev-clean").utterances) == 2
    assert not marker.exists()


def test_a_folder_that_somebody_else_made_is_never_removed(root, archive):
    (root / "mine.unpacked").mkdir()
    (root / "mine.unpacked/diary.txt").touch()
    with pytest.raises(ValueError, match=r"was not made from mine\.tar\.gz by us"):
        opened(archive)
    assert (root / "mine.unpacked/diary.txt").exists()


def test_a_copied_archive_is_not_unpacked_again(root, archive):
    (opened(archive) / "marker").touch()
    os.utime(archive, (1, 1))
    assert (opened(archive) / "marker").exists()


def test_an_interrupted_unpacking_leaves_nothing_that_looks_done(root, archive, monkeypatch):
    def broken(archive, folder):
        (folder / "half").touch()
        raise OSError("No space left on device")

    monkeypatch.setattr(opening, "unpack", broken)
    with pytest.raises(ValueError, match="No space left on device"):
        opened(archive)
    monkeypatch.undo()
    assert sorted(p.name for p in root.iterdir() if "mine" in p.name) == ["mine.tar.gz"]
    assert len(librispeech(archive, "dev-clean").utterances) == 1


def test_the_hash_of_an_archive_is_checked_when_given_and_when_known(root, archive):
    digest = file_sha256(archive)
    opened(archive, digest)
    assert json.loads((root / "mine.unpacked" / STAMP).read_text())["sha256"] == digest
    with pytest.raises(ValueError, match=f"must have sha256 {'0' * 64}, got {digest}"):
        opened(archive, "0" * 64)
    archive.rename(root / "dev-clean.tar.gz")
    with pytest.raises(ValueError, match=rf"dev-clean\.tar\.gz must have sha256 76f87d.*, got {digest}"):
        librispeech(root / "dev-clean.tar.gz", "dev-clean")
    assert not (root / "dev-clean.unpacked").exists()


def test_an_archive_that_leads_out_of_its_folder_is_refused(root):
    with tarfile.open(root / "evil.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../outside.txt"), io.BytesIO())
    with pytest.raises(UnsafeArchive, match="would leave the folder"):
        librispeech(root / "evil.tar.gz", "dev-clean")
    assert sorted(p.name for p in root.iterdir() if not p.name.startswith(".")) == ["evil.tar.gz"]


def test_what_is_no_archive_is_said(root):
    (root / "cut.tar.gz").write_bytes(b"\x1f\x8b\x08 nothing")
    with pytest.raises(ValueError, match=r"cut\.tar\.gz cannot be unpacked"):
        opened(root / "cut.tar.gz")
    (root / "corpus.rar").touch()
    with pytest.raises(ValueError, match=r"must be a folder or end in \.tar\.gz"):
        opened(root / "corpus.rar")
    with pytest.raises(ValueError, match="is no folder and no archive"):
        opened(root / "nothing")
    with pytest.raises(ValueError, match="sha256 is that of an archive"):
        opened(root, "0" * 64)


def test_a_corpus_outside_the_data_root_keeps_whole_paths(root, monkeypatch, make):
    make.chapter(root / "LibriSpeech/dev-clean", "84", "1", ["YES"])
    monkeypatch.setenv("DATA_ROOT", str(root / "empty"))
    [utterance] = librispeech(root, "dev-clean").utterances
    assert utterance.path == str(root / "LibriSpeech/dev-clean/84/1/84-1-0000.flac")
