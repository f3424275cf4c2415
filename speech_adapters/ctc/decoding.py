"""From log-probabilities of a CTC model to words: greedily, by beam search with an n-gram, and in time."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from speech_adapters.ctc.loss import feasible_frames, refuse_logits
from speech_adapters.data.text import BLANK, BOUNDARY, Vocabulary

if TYPE_CHECKING:
    from torchaudio.functional import TokenSpan

IMPOSSIBLE = -1e4  # nats, far below any path of a real utterance
SHOWN = 5  # words named in a message


def _refuse_other_symbols(log_probs: Float[Tensor, "frame symbol"], vocabulary: Vocabulary) -> None:
    if log_probs.shape[1] != len(vocabulary.symbols):
        raise ValueError(
            f"the vocabulary has {len(vocabulary.symbols)} symbols, the log-probabilities {log_probs.shape[1]}; "
            "use the vocabulary stored with the model"
        )


def greedy(log_probs: Float[Tensor, "frame symbol"], vocabulary: Vocabulary) -> str:
    """What the likeliest path spells: the best symbol of every frame, repeats merged, blanks dropped.

    Raises:
        ValueError: the vocabulary is not the model's.
    """
    return " ".join(vocabulary.decode(word) for word in greedy_words(log_probs, vocabulary))


def greedy_words(log_probs: Float[Tensor, "frame symbol"], vocabulary: Vocabulary) -> list[list[int]]:
    """As `greedy`, the symbols of each word."""
    _refuse_other_symbols(log_probs, vocabulary)
    merged = [symbol for symbol, _ in groupby(log_probs.argmax(dim=1).tolist())]
    letters = [symbol for symbol in merged if symbol != vocabulary.blank]
    parts = groupby(letters, key=lambda symbol: symbol == vocabulary.boundary)
    return [list(word) for is_boundary, word in parts if not is_boundary]


class BeamSearch:
    """The likeliest path through words of a lexicon, an n-gram taking part (flashlight, KenLM, [Kahn22]).

    Maximises, over paths that spell words separated by `|`,
    log p(path) + lm_weight · log10 p(words, </s> | <s>) + word_score · number of words.
    KenLM's log10 enters as it is, as everywhere in flashlight: weights found elsewhere for natural logarithms divide
    by 2.303. Every call stands alone; equal input gives equal words.

    **The lexicon is `words`, spelled by their letters, and no other word can come out**, however clear the sound:
    pass the words of the training transcripts and state with a result what else was added. A word that the n-gram
    does not know costs what <unk> costs. Without any fitting word the text is empty.

    Args:
        arpa: n-gram of words, see `ngram.estimate`.
        words: the lexicon; order and repetition do not matter.
        lm_weight: 0 leaves the n-gram out.
        word_score: nats given for every word, negative for fewer and longer words.
        beam: hypotheses kept after each frame; the only pruning.

    Raises:
        ValueError: no words, a word that the vocabulary cannot spell, a beam below 1, a weight that is no number, or
            a file that KenLM cannot read.
        FileNotFoundError: no n-gram there.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        arpa: Path,
        words: Iterable[str],
        *,
        lm_weight: float,
        word_score: float,
        beam: int,
    ):
        from torchaudio.models.decoder import ctc_decoder

        if beam < 1:
            raise ValueError(f"beam must be 1 or more hypotheses, got {beam}")
        for name, weight in (("lm_weight", lm_weight), ("word_score", word_score)):
            if not math.isfinite(
                weight
            ):  # no hypothesis would be better than another, and the search never end
                raise ValueError(f"{name} must be a finite number, got {weight}")
        if not Path(arpa).is_file():
            raise FileNotFoundError(f"no n-gram at {arpa}; write it with ngram.estimate")
        self.vocabulary = vocabulary
        with tempfile.TemporaryDirectory() as folder, _quiet_stderr():
            lexicon = Path(folder) / "lexicon.txt"
            lexicon.write_text(_lexicon(words, vocabulary), encoding="utf-8")
            try:
                self._decoder = ctc_decoder(
                    lexicon=str(lexicon),
                    tokens=list(vocabulary.symbols),
                    lm=str(arpa),
                    beam_size=beam,
                    beam_threshold=float("inf"),
                    lm_weight=lm_weight,
                    word_score=word_score,
                    blank_token=BLANK,
                    sil_token=BOUNDARY,
                )
            except RuntimeError as error:
                raise ValueError(
                    f"{arpa} is no n-gram in ARPA's form, or breaks off: {_last_line(error)}"
                ) from error

    def __call__(self, log_probs: Float[Tensor, "frame symbol"]) -> str:
        """Words of one utterance, without padding, with single spaces between them.

        Raises:
            ValueError: the vocabulary is not the model's, or a log-probability is NaN.
        """
        _refuse_other_symbols(log_probs, self.vocabulary)
        if bool(log_probs.isnan().any()):
            raise ValueError("log-probabilities must be numbers, got NaN; the model diverged")
        # flashlight ends a word at `|` only, and a transcript does not end in one: a frame is added that holds it.
        # Spelling words without their `|` as well would let `ab` pass for the words `a` `b`.
        last = torch.full((1, log_probs.shape[1]), IMPOSSIBLE)
        last[0, self.vocabulary.symbols.index(BOUNDARY)] = 0.0
        emissions = torch.cat([log_probs.detach().float().cpu(), last]).contiguous()
        (best, *_), *_ = self._decoder(emissions[None])
        return " ".join(best.words)


def _last_line(error: RuntimeError) -> str:
    """What KenLM says is wrong, without the place in its code, in characters that can be printed."""
    told = str(error).strip().splitlines() or ["it is empty"]
    return told[-1].encode("ascii", "backslashreplace").decode()


def _lexicon(words: Iterable[str], vocabulary: Vocabulary) -> str:
    """flashlight's file: a word, its letters, the boundary that ends it."""
    different = sorted(set(words))
    spelled = {word: _spelling(word, vocabulary) for word in different}
    wrong = [word for word, symbols in spelled.items() if not symbols]
    if wrong:
        raise ValueError(
            f"words of the lexicon must be spelled by the vocabulary's letters, got {wrong[:SHOWN]} "
            f"({len(wrong)} of {len(different)}); normalise the texts first"
        )
    if not different:
        raise ValueError("a lexicon needs words, got 0")
    return "".join(f"{word} {' '.join(symbols)} {BOUNDARY}\n" for word, symbols in spelled.items())


def can_spell(word: str, vocabulary: Vocabulary) -> bool:
    """Whether a word's letters are all in the vocabulary, and it is one word there."""
    return bool(_spelling(word, vocabulary))


def _spelling(word: str, vocabulary: Vocabulary) -> list[str]:
    try:
        symbols = [vocabulary.symbols[label] for label in vocabulary.encode(word)]
    except ValueError:
        return []
    return [] if BOUNDARY in symbols else symbols


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Hides the progress bar that KenLM draws, below Python, for every ARPA file; its errors are exceptions."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@dataclass(frozen=True)
class Word:
    """A word and the frames that its letters were found in.

    Attributes:
        confidence: in 0..1, the geometric mean of the probabilities of its letters over the frames aligned with
            them. It says how well these letters fit, not how much better than others.
    """

    text: str
    start_s: float
    stop_s: float
    confidence: float


def align(
    log_probs: Float[Tensor, "frame symbol"], text: str, vocabulary: Vocabulary, frame_s: float
) -> list[Word]:
    """Words of a known text in time, along the likeliest path that spells it (`torchaudio.functional.forced_align`).

    A word lasts from the first frame of its first letter to the end of the last frame of its last. CTC models
    spike, so letters are found within a few frames of where they sound and words come out too short rather than too
    long.

    Args:
        text: normalised; without words there is nothing to align.
        frame_s: seconds from one frame to the next.

    Raises:
        ValueError: the text has a character that is no letter of the vocabulary, or needs more frames than there
            are, or these are no log-probabilities.
    """
    _refuse_other_symbols(log_probs, vocabulary)
    if BOUNDARY in text:
        raise ValueError(f"words are separated by spaces, got {BOUNDARY!r} in {text!r}")
    return align_words(log_probs, [vocabulary.encode(word) for word in text.split()], vocabulary, frame_s)


def align_words(
    log_probs: Float[Tensor, "frame symbol"],
    words: Sequence[Sequence[int]],
    vocabulary: Vocabulary,
    frame_s: float,
) -> list[Word]:
    """As `align`, of words by their symbols."""
    from torchaudio.functional import forced_align, merge_tokens

    _refuse_other_symbols(log_probs, vocabulary)
    refuse_logits(log_probs)
    labels = [label for word in words for label in (vocabulary.boundary, *word)][1:]
    needed = feasible_frames(labels)
    if len(log_probs) < needed:
        raise ValueError(
            f"{vocabulary.decode(labels)!r} needs {needed} frames, got {len(log_probs)}; it is not what was said here"
        )
    if not words:
        return []
    scores = log_probs.detach().float()
    targets = torch.tensor([labels], device=scores.device)
    path, path_scores = forced_align(scores[None], targets)
    letters = iter(merge_tokens(path[0], path_scores[0]))
    aligned = []
    for word in words:
        aligned.append(_placed(vocabulary.decode(word), [next(letters) for _ in word], frame_s))
        next(letters, None)  # the boundary
    return aligned


def _placed(word: str, letters: Sequence[TokenSpan], frame_s: float) -> Word:
    frames = sum(len(letter) for letter in letters)
    mean = sum(letter.score * len(letter) for letter in letters) / frames  # of log-probabilities
    return Word(word, letters[0].start * frame_s, letters[-1].end * frame_s, min(1.0, math.exp(mean)))
