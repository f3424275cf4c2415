"""Pictures and words as shares of ImageNet's classes: known values, and what changes nothing."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from common.models.efficientnet_lite import LITE2, EfficientNetLite
from multimodal_ssl.model import networks
from multimodal_ssl.model.class_names import names_of_classes, unfolded
from multimodal_ssl.model.encoders.imagenet import LEAST_SHARE, ClassesSeen, ImageNetEncoder

TAXI, TABBY = 468, 281  # places in ImageNet's list


@pytest.fixture(scope="module")
def seen():
    torch.manual_seed(0)
    network = EfficientNetLite(LITE2)
    network.classifier.weight.data *= 50  # a fresh one tells no class from another
    return ClassesSeen(network).requires_grad_(False)


@pytest.fixture(scope="module")
def encoder():
    """Names with made-up vectors, and the words "taxi" and "tabby", an unknown thing, and a function word of zeros."""
    torch.manual_seed(0)
    table = names_of_classes()
    names = F.normalize(torch.randn(len(table.names), 50), dim=1)
    center = torch.randn(50)
    known = [names[table.names.index(name)] + center for name in ("taxi", "tabby")]
    vectors = torch.stack([torch.zeros(50), *known, torch.randn(50), torch.zeros(50)])
    made = networks.NamesOfClasses().build(vectors)
    made.load_state_dict({"names": names, "center": center})
    return made


def by_hand(encoder, vector, decay=0.95, sharpness=6.0):
    """The formula, class by class."""
    table, near = names_of_classes(), np.zeros(1000)
    cosines = F.normalize(vector - encoder.center, dim=0) @ encoder.names.T
    for number, name, depth in zip(table.classes, table.places, table.depths, strict=True):
        near[number] = max(near[number], float(cosines[name]) * decay**depth)
    sharp = near**sharpness
    return near.max() * (sharp - sharp.mean()) / np.linalg.norm(sharp - sharp.mean())


def test_nearness_is_the_formula(encoder):
    vectors = encoder.words.weight[1:4]
    ours = encoder.nearness(vectors).numpy()
    np.testing.assert_allclose(ours, [by_hand(encoder, one) for one in vectors], atol=1e-5)


def test_a_classs_own_name_is_nearest_to_it_and_is_as_near_as_can_be(encoder):
    units = encoder(torch.tensor([[1, 2]]))
    assert units.vectors[0].argmax(dim=1).tolist() == [TAXI, TABBY]
    torch.testing.assert_close(units.vectors[0].norm(dim=1), torch.ones(2))


def test_function_words_and_padding_are_no_units_and_change_nothing(encoder):
    alone, among = encoder(torch.tensor([[1, 3]])), encoder(torch.tensor([[4, 1, 3, 0, 0]]))
    assert among.valid.tolist() == [[False, True, True]]
    torch.testing.assert_close(among.vectors[0, 1:], alone.vectors[0])
    assert encoder.phrases(["a", "taxi", "b"]) == ["a", "taxi", "b"]


def test_features_are_the_networks_places_and_only_the_head_learns():
    torch.manual_seed(0)
    encoder = networks.PictureFeatures(width=6).build().train()
    frozen, head = encoder.trunk
    video = torch.rand(2, 3, 3, 64, 96)
    units = encoder(video)
    assert (units.vectors.shape, encoder.grid(3, 64, 96)) == ((2, 3 * 2 * 3, 6), (3, 2, 3))
    places = frozen(video.transpose(1, 2))
    torch.testing.assert_close(places[1, :, 2], frozen.network.places(video[1, 2][None])[0])
    units.vectors.sum().backward()
    assert all(weight.grad is not None for weight in head.parameters())
    assert not any(weight.requires_grad for weight in frozen.parameters())
    assert not frozen.network.training  # its batch norms would learn


def test_the_head_sees_a_frame_before_and_one_after():
    torch.manual_seed(0)
    head = networks.PictureFeatures(width=6).build().trunk[1].eval()
    places = torch.rand(1, 1280, 5, 1, 1)
    other = places.clone()
    other[:, :, 0] += 1
    moved = (head(places) != head(other)).any(dim=1).flatten()
    assert moved.tolist() == [True, True, False, False, False]


def test_a_place_has_shares_and_small_ones_are_nothing(seen):
    shares = seen(torch.rand(1, 3, 1, 64, 96))[0, :, 0]
    assert shares.shape == (1000, 2, 3)
    assert float(shares[shares > 0].min()) >= LEAST_SHARE
    assert ((shares.sum(dim=0) <= 1 + 1e-5) & (shares.sum(dim=0) > 0)).all()


def test_frames_are_averaged_so_that_a_still_is_its_frame(seen):
    frame = torch.rand(1, 3, 1, 64, 64)
    torch.testing.assert_close(seen(frame.expand(1, 3, 3, 64, 64)), seen(frame), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
def test_units_lie_where_the_grid_says(seen, size):
    encoder = ImageNetEncoder()
    encoder.trunk = seen
    units = encoder(torch.rand(1, 2, 3, *size))
    assert units.vectors.shape[1] == np.prod(encoder.grid(2, *size))


def test_names_are_unfolded_once_each():
    table = unfolded([["animal", "beast"], ["cat"], ["dog"]], [[1, 0], [2, 0]])
    assert table.names == ("animal", "beast", "cat", "dog")
    assert list(zip(table.classes, table.places, table.depths, strict=True)) == [
        *((0, 2, 0), (0, 0, 1), (0, 1, 1)),
        *((1, 3, 0), (1, 0, 1), (1, 1, 1)),
    ]


def test_the_list_has_a_thousand_classes_and_what_they_are_one_of():
    table = names_of_classes()
    named = {name: depth for number, place, depth in zip(table.classes, table.places, table.depths, strict=True)
             if number == TABBY for name in [table.names[place]]}  # fmt: skip
    assert len(set(table.classes)) == 1000
    assert (named["tabby"], named["cat"], named["animal"]) == (0, 2, 7)
