"""However a run is stopped, what is whole is saved, and what is said of it is true."""

import contextlib
import errno
import io
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import toy_recipe
from patience import HANG_S, started
from toy_recipe import Toy

from common import checkpoint, journal, output, papers, scoring, stopping, trainer
from common.errors import Interrupted

PAPER = replace(papers.find("extreme-vsr"), slug="toy")
RARELY = Toy(steps=6, save_every_s=1e6)
LONG = replace(RARELY, steps=100_000, nap_s=0.02)


def _train(folder, recipe=RARELY, **more):
    return trainer.train(recipe, **{"seed": 0, "folder": folder, "device": "cpu", **more})


def _weights(folder):
    return (folder / "weights.safetensors").read_bytes()


def _saved_step(folder):
    found = checkpoint.newest(folder / "checkpoints")
    return found.state["step"] if found else 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU])
def test_every_signal_that_asks_for_a_stop_saves_and_says_so(tmp_path, number):
    with toy_recipe.running(tmp_path, LONG, after_step=3) as process:
        os.kill(process.pid, number)
        process.join(HANG_S)
        assert process.exitcode == 130
    said = (tmp_path / "said.txt").read_text()
    assert f"stopped by {number.name}; step {_saved_step(tmp_path)} is saved" in said
    assert _saved_step(tmp_path) >= 3


def test_a_signal_that_somebody_ignores_or_listens_to_stays_theirs():
    heard, before = [], {number: signal.getsignal(number) for number in stopping.STOPS}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
        signal.signal(signal.SIGUSR2, lambda number, frame: heard.append(number))  # submitit
        with stopping.stops_noted() as caught:
            for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGUSR1):
                os.kill(os.getpid(), number)
        assert (caught, heard) == ([signal.SIGUSR1], [signal.SIGUSR2])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# ---- a second Ctrl-C


def _interrupted_twice_at(monkeypatch, step):
    """Both before the step is done, as within half a second."""
    original = Toy.losses

    def losses(self, model, batch, now):
        if now == step:
            for _ in range(2):
                signal.raise_signal(signal.SIGINT)
        return original(self, model, batch, now)

    monkeypatch.setattr(Toy, "losses", losses)


@pytest.mark.parametrize(
    ("save_every_s", "resume", "told"),
    [
        (1e6, "auto", "stopped at once; nothing is saved, the same command starts anew"),
        (-1.0, "auto", "stopped at once; step 2 is saved, the same command goes on from there"),
        (-1.0, "never", "stopped at once; step 2 is saved, the same command without --resume never goes on"),
    ],
)
def test_a_second_ctrl_c_tells_what_is_saved(tmp_path, monkeypatch, save_every_s, resume, told):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    _interrupted_twice_at(monkeypatch, 2)
    try:
        with pytest.raises(Interrupted, match=f"^{told}"):
            _train(tmp_path, replace(RARELY, save_every_s=save_every_s), resume=resume)
    finally:
        signal.signal(signal.SIGINT, before)
    assert _saved_step(tmp_path) == (2 if save_every_s < 0 else 0)


# ---- a step that fails

FAULTS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    MemoryError(),
    RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."),
    OSError(errno.EIO, "Input/output error"),
]


def _failing(monkeypatch, method, step, error):
    original = getattr(Toy, method)

    def fails(self, *told):
        found = original(self, *told)  # buffers have moved by now
        if told[-1 if method == "losses" else 1] == step:
            raise error
        return found

    monkeypatch.setattr(Toy, method, fails)


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("method", ["losses", "batch"])
def test_a_step_that_fails_costs_itself_alone_and_the_run_goes_on_to_equal_weights(
    tmp_path, monkeypatch, capsys, error, method
):
    _train(tmp_path / "uncut")
    with monkeypatch.context() as patch:
        _failing(patch, method, 3, error)
        with pytest.raises(type(error)):
            _train(tmp_path / "cut")
    assert _saved_step(tmp_path / "cut") == 3
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("stopped by")]
    assert len(told) == 1
    assert type(error).__name__ in told[0]
    assert told[0].endswith("; step 3 is saved, the same command goes on from there")
    assert journal.read(tmp_path / "cut" / "journal.jsonl")[-1]["event"] == "stopped"
    _train(tmp_path / "cut", resume="must")
    assert _weights(tmp_path / "cut") == _weights(tmp_path / "uncut")


def test_a_step_that_fails_while_weights_change_is_not_saved(tmp_path, monkeypatch, capsys):
    step = torch.optim.AdamW.step
    calls = iter(range(10))

    def half(optimizer, *rest, **more):
        found = step(optimizer, *rest, **more)
        if next(calls) == 3:
            raise torch.OutOfMemoryError("in the optimiser")
        return found

    monkeypatch.setattr(torch.optim.AdamW, "step", half)
    with pytest.raises(torch.OutOfMemoryError):
        _train(tmp_path)
    assert _saved_step(tmp_path) == 0
    assert "nothing is saved, the same command starts anew" in capsys.readouterr().err


def test_numbers_that_are_none_are_not_saved_when_a_later_step_fails(tmp_path, monkeypatch, capsys):
    _failing(monkeypatch, "losses", 4, MemoryError())
    with pytest.raises(MemoryError):
        _train(tmp_path, replace(RARELY, log_every=100, nan_loss_at=2))
    assert _saved_step(tmp_path) == 0
    assert "could not be saved: step 3: loss or gradient is no number" in capsys.readouterr().err


def test_a_failed_step_on_a_full_disk_still_fails_as_itself(tmp_path, monkeypatch, capsys):
    _failing(monkeypatch, "losses", 3, MemoryError())
    monkeypatch.setattr(
        checkpoint, "write_atomically", lambda *told: (_ for _ in ()).throw(OSError(28, "No space"))
    )
    with pytest.raises(MemoryError):
        _train(tmp_path)
    assert "could not be saved: [Errno 28] No space" in capsys.readouterr().err


# ---- nobody reads what is printed


class _Closed(io.StringIO):
    def write(self, *text):
        raise self.error

    flush = write


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO, errno.ENOSPC])
def test_training_and_scoring_go_on_where_nothing_can_be_printed(tmp_path, monkeypatch, number):
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path))
    closed = _Closed()
    closed.error = OSError(number, "nobody is there")
    with contextlib.redirect_stderr(closed), contextlib.redirect_stdout(closed):
        _train(PAPER.run_folder("smoke", "TOY", 0))
        assert scoring.score(PAPER, "TOY", RARELY, scale="smoke", seed=0, device="cpu").is_file()
    assert sys.stderr is not closed


def test_a_reader_that_ends_costs_no_step_and_no_exit_code(tmp_path):
    code = "import sys; from common.output import outlives_its_reader\n"
    code += "with outlives_its_reader():\n for n in range(100000): print(n); print(n, file=sys.stderr)\n"
    code += "open(sys.argv[1], 'w').write('done')"
    done = tmp_path / "done"
    command = [sys.executable, "-c", code, done]
    with started(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=Path(output.__file__).parents[1]
    ) as run:
        run.stdout.readline()
        run.stdout.close()
        assert run.wait(HANG_S) == 0
    assert done.read_text() == "done"


def test_printing_is_given_back_as_it_was(capsys):
    before = sys.stdout
    with output.outlives_its_reader(), output.outlives_its_reader():
        print("heard")
        assert not sys.stdout.isatty()
    assert sys.stdout is before
    assert capsys.readouterr().out == "heard\n"
