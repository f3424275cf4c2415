"""Corpora as settings: what they cannot give is named before data are touched, and a further one is one class."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from common.data.order import Draw
from common.recipe import Shard
from common.settings import decode, encode, override
from video_sr.corpora import REDS, Corpus, LiveClips, PreparedClips, Textures, Vid3oC
from video_sr.data import ScoredSequence
from video_sr.networks import EVESRNetSizes
from video_sr.protocol import degrade
from video_sr.recipes import EVESRNET, EVESRNET_SMOKE

GREY = np.full((128, 192, 3), 90, np.uint8)
GREY[:64] = 30


@dataclass(frozen=True, kw_only=True)
class Greys(Corpus):
    """A sixth corpus: two grey levels, standing still."""

    items: int = 3

    def num_items(self, seed):
        return self.items

    def item_id(self, seed, draw):
        return f"grey-{draw.item}"

    def example(self, seed, draw, *, num_frames, patch):
        truth = GREY[: 16 * patch, : 16 * patch]
        return np.stack([degrade(truth)] * num_frames), truth

    def scored(self, split, seed):
        yield ScoredSequence("grey", "grey", "greys", lambda: [GREY] * 4, range(1, 3))


def test_a_sixth_corpus_is_one_class(tmp_path):
    recipe = replace(EVESRNET_SMOKE, corpus=Greys(items=2), patch=4)
    assert set(recipe.item_ids(0, 0, Shard())) == {"grey-0", "grey-1"}
    assert recipe.batch(0, 0, Shard()).low.shape == (2, 3, 3, 4, 4)
    (item,) = recipe.score(recipe.model().eval(), seed=0, split="test", pictures=tmp_path)
    assert (item.id, item.part) == ("grey", "greys")
    assert recipe.settings()["corpus"] == {"kind": "Greys", "items": 2}
    assert decode(type(recipe), encode(recipe)) == recipe
    assert override(recipe, ["corpus=Greys"]).corpus == Greys()


def test_prepared_clips_refuse_a_wider_window_before_anything_is_read():
    with pytest.raises(ValueError, match="got 7 and 16"):
        replace(EVESRNET, corpus=PreparedClips(), patch=16)
    with pytest.raises(ValueError, match="got 5 and 32"):
        replace(EVESRNET, corpus=PreparedClips(), network=EVESRNetSizes(num_frames=5), patch=32)
    replace(EVESRNET, corpus=LiveClips(), patch=32)
    with pytest.raises(ValueError, match=r"corpus\.clips must be 1 or more, got 0"):
        override(replace(EVESRNET, corpus=LiveClips()), ["corpus.clips=0"])


def test_only_the_papers_own_corpus_compares_with_its_tables():
    for corpus in (Textures(), PreparedClips(), LiveClips(), REDS()):
        assert any("Not run on Vid3oC" in sentence for sentence in corpus.departures())
    assert Vid3oC().departures() == ()
    assert len(LiveClips().departures()) == 2


def test_only_photographs_have_a_hash_of_their_own():
    assert PreparedClips().manifest_sha256() == LiveClips(clips=1).manifest_sha256() != ""
    assert {corpus.manifest_sha256() for corpus in (Textures(), Vid3oC(), REDS())} == {""}


def test_a_share_of_layered_clips_is_told_only_where_there_are_any():
    plain, layered = PreparedClips(), PreparedClips(layered_share=0.25)
    assert encode(plain) == {"clips": 48}
    assert encode(layered) == {"clips": 48, "layered_share": 0.25}
    assert decode(PreparedClips, encode(plain)) == plain
    assert plain.manifest_sha256() != layered.manifest_sha256()
    assert "two flat layers, in 25 % of the clips" in layered.departures()[-1]
    assert plain.departures() == LiveClips().departures()
    with pytest.raises(ValueError, match=r"corpus\.layered_share must be in 0\.\.1, got 1\.5"):
        override(
            replace(EVESRNET, corpus=PreparedClips(), patch=16, network=EVESRNetSizes(num_frames=5)),
            ["corpus.layered_share=1.5"],
        )


def test_items_have_names_that_lead_to_their_files():
    prepared, live = (corpus.item_id(0, Draw(50, 7, 0)) for corpus in (PreparedClips(), LiveClips()))
    photograph, clip = prepared.split("/")
    assert clip == "clip2"
    assert live.endswith("/live7")
    assert live.split("/")[0] != photograph
    assert (
        PreparedClips().num_items(0) == LiveClips().num_items(0) == 48 * (PreparedClips(clips=1).num_items(0))
    )


@pytest.mark.parametrize("corpus", [Vid3oC(), REDS()])
def test_a_missing_corpus_names_the_folder(monkeypatch, tmp_path, corpus):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    with pytest.raises((ValueError, OSError), match=str(tmp_path)):
        corpus.sequences("train")
