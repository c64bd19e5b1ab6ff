"""The command ``ecotf``: the entry to all commands, each loaded when it is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from ecotf.commands.console import complaints, console, plain, run_command

COMMANDS = {
    "train": ("ecotf.commands.run_training", "train a model on annotated recordings"),
    "teach": ("ecotf.commands.teach", "write a model's predictions for a smaller model to learn from"),
    "classify": ("ecotf.commands.run_classifier", "find and name calls or species in recordings"),
    "embed": ("ecotf.commands.embed", "turn recordings into rows of numbers with any model"),
    "cluster": ("ecotf.commands.cluster", "find out which sounds an unlabelled archive holds"),
    "enrol": ("ecotf.commands.enrol", "add a species to a model from a few examples"),
    "search": ("ecotf.commands.search", "find clips that sound like an example, and teach what is meant"),
    "survey": ("ecotf.commands.survey", "make effort, histories and pictures of a season of detections"),
    "report": ("ecotf.commands.make_report", "compare trained models, and hear what they got wrong"),
    "tune": ("ecotf.commands.run_tuning", "search for better settings of a recipe"),
    "export": ("ecotf.commands.export_model", "make a trained model into one file for a recorder"),
    "flash": ("deploy.flash.command", "put an exported model on recorders"),
    "dataset": ("ecotf.commands.make_dataset", "make, check and split tables of annotated recordings"),
    "weights": ("ecotf.commands.weights", "make a model from a published PyTorch checkpoint"),
    "recipes": ("ecotf.commands.show_recipes", "list the recipes that come with ecotf, or print one"),
}
_HELP = """\
usage: ecotf COMMAND ...

Train models on annotated recordings of animals, find their calls in new ones, and put the models on recorders.

commands:
{commands}

ecotf COMMAND --help shows the options and examples of a command.
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command that the first argument names with the arguments after it."""
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        listed = "\n".join(f"  {name:9} {what}" for name, (_, what) in COMMANDS.items())
        console.print(_HELP.format(commands=listed), end="", markup=False)
        return 0 if arguments else 2
    if name == "--version":
        from ecotf import __version__

        console.print(f"ecotf {__version__}")
        return 0
    if name not in COMMANDS:
        complaints.print(plain(f"ecotf: unknown command {name!r}; known: {', '.join(COMMANDS)}"))
        return 2
    status: int = import_module(COMMANDS[name][0]).main(rest)
    return status


def run() -> None:
    """Run the command line of this process, and end it with its status."""
    run_command(main, sys.argv[1:])
