"""The recorder's numpy against the desktop: every step, and the detections of whole recordings in any pieces."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from ecotf_recorder.scoring import block, maxima, patches, peaks
from ecotf_recorder.scoring.boxes import BoxSettings, drop_overlapping, measure_boxes
from ecotf_recorder.scoring.held import Detection
from ecotf_recorder.scoring.stream import DetectionStream
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import peak_prominences

from ecotf._kernels import events
from ecotf._kernels import spectrogram as kernels
from ecotf.detection import boxes as desktop_boxes
from ecotf.detection.candidates import CandidateFinder
from ecotf.detection.naming import name_calls
from ecotf.features import peaks as desktop_peaks
from ecotf.features.spectrogram import BandSpectrogram
from ecotf.pipelines.patches import PatchesConfig, cut_patches

HOP_S = 0.0005
# Pieces of sound as they may come: samples, whole blocks, more than all of it.
PIECES = [997, 76_800, 10_000_000]


def levels_of(seed: int, shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(seed).gamma(1.0, size=shape).astype(np.float32)


def track_of(seed: int, n: int, ties: bool) -> np.ndarray:
    track = levels_of(seed, (n, 1))[:, 0]
    return np.round(4 * track) if ties else track


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 70), st.integers(1, 50)),
    denoise=st.sampled_from(block.DENOISE),
    radius=st.integers(0, 5),
    ties=st.booleans(),
)
def test_a_block_is_finished_as_the_kernel_does(shape, denoise, radius, ties):
    levels = levels_of(shape[0], shape)
    levels = np.round(levels) if ties else levels
    taps = np.linspace(1, 0.2, radius + 1).astype(np.float32)
    taps /= 2 * taps.sum() - taps[0]
    lanes = kernels.LANES_IN_VECTOR
    room = np.zeros((shape[0], shape[1] + -shape[1] % lanes), np.float32)
    room[:, : shape[1]] = levels
    expected = np.empty(shape, np.float32)
    kernels.finish_block(
        room, shape[0], shape[1], dict(none=0, mean=1, median=2, published=3)[denoise], 0.97, taps, expected
    )
    found = block.finish_block(levels.copy(), denoise, 0.97, taps)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-6 * max(1, levels.max()))


@settings(max_examples=100, deadline=None)
@given(n=st.integers(0, 200), radius=st.integers(0, 30), threshold=st.floats(0, 3), ties=st.booleans())
def test_peaks_are_those_of_the_kernel(n, radius, threshold, ties):
    track = track_of(n, n, ties)
    found = maxima.local_maxima(track, radius, threshold)
    np.testing.assert_array_equal(found, events.local_maxima(track, radius, threshold))
    np.testing.assert_allclose(maxima.refine_peaks(track, found), events.refine_peaks(track, found), atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(n=st.integers(2, 200), reach=st.integers(1, 60), ties=st.booleans())
@pytest.mark.filterwarnings("ignore:some peaks have a prominence of 0")
def test_prominences_are_those_of_scipy(n, reach, ties):
    track = track_of(n + 1000, n, ties)
    at = np.arange(n)
    np.testing.assert_array_equal(
        maxima.prominences(track, at, reach), peak_prominences(track, at, wlen=2 * reach + 1)[0]
    )


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 120), sigma=st.just(0.0) | st.floats(0.01, 9), classes=st.integers(1, 4))
def test_smoothing_is_that_of_the_kernel_and_of_scipy(n, sigma, classes):
    scores = levels_of(n, (n, classes))
    np.testing.assert_allclose(maxima.smooth_gaussian(scores, sigma), events.smooth_gaussian(scores, sigma), rtol=1e-6)
    expected = desktop_peaks.strength(scores, HOP_S, sigma * HOP_S)
    np.testing.assert_allclose(peaks.strength(scores, HOP_S, sigma * HOP_S), expected, rtol=1e-6)


@pytest.mark.parametrize("prominence", [0.0, 0.5])
@pytest.mark.parametrize("reach_s", [0.03, 0.0305, 0.0005])
def test_peaks_measures_and_boxes(prominence, reach_s):
    """At an even and at an odd number of slices within reach."""
    values = np.maximum(levels_of(5, (2500, 16)) - 1, 0)
    config = desktop_peaks.PeakConfig(floor=1.5, prominence=prominence, reach_s=reach_s)
    made = peaks.PeakSettings.read(config.model_dump())
    track = peaks.strength(values, HOP_S, config.smooth_s)
    found = peaks.find_peaks(track, HOP_S, made)
    np.testing.assert_array_equal(found, desktop_peaks.find_peaks(values, HOP_S, config))
    assert len(found) > 10
    np.testing.assert_allclose(
        peaks.measure_peaks(values, track, found, HOP_S, made),
        desktop_peaks.measure_peaks(values, found, HOP_S, config),
        atol=1e-6,
    )
    box = desktop_boxes.BoxConfig()
    for separate in (False, True):
        expected = desktop_boxes.measure_boxes(values, found, HOP_S, box, separate)
        boxes = measure_boxes(values, found, HOP_S, BoxSettings.read(box.model_dump()), separate)
        np.testing.assert_array_equal(boxes, expected)
        scores = levels_of(1, (len(found), 1))[:, 0]
        np.testing.assert_array_equal(drop_overlapping(boxes, scores), desktop_boxes.drop_overlapping(boxes, scores))


@pytest.mark.parametrize("resize", ["mean", "corners"])
@pytest.mark.parametrize(("time", "frequency", "rows"), [(1, 1, 7), (2, 2, 57), (4, 3, 50)])
def test_windows_are_cut_as_on_the_desktop(resize, time, frequency, rows):
    values = levels_of(3, (100, rows))
    config = PatchesConfig(width_s=0.024, reduce_time=time, reduce_frequency=frequency, resize=resize)
    slices = config.slices(HOP_S)
    made = patches.PatchSettings(slices, time, frequency, resize)
    for centre in (0, 3, 50, 99):
        expected = cut_patches(values, np.array([centre]), slices, config)
        np.testing.assert_allclose(patches.cut_patch(values, centre, made), expected, atol=1e-6)


RUNS = {
    "field": ("bats/field", "networks.0.backbone.filters=[2, 3, 3]", "networks.0.backbone.squeeze=2",
              "networks.0.backbone.embedding=4", "trees.n_estimators=6", "trees.eta=0.5"),
    "prominent": ("bats/field", "networks.0.backbone.filters=[2, 3, 3]", "networks.0.backbone.squeeze=2",
                  "networks.0.backbone.embedding=4", "trees.n_estimators=6", "trees.eta=0.5", "peaks.prominence=1.0"),
    "grid": ("bats/cnn8", "networks.0.backbone.filters=2", "networks.0.backbone.dense_units=4",
             "front_end.denoise=published", "detection.scoring.at=grid", "detection.scoring.stride_s=0.0046"),
    "cascade": ("bats/cnn2", "networks.0.backbone.filters=2", "networks.0.backbone.dense_units=4",
                "networks.1.backbone.filters=2", "networks.1.backbone.dense_units=4", "detection.scoring.at=grid",
                "detection.scoring.stride_s=0.0046", "patches.resize=corners"),
}  # fmt: skip


def desktop_detections(run, sound: np.ndarray) -> pd.DataFrame:
    spectrogram = BandSpectrogram(run.recipe.front_end, 256_000)
    frames = spectrogram(sound)
    finder = CandidateFinder(run.detector, run.recipe.detection, run.recipe.peaks, spectrogram)
    return name_calls(finder.candidates([frames]), run.thresholds)


def assert_same(found: list[Detection], expected: pd.DataFrame) -> None:
    order = ["start_s", "label", "end_s", "low_hz"]
    mine = pd.DataFrame(found, columns=list(Detection._fields)).sort_values(order, ignore_index=True)
    expected = expected.sort_values(order, ignore_index=True)
    assert mine["label"].tolist() == expected["label"].tolist()
    exact = {"start_s": 1e-9, "end_s": 1e-9, "low_hz": 1e-6, "high_hz": 1e-6}
    for column, least in {**exact, "score": 1e-3, "detection_score": 1e-3}.items():
        np.testing.assert_allclose(mine[column].astype(float), expected[column].astype(float), rtol=0, atol=least)


@pytest.mark.parametrize("name", RUNS)
def test_detections_are_the_desktops(name, make_run, stand_in, sound_of):
    """In pieces of every size, and in order of time as they come."""
    thresholds = (0.45, 0.55, 0.5) if "bats/field" in RUNS[name] else (0.35, 0.35, 0.35)
    run = make_run(*RUNS[name], thresholds=thresholds)
    sound = sound_of(1, seconds=1.7)
    expected = desktop_detections(run, sound)
    assert len(expected) > 10
    for piece, chunk, takes in zip(PIECES, (37, 160, 500), ("int16", "float32", "int16"), strict=True):
        stream = DetectionStream(stand_in(run, takes=takes, chunk_frames=chunk), chunk_s=0.3)
        found = []
        for at in range(0, len(sound), piece):
            found += stream.push(sound[at : at + piece])
            assert all(one.start_s < stream.settled_s + 0.01 for one in found)
        early = len(found)
        found += stream.finish()
        assert early > 0 or piece > len(sound)
        assert found == sorted(found, key=lambda one: (one.start_s, one.label))
        assert_same(found, expected)


@settings(max_examples=7, deadline=None)
@given(n=st.integers(0, 150_000), piece=st.integers(500, 60_000))
def test_any_length_in_any_pieces(field_run, field_model, sound_of, n, piece):
    """Also the tail that joins the last block, and recordings with hardly a frame."""
    sound = sound_of(7)[:n]
    stream = DetectionStream(field_model, chunk_s=0.05)
    found = [one for at in range(0, n, piece) for one in stream.push(sound[at : at + piece])] + stream.finish()
    assert_same(found, desktop_detections(field_run, sound))


def test_detections_wait_while_the_sound_is_silent(field_run, stand_in):
    """A microphone that gives one value, and a front end that finds something in it all the same."""
    model = stand_in(field_run)
    frames = levels_of(2, (160, model.facts.front_end.rows))
    frames[::40] *= 100
    model.spectrogram = lambda sound: frames.copy()
    stream = DetectionStream(model, chunk_s=0.1)
    assert stream.push(np.full(400_000, 3, np.int16)) == [] and stream.windows > 0
    assert stream.silent and stream.settled_s == 0
    found = stream.push(np.array([4], np.int16))
    assert len(found) > 1 and found == sorted(found, key=lambda one: (one.start_s, one.label))
    assert not stream.silent and stream.settled_s > found[0].start_s


def test_only_named_calls_when_asked(field_run, field_model, sound_of):
    every, named = DetectionStream(field_model), DetectionStream(field_model, unnamed=False)
    sound = sound_of(1)
    every_one = every.push(sound) + every.finish()
    only = named.push(sound) + named.finish()
    assert only == [one for one in every_one if one.label != "bat"] != every_one
