"""Failures that a command line tells in one sentence, each with the exit code it ends with.

    1    what was asked for was done, and it found something wrong: a stale table, a file that cannot be read
    2    a user's mistake or machine: ValueError, OSError, memory, `CommandError`
    4    `Diverged`
    128 + number    a signal: 130 is Ctrl-C, and a training that was stopped and saved (`Interrupted`)

Anything else is a fault of ours and keeps its traceback. `common.command.plain_errors` carries this out.
"""

from typing import ClassVar


class CommandError(RuntimeError):
    """Ends a command; the message is the sentence that a user reads."""

    exit_code: ClassVar[int] = 2


class Diverged(CommandError):
    """A run that must not go on: non-finite, collapsed or exploding."""

    exit_code = 4


class Interrupted(CommandError):
    """SIGTERM or Ctrl-C came; the run is saved and goes on with the same command."""

    exit_code = 130
