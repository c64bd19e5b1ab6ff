"""The README's commands: those of the first sections are run on simulated recordings, the others are parsed."""

from __future__ import annotations

import argparse
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from ecotf.commands import make_dataset, run_classifier, run_training

ROOT = Path(__file__).parents[1]
DOORS = {
    "export_model": "ecotf.commands.export_model",
    "flash_device": "deploy.flash.command",
    "make_dataset": "ecotf.commands.make_dataset",
    "make_report": "ecotf.commands.make_report",
    "run_classifier": "ecotf.commands.run_classifier",
    "run_training": "ecotf.commands.run_training",
    "run_tuning": "ecotf.commands.run_tuning",
}
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [shlex.split(line, comments=True) for line in re.findall(r"^    (python scripts/.*)$", README, re.M)]


class ParsedError(Exception):
    """Raised in place of the work, when the command line was understood."""


RUN_BELOW = ("make_dataset",)


@pytest.mark.parametrize("words", [one for one in COMMANDS if Path(one[1]).stem not in RUN_BELOW], ids=" ".join)
def test_every_command_line_is_understood(words, monkeypatch):
    def parsed(parser, arguments=None, namespace=None):
        found, left = argparse.ArgumentParser.parse_known_args(parser, arguments, namespace)
        assert not left
        raise ParsedError(found)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parsed)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_intermixed_args", parsed)
    main = import_module(DOORS[Path(words[1]).stem]).main
    with pytest.raises(ParsedError):
        main(words[2:])


def test_there_are_commands():
    assert len(COMMANDS) >= 9
    assert {Path(words[1]).stem for words in COMMANDS} == set(DOORS)


def test_training_and_classifying_as_the_readme_says(tmp_path, monkeypatch):
    """Raven tables to a manifest, checked, trained (shortly), and recordings classified."""
    monkeypatch.chdir(tmp_path)
    make_dataset.main(["simulate", "--output", "recordings", "--recordings", "12", "--duration", "0.5", "--seed", "4"])
    _raven_tables(Path("recordings/manifest.csv"), Path("annotations"))
    # Those of few clips need somebody else's model.
    own = [words for words in COMMANDS if not {"RUN", "tagging/transfer"} & set(words)]
    lines = {Path(words[1]).stem + words[2]: words[2:] for words in own}
    assert make_dataset.main(lines["make_datasetimport"]) == 0
    assert make_dataset.main(lines["make_datasetcheck"]) == 0
    short = [
        "stages.0.epochs=2", "mining.rounds=0", "trees.n_estimators=4", "evaluation.bootstrap=2",
        "networks.0.backbone.filters=[4, 6, 6]", "networks.0.backbone.squeeze=2", "networks.0.backbone.embedding=8",
    ]  # fmt: skip
    assert run_training.main([*lines["run_training--recipe"], *short]) == 0
    (run,) = Path("runs/bats/field").iterdir()
    written = "runs/bats/field/2026-06-21_22-15-00"
    run.rename(written)
    assert run_classifier.main(lines["run_classifier--model"]) == 0
    assert Path("detections/detections.csv").exists() and Path("detections/ledger.csv").exists()
    assert list(Path("detections").rglob("*.selections.txt"))


def _raven_tables(manifest: Path, folder: Path) -> None:
    """Write annotations as Raven does, one table for each recording."""
    from ecotf.datasets.manifest import read_manifest

    folder.mkdir()
    header = ["Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)"]
    for name, rows in read_manifest(manifest).table.groupby("recording"):
        lines = ["\t".join([*header, "Species"])]
        for number, row in enumerate(rows[rows["label"] != ""].itertuples(), 1):
            cells = (number, "Spectrogram 1", 1, row.start_s, row.end_s, row.low_hz, row.high_hz, row.label)
            lines.append("\t".join(map(str, cells)))
        (folder / f"{Path(str(name)).stem}.Table.1.selections.txt").write_text("\n".join(lines) + "\n")
