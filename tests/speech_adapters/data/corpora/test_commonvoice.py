"""Common Voice: releases by name and by columns, quotation marks, and every bad line with its reason."""

import pytest

from speech_adapters.data.corpora.commonvoice import common_voice

OLD = ["client_id", "path", "sentence", "up_votes", "down_votes", "age", "gender", "accent"]
VARIANT = [*OLD[:-1], "accents", "variant", "locale", "segment"]
NEW = ["client_id", "path", "sentence_id", "sentence", "sentence_domain", *VARIANT[3:]]


@pytest.fixture
def release(make):
    return lambda *args, **how: _release(make, *args, **how)


def _release(make, folder, split, rows, columns=NEW, language="en"):
    """(client_id, path, sentence) as Common Voice has them, and the clips."""
    lines = ["\t".join(columns)]
    for client, path, sentence in rows:
        known = {"client_id": client, "path": path, "sentence": sentence, "locale": language}
        lines.append("\t".join(known.get(column, "") for column in columns))
        make.tone(folder / "clips" / path)
    make.write(folder / f"{split}.tsv", "\n".join(lines) + "\n")


def ids(corpus):
    return [utterance.id for utterance in corpus.utterances]


def reasons(corpus):
    return [str(bad) for bad in corpus.bad]


def test_common_voice_keeps_quotation_marks_as_letters_and_lines_as_lines(root, release):
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
def test_the_version_is_the_name_of_the_release(root, given, release):
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
def test_without_a_name_the_columns_tell_the_version(root, columns, version, release):
    release(root / "en", "dev", [("a", "common_voice_en_1.mp3", "Yes.")], columns)
    assert common_voice(root, "en", "dev").version == f"columns of {version}"


def test_columns_are_found_by_name(root, release):
    release(root / "en", "dev", [("a", "common_voice_en_1.mp3", "Yes.")], sorted(NEW))
    assert common_voice(root, "en", "dev").utterances[0].text == "yes"


def test_the_first_releases_name_clips_without_suffix(root, make, release):
    folder = root / "cv-corpus-3_en"
    release(folder, "dev", [("a", "0123abcd.mp3", "Yes.")], OLD)
    make.write(folder / "dev.tsv", (folder / "dev.tsv").read_text().replace("0123abcd.mp3", "0123abcd"))
    corpus = common_voice(root, "en", "dev")
    assert (ids(corpus), corpus.version) == (["common_voice_en_0123abcd"], "cv-corpus-3")


def test_every_fault_of_a_table_is_listed_with_its_line(root, release):
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


def test_a_release_of_another_language_is_not_read(root, release):
    release(root / "en", "dev", [("a", "common_voice_fr_1.mp3", "Oui.")], language="fr")
    with pytest.raises(ValueError, match="locale must be 'en', got 'fr'"):
        common_voice(root, "en", "dev")


def test_what_common_voice_does_not_have_is_said(root, make, release):
    for version in ("11.0-2022-09-21", "17.0-2024-03-15"):
        release(root / f"cv-corpus-{version}/en", "dev", [("a", "common_voice_en_1.mp3", "Yes.")])
    with pytest.raises(ValueError, match=r"several releases, pass one: .*11\.0.*17\.0"):
        common_voice(root, "en", "dev")
    with pytest.raises(ValueError, match=r"must hold train\.tsv; delta releases come without splits"):
        common_voice(root / "cv-corpus-17.0-2024-03-15", "en", "train")
    with pytest.raises(ValueError, match="must hold fr/clips"):
        common_voice(root / "cv-corpus-17.0-2024-03-15", "fr", "dev")
    make.write(root / "en/dev.tsv", "client_id\tpath\n")
    (root / "en/clips").mkdir()
    with pytest.raises(ValueError, match="needs the columns sentence, got client_id, path"):
        common_voice(root, "en", "dev")
