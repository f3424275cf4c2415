"""A name or a file becomes the network it stands for, or a sentence that says what is known."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from common import checkpoint
from common.settings import encode
from video_sr.models import by_name
from video_sr.networks import EVESRNetSizes, Network, PerceptualSizes, WideActivationSizes


class Tiny(nn.Module):
    num_frames = 1

    def __init__(self, channels):
        super().__init__()
        self.layer = nn.Linear(channels, channels)


@dataclass(frozen=True, kw_only=True)
class TinySizes(Network):
    """A network that nothing else knows of."""

    channels: int = 3

    @property
    def num_frames(self):
        return 1

    def build(self):
        return Tiny(self.channels)


def settings(**sizes):
    return {"steps": 3, "network": {"kind": "TinySizes", **sizes}}


@pytest.fixture
def run(tmp_path):
    """A finished run's weights."""
    network = Tiny(3)
    state = {"settings": settings(channels=3)}
    checkpoint.save(tmp_path / "weights.safetensors", network.state_dict(), state)
    return tmp_path / "weights.safetensors", network


def test_bicubic_is_known_in_any_case():
    assert type(by_name.load("BiCubic")).__name__ == "Bicubic"


def test_a_runs_weights_come_back_ready_for_use(run):
    path, network = run
    loaded = by_name.load(str(path))
    torch.testing.assert_close(loaded.state_dict(), network.state_dict(), rtol=0, atol=0)
    assert not loaded.training
    assert not any(weight.requires_grad for weight in loaded.parameters())


def test_published_weights_are_found_in_any_case(run, monkeypatch):
    path, network = run
    for suffix in (".safetensors", ".json"):
        path.with_suffix(suffix).rename(path.parent / f"EVESRNet{suffix}")
    monkeypatch.setattr(by_name, "PUBLISHED", path.parent)
    torch.testing.assert_close(by_name.load("evesrnet").state_dict(), network.state_dict())


def test_an_unknown_name_lists_the_known_ones(run, monkeypatch):
    monkeypatch.setattr(by_name, "PUBLISHED", run[0].parent)
    with pytest.raises(
        ValueError, match="unknown model 'nope'; known models: bicubic, span-twice, span-x16, weights"
    ):
        by_name.load("nope")


def missing(path):
    path.unlink()


def altered(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def without_json(path):
    path.with_suffix(".json").unlink()


def of_a_run_under_way(path):
    checkpoint.save(path, {}, {"step": 5})


def of_another_version(path):
    checkpoint.save(path, Tiny(3).state_dict(), {"settings": settings(width=3)})


def of_another_network(path):
    checkpoint.save(path, Tiny(3).state_dict(), {"settings": settings(channels=4)})


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (missing, "cannot be read"),
        (altered, "checksum does not match"),
        (without_json, "cannot be read"),
        (of_a_run_under_way, "names no settings"),
        (of_another_version, "another version: unknown setting 'network.width' = 3"),
        (of_another_network, "does not fit"),
    ],
)
def test_a_file_that_is_no_finished_network_is_named(run, fault, words):
    path, _ = run
    fault(path)
    with pytest.raises(ValueError, match=words) as error:
        by_name.load(str(path))
    assert str(path.with_suffix("")) in str(error.value)


def test_published_weights_are_read_by_the_layout_of_their_time():
    """Their settings were flat; EVESRNet's are those of its recipe at `mini`."""
    state = checkpoint.load(by_name.PUBLISHED / "evesrnet.safetensors").state
    assert by_name.sizes_of(state["settings"]) == EVESRNetSizes(
        num_frames=3, channels=16, groups=2, front_blocks=1, trunk_blocks=6, trunk_channels=48, squeeze=8,
        tail_channels=(16, 3),
    )  # fmt: skip
    wide = by_name.sizes_of(checkpoint.load(by_name.PUBLISHED / "wide.safetensors").state["settings"])
    assert wide == WideActivationSizes(channels=48, blocks=6, expansion=3, squeeze=8, stages=(16,))
    assert by_name.sizes_of({"network": encode(wide) | {"kind": "WideActivationSizes"}}) == wide


@pytest.mark.parametrize("flat", [{}, {"network": None}, {"network": "edvr"}, {"network": "evesrnet"}])
def test_settings_without_a_known_network_are_named(flat):
    with pytest.raises(ValueError, match=r"network must be|settings lack or do not know"):
        by_name.sizes_of(flat)


def test_who_asks_for_no_model_gets_the_best_that_needs_no_network(monkeypatch):
    monkeypatch.setattr(by_name, "is_here", lambda: False)
    name, told = by_name.usual()
    assert by_name.load(name).num_frames == 1
    assert "--model span-x16 is better" in told
    monkeypatch.setattr(by_name, "is_here", lambda: True)
    assert by_name.usual() == ("span-x16", "")


@pytest.mark.parametrize("fetched", [False, True])
def test_who_asks_for_no_model_never_gets_one_that_invents_detail(monkeypatch, fetched):
    """Nor is one to be had by a name: it takes the file of a run."""
    monkeypatch.setattr(by_name, "is_here", lambda: fetched)
    published = {
        path.stem: by_name.sizes_of(checkpoint.load(path).state["settings"])
        for path in by_name.PUBLISHED.glob("*.safetensors")
    }
    named = {**by_name.READY, **published}
    assert by_name.usual()[0] in named
    assert not any(isinstance(network, PerceptualSizes) for network in named.values())
