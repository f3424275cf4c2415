"""The benchmark of search at a size of no interest: the same is found there by all, and no speed is."""

import pytest
import torch

from benchmarks import clip_search
from benchmarks.harness import MIN_REPEATS


@pytest.fixture(autouse=True)
def _threads_stay():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_search_index_and_loading_are_run_on_equal_work(tmp_path, monkeypatch):
    monkeypatch.setattr(clip_search, "FILM_SIZE", (64, 96))
    races, peaks = clip_search.everything(
        tmp_path, num_videos=3, num_windows=5, film_s=2.0, scale="smoke", repeats=MIN_REPEATS, threads=1
    )
    assert [race.work for race in races] == [15, 3, 6]
    assert {race.unit for race in races} == {"clips"}
    assert [len(race.timings) for race in races] == [3, 3, 2]
    assert peaks[0].peak_bytes >= peaks[0].before_bytes > 0
