"""HowTo100M in both layouts; clips and candidates as published, and the same whoever draws them."""

import json
from collections import Counter

import pytest

from common.data.order import Draw
from common.recipe import Shard
from multimodal_ssl.corpora import howto100m as module
from multimodal_ssl.corpora.captions import Caption
from multimodal_ssl.corpora.corpus import NarratedVideo
from multimodal_ssl.corpora.howto100m import (
    caption_places,
    howto100m,
    narration,
    narrations,
    nearest_captions,
)

COLUMNS = {"start": [0.4, 3.9], "end": [3.9, 5.9], "text": ["check pic — tonight", "pick a bowl"]}
SAID = [Caption(0.4, 3.9, "check pic — tonight"), Caption(3.9, 5.9, "pick a bowl")]


@pytest.fixture
def first_published(root, make):
    lines = ["video_id,category_1,category_2,rank,task_id"]
    lines += [
        f'{name},"Food, and Drinks",Drinks,6,25938' for name in ("-tCQ", "gone", "_97k", "mute", "zero")
    ]
    make.write(root / "HowTo100M_v1.csv", "\n".join(lines) + "\n")
    said = {
        "_97k": {"start": [1], "end": [2], "text": ["é"]},
        "gone": COLUMNS,
        "-tCQ": COLUMNS,
        "zero": COLUMNS,
    }
    make.write(root / "caption.json", json.dumps(said, ensure_ascii=False, indent=1))
    make.films(root / "videos", "-tCQ.mp4", "shard/_97k.webm", "mute.mp4")
    (root / "videos/zero.mkv").touch()
    return root


def test_one_file_of_captions_is_read_film_by_film(first_published):
    corpus = howto100m(first_published)
    assert [film.id for film in corpus.items] == ["howto100m--tCQ", "howto100m-_97k"]
    assert corpus.items[0].captions() == (SAID, [])
    assert corpus.items[1].captions() == ([Caption(1.0, 2.0, "é")], [])
    assert corpus.items[1].file == first_published / "videos/shard/_97k.webm"
    assert [str(bad) for bad in corpus.bad] == [
        "howto100m-gone (videos/gone): there is no such file",
        "howto100m-mute (videos/mute.mp4): caption.json lacks it",
        "howto100m-zero (videos/zero.mkv): is empty (0 bytes)",
    ]


def test_a_file_of_captions_that_breaks_off_costs_the_films_behind_the_break(first_published):
    whole = (first_published / "caption.json").read_bytes()
    (first_published / "caption.json").write_bytes(whole[: whole.index(b'"-tCQ"') + 60])
    corpus = howto100m(first_published)
    assert [film.id for film in corpus.items] == ["howto100m-_97k"]
    assert "must be one JSON object, breaks at byte" in corpus.bad[-1].reason


def test_the_first_lines_are_a_subset_that_others_can_draw(first_published):
    corpus = howto100m(first_published, limit=2)
    assert (len(corpus.items), len(corpus.bad)) == (1, 1)


def test_the_layout_of_mil_nce(root, make):
    make.write(root / "videos.csv", "video_path\na.mp4\nfood/b.webm\nc.mp4\n../d.mp4\n")
    make.films(root / "videos", "a.mp4", "food/b.webm", "c.mp4")
    for name in "ab":
        make.write(
            root / f"howto100m_captions/{name}.csv",
            "start,end,text\n0.4,3.9,check pic — tonight\n3.9,5.9,pick a bowl\n",
        )
    corpus = howto100m(root)
    assert [film.captions()[0] for film in corpus.items] == [SAID, SAID]
    assert [bad.reason for bad in corpus.bad] == [
        "captions c.csv: there is no such file",
        "must name a file in videos, got '../d.mp4'",
    ]


def test_captions_that_cannot_be_read_are_found_by_a_check(root, make):
    make.write(root / "videos.csv", "video_path\na.mp4\nb.mp4\n")
    make.films(root / "videos", "a.mp4", "b.mp4")
    make.write(root / "howto100m_captions/a.csv", "start,end,text\n1,2,yes\n")
    make.write(root / "howto100m_captions/b.csv", "start,end,text\n")
    checked = howto100m(root).checked(NarratedVideo.captions)
    assert [film.id for film in checked.items] == ["howto100m-a"]
    assert "holds no caption" in checked.bad[0].reason


@pytest.mark.parametrize("block", [1, 2, 7, 1 << 20])
def test_places_are_those_of_the_bytes_whatever_is_read_at_once(root, make, monkeypatch, block):
    monkeypatch.setattr(module, "READ_BYTES", block)
    values = {"é": {"a": '}"é€'}, "b": ["{", {}], "c": {}}
    for indent, ascii in ((None, True), (2, False)):
        file = make.write(root / "all.json", json.dumps(values, indent=indent, ensure_ascii=ascii))
        content = file.read_bytes()
        found = {name: json.loads(content[at : at + length]) for name, (at, length) in caption_places(file)}
        assert found == values


@pytest.mark.parametrize("text", ["", "[]", '{"a": {}', '{"a": 3}', '{"a": {} "b": {}}', "{a: {}}"])
def test_what_is_no_object_of_captions_breaks_with_its_byte(root, make, text):
    with pytest.raises(ValueError, match=r"all.json must be one JSON object, breaks at byte \d"):
        list(caption_places(make.write(root / "all.json", text)))


def test_an_empty_object_has_no_places(root, make):
    assert list(caption_places(make.write(root / "all.json", " { } "))) == []


# ---- drawing


def spans(*times):
    return [Caption(start, stop, f"from {start}") for start, stop in times]


def published(captions, index, num):
    """`_find_nearest_candidates` of MIL-NCE's loader, in the words of this project."""
    first = last = index
    taken = 1
    while taken < num:
        if first == 0:
            return 0
        if last == len(captions) - 1:
            return first - (num - taken)
        if (
            captions[last].stop_s - captions[first - 1].start_s
            < captions[last + 1].stop_s - captions[first].start_s
        ):
            first -= 1
        else:
            last += 1
        taken += 1
    return first


def test_candidates_grow_to_the_nearer_side():
    captions = spans((0, 1), (8, 9), (10, 11), (11, 12), (30, 31))
    assert [nearest_captions(captions, 2, num) for num in (1, 2, 3, 4, 5)] == [
        range(2, 3),
        range(2, 4),
        range(1, 4),
        range(4),
        range(5),
    ]


def test_candidates_begin_where_the_published_code_begins():
    times = [0, 3, 4, 9, 9.5, 10, 20, 21, 30, 30.5]
    captions = spans(*((t, t + 2) for t in times))
    for index in range(len(captions)):
        for num in (1, 2, 3, 4):
            near = nearest_captions(captions, index, num)
            assert (near.start, len(near)) == (published(captions, index, num), num)
            assert index in near


def test_a_film_with_few_captions_gives_them_all_once():
    captions = spans((0, 1), (1, 2))
    assert nearest_captions(captions, 1, 4) == range(2)


def test_a_clip_lies_in_its_caption_stretched_to_five_seconds():
    captions = spans((100, 101), (200, 230))
    film = NarratedVideo("f", "f.mp4")
    starts = {0: [], 1: []}
    for position in range(400):
        drawn = narration(film, captions, Draw(0, position, seed=0), num_candidates=1)
        assert drawn.stop_s - drawn.start_s == pytest.approx(3.2)
        starts[int(drawn.captions == ("from 200",))].append(drawn.start_s)
    # [98, 103] and [200, 230], less the clip's own length; both ends are reached.
    assert 98 <= min(starts[0]) < 98.1
    assert 99.7 < max(starts[0]) <= 99.8
    assert 200 <= min(starts[1]) < 201
    assert 226 < max(starts[1]) <= 226.8


def test_a_span_at_the_films_beginning_is_stretched_forward():
    drawn = [narration(NarratedVideo("f", "f.mp4"), spans((0.5, 1)), Draw(0, i, seed=0)) for i in range(100)]
    assert all(0 <= clip.start_s <= 1.8 for clip in drawn)


def test_the_caption_that_was_drawn_is_among_the_candidates():
    captions = spans(*((10 * i, 10 * i + 9) for i in range(8)))
    for position in range(50):
        clip = narration(NarratedVideo("f", "f.mp4"), captions, Draw(0, position, seed=3))
        own = next(c for c in captions if c.text == clip.captions[clip.drawn])
        assert own.start_s <= clip.start_s
        assert clip.stop_s <= own.stop_s
        assert len(clip.captions) == 4


def test_a_step_is_a_function_of_its_seed_and_number(first_published):
    films = howto100m(first_published).items
    batch = narrations(films, 4, seed=1, step=7)
    assert batch == narrations(films, 4, seed=1, step=7)
    assert batch != narrations(films, 4, seed=2, step=7)
    assert batch != narrations(films, 4, seed=1, step=8)
    assert batch == [clip for i in (0, 1) for clip in narrations(films, 4, seed=1, step=7, shard=Shard(i, 2))]
    assert set(Counter(film.id for film, _ in batch).values()) == {2}  # an epoch has each film once


def test_a_film_without_captions_cannot_be_drawn_from():
    with pytest.raises(ValueError, match="f has no captions to draw from"):
        narration(NarratedVideo("f", "f.mp4"), [], Draw(0, 0, seed=0))
    with pytest.raises(ValueError, match="0 < clip_s <= 5, got 6"):
        narration(NarratedVideo("f", "f.mp4"), spans((0, 9)), Draw(0, 0, seed=0), clip_s=6)
    with pytest.raises(ValueError, match=r"index must be in 0..1, got 2"):
        nearest_captions(spans((0, 1), (1, 2)), 2, 1)


def test_what_howto100m_needs_is_said(root, make):
    make.films(root / "videos", "a.mp4")
    with pytest.raises(ValueError, match=r"must hold HowTo100M_v1.csv or videos.csv, and caption.json"):
        howto100m(root)


def test_captions_nested_too_deeply_cost_the_films_from_there_on(first_published, make):
    make.write(
        first_published / "caption.json", json.dumps({"_97k": COLUMNS})[:-1] + ', "-tCQ": ' + "[" * 100_000
    )
    corpus = howto100m(first_published)
    assert [film.id for film in corpus.items] == ["howto100m-_97k"]
    assert "nested too deeply" in corpus.bad[-1].reason
