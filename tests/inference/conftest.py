"""A run that needs no network, and two nights of recordings for its jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from .cheap_run import CheapRun
from .job_tables import record


@pytest.fixture
def run(tmp_path) -> CheapRun:
    return CheapRun(tmp_path / "model.bin")


@pytest.fixture
def nights(tmp_path) -> tuple[Path, Path]:
    for number in range(6):
        record(tmp_path / f"night{number % 2}" / f"{number // 2}.wav", number)
    return tmp_path / "night0", tmp_path / "night1"
