"""Readers of packages: small archives built in the packages' own layouts say what was put into them."""

import gzip
import struct

import pytest

from common import settings
from common.data.packages import data_root
from speech_adapters.data import sources
from speech_adapters.data.packages import asterisk, drascula, festvox, queen, tuxpaint
from speech_adapters.data.raw import group_names
from speech_adapters.data.sources import ASTERISK, PACKAGED, TONES
from speech_adapters.data.text import normalise


def place(root, path, content):
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())


# ---- Flight of the Amazon Queen


def strings(records):
    """Records of two bytes, id, length, text, padded to four bytes; an empty text is not padded."""
    out = b""
    for id_, text in records:
        out += struct.pack(">2xHB", id_, len(text)) + text.encode("latin-1")
        out += b"\0" * (-len(out) % 4) if text else b""
    return out


def dialogue(talk_key, joe, others, levels=1):
    """Header of 32 bytes, 96 bytes a level, Joe's strings, then the others'; levels count below zero too."""
    mine, theirs = strings(joe), strings(others)
    at = 32 + 96 * abs(levels)
    head = struct.pack(">5h", levels, 0, talk_key, len(joe), len(others)).ljust(22, b"\0")
    tree = (head + struct.pack(">H", at + len(mine))).ljust(at, b"\0")
    return b"AmBk".ljust(20, b"\0") + tree + mine + theirs


def archive(entries, compression=1):
    table, at = b"", 15 + 21 * len(entries)
    for name, content in entries.items():
        table += struct.pack(">12sBII", name.encode(), 1, at, len(content))
        at += len(content)
    head = b"QTBLCEM10".ljust(12, b"\0") + struct.pack(">BH", compression, len(entries))
    return head + table + b"".join(entries.values())


@pytest.fixture
def game(tmp_path):
    remarks = [
        "It looks nice*03",
        "Wow!*24*WTA bone?*14",
        "open",
        "----",
        "look at",
        "on",
        "to",
        "No way*14What?*24",
    ]
    entries = {
        "QUEEN2.JAS": "\r\n".join(remarks).encode("latin-1"),
        "AND1.DOG": dialogue(2, [(6, "Hello*01")], [(1, ""), (0x1E, "*FLYou there!*02Come*XY00(1,22)here.")]),
        "DOG.DOG": dialogue(14, [(1, "Good boy.")], [(1, "Grrr!"), (1, "never said")], levels=-2),
    }
    clips = ["020006J1", "02001EP2", "02001EP3", "02001EP4", "140001P1", "140001J1"]
    clips += ["JOE00411", "JOE00421", "JOE00423", "JOE00012", "02FFFFP1"]
    entries |= {f"{clip}.SB": f"sound of {clip}".encode() for clip in clips}
    place(tmp_path, queen.ARCHIVE, archive(entries))
    return tmp_path


def test_every_line_of_the_game_finds_its_clip(game):
    found = {u.id: (u.raw_text, u.speaker, u.group) for u in queen.utterances(game)}
    assert found == {
        "020006J1": ("Hello", "joe", "dialogue:AND1.DOG"),
        "02001EP2": ("You there!", "other", "dialogue:AND1.DOG"),
        "02001EP3": ("Come", "other", "dialogue:AND1.DOG"),
        "02001EP4": ("here.", "other", "dialogue:AND1.DOG"),
        "140001J1": ("Good boy.", "joe", "dialogue:DOG.DOG"),
        "140001P1": ("Grrr!", "other", "dialogue:DOG.DOG"),
        "JOE00411": ("It looks nice", "joe", "dialogue:joe-0041"),  # line 1
        "JOE00421": ("Wow!", "joe", "dialogue:joe-0042"),
        "JOE00423": ("A bone?", "joe", "dialogue:joe-0042"),
        "JOE00012": ("What?", "joe", "dialogue:joe-0001"),  # the first remark after the verbs
    }


def test_a_clip_is_cut_out_of_the_archive(game):
    content = (game / queen.ARCHIVE).read_bytes()
    for one in queen.utterances(game):
        assert content[one.offset : one.offset + one.bytes] == f"sound of {one.id}".encode()


def test_growls_are_no_words(game):
    assert [u.id for u in queen.utterances(game) if u.flaw] == ["140001P1"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\3\4 something else", "must begin with 'QTBL'"),
        (archive({"A.SB": b"x"}, compression=2), "must be MP3 .*got 2"),
        (archive({"A.SB": b"sound"})[:-1], "entry A.SB must end within 40 bytes, got 41"),
    ],
)
def test_another_archive_is_refused(content, says):
    with pytest.raises(ValueError, match=says):
        queen.read_entries(content)


# ---- Asterisk


TRANSCRIPTS = {
    "en": "; Comment: none\n\nhello: Hello.\nhi: Hello!\nmenu: Press 1, or dial 500.\nring: [a bell]\nbye: Bye\n",
    "fr": "hello: Allô\nhi: Salut\nmenu: Faites le 1.\nbye: Bye\nbye: Adieu\nmix: Oui. vm-no-way: Non.\n",
    "es": "menu: Uno\n",
    "it": "\ufeffhello: Pronto\nmenu: menu: Prema 1\n",
    "ru": "menu: Привет\nbye: Привет\n",
}


@pytest.fixture
def exchange(tmp_path):
    for language, text in TRANSCRIPTS.items():
        package = asterisk.TRANSCRIPTS[language]
        place(tmp_path, f"{package.folder}/{package.files[0]}", gzip.compress(text.encode()))
        sounds = f"{asterisk.AUDIO[language].folder}/usr/share/asterisk/sounds/{asterisk.VOICES[language]}"
        for prompt in ("hello", "hi", "menu", "ring", "bye", "mix", "beep"):
            place(tmp_path, f"{sounds}/{prompt}.g722", b"sound")
    return tmp_path


def test_prompts_with_text_and_sound_are_found(exchange):
    found = {u.id: u.text for u in asterisk.utterances(exchange, "en")}
    assert found == {"hello": "hello", "hi": "hello", "menu": "press one or dial", "bye": "bye"}
    assert {u.id: u.text for u in asterisk.utterances(exchange, "it")} == {
        "hello": "pronto",  # behind a byte order mark
        "menu": "prema uno",  # its name was there twice
    }


def test_transcripts_with_slips_are_flawed(exchange):
    flaws = {u.id: u.flaw for u in asterisk.utterances(exchange, "fr") if u.flaw}
    assert flaws == {"bye": "has two texts", "mix": "names another prompt in its text"}


def test_a_prompt_has_one_group_in_every_language(exchange):
    """English joins hello and hi, Russian joins menu and bye; French alone would keep all four apart."""
    for language in asterisk.VOICES:
        groups = {u.id: u.group for u in asterisk.utterances(exchange, language)}
        expected = {"hello": "hello", "hi": "hello", "menu": "bye", "bye": "bye", "mix": "mix"}
        assert groups == {id_: f"prompts:{expected[id_]}" for id_ in groups}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("press 1", "press one"),
        ("3D", "threeD"),
        ("28.8 or 1,5", "28.8 or 1,5"),
        ("dial 500, 4.", "dial 500, four."),
    ],
)
def test_only_digits_that_stand_alone_are_spelled(text, expected):
    assert asterisk.spell_keys(text, "en") == expected


def test_ten_digits_are_spelled_in_every_language():
    assert {len(words.split()) for words in asterisk.DIGITS.values()} == {10}


# ---- Drascula


def records(texts):
    out = b""
    for text in texts + [""] * (drascula.NUM_TEXTS - len(texts)):
        content = text.encode("cp850") + b"\0" if text else b""
        content += b"\0" * (-len(content) % 4)
        out += struct.pack(">I", 4 + len(content)) + content
    return out


@pytest.fixture
def castle(tmp_path):
    english, spanish = records(["", "NOT REALLY", "NO", "NO"]), records(["", "Bueno, no", "YAºNO, año", "SÍ"])
    content = b"\0" * drascula.TEXTS_AT + english + struct.pack(">I", len(spanish)) + spanish
    place(tmp_path, f"{drascula.ENGLISH.folder}/{drascula.ENGLISH.files[0]}", content)
    for language, package in drascula.AUDIO.items():
        for number in (1, 2, 3, 444):
            clip = f"{package.folder}/usr/share/scummvm/drascula/{language}/{number}.ALS"
            place(tmp_path, clip, b"\x80" * 6_000)
    return tmp_path


def test_lines_are_parallel_by_number(castle):
    english = {u.id: (u.text, u.group) for u in drascula.utterances(castle, "en")}
    spanish = {u.id: (u.text, u.group) for u in drascula.utterances(castle, "es")}
    assert english == {"001": ("not really", "lines:1"), "002": ("no", "lines:2"), "003": ("no", "lines:2")}
    assert spanish == {
        "001": ("bueno no", "lines:1"),
        "002": ("ya no ano", "lines:2"),
        "003": ("si", "lines:2"),
    }


def test_texts_that_break_off_are_refused(castle):
    content = (castle / drascula.ENGLISH.folder / drascula.ENGLISH.files[0]).read_bytes()
    with pytest.raises(ValueError, match="text 500 of 'es' must end within"):
        drascula.read_texts(content[:-2])


# ---- Tux Paint and Festvox


def test_descriptions_are_read_in_their_language(tmp_path):
    folder = f"{tuxpaint.PACKAGE.folder}/usr/share/tuxpaint/stamps/animals"
    place(tmp_path, f"{folder}/cat.txt", "A cat.\nfr.utf8=Un chat.\nes.utf8=Un gato.\n")
    place(tmp_path, f"{folder}/cats.txt", "Cats.\nfr.utf8=Un chat !\n")
    place(tmp_path, f"{folder}/mute.txt", "Mute.\nfr.utf8=Muet.\n")
    for name in ("cat_desc_fr", "cat_desc_es", "cats_desc_fr", "cats_desc_es", "orphan_desc_fr", "cat_desc"):
        place(tmp_path, f"{folder}/{name}.ogg", b"sound")
    french = tuxpaint.utterances(tmp_path, "fr")
    assert [(u.id, u.text) for u in french] == [("animals/cat", "un chat"), ("animals/cats", "un chat")]
    assert len({u.group for u in french}) == 1
    assert [(u.id, u.text) for u in tuxpaint.utterances(tmp_path, "es")] == [("animals/cat", "un gato")]
    assert tuxpaint.described("A cat.\n", "en") == "A cat."


@pytest.fixture
def voice(tmp_path):
    folder = f"{festvox.PACKAGE.folder}/{festvox.VOICE}"
    place(tmp_path, f"{folder}/etc/txt.done.data", '( ru_1 "Вол+ос, ёж." )\n( ru_2 "Нет." )\n')
    place(tmp_path, f"{folder}/wav/ru_1.wav", b"sound")
    place(tmp_path, f"{folder}/lab/ru_1.lab", "#\n0.34200 125 pau\n0.39200 125 v\n0.5 125 oo\n")
    return tmp_path


def test_stress_marks_are_no_part_of_a_sentence(voice):
    (one,) = festvox.utterances(voice)
    assert (one.id, one.text, one.speaker) == ("ru_1", "волос ёж", "nsh")


def test_phones_follow_one_another(voice):
    (one,) = festvox.utterances(voice)
    assert festvox.phones(voice, one) == [(0.0, 0.342, "pau"), (0.342, 0.392, "v"), (0.392, 0.5, "oo")]


def test_phones_that_run_backwards_are_refused(voice):
    (one,) = festvox.utterances(voice)
    place(voice, f"{festvox.PACKAGE.folder}/{festvox.VOICE}/lab/ru_1.lab", "#\n0.3 125 a\n0.2 125 b\n")
    with pytest.raises(ValueError, match=r"must not run backwards, got 0\.2 after 0\.3"):
        festvox.phones(voice, one)


# ---- all


def test_groups_are_connected_through_others():
    assert group_names({"a": ["1"], "b": ["1", "2"], "c": ["2"], "d": []}) == {
        "a": "a", "b": "a", "c": "a", "d": "d",
    }  # fmt: skip


def test_every_source_names_pinned_packages_with_licences():
    for one in PACKAGED:
        for package in one.packages:
            assert len(package.sha256) == 64
            assert package.licence
            assert package.size_bytes > 1_000


def test_one_folder_is_never_asked_for_different_files():
    """A package that keeps other files would be fetched again and again."""
    packages = {package for one in PACKAGED for package in one.packages}
    assert len({package.folder for package in packages}) == len(packages)


def test_an_unknown_language_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="language must be among en, fr, es, it, ru, got 'de'"):
        asterisk.Asterisk("de")


def test_sources_are_settings_and_no_two_share_a_name():
    every = (*PACKAGED, TONES)
    assert len({source.name for source in every}) == len(every)
    for source in every:
        assert settings.decode(type(source), settings.encode(source)) == source
        assert sources.former(source.name) == source
    assert settings.encode(ASTERISK["fr"]) == {"language": "fr"}


# ---- the packages themselves


COUNTS = {
    "fotaq-en": 4319,
    "asterisk-en": 554,
    "asterisk-fr": 511,
    "asterisk-es": 477,
    "asterisk-it": 579,
    "asterisk-ru": 557,
    "drascula-en": 446,
    "drascula-es": 443,
    "tuxpaint-fr": 927,
    "tuxpaint-es": 890,
    "festvox-ru": 620,
}


@pytest.mark.corpus
@pytest.mark.parametrize("source", PACKAGED, ids=lambda source: source.name)
def test_packages_hold_what_was_counted(source):
    if not all((data_root() / package.folder).is_dir() for package in source.packages):
        pytest.skip(f"{source.name} was not fetched into {data_root()}; run `make data-asr-adapters`")
    found = source.read(data_root())
    assert len({u.id for u in found}) == len(found) == COUNTS[source.name]
    assert [u.id for u in found] == sorted(u.id for u in found)
    for one in found:
        assert one.text == normalise(one.raw_text, one.language)
        assert one.source == source.name
        assert (data_root() / one.path).is_file()


def test_counts_are_known_for_every_source():
    assert set(COUNTS) == {source.name for source in PACKAGED}
