"""setup.sh picks the environment; a wrong pick costs a reader 5.8 GB, or an import error much later."""

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from patience import HANG_S

ROOT = Path(__file__).parents[1]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with setup.sh, a project and a lock of one package, which the running interpreter has."""
    shutil.copy(ROOT / "setup.sh", tmp_path)
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'nothing'\n")
    (tmp_path / "requirements.lock").write_text(
        f"packaging=={metadata.version('packaging')} \\\n    --hash=sha256:0\n"
    )
    return tmp_path


def run_setup(clone: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = ["/bin/bash", str(clone / "setup.sh"), *arguments]
    return subprocess.run(
        command, env=kept | variables, capture_output=True, text=True, timeout=HANG_S, check=False
    )


def test_an_environment_with_every_pin_fits(clone):
    assert run_setup(clone, "--fits", sys.executable).returncode == 0


def test_an_environment_with_another_version_does_not_fit(clone):
    (clone / "requirements.lock").write_text("packaging==0.1 \\\n    --hash=sha256:0\n")
    done = run_setup(clone, "--fits", sys.executable)
    assert done.returncode == 1
    assert f"packaging==0.1 (has {metadata.version('packaging')})" in done.stderr


def test_a_missing_package_does_not_fit(clone):
    (clone / "requirements.lock").write_text("no-such-package==1.0 \\\n    --hash=sha256:0\n")
    assert "no-such-package==1.0 (missing)" in run_setup(clone, "--fits", sys.executable).stderr


def test_a_pin_for_another_python_is_not_asked_for(clone):
    with (clone / "requirements.lock").open("a") as lock:
        lock.write("no-such-package==1.0 ; python_full_version < '3.11' \\\n    --hash=sha256:0\n")
    assert run_setup(clone, "--fits", sys.executable).returncode == 0


def test_an_active_environment_that_fits_is_used(clone):
    done = run_setup(clone, "--python", VIRTUAL_ENV=sys.prefix)
    assert done.stdout == f"{sys.prefix}/bin/python\n"
    assert not (clone / ".venv").exists()


def test_too_little_disk_is_said_with_both_numbers(clone):
    done = run_setup(clone, SETUP_FREE_GB="999999")
    assert done.returncode == 1
    assert "needs 999999 GB" in done.stderr
    free_gb = float(re.search(r"has ([\d.]+) GB", done.stderr)[1])
    assert free_gb == pytest.approx(shutil.disk_usage(clone).free / 1e9, rel=0.05)
    assert not (clone / ".venv").exists()


def test_no_suitable_python_is_said_with_the_way_out(clone):
    tools = clone / "bin"
    tools.mkdir()
    for tool in ("dirname", "rm", "awk", "df", "cmp"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    done = run_setup(clone, PATH=str(tools))
    assert done.returncode == 1
    assert "no Python 3.11 or 3.12" in done.stderr
    assert "python3.12-venv" in done.stderr


def test_a_finished_environment_is_recognised_by_its_copies_of_lock_and_project(clone):
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "python").symlink_to(sys.executable)
    for name, copy in (
        ("requirements.lock", ".installed.lock"),
        ("pyproject.toml", ".installed.pyproject.toml"),
    ):
        shutil.copy(clone / name, clone / ".venv" / copy)
    assert run_setup(clone, "--python").stdout == f"{clone}/.venv/bin/python\n"


def a_stub(clone: Path, code: str) -> None:
    """In place of .venv's interpreter, with every package in place and no commands yet."""
    test_a_finished_environment_is_recognised_by_its_copies_of_lock_and_project(clone)
    (clone / ".venv" / ".installed.pyproject.toml").unlink()
    (clone / ".venv" / "bin" / "python").unlink()
    (clone / ".venv" / "bin" / "python").write_text(f"#!/bin/sh\n{code}\n")
    (clone / ".venv" / "bin" / "python").chmod(0o755)


def without_uv(clone: Path) -> str:
    tools = clone / "tools"
    tools.mkdir()
    for tool in ("dirname", "rm", "cp", "cmp", "flock"):
        if found := shutil.which(tool):
            (tools / tool).symlink_to(found)
    return str(tools)


def test_commands_are_installed_once_without_a_network(clone):
    a_stub(clone, f'echo "$@" >> {clone}/asked')
    path = without_uv(clone)
    for _ in range(2):
        done = run_setup(clone, "--python", PATH=path)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{clone}/.venv/bin/python\n", "")
    (line,) = [line for line in (clone / "asked").read_text().splitlines() if "pip install" in line]
    assert "--no-deps --no-build-isolation --no-index --editable ." in line


def test_commands_that_cannot_be_installed_cost_a_sentence_and_no_more(clone):
    a_stub(clone, '[ "$1" = -c ]')
    done = run_setup(clone, "--python", PATH=without_uv(clone))
    assert (done.returncode, done.stdout) == (0, f"{clone}/.venv/bin/python\n")
    assert done.stderr.count("\n") == 1
    assert "python -m video_sr works as well" in done.stderr


def test_an_interrupted_installation_is_not_taken_for_a_whole_one(clone):
    test_a_finished_environment_is_recognised_by_its_copies_of_lock_and_project(clone)
    (clone / ".venv" / ".unfinished").touch()
    done = run_setup(clone, "--python", SETUP_FREE_GB="999999")  # stops before anything is fetched
    assert done.returncode == 1
    assert "made anew" in done.stderr
