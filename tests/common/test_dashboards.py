"""Laws of dashboards: one setting names them, TensorBoard holds what the journal holds, workspaces need no network."""

import json
import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from common import dashboard, mirrors, papers, run, workspaces
from common.journal import Journal


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        (None, ("wandb",)),
        ("", ("wandb",)),
        ("none", ()),
        ("tensorboard", ("tensorboard",)),
        ("wandb, tensorboard", ("wandb", "tensorboard")),
    ],
)
def test_one_setting_names_the_dashboards(setting, names, monkeypatch):
    monkeypatch.delenv(mirrors.SETTING, raising=False)
    if setting is not None:
        monkeypatch.setenv(mirrors.SETTING, setting)
    assert mirrors.asked() == names


def test_an_unknown_dashboard_is_named_with_those_there_are(monkeypatch):
    monkeypatch.setenv(mirrors.SETTING, "trackio")
    with pytest.raises(ValueError, match="DASHBOARD must be of wandb, tensorboard, none, got trackio"):
        mirrors.asked()


@pytest.mark.parametrize(
    "words",
    [
        ("train", "extreme-vsr", "WIDE", "--scale", "smoke"),
        ("reproduce", "extreme-vsr", "--scale", "smoke"),
        ("tune", "extreme-vsr", "--scale", "smoke"),
        ("dashboard",),
    ],
)
def test_an_unknown_dashboard_is_refused_before_anything_is_begun(words, tmp_path, monkeypatch):
    for root in ("RUNS_ROOT", "DATA_ROOT"):
        monkeypatch.setenv(root, str(tmp_path))
    monkeypatch.setenv(mirrors.SETTING, "foo")
    done = CliRunner().invoke(run.cli, list(words))
    assert (done.exit_code, done.output) == (
        2,
        "error: DASHBOARD must be of wandb, tensorboard, none, got foo\n",
    )
    assert list(tmp_path.iterdir()) == []


def test_help_of_the_dashboard_says_what_it_opens():
    told = CliRunner().invoke(run.cli, ["dashboard", "--help"]).output
    assert all(
        word in told for word in ("terminal viewer", "TensorBoard", "DASHBOARD=", "--upload", "account")
    )


def shown(folder, **more):
    (mirror,) = mirrors.dashboards(
        ("tensorboard",), project="p", group="g", name="n", config={}, folder=folder, first_step=0
    )
    return mirror


def test_without_the_package_a_run_goes_on_after_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with Journal(tmp_path / "journal.jsonl", [shown(tmp_path)]) as journal:
        for step in range(3):
            journal.log(step, {"loss": 1.0})
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("TensorBoard is left out of this run, the journal has everything")


def test_event_files_hold_the_journals_scalars_and_pictures(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra `dashboards` is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    Image.fromarray(np.full((4, 6, 3), 7, np.uint8)).save(tmp_path / "grey.png")
    with Journal(tmp_path / "journal.jsonl", [shown(tmp_path)]) as journal:
        for step in range(3):
            journal.log(step, {"loss": 3.0 - step})
        journal.picture(2, "grey", tmp_path / "grey.png")
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(one.step, one.value) for one in events.Scalars("loss")] == [(0, 3.0), (1, 2.0), (2, 1.0)]
    assert [(one.step, one.width, one.height) for one in events.Images("grey")] == [(2, 6, 4)]


def test_without_runs_the_dashboard_says_how_to_get_some(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path))
    dashboard.show(upload=False)
    assert "`make reproduce-extreme-vsr SCALE=smoke` makes some" in capsys.readouterr().out


def test_the_dashboard_names_what_can_be_looked_at_further(tmp_path):
    assert "keeps curves and pictures" in "".join(dashboard.further(tmp_path))
    folder = tmp_path / "extreme-vsr" / "smoke" / "WIDE" / "seed0"
    (folder / "wandb" / "offline-run-1").mkdir(parents=True)
    (folder / "tensorboard").mkdir()
    (folder / "tensorboard" / "events.out.tfevents.1").touch()
    told = "\n".join(dashboard.further(tmp_path))
    assert "1 offline runs of W&B" in told
    assert f"--logdir {tmp_path}" in told


@pytest.mark.parametrize("slug", papers.papers())
def test_workspaces_are_built_offline_and_group_runs_by_paper_scale_and_recipe(slug, monkeypatch):
    pytest.importorskip("wandb_workspaces", reason="the extra `dashboards` is not installed")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    view = workspaces.workspace(papers.find(slug), "somebody")
    built = json.loads(view._to_model().model_dump_json(by_alias=True))
    (runs,) = built["spec"]["section"]["runSets"]
    assert [one["name"] for one in runs["grouping"]] == [f"{key}.value" for key in workspaces.GROUPED_BY]
    assert slug in json.dumps(runs["filters"])
    assert "Run History Line Plot" in json.dumps(built)


def test_workspaces_without_the_extra_are_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    with pytest.raises(ValueError, match=r'the extra: pip install -e "\.\[dashboards\]"'):
        workspaces.save([], "somebody")
