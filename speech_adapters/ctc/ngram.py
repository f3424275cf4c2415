"""A word n-gram for the beam search, estimated from training transcripts and nothing else, written as ARPA.

Interpolated modified Kneser-Ney [Chen99 §3, Heafield13], the model that KenLM's `lmplz` estimates, without its
binary. Training transcripts are short and few here, so counts live in dictionaries: 5,000 sentences take a fraction
of a second.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from common.files import write_atomically

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
MAX_ORDER = 6  # what KenLM is compiled for
# Discounts of `lmplz --discount_fallback`, for n-grams seen once, twice and more often.
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)
# Nothing predicts <s>; ARPA files give its probability as this by custom.
NEVER_LOG10 = -99.0


@dataclass(frozen=True, kw_only=True)
class NgramSearch:
    """Settings of a beam search in which a word n-gram takes part, see `decoding.BeamSearch`."""

    order: int = 3  # of the n-gram, estimated from the training texts
    lm_weight: float = 2.0  # of log10 probabilities, as in fairseq's example
    word_score: float = -1.0
    beam: int = 50


Ngram = tuple[str, ...]
Discounts = tuple[float, float, float]


@dataclass(frozen=True)
class ArpaModel:
    """A back-off n-gram: what an ARPA file holds.

    Attributes:
        log10_probabilities: of every n-gram seen, for n = 1 .. order; the unigrams are the vocabulary.
        log10_backoffs: of every n-gram that something followed.
        discounts: for n = 1 .. order, of n-grams seen once, twice, more often.
    """

    order: int
    log10_probabilities: dict[Ngram, float]
    log10_backoffs: dict[Ngram, float]
    discounts: tuple[Discounts, ...]

    @property
    def vocabulary(self) -> frozenset[str]:
        """Everything that can follow a history: the training words, </s> and <unk>."""
        return frozenset(ngram[0] for ngram in self.log10_probabilities if len(ngram) == 1) - {START}

    @property
    def histories(self) -> frozenset[Ngram]:
        """Every history seen, the empty one included."""
        return frozenset({(), *self.log10_backoffs})

    def log10_probability(self, word: str, history: Sequence[str]) -> float:
        """log10 p(word | history) by backing off; a word never seen is <unk>, of which all of them share the mass."""
        known = tuple(w if (w,) in self.log10_probabilities else UNKNOWN for w in (*history, word))
        ngram, penalty = known[-self.order :], 0.0
        while ngram not in self.log10_probabilities:
            penalty += self.log10_backoffs.get(ngram[:-1], 0.0)
            ngram = ngram[1:]
        return penalty + self.log10_probabilities[ngram]

    def score(self, text: str) -> float:
        """log10 p of a sentence from <s> to </s>, KenLM's `score` of the written file."""
        words = _sentence(text)
        return sum(self.log10_probability(words[i], words[:i]) for i in range(1, len(words)))

    def perplexity(self, texts: Iterable[str]) -> float:
        """10^(-log10 p / words) over all sentences, each with its </s>; unknown words count as <unk>.

        Only models of equal vocabulary compare: the fewer words a model knows, the cheaper its <unk>.

        Raises:
            ValueError: no texts.
        """
        total, words = 0.0, 0
        for text in texts:
            total += self.score(text)
            words += len(text.split()) + 1
        if not words:
            raise ValueError("perplexity needs texts, got 0")
        return 10 ** (-total / words)

    def write_arpa(self, path: Path) -> None:
        """Writes the model as KenLM and flashlight read it; equal counts give equal bytes."""
        write_atomically(path, ("\n".join(self._arpa_lines()) + "\n").encode())

    def _arpa_lines(self) -> Iterator[str]:
        orders: list[list[Ngram]] = [[] for _ in range(self.order)]
        for ngram in sorted(self.log10_probabilities):
            orders[len(ngram) - 1].append(ngram)
        yield "\\data\\"
        for n, ngrams in enumerate(orders, start=1):
            yield f"ngram {n}={len(ngrams)}"
        for n, ngrams in enumerate(orders, start=1):
            yield from ("", f"\\{n}-grams:")
            for ngram in ngrams:
                line = f"{self.log10_probabilities[ngram]:.7f}\t{' '.join(ngram)}"
                yield line if n == self.order else f"{line}\t{self.log10_backoffs.get(ngram, 0.0):.7f}"
        yield from ("", "\\end\\")


def words_of(arpa: Path) -> list[str]:
    """Words of an ARPA file's unigrams, sorted, without <s>, </s> and <unk>.

    Raises:
        ValueError: it has no unigrams.
    """
    found, inside = set[str](), False
    with arpa.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("\\"):
                if inside:
                    break
                inside = line.strip() == "\\1-grams:"
            elif inside and len(fields := line.split()) >= 2:
                found.add(fields[1])
    if not found:
        raise ValueError(f"{arpa} is no n-gram in ARPA's form: it lists no words under \\1-grams:")
    return sorted(found - {START, END, UNKNOWN, UNKNOWN.upper()})


def estimate(texts: Iterable[str], order: int = 3) -> ArpaModel:
    """Interpolated modified Kneser-Ney over words that spaces separate [Chen99 Eq. 18].

    p(w | h) = max(a(hw) - D, 0) / Σ a(h·) + γ(h) p(w | h'), where h' is h without its first word, a the count at the
    highest order and below it the number of different words seen before hw (`_adjusted`), D the discount for that
    count (`discounts_of`), and γ(h) what the discounts took. The unigrams interpolate with 1 / |vocabulary|, words
    with </s> and <unk>; that share is all that <unk> gets.

    Args:
        texts: transcripts of the training part, each said once per mention. Their order does not matter.
        order: longest n-gram, 2 to 6.

    Raises:
        ValueError: the order is out of range, nothing to learn from, or a text holds <s>, </s> or <unk>.
    """
    if not 2 <= order <= MAX_ORDER:
        raise ValueError(f"order must be in 2..{MAX_ORDER}, got {order}: KenLM reads no other")
    counts = _counts(texts, order)
    if not counts[-1]:
        raise ValueError(f"no text is long enough for an n-gram of {order} words; lower the order")
    adjusted = _adjusted(counts)
    discounts = tuple(discounts_of(of_order) for of_order in adjusted)
    probabilities, backoffs = _interpolated(adjusted, discounts)
    log10_probabilities = {ngram: math.log10(p) for ngram, p in probabilities.items()}
    log10_probabilities[(START,)] = NEVER_LOG10
    log10_backoffs = {ngram: math.log10(gamma) for ngram, gamma in backoffs.items() if ngram}
    return ArpaModel(order, log10_probabilities, log10_backoffs, discounts)


def discounts_of(adjusted: Counter[Ngram]) -> Discounts:
    """Discounts of n-grams with adjusted count 1, 2, and 3 or more [Chen99 Eq. 17].

    D_k = k - (k + 1) Y n_{k+1} / n_k with Y = n_1 / (n_1 + 2 n_2) and n_k the number of n-grams counted k times.
    The formula wants n_1 .. n_4 above 0 and a result in (0, k]. Few texts, or texts that were thinned out, break
    that; then all three are `FALLBACK_DISCOUNTS`, as with `lmplz --discount_fallback`.
    """
    counts_of_counts = Counter(adjusted.values())
    n = [counts_of_counts[k] for k in range(5)]
    if not all(n[1:]):
        return FALLBACK_DISCOUNTS
    y = n[1] / (n[1] + 2 * n[2])
    one, two, three = (k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3))
    return (one, two, three) if min(one, two, three) > 0 else FALLBACK_DISCOUNTS


def _sentence(text: str) -> Ngram:
    words = text.split()
    special = {START, END, UNKNOWN}.intersection(words)
    if special:
        raise ValueError(
            f"{', '.join(sorted(special))} cannot be a word, got {text!r}; normalise the text first"
        )
    return (START, *words, END)


def _counts(texts: Iterable[str], order: int) -> list[Counter[Ngram]]:
    """How often each n-gram occurs, for n = 1 .. order."""
    counts: list[Counter[Ngram]] = [Counter() for _ in range(order)]
    for text in texts:
        words = _sentence(text)
        for n, of_order in enumerate(counts, start=1):
            of_order.update(zip(*(words[i:] for i in range(n)), strict=False))
    return counts


def _adjusted(counts: Sequence[Counter[Ngram]]) -> list[Counter[Ngram]]:
    """Kneser-Ney's counts: raw at the highest order, below it the number of different words seen before.

    Nothing comes before <s>, so n-grams that begin with it keep their raw counts, as in `lmplz`. <s> itself is
    never predicted and has none.
    """
    adjusted = []
    for shorter, longer in pairwise(counts):
        seen_before = Counter(ngram[1:] for ngram in longer)
        seen_before.update(
            {ngram: count for ngram, count in shorter.items() if ngram[0] == START and len(ngram) > 1}
        )
        adjusted.append(seen_before)
    return [*adjusted, counts[-1]]


def _interpolated(
    adjusted: Sequence[Counter[Ngram]], discounts: Sequence[Discounts]
) -> tuple[dict[Ngram, float], dict[Ngram, float]]:
    """Probability of every n-gram, and the share γ that every history leaves to the shorter one."""
    num_words = len(adjusted[0]) + 1  # </s> is among the counted, <unk> is not
    probabilities: dict[Ngram, float] = {}
    backoffs: dict[Ngram, float] = {}
    for of_order, (one, two, three) in zip(adjusted, discounts, strict=True):
        totals: Counter[Ngram] = Counter()
        taken: dict[Ngram, float] = {}
        for ngram, count in of_order.items():
            history = ngram[:-1]
            totals[history] += count
            taken[history] = taken.get(history, 0.0) + (one, two, three)[min(count, 3) - 1]
        gammas = {history: taken[history] / total for history, total in totals.items()}
        for ngram, count in of_order.items():
            history = ngram[:-1]
            shorter = probabilities[ngram[1:]] if history else 1 / num_words
            own = (count - (one, two, three)[min(count, 3) - 1]) / totals[history]
            probabilities[ngram] = own + gammas[history] * shorter
        backoffs |= gammas
    probabilities[(UNKNOWN,)] = backoffs[()] / num_words
    return probabilities, backoffs
