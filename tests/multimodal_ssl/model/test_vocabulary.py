"""Captions become ids of known words; the list of words comes out of a Parquet file whole or not at all."""

import numpy as np
import pytest

from common.data.packages import data_root
from multimodal_ssl.model import vocabulary
from multimodal_ssl.model.parquet import ParquetError, read_texts, unsnap
from multimodal_ssl.model.vocabulary import MOST_WORDS, Vocabulary, tokenise


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


# ---- Parquet


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def integer(step, number):
    return bytes([step << 4 | 5]) + varint(number * 2)


def page(kind, field, content, count, encoding):
    """Header by Thrift's compact protocol: type, two sizes, then the kind's own structure of count and encoding."""
    sizes = integer(1, kind) + integer(1, len(content)) + integer(1, len(content))
    own = bytes([field - 3 << 4 | 12]) + integer(1, count) + integer(1, encoding) + b"\0"
    return sizes + own + b"\0" + content


def plain(*texts):
    return b"".join(len(text.encode()).to_bytes(4, "little") + text.encode() for text in texts)


def parquet(path, *pages, rows):
    footer = bytes([3 << 4 | 6]) + varint(rows * 2) + b"\0"
    path.write_bytes(b"PAR1" + b"".join(pages) + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    return path


LEVELS = b"\2\0\0\0\x10\1"  # a run of ones: nothing is null


def test_texts_of_dictionary_and_plain_pages_come_out_in_order(tmp_path):
    packed = (0b0001_0010_0001_0000 | 0b10 << 16).to_bytes(4, "little")  # unused bits follow
    found = read_texts(
        parquet(
            tmp_path / "a.parquet",
            page(2, 7, plain("the", "été", "'s"), 3, 0),
            page(0, 5, LEVELS + b"\4" + b"\3" + packed, 5, 8),  # one group of eight indices of four bits
            page(0, 5, LEVELS + b"\1" + b"\6\1", 3, 8),  # a run of three ones
            page(0, 5, LEVELS + plain("last", ""), 2, 0),
            rows=10,
        )
    )
    assert found == ["the", "été", "'s", "été", "'s", "été", "été", "été", "last", ""]


def test_snappy_copies_may_read_what_they_write():
    assert unsnap(b"\x0c" + b"\x04ab" + bytes([(10 - 4) << 2 | 1, 2])) == b"abababababab"
    assert unsnap(b"\x05" + b"\x08abc" + bytes([1 << 2 | 2, 3, 0])) == b"abcab"


@pytest.mark.parametrize("cut", [0, 3, 30, -1])
def test_a_damaged_list_is_a_sentence_with_its_path(tmp_path, cut):
    whole = parquet(tmp_path / "a.parquet", page(0, 5, LEVELS + plain("one", "two"), 2, 0), rows=2)
    whole.write_bytes(whole.read_bytes()[:cut])
    with pytest.raises(ParquetError, match=r"a\.parquet: "):
        read_texts(whole)


@pytest.mark.corpus
def test_glove_puts_like_words_next_to_each_other():
    if not (data_root() / vocabulary.PACKAGE.folder).is_dir():
        pytest.skip("word vectors are not there; run make data-fine-grained-ssl")
    known = vocabulary.glove()
    assert len(known) == 400_000
    rows = known.vectors / np.maximum(np.linalg.norm(known.vectors, axis=1, keepdims=True), 1e-9)
    near = np.argsort(-rows @ rows[known.encode("frog")[0]])[1:6] - 1
    assert {"toad", "frogs", "snake"} & {known.words[i] for i in near}
