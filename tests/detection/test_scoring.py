"""Scores of a real network: every patch as if it were alone, and the published way against a plain loop."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from ecotf.detection.boxes import BoxConfig
from ecotf.detection.candidates import CandidateFinder, DetectionConfig
from ecotf.detection.scoring import EXACT, Stopwatch, score_patches
from ecotf.features.peaks import MEASURES, PeakConfig
from ecotf.features.spectrogram import BandSpectrogramConfig
from ecotf.models.backbones.cnn import CnnConfig
from ecotf.models.backbones.field_cnn import FieldCnnConfig
from ecotf.models.detector import Detector
from ecotf.models.heads.trees import TreesConfig, fit_trees
from ecotf.models.patch_network import DenseHeadConfig, NetworkConfig
from ecotf.models.saved import build_detector
from ecotf.pipelines.patches import PatchesConfig

HOP_S = 0.0005
FRONT_END = BandSpectrogramConfig(window_s=0.002, hop_s=HOP_S, low_hz=10_000, high_hz=22_000)  # 24 rows
WINDOWS = PatchesConfig(width_s=0.012)  # 24 slices, 12 columns by 12 bands
FREQUENCIES = 10_000 + 500.0 * np.arange(24)


def network(name: str, answers: str, backbone) -> NetworkConfig:
    return NetworkConfig(name=name, backbone=backbone, head=DenseHeadConfig(answers=answers))


CNN = CnnConfig(convolutions=2, filters=3, kernel=3, dense_units=5)
FIELD = FieldCnnConfig(filters=(2, 3, 3), squeeze=2, embedding=4)


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    rng = np.random.default_rng(0)
    values = np.maximum(rng.normal(0, 1, (420, 24)), 0).astype(np.float32)
    values[100:110, 4:9] += 6
    return values


@pytest.fixture(scope="module")
def detectors(values) -> dict[str, Detector]:
    keras.utils.set_random_seed(3)
    one = build_detector(FRONT_END, WINDOWS, [network("calls", "call_and_species", CNN)], ("a", "b"))
    two = build_detector(
        FRONT_END, WINDOWS, [network("finder", "call", FIELD), network("namer", "species", CNN)], ("a", "b")
    )
    embedding = np.random.default_rng(0).normal(size=(80, 5)).astype(np.float32)
    trees = fit_trees(TreesConfig(n_estimators=4, max_depth=3), embedding, embedding[:, :3] > 0, 1, 1)
    measured = np.random.default_rng(0).normal(size=(80, 5 + 3 + len(MEASURES))).astype(np.float32)
    config = TreesConfig(n_estimators=4, max_depth=3, measures=True)
    more = fit_trees(config, measured, measured[:, [0, 6, 10]] > 0, 1, 1)
    return {"one": one, "cascade": two, "trees": one.with_trees(trees), "measures": one.with_trees(more)}


def by_hand(
    detector: Detector, values: np.ndarray, centres: np.ndarray, measures: np.ndarray | None = None
) -> np.ndarray:
    """The scores of patches that are cut, reduced and combined by hand."""
    patches = np.zeros((len(centres), 24, 24), np.float32)
    for patch, centre in zip(patches, centres, strict=True):
        for row in range(24):
            if 0 <= centre - 12 + row < len(values):
                patch[row] = values[centre - 12 + row]
    x = patches.reshape(-1, 12, 2, 12, 2).mean(axis=(2, 4))[..., None]
    scores = [network.model(x, training=False).numpy() for network in detector.networks]
    if detector.trees is not None:
        seen = [detector.networks[0].backbone(x, training=False).numpy()]
        if measures is not None:
            seen += [scores[0], measures]
        return detector.trees.predict(np.hstack(seen))
    return scores[0] if len(scores) == 1 else np.hstack([scores[0][:, :1], scores[1]])


@pytest.mark.parametrize("kind", ["one", "cascade", "trees", "measures"])
def test_each_window_is_scored_as_if_alone(detectors, values, kind):
    """300 of them, more than a batch, also those that reach over the ends of the recording."""
    detector = detectors[kind]
    centres = np.random.default_rng(1).integers(-5, len(values) + 5, 300)
    measures = None
    if detector.needs_measures:
        measures = np.random.default_rng(2).normal(size=(300, len(MEASURES))).astype(np.float32)
    watch = Stopwatch()
    scores = score_patches(detector, values, centres, watch, measures)
    assert scores.shape == (300, 3)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, by_hand(detector, values, centres, measures), atol=1e-5)
    assert watch.patches == 300
    assert watch.networks_s > 0
    assert watch.trees_s > 0


def test_no_patches_are_no_scores(detectors, values):
    for detector in detectors.values():
        assert score_patches(detector, values, np.empty(0, int), Stopwatch()).shape == (0, 3)


@pytest.mark.parametrize("kind", ["one", "cascade"])
def test_the_exact_way_is_the_published_one(detectors, values, kind):
    """A patch on every slice, scores smoothed over time, peaks of each class, named where likelier than no call."""
    detector = detectors[kind]
    sigma, radius = 0.002 / HOP_S, round(0.012 / HOP_S)
    scores = by_hand(detector, values, np.arange(len(values)))
    smooth = gaussian_filter1d(scores, sigma, axis=0)

    def peaks_of(track: np.ndarray) -> list[int]:
        return [i for i in range(len(track)) if track[i] == track[max(0, i - radius) : i + radius + 1].max()]

    expected = {"call": peaks_of(1 - smooth[:, 0])}
    for column, label in ((1, "a"), (2, "b")):
        if kind == "cascade":
            expected[label] = [i for i in expected["call"] if smooth[i, 0] < 0.5]
        else:
            expected[label] = [i for i in peaks_of(smooth[:, column]) if smooth[i, column] > smooth[i, 0]]
    tracks = {"call": 1 - smooth[:, 0], "a": smooth[:, 1], "b": smooth[:, 2]}

    watch = Stopwatch()
    # Boxes of one slice, so that none overlaps another and each says where its peak was.
    box = BoxConfig(search_s=0, reach_s=1e-6)
    config = DetectionConfig(scoring=EXACT, smooth_s=0.002, separation_s=0.012, floor=0, box=box)
    slices = SimpleNamespace(hop_s=HOP_S, offset_s=0.0, frequencies_hz=FREQUENCIES)
    found = CandidateFinder(detector, config, PeakConfig(), slices).candidates([values], watch)
    assert watch.patches == len(values)
    for label, peaks in expected.items():
        mine = found[found["label"] == label]
        middles = ((mine["start_s"] + mine["end_s"]) / 2 / HOP_S).round().astype(int)
        assert len(middles) == len(peaks)
        # A peak refined to half-way between two slices is at either.
        assert np.abs(middles.to_numpy() - np.array(peaks, int)).max(initial=0) <= 1
        np.testing.assert_allclose(mine["score"], tracks[label][peaks], atol=1e-5)
    assert len(expected["call"]) > 3
    assert len(expected["a"]) + len(expected["b"]) > 0
