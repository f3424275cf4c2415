"""`python -m benchmarks` tells errors as every command does."""

import subprocess
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks import plan, transcription, whisper_itself
from benchmarks import speech_steps as steps
from benchmarks.speech_peers import Sizes
from speech_adapters.own import published


def test_an_unknown_benchmark_lists_the_known_ones():
    done = CliRunner().invoke(command.app, ["resize", "sorting"])
    assert done.exit_code == 2
    assert done.stderr.startswith("error: no benchmark sorting; there are speech_steps, transcription")


def _run(monkeypatch, tmp_path, *words, fails=""):
    lines = []

    def ran(line, check):
        lines.append(line[2:])
        return subprocess.CompletedProcess(line, 3 if fails and fails in line[2] else 0)

    monkeypatch.setattr(subprocess, "run", ran)
    return CliRunner().invoke(command.app, [*words, "--folder", str(tmp_path)]), lines


def test_one_that_fails_is_named_and_the_others_are_run(monkeypatch, tmp_path):
    done, lines = _run(monkeypatch, tmp_path, "upscaling", "resize", fails="upscaling")
    assert done.exit_code == 2
    assert "upscaling times ended with exit code 3, see above\n" in done.stderr
    parts = ", ".join(f"upscaling {part} (exit code 3)" for part in ("times", "peers", "memory"))
    told = f"error: failed: {parts}; see above."
    assert f"{told} The other parts are kept\n" in done.stderr
    assert [line[0] for line in lines] == [
        "benchmarks.upscaling",
        "benchmarks.upscaling",
        "benchmarks.resize",
        "benchmarks.upscaling",
    ]


def test_a_stop_renews_the_tables_of_what_was_finished(monkeypatch):
    renewed = []
    monkeypatch.setattr(command, "_renew_tables", lambda: renewed.append(True))

    def stopped(line, check):
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", stopped)
    assert CliRunner().invoke(command.app, ["resize"]).exit_code == 130
    assert renewed


def test_a_slow_machine_begins_nothing_that_its_pace_would_end_too_late(monkeypatch, tmp_path):
    clock = iter(range(0, 10_000, 60))  # a minute at every look, twice what resize is planned to take
    monkeypatch.setattr(command, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(
        command, "PROFILES", (plan.Planned("one", "all", 0.5), plan.Planned("two", "all", 2.0))
    )
    done, lines = _run(monkeypatch, tmp_path, "--profile", "--minutes", "5")
    assert [line[0] for line in lines] == ["benchmarks.one"]
    assert "no time was left for: two all" in done.stdout


def test_profiles_take_no_names(monkeypatch, tmp_path):
    done, lines = _run(monkeypatch, tmp_path, "resize", "--profile")
    assert done.stderr == "error: --profile looks at profiles all and takes no names, got resize\n"
    assert not lines


def test_settings_reach_every_part(monkeypatch, tmp_path):
    _, lines = _run(monkeypatch, tmp_path, "resize", "--quiet", "--cores", "1", "--repeats", "3")
    words = ["--quiet", "--threads", "1", "--repeats", "3", "--folder", str(tmp_path)]
    assert lines == [["benchmarks.resize", "--parts", "all", *words]]


def test_what_would_end_too_late_is_not_begun_and_named(monkeypatch, tmp_path):
    done, lines = _run(monkeypatch, tmp_path, "speech_steps", "--minutes", "2")
    begun = [line[2] for line in lines]
    assert begun == [each.part for each in plan.planned(["speech_steps"]) if each.minutes < 2]
    assert "no time was left for: speech_steps ragged" in done.stdout


def test_every_part_is_planned():
    planned = {str(each) for each in plan.PLAN}
    assert {f"speech_steps {part}" for part in steps.contests(Sizes())} < planned
    assert {f"transcription {part}" for part in transcription.PARTS} < planned


@pytest.mark.parametrize(
    "words", [("--repeats", "0"), ("--cores", "0"), ("--cores", "3"), ("--minutes", "-1")]
)
def test_numbers_that_cannot_be_are_refused(monkeypatch, tmp_path, words):
    done, lines = _run(monkeypatch, tmp_path, "resize", *words)
    assert done.exit_code == 2
    assert words[0] in done.stderr
    assert not lines


@pytest.mark.parametrize(
    ("main", "words"),
    [
        (published.main, ["de", "--out", "speech"]),
        (whisper_itself.main, ["--python", "python", "--rates", "en", "--rates", "de"]),
    ],
)
def test_an_unknown_language_is_named_with_those_there_are(monkeypatch, tmp_path, main, words):
    monkeypatch.chdir(tmp_path)
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert done.stderr == "error: no published set of 'de'; languages are en, fr, es, it, ru\n"
    assert not [*tmp_path.iterdir()]
