"""Times indexing and searching of videos, and loading of clips to train on: `python -m benchmarks.clip_search`.

Search is over 10,000 windows in 100 videos: 98 positions of 128 channels each. First whole searches, units read from an
index in 8 bits and in 16; then fine scores of units held in memory as 32-bit floats; then of one vector a window, which
bounds all from below. The approximate search is of 100,000 windows of 8 positions around one vector each, asked by
windows as a picture would be: how many of the ten best of all are among those that the graph proposes. Indexing is of a
film of 1280x720, then its parts: decoding alone, encoding alone. Clips to train on are a batch of the recipe, composed
ones mapped from disk, and as many cut from video files.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.harness import Peak, Race, Rounds, peak_memory, race
from benchmarks.records import Parts, options, publish
from common.data.video_writer import VideoWriter
from common.recipe import Shard
from multimodal_ssl.contrast import Contrast
from multimodal_ssl.model.encoders.video import as_video
from multimodal_ssl.model.matcher import Matcher
from multimodal_ssl.model.networks import MINI
from multimodal_ssl.model.similarities import LogMeanExp
from multimodal_ssl.model.similarity import mean, mean_and_max_pooled, mean_pooled
from multimodal_ssl.model.units import Units
from multimodal_ssl.recipes import SCALES
from multimodal_ssl.search import near
from multimodal_ssl.search.index import RECORD, UNITS, Index, IndexedVideo, encoder, video_files
from multimodal_ssl.search.query import AT_ONCE, Hit, Question, search
from multimodal_ssl.search.vectors import packed
from multimodal_ssl.search.windows import Cut, windows

POSITIONS, WIDTH, NUM_WORDS, TOP = 98, MINI.heads.text_space, 5, 10
FEW_POSITIONS, QUESTIONS = 8, 20  # of the approximate search
CUT = Cut(num_frames=4, size_px=64)
FILM_SIZE, FILM_HZ = (720, 1280), 30


def matcher() -> Matcher:
    torch.manual_seed(0)
    return Matcher(MINI, torch.randn(100, 50), LogMeanExp()).eval().requires_grad_(False)


def question(model: Matcher) -> Question:
    units = model.texts(torch.arange(1, NUM_WORDS + 1)[None])
    return Question("five words", units, (), (), (), (), ())


# ---- search


def made_up_index(
    folder: Path,
    num_videos: int,
    num_windows: int,
    *,
    bits: int = 16,
    positions: int = POSITIONS,
    around: float = 0.0,
) -> Index:
    """Units of noise, as an index keeps them.

    Args:
        around: times the noise: how far the one vector reaches that a window's units lie around.
    """
    index = Index.begin(Index(folder, folder, "noise", "0" * 64, CUT, bits=bits))
    generator = np.random.default_rng(0)
    times = tuple((i / 2, i / 2 + 1) for i in range(num_windows))
    for number in range(num_videos):
        own = folder / "videos" / f"{number:05d}"
        own.mkdir(parents=True)
        units = generator.standard_normal((num_windows, positions, WIDTH), np.float32)
        if around:
            units += around * generator.standard_normal((num_windows, 1, WIDTH), np.float32)
        units /= np.linalg.norm(units, axis=2, keepdims=True)
        (own / UNITS[bits]).write_bytes(b"".join(packed(each, bits) for each in units))
        video = IndexedVideo(
            path=f"{number}.mp4", size_bytes=1, modified_ns=1, units=(positions, WIDTH), times_s=times
        )
        (own / RECORD).write_text(json.dumps(asdict(video)))
    return index


def search_race(folder: Path, num_videos: int, num_windows: int, rounds: Rounds) -> Race:
    """The same best window is found by all that compare positions."""
    model = matcher()
    small, index = (made_up_index(folder / f"{bits}", num_videos, num_windows, bits=bits) for bits in (8, 16))
    asked = question(model)
    vectors = torch.from_numpy(np.concatenate([index.units(*each) for each in index.videos()]))
    held = Units(vectors, torch.ones(vectors.shape[:2], dtype=torch.bool))
    pooled = Units.one(F.normalize(mean(held), dim=1))

    def in_memory(units: Units, fine: bool) -> torch.Tensor:
        with torch.inference_mode():
            way = model.scores if fine else mean_and_max_pooled
            parts = [way(units[at : at + AT_ONCE], asked.units) for at in range(0, len(units), AT_ONCE)]
            return torch.cat(parts)[:, 0].topk(TOP).values

    def whole(of: Index) -> list[Hit]:
        return search(of, model, asked, TOP)[0]

    exact, found = whole(index), whole(small)
    assert abs(exact[0].score - float(in_memory(held, True)[0])) < 1e-3
    told = f"{_alike(exact, found)} of the {len(exact)} best are the same in 8 bits"
    contenders: dict[str, Callable[[], object]] = {
        "ours, fine and pooled, 8 bits, read from disk": partial(whole, small),
        "ours, fine and pooled, 16 bits, read from disk": partial(whole, index),
        "ours, fine alone, in memory": partial(in_memory, held, True),
        "ours, one vector a clip, in memory": partial(in_memory, pooled, False),
    }
    found_race = race(f"search {len(held):,} clips", contenders, rounds, work=len(held), unit="clips")
    return replace(found_race, told=told)


def approximate_races(folder: Path, num_videos: int, num_windows: int, rounds: Rounds) -> list[Race]:
    """Searches of all windows and of those that a graph proposes; none where faiss is missing."""
    if find_spec("faiss") is None:
        print("left out: the approximate search needs faiss (pip install faiss-cpu)")
        return []
    model = matcher()
    index = made_up_index(folder / "many", num_videos, num_windows, positions=FEW_POSITIONS, around=1.0)
    near.build(index)
    graph = near.read(index)
    asked = [_window_as_question(index, number) for number in range(QUESTIONS)]

    def whole(question: Question) -> list[Hit]:
        return search(index, model, question, TOP)[0]

    def proposed(question: Question) -> list[Hit]:
        return search(index, model, question, TOP, proposed=graph.propose(question))[0]

    same = sum(_alike(whole(one), proposed(one)) for one in asked)
    num = num_videos * num_windows
    contenders = {
        "ours, all windows": partial(whole, asked[0]),
        "ours, approximate": partial(proposed, asked[0]),
    }
    job = f"search {num:,} windows of {FEW_POSITIONS} positions"
    found = race(job, contenders, rounds, work=num, unit="clips")
    percent = 100 * same / (TOP * len(asked))
    told = f"the approximate one finds {percent:.0f} % of the {TOP} best, mean of {len(asked)} questions"
    return [replace(found, told=told)]


def _window_as_question(index: Index, number: int) -> Question:
    """A window of the index behind noise, asked for as a picture is."""
    video, folder = next(islice(index.videos(), number % index.num_videos, None))
    window = number % len(video.times_s)
    vectors = torch.from_numpy(index.units(video, folder, window, window + 1))
    noise = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(number)) / WIDTH**0.5
    units = Units(F.normalize(vectors + noise, dim=2), torch.ones(vectors.shape[:2], dtype=torch.bool))
    return Question("a window", units, (), (), (), (), (), pooled=mean_pooled)


def _alike(one: Sequence[Hit], other: Sequence[Hit]) -> int:
    return len(
        {(hit.video.path, hit.window) for hit in one} & {(hit.video.path, hit.window) for hit in other}
    )


def searching(folder: Path) -> Callable[[], object]:
    """For its memory; the index is there already."""
    model, index = matcher(), Index.read(folder)
    return partial(search, index, model, question(model), TOP)


# ---- index


def film(path: Path, seconds: float) -> Path:
    """Noise that moves: harder to decode than most films."""
    height, width = FILM_SIZE
    noise = np.random.default_rng(0).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    picture = np.repeat(np.repeat(noise, 8, axis=0), 8, axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, width=width, height=height, rate_hz=Fraction(FILM_HZ)) as writer:
        for number in range(round(seconds * FILM_HZ)):
            writer.write(np.roll(picture, 3 * number, axis=1))
    return path


def index_race(folder: Path, seconds: float, rounds: Rounds) -> Race:
    """A film indexed anew each time, and the two parts of the work."""
    model = matcher()
    encode = encoder(model)
    path = film(folder / "films" / "film.mp4", seconds)
    seen = [window.small for window in windows(path, CUT)]
    count = iter(range(10**6))

    def whole() -> None:
        made = Index.begin(Index(folder / f"index-{next(count)}", path.parent, "noise", "0" * 64, CUT))
        assert [done.what for done in made.update(video_files(path.parent), encode)] == ["indexed"]

    contenders = {
        "ours, whole": whole,
        "ours, decoding and scaling alone": lambda: sum(1 for _ in windows(path, CUT)),
        "ours, encoding alone": lambda: [encode(frames) for frames in seen],
    }
    height, width = FILM_SIZE
    job = f"index a film of {seconds:g} s, {width}x{height} at {FILM_HZ} Hz"
    return race(job, contenders, rounds, work=len(seen), unit="clips")


# ---- training clips


def loading_race(folder: Path, scale: str, rounds: Rounds) -> Race:
    """One batch of a recipe as the trainer asks for it, against as many windows of small video files."""
    recipe = SCALES[scale].recipes["FINE_0"]
    assert isinstance(recipe, Contrast)
    recipe.prepare()
    composition = recipe.composition
    side, frames = composition.size_px, composition.num_frames
    small = folder / "small" / "clip.mp4"
    small.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(small, width=2 * side, height=2 * side, rate_hz=Fraction(FILM_HZ)) as writer:
        for number in range(FILM_HZ * frames // 4):
            writer.write(np.full((2 * side, 2 * side, 3), number, np.uint8))
    cut, step = Cut(num_frames=frames, size_px=side), iter(range(10**6))

    def from_files() -> torch.Tensor:
        found = [next(windows(small, cut)).small for _ in range(recipe.batch_size)]
        return as_video(torch.from_numpy(np.stack(found)))

    contenders = {
        "ours, composed, mapped from disk": lambda: recipe.batch(0, next(step), Shard()).video,
        "ours, a video file a clip": from_files,
    }
    job = f"load {recipe.batch_size} clips of {frames} frames of {side}x{side}"
    return race(job, contenders, rounds, work=recipe.batch_size, unit="clips")


def parts(folder: Path, *, num_videos: int, num_windows: int, film_s: float, scale: str) -> Parts:
    def memory(rounds: Rounds) -> list[Peak]:
        made_up_index(folder / "held", num_videos, num_windows)
        return [
            peak_memory(
                f"search {num_videos * num_windows:,} clips",
                module="benchmarks.clip_search",
                maker="searching",
                arguments=(folder / "held",),
                threads=rounds.threads,
            )
        ]

    return {
        "search": lambda rounds: [search_race(folder / "noise", num_videos, num_windows, rounds)],
        "index": lambda rounds: [index_race(folder, film_s, rounds)],
        "loading": lambda rounds: [loading_race(folder, scale, rounds)],
        "approximate": lambda rounds: approximate_races(folder, num_videos, 10 * num_windows, rounds),
        "memory": memory,
    }


if __name__ == "__main__":
    asked = options("Times indexing, searching and loading of clips.", threads=2)
    with tempfile.TemporaryDirectory() as temporary:
        whole = parts(Path(temporary), num_videos=100, num_windows=100, film_s=20.0, scale="mini")
        publish("clip_search", asked, whole)
