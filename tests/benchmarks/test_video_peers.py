"""The race of x16 networks against basicsr's: equal numbers of weights, and nothing lost without the package."""

from argparse import Namespace
from importlib.util import find_spec

import pytest
import torch

from benchmarks import records, video_peers
from benchmarks.harness import Rounds

PAIRS = {
    "edvr": (video_peers.edvr_ours, video_peers.edvr_theirs),
    "basicvsr": (video_peers.basicvsr_ours, video_peers.basicvsr_theirs),
}


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(video_peers, "CHANNELS", 16)
    monkeypatch.setattr(video_peers, "PATCH", 8)


def test_without_basicsr_it_is_named_and_rows_of_before_stay(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(video_peers, "find_spec", lambda name: None)
    assert video_peers.races(Rounds(repeats=1)) == []
    assert "left out: basicsr is not installed" in capsys.readouterr().out
    monkeypatch.setattr(records, "write", lambda *_: pytest.fail("rows were replaced by none"))
    asked = Namespace(
        folder=tmp_path,
        parts=[],
        threads=1,
        usual_threads=1,
        repeats=1,
        quiet=False,
        wait_limit_s=1.0,
        anew=True,
    )
    records.publish("upscaling", asked, {"peers": video_peers.races})


@pytest.mark.skipif(find_spec("basicsr") is None, reason="the extra `peers` is not installed")
@pytest.mark.parametrize("name", PAIRS)
def test_both_have_as_many_weights_and_make_features_of_one_size(name, small):
    video_peers.load_peer()
    (ours, make), (theirs, make_theirs) = (made() for made in PAIRS[name])
    counts = [sum(w.numel() for w in network.parameters()) for network in (ours, theirs)]
    assert counts[0] == counts[1]
    with torch.inference_mode():
        assert make().shape == make_theirs().shape == (1, 16, 8, 8)
