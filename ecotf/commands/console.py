"""What all commands share: one line for a user's mistake, quiet libraries, and exit statuses."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ecotf.errors import EcotfError
from ecotf.training.run_store import Detail

console = Console(highlight=False, soft_wrap=True)
complaints = Console(stderr=True, highlight=False, soft_wrap=True)

NOTHING_DONE = 2
INTERRUPTED = 130


def run_command(command: Callable[[Sequence[str]], int], arguments: Sequence[str] | None = None) -> None:
    """Run ``command`` with the command line and exit with its status; a user's mistake is one line and status 2."""
    quieten_libraries()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name that is not UTF-8, or a terminal that is not
    try:
        status = command(sys.argv[1:] if arguments is None else arguments)
    except EcotfError as error:
        complaints.print(f"[bold red]error:[/] {_plain(str(error))}")
        status = NOTHING_DONE
    except KeyboardInterrupt:
        complaints.print("stopped; what was finished is kept")
        status = INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`| head`); there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.stdout.flush()
    raise SystemExit(status)


def quieten_libraries() -> None:
    """TensorFlow's remarks on graphics cards and instruction sets tell a field ecologist nothing."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(keras|tensorflow|skmultilearn|hyperopt)(\..*)?")


def progress_bar() -> Progress:
    """A progress bar with counts and times; on something that is no terminal it stays silent."""
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
    """Print one line about what goes on."""
    console.print(_plain(line), style="dim" if isinstance(line, Detail) else None)


def _plain(text: str) -> str:
    """Square brackets are sound in a file name, and markup to rich."""
    return text.replace("[", r"\[")
