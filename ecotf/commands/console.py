"""The parts that all commands share: one line for a user's mistake, quiet libraries, and exit statuses."""

from __future__ import annotations

import argparse
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ecotf.errors import EcotfError
from ecotf.quiet import load_keras_alone, quieten_libraries
from ecotf.strangers import on_one_line
from ecotf.training.run_store import Detail

console = Console(highlight=False, soft_wrap=True, emoji=False)
complaints = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)

NOTHING_DONE = 2
INTERRUPTED = 130

SCRIPTS = {
    "train": "run_training.py",
    "classify": "run_classifier.py",
    "report": "make_report.py",
    "tune": "run_tuning.py",
    "export": "export_model.py",
    "flash": "flash_device.py",
    "dataset": "make_dataset.py",
}
_COMMAND = re.compile(rf"\becotf ({'|'.join(SCRIPTS)})\b")


def run_command(command: Callable[[Sequence[str]], int], arguments: Sequence[str] | None = None) -> None:
    """Run ``command`` with the command line and exit with its status; a user's mistake is one line and status 2."""
    quieten_libraries()
    load_keras_alone()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name that is not UTF-8, or a terminal that is not
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            status = command(sys.argv[1:] if arguments is None else arguments)
    except EcotfError as error:
        complaints.print(f"[bold red]error:[/] {plain(as_called(str(error)))}")
        status = NOTHING_DONE
    except KeyboardInterrupt:
        complaints.print("stopped; what was finished is kept")
        status = INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`| head`); nobody reads our messages any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.stdout.flush()
    raise SystemExit(status)


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning in one line, without the place in the code that gives it."""
    complaints.print(f"warning: {plain(message)}")


def as_called(text: str) -> str:
    """Write the commands in ``text`` as the user calls them.

    Messages and help name commands as ``ecotf train``. Whoever came through ``python scripts/run_training.py`` reads
    that instead.
    """
    if Path(sys.argv[0]).name not in (*SCRIPTS.values(), "demo.py"):  # `make run` is of a checkout, too
        return text
    return _COMMAND.sub(lambda found: f"python scripts/{SCRIPTS[found[1]]}", text)


class _Parser(argparse.ArgumentParser):
    """A parser whose help names commands as the user calls them."""

    def format_help(self) -> str:
        return as_called(super().format_help())


def make_parser(command: str, description: str, epilog: str = "") -> argparse.ArgumentParser:
    """Make the parser of ``ecotf COMMAND``; its texts name commands as ``ecotf train``, see `as_called`."""
    return _Parser(
        prog=as_called(f"ecotf {command}").removeprefix("python scripts/"),
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def progress_bar() -> Progress:
    """Make a progress bar with counts and times; it prints nothing where the output is not a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def log(line: str) -> None:
    """Print one line of the log."""
    console.print(plain(as_called(line)), style="dim" if isinstance(line, Detail) else None)


def plain(text: object) -> str:
    r"""Write a name, or what a device answered, so that it is shown and does nothing: no markup, escapes or line ends.

    Everything that is not ecotf's own text goes through this before it is printed.

    Examples
    --------
    >>> plain("night [red].wav\n")
    'night \\[red].wav␊'
    """
    return escape(on_one_line(text))
