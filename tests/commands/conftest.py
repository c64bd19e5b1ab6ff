"""The command of data sets, run in this process, and recordings for it."""

import shutil
from pathlib import Path

import pytest

from ecotf.commands.make_dataset import main
from tests.failures.commands import outcome


@pytest.fixture
def run(capsys):
    """Run the command; returns its exit status, what it printed, and what it complained about."""

    return lambda *arguments: outcome(capsys, main, *arguments)


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "calls"
    assert main(["simulate", "--output", str(folder), "--recordings", "8", "--duration", "0.5", "--seed", "3"]) == 0
    return folder


@pytest.fixture
def simulated(recordings, tmp_path):
    """Eight short recordings of the test's own."""
    return Path(shutil.copytree(recordings, tmp_path / "calls"))
