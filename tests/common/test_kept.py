"""Laws of what lies beside published results: of the very run that is published; pictures few, small, and each once."""

import json
import shutil

import numpy as np
import pytest

from common import journal, kept, papers, results

PAPER = papers.find("extreme-vsr")


@pytest.fixture
def paper(tmp_path, monkeypatch):
    """With two published recipes and own runs of the same scores that kept pictures of nine items."""
    from dataclasses import replace

    monkeypatch.setenv("RUNS_ROOT", str(tmp_path / "own"))
    paper = replace(PAPER, folder=tmp_path / "paper")
    for recipe in ("BICUBIC", "WIDE"):
        for folder in (paper.published("mini"), paper.own_results("mini")):
            folder.mkdir(parents=True, exist_ok=True)
            for path in PAPER.published("mini").glob(f"{recipe}.seed0.*"):
                shutil.copy(path, folder)
        pictures = paper.run_folder("mini", recipe, 0) / kept.FOLDER
        pictures.mkdir(parents=True)
        for item in range(9):
            (pictures / f"item{item}.truth.jpg").write_bytes(b"the same")
            (pictures / f"item{item}.output.jpg").write_bytes(recipe.encode())
            (pictures / f"item{item}.wav").write_bytes(b"no picture")
    return paper


def test_a_few_spread_items_are_kept_and_equal_pictures_once(paper):
    written = kept.publish(paper, "mini", ["WIDE", "BICUBIC"])
    names = {path.relative_to(paper.published("mini")).as_posix() for path in written}
    assert names == {
        f"{recipe}/seed0/pictures-test/item{item}.{ending}.jpg"
        for item in (1, 4, 7)
        for recipe, ending in (("BICUBIC", "truth"), ("BICUBIC", "output"), ("WIDE", "output"))
    }


def test_equal_outputs_stay_and_what_is_published_is_not_published_again(paper):
    for recipe in ("BICUBIC", "WIDE"):
        for path in (paper.run_folder("mini", recipe, 0) / kept.FOLDER).glob("*.output.jpg"):
            path.write_bytes(b"equal")
    kept.publish(paper, "mini", ["WIDE"])
    written = kept.publish(paper, "mini", ["BICUBIC"])
    assert sorted(path.name for path in written) == [f"item{item}.output.jpg" for item in (1, 4, 7)]
    assert len(list(paper.published("mini").glob("WIDE/*/*/*.truth.jpg"))) == 3
    assert len(kept.publish(paper, "mini", ["WIDE", "BICUBIC"])) == 9  # once more, in the same places


def test_what_is_published_counts(paper, monkeypatch):
    monkeypatch.setattr(kept, "MOST_BYTES", 40)
    kept.publish(paper, "mini", ["WIDE"])
    with pytest.raises(ValueError, match="pictures must fit 40 bytes at mini, got 57"):
        kept.publish(paper, "mini", ["BICUBIC"])


def test_pictures_of_another_run_are_refused(paper):
    run = results.find(paper.own_results("mini"), "WIDE", 0)
    results.write(paper.own_results("mini"), run.result, run.items[1:])
    with pytest.raises(ValueError, match="WIDE: pictures are of a run whose raw scores are not"):
        kept.publish(paper, "mini", ["WIDE"])


def test_more_than_may_be_committed_is_refused(paper, monkeypatch):
    monkeypatch.setattr(kept, "MOST_BYTES", 10)
    with pytest.raises(ValueError, match="pictures must fit 10 bytes at mini, got 57"):
        kept.publish(paper, "mini", ["WIDE", "BICUBIC"])


def test_journals_of_published_runs_are_kept_and_of_no_others(paper):
    for recipe in ("BICUBIC", "WIDE"):
        (paper.run_folder("mini", recipe, 0) / kept.JOURNAL).write_text(
            f'{{"event": "train", "step": 1, "of": "{recipe}"}}\n'
        )
    run = results.find(paper.own_results("mini"), "BICUBIC", 0)
    results.write(paper.own_results("mini"), run.result, run.items[1:])
    (copied,) = kept.publish_journals(paper, "mini", ["WIDE", "BICUBIC"])
    assert copied == kept.journal_of(paper.published("mini"), "WIDE", 0)
    assert '"of": "WIDE"' in copied.read_text()
    assert kept.publish_journals(paper, "mini", ["EVESRNET"]) == []


def test_a_long_journal_is_thinned_and_ends_where_it_ended(tmp_path):
    rows = [{"event": "start", "step": 0}, *({"event": "train", "step": step} for step in range(5000))]
    rows.append({"event": "end", "step": 5000})
    path = tmp_path / "journal.jsonl"
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    path.write_bytes(kept.thinned(lines + b'{"event": "cut'))
    found = journal.read(path)
    steps = [row["step"] for row in found if row["event"] == "train"]
    assert (found[0], found[-1]) == (rows[0], rows[-1])
    assert (len(steps), steps[-1]) == (kept.MOST_ROWS, 4999)
    assert steps == sorted(steps)
    assert max(np.diff(steps)) <= 27
    assert kept.thinned(path.read_bytes()) == path.read_bytes()


@pytest.mark.parametrize(("found", "most", "chosen"), [([], 3, []), ([1], 3, [1]), (range(9), 3, [1, 4, 7])])
def test_evenly_spread(found, most, chosen):
    assert kept.evenly(found, most) == chosen


def test_committed_pictures_are_of_published_runs_and_small():
    for paper in papers.papers().values():
        for scale in paper.scales:
            found = list(paper.published(scale).glob(f"*/seed*/{kept.FOLDER}/*"))
            assert sum(path.stat().st_size for path in found) <= kept.MOST_BYTES
            for path in found:
                recipe, seed = path.parts[-4], int(path.parts[-3].removeprefix("seed"))
                assert results.find(paper.published(scale), recipe, seed) is not None, path
                assert path.suffix in kept.ENDINGS
