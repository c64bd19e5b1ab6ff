"""Real bat recordings beside the project: what simulated sound cannot prove. Skipped where they are absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecotf.audio.recording import open_recording
from ecotf.datasets.against_audio import check_against_audio
from ecotf.datasets.importers import import_annotations
from ecotf.datasets.labels import IGNORED_LABELS, labels_that_match
from ecotf.datasets.manifest import Manifest
from ecotf.evaluation import match_detections
from ecotf.features.peaks import find_peaks
from ecotf.pipelines.spectrogram_store import SpectrogramStore
from ecotf.tasks.recipes import load_recipe

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.exists(), reason=f"real recordings are not at {DATA}"),
]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Manifest:
    annotations = pd.read_csv(DATA / "annotations.csv", keep_default_na=False)
    sets = ("bats/tadarida_fr/", "bats/whombat_cr/")
    table = tmp_path_factory.mktemp("annotations") / "bats.csv"
    annotations[annotations["path"].str.startswith(sets)].to_csv(table, index=False)
    return import_annotations("csv", table, DATA, columns={"recording": "path"})


def test_annotations_fit_their_recordings(manifest: Manifest) -> None:
    assert len(manifest.recordings) == 24
    assert len(manifest.annotations) == 1193
    check_against_audio(manifest, open_recording)


def test_every_bat_recording_streams_to_its_full_length() -> None:
    files = sorted((DATA / "bats").rglob("*.flac"))
    assert len(files) == 45
    for file in files:
        recording = open_recording(file)
        assert sum(len(block) for block in recording.blocks(1 << 18)) == recording.n_frames


@pytest.mark.parametrize("recipe", ["bats/field", "bats/cnn8"])
def test_peaks_are_where_the_calls_are(manifest: Manifest, recipe: str) -> None:
    """Detection looks at peaks alone, so nearly every annotated call must have one, and peaks must be few."""
    plan = load_recipe(recipe)
    store = SpectrogramStore(None, plan.front_end)
    found, seconds = [], 0.0
    for name in manifest.recordings:
        spectrogram = store.get(manifest.path_of(name))
        assert np.isfinite(spectrogram.values).all()
        seconds += spectrogram.duration_s
        at = find_peaks(spectrogram.values, spectrogram.hop_s, plan.peaks)
        times = spectrogram.offset_s + at * spectrogram.hop_s
        found.append(pd.DataFrame({"recording": name, "start_s": times, "end_s": times, "label": "call", "score": 1.0}))
    peaks = pd.concat(found, ignore_index=True)
    assert len(peaks) / seconds < 100
    calls = manifest.annotations
    calls = calls[~calls["label"].isin(labels_that_match(manifest.labels, IGNORED_LABELS))].reset_index(drop=True)
    hit = match_detections(peaks, calls)
    for place, least in (("tadarida_fr", 0.85), ("whombat_cr", 0.98)):
        inside = calls["recording"].str.contains(place).to_numpy()
        assert np.isin(np.flatnonzero(inside), hit).mean() > least
