"""The list of names and the published file come out of the packages as they are here."""

import numpy as np
import pytest
import torch

from common import checkpoint
from common.data.packages import data_root
from common.settings import decode
from multimodal_ssl.films import make, wordnet
from multimodal_ssl.model.class_names import FILE, names_of_classes
from multimodal_ssl.model.matching import Matching
from multimodal_ssl.model.vocabulary import PACKAGE, Vocabulary, glove
from multimodal_ssl.search.weights import PUBLISHED

LINES = """\
  1 This is the licence.
00000010 03 n 01 entity 0 000 | that which is
00000020 05 n 02 animal 0 Beast 0 001 @ 00000010 n 0000 | a living thing
00000030 05 n 01 true_cat 0 003 @ 00000020 n 0000 #m 00000099 n 0000 + 00000098 v 0101 | a "cat | dog"
00000040 05 n 01 Felix 1 002 @i 00000030 n 0000 @ 00000020 n 0000 | a cat"""


def test_nouns_are_read_with_what_they_are_one_of():
    known = wordnet.nouns(LINES.splitlines())
    assert known[30] == wordnet.Noun(("true cat",), (20,))
    assert known[40].above == (30, 20)
    assert list(wordnet.chain(known, 40)) == [40, 30, 20]  # an entity is everything
    assert wordnet.listed(known, [40, 30]) == {
        "synsets": [["animal", "beast"], ["true cat"], ["felix"]],
        "classes": [[2, 1, 0], [1, 0]],
    }


def test_names_lie_where_their_words_do():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((4, 50)).astype(np.float32)
    words = Vocabulary(("tabby", "cat", "of"), np.concatenate([np.zeros((1, 50), np.float32), vectors[:3]]))
    middle = torch.from_numpy(vectors[3])
    found = make.of_names(words, middle)
    at = names_of_classes().names.index
    one, other = (torch.nn.functional.normalize(torch.from_numpy(vectors[i]) - middle, dim=0) for i in (0, 1))
    torch.testing.assert_close(found[at("tabby")], one)
    torch.testing.assert_close(found[at("tabby cat")], torch.nn.functional.normalize(one + other, dim=0))
    assert not found[at("dog")].any()  # none of its words has a vector here


def test_the_published_file_has_the_settings_that_are_made():
    state = checkpoint.load(PUBLISHED / f"{make.NAME}.safetensors").state
    assert decode(Matching, state["matching"]) == make.MATCHING


@pytest.mark.corpus
def test_the_list_is_what_wordnet_gives():
    if not all((data_root() / one.folder).exists() for one in (wordnet.WORDNET, wordnet.TIMM)):
        pytest.skip("needs the packages wordnet-base and timm; multimodal_ssl.films.wordnet fetches them")
    assert wordnet.made() == FILE.read_bytes()


@pytest.mark.corpus
def test_the_published_file_is_what_glove_gives():
    if not (data_root() / PACKAGE.folder).exists():
        pytest.skip("needs the package of GloVe's vectors; a search fetches it")
    kept = checkpoint.load(PUBLISHED / f"{make.NAME}.safetensors").tensors
    torch.testing.assert_close(make.tensors(glove()), dict(kept), atol=1e-3, rtol=0)
