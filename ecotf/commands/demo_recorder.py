"""The last chapter of ``make run``: the recorder's own program, in a process without TensorFlow, on the same night."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

from ecotf.commands.console import log
from ecotf.datasets.manifest import Manifest
from ecotf.errors import ConfigError

_RECORDER = Path(__file__).parents[2] / "deploy" / "recorder"
_BOX = ["recording", "label", "start_s", "end_s", "low_hz", "high_hz"]


def run_as_recorder(model: Path, manifest: Manifest, output: Path) -> int:
    """Classify the manifest's recordings with ``ecotf_recorder``; returns its exit status."""
    if not (_RECORDER / "ecotf_recorder").is_dir():
        raise ConfigError(f"{_RECORDER}: the recorder's program is not there; run this from a clone of the repository")
    recordings = [str(manifest.path_of(recording)) for recording in manifest.recordings]
    command = [sys.executable, "-m", "ecotf_recorder", "classify", str(model), *recordings, "--output", str(output)]
    ended = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(_RECORDER)}, capture_output=True, text=True, check=False
    )
    log((ended.stderr if ended.returncode else ended.stdout).strip().rpartition("\n")[2])
    return ended.returncode


def compare_with_desktop(desktop: pd.DataFrame, recorder: pd.DataFrame) -> str:
    """Say how many detections, box and label, both have, and how far apart their scores are."""
    both = desktop.merge(recorder, on=_BOX, suffixes=("", "_recorder"))
    said = f"the desktop has {len(desktop)} detections, the recorder {len(recorder)}; {len(both)} are the same"
    if not len(both):
        return said
    return f"{said}, their scores within {(both['score'] - both['score_recorder']).abs().max():.4f}"
