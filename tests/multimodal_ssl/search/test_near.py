"""A graph proposes and the model judges: what is proposed is scored as without it, and nothing else is looked at."""

import json
import sys
from dataclasses import asdict, replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from common.errors import CommandError
from multimodal_ssl.model.matcher import Matcher
from multimodal_ssl.model.networks import MINI
from multimodal_ssl.model.similarities import LogMeanExp
from multimodal_ssl.model.similarity import mean_pooled
from multimodal_ssl.model.units import Units
from multimodal_ssl.search import near
from multimodal_ssl.search.index import RECORD, UNITS, Index, IndexedVideo
from multimodal_ssl.search.near import Near
from multimodal_ssl.search.query import Question, pooled_windows, search
from multimodal_ssl.search.vectors import packed
from multimodal_ssl.search.windows import Cut

NUM_WINDOWS, POSITIONS, WIDTH = (7, 0, 300), 3, 16
needs_faiss = pytest.mark.skipif(find_spec("faiss") is None, reason="faiss-cpu is of the extra `near`")


class Exact:
    """In the place of faiss's graph: the nearest of all."""

    def __init__(self, index):
        self.vectors = np.concatenate(
            [part for each in index.videos() for part in pooled_windows(index, *each)]
        )

    def search(self, vectors, num):
        cosines = vectors @ self.vectors.T
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :num]
        return np.take_along_axis(cosines, order, axis=1), order


@pytest.fixture
def index(tmp_path):
    made = Index.begin(Index(tmp_path / "index", tmp_path, "noise", "0" * 64, Cut(num_frames=4, size_px=32)))
    generator = np.random.default_rng(0)
    for number, count in enumerate(NUM_WINDOWS):
        own = made.folder / "videos" / f"{number}"
        own.mkdir(parents=True)
        units = F.normalize(
            torch.from_numpy(generator.standard_normal((count, POSITIONS, WIDTH), np.float32)), dim=2
        )
        (own / UNITS[16]).write_bytes(b"".join(packed(each.numpy(), 16) for each in units))
        times = tuple((float(i), float(i + 1)) for i in range(count))
        video = IndexedVideo(
            path=f"{number}.mp4", size_bytes=1, modified_ns=1, units=(POSITIONS, WIDTH), times_s=times
        )
        (own / RECORD).write_text(json.dumps(asdict(video)))
    return made


@pytest.fixture
def asked():
    vectors = F.normalize(torch.randn(1, POSITIONS, WIDTH, generator=torch.Generator().manual_seed(1)), dim=2)
    units = Units(vectors, torch.ones(1, POSITIONS, dtype=torch.bool))
    return Question("a picture", units, (), (), (), (), (), pooled=mean_pooled)


@pytest.fixture(scope="module")
def matcher():
    torch.manual_seed(0)
    return Matcher(MINI, torch.randn(9, 50), LogMeanExp()).eval()


def _told(hits):
    return [(hit.video.path, hit.window, round(hit.score, 5), round(hit.pooled, 5)) for hit in hits]


def test_all_proposed_is_the_exact_search_and_fewer_are_the_best_of_these(index, asked, matcher):
    graph = Near(Exact(index), near._videos(index))
    exact, num = search(index, matcher, asked, 400)
    assert num == sum(NUM_WINDOWS)
    every, _ = search(index, matcher, asked, 400, proposed=graph.propose(asked, 400))
    assert _told(every) == _told(exact)
    few = graph.propose(asked, 20)
    assert sum(map(len, few.values())) == 20
    found, _ = search(index, matcher, asked, 400, proposed=few)
    by_pooled = sorted(exact, key=lambda hit: -hit.pooled)[:20]
    assert _told(found) == _told(hit for hit in exact if hit in by_pooled)


def test_a_window_is_told_by_its_own_video(index, asked):
    class Last:
        def search(self, vectors, num):
            return np.zeros((1, 3)), np.array([[7, -1, 6]])

    assert Near(Last(), near._videos(index)).propose(asked) == {0: [6], 2: [0]}


def test_without_faiss_the_way_out_is_said(index, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(CommandError, match=r"^--approximate needs faiss: pip install faiss-cpu$"):
        near.build(index)


@needs_faiss
def test_faiss_finds_what_is_nearest_and_a_graph_of_other_windows_is_refused(index, asked):
    with pytest.raises(ValueError, match=r"has no graph to search by; make it with: .*--approximate"):
        near.read(index)
    path = near.build(index)
    assert near.read(index).propose(asked, 5) == Near(Exact(index), near._videos(index)).propose(asked, 5)
    made = path.stat().st_mtime_ns
    near.build(index)
    assert path.stat().st_mtime_ns == made  # nothing is new
    video, folder = next(index.videos())
    (folder / RECORD).write_text(json.dumps(asdict(replace(video, times_s=video.times_s[:-1]))))
    with pytest.raises(ValueError, match="is of other windows than"):
        near.read(index)
    path.write_bytes(b"no graph")
    with pytest.raises(ValueError, match="is damaged"):
        near.read(index)


@needs_faiss
def test_a_graph_that_is_cut_or_altered_is_told_as_damaged(index):
    path = near.build(index)
    whole = path.read_bytes()
    for length in (0, 3, 30, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="is damaged"):
            near.read(index)
    videos = np.frombuffer(json.dumps(near._videos(index)).encode(), np.uint8)
    for graph, videos_said in (
        (np.zeros(40, np.uint8), videos),
        (np.zeros(0, np.uint8), np.frombuffer(b"7", np.uint8)),
    ):
        with path.open("wb") as file:
            np.savez(file, graph=graph, videos=videos_said)
        with pytest.raises(ValueError, match="is damaged"):
            near.read(index)
