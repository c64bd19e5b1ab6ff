"""Training patches: where they lie, what they are labelled with, and that they are cut as a plain loop would."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import zoom

from ecotf.features.spectrogram import BandSpectrogram, BandSpectrogramConfig
from ecotf.pipelines.patch_places import Annotations, annotations_of, patches_at_calls, patches_at_peaks
from ecotf.pipelines.patches import PatchesConfig, PatchTable, cut_patches, cut_table, empty_patches, reduce_patches
from ecotf.pipelines.spectrogram_store import StoredSpectrogram
from ecotf.tasks.recipe_files import recipe_names
from ecotf.tasks.recipes import load_recipe

DURATION_S = 2.0


def boxes(*rows: tuple[float, float, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["start_s", "end_s", "label"])


def annotated(*calls: tuple[float, float, str], sounds: tuple[tuple[float, float, str], ...] = ()) -> Annotations:
    return annotations_of(boxes(*calls), boxes(*sounds), ("Nyc", "Pip"))


def at_calls(annotations: Annotations, seed: int = 0, **settings: object) -> PatchTable:
    rng = np.random.default_rng(seed)
    return patches_at_calls(3, DURATION_S, annotations, 2, PatchesConfig(**settings), rng)


def at_peaks(
    times: list[float], annotations: Annotations, strengths: list[float] | None = None, **settings: object
) -> PatchTable:
    config = PatchesConfig(**{"at": "peaks", "shift_s": (), **settings})
    loud = np.ones(len(times)) if strengths is None else np.array(strengths)
    rng = np.random.default_rng(0)
    return patches_at_peaks(3, np.array(times), loud, DURATION_S, annotations, 2, config, rng)


def positives(table: PatchTable) -> list[tuple[float, list[int]]]:
    found = [
        (round(float(t), 6), row.tolist()) for t, row in zip(table.time_s, table.species, strict=True) if row.any()
    ]
    return sorted(found)


# --- patches on calls ------------------------------------------------------------------------------------------------


def test_calls_are_learned_in_place_and_shifted():
    table = at_calls(annotated((1.0, 1.01, "Pip"), (1.5, 1.51, "Nyc")), shift_s=(0.001, 0.002))
    places = [1.003, 1.004, 1.005, 1.006, 1.007]
    assert positives(table) == [(t, [0, 1]) for t in places] + [(round(t + 0.5, 6), [1, 0]) for t in places]
    assert set(table.recording) == {3}
    assert at_calls(annotated((1.0, 1.01, "Pip")), shift_s=()).is_call.sum() == 1


def test_overlapping_calls_share_a_window():
    """Middles 2 ms apart: both patches carry both species; a third call 8 ms on does not."""
    calls = annotated((1.0, 1.01, "Pip"), (1.003, 1.011, "Nyc"), (1.01, 1.02, "Pip"))
    assert positives(at_calls(calls, shift_s=(), merge_s=0.003)) == [(1.005, [1, 1]), (1.007, [1, 1]), (1.015, [0, 1])]
    assert positives(at_calls(calls, shift_s=(), merge_s=0.0)) == [(1.005, [0, 1]), (1.007, [1, 0]), (1.015, [0, 1])]


def test_calls_of_other_classes_keep_negatives_away_but_are_not_learned():
    table = at_calls(annotated((0.0, 1.9, "Rhi")), negatives_per_call=40, negative_margin_s=0.02)
    assert not table.is_call.any()
    assert len(table) > 0
    assert table.time_s.min() >= 1.92


def test_annotated_sounds_that_are_no_calls_become_negatives():
    sounds = ((0.5, 0.52, "noise"), (1.001, 1.005, "noise"))
    table = at_calls(annotated((1.0, 1.01, "Pip"), sounds=sounds), negatives_per_call=0, shift_s=())
    assert [(round(float(t), 6), int(row.any())) for t, row in zip(table.time_s, table.species, strict=True)] == [
        (1.005, 1), (0.51, 0),
    ]  # fmt: skip
    without = at_calls(annotated(sounds=sounds), negatives_per_second=0, annotated_negatives=False)
    assert len(without) == 0


def test_a_sound_that_holds_for_the_whole_recording_has_no_middle():
    table = at_calls(annotated(sounds=((0.0, np.nan, "noise"),)), negatives_per_second=2)
    assert len(table) == 4
    assert np.isfinite(table.time_s).all()


def test_a_recording_without_calls_gives_negatives_by_its_length():
    table = at_calls(annotated(), negatives_per_second=12)
    assert len(table) == 24
    assert not table.is_call.any()
    assert table.species.shape == (24, 2)
    assert (table.time_s >= 0).all()
    assert (table.time_s <= DURATION_S).all()
    assert np.array_equal(table.time_s, at_calls(annotated(), negatives_per_second=12).time_s)
    assert not np.array_equal(table.time_s, at_calls(annotated(), seed=1, negatives_per_second=12).time_s)


calls_strategy = st.lists(
    st.tuples(st.floats(0, 1.9), st.floats(0.001, 0.1), st.sampled_from(["Pip", "Nyc", "Rhi"])), max_size=8
)


@settings(deadline=None)
@given(calls_strategy, st.floats(0, 0.1), st.floats(0, 5), st.integers(0, 5))
def test_negatives_keep_their_margin(calls, margin, per_call, seed):
    annotations = annotated(*((start, start + length, label) for start, length, label in calls))
    table = at_calls(annotations, seed, negative_margin_s=margin, negatives_per_call=per_call, shift_s=(0.001,))
    known = sum(label != "Rhi" for *_, label in calls)
    assert table.is_call.sum() == 3 * known
    negatives = table.time_s[~table.is_call]
    wanted = round(per_call * len(calls)) if calls else round(10 * DURATION_S)
    assert len(negatives) <= wanted
    for start, length, _ in calls:
        assert ((negatives <= start - margin) | (negatives >= start + length + margin)).all()


# --- patches on peaks -----------------------------------------------------------------------------------------------


def test_the_strongest_peak_of_a_call_is_the_call_and_its_other_peaks_are_neither():
    calls = annotated((1.0, 1.02, "Pip"), (1.5, 1.51, "Nyc"))
    peaks, strengths = [0.3, 1.004, 1.012, 1.023, 1.507], [9, 2, 5, 3, 1]
    for margin, negatives in ((0.013, [0.3]), (0.001, [0.3, 1.023])):
        table = at_peaks(peaks, calls, strengths, negative_margin_s=margin)
        assert positives(table) == [(1.012, [0, 1]), (1.507, [1, 0])]
        assert table.time_s[~table.is_call].tolist() == negatives


def test_a_call_without_a_peak_is_learned_at_its_middle():
    table = at_peaks([0.3], annotated((1.0, 1.02, "Pip")))
    assert positives(table) == [(1.01, [0, 1])]
    assert positives(at_peaks([], annotated((1.0, 1.02, "Pip")))) == [(1.01, [0, 1])]


def test_a_peak_of_a_class_that_is_not_learned_is_neither_call_nor_not():
    table = at_peaks([0.3, 1.01], annotated((1.0, 1.02, "Rhi")))
    assert not table.is_call.any()
    np.testing.assert_allclose(table.time_s, [0.3])


def test_a_peak_in_two_calls_at_once_has_both_names():
    calls = annotated((1.0, 1.01, "Pip"), (1.0, 1.01, "Nyc"))
    assert positives(at_peaks([1.004], calls, merge_s=0.003)) == [(1.004, [1, 1]), (1.005, [1, 1])]


def test_peaks_are_shifted_with_their_names_and_negatives_are_not():
    table = at_peaks([0.3, 1.012], annotated((1.0, 1.02, "Pip")), shift_s=(0.0005,))
    assert positives(table) == [(t, [0, 1]) for t in (1.0115, 1.012, 1.0125)]
    assert (~table.is_call).sum() == 1


def test_negatives_are_drawn_when_there_are_more_peaks_than_wanted():
    times = np.linspace(0.05, 1.95, 60)
    table = at_peaks(times.tolist(), annotated(), negatives_per_second=10, negatives_per_call=3)
    assert len(table) == 20
    assert set(np.round(table.time_s, 9)) <= set(np.round(times, 9))
    assert len(at_peaks(times.tolist(), annotated(), negatives_per_second=100)) == 60
    assert len(at_peaks([], annotated())) == 0


@settings(deadline=None)
@given(calls_strategy, st.lists(st.floats(0, 2), max_size=15, unique=True), st.floats(0, 0.02), st.floats(0, 0.05))
def test_every_peak_and_every_call_is_accounted_for(calls, times, match_s, margin):
    annotations = annotated(*((start, start + length, label) for start, length, label in calls))
    peaks = np.sort(times)
    settings = {"match_s": match_s, "negative_margin_s": margin, "negatives_per_second": 1000}
    table = at_peaks(peaks.tolist(), annotations, **settings)
    known = [(start, start + length) for start, length, label in calls if label != "Rhi"]
    # Each call once, on a peak or at its middle; a peak of a class that is not learned may stand for it as well.
    assert table.is_call.sum() >= len(known)
    assert table.is_call.sum() == len(known) or len(known) < len(calls)
    for start, end in known:
        positive = table.time_s[table.is_call]
        assert ((positive >= start - match_s) & (positive <= end + match_s)).any()
    negatives = table.time_s[~table.is_call]
    near = np.zeros(len(peaks), bool)
    for start, length, _ in calls:
        assert ((negatives <= start - margin) | (negatives >= start + length + margin)).all()
        reach = max(match_s, margin)
        near |= (peaks >= start - reach) & (peaks <= start + length + reach)
    assert set(peaks[~near]) <= set(negatives) <= set(peaks)


# --- cutting ---------------------------------------------------------------------------------------------------------


def plain_cut(values: np.ndarray, centre: int, slices: int) -> np.ndarray:
    patch = np.zeros((slices, values.shape[1]), np.float32)
    for row in range(slices):
        at = centre - slices // 2 + row
        if 0 <= at < len(values):
            patch[row] = values[at]
    return patch


@settings(deadline=None)
@given(
    st.integers(0, 30),
    st.lists(st.integers(-20, 50), min_size=1, max_size=5),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 4),
)
def test_cutting_and_averaging_as_a_plain_loop_would(n_slices, centres, time, frequency, units):
    values = np.random.default_rng(n_slices).normal(size=(n_slices, 7)).astype(np.float32)
    config = PatchesConfig(reduce_time=time, reduce_frequency=frequency)
    slices = 2 * time * units
    cut = cut_patches(values, np.array(centres), slices, config)
    assert cut.dtype == np.float32
    assert cut.shape == (len(centres), slices // time, 7 // frequency, 1)
    for patch, centre in zip(cut, centres, strict=True):
        whole = plain_cut(values, centre, slices)
        for column in range(slices // time):
            for band in range(7 // frequency):
                part = whole[column * time : (column + 1) * time, band * frequency : (band + 1) * frequency]
                assert patch[column, band, 0] == pytest.approx(part.mean(), abs=1e-6)


def test_corners_is_the_published_interpolation():
    """Published: scipy.ndimage.zoom of each patch by 1/2 both ways, order 1."""
    patches = np.random.default_rng(0).normal(size=(3, 40, 260)).astype(np.float32)
    expected = np.stack([zoom(patch, (0.5, 0.5), order=1) for patch in patches])
    assert expected.shape == (3, 20, 130)
    np.testing.assert_allclose(reduce_patches(patches, PatchesConfig(resize="corners")), expected, atol=1e-6)


def test_a_spectrogram_on_disk_is_not_written_to(tmp_path):
    np.save(tmp_path / "kept.npy", np.ones((10, 4), np.float32))
    kept = np.load(tmp_path / "kept.npy", mmap_mode="r")
    cut = cut_patches(kept, np.array([0, 9]), 8, PatchesConfig())
    assert cut.min() == 0
    assert cut.max() == 1
    assert (kept == 1).all()


def stored(config: BandSpectrogramConfig, rate: int, seconds: float = 0.1) -> StoredSpectrogram:
    made = BandSpectrogram(config, rate)
    values = np.random.default_rng(rate).normal(size=(round(seconds / made.hop_s), made.n_rows)).astype(np.float32)
    return StoredSpectrogram(values, made.hop_s, config.hop_s, made.offset_s, made.frequencies_hz, seconds, rate, 0.0)


RATES = (233_000, 250_000, 256_000, 300_000, 312_500, 384_000, 441_000, 500_000)


@pytest.mark.parametrize("name", recipe_names("calls"))
def test_patches_are_alike_at_every_sample_rate(name):
    recipe = load_recipe(name)
    spectrograms = [stored(recipe.front_end, rate) for rate in RATES if rate / 2 > recipe.front_end.high_hz]
    n = len(spectrograms)
    table = PatchTable(np.arange(n), np.full(n, 0.05), np.zeros((n, 1), np.uint8))
    columns = recipe.patches.slices(recipe.front_end.hop_s) // recipe.patches.reduce_time
    assert cut_table(table, spectrograms, recipe.patches).shape[:2] == (n, columns)


def test_patches_are_alike_where_rounding_the_hop_would_tip_them():
    """At 10.5 columns' pairs, the hop of 251 kHz (126 samples, 0.50199 ms) and of 250 kHz round to either side."""
    front_end = BandSpectrogramConfig(window_s=0.002, hop_s=0.0005, low_hz=8000, high_hz=100_000)
    spectrograms = [stored(front_end, rate) for rate in (249_000, 250_000, 251_000)]
    table = PatchTable(np.arange(3), np.full(3, 0.05), np.zeros((3, 1), np.uint8))
    for width_s in (0.021, 0.023, 0.025):
        assert len(cut_table(table, spectrograms, PatchesConfig(width_s=width_s))) == 3


def test_a_table_is_cut_in_its_own_order():
    front_end = BandSpectrogramConfig(window_s=0.002, hop_s=0.0005, low_hz=8000, high_hz=100_000)
    spectrograms = [stored(front_end, 250_000), stored(front_end, 256_000)]
    table = PatchTable(np.array([1, 0, 1]), np.array([0.02, 0.05, 0.08]), np.zeros((3, 2), np.uint8))
    config = PatchesConfig(width_s=0.01)
    cut = cut_table(table, spectrograms, config)
    for row, (recording, time) in enumerate(zip(table.recording, table.time_s, strict=True)):
        spectrogram = spectrograms[recording]
        centre = int(np.abs(spectrogram.offset_s + np.arange(200) * spectrogram.hop_s - time).argmin())
        np.testing.assert_array_equal(cut[row], cut_patches(spectrogram.values, np.array([centre]), 20, config)[0])
    np.testing.assert_array_equal(cut_table(table.take(np.array([2, 0])), spectrograms, config), cut[[2, 0]])
    with pytest.raises(ValueError, match="no patches"):
        cut_table(empty_patches(2), spectrograms, config)


# --- tables ----------------------------------------------------------------------------------------------------------


def test_targets_of_the_three_kinds_of_head():
    table = PatchTable(np.zeros(3, int), np.zeros(3), np.array([[1, 0], [1, 1], [0, 0]], np.uint8))
    assert table.is_call.tolist() == [True, True, False]
    assert table.targets("call_and_species").tolist() == [[0, 1, 0], [0, 1, 1], [1, 0, 0]]
    assert table.targets("call").tolist() == [[0, 1], [0, 1], [1, 0]]
    assert table.targets("species").tolist() == [[1, 0], [1, 1], [0, 0]]
    assert table.targets("call").dtype == np.float32


def test_tables_are_joined_and_taken_from():
    table = PatchTable(np.array([0, 1]), np.array([0.1, 0.2]), np.array([[1, 0], [0, 1]], np.uint8))
    joined = empty_patches(2).joined(table).joined(table.take(np.array([1])))
    assert joined.recording.tolist() == [0, 1, 1]
    assert joined.time_s.tolist() == [0.1, 0.2, 0.2]
    assert joined.species.tolist() == [[1, 0], [0, 1], [0, 1]]
    assert joined.species.dtype == np.uint8
    assert len(joined) == 3
