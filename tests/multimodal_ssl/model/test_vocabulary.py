"""Captions become ids of known words; the list of words comes whole or not at all."""

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from common.data.packages import data_root
from multimodal_ssl.model import vocabulary
from multimodal_ssl.model.vocabulary import MOST_WORDS, Vocabulary, listed_words, tokenise


@pytest.fixture
def some():
    vectors = np.arange(8, dtype=np.float32).reshape(4, 2) * [[0], [1], [1], [1]]
    return Vocabulary(("dog", "a", "moving"), vectors.astype(np.float32))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A Floppy-eared bunny!", ["a", "floppy-eared", "bunny"]),
        ("the dog's ball -- red", ["the", "dog's", "ball", "red"]),
        ("l’Été, 2 chats", ["l'été", "2", "chats"]),
        (" - ", []),
    ],
)
def test_a_hyphen_stays_inside_a_word_and_other_signs_part_words(text, expected):
    assert tokenise(text) == expected


def test_ids_are_padded_with_zero_and_unknown_words_are_dropped_and_told(some):
    ids = some.encode("A big dog moving, a dog")
    assert ids.tolist() == [2, 1, 3, 2, 1] + [0] * (MOST_WORDS - 5)
    assert some.unknown("A big dog, big") == ["big", "big"]


def test_unknown_words_take_no_place_of_the_most_words(some):
    ids = some.encode("odd " * 30 + "dog " * 30)
    assert ids.tolist() == [1] * MOST_WORDS


def test_padding_has_no_vector(some):
    assert not some.vectors[0].any()


def test_a_part_of_a_vocabulary_keeps_each_words_vector(some, tmp_path):
    some.of(["a dog"]).save(tmp_path / "words.npz")
    part = Vocabulary.load(tmp_path / "words.npz")
    assert part.words == ("a", "dog")
    for word in part.words:
        assert np.array_equal(part.vectors[part.encode(word)[0]], some.vectors[some.encode(word)[0]])


def test_rows_must_match_the_words():
    with pytest.raises(ValueError, match=r"2 words need a row each .* got 2"):
        Vocabulary(("a", "b"), np.zeros((2, 3), np.float32))


def test_made_up_vectors_depend_on_the_word_alone():
    one, other = vocabulary.made_up_vectors(["red ball"]), vocabulary.made_up_vectors(["a red square"])
    assert np.array_equal(one.vectors[one.encode("red")[0]], other.vectors[other.encode("red")[0]])


# ---- the list of words


def listed(path, words, **options):
    parquet.write_table(pyarrow.table({"word": words, "id": range(len(words))}), path, **options)
    return path


@pytest.mark.parametrize(
    "options", [{}, {"use_dictionary": False}, {"compression": "none", "row_group_size": 2}]
)
def test_words_come_out_in_order_however_they_are_stored(tmp_path, options):
    words = ["the", "été", "'s", "été", "", "null", "nan"]
    assert listed_words(listed(tmp_path / "a.parquet", words, **options)) == words


@pytest.mark.parametrize("kind", [pyarrow.large_string(), pyarrow.binary()])
def test_the_kind_of_string_is_no_matter(tmp_path, kind):
    words = pyarrow.array(["été", "a"]).cast(kind)
    assert listed_words(listed(tmp_path / "a.parquet", words)) == ["été", "a"]


@pytest.mark.parametrize("cut", [0, 3, 30, -1])
def test_a_damaged_list_is_a_sentence_with_its_path(tmp_path, cut):
    whole = listed(tmp_path / "a.parquet", ["one", "two"])
    whole.write_bytes(whole.read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"a\.parquet: is damaged or no Parquet file"):
        listed_words(whole)


def test_a_list_whose_page_is_damaged_is_a_sentence_with_its_path(tmp_path):
    path = listed(tmp_path / "a.parquet", ["one", "two"])
    content = bytearray(path.read_bytes())
    content[20] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.parquet: is damaged"):
        listed_words(path)


@pytest.mark.parametrize("words", [[1, 2], ["a", None]])
def test_what_lists_no_words_is_refused(tmp_path, words):
    with pytest.raises(ValueError, match=r"a\.parquet: must list words, got "):
        listed_words(listed(tmp_path / "a.parquet", words))


@pytest.mark.corpus
def test_glove_puts_like_words_next_to_each_other():
    if not (data_root() / vocabulary.PACKAGE.folder).is_dir():
        pytest.skip("word vectors are not there; run make data-fine-grained-ssl")
    known = vocabulary.glove()
    assert len(known) == 400_000
    rows = known.vectors / np.maximum(np.linalg.norm(known.vectors, axis=1, keepdims=True), 1e-9)
    near = np.argsort(-rows @ rows[known.encode("frog")[0]])[1:6] - 1
    assert {"toad", "frogs", "snake"} & {known.words[i] for i in near}


@pytest.fixture
def treebank():
    words = ("children", "'s", "do", "n't", "can", "ca", "it", "it's", "dog")
    return Vocabulary(words, np.eye(len(words) + 1, 4, -1, dtype=np.float32))


@pytest.mark.parametrize(
    ("text", "known", "unknown"),
    [
        ("Children’s dog", ["children", "'s", "dog"], []),
        ("don't", ["do", "n't"], []),
        ("can't", ["ca", "n't"], []),  # as the Treebank splits it
        ("it's", ["it's"], []),  # has a vector of its own
        ("cat's", ["'s"], ["cat"]),
        ("dog'll", ["dog"], ["'ll"]),
        ("o'clock", [], ["o'clock"]),
    ],
)
def test_contractions_and_possessives_are_split_as_the_vectors_texts_were(treebank, text, known, unknown):
    assert treebank.read(text) == (known, unknown)
    assert treebank.unknown(text) == unknown
    ids = treebank.encode(text)
    assert [treebank.words[number - 1] for number in ids[ids > 0]] == known
    part = treebank.of([text])
    assert part.words == tuple(sorted(known))
    assert part.read(text) == (known, unknown)
