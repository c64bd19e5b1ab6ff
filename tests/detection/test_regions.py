"""Regions of interest: boxes and features as scikit-maad 1.5.2 gives them, and filtering in chunks."""

import numpy as np
import pytest

from ecotf.audio.band_pass import band_passed
from ecotf.detection.regions import RegionConfig, find_regions, level_spectrogram
from ecotf.errors import ConfigError
from ecotf.features.shapes import count_shapes, frequency_features, shape_features, without_background
from ecotf.regions.chunks import filtered_chunks, plan_chunks

RATE = 16_000
CALLS = ((1.0, 0.6, 1000.0), (1.9, 0.5, 1100.0), (4.0, 1.5, 3000.0), (7.0, 0.25, 4000.0), (9.6, 0.4, 2000.0))
# What scikit-maad's select_bandwidth, spectrogram, remove_background_along_axis, create_mask and select_rois find here,
# with bambird's closing, ratio and least length; the first two calls are joined, and the click at 6 s is left out.
BOXES = [
    (1.024, 2.4, 937.5, 1203.125), (4.032, 5.472, 2953.125, 3046.875), (7.008, 7.232, 3937.5, 4078.125),
    (9.6, 9.952, 1937.5, 2062.5),
]  # fmt: skip


@pytest.fixture(scope="module")
def filtered():
    t = np.arange(10 * RATE) / RATE
    sound = np.random.default_rng(0).normal(0, 1e-3, len(t))
    for start_s, length_s, hertz in CALLS:
        inside = (t >= start_s) & (t < start_s + length_s)
        sound += inside * 0.2 * np.sin(2 * np.pi * hertz * t) * np.sin(np.pi * (t - start_s) / length_s) ** 2
    sound = sound.astype(np.float32).astype(np.float64) + 0.3
    sound[6 * RATE : 6 * RATE + 40] += 0.5
    return sound, band_passed(sound, RATE, 250, 5000)


def test_boxes_are_those_of_scikit_maad(filtered):
    np.testing.assert_allclose(find_regions(filtered[1], RATE, RegionConfig()), BOXES, atol=1e-6)


def test_every_setting_of_the_mask_counts(filtered):
    def boxes(**changes):
        return find_regions(filtered[1], RATE, RegionConfig(**changes))

    assert len(boxes(join_s=0.05)) == 5, "the first two are apart"
    assert len(boxes(most_ratio=None, least_s=0.0)) >= 5, "the click is there"
    assert len(boxes(least_s=0.4)) == 2
    assert boxes(high_db=90) == []
    assert boxes(low_db=26)[1][1] - boxes(low_db=26)[1][0] < 1.44
    assert [round(box[2]) for box in boxes(low_hz=1500, high_hz=3500)] == [2953, 1938]
    with pytest.raises(ConfigError, match="Hz needs a sample rate of at least 18"):
        boxes(high_hz=9000.0)
    assert find_regions(np.zeros(3 * RATE), RATE, RegionConfig()) == []
    assert find_regions(filtered[1][:1500], RATE, RegionConfig()) == []


def test_features_are_those_of_scikit_maad(filtered):
    spectrogram = level_spectrogram(RATE, 1024, 0.5, 0, RATE / 2, 96)
    passage = filtered[1][int(3.8 * RATE) : int(5.7 * RATE)]
    levels = np.minimum(spectrogram(passage.astype(np.float32)), 0).T + 96
    levels[:2] = 0
    image = without_background(levels)
    low, high = shape_features(image, "low"), shape_features(image, "high")
    assert len(low) == count_shapes("low") and len(high) == count_shapes("high")
    np.testing.assert_allclose(low[:4], [0.151374, 0.177945, 0.118615, 0.12055], rtol=2e-3)
    np.testing.assert_allclose(low.sum(), 1.64753, rtol=2e-3)
    np.testing.assert_allclose(high[-4:], [0.051607, 0.044582, 0.01996, 0.024083], rtol=1e-2)
    np.testing.assert_allclose(high.sum(), 8.421036, rtol=2e-3)
    found = frequency_features(image, spectrogram.frequencies_hz)
    assert (found["bandwidth_min_f"], found["bandwidth_max_f"]) == (2734.375, 3265.625)
    assert found["centroid_f"] == 3000 and found["bandwidth_f"] == 531.25
    assert np.isnan(shape_features(np.zeros((512, 30)), "low")).all()


@pytest.mark.parametrize("block", [777, RATE])
@pytest.mark.parametrize("seconds", [10.0, 11.1, 1.4, 9.0])
def test_chunks_are_the_whole_filtered_at_once(filtered, block, seconds):
    sound = np.concatenate([filtered[0], filtered[0]])[: round(seconds * RATE)].astype(np.float32)
    whole = band_passed(sound, RATE, 250, 5000)
    plan = plan_chunks(len(sound), 2 * RATE, keep_tail=True)
    blocks = (sound[start : start + block] for start in range(0, len(sound), block))
    chunks = list(filtered_chunks(blocks, plan, len(sound), RATE, (250, 5000), 5, 0.2))
    assert sum(chunk.inside.stop - chunk.inside.start for chunk in chunks) == len(sound)
    for chunk in chunks:
        margin = round(0.2 * RATE)
        first, last = max(0, chunk.inside.start - margin), min(len(chunk.sound), chunk.inside.stop + margin)
        there = slice(chunk.start - chunk.inside.start + first, chunk.start - chunk.inside.start + last)
        np.testing.assert_allclose(chunk.sound[first:last], whole[there], atol=1e-7)
        assert len(chunk.sound) <= (2 + 1 + 2.5) * RATE
