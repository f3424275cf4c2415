"""Every paper through every command at `smoke`, and what a `Paper` must have at every scale."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from common import orchestrate, papers, results, run
from common.papers import Paper, Scale, Search
from common.provenance import provenance
from common.recipe import Experiment, Recipe, name_of
from common.report import build
from common.settings import assignments, decode, encode, override

SLUGS = ("asr-adapters", "continual-pretraining", "fine-grained-ssl", "extreme-vsr")
EVERY = [(slug, scale) for slug in SLUGS for scale in papers.SCALES]


def test_the_papers_are_those_of_pyproject():
    assert tuple(papers.papers()) == SLUGS


@pytest.mark.parametrize(("slug", "scale"), EVERY)
def test_a_scale_has_recipes_or_says_which_scales_have(slug, scale):
    paper = papers.find(slug)
    if scale not in paper.scales:
        with pytest.raises(ValueError, match=f"{slug} has no recipes at scale {scale}; it has smoke"):
            paper.at(scale)
        return
    preset = paper.at(scale)
    assert preset.seeds >= (1 if scale == "smoke" else 3)
    assert all(isinstance(recipe, Experiment) for recipe in preset.every_recipe.values())
    assert len({(type(r), r.settings_hash()) for r in preset.reproduced.values()}) == len(preset.reproduced)
    for claim in paper.claims:
        if scale in claim.scales and scale not in claim.not_testable:
            assert set(claim.reads) <= set(preset.recipes), claim.id


@pytest.mark.parametrize("slug", SLUGS)
def test_an_unknown_scale_or_recipe_is_one_sentence_everywhere(slug):
    for line in (("train", slug, "X"), ("score", slug, "X"), ("reproduce", slug), ("data", slug), ("pack", slug),
                 ("tune", slug), ("publish", slug), ("claims", slug)):  # fmt: skip
        code, said = _call(*line, "--scale", "big")
        assert (code, said) == (
            2,
            "error: scale must be one of smoke, mini, night, gpu, paper, got 'big'\n",
        ), line
    for verb in ("train", "score"):
        code, said = _call(verb, slug, "X", "--scale", "smoke")
        assert (code, f"{slug} has no recipe 'X' at scale smoke; known: " in said) == (2, True)


def test_a_scale_may_only_name_recipes_that_it_has():
    with pytest.raises(ValueError, match="lacks NONE"):
        Scale(recipes={}, seeds=1, weights={"a": "NONE"})
    with pytest.raises(ValueError, match="lacks WIDE"):
        Scale(recipes={}, seeds=1, search=Search(arms=("WIDE",), settings={}, measure=""))


def test_recipes_may_have_more_seeds_than_the_others():
    recipes = papers.find("asr-adapters").at("smoke").recipes
    some, two = ("FULL_EN", "HEAD_EN"), {name: recipes[name] for name in ("FULL_EN", "HEAD_EN")}
    preset = Scale(recipes=two, seeds=1, more_seeds={"HEAD_EN": 3}, once={"DEAF_EN": recipes["DEAF_EN"]})
    found = [(name, seed) for name, _, seed in preset.runs()]
    assert found == [("FULL_EN", 0), ("HEAD_EN", 0), ("HEAD_EN", 1), ("HEAD_EN", 2), ("DEAF_EN", 0)]
    assert [(name, seed) for name, _, seed in preset.runs(1)] == [
        *((name, 0) for name in some),
        ("DEAF_EN", 0),
    ]


@pytest.mark.parametrize(("slug", "scale"), EVERY)
def test_settings_come_back_from_json_and_from_the_texts_that_are_printed_of_them(slug, scale):
    preset = papers.find(slug).scales.get(scale)
    recipes = list(preset.every_recipe.values()) if preset else []
    for recipe in recipes:
        assert decode(type(recipe), json.loads(json.dumps(encode(recipe)))) == recipe
        other = next(one for one in reversed(recipes) if type(one) is type(recipe))
        assert override(other, assignments(recipe)) == recipe


def test_printed_settings_are_of_the_run_that_would_be_trained_and_nothing_is_done(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path))
    changed = ("--set", "peak_lr=0.5", "--set", "workers=3")
    for verb in ("train", "score"):
        code, said = _call(
            verb, "asr-adapters", "ADAPTERS_EN", "--scale", "mini", *changed, "--print-settings"
        )
        lines = said.splitlines()
        recipe = override(papers.find("asr-adapters").recipe("ADAPTERS_EN", "mini"), changed[1::2])
        assert (code, lines[0]) == (0, f"# ADAPTERS_EN-set-{recipe.settings_hash()}")
        assert {"peak_lr=0.5", "arm.bottleneck=64", "workers=3"} <= set(lines)
    assert list(tmp_path.iterdir()) == []


def test_settings_that_change_no_number_rename_no_run():
    recipe = papers.find("extreme-vsr").recipe("WIDE", "mini")
    assert name_of("WIDE", override(recipe, ["workers=3", "log_every=7", "cost_s=1"]), recipe) == "WIDE"


# ---- every command, in the order in which a person meets them


@pytest.fixture
def paper(request, tmp_path, monkeypatch) -> Paper:
    """The paper, with a folder of its own to publish into, whose runs go on in this process and are of a clean tree."""
    found = papers.find(request.param)
    shutil.copy(found.folder / "README.md", tmp_path)
    shutil.copy(papers.ROOT / "README.md", tmp_path / "all.md")
    monkeypatch.setattr(build, "README", tmp_path / "all.md")
    monkeypatch.setattr(build, "EVIDENCE", Path(shutil.copy(build.EVIDENCE, tmp_path)))
    moved = replace(found, folder=tmp_path)
    monkeypatch.setattr(papers, "papers", lambda: {found.slug: moved})
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path / "runs"))
    monkeypatch.setenv("DATA_ROOT", str(tmp_path / "data"))
    monkeypatch.setattr(orchestrate, "run_all", _run_all_here)
    clean = provenance(papers.ROOT) | {"dirty": False}
    for module in ("common.scoring", "common.training_run"):
        monkeypatch.setattr(f"{module}.provenance", lambda *arguments, **more: clean)
    return moved


def _call(*arguments):
    done = CliRunner().invoke(run.cli, list(arguments))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def _run_all_here(left, lanes, ended=lambda job: None):
    for job in left:
        line = ["train", job.paper.slug, job.recipe_name, "--scale", job.scale, "--seed", str(job.seed)]
        line += ["--device", "cpu", "--score", "--split", job.split]
        for assignment in job.arguments:
            line += ["--set", assignment]
        code, said = _call(*line)
        assert code == 0, said
        ended(job)


@pytest.mark.parametrize("paper", SLUGS, indirect=True)
def test_every_command_runs_at_smoke(paper, tmp_path):
    slug, smoke = paper.slug, ("--scale", "smoke")
    code, said = _call("data", slug, *smoke, "--verify")
    assert (code, f"{slug}: data of scale smoke are ready in " in said, "0 bad items" in said) == (
        0,
        True,
        True,
    )
    code, said = _call("pack", slug, *smoke)
    assert (code, "at scale smoke trains on nothing that a pack could hold" in said) == (2, True)
    recipes = paper.at("smoke").reproduced
    first = next(name for name, one in recipes.items() if isinstance(one, Recipe) and one.steps)
    assert _call("train", slug, first, *smoke, "--device", "cpu")[0] == 0
    hashes = set()
    for _ in range(2):
        assert _call("score", slug, first, *smoke, "--device", "cpu")[0] == 0
        hashes.add(results.find(paper.own_results("smoke"), first, 0).result.items_sha256)
    assert len(hashes) == 1  # no raw score is what a clock decides
    code, said = _call("reproduce", slug, *smoke, "--device", "cpu")
    assert (code, f"0 of {len(recipes)} runs are finished" in said) == (0, False), said
    assert {found.result.recipe for found in paper.evidence("smoke", own=True)} == set(recipes)
    code, said = _call("tune", slug, *smoke, "--device", "cpu")
    assert code == 0, said
    tried = json.loads((paper.own("smoke") / "tuning-smoke.json").read_text())["tried"]
    search = paper.at("smoke").search
    assert {row["arm"] for row in tried} == set(search.arms)
    code, said = _call("publish", slug, *smoke)
    assert code == 0, said
    assert len(paper.evidence("smoke", own=False)) == len(recipes)
    code, said = _call("claims", slug, *smoke, "--json")
    assert (code, len(json.loads(said)[slug]["published"])) == (0, len(paper.claims)), said
    assert _call("report")[0] == 0
    assert _call("list")[0] == 0
    assert _call("verify") == (0, "every committed table follows from its raw scores\n")
    (tmp_path / "README.md").write_text((tmp_path / "README.md").read_text().replace("not run", "upheld"))
    code, said = _call("verify")
    assert (code, "table 'verdicts' is stale" in said) == (1, True)


@pytest.mark.parametrize("slug", SLUGS)
def test_what_the_first_page_tells_has_a_sentence_whatever_comes_out(slug):
    told = [claim for claim in papers.find(slug).claims if claim.headline or claim.outcomes]
    assert sum(claim.headline for claim in told) == 1
    for claim in told:
        fallen = "refuted" if claim.question else "not seen here"
        assert {"upheld", fallen, "undecided"} == set(claim.outcomes)
        assert all("{told}" in sentence for sentence in claim.outcomes.values())


@pytest.mark.parametrize("slug", SLUGS)
def test_every_claim_of_a_paper_says_what_a_small_scale_runs_it_on(slug):
    """Else it could be refuted there. An update at `gpu` is of BASE's size, as the paper's is."""
    own = {"continual-pretraining": ("update", "update-32", "update-32-extractor", "adapters-alone")}
    for claim in papers.find(slug).claims:
        if not claim.question and not claim.by_design:
            its_own = {"paper", *(["gpu"] if claim.id in own.get(slug, ()) else [])}
            assert set(claim.scales) - its_own <= set(claim.conditions), claim.id
