"""`python -m benchmarks` tells errors as every command does."""

import subprocess

from typer.testing import CliRunner

from benchmarks import __main__ as command


def test_an_unknown_benchmark_lists_the_known_ones():
    done = CliRunner().invoke(command.app, ["resize", "sorting"])
    assert done.exit_code == 2
    assert done.stderr.startswith("error: no benchmark sorting; there are resize, image_quality")


def test_one_that_fails_is_named_and_ends_the_command(monkeypatch):
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda line, check: subprocess.CompletedProcess(line, 3 if "upscaling" in line[-1] else 0),
    )
    done = CliRunner().invoke(command.app, ["resize", "upscaling", "clip_search"])
    assert done.exit_code == 2
    assert done.stdout == "resize, 1 of 3\nupscaling, 2 of 3\n"
    assert done.stderr == "error: benchmark upscaling ended with exit code 3; see above\n"
