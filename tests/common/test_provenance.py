"""The commit, the machine and what differs from the commit."""

import subprocess

import pytest

from common.command import tell_changes
from common.provenance import changes, provenance


@pytest.fixture
def checkout(tmp_path):
    """A repository of one commit."""

    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", *arguments], check=True
        )

    git("init", "-q")
    (tmp_path / "requirements.lock").write_text("x")
    git("add", ".")
    git("commit", "-qm", "x")
    return tmp_path


def test_provenance_says_commit_and_dirt(checkout):
    clean = provenance(checkout, gpu="a GPU", packages=("jinja2", "no-such-package"))
    assert (clean["dirty"], len(clean["commit"]), clean["hardware"]["gpu"]) == (False, 40, "a GPU")
    assert clean["versions"]["no-such-package"] == "not installed"
    assert clean["versions"]["jinja2"][0].isdigit()
    (checkout / "new.py").write_text("x")
    assert provenance(checkout)["dirty"]


def test_outside_a_checkout_the_commit_is_unknown_and_nothing_is_told(tmp_path):
    found = provenance(tmp_path)
    assert (found["commit"], found["dirty"], found["lock_sha256"]) == ("unknown", True, "missing")
    assert changes(tmp_path) == ""


def test_changes_name_a_file_and_count_the_others(checkout):
    assert changes(checkout) == ""
    (checkout / "requirements.lock").write_text("y")
    assert "differs from its commit (M requirements.lock): results" in changes(checkout)
    (checkout / "new.py").write_text("x")
    (checkout / "newer.py").write_text("x")
    assert "(M requirements.lock and 2 more)" in changes(checkout)


def test_commands_tell_what_differs_on_the_error_stream_and_nothing_where_nothing_does(monkeypatch, capsys):
    for told in ("it differs", ""):
        monkeypatch.setattr("common.provenance.changes", lambda root, told=told: told)
        tell_changes()
        assert capsys.readouterr() == ("", f"{told}\n" if told else "")


@pytest.mark.parametrize(
    ("flags", "has", "widest"),
    [({"avx2", "avx512f", "avx512_bf16"}, True, "avx512f"), ({"avx", "avx2"}, False, "avx2"),
     ({"asimd", "bf16"}, True, "asimd"), (set(), False, "")],
)  # fmt: skip
def test_a_result_names_the_instructions_of_its_cpu(monkeypatch, tmp_path, flags, has, widest):
    monkeypatch.setattr("common.provenance._flags", lambda: frozenset(flags))
    hardware = provenance(tmp_path)["hardware"]
    assert (hardware["bf16"], hardware["vector_instructions"]) == (has, widest)
