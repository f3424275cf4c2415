"""The benchmark of search at a size of no interest: the same is found there by all, and no speed is."""

from importlib.util import find_spec

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
    races = [race for part in races for race in part]
    approximate = [150] if find_spec("faiss") else []
    assert [race.work for race in races] == [15, 3, 6, *approximate]
    assert {race.unit for race in races} == {"clips"}
    assert [len(race.timings) for race in races] == [4, 3, 2, *[2 for _ in approximate]]
    assert races[0].told.endswith("best are the same in 8 bits")
    assert peak.peak_bytes >= peak.before_bytes > 0
