"""Every way into the repository leads somewhere: commands, a wheel, `make`, hooks, integration, a citation."""

import importlib.util
import itertools
import os
import re
import shlex
import shutil
import sys
import zipfile
from functools import cache

import pytest
import yaml
from repository import PACKAGES, PAPERS, PYPROJECT, ROOT, run, tracked_files

# ---- what is installed


@pytest.mark.parametrize("command", PYPROJECT["project"]["scripts"])
def test_every_command_answers_help(command):
    module, _, name = PYPROJECT["project"]["scripts"][command].partition(":")
    code = f"import sys; from {module} import {name} as tool; sys.argv = [{command!r}, '--help']; tool()"
    done = run(sys.executable, "-c", code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split()[:2] == ["Usage:", command]


def test_a_wheel_holds_every_module_and_what_modules_read(tmp_path):
    """All that git tracks in the packages but pages and results; `pip install .` is enough for the tools."""
    if not (tracked := tracked_files()):
        pytest.skip("git tracks no file here: not a clone")
    for path in tracked:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.symlink_to(path)
    wanted = {path.relative_to(ROOT).as_posix() for path in tracked if path.suffix != ".md"}
    wanted = {name for name in wanted if name.split("/")[0] in PACKAGES and "/results/" not in name}
    code = "from setuptools.build_meta import build_wheel; build_wheel('.')"
    done = run(sys.executable, "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == wanted
    assert {f"{package}/py.typed" for package in PACKAGES} <= held


# ---- make


@cache
def make_targets() -> set[str]:
    database = run("make", "-pnRr", "help").stdout
    phony = re.search(r"^\.PHONY: (.*)$", database, re.MULTILINE)
    assert phony, "the Makefile declares no phony targets"
    return set(phony[1].split())


def test_bare_make_lists_every_target():
    shown = {line.split()[0] for line in run("make").stdout.splitlines() if line.strip()}
    shown |= {name.replace("<paper>", paper) for name, paper in itertools.product(shown, PAPERS)}
    shown |= {name.replace("<folder>", folder) for name, folder in itertools.product(shown, PACKAGES)}
    shown |= {f"data-{paper}" for paper in PAPERS}  # shares the line of `data`
    targets = make_targets()
    assert {"reproduce-extreme-vsr", "pack-asr-adapters", "test-video_sr"} <= targets
    assert targets - shown == set()


def test_every_paper_has_its_targets():
    verbs = ("reproduce", "data", "pack", "tune", "publish")
    assert {f"{verb}-{paper}" for verb, paper in itertools.product(verbs, PAPERS)} <= make_targets()


def test_variables_reach_the_command_line():
    shown = run("make", "-n", "reproduce-extreme-vsr", "SCALE=gpu", "DEVICE=cuda", "SEEDS=2").stdout
    assert "-m common.run reproduce extreme-vsr --scale gpu --device cuda --seeds 2" in shown


# ---- hooks, continuous integration, citation


def read_yaml(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def names_what_exists(line: str) -> bool:
    """Whether a shell line starts a program, a script of ours or a target of make; and a module that is there."""
    program, *rest = shlex.split(line)
    ours = (
        re.findall(r"(?:[\w.]+/)+[\w.]+", line) if program == "bash" else [program] if "/" in program else []
    )
    modules = re.findall(r"-m (\w+)", line)
    targets = {word for word in rest if "=" not in word} if program == "make" else set()
    return (
        (bool(ours) or shutil.which(program) is not None)
        and all(os.access(ROOT / script, os.X_OK) for script in ours)
        and all(importlib.util.find_spec(module) for module in modules)
        and targets <= make_targets()
    )


def test_a_line_that_names_nothing_is_found():
    lines = [
        "make types",
        "make nothing",
        ".ci/run",
        ".ci/walk",
        "bash -c './setup.sh -m ruff'",
        "bash -c '-m rough'",
    ]
    assert [names_what_exists(line) for line in lines] == [True, False, True, False, True, False]


def test_hooks_before_a_commit_run_the_tools_of_the_environment():
    (repository,) = read_yaml(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"  # with the versions of the lock, not with versions of their own
    hooks = {hook["id"]: hook for hook in repository["hooks"]}
    assert hooks.keys() == {"ruff-check", "ruff-format", "mypy"}
    assert all(hook["language"] == "system" for hook in hooks.values())
    assert all(names_what_exists(hook["entry"]) for hook in hooks.values())


def test_integration_runs_ours_on_every_python_that_is_allowed():
    job = read_yaml(".github/workflows/ci.yml")["jobs"]["test"]
    low, high = re.findall(r"\d+[.](\d+)", PYPROJECT["project"]["requires-python"])
    assert job["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in range(int(low), int(high))]
    lines = [step["run"] for step in job["steps"] if "run" in step]
    assert lines[-1] == ".ci/run"
    assert names_what_exists(lines[-1])
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_the_citation_names_every_paper_and_this_version():
    citation, project = read_yaml("CITATION.cff"), PYPROJECT["project"]
    assert {"message", "title", "authors", "date-released"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0"
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    for reference in citation["references"]:
        assert {"type", "title", "authors", "year", "url"} <= reference.keys()
    cited = {reference["url"].rpartition("/")[2] for reference in citation["references"]}
    assert cited == set(re.findall(r"arXiv ([\d.]+)", run("make").stdout))
    assert len(cited) == len(PAPERS)


def test_changes_begin_with_what_is_not_released_and_hold_this_version():
    titles = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert titles[0] == "Unreleased"
    assert PYPROJECT["project"]["version"] == titles[1]


def test_every_word_of_the_glossary_has_one_line_and_is_found_by_the_alphabet():
    tables = [re.findall(r"^\| ([a-z -]+) \| .+ \|$", part, re.MULTILINE)[1:]
              for part in (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").split("\n## ")[1:]]  # fmt: skip
    words = list(itertools.chain.from_iterable(tables))
    assert len(words) == len(set(words)) > 30
    assert [sorted(table) for table in tables] == tables
