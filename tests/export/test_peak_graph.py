"""The strongest peak inside the graph, against the desktop's own search."""

import numpy as np
import pytest

from ecotf.export.stages.peak_graph import strongest_function
from ecotf.features.peaks import PeakConfig, find_peaks, measure_peaks
from ecotf.pipelines.patches import PatchesConfig, cut_patches

N_FRAMES, ROWS, HOP_S = 400, 31, 0.0005
SLICES = 48


def block(seed: int) -> np.ndarray:
    """Peaks of many strengths, some at the ends, in a little noise; as a denoised spectrogram is, never below 0."""
    rng = np.random.default_rng(seed)
    values = np.maximum(0, rng.normal(0.5, 1.0, (N_FRAMES, ROWS))).astype(np.float32)
    for at in rng.integers(0, N_FRAMES, rng.integers(1, 14)):
        width, row = rng.integers(1, 9), rng.integers(0, ROWS)
        bell = np.exp(-0.5 * ((np.arange(N_FRAMES) - at) / width) ** 2)[:, None]
        bell = bell * np.exp(-0.5 * ((np.arange(ROWS) - row) / 3) ** 2)
        values += (rng.uniform(5, 40) * bell).astype(np.float32)
    return values


@pytest.mark.parametrize("resize", ["mean", "corners"])
@pytest.mark.parametrize(
    "config",
    [
        PeakConfig(separation_s=0.003, floor=6.0, prominence=0.0),
        PeakConfig(separation_s=0.004, floor=8.0, prominence=3.0, smooth_s=0.0),
        PeakConfig(separation_s=0.02, floor=4.0, prominence=0.0, reach_s=0.01),
    ],
)
def test_it_is_the_desktops(config, resize):
    patches = PatchesConfig(width_s=SLICES * HOP_S, reduce_time=2, reduce_frequency=3, resize=resize)
    compute = strongest_function(N_FRAMES, ROWS, HOP_S, SLICES, config, patches, measured=True)
    compared = 0
    for seed in range(25):
        values = block(seed)
        peaks = find_peaks(values, HOP_S, config)
        measures = measure_peaks(values, peaks, HOP_S, config)
        inside = np.flatnonzero((peaks >= SLICES // 2) & (peaks <= N_FRAMES - SLICES // 2))
        if not len(inside):
            continue
        best = inside[measures[inside, 0].argmax()]
        given = compute(values)
        np.testing.assert_allclose(given["measures"][0], measures[best], rtol=1e-6, atol=2e-6)
        expected = cut_patches(values, peaks[best : best + 1], SLICES, patches)
        np.testing.assert_allclose(given["patch"], expected, rtol=1e-5, atol=1e-5)
        compared += 1
    assert compared > 15


def test_silence_gives_a_window_all_the_same():
    patches = PatchesConfig(width_s=SLICES * HOP_S)
    compute = strongest_function(N_FRAMES, ROWS, HOP_S, SLICES, PeakConfig(), patches, measured=True)
    given = compute(np.zeros((N_FRAMES, ROWS), np.float32))
    assert np.isfinite(given["measures"]).all() and not np.asarray(given["patch"]).any()
