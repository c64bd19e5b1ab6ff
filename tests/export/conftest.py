"""Tiny runs, trained or made up, that all tests of the export share."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from ecotf.audio.simulate import SimulationConfig, simulate_dataset
from ecotf.datasets.labels import CALL_LABEL
from ecotf.datasets.manifest import read_manifest, write_manifest
from ecotf.features.peaks import find_peaks, measure_peaks
from ecotf.features.spectrogram import BandSpectrogram
from ecotf.models.heads.trees import fit_trees
from ecotf.models.saved import build_detector, save_detector
from ecotf.pipelines.patches import cut_patches
from ecotf.quiet import quieten_libraries
from ecotf.runs import RunFolder
from ecotf.runs.splits import draw_splits, first_state
from ecotf.tasks.calls.recipe import CallRecipe
from ecotf.tasks.calls.run import CallsRun, load_run
from ecotf.tasks.recipes import load_recipe, recipe_text

RATE = 256_000
SPECIES = ("Myotis daubentonii", "Pipistrellus pipistrellus")
FIELD = (
    "networks.0.backbone.filters=[8, 8, 8]", "networks.0.backbone.squeeze=4", "networks.0.backbone.embedding=16",
    "trees.n_estimators=12", "trees.max_depth=3",
)  # fmt: skip


@pytest.fixture(scope="session")
def sounds(tmp_path_factory) -> Path:
    """The manifest of six simulated recordings, two of each split."""
    quieten_libraries()
    folder = tmp_path_factory.mktemp("sounds")
    config = SimulationConfig(
        n_recordings=6, duration_s=0.9, sample_rate_hz=RATE, seed=5, species=SPECIES, empty_fraction=0.0,
        passes=(1, 1), snr_db=(50, 70),
    )  # fmt: skip
    simulate_dataset(folder, config)
    manifest = read_manifest(folder / "manifest.csv")
    splits = dict(zip(manifest.recordings, ["train", "train", "valid", "valid", "test", "test"], strict=True))
    write_manifest(manifest.with_splits(splits), folder / "manifest.csv")
    return folder / "manifest.csv"


@pytest.fixture(scope="session")
def make_run(tmp_path_factory):
    """A function that writes a complete run of a recipe; what it knows comes from ``examples``, or from nothing."""

    def make(name: str, overrides=(), manifest: Path | None = None, teach: bool = False) -> CallsRun:
        recipe = load_recipe(name, overrides)
        keras.utils.set_random_seed(1)
        detector = build_detector(recipe.front_end, recipe.patches, recipe.networks, SPECIES)
        if teach:
            detector = _taught(detector, recipe, manifest)
        run = RunFolder.create(tmp_path_factory.mktemp("runs"), recipe.name)
        run.write_text("recipe.yaml", recipe_text(recipe))
        if manifest is not None:
            write_manifest(read_manifest(manifest), run.path / "manifest.csv")
            kept = read_manifest(run.path / "manifest.csv")
            states = {name: first_state(kept.path_of(name)) for name in kept.recordings}
            run.write_table("splits.csv", draw_splits(kept, states, recipe.data.shares, recipe.seed).table)
        run.write_table("labels.csv", pd.DataFrame({"label": SPECIES, "training_annotations": 1}))
        run.write_json("thresholds.json", {"thresholds": dict.fromkeys((*SPECIES, CALL_LABEL), 0.5), "unfitted": []})
        with run.writing("model", folder=True) as folder:
            save_detector(detector, folder)
        run.finish()
        return load_run(run.path)

    return make


@pytest.fixture(scope="session")
def field(make_run, sounds) -> CallsRun:
    """bats/field, small, after a lesson of some seconds: float32, trees that see measures."""
    return make_run("bats/field", FIELD, sounds, teach=True)


def _taught(detector, recipe: CallRecipe, manifest: Path):
    """Fit the network to the strength and the band of peaks, and trees to the same: both can be learned at once.

    From training recordings alone: the thresholds of trees are values that training held, and where a recording holds
    the very same value, a rounding decides to which side it falls.
    """
    import soundfile

    slices = detector.patches.slices(recipe.front_end.hop_s)
    patches, measures = [], []
    training = read_manifest(manifest).of_split("train")
    for path in map(training.path_of, training.recordings):
        values = (made := BandSpectrogram(recipe.front_end, RATE))(soundfile.read(path, dtype="float32")[0])
        peaks = find_peaks(values, made.hop_s, recipe.peaks)
        patches.append(cut_patches(values, peaks, slices, detector.patches))
        measures.append(measure_peaks(values, peaks, made.hop_s, recipe.peaks))
    seen, measured = np.concatenate(patches), np.concatenate(measures)
    loud, high = measured[:, 0] > np.median(measured[:, 0]), measured[:, 9] > np.median(measured[:, 9])
    targets = np.stack([~loud, loud & ~high, loud & high], axis=1).astype(np.float32)
    model = detector.networks[0].model
    model.compile("adam", "binary_crossentropy")
    model.optimizer.learning_rate = 0.01
    model.fit(seen, targets, batch_size=16, epochs=8, verbose=0)
    features = np.hstack([np.asarray(detector.networks[0].both(seen, training=False)), measured])
    return detector.with_trees(fit_trees(recipe.trees, features, targets, 1, 1))
