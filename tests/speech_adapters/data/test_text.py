"""One normaliser for training and scoring, and a vocabulary that writes what it reads."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_adapters.data.text import (
    ALPHABETS,
    NORMALISER,
    Vocabulary,
    alphabet,
    foreign,
    normalise,
    unspoken,
)

LANGUAGES = sorted(ALPHABETS)


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "Don't  STOP -- now!", "don't stop now"),
        ("en", "'Quoted', he said; rock 'n' roll", "quoted he said rock n roll"),
        ("en", "It’s a “Crystal Skull”...", "it's a crystal skull"),
        ("fr", "L'été où “d’accord”, cœur", "l'ete ou d'accord coeur"),
        ("es", "¿Qué año? ¡Mañana!", "que ano manana"),
        ("it", "la modalità è così", "la modalita e cosi"),
        ("ru", "Ёлка, Йод: из-за ко\u0301рня!", "ёлка йод из за корня"),
        ("ru", "Asterisk слушает", "слушает"),
    ],
)
def test_known_texts(language, text, expected):
    assert normalise(text, language) == expected


def test_composed_and_decomposed_letters_are_one():
    assert normalise("été", "fr") == normalise("e\u0301te\u0301", "fr") == "ete"
    assert normalise("й ё", "ru") == normalise("и\u0306 е\u0308", "ru") == "й ё"


@given(st.text(max_size=40), st.sampled_from(LANGUAGES))
def test_normalising_twice_changes_nothing(text, language):
    once = normalise(text, language)
    assert normalise(once, language) == once


@given(st.text(max_size=40), st.sampled_from(LANGUAGES))
def test_every_normalised_text_has_numbers_and_comes_back(text, language):
    written = normalise(text, language)
    vocabulary = Vocabulary.of(language)
    assert vocabulary.decode(vocabulary.encode(written)) == written
    assert vocabulary.blank not in vocabulary.encode(written)


@pytest.mark.parametrize(
    "text", ["press 1", "50 %", "(sigh)", "press # now", "[tone]", "<beep>", "R&B", "5 €"]
)
def test_what_letters_do_not_tell_is_found(text):
    assert unspoken(text)


@pytest.mark.parametrize("text", ["Don't stop -- now!", "¿Qué?", "“d’accord”; oui: non…"])
def test_plain_punctuation_is_silent(text):
    assert unspoken(text) == ""


def test_sizes_and_places_of_symbols():
    """28 letters and signs of fairseq's English targets, and the blank that CTC adds: 29."""
    assert len(Vocabulary.of("en")) == len(Vocabulary.of("fr")) == 29
    assert len(Vocabulary.of("ru")) == 2 + 33
    assert Vocabulary.of("en").encode("a b") == [2, 1, 3]
    assert Vocabulary.of("en").symbols[0] == "<blank>"


def test_blanks_are_dropped_and_repeats_kept():
    assert Vocabulary.of("en").decode([0, 3, 3, 0, 1, 1, 2, 0]) == "bb a"


def test_letters_without_a_symbol_are_named():
    with pytest.raises(ValueError, match=r"no symbols for \['A', 'é'\] in 'Aé'"):
        Vocabulary.of("en").encode("Aé")


def test_a_language_without_an_alphabet_is_refused():
    with pytest.raises(ValueError, match="en, es, fr, it, ru, got 'xx'"):
        alphabet("xx")


def test_a_vocabulary_survives_its_file():
    assert Vocabulary.from_json(Vocabulary.of("ru").json()) == Vocabulary.of("ru")


def test_a_vocabulary_of_another_normaliser_is_refused():
    other = json.dumps({**json.loads(Vocabulary.of("en").json()), "normaliser": "letters-0"})
    with pytest.raises(ValueError, match=f"'{NORMALISER}', got 'letters-0'"):
        Vocabulary.from_json(other)


def test_a_symbol_occurs_once():
    with pytest.raises(ValueError, match="occur once"):
        Vocabulary(("<blank>", "|", "a", "a"))


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "co\u00adoperate, zero\u200bwidth \ufeffword", "cooperate zerowidth word"),
        ("en", "don′t", "don't"),
        ("ru", "ко\u00adрень", "корень"),
    ],
)
def test_what_only_formats_a_text_never_splits_a_word(language, text, expected):
    assert normalise(text, language) == expected


@pytest.mark.parametrize(
    ("language", "text", "letters"),
    [
        ("ru", "Версия Windows вышла", "windos"),
        ("en", "Þór and Björk", "þ"),
        ("en", "ısıtıcı", "ı"),
        ("fr", "Привет à tous", "привет"),
        ("fr", "L'été où “d’accord”, cœur", ""),
        ("es", "¿Qué año? ¡Mañana!", ""),
        ("ru", "Ёлка, Йод: из-за ко\u0301рня!", ""),
        ("en", "it's -- a\u00ad “Crystal Skull”…", ""),
    ],
)
def test_letters_that_are_spoken_and_cannot_be_written_are_found(language, text, letters):
    assert foreign(text, language) == letters
