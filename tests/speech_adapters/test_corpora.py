"""Published layouts, made tiny with real sound in them: the right utterances, and every bad line with its reason."""

import io
import json
import tarfile
from types import GeneratorType

import numpy as np
import pytest
import soundfile

from common.data.archives import UnsafeArchive
from common.data.packages import file_sha256
from common.data.splits import SplitLeak
from speech_adapters.corpora import corpus as opening
from speech_adapters.corpora.commonvoice import common_voice
from speech_adapters.corpora.corpus import STAMP, check_apart, opened
from speech_adapters.corpora.folders import audio_folder, labelled_folder
from speech_adapters.corpora.hours import Hours, draw_hours
from speech_adapters.corpora.libri import libri_light, librispeech
from speech_adapters.corpora.multilingual import mls

OPUS = {"format": "OGG", "subtype": "OPUS"}


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    return tmp_path


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


def mls_split(folder, lines, suffix=".flac", **how):
    """(handle, text) as Multilingual LibriSpeech has them."""
    write(folder / "transcripts.txt", "".join(f"{handle}\t{text}\n" for handle, text in lines))
    write(
        folder / "segments.txt", "".join(f"{handle}\thttp://example.org/a.mp3\t0\t1\n" for handle, _ in lines)
    )
    for handle, _ in lines:
        speaker, book, _ = handle.split("_")
        tone(folder / "audio" / speaker / book / (handle + suffix), **how)


OLD = "client_id path sentence up_votes down_votes age gender accent".split()
VARIANT = [*OLD[:-1], "accents", "variant", "locale", "segment"]
NEW = "client_id path sentence_id sentence sentence_domain up_votes down_votes age gender accents variant locale segment"
NEW = NEW.split()


def release(folder, split, rows, columns=NEW, language="en"):
    """(client_id, path, sentence) as Common Voice has them, and the clips."""
    lines = ["\t".join(columns)]
    for client, path, sentence in rows:
        known = {"client_id": client, "path": path, "sentence": sentence, "locale": language}
        lines.append("\t".join(known.get(column, "") for column in columns))
        tone(folder / "clips" / path)
    write(folder / f"{split}.tsv", "\n".join(lines) + "\n")


def packed(archive, folder):
    """Everything in `folder` as a .tar.gz, the folder itself gone."""
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    return archive


def ids(corpus):
    return [utterance.id for utterance in corpus.utterances]


def reasons(corpus):
    return [str(bad) for bad in corpus.bad]


# ---- LibriSpeech


def test_a_librispeech_line_becomes_an_utterance_with_its_chapter_and_speaker(root):
    chapter(root / "LibriSpeech/dev-clean", "84", "121123", ["GO DO YOU HEAR", "IT'S ALL"])
    corpus = librispeech(root, "dev-clean")
    first, second = corpus.utterances
    assert (corpus.name, corpus.bad) == ("librispeech-dev-clean", ())
    assert (first.id, first.raw_text, first.text) == (
        "librispeech-84-121123-0000",
        "GO DO YOU HEAR",
        "go do you hear",
    )
    assert first.path == "LibriSpeech/dev-clean/84/121123/84-121123-0000.flac"
    assert first.keys == ("speaker:librivox-84", "chapter:librivox-121123", "text:en:go do you hear")
    assert second.text == "it's all"


@pytest.mark.parametrize("given", [".", "LibriSpeech", "LibriSpeech/dev-clean"])
def test_any_folder_on_the_way_to_a_part_serves(root, given):
    chapter(root / "LibriSpeech/dev-clean", "84", "1", ["YES"])
    chapter(root / "LibriSpeech/dev-other", "85", "1", ["NO"])
    assert ids(librispeech(root / given, "dev-clean")) == ["librispeech-84-1-0000"]


def test_every_fault_of_a_chapter_is_listed_with_file_line_and_reason(root):
    place = chapter(root / "LibriSpeech/dev-clean", "84", "1", ["ONE", "TWO", "", "IN 1984", "FIVE", "..."])
    (place / "84-1-0001.flac").unlink()
    (place / "84-1-0004.flac").write_bytes(b"")
    tone(place / "84-1-0099.flac")
    with (place / "84-1.trans.txt").open("ab") as file:
        file.write(b"85-1-0000 OF ANOTHER\n84-1-0000 AGAIN\n84-1-0007 \xff\n")
    corpus = librispeech(root, "dev-clean")
    told = "\n".join(reasons(corpus))
    assert ids(corpus) == ["librispeech-84-1-0000"]
    assert len(corpus.bad) == 9
    assert "84-1-0001.flac): 84-1.trans.txt line 2: there is no audio file" in told
    assert "84-1.trans.txt line 3: the text is empty" in told
    assert "84-1.trans.txt line 4: letters do not tell the sound of '1984' in 'IN 1984'" in told
    assert "84-1.trans.txt line 5: the audio file is empty (0 bytes)" in told
    assert "84-1.trans.txt line 6: no letter of 'en' in '...'" in told
    assert "must begin with 84-1-NUMBER, got '85-1-0000 OF ANOTHER'" in told
    assert "84-1.trans.txt line 8: the same utterance occurs before" in told
    assert "84-1.trans.txt line 9 (LibriSpeech/dev-clean/84/1/84-1.trans.txt): is not UTF-8" in told
    assert "84-1-0099.flac): no line of 84-1.trans.txt names it" in told


def test_the_caller_caps_what_is_bad(root):
    place = chapter(root / "LibriSpeech/dev-clean", "84", "1", ["ONE", "TWO", "THREE", "FOUR"])
    (place / "84-1-0001.flac").unlink()
    corpus = librispeech(root, "dev-clean")
    assert corpus.bad_share(0.25) == 0.25
    with pytest.raises(
        ValueError, match=r"at most 20 % of items may be bad, got 1 of 4:\n  librispeech-84-1-0001"
    ):
        corpus.bad_share(0.2)


def test_a_corpus_without_anything_usable_says_why(root):
    chapter(root / "LibriSpeech/dev-clean", "84", "1", [""])
    with pytest.raises(ValueError, match="no usable utterance: .* the text is empty"):
        librispeech(root, "dev-clean")
    with pytest.raises(ValueError, match="must hold a folder LibriSpeech/test-clean or test-clean"):
        librispeech(root, "test-clean")
    with pytest.raises(ValueError, match="got 'dev'"):
        librispeech(root, "dev")


def test_parts_that_share_a_speaker_leak_and_parts_that_share_a_text_do_not(root):
    for part, speaker in (("train-clean-100", "1"), ("dev-clean", "2"), ("test-clean", "1")):
        chapter(root / "LibriSpeech" / part, speaker, "7", ["YES"])
    train, dev, test = (librispeech(root, part) for part in ("train-clean-100", "dev-clean", "test-clean"))
    check_apart("speaker", train=train, dev=dev)
    with pytest.raises(SplitLeak, match=r"\(train\) and .* \(test\) share 'speaker:librivox-1'"):
        check_apart("speaker", train=train, dev=dev, test=test)
    with pytest.raises(SplitLeak, match="share 'text:en:yes'"):
        check_apart("text", train=train, dev=dev)


# ---- Libri-Light


@pytest.fixture
def limited(root):
    for number, fold in enumerate([*(f"1h/{i}" for i in range(6)), "9h"]):
        chapter(root / "librispeech_finetuning" / fold / "clean", "84", f"{number}", ["YES"])
        chapter(root / "librispeech_finetuning" / fold / "other", "85", f"{number}", ["YES"])
    return root


@pytest.mark.parametrize(("hours", "folders"), [("10min", 2), ("1h", 12), ("10h", 14)])
def test_ten_minutes_are_a_fold_of_one_hour_and_ten_hours_are_one_and_nine(limited, hours, folders):
    assert len(libri_light(limited, hours).utterances) == folders


def test_the_shorter_lies_in_the_longer(limited):
    short, middle, long = (set(ids(libri_light(limited, hours))) for hours in ("10min", "1h", "10h"))
    assert short < middle < long


def test_a_missing_fold_is_an_error_and_not_fewer_hours(limited):
    (limited / "librispeech_finetuning/1h/3").rename(limited / "elsewhere")
    with pytest.raises(ValueError, match="1h of Libri-Light needs 1h/3/clean, 1h/3/other"):
        libri_light(limited, "1h")
    with pytest.raises(ValueError, match="one of 10min, 1h, 10h, got '100h'"):
        libri_light(limited, "100h")


# ---- Multilingual LibriSpeech


def test_an_mls_line_becomes_an_utterance_with_its_book_and_speaker(root):
    mls_split(root / "mls_french/dev", [("10065_10039_000000", "où va-t-on")])
    [utterance] = mls(root, "fr", "dev").utterances
    assert (utterance.id, utterance.text) == ("mls-fr-10065_10039_000000", "ou va t on")
    assert utterance.keys[:2] == ("speaker:librivox-10065", "book:librivox-10039")
    assert utterance.path == "mls_french/dev/audio/10065/10039/10065_10039_000000.flac"


def test_mls_as_opus_is_read_too(root):
    mls_split(root / "mls_french_opus/dev", [("1_2_000000", "oui")], ".opus", **OPUS)
    [utterance] = mls(root / "mls_french_opus", "fr", "dev").utterances
    assert soundfile.info(root / utterance.path).subtype == "OPUS"


def test_mls_handles_choose_the_limited_hours(root):
    train = root / "mls_french/train"
    handles = [f"1_2_{i:06d}" for i in range(9)]
    mls_split(train, [(handle, "oui") for handle in handles])
    for fold in range(6):
        write(train / f"limited_supervision/1hr/{fold}/handles.txt", f"{handles[fold]}\n")
    write(train / "limited_supervision/9hr/handles.txt", f"{handles[6]}\n3_4_000000\n")
    short, middle, long = (mls(root, "fr", "train", hours) for hours in ("10min", "1h", "10h"))
    assert [len(corpus.utterances) for corpus in (short, middle, long, mls(root, "fr", "train"))] == [
        1,
        6,
        7,
        9,
    ]
    assert short.bad == middle.bad == ()
    assert [bad.reason for bad in long.bad] == ["handles.txt names it, transcripts.txt does not"]


def test_every_fault_of_an_mls_split_is_listed(root):
    mls_split(root / "mls_french/dev", [("1_2_000000", "oui"), ("1_2_000001", "")])
    with (root / "mls_french/dev/transcripts.txt").open("a") as file:
        file.write("1_2_000002 no tab\n1_2_000003\tnon\n")
    tone(root / "mls_french/dev/audio/1/2/1_2_000009.flac")
    corpus = mls(root, "fr", "dev")
    told = "\n".join(reasons(corpus))
    assert ids(corpus) == ["mls-fr-1_2_000000"]
    assert len(corpus.bad) == 4
    assert "line 2: the text is empty" in told
    assert "line 3 (mls_french/dev/transcripts.txt): must be SPEAKER_BOOK_NUMBER<TAB>text" in told
    assert "line 4: there is no audio file" in told
    assert "1_2_000009.flac): no line of transcripts.txt names it" in told


def test_what_mls_does_not_have_is_said(root):
    mls_split(root / "mls_french/dev", [("1_2_000000", "oui")])
    with pytest.raises(ValueError, match="got 'french'"):
        mls(root, "french", "dev")
    with pytest.raises(ValueError, match="got '10h' of dev"):
        mls(root, "fr", "dev", "10h")
    with pytest.raises(ValueError, match=r"mls_french/test must hold transcripts\.txt"):
        mls(root, "fr", "test")


# ---- Common Voice


def test_common_voice_keeps_quotation_marks_as_letters_and_lines_as_lines(root):
    # A reader that takes quotation marks for the ends of fields swallows the second line.
    rows = [
        ("ab" * 64, "common_voice_en_1.mp3", '"Never mind, she said.'),
        ("cd" * 64, "common_voice_en_2.mp3", 'The end."'),
        ("cd" * 64, "common_voice_en_3.mp3", "one line\u2028still the same\x85line"),
    ]
    release(root / "cv-corpus-17.0-2024-03-15/en", "train", rows)
    corpus = common_voice(root, "en", "train")
    assert ids(corpus) == ["common_voice_en_1", "common_voice_en_2", "common_voice_en_3"]
    assert [u.text for u in corpus.utterances] == [
        "never mind she said",
        "the end",
        "one line still the same line",
    ]
    assert corpus.utterances[0].raw_text == '"Never mind, she said.'
    assert corpus.speakers == (f"common-voice-{'ab' * 8}", f"common-voice-{'cd' * 8}")


@pytest.mark.parametrize("given", [".", "cv-corpus-17.0-2024-03-15", "cv-corpus-17.0-2024-03-15/en"])
def test_the_version_is_the_name_of_the_release(root, given):
    release(root / "cv-corpus-17.0-2024-03-15/en", "test", [("a", "common_voice_en_1.mp3", "Yes.")])
    corpus = common_voice(root / given, "en", "test", version="17.0")
    assert corpus.version == "cv-corpus-17.0-2024-03-15"
    with pytest.raises(ValueError, match=r"must be version 11\.0, found cv-corpus-17\.0-2024-03-15"):
        common_voice(root / given, "en", "test", version="11.0")


@pytest.mark.parametrize(
    ("columns", "version"),
    [
        (OLD, "1 to 4"),
        ([*OLD, "locale", "segment"], "5.0 to 12.0"),
        (VARIANT, "13.0 to 16.1"),
        (NEW, "17.0 and later"),
    ],
)
def test_without_a_name_the_columns_tell_the_version(root, columns, version):
    release(root / "en", "dev", [("a", "common_voice_en_1.mp3", "Yes.")], columns)
    assert common_voice(root, "en", "dev").version == f"columns of {version}"


def test_columns_are_found_by_name(root):
    release(root / "en", "dev", [("a", "common_voice_en_1.mp3", "Yes.")], sorted(NEW))
    assert common_voice(root, "en", "dev").utterances[0].text == "yes"


def test_the_first_releases_name_clips_without_suffix(root):
    folder = root / "cv-corpus-3_en"
    release(folder, "dev", [("a", "0123abcd.mp3", "Yes.")], OLD)
    write(folder / "dev.tsv", (folder / "dev.tsv").read_text().replace("0123abcd.mp3", "0123abcd"))
    corpus = common_voice(root, "en", "dev")
    assert (ids(corpus), corpus.version) == (["common_voice_en_0123abcd"], "cv-corpus-3")


def test_every_fault_of_a_table_is_listed_with_its_line(root):
    folder = root / "en"
    release(folder, "dev", [("a", f"common_voice_en_{i}.mp3", "Yes.") for i in range(4)], OLD)
    (folder / "clips/common_voice_en_1.mp3").unlink()
    lines = [
        "a\tcommon_voice_en_2.mp3\tToo few",
        "a\t../../secret.mp3\tNo.\t2\t0\t\t\t",
        "\tcommon_voice_en_3.mp3\tNobody.\t2\t0\t\t\t",
        "a\tcommon_voice_en_0.mp3\tYes.\t2\t0\t\t\t",
    ]
    with (folder / "dev.tsv").open("a") as file:
        file.write("\n".join(lines) + "\n")
    corpus = common_voice(root, "en", "dev")
    told = "\n".join(reasons(corpus))
    assert len(corpus.utterances) == 3
    assert len(corpus.bad) == 5
    assert "dev.tsv line 3: there is no audio file" in told
    assert "dev.tsv line 6 (en/dev.tsv): must have 8 fields, got 3" in told
    assert "dev.tsv line 7 (en/dev.tsv): path must name a file in clips, got '../../secret.mp3'" in told
    assert "dev.tsv line 8 (en/dev.tsv): client_id is empty" in told
    assert "dev.tsv line 9: the same utterance occurs before" in told


def test_a_release_of_another_language_is_not_read(root):
    release(root / "en", "dev", [("a", "common_voice_fr_1.mp3", "Oui.")], language="fr")
    with pytest.raises(ValueError, match="locale must be 'en', got 'fr'"):
        common_voice(root, "en", "dev")


def test_what_common_voice_does_not_have_is_said(root):
    for version in ("11.0-2022-09-21", "17.0-2024-03-15"):
        release(root / f"cv-corpus-{version}/en", "dev", [("a", "common_voice_en_1.mp3", "Yes.")])
    with pytest.raises(ValueError, match=r"several releases, pass one: .*11\.0.*17\.0"):
        common_voice(root, "en", "dev")
    with pytest.raises(ValueError, match=r"must hold train\.tsv; delta releases come without splits"):
        common_voice(root / "cv-corpus-17.0-2024-03-15", "en", "train")
    with pytest.raises(ValueError, match="must hold fr/clips"):
        common_voice(root / "cv-corpus-17.0-2024-03-15", "fr", "dev")
    write(root / "en/dev.tsv", "client_id\tpath\n")
    (root / "en/clips").mkdir()
    with pytest.raises(ValueError, match="needs the columns sentence, got client_id, path"):
        common_voice(root, "en", "dev")


# ---- archives


@pytest.fixture
def archive(root):
    chapter(root / "made/LibriSpeech/dev-clean", "84", "1", ["YES"])
    return packed(root / "mine.tar.gz", root / "made")


def test_an_archive_reads_as_its_folder_does(root, archive):
    theirs, ours = librispeech(root / "made", "dev-clean"), librispeech(archive, "dev-clean")
    assert ids(ours) == ids(theirs)
    assert ours.sha256 == theirs.sha256
    assert ours.utterances[0].path.startswith("mine.unpacked/LibriSpeech/dev-clean/")
    assert soundfile.info(root / ours.utterances[0].path).frames == 1600


def test_an_archive_is_unpacked_once_and_again_when_it_changes(root, archive):
    marker = opened(archive) / "marker"
    marker.touch()
    assert (opened(archive) / "marker").exists()
    chapter(root / "made/LibriSpeech/dev-clean", "85", "1", ["NO"])
    packed(archive, root / "made")
    assert len(librispeech(archive, "dev-clean").utterances) == 2
    assert not marker.exists()


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
    with pytest.raises(ValueError, match=f"dev-clean.tar.gz must have sha256 76f87d.*, got {digest}"):
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


def test_a_corpus_outside_the_data_root_keeps_whole_paths(root, monkeypatch):
    chapter(root / "LibriSpeech/dev-clean", "84", "1", ["YES"])
    monkeypatch.setenv("DATA_ROOT", str(root / "empty"))
    [utterance] = librispeech(root, "dev-clean").utterances
    assert utterance.path == str(root / "LibriSpeech/dev-clean/84/1/84-1-0000.flac")


# ---- plain folders


def test_a_folder_of_audio_streams_in_one_order(root):
    for name in ("b/2.wav", "b/1.FLAC", "a.ogg", "c/d/e.mp3"):
        tone(root / "radio" / name)
    write(root / "radio/notes.txt", "no sound")
    (root / "radio/b/round").symlink_to(root / "radio")  # a circle
    found = audio_folder(root / "radio")
    assert isinstance(found, GeneratorType)
    first, *rest = found
    assert [u.id for u in (first, *rest)] == [
        "radio/a.ogg",
        "radio/b/1.FLAC",
        "radio/b/2.wav",
        "radio/c/d/e.mp3",
    ]
    assert (first.path, first.text, first.speaker, first.source) == ("radio/a.ogg", "", "", "radio")


def test_a_folder_without_audio_is_an_error(root):
    (root / "radio").mkdir()
    with pytest.raises(ValueError, match="holds no audio"):
        next(audio_folder(root / "radio"))
    with pytest.raises(ValueError, match="is no folder"):
        audio_folder(root / "nothing")


def test_a_manifest_labels_a_folder(root):
    tone(root / "mine/a b.ogg")
    tone(root / "mine/sub/c.mp3")
    lines = [
        'a b.ogg\t"Hello, you.',
        "sub/c.mp3\tYes",
        "sub/c.mp3\ttoo\tmany",
        "/etc/a.wav\tNo",
        "gone.wav\tNo",
    ]
    write(root / "mine/manifest.tsv", "\r\n".join(lines))
    corpus = labelled_folder(root / "mine", "en")
    assert [(u.id, u.text) for u in corpus.utterances] == [
        ("mine/a b.ogg", "hello you"),
        ("mine/sub/c.mp3", "yes"),
    ]
    told = "\n".join(reasons(corpus))
    assert "must be PATH<TAB>TEXT, got 3 fields" in told
    assert "path must lie in the folder, got '/etc/a.wav'" in told
    assert "line 5: there is no audio file" in told
    assert corpus.utterances[0].keys == ("recording:mine/a b.ogg", "text:en:hello you")


def test_an_archive_may_hold_the_labelled_folder(root):
    tone(root / "made/mine/a.wav")
    write(root / "made/mine/manifest.tsv", "a.wav\tYes")
    corpus = labelled_folder(packed(root / "given.tar.gz", root / "made"), "en")
    assert (corpus.name, ids(corpus)) == ("mine", ["mine/a.wav"])


# ---- hours


@pytest.fixture
def hundred(root):
    for speaker in range(10):
        texts = [f"{a}{b}".upper() for a in "ab" for b in "cdefg"]
        chapter(root / "LibriSpeech/train-clean-100", str(speaker + 1), "7", texts, seconds=0.1)
    return librispeech(root, "train-clean-100")


def audio_of(pick):
    _, speaker, number, _ = pick.id.split("-")
    return f"{speaker}/{number}/{pick.id.removeprefix('librispeech-')}.flac"


def test_drawn_hours_never_exceed_and_fall_short_by_less_than_an_utterance(hundred):
    drawn = draw_hours(hundred, 2.05 / 3600, seed=1)
    assert len(drawn.picks) == 20
    assert drawn.duration_s == pytest.approx(2.0)


def test_the_shorter_draw_lies_in_the_longer_and_another_seed_is_another_draw(hundred):
    short, long, other = (
        {pick.id for pick in draw_hours(hundred, s / 3600, seed).picks}
        for s, seed in ((1.05, 1), (4.05, 1), (4.05, 2))
    )
    assert short < long
    assert long != other


def test_a_list_comes_back_as_it_was_written(root, hundred):
    drawn = draw_hours(hundred, 2.05 / 3600, seed=1)
    drawn.write(root / "lists/two.tsv")
    again = Hours.read(root / "lists/two.tsv")
    assert again == drawn
    head = json.loads((root / "lists/two.tsv").read_text().splitlines()[0])
    assert head["speakers"] == list(drawn.speakers)
    assert set(ids(again.of(hundred))) == {pick.id for pick in drawn.picks}


def test_a_list_that_was_edited_is_refused(root, hundred):
    draw_hours(hundred, 2.05 / 3600, seed=1).write(root / "two.tsv")
    head, first, *rest = (root / "two.tsv").read_text().splitlines(keepends=True)
    (root / "two.tsv").write_text(head + "".join(rest))
    with pytest.raises(ValueError, match="must have sha256 .* over its lines"):
        Hours.read(root / "two.tsv")
    (root / "two.tsv").write_text(first)
    with pytest.raises(ValueError, match="no list of drawn hours"):
        Hours.read(root / "two.tsv")


def test_a_list_fits_its_own_corpus_only(root, hundred):
    drawn = draw_hours(hundred, 2.05 / 3600, seed=1)
    chapter(root / "LibriSpeech/dev-clean", "84", "1", ["YES"])
    with pytest.raises(
        ValueError, match="of librispeech-train-clean-100 SLR12, got librispeech-dev-clean SLR12"
    ):
        drawn.of(librispeech(root, "dev-clean"))
    (root / "LibriSpeech/train-clean-100" / audio_of(drawn.picks[0])).unlink()
    with pytest.raises(ValueError, match=f"lacks 1 of 20 listed: {drawn.picks[0].id}"):
        drawn.of(librispeech(root, "train-clean-100"))


def test_files_without_a_length_are_passed_over_and_listed(root, hundred):
    first = draw_hours(hundred, 0.15 / 3600, seed=1).picks[0]
    (root / "LibriSpeech/train-clean-100" / audio_of(first)).write_text("no sound")
    drawn = draw_hours(hundred, 2.05 / 3600, seed=1)
    assert [bad.id for bad in drawn.bad] == [first.id]
    assert "cannot be read as audio" in drawn.bad[0].reason
    assert first.id not in {pick.id for pick in drawn.picks}


def test_more_hours_than_there_are_is_an_error(hundred):
    with pytest.raises(
        ValueError, match=r"librispeech-train-clean-100 has 0\.003 h, asked for 10 h; draw fewer"
    ):
        draw_hours(hundred, 10, seed=1)
    with pytest.raises(ValueError, match="must be above 0, got 0"):
        draw_hours(hundred, 0, seed=1)
    with pytest.raises(ValueError, match="must hold an utterance"):
        draw_hours(hundred, 1e-6, seed=1)
