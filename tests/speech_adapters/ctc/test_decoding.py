"""Loss and decoders against sums and maxima over every path of tiny cases."""

import itertools
import math
import os
import subprocess
import sys

import kenlm
import pytest
import torch
from patience import HANG_S
from torch import Tensor

from speech_adapters.ctc.decoding import BeamSearch, align, greedy
from speech_adapters.ctc.loss import ctc_loss_per_item, feasible_frames
from speech_adapters.ctc.ngram import estimate
from speech_adapters.data.text import Vocabulary

TINY = Vocabulary(("<blank>", "|", "a", "b"))
ENGLISH = Vocabulary.of("en")


def collapsed(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)


def random_log_probs(frames: int, symbols: int = 4, *, seed: int = 0, scale: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(frames, symbols, generator=generator)).log_softmax(dim=1)


def spoken(path: str, vocabulary: Vocabulary = ENGLISH, sure: float = 0.9) -> Tensor:
    """Log-probabilities of one symbol per frame, `-` for the blank; the rest share what `sure` leaves."""
    symbols = [0 if c == "-" else vocabulary.symbols.index(c) for c in path]
    rest = (1 - sure) / (len(vocabulary) - 1)
    probabilities = torch.full((len(path), len(vocabulary)), rest)
    probabilities[torch.arange(len(path)), symbols] = sure
    return probabilities.log()


def loss_of(log_probs: Tensor, labels: tuple[int, ...]) -> float:
    """The loss of one utterance without padding."""
    padded = torch.tensor([[*labels, 0]])
    count, frames = torch.tensor([len(labels)]), torch.tensor([len(log_probs)])
    return float(ctc_loss_per_item(log_probs[None], frames, padded, count))


def fewest_frames_by_search(labels: tuple[int, ...]) -> int:
    for frames in itertools.count():
        if any(collapsed(path) == labels for path in itertools.product(range(3), repeat=frames)):
            return frames
    raise AssertionError


# ---- the loss


@pytest.mark.parametrize("labels", [(), (1,), (1, 2), (1, 1), (1, 1, 1), (2, 1, 1, 2)])
def test_feasible_frames_is_the_shortest_path_that_spells_the_labels(labels):
    assert feasible_frames(labels) == fewest_frames_by_search(labels)


@pytest.mark.parametrize("labels", [(), (2,), (2, 3), (2, 2), (2, 1, 2), (3, 3, 2)])
def test_loss_is_the_sum_over_all_paths(labels):
    log_probs = random_log_probs(5)
    paths = [path for path in itertools.product(range(4), repeat=5) if collapsed(path) == labels]
    total = sum(math.exp(sum(float(log_probs[t, s]) for t, s in enumerate(path))) for path in paths)
    assert loss_of(log_probs, labels) == pytest.approx(-math.log(total), abs=1e-5)


def padded_batch() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    log_probs = torch.stack([random_log_probs(6, seed=seed) for seed in range(3)])
    labels = torch.tensor([[2, 3, 2], [3, 3, -7], [1, 99, 99]])
    return log_probs, torch.tensor([6, 4, 1]), labels, torch.tensor([3, 2, 1])


def test_padding_never_changes_a_loss():
    log_probs, num_frames, labels, num_labels = padded_batch()
    together = ctc_loss_per_item(log_probs, num_frames, labels, num_labels)
    alone = [
        loss_of(log_probs[i, : num_frames[i]], tuple(labels[i, : num_labels[i]].tolist())) for i in range(3)
    ]
    assert together.tolist() == pytest.approx(alone, abs=1e-6)


def test_gradient_is_finite_and_zero_in_padding():
    log_probs, num_frames, labels, num_labels = padded_batch()
    log_probs.requires_grad_()
    ctc_loss_per_item(log_probs, num_frames, labels, num_labels).sum().backward()
    assert log_probs.grad.isfinite().all()
    assert log_probs.grad[1, :4].abs().min() > 0
    assert not log_probs.grad[1, 4:].any()


def test_loss_is_float32_in_low_precision():
    log_probs, *rest = padded_batch()
    low = log_probs.bfloat16()
    loss = ctc_loss_per_item(low, *rest)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, ctc_loss_per_item(low.float(), *rest))


def test_infeasible_items_are_named_with_both_numbers():
    log_probs, _, labels, num_labels = padded_batch()
    with pytest.raises(ValueError, match="item 1: 2 labels with 1 repeats need 3 frames, got 2") as error:
        ctc_loss_per_item(log_probs, torch.tensor([6, 2, 1]), labels, num_labels)
    assert "item 0" not in str(error.value)
    assert "item 2" not in str(error.value)


@pytest.mark.parametrize(
    ("num_frames", "first_label", "said"),
    [
        (7, 2, "item 0: at most 6 frames are there, got num_frames 7"),
        (6, 0, r"item 0: labels must be in 1\.\.3, got \[0, 3, 2\]"),
        (6, 4, r"item 0: labels must be in 1\.\.3, got \[4, 3, 2\]"),
    ],
)
def test_frames_and_labels_that_do_not_exist_are_refused(num_frames, first_label, said):
    log_probs, all_frames, labels, num_labels = padded_batch()
    all_frames[0], labels[0, 0] = num_frames, first_label
    with pytest.raises(ValueError, match=said):
        ctc_loss_per_item(log_probs, all_frames, labels, num_labels)


def test_an_utterance_without_frames_is_refused_even_without_labels():
    with pytest.raises(ValueError, match="item 0: 0 labels with 0 repeats need 1 frames, got 0"):
        loss_of(random_log_probs(5)[:0], ())


def test_logits_are_no_log_probabilities():
    with pytest.raises(ValueError, match=r"must be 0 or less, got 3\.5"):
        loss_of(torch.full((4, 4), 3.5), (2,))


@pytest.mark.gpu
def test_gradients_on_a_gpu_repeat_in_deterministic_mode():
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    log_probs, *rest = padded_batch()

    def gradient() -> Tensor:
        leaf = log_probs.cuda().requires_grad_()
        ctc_loss_per_item(leaf, *(tensor.cuda() for tensor in rest)).sum().backward()
        return leaf.grad

    loose = gradient()
    torch.use_deterministic_algorithms(True)
    try:
        first, again = gradient(), gradient()
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(first, again)
    torch.testing.assert_close(first, loose)


# ---- greedy


def test_greedy_merges_repeats_before_it_drops_blanks():
    assert greedy(spoken("hheel-lo"), ENGLISH) == "hello"


def test_greedy_writes_single_spaces_and_no_symbol_names():
    assert greedy(spoken("|-|a--||-|b|"), ENGLISH) == "a b"


@pytest.mark.parametrize("path", ["", "---", "||"])
def test_greedy_hears_nothing_in_silence(path):
    assert greedy(spoken(path), ENGLISH) == ""


def test_another_vocabulary_is_refused(tmp_path):
    with pytest.raises(ValueError, match="has 4 symbols, the log-probabilities 29"):
        greedy(spoken("abc"), TINY)
    with pytest.raises(ValueError, match="has 4 symbols, the log-probabilities 29"):
        align(spoken("abc"), "abc", TINY, 0.02)
    with pytest.raises(ValueError, match="has 4 symbols, the log-probabilities 29"):
        search(tmp_path, ["ab"])(spoken("abc"))


# ---- beam search


def search(
    folder, texts, *, extra=(), vocabulary=TINY, lm_weight=0.0, word_score=0.0, beam=100_000
) -> BeamSearch:
    """A lexicon and a bigram of the texts."""
    estimate(texts, order=2).write_arpa(folder / "model.arpa")
    words = [*" ".join(texts).split(), *extra]
    return BeamSearch(
        vocabulary, folder / "model.arpa", words, lm_weight=lm_weight, word_score=word_score, beam=beam
    )


def likeliest_by_search(log_probs: Tensor, words: set[str], bonus) -> str:
    """The text of the best of all paths that spell words of the lexicon; `bonus` scores the text."""
    best: dict[str, float] = {}
    for path in itertools.product(range(4), repeat=len(log_probs)):
        text = TINY.decode(collapsed(path))
        if words.issuperset(text.split()):
            score = sum(float(log_probs[t, s]) for t, s in enumerate(path))
            best[text] = max(best.get(text, -math.inf), score)
    return max(best, key=lambda text: best[text] + bonus(text))


@pytest.mark.parametrize("seed", range(8))
def test_without_n_gram_the_best_path_through_the_lexicon_comes_out(seed, tmp_path):
    log_probs = random_log_probs(6, seed=seed)
    decoder = search(tmp_path, ["a", "ab abb"])
    assert decoder(log_probs) == likeliest_by_search(log_probs, {"a", "ab", "abb"}, lambda text: 0.0)


@pytest.mark.parametrize("seed", range(8))
def test_n_gram_and_word_score_enter_as_documented(seed, tmp_path, capfd):
    log_probs = random_log_probs(6, seed=seed, scale=1.0)
    decoder = search(tmp_path, ["a ab", "a abb", "ab a a"], extra=["b"], lm_weight=1.5, word_score=0.7)
    model = kenlm.Model(str(tmp_path / "model.arpa"))
    wanted = likeliest_by_search(
        log_probs,
        {"a", "ab", "abb", "b"},
        lambda text: 1.5 * model.score(text) + 0.7 * len(text.split()),
    )
    assert decoder(log_probs) == wanted
    capfd.readouterr()  # KenLM draws a progress bar


def test_some_of_these_cases_have_words_and_differ_from_greedy(tmp_path):
    decoder = search(tmp_path, ["a", "ab abb"])
    cases = [random_log_probs(6, seed=seed) for seed in range(8)]
    heard = [decoder(log_probs) for log_probs in cases]
    assert sum(map(bool, heard)) >= 4
    assert sum(text != greedy(log_probs, TINY) for text, log_probs in zip(heard, cases, strict=True)) >= 3


def test_the_n_gram_sets_right_what_greedy_gets_wrong(tmp_path):
    """`sea` is a little likelier than `see`, and only `see` follows `i`."""
    texts = ["i see", "i see you", "the sea", "by the sea"]
    log_probs = spoken("i-|-se-a--")
    log_probs[7] = torch.full((29,), 0.02).log()
    log_probs[7, [ENGLISH.symbols.index("a"), ENGLISH.symbols.index("e")]] = torch.tensor([0.30, 0.22]).log()
    assert greedy(log_probs, ENGLISH) == "i sea"
    assert search(tmp_path, texts, vocabulary=ENGLISH, beam=50)(log_probs) == "i sea"
    assert search(tmp_path, texts, vocabulary=ENGLISH, lm_weight=2.0, beam=50)(log_probs) == "i see"


def test_words_outside_the_lexicon_cannot_come_out_and_extra_words_can(tmp_path):
    log_probs = spoken("dark")
    texts = ["the door", "bark"]
    assert search(tmp_path, texts, vocabulary=ENGLISH)(log_probs) == "bark"
    assert search(tmp_path, texts, vocabulary=ENGLISH, extra=["dark"], lm_weight=1.0)(log_probs) == "dark"


@pytest.mark.parametrize("path", ["ab|b", "|ab|b|", "-a-b-|-|-b--|", "aabb||bb"])
def test_boundaries_and_blanks_around_words_leave_no_trace(path, tmp_path):
    assert search(tmp_path, ["ab b"])(spoken(path, TINY)) == "ab b"


def test_letters_without_a_boundary_are_one_word(tmp_path):
    """`ab` could pass for `a` `b` if words were spelled without their boundary."""
    assert search(tmp_path, ["a b"], extra=["ab"])(spoken("ab", TINY)) == "ab"


@pytest.mark.parametrize("seed", range(4))
def test_nothing_but_lexicon_words_is_ever_written(seed, tmp_path):
    texts = ["open the door", "it's a lamp"]
    decoder = search(tmp_path, texts, vocabulary=ENGLISH, lm_weight=0.5, word_score=2.0, beam=20)
    text = decoder(random_log_probs(60, 29, seed=seed))
    assert text
    assert set(text.split(" ")) <= set(" ".join(texts).split())


@pytest.mark.parametrize("path", ["", "---"])
def test_silence_has_no_words(path, tmp_path):
    assert search(tmp_path, ["a b"])(spoken(path, TINY)) == ""


def test_decoding_is_repeatable_and_calls_stand_alone(tmp_path):
    first, other = random_log_probs(40, seed=1), random_log_probs(30, seed=2)
    decoder = search(tmp_path, ["a ab b", "abb bb"], lm_weight=1.0, beam=10)
    text = decoder(first)
    decoder(other)
    assert decoder(first) == text
    assert search(tmp_path, ["abb bb", "a ab b"], lm_weight=1.0, beam=10)(first) == text


def test_any_layout_and_precision_is_decoded(tmp_path):
    log_probs = spoken("ab|b", TINY).double()
    strided = log_probs.T.contiguous().T
    assert not strided.is_contiguous()
    assert search(tmp_path, ["ab b"])(strided) == "ab b"


def test_decoding_prints_nothing(tmp_path):
    """A decoder is built for every point of a grid; KenLM would draw its progress bar each time."""
    search(tmp_path, ["a b"])
    program = (
        "import sys, torch; from pathlib import Path\n"
        "from speech_adapters.ctc.decoding import BeamSearch; from speech_adapters.data.text import Vocabulary\n"
        "decoder = BeamSearch(Vocabulary(('<blank>', '|', 'a', 'b')), Path(sys.argv[1]), ['a', 'b'],"
        " lm_weight=1.0, word_score=0.0, beam=5)\n"
        "assert decoder(torch.eye(4)[[2, 1, 3]].log()) == 'a b'"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "model.arpa")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_printed_after_a_decoder_was_built_is_seen(tmp_path, capfd):
    search(tmp_path, ["a b"])
    os.write(2, b"still here\n")
    assert capfd.readouterr().err == "still here\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "needs words, got 0"),
        (["ab", "über", "b-a"], r"got \['b-a', 'über'\] \(2 of 3\)"),
        (["a|b"], r"got \['a\|b'\]"),
        (["", "a"], r"got \[''\]"),
    ],
)
def test_words_that_cannot_be_spelled_are_refused(words, said, tmp_path):
    estimate(["a b"], order=2).write_arpa(tmp_path / "model.arpa")
    with pytest.raises(ValueError, match=said):
        BeamSearch(TINY, tmp_path / "model.arpa", words, lm_weight=1.0, word_score=0.0, beam=5)


def test_a_missing_n_gram_an_empty_beam_and_nan_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no n-gram at .*gone\.arpa"):
        BeamSearch(TINY, tmp_path / "gone.arpa", ["a"], lm_weight=1.0, word_score=0.0, beam=5)
    with pytest.raises(ValueError, match="beam must be 1 or more hypotheses, got 0"):
        search(tmp_path, ["a b"], beam=0)
    with pytest.raises(ValueError, match="got NaN"):
        search(tmp_path, ["a b"])(torch.full((3, 4), math.nan))


# ---- alignment


def test_words_start_at_their_first_letter_and_stop_after_their_last():
    first, second = align(spoken("--hh-i--|-yo-u-"), "hi you", ENGLISH, frame_s=0.02)
    assert (first.text, second.text) == ("hi", "you")
    assert (first.start_s, first.stop_s) == pytest.approx((0.04, 0.12))
    assert (second.start_s, second.stop_s) == pytest.approx((0.20, 0.28))


def test_confidence_is_the_geometric_mean_over_the_frames_of_the_letters():
    log_probs = spoken("aab-")
    log_probs[:2, ENGLISH.symbols.index("a")] = math.log(0.5)
    log_probs[2, ENGLISH.symbols.index("b")] = math.log(0.25)
    log_probs[:3, 0] = math.log(1e-9)
    (word,) = align(log_probs, "ab", ENGLISH, frame_s=0.02)
    assert word.confidence == pytest.approx((0.5 * 0.5 * 0.25) ** (1 / 3))


def test_confidence_falls_when_another_word_was_said_and_stays_in_0_to_1():
    log_probs = spoken("-c-a-t-")
    (right,), (wrong,) = (align(log_probs, text, ENGLISH, 0.02) for text in ("cat", "dog"))
    assert 0 < wrong.confidence < 0.1 < right.confidence == pytest.approx(0.9)
    (sure,) = align(spoken("-a-", sure=1.0), "a", ENGLISH, 0.02)
    (impossible,) = align(spoken("-a-", sure=1.0), "b", ENGLISH, 0.02)
    assert (sure.confidence, impossible.confidence) == (1, 0)


@pytest.mark.parametrize("seed", range(5))
def test_the_path_is_the_best_of_all_that_spell_the_text(seed):
    log_probs = random_log_probs(6, seed=seed)
    paths = [p for p in itertools.product(range(4), repeat=6) if collapsed(p) == (2, 1, 3)]
    best = max(paths, key=lambda path: sum(float(log_probs[t, s]) for t, s in enumerate(path)))
    first, second = align(log_probs, "a b", TINY, frame_s=1.0)
    assert (first.start_s, first.stop_s) == (best.index(2), best.index(2) + best.count(2))
    assert (second.start_s, second.stop_s) == (best.index(3), best.index(3) + best.count(3))


def test_repeated_letters_and_words_keep_their_places():
    words = align(spoken("l-l|l-l"), "ll ll", ENGLISH, frame_s=1.0)
    assert [(word.start_s, word.stop_s) for word in words] == [(0, 3), (4, 7)]


@pytest.mark.parametrize(("text", "frames"), [("", 3), ("  ", 3), ("", 0)])
def test_an_empty_text_has_no_words(text, frames):
    assert align(spoken("-" * frames), text, ENGLISH, 0.02) == []


def test_alignment_takes_log_probabilities_that_still_have_a_gradient():
    log_probs = spoken("ab").requires_grad_()
    assert [word.text for word in align(log_probs, " ab ", ENGLISH, 0.02)] == ["ab"]


@pytest.mark.parametrize("text", ["Hi", "naïve", "a-b", "1"])
def test_a_text_with_other_symbols_cannot_be_aligned(text):
    with pytest.raises(ValueError, match=f"'{text}'"):
        align(spoken("-" * 20), text, ENGLISH, 0.02)


def test_a_boundary_is_no_letter_of_a_text():
    with pytest.raises(ValueError, match=r"separated by spaces, got '\|' in 'a\|b'"):
        align(spoken("a|b"), "a|b", ENGLISH, 0.02)


def test_a_text_too_long_for_its_frames_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match="'all' needs 4 frames, got 3"):
        align(spoken("all"), "all", ENGLISH, 0.02)


def test_logits_cannot_be_aligned():
    with pytest.raises(ValueError, match=r"must be 0 or less, got 2\.5"):
        align(torch.full((5, 4), 2.5), "a", TINY, 0.02)


@pytest.mark.parametrize("content", ["", "hello", "half", "wrong counts", "bytes"])
def test_a_broken_n_gram_is_one_sentence_with_its_name(tmp_path, content):
    path = tmp_path / "a.arpa"
    estimate(["a b", "b a"], 2).write_arpa(path)
    whole = path.read_bytes()
    broken = {"half": whole[: len(whole) // 2], "wrong counts": whole.replace(b"ngram 1=", b"ngram 1=9"),
              "bytes": bytes(range(256))}  # fmt: skip
    path.write_bytes(broken.get(content, content.encode()))
    with pytest.raises(ValueError, match=r"a\.arpa is no n-gram in ARPA's form, or breaks off: ") as caught:
        BeamSearch(Vocabulary.of("en"), path, ["a", "b"], lm_weight=1.0, word_score=0.0, beam=5)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("weights", [(float("nan"), 0.0), (1.0, float("nan")), (float("inf"), 0.0)])
def test_weights_of_a_search_are_numbers(tmp_path, weights):
    estimate(["a b", "b a"], 2).write_arpa(tmp_path / "a.arpa")
    lm_weight, word_score = weights
    with pytest.raises(ValueError, match=r"must be a finite number, got (nan|inf)"):
        BeamSearch(
            Vocabulary.of("en"),
            tmp_path / "a.arpa",
            ["a"],
            lm_weight=lm_weight,
            word_score=word_score,
            beam=5,
        )
