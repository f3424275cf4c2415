"""Text encoders: phrases are windows of a text's own words, and MIL-NCE's text net as published."""

import pytest
import torch
from torch.nn import functional as F

from multimodal_ssl.model.networks import BagOfWords, Phrases
from multimodal_ssl.model.vocabulary import TrainedVectors

PHRASES = Phrases(hidden=8, width=6)
WORDS = BagOfWords(width=8)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def vectors():
    matrix = torch.randn(30, 5)
    matrix[0] = 0
    return matrix


def valid(units, item):
    return units.vectors[item][units.valid[item]]


def published(encoder, ids):
    """MIL-NCE's `Sentence_Embedding.forward` up to its last layer, line by line."""
    x = F.embedding(ids, encoder.words.weight)
    x = F.relu(F.linear(x, encoder.hidden.weight, encoder.hidden.bias))
    return torch.max(x, dim=1)[0]


def test_a_text_of_four_words_has_nine_phrases(vectors):
    units = PHRASES.build(vectors)(torch.tensor([[3, 4, 5, 6], [7, 8, 0, 0], [9, 0, 0, 0], [0, 0, 0, 0]]))
    assert units.valid.sum(1).tolist() == [4 + 3 + 2, 2 + 1, 1, 0]
    assert units.missing.tolist() == [False, False, False, True]


def test_spans_say_which_words_a_unit_has_seen(vectors):
    encoder, ids = PHRASES.build(vectors), torch.tensor([[3, 4, 5, 6, 7]])
    spans, before = encoder.spans(5), encoder(ids).vectors[0]
    assert len(spans) == len(before)
    for word in range(5):
        changed = ids.clone()
        changed[0, word] = 20
        differs = (encoder(changed).vectors[0] != before).any(1).tolist()
        assert differs == [start <= word < stop for start, stop in spans]


@pytest.mark.parametrize(
    ("settings", "phrases"),
    [(PHRASES, ["a", "dog", "barks", "a dog", "dog barks", "a dog barks"]), (WORDS, ["a dog barks"])],
)
def test_each_unit_is_told_by_its_words(settings, phrases, vectors):
    encoder = settings.build(vectors)
    assert encoder.phrases(["a", "dog", "barks"]) == phrases
    assert encoder(torch.tensor([[3, 4, 5]])).valid.shape[1] == len(phrases)


def test_a_phrase_is_the_convolution_over_its_words(vectors):
    encoder, ids = PHRASES.build(vectors), torch.tensor([[3, 4, 5]])
    hidden = (vectors[ids[0]] @ encoder.hidden.weight.T + encoder.hidden.bias).relu()
    pair = encoder.convs[1]
    by_hand = (hidden[1] @ pair.weight[:, :, 0].T + hidden[2] @ pair.weight[:, :, 1].T + pair.bias).relu()
    torch.testing.assert_close(encoder(ids).vectors[0, encoder.spans(3).index((1, 3))], by_hand)


@pytest.mark.parametrize("settings", [PHRASES, WORDS], ids=lambda each: type(each).__name__)
def test_padding_changes_no_unit(settings, vectors):
    encoder = settings.build(vectors)
    texts = [[3, 4, 5, 6, 7, 8], [9, 10], [11]]
    together = encoder(torch.tensor([row + [0] * (20 - len(row)) for row in texts]))
    for i, row in enumerate(texts):
        torch.testing.assert_close(
            valid(together, i), valid(encoder(torch.tensor([row])), 0), atol=1e-6, rtol=0
        )


def test_columns_that_are_padding_in_every_text_make_no_phrases(vectors):
    encoder = PHRASES.build(vectors)
    ids = torch.tensor([[3, 4, 5, 6, 0, 0, 0], [7, 0, 0, 0, 0, 0, 0]])
    assert encoder(ids).valid.shape[1] == len(encoder.spans(4))
    assert encoder(0 * ids).missing.all()


def test_words_net_is_mil_nces_where_nothing_is_padding(vectors):
    encoder, ids = WORDS.build(vectors), torch.randint(1, 30, (7, 20))
    assert torch.equal(encoder(ids).vectors[:, 0], published(encoder, ids))


def test_words_net_is_mil_nces_with_padding_when_it_takes_part(vectors):
    encoder = BagOfWords(width=8, padding_takes_part=True).build(vectors)
    ids = torch.tensor([[3, 4, 0, 0], [5, 6, 7, 0]])
    assert torch.equal(encoder(ids).vectors[:, 0], published(encoder, ids))
    without = WORDS.build(vectors)
    without.load_state_dict(encoder.state_dict())
    assert not torch.equal(without(ids).vectors, encoder(ids).vectors)  # else the option would do nothing


def test_frozen_vectors_are_neither_trained_nor_saved(vectors):
    encoder = PHRASES.build(vectors)
    assert "words.weight" not in encoder.state_dict()
    assert "words.weight" not in dict(encoder.named_parameters())
    assert encoder.words.weight is vectors


def test_vectors_trained_from_nothing_learn_but_for_padding(vectors):
    encoder = Phrases(vectors=TrainedVectors(), hidden=8, width=6).build(vectors)
    encoder(torch.tensor([[3, 4, 0, 0]])).vectors.square().sum().backward()
    gradient = encoder.words.weight.grad.norm(dim=1)
    assert gradient.nonzero().flatten().tolist() == [3, 4]
    assert not torch.equal(encoder.words.weight, vectors)
    assert not encoder.words.weight[0].any()
    assert "words.weight" in encoder.state_dict()


def test_texts_shorter_than_every_phrase_are_refused(vectors):
    encoder = Phrases(hidden=8, width=6, phrase_words=(2, 3)).build(vectors)
    with pytest.raises(ValueError, match="padded to 2 words or more, got 1"):
        encoder(torch.tensor([[3]]))


def test_ids_beyond_the_matrix_are_refused(vectors):
    with pytest.raises(ValueError, match=r"must be below 30.*got 30"):
        PHRASES.build(vectors)(torch.tensor([[30]]))
