"""The n-gram is a distribution after every history, and KenLM reads in it what was estimated."""

import itertools
import math
import random
from collections import Counter

import kenlm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_adapters.ctc.ngram import FALLBACK_DISCOUNTS, MAX_ORDER, discounts_of, estimate

TEXTS = (
    "put the lamp on the table",
    "put the key on the table",
    "take the lamp",
    "take the key and the lamp",
    "open the door",
    "open the door with the key",
    "",
)
LISTS_OF_TEXTS = st.lists(st.lists(st.sampled_from("abcde"), max_size=6).map(" ".join), min_size=1)


def total_after(model, history: tuple[str, ...]) -> float:
    return sum(10 ** model.log10_probability(word, history) for word in model.vocabulary)


def many_texts() -> list[str]:
    """Enough words of all frequencies that no order falls back."""
    draw = random.Random(0)
    lengths = [draw.randint(1, 8) for _ in range(600)]
    return [" ".join(f"w{int(draw.paretovariate(0.8))}" for _ in range(length)) for length in lengths]


def by_definition(model, sentences: list[tuple[str, ...]], word: str, history: tuple[str, ...]) -> float:
    """[Chen99 Eq. 18], every count taken from the sentences anew."""

    def count(ngram: tuple[str, ...]) -> int:
        n = len(ngram)
        places = [(s, i) for s in sentences for i in range(len(s)) if s[i : i + n] == ngram]
        raw = n == model.order or ngram[0] == "<s>"
        return len(places) if raw else len({s[i - 1] for s, i in places})

    def discount(count: int) -> float:
        return (0.0, *model.discounts[len(history)])[min(count, 3)]

    counts = {w: count((*history, w)) for w in model.vocabulary}
    total = sum(counts.values())
    shorter = by_definition(model, sentences, word, history[1:]) if history else 1 / len(counts)
    left = sum(discount(c) for c in counts.values()) / total
    return (counts[word] - discount(counts[word])) / total + left * shorter


def written(model, tmp_path, capfd) -> kenlm.Model:
    model.write_arpa(tmp_path / "model.arpa")
    loaded = kenlm.Model(str(tmp_path / "model.arpa"))
    capfd.readouterr()  # KenLM draws a progress bar
    return loaded


def test_bigrams_by_hand():
    """`a b`, `a c`: every bigram is seen once or twice, so discounts fall back to 1/2, 1, 3/2.

    Different words before a: <s>; before b: a; before c: a; before </s>: b, c. So the unigrams count 1, 1, 1, 2 of
    5, and the discounts leave (1/2 · 3 + 1) / 5 = 1/2 to each of 5 words alike: p(b) = 1/10 + 1/10.
    After a: b and c once each of 2, which leaves (1/2 + 1/2) / 2 = 1/2: p(b | a) = 1/4 + 1/2 · 1/5.
    """
    model = estimate(["a b", "a c"], order=2)
    assert 10 ** model.log10_probability("b", ()) == pytest.approx(1 / 5)
    assert 10 ** model.log10_probability("</s>", ()) == pytest.approx(3 / 10)
    assert 10 ** model.log10_probability("<unk>", ()) == pytest.approx(1 / 10)
    assert 10 ** model.log10_probability("b", ("a",)) == pytest.approx(1 / 4 + 1 / 10)
    assert 10 ** model.log10_probability("a", ("a",)) == pytest.approx(1 / 2 * 1 / 5)
    # <s> a is counted twice: (2 - 1) / 2 + 1/2 · 1/5.
    assert 10 ** model.log10_probability("a", ("<s>",)) == pytest.approx(3 / 5)


def test_discounts_by_hand():
    """n = 10, 4, 2, 1: Y = 10 / 18."""
    sizes = {1: 10, 2: 4, 3: 2, 4: 1, 9: 5}
    counts = Counter({(f"{k}.{i}",): k for k, n in sizes.items() for i in range(n)})
    assert discounts_of(counts) == pytest.approx((1 - 4 / 9, 2 - 5 / 6, 3 - 10 / 9))


@pytest.mark.parametrize("sizes", [{1: 10, 2: 4, 3: 2}, {2: 3}, {1: 5, 2: 4, 3: 90, 4: 1}])
def test_discounts_fall_back_where_counts_of_counts_are_0_or_give_a_negative_one(sizes):
    counts = Counter({(f"{k}.{i}",): k for k, n in sizes.items() for i in range(n)})
    assert discounts_of(counts) == FALLBACK_DISCOUNTS


def test_lower_orders_count_different_words_before_and_not_occurrences():
    """`york` is as frequent as `tea`, but follows one word only [Chen99 §3]."""
    model = estimate(["new york"] * 3 + ["hot tea", "cold tea", "my tea"], order=2)
    york, tea = (model.log10_probability(word, ("unseen",)) for word in ("york", "tea"))
    assert york < tea - 0.1


@pytest.mark.parametrize("order", [2, 3, 4])
def test_every_probability_is_its_definition(order):
    model = estimate(TEXTS, order)
    sentences = [("<s>", *text.split(), "</s>") for text in TEXTS]
    for history, word in itertools.product(sorted(model.histories), ("the", "key", "</s>", "<unk>")):
        defined = by_definition(model, sentences, word, history)
        assert 10 ** model.log10_probability(word, history) == pytest.approx(defined, rel=1e-9)


@pytest.mark.parametrize("order", range(2, 7))
def test_probabilities_after_every_history_sum_to_1(order):
    model = estimate(TEXTS, order)
    unseen = [("key", "key"), ("never", "said")]
    assert len(model.histories) > 10
    for history in [*model.histories, *unseen]:
        assert total_after(model, history) == pytest.approx(1, abs=1e-12)


def test_probabilities_sum_to_1_with_estimated_discounts():
    model = estimate(many_texts())
    assert FALLBACK_DISCOUNTS not in model.discounts
    assert max(abs(total_after(model, history) - 1) for history in model.histories) < 1e-12


@settings(max_examples=50, deadline=None)
@given(texts=LISTS_OF_TEXTS)
def test_probabilities_sum_to_1_whatever_the_texts(texts):
    model = estimate(texts, order=2)
    assert all(abs(total_after(model, history) - 1) < 1e-12 for history in model.histories)


@pytest.mark.parametrize("order", [2, 3, 6])
def test_kenlm_scores_sentences_as_we_do(order, tmp_path, capfd):
    """To 1e-4: files hold 7 decimals and KenLM float32."""
    model = estimate(TEXTS, order)
    theirs = written(model, tmp_path, capfd)
    unseen = ["key the lamp lamp", "put the unheard lamp on unheard unheard", "unheard"]
    assert theirs.order == order
    for text in [*TEXTS, *unseen]:
        assert theirs.score(text) == pytest.approx(model.score(text), abs=1e-4)


def test_kenlm_agrees_with_estimated_discounts(tmp_path, capfd):
    texts = many_texts()
    model = estimate(texts)
    theirs = written(model, tmp_path, capfd)
    assert max(abs(theirs.score(text) - model.score(text)) for text in texts) < 1e-4


def test_an_unseen_word_is_unknown_and_possible():
    model = estimate(TEXTS)
    for history in [(), ("the",), ("open", "the"), ("unheard", "of")]:
        unseen = model.log10_probability("zebra", history)
        assert unseen == model.log10_probability("<unk>", history)
        assert -5 < unseen < 0


def test_kenlm_knows_the_unknown_word_from_the_file(tmp_path, capfd):
    """Without an entry KenLM would take log10 p = -100."""
    model = estimate(TEXTS)
    ((unseen, _, unknown), _) = written(model, tmp_path, capfd).full_scores("zebra")
    assert unknown
    assert unseen == pytest.approx(model.log10_probability("zebra", ("<s>",)), abs=1e-6)


def test_perplexity_is_the_inverse_geometric_mean_over_words_and_sentence_ends():
    model = estimate(["a b", "a c"], order=2)
    p = [3 / 5, 1 / 4 + 1 / 10, 10 ** model.log10_probability("</s>", ("b",))]
    assert model.perplexity(["a b"]) == pytest.approx(math.prod(p) ** (-1 / 3))


def test_texts_that_were_seen_perplex_less():
    model = estimate(TEXTS)
    assert model.perplexity(TEXTS[:4]) < model.perplexity([" ".join(reversed(t.split())) for t in TEXTS[:4]])


def test_equal_texts_in_another_order_give_equal_bytes(tmp_path):
    for name, texts in (("one", TEXTS), ("other", TEXTS[::-1])):
        estimate(iter(texts)).write_arpa(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_longer_histories_never_lack_their_shorter_ones():
    """KenLM looks n-grams up from the last word back."""
    model = estimate(TEXTS, order=4)
    long = [ngram for ngram in model.log10_probabilities if len(ngram) > 1]
    assert len(long) > 20
    for ngram, cut in itertools.product(long, (slice(1, None), slice(None, -1))):
        assert ngram[cut] in model.log10_probabilities


@pytest.mark.parametrize("order", [1, MAX_ORDER + 1])
def test_orders_that_kenlm_cannot_read_are_refused(order):
    with pytest.raises(ValueError, match=rf"order must be in 2\.\.6, got {order}"):
        estimate(TEXTS, order)


@pytest.mark.parametrize("texts", [[], ["", ""], ["one"]])
def test_too_few_words_are_refused(texts):
    with pytest.raises(ValueError, match="n-gram of 4 words"):
        estimate(texts, order=4)


@pytest.mark.parametrize("word", ["<s>", "</s>", "<unk>"])
def test_a_text_with_a_special_word_is_refused(word):
    with pytest.raises(ValueError, match=f"{word} cannot be a word, got 'say {word}'"):
        estimate([f"say {word}"])


def test_perplexity_of_nothing_is_refused():
    with pytest.raises(ValueError, match="needs texts, got 0"):
        estimate(TEXTS).perplexity([])
