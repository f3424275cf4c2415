"""Multilingual LibriSpeech: splits, handles, both codecs, and every bad line with its reason."""

import pytest
import soundfile

from speech_adapters.data.corpora.multilingual import mls

OPUS = {"format": "OGG", "subtype": "OPUS"}


@pytest.fixture
def mls_split(make):
    return lambda *args, **how: _mls_split(make, *args, **how)


def _mls_split(make, folder, lines, suffix=".flac", **how):
    """(handle, text) as Multilingual LibriSpeech has them."""
    make.write(folder / "transcripts.txt", "".join(f"{handle}\t{text}\n" for handle, text in lines))
    make.write(
        folder / "segments.txt", "".join(f"{handle}\thttp://example.org/a.mp3\t0\t1\n" for handle, _ in lines)
    )
    for handle, _ in lines:
        speaker, book, _ = handle.split("_")
        make.tone(folder / "audio" / speaker / book / (handle + suffix), **how)


def ids(corpus):
    return [utterance.id for utterance in corpus.utterances]


def reasons(corpus):
    return [str(bad) for bad in corpus.bad]


def test_an_mls_line_becomes_an_utterance_with_its_book_and_speaker(root, mls_split):
    mls_split(root / "mls_french/dev", [("10065_10039_000000", "où va-t-on")])
    [utterance] = mls(root, "fr", "dev").utterances
    assert (utterance.id, utterance.text) == ("mls-fr-10065_10039_000000", "ou va t on")
    assert utterance.keys[:2] == ("speaker:librivox-10065", "book:librivox-10039")
    assert utterance.path == "mls_french/dev/audio/10065/10039/10065_10039_000000.flac"


def test_mls_as_opus_is_read_too(root, mls_split):
    mls_split(root / "mls_french_opus/dev", [("1_2_000000", "oui")], ".opus", **OPUS)
    [utterance] = mls(root / "mls_french_opus", "fr", "dev").utterances
    assert soundfile.info(root / utterance.path).subtype == "OPUS"


def test_mls_handles_choose_the_limited_hours(root, make, mls_split):
    train = root / "mls_french/train"
    handles = [f"1_2_{i:06d}" for i in range(9)]
    mls_split(train, [(handle, "oui") for handle in handles])
    for fold in range(6):
        make.write(train / f"limited_supervision/1hr/{fold}/handles.txt", f"{handles[fold]}\n")
    make.write(train / "limited_supervision/9hr/handles.txt", f"{handles[6]}\n3_4_000000\n")
    short, middle, long = (mls(root, "fr", "train", hours) for hours in ("10min", "1h", "10h"))
    assert [len(corpus.utterances) for corpus in (short, middle, long, mls(root, "fr", "train"))] == [
        1,
        6,
        7,
        9,
    ]
    assert short.bad == middle.bad == ()
    assert [bad.reason for bad in long.bad] == ["handles.txt names it, transcripts.txt does not"]


def test_every_fault_of_an_mls_split_is_listed(root, make, mls_split):
    mls_split(root / "mls_french/dev", [("1_2_000000", "oui"), ("1_2_000001", "")])
    with (root / "mls_french/dev/transcripts.txt").open("a") as file:
        file.write("1_2_000002 no tab\n1_2_000003\tnon\n")
    make.tone(root / "mls_french/dev/audio/1/2/1_2_000009.flac")
    corpus = mls(root, "fr", "dev")
    told = "\n".join(reasons(corpus))
    assert ids(corpus) == ["mls-fr-1_2_000000"]
    assert len(corpus.bad) == 4
    assert "line 2: the text is empty" in told
    assert "line 3 (mls_french/dev/transcripts.txt): must be SPEAKER_BOOK_NUMBER<TAB>text" in told
    assert "line 4: there is no audio file" in told
    assert "1_2_000009.flac): no line of transcripts.txt names it" in told


def test_what_mls_does_not_have_is_said(root, mls_split):
    mls_split(root / "mls_french/dev", [("1_2_000000", "oui")])
    with pytest.raises(ValueError, match="got 'french'"):
        mls(root, "french", "dev")
    with pytest.raises(ValueError, match="got '10h' of dev"):
        mls(root, "fr", "dev", "10h")
    with pytest.raises(ValueError, match=r"mls_french/test must hold transcripts\.txt"):
        mls(root, "fr", "test")
