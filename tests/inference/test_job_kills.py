"""Killed at random moments, two jobs into one output folder give what jobs give that nobody killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from .cheap_run import contents

SCRIPT = Path(__file__).with_name("killed_jobs.py")
RATE = 32_000
LONG = "ECOTF_TEST_KILLS"


@pytest.fixture(scope="module")
def nights(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("nights")
    nights = [folder / "night1", folder / "night2"]
    for number, night in enumerate(nights):
        for seed in range(20):
            path = night / f"site{seed % 3}" / f"{seed}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            sound = 0.1 * np.random.default_rng([number, seed]).standard_normal(RATE // 2)
            soundfile.write(path, sound, RATE, subtype="PCM_16")
        (night / "broken.wav").write_bytes(b"RIFF")
        (night / os.fsdecode(b"for\xeat.wav")).write_bytes((night / "site0" / "0.wav").read_bytes())
    return nights


def outcome(nights: list[Path], model: Path, output: Path, kills: int, seed: int = 0) -> tuple[dict[str, bytes], str]:
    command = [sys.executable, SCRIPT, model, output, str(kills), str(seed), *nights]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, errors="replace")
    assert done.returncode == 0, done.stdout + done.stderr
    return contents(output), done.stdout


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("model") / "model.bin"


@pytest.fixture(scope="module")
def expected(nights, model, tmp_path_factory) -> dict[str, bytes]:
    found, said = outcome(nights, model, tmp_path_factory.mktemp("whole") / "out", 0)
    assert "killed" not in said and len(found) == 5 + 2 * 2 * 21
    return found


@pytest.mark.parametrize(
    "kills",
    [
        6,
        pytest.param(
            20,
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(not os.environ.get(LONG), reason=f"half a minute; {LONG}=1 runs it"),
            ],
        ),
    ],
)
def test_kills_at_random_moments_change_nothing(nights, model, expected, tmp_path, kills):
    found, said = outcome(nights, model, tmp_path / "out", kills, seed=kills)
    assert said.count("killed") >= kills // 2  # a job that has ended before its kill counts, too
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
