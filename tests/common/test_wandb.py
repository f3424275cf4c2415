"""Laws of the W&B mirror: it shows what the journal holds, and no key, package or network can hold up a run."""

import json
import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from patience import HANG_S

from common import journal

SCRIPT = Path(__file__).parents[1] / "fixtures" / "wandb_run.py"
LIMIT_S = 8.0


def _train(folder, *arguments, limit_s=HANG_S / 2, **settings):
    """(seconds, lines of stderr) of a toy training with the mirror on."""
    blank = {key: value for key, value in os.environ.items() if not key.startswith("WANDB")}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(limit_s), *arguments],
        env=blank | {"NETRC": str(folder / "no-netrc"), "OMP_NUM_THREADS": "1"} | settings,
        capture_output=True, text=True, timeout=HANG_S, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    steps = [row["step"] for row in journal.read(folder / "journal.jsonl") if row["event"] == "train"]
    assert steps == [1, 2, 3, 4]
    assert (folder / "weights.safetensors").exists()
    said = [line for line in done.stderr.splitlines() if "fresh run" not in line]
    return time.monotonic() - started, said


@pytest.mark.parametrize(
    ("settings", "mode"),
    [
        ({}, "offline"),
        ({"WANDB_API_KEY": "0" * 40}, "offline"),
        ({"WANDB_MODE": "disabled", "WANDB_API_KEY": "0" * 40}, "disabled"),
        ({"WANDB_MODE": "online"}, "online"),
    ],
)
def test_the_mode_is_what_people_expect(monkeypatch, tmp_path, settings, mode):
    for key in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for key, value in settings.items():
        monkeypatch.setenv(key, value)
    found, notice = journal.wandb_mode()
    assert found == mode
    assert ("kept offline beside its journal; WANDB_MODE=online sends runs" in notice) == (
        "WANDB_MODE" not in settings
    )
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password x")
    assert journal.wandb_mode()[0] == mode  # a key that lies around asks for nothing


def test_a_disabled_mirror_starts_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    mirror = journal.Wandb(project="p", group="g", name="n", config={}, folder=tmp_path)
    mirror.log(1, {"loss": 1.0})
    mirror.close()
    assert not mirror.thread.is_alive()
    assert list(tmp_path.iterdir()) == []


class _Hangs:
    """Stands for the package, with a server that never answers."""

    Settings = staticmethod(lambda **settings: settings)

    def __init__(self, error=None):
        self.error, self.answer = error, threading.Event()

    def init(self, **options):
        if self.error:
            raise self.error
        self.answer.wait()


def test_a_hanging_server_costs_the_limit_and_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setitem(sys.modules, "wandb", server := _Hangs())
    started, waits = time.monotonic(), []
    mirror = journal.Wandb(project="p", group="g", name="n", config={}, folder=tmp_path, limit_s=0.3)
    join = mirror.thread.join
    monkeypatch.setattr(mirror.thread, "join", lambda limit_s: waits.append(limit_s) or join(limit_s))
    for step in range(1000):
        mirror.log(step, {"loss": 1.0})
    mirror.close()
    mirror.log(5, {"loss": 1.0})
    mirror.close()
    assert mirror.thread.is_alive()  # nobody waited for the answer
    assert waits == [0.3]
    assert time.monotonic() - started < 100  # rows that waited for it as well would take 300 s
    server.answer.set()
    assert capsys.readouterr().err.splitlines() == ["W&B did not finish within 0 s and is left behind"]


@pytest.mark.parametrize(
    "error", [ImportError("No module"), RuntimeError("refused"), SystemExit(1), OSError(28)]
)
def test_any_failure_costs_one_line(monkeypatch, tmp_path, capsys, error):
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setitem(sys.modules, "wandb", _Hangs(error=error))
    mirror = journal.Wandb(project="p", group="g", name="n", config={}, folder=tmp_path)
    mirror.thread.join(HANG_S)
    mirror.log(1, {"loss": 1.0})
    mirror.close()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("W&B is left out of this run, the journal has everything: ")


@pytest.mark.slow  # processes that import everything
def test_without_the_package_a_run_goes_on(tmp_path):
    _, said = _train(tmp_path, "without-wandb", WANDB_MODE="offline")
    (line,) = [line for line in said if "W&B" in line]
    assert "W&B is left out of this run" in line


@pytest.mark.slow
def test_without_a_network_a_run_goes_on_and_ends_in_bounded_time(tmp_path):
    dead = {
        "WANDB_BASE_URL": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    alone, _ = _train(tmp_path / "alone", WANDB_MODE="disabled")
    seconds, said = _train(
        tmp_path / "mirrored", limit_s=LIMIT_S, WANDB_MODE="online", WANDB_API_KEY="0123456789" * 4, **dead
    )
    assert len([line for line in said if "W&B" in line]) == 1, said
    assert (
        seconds < 10 * alone + 2 * LIMIT_S
    )  # so much more for imports; W&B by itself goes on trying for hours


def _offline_run(folder, **settings):
    _, said = _train(folder, **settings)
    (run,) = (folder / "wandb").glob("offline-run-*")
    return run, said


def _inspect(run):
    """(config, history rows, files) that the package's own tool reads out of an offline run."""
    tool = Path(sys.executable).with_name("wandb")
    done = subprocess.run(
        [tool, "leet", "inspect", "--json", run], capture_output=True, text=True, timeout=HANG_S
    )
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    config = next(record["run"] for record in records if record["type"] == "run")["config"]["update"]
    history = [record["history"]["item"] for record in records if record["type"] == "history"]
    files = [
        file["path"] for record in records if record["type"] == "files" for file in record["files"]["files"]
    ]
    assert any(
        r["type"] == "metric" and r["metric"]["step_metric"] == "step" for r in records
    )  # our own axis
    return config, history, files


def _holds_the_journal(run, journal_path):
    _, history, files = _inspect(run)
    rows = {row["step"]: row["square"] for row in journal.read(journal_path) if row["event"] == "train"}
    assert {row["step"]: row["square"] for row in history if "square" in row} == pytest.approx(rows)
    (picture,) = [row["grey.path"] for row in history if "grey.path" in row]
    assert picture in files
    assert (run / "files" / picture).stat().st_size > 0


def _tells_nothing_of_the_machine(run, folder):
    """In what would be sent: no absolute path, argument, remote, host or person. The logs beside it stay here."""
    sent = [path for path in run.rglob("*") if path.is_file() and path.parent.name != "logs"]
    content = b"".join(path.read_bytes() for path in sent)
    private = [folder, SCRIPT.parents[2], SCRIPT.name, sys.executable, Path.home(), platform.node(), ".git"]
    assert [text for text in map(str, private) if text.encode() in content] == []
    assert not {"wandb-metadata.json", "code"} & {path.name for path in run.rglob("*")}


@pytest.mark.slow
def test_without_a_key_the_run_is_kept_offline_with_scalars_config_and_picture_and_can_be_replayed(tmp_path):
    _, said = _train(tmp_path)
    assert len([line for line in said if "W&B: this run is kept offline" in line]) == 1
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    _holds_the_journal(run, tmp_path / "journal.jsonl")
    _tells_nothing_of_the_machine(run, tmp_path)
    config, _, _ = _inspect(run)
    assert (config["steps"], config["peak_lr"], config["data"]) == (4, 0.02, "toys")
    replay = "from common import journal; from pathlib import Path; import sys; "
    replay += "journal.replay(Path(sys.argv[1]), project='p', group='g', name='n')"
    command = [sys.executable, "-c", replay, str(tmp_path / "journal.jsonl")]
    subprocess.run(command, env=os.environ | {"WANDB_MODE": "offline"}, check=True, timeout=HANG_S)
    (again,) = set((tmp_path / "wandb").glob("offline-run-*")) - {run}
    _holds_the_journal(again, tmp_path / "journal.jsonl")
