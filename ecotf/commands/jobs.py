"""What commands share that go through recordings: checks of options, interruption, complaints, the exit status."""

from __future__ import annotations

import argparse
import math
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from ecotf.commands.console import INTERRUPTED, complaints, log, plain
from ecotf.errors import ConfigError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from ecotf.audio.channels import ChannelChoice
    from ecotf.inference.ledger import RecordingStatus
    from ecotf.inference.outcome import Outcome


def check_job(options: argparse.Namespace, one_channel: str) -> None:
    """Raise `ConfigError` for options of a job that cannot be; ``one_channel`` says why a job has one channel alone."""
    if options.resume and options.overwrite:
        raise ConfigError("--resume continues a job and --overwrite replaces it: choose one")
    expansion_of(options.time_expansion)
    if channel_of(options.channel) == "each":
        raise ConfigError(f"--channel each: {one_channel}; allowed are mix, or a number from 1")


def stopped(arguments: Sequence[str], command: str) -> int:
    """Say how an interrupted job is continued; returns the exit status."""
    complaints.print("stopped; what was finished is kept. To continue:")
    complaints.print(plain(command_to_go_on(arguments, command)))
    return INTERRUPTED


def tell_outcome(bar: Progress, task: TaskID) -> Callable[[str, Outcome], None]:
    """Make the function that is told of each recording: it moves the bar, and says what could not be used and why."""

    def report(recording: str, outcome: Outcome) -> None:
        bar.advance(task)
        if outcome.status != "done" or outcome.reason:
            bar.console.print(plain(f"{recording}: {outcome.status}: {outcome.reason}"))

    return report


def log_counts(counts: Mapping[RecordingStatus, int]) -> None:
    """Log how many recordings ended in each status."""
    log("recordings: " + ", ".join(f"{number} {status}" for status, number in counts.items() if number))


def status_of(counts: Mapping[RecordingStatus, int], problems: bool) -> int:
    """Return the exit status of a job; ``problems``: an argument stood for no recording."""
    from ecotf.inference.ledger import exit_status

    status = exit_status(counts)
    return max(status, 1) if problems else status


def command_to_go_on(arguments: Sequence[str], command: str) -> str:
    """Write the command line that continues an interrupted job, as a shell takes it.

    Examples
    --------
    >>> command_to_go_on(["--model", "run", "my night/", "--output", "out", "--overwrite"], "classify")
    "ecotf classify --model run 'my night/' --output out --resume"
    """
    typed = sys.orig_argv
    given = list(arguments)
    door = ["ecotf", command]
    if typed[len(typed) - len(given) :] == given:
        door = typed[: len(typed) - len(given)]
    kept = [word for word in given if not (word.startswith("--ov") and "--overwrite".startswith(word))]
    resume = [] if "--resume" in kept else ["--resume"]
    return " ".join(_quoted(word) for word in [*door, *kept, *resume])


def _quoted(word: str) -> str:
    """Quote a word for a shell; characters that no terminal can show are written as bytes."""
    if word.isprintable():
        return shlex.quote(word)
    shown = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in "\\'" else f"\\x{byte:02x}" for byte in os.fsencode(word)
    )
    return f"$'{shown}'"


def channel_of(text: str) -> ChannelChoice | Literal["each"]:
    """Read ``--channel``; raises `ConfigError`."""
    if text == "mix":
        return "mix"
    if text == "each":
        return "each"
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"--channel {text!r}: allowed are mix, each, or a channel's number, counted from 1")
    return int(text)


def expansion_of(factor: float | None) -> float | None:
    """Check ``--time-expansion``; raises `ConfigError`."""
    if factor is not None and not 0 < factor < math.inf:
        raise ConfigError(f"--time-expansion {factor:g}: it is a factor above 0; 10 for recordings slowed ten times")
    return factor
