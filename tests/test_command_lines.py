"""The four console scripts are one: -h, --version, names of options, what they say of them, and exit codes."""

import importlib
import re

import pytest
from repository import PYPROJECT
from typer.main import get_command
from typer.testing import CliRunner

SCRIPTS = PYPROJECT["project"]["scripts"]
# What an option is called, it means in every tool and verb, in these very words.
SHARED = {
    "--device": {"auto, cpu or cuda."},
    "--set": {"Override a setting; repeatable."},
    "--seed": {"Seed; it also picks the fold of test pictures."},
    "--version": {"Show the version and exit."},
}
MEANS = {  # begins with, in every tool
    "--overwrite": "Replace ",
    "--json": ("Print JSON", "Write FILE.json"),
    "--resume": "auto goes on, and refuses another run's folder",
    "--print-settings": ("Show every setting as --set takes it", "Check what is given, show every setting"),
}


def app_of(script):
    module, _, name = SCRIPTS[script].partition(":")
    return getattr(importlib.import_module(module), name)


def call(script, *words):
    return CliRunner().invoke(app_of(script), list(words), prog_name=script)


def options():
    """(script, verb, option) of all that there is."""
    for script in SCRIPTS:
        group = get_command(app_of(script))
        yield from ((script, "", option) for option in group.params)
        for verb, command in group.commands.items():
            yield from ((script, verb, one) for one in command.params if one.param_type_name == "option")


@pytest.mark.parametrize("script", SCRIPTS)
def test_h_is_help_of_a_tool_and_of_each_verb(script):
    assert call(script, "-h").output == call(script, "--help").output != ""
    for verb in get_command(app_of(script)).commands:
        short, long = call(script, verb, "-h"), call(script, verb, "--help")
        assert (short.exit_code, short.output) == (0, long.output)
        assert short.output.split()[:3] == ["Usage:", script, verb]


@pytest.mark.parametrize("script", SCRIPTS)
def test_version_is_the_projects(script):
    done = call(script, "--version")
    assert (done.exit_code, done.output) == (0, f"{script} {PYPROJECT['project']['version']}\n")


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("words", [("no-such-verb",), ("--no-such-option",)])
def test_what_is_not_known_is_a_mistake_of_the_user(script, words):
    done = call(script, *words)
    assert done.exit_code == 2
    assert words[0] in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_verb_refuses_an_unknown_option_alike(script):
    for verb in get_command(app_of(script)).commands:
        assert call(script, verb, "--no-such-option").exit_code == 2, verb


def test_an_option_means_the_same_everywhere():
    told = {}
    for _, _, option in options():
        for name in option.opts:
            told.setdefault(name, set()).add(option.help or "")
    for name, words in SHARED.items():
        assert told[name] == words
    for name, beginning in MEANS.items():
        assert all(words.startswith(beginning) for words in told[name]), name


def test_every_option_is_spelled_alike_and_says_what_it_is_for():
    for script, verb, option in options():
        assert (option.help or "").strip(), f"{script} {verb} {option.opts}"
        for name in (*option.opts, *option.secondary_opts):
            assert re.fullmatch(r"-[a-z]|--[a-z]+(-[a-z]+)*", name), f"{script} {verb} {name}"


def test_help_of_an_adapter_names_every_published_set():
    from speech_adapters.checkpoints.by_name import PUBLISHED

    names = ", ".join(sorted(path.stem for path in PUBLISHED.glob("*.safetensors")))
    told = [
        o.help for _, verb, o in options() if verb in ("transcribe", "evaluate") and "--adapter" in o.opts
    ]
    assert len(told) == 2
    assert all(words.startswith(f"A published set ({names}) or a set's file") for words in told)
