"""Peers beside a result: they enlarge the degraded truth, and are scored by the same scorer."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from video_sr.__main__ import app
from video_sr.measures import PSNR
from video_sr.models import by_name
from video_sr.protocol import degrade, super_resolve


@pytest.fixture
def sides(tmp_path):
    """What bicubic makes of three frames, and the frames, whose last 5 rows the protocol cuts."""
    truth = np.random.default_rng(0).integers(0, 256, (3, 53, 64, 3), dtype=np.uint8)
    made = super_resolve(by_name.load("bicubic"), (degrade(frame[:48]) for frame in truth))
    for name, frames in (("sr", made), ("hr", truth)):
        (tmp_path / name).mkdir()
        for index, frame in enumerate(frames):
            Image.fromarray(frame).save(tmp_path / name / f"{index}.png")
    return ["score", "--sr", str(tmp_path / "sr"), "--hr", str(tmp_path / "hr")]


def test_a_peer_that_made_the_result_has_its_scores(sides):
    done = CliRunner().invoke(app, [*sides, "--peer", "bicubic", "--peer", "wide", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    bicubic, wide = found["peers"]["bicubic"], found["peers"]["wide"]
    assert bicubic["means"] == {name: found["means"][name] for name in bicubic["means"]}
    assert PSNR.name in bicubic["means"]
    assert (bicubic["weights"], wide["weights"]) == (0, 513_276)
    assert wide["means"][PSNR.name] != bicubic["means"][PSNR.name]
    assert wide["seconds_a_frame"] > 0
    assert 1e8 < wide["memory_bytes"] < 1e11


def test_the_table_has_a_row_for_each_and_says_whose_seconds_they_are(sides):
    done = CliRunner().invoke(app, [*sides, "--peer", "bicubic"])
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(("method", "SR", "bicubic"))]
    assert [row[0] for row in rows] == ["method", "SR", "bicubic"]
    assert rows[1][1:-3] == rows[2][1:-3]
    assert "seconds are the network's alone, on this machine's CPU" in done.stdout


def test_an_unknown_peer_is_told_before_any_work(sides):
    done = CliRunner().invoke(app, [*sides, "--peer", "nope"])
    assert (done.exit_code, "unknown model 'nope'" in done.stderr, done.stdout) == (2, True, "")


def test_without_peers_nothing_is_said_of_them(sides):
    done = CliRunner().invoke(app, [*sides, "--json"])
    assert "peers" not in json.loads(done.stdout)
