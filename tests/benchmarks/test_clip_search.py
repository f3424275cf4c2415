"""The benchmark of search at a size of no interest: the same is found there by all, and no speed is."""

import pytest
import torch

from benchmarks import clip_search
from benchmarks.harness import Rounds


@pytest.fixture(autouse=True)
def _threads_stay():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_search_index_and_loading_are_run_on_equal_work(tmp_path, monkeypatch):
    monkeypatch.setattr(clip_search, "FILM_SIZE", (64, 96))
    parts = clip_search.parts(tmp_path, num_videos=3, num_windows=5, film_s=2.0, scale="smoke")
    *races, [peak] = (part(Rounds(1, warmup=0)) for part in parts.values())
    races = [race for [race] in races]
    assert [race.work for race in races] == [15, 3, 6]
    assert {race.unit for race in races} == {"clips"}
    assert [len(race.timings) for race in races] == [4, 3, 2]
    assert peak.peak_bytes >= peak.before_bytes > 0
