"""Documents are executed: a command line that a reader could paste works, and a link leads somewhere."""

import importlib
import re
from functools import cache
from pathlib import Path

import numpy as np
import odd_videos
import own_films
import pytest
import soundfile
from documents import DOCUMENTS, MODULES, PLACEHOLDERS, SCRIPTS, commands_in, split
from repository import ROOT, run, tracked_files
from typer.main import get_command
from typer.testing import CliRunner

from common import papers
from common.models.efficientnet_lite import LITE2, EfficientNetLite
from examples import fifth_paper
from multimodal_ssl.model import vocabulary
from multimodal_ssl.model.networks import ImageNetClasses
from multimodal_ssl.own import recipe as own_recipe

EVERY = sorted({(str(document), line) for document in DOCUMENTS for line in commands_in(document)})
SYNOPSES = [(d, line) for d, line in EVERY if re.search(r"[\[|]", line)]
PASTED = [(d, line) for d, line in EVERY if (d, line) not in SYNOPSES]


def app_of(name):
    module, _, attribute = SCRIPTS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


@cache
def command_of(name):
    return get_command(app_of(name))


def parsed(line):
    """Reads the words as the command line would, and does nothing; the verb."""
    name, words = split(line)
    if not words:
        return ""
    group = command_of(name)
    with group.make_context(name, list(words)) as context:
        verb, command, rest = group.resolve_command(context, words)
        with command.make_context(verb, rest, parent=context):
            return verb


@pytest.mark.parametrize(("document", "line"), [one for one in PASTED if not one[1].startswith("make")])
def test_a_command_of_a_document_is_one(document, line):
    try:
        parsed(line)
    except Exception as error:  # typer has click inside it, or beside it
        if type(error).__name__ != "MissingParameter":
            raise
        # A sentence that names a command does not repeat all that it takes.
        assert f"`{line}`" in (ROOT / document).read_text(encoding="utf-8")
        check_options(line)


@pytest.mark.parametrize(
    "line", sorted({line for _, line in PASTED if re.search(r"common.run (train|score) \S", line)})
)
def test_what_a_document_trains_or_scores_is_there(line, monkeypatch):
    every = {**papers.papers(), fifth_paper.PAPER.slug: fifth_paper.PAPER}
    monkeypatch.setattr(papers, "papers", lambda: every)  # docs/fifth-paper.md says how
    done = CliRunner().invoke(app_of("reproduce"), [*split(line)[1], "--print-settings"])
    assert done.exit_code == 0, done.output


@cache
def make_targets():
    database = run("make", "-pnRr", "help").stdout
    return set(re.search(r"^\.PHONY: (.*)$", database, re.M)[1].split())


@pytest.mark.parametrize("line", sorted({line for _, line in EVERY if line.startswith("make")}))
def test_a_target_of_a_document_is_one_of_make(line):
    for alternative in line.removeprefix("make").split("|"):
        for optional, left in (("", ""), (r"\1", "")):
            words = re.sub(
                r"\[(-[A-Z]+)\]", optional, re.sub(r"\[[A-Z]+=[^\]]*\]", left, alternative)
            ).split()
            for word in words:
                for placeholder, stands_for in PLACEHOLDERS.items():
                    word = word.replace(placeholder, stands_for)
                target = word.replace("FOLDER", "common")
                if target and "=" not in target and not target.endswith("-"):
                    assert target in make_targets(), line


@pytest.mark.parametrize("slug", ["asr-adapters", "continual-pretraining", "fine-grained-ssl", "extreme-vsr"])
@pytest.mark.parametrize("verb", ["reproduce", "data", "pack", "tune", "publish"])
def test_what_make_runs_for_a_paper_is_a_command(verb, slug):
    printed = run("make", "-n", f"{verb}-{slug}", "SCALE=smoke", "PYTHON=python").stdout
    (line,) = re.findall(r"python -m common\.run .*", printed)
    assert parsed(line) == verb


@pytest.mark.parametrize(("document", "line"), [one for one in SYNOPSES if not one[1].startswith("make")])
def test_every_option_of_a_synopsis_is_known(document, line):
    check_options(line)


def check_options(line):
    words = [word.strip("[]") for word in line.split()]
    name, verbs = (MODULES[words[2]], words[3]) if words[0] == "python" else (words[0], words[1])
    for verb in verbs.split("|"):
        known = {name for option in command_of(name).commands[verb].params for name in option.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


# ---- the first page, as it is pasted


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The files that the first page names; what stands for the packages of the model for films: a network of random
    weights, and vectors of the words that are asked."""
    noise = np.random.default_rng(0).standard_normal(48_000)
    soundfile.write(tmp_path / "talk.wav", 0.1 * noise, 16_000)
    odd_videos.film(tmp_path / "small.mp4", num_frames=3)
    for name in ("restored", "originals"):
        odd_videos.film(tmp_path / name / "walk.mp4", num_frames=3)
    odd_videos.film(tmp_path / "films" / "walk.mp4", num_frames=40)

    network = EfficientNetLite(LITE2)
    tensors = {f"trunk.network.{name}": tensor for name, tensor in network.state_dict().items()}
    words = vocabulary.made_up_vectors(["a suspension bridge"])
    monkeypatch.setattr(ImageNetClasses, "fetched", lambda self: tensors)
    monkeypatch.setattr(vocabulary, "glove", lambda: words)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_tools_of_the_first_page_run_as_printed_one_after_another(folder):
    tools = [line for line in commands_in("README.md") if line.split()[0] in SCRIPTS]
    assert len(tools) >= 7
    for line in tools:
        name, words = split(line)
        done = CliRunner().invoke(app_of(name), words)
        assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception!r}"
    assert {"large.mp4", "features", "why.png"} <= {path.name for path in folder.iterdir()}


@pytest.mark.usefixtures("folder")
def test_the_page_on_own_clips_runs_as_printed_from_files_to_a_search(monkeypatch):
    own_films.with_subtitles(Path("films"))
    films = sorted(Path("films").glob("[0-9]*.mp4"))
    rows = [(path, text, "", "") for path, text in zip(films, own_films.CAPTIONS, strict=True)]
    own_films.table(Path("clips.csv"), rows[:9])
    own_films.table(Path("dev.csv"), rows[9:])
    words = vocabulary.made_up_vectors([*own_films.CAPTIONS, "dog moving left cat"])
    monkeypatch.setattr(vocabulary, "glove", lambda: words)
    monkeypatch.setattr(own_recipe, "LEAST_STEPS", 1)
    monkeypatch.setattr(own_recipe, "EPOCHS", 1)
    monkeypatch.setattr(own_recipe, "MOST_THREADS", 1)
    for line in commands_in("docs/own-clips.md"):
        if len(split(line)[1]) > 1:  # a verb alone is named, not run
            done = CliRunner().invoke(app_of("clip-search"), split(line)[1])
            assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception!r}"


# ---- links


def anchors(path):
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_inside_the_repository_lead_somewhere(document):
    text = re.sub(r"^```.*?^```", "", (ROOT / document).read_text(encoding="utf-8"), flags=re.M | re.S)
    for link in (*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r'<img src="([^"]+)"', text)):
        if "://" in link:
            continue
        place, _, anchor = link.partition("#")
        target = (ROOT / document).parent / place if place else ROOT / document
        assert target.exists(), f"{document}: {link}"
        assert not anchor or anchor in anchors(target), f"{document}: {link}"


def test_documents_are_tracked():
    if tracked := tracked_files():
        assert {ROOT / document for document in DOCUMENTS} <= set(tracked)


STALE = ("published yet", "read by any code yet", "to come", "not built yet", "are still missing")


@pytest.mark.parametrize("words", STALE)
def test_nothing_promises_what_a_reader_cannot_have(words):
    """What is missing is said where a claim cannot be tested, by the claim itself."""
    found = [str(d) for d in DOCUMENTS if words in re.sub(r"<!-- generated.*?<!-- end -->", "",
             (ROOT / d).read_text(encoding="utf-8"), flags=re.S)]  # fmt: skip
    assert found == []
