"""Simulated recordings for trainings on calls, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecotf.audio.simulate import simulate_dataset
from ecotf.datasets.manifest import read_manifest
from ecotf.tasks.calls.data import TrainingData

from .simulated_calls import SOUNDS, prepare


@pytest.fixture(scope="session")
def calls(tmp_path_factory) -> Path:
    """Manifest of the simulated recordings."""
    folder = tmp_path_factory.mktemp("calls")
    simulate_dataset(folder, SOUNDS)
    return folder / "manifest.csv"


@pytest.fixture(scope="session")
def data(calls) -> TrainingData:
    return prepare(read_manifest(calls))
