"""What the demonstration says of the desktop and the recorder."""

from __future__ import annotations

import os

import pandas as pd
import pytest

from ecotf.commands.demo import read_detections
from ecotf.commands.demo_recorder import compare_with_desktop
from ecotf.datasets.manifest import read_manifest

ROWS = [("a.wav", 0.1, 0.2, 2e4, 5e4, "bat", 0.9), ("a.wav", 0.3, 0.4, 2e4, 5e4, "bat", 0.8)]
COLUMNS = ["recording", "start_s", "end_s", "low_hz", "high_hz", "label", "score"]


@pytest.fixture
def manifest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"recording": ["a.wav"], "start_s": [0.1], "end_s": [0.2], "label": ["bat"]}).to_csv(
        "manifest.csv", index=False
    )
    return read_manifest("manifest.csv")


def test_a_recording_is_the_same_by_a_relative_and_an_absolute_path(manifest, tmp_path):
    desktop, recorder = pd.DataFrame(ROWS, columns=COLUMNS), pd.DataFrame(ROWS, columns=COLUMNS)
    recorder["recording"] = os.path.join(tmp_path, "a.wav")
    recorder.loc[1, "score"] = 0.79
    desktop.to_csv("desktop.csv", index=False)
    recorder.to_csv("recorder.csv", index=False)
    said = compare_with_desktop(read_detections("desktop.csv", manifest), read_detections("recorder.csv", manifest))
    assert said == "the desktop has 2 detections, the recorder 2; 2 are the same, their scores within 0.0100"


def test_nothing_in_common(manifest):
    desktop = pd.DataFrame(ROWS, columns=COLUMNS)
    moved = desktop.assign(start_s=desktop["start_s"] + 0.01)
    assert compare_with_desktop(desktop, moved) == "the desktop has 2 detections, the recorder 2; 0 are the same"
