"""The whole model: every preset builds, what is missing changes nothing, and one batch can be learned."""

import json
from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from common.settings import decode, encode, override
from multimodal_ssl.model.encoders.video import VideoEncoder
from multimodal_ssl.model.losses import symmetric_nce
from multimodal_ssl.model.networks import (
    GPU,
    MINI,
    PAPER,
    SMOKE,
    Audio,
    FineAndCoarse,
    Network,
    Phrases,
    SharedSpace,
    SmallVideo,
    VideoNet,
)
from multimodal_ssl.model.similarity import mean_pooled
from multimodal_ssl.model.towers import Towers

WITHOUT_SOUND = replace(SMOKE, audio=None)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def words(channels=5):
    return torch.cat([torch.zeros(1, channels), torch.randn(29, channels)])


def batch(items=4):
    return {
        "video": torch.rand(items, 4, 3, 16, 16),
        "text": torch.randint(1, 30, (items, 6)),
        "audio": torch.rand(items, 9000) - 0.5,
        "num_samples": torch.tensor([9000, 4000, 8000, 6000][:items]),
    }


@pytest.mark.parametrize("network", [MINI, SMOKE, GPU, PAPER], ids=["mini", "smoke", "gpu", "paper"])
def test_settings_come_back_from_json(network):
    assert decode(Network, json.loads(json.dumps(encode(network)))) == network


@pytest.mark.parametrize(
    ("heads", "with_audio"), [(SharedSpace(width=8), 8), (FineAndCoarse(text_width=8, audio_width=12), 12)]
)
def test_what_is_compared_has_equal_width_and_unit_length(heads, with_audio):
    network = replace(SMOKE, heads=heads)
    units = Towers(network, words()).eval()(**batch())
    width = {name: each.vectors.shape[2] for name, each in units.items()}
    assert width["video"] == width["text"] == width["audio_for_text"] == 8
    assert width["video_for_audio"] == width["audio"] == with_audio
    for each in units.values():
        torch.testing.assert_close(each.vectors.norm(dim=2), each.valid.float())


def test_preset_of_mini_sees_8x8_places_with_few_weights():
    model = Towers(MINI, words(50))
    assert model(video=torch.rand(2, 4, 3, 64, 64))["video"].vectors.shape == (2, 64, 128)
    assert sum(w.numel() for w in model.parameters()) < 400_000


def test_captions_need_not_be_as_many_as_clips():
    given = batch(2) | {"text": torch.randint(1, 30, (10, 6))}
    units = Towers(WITHOUT_SOUND, words())(video=given["video"], text=given["text"])
    assert (len(units["video"]), len(units["text"])) == (2, 10)


@pytest.mark.parametrize("training", [True, False])
def test_missing_texts_and_sounds_change_nobody_else(training):
    model, given = Towers(SMOKE, words()).train(training), batch()
    given["text"][1], given["num_samples"][1] = 0, 0
    there = [0, 2, 3]
    all_four = model(**given)
    without = model(given["video"], given["text"][there], given["audio"][there], given["num_samples"][there])
    assert (
        all_four["text"].missing.tolist() == all_four["audio"].missing.tolist() == [False, True, False, False]
    )
    for name in ("text", "audio"):
        torch.testing.assert_close(all_four[name].vectors[there], without[name].vectors, atol=1e-6, rtol=0)
    torch.testing.assert_close(all_four["video"].vectors, without["video"].vectors, atol=1e-6, rtol=0)


def test_pooled_clips_have_one_unit_made_before_the_heads():
    network = replace(WITHOUT_SOUND, pool_video=True)
    model, clips = Towers(network, words()).eval(), batch()["video"]
    pooled = model.video(clips).vectors.mean(1, keepdim=True)
    fine = Towers(WITHOUT_SOUND, words()).eval()
    fine.load_state_dict(model.state_dict())
    assert model(video=clips)["video"].valid.shape == (4, 1)
    by_hand = fine.heads({"video": type(model.video(clips))(pooled, torch.ones(4, 1, dtype=torch.bool))})
    torch.testing.assert_close(model(video=clips)["video"].vectors, by_hand["video"].vectors)


def test_a_score_of_random_weights_knows_nothing():
    network = replace(WITHOUT_SOUND, heads=SharedSpace(width=64))
    units = Towers(network, words())(video=torch.rand(16, 4, 3, 16, 16), text=torch.randint(1, 30, (16, 6)))
    loss = symmetric_nce(mean_pooled(units["video"], units["text"]), tau=0.5)
    assert abs(loss.item() - torch.tensor(16.0).log().item()) < 0.1


def test_one_batch_can_be_learned():
    model, given = Towers(SMOKE, words()), batch()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(40):
        units = model(**given)
        loss = symmetric_nce(mean_pooled(units["video"], units["text"]), tau=0.1)
        loss = loss + symmetric_nce(mean_pooled(units["video_for_audio"], units["audio"]), tau=0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert all(w.grad is not None for w in model.parameters())
    assert loss < 0.5


def test_sound_for_a_model_without_is_refused():
    with pytest.raises(ValueError, match="settings whose audio is not None"):
        Towers(WITHOUT_SOUND, words())(audio=torch.rand(1, 9000), num_samples=torch.tensor([9000]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SmallVideo(widths=(3, 4, 0)), r"widths must be 1 or more, got \(3, 4, 0\)"),
        (lambda: Phrases(phrase_words=(1, 0)), r"phrase_words must be 1 or more, got \(1, 0\)"),
        (lambda: Phrases(phrase_words=()), r"phrase_words must be 1 or more, got \(\)"),
        (lambda: Audio(hop_s=0.1), "hop_s must be in .*0.0426667.*got 0.1"),
        (lambda: SharedSpace(width=0), "width must be 1 or more, got 0"),
        (lambda: override(MINI, ["video=s3dg"]), "video must be one of .*S3D, SmallVideo, got 's3dg'"),
        (lambda: override(MINI, ["video.widths=3,4"]), "video.widths must be tuple of int, int, int, got 2 values"),
    ],
)  # fmt: skip
def test_settings_that_fit_nothing_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@dataclass(frozen=True)
class Columns(VideoNet):
    """A network that this repository does not have: the mean colour of each of some columns."""

    columns: int = 2

    def build(self):
        return ColumnEncoder(self.columns)


class ColumnEncoder(VideoEncoder):
    def __init__(self, columns):
        super().__init__(nn.AdaptiveAvgPool3d((1, 1, columns)), width=3)
        self.columns = columns

    def grid(self, time, height, width):
        return 1, 1, self.columns


def test_a_network_more_is_one_class_and_one_constant():
    network = replace(WITHOUT_SOUND, video=Columns(4))
    assert decode(Network, encode(network)) == network
    assert override(MINI, ["video=Columns", "video.columns=5"]).video == Columns(5)
    units = Towers(network, words())(video=torch.rand(2, 4, 3, 16, 16))["video"]
    assert units.vectors.shape == (2, 4, SMOKE.heads.text_space)
