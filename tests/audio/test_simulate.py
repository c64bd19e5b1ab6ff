"""Simulated recordings: held to physics, to their own annotations, and to their seed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy import signal

from ecotf.audio import simulate
from ecotf.audio.calls import CallShape, envelope, feeding_buzz, frequency_law, synthesize
from ecotf.audio.clicks import Click, bush_cricket
from ecotf.audio.passes import BOX_FRACTION
from ecotf.audio.scene import Flight, Scene, atmospheric_absorption, coloured_noise, draw_scene, receive
from ecotf.audio.simulate import SimulationConfig, simulate_dataset, simulate_recording
from ecotf.audio.species import SPECIES
from ecotf.config import validate
from ecotf.errors import ConfigError, DataError

RATE = 256_000
SHORT = SimulationConfig(n_recordings=4, duration_s=1.0, seed=3)
# Bats alone, far above the noise.
CLEAN = SimulationConfig(
    duration_s=1.5,
    passes=(1, 1),
    empty_fraction=0,
    snr_db=(95, 95),
    noise_floor_db=(-150, -150),
    annotate_above_snr_db=70,
    bush_cricket_probability=0,
    rain_probability=0,
)


def still_air() -> Scene:
    """A flat microphone, no noise, no absorption, sound at 340 m/s."""
    grid = np.arange(0, 130e3, 500.0)
    flat = np.zeros_like(grid)
    return Scene(RATE, 340.0, grid, flat, flat, flat - 200)


def measured_hz(waveform: np.ndarray, at: float) -> float:
    """Instantaneous frequency from the analytic signal, about the fraction ``at`` of the call."""
    phase = np.unwrap(np.angle(signal.hilbert(waveform)))
    middle = int(at * waveform.size)
    reach = max(4, waveform.size // 50)
    return float((phase[middle + reach] - phase[middle - reach]) * RATE / (2 * np.pi * 2 * reach))


# --- calls -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPECIES)
@pytest.mark.parametrize("at", [0.4, 0.5, 0.7])
def test_sound_follows_the_frequency_law(name, at):
    for shape in SPECIES[name].calls:
        pure = CallShape(**{**shape.__dict__, "harmonics": ()})
        waveform = synthesize(pure, RATE).waveform
        assert measured_hz(waveform, at) == pytest.approx(frequency_law(shape, np.array([at]))[0], rel=0.015)


@pytest.mark.parametrize("name", SPECIES)
def test_law_and_envelope_at_their_ends(name):
    for shape in SPECIES[name].calls:
        law = frequency_law(shape, np.array([0.0, 1.0]))
        assert law == pytest.approx([shape.start_hz, shape.end_hz])
        loud = envelope(shape, np.linspace(0, 1, 2001))
        assert loud.max() == pytest.approx(1, abs=1e-3)
        assert loud[0] == loud[-1] == pytest.approx(0, abs=1e-12)


def test_harmonics_above_nyquist_do_not_fold_back():
    shape = CallShape(80e3, 70e3, 65e3, 0.005, harmonics=((2.0, 0.0),))
    with_partial, without = (
        synthesize(CallShape(**{**shape.__dict__, "harmonics": harmonics}), RATE).waveform
        for harmonics in (((2.0, 0.0),), ())
    )
    assert np.allclose(with_partial, without)


def test_span_is_exact_to_the_sample():
    call = synthesize(SPECIES["Pipistrellus pipistrellus"].calls[0], RATE)
    span, limit = call.span(0.1), 0.1 * call.envelope.max()
    assert call.envelope[span.start] >= limit > call.envelope[span.start - 1]
    assert call.envelope[span.stop - 1] >= limit > call.envelope[span.stop]


@pytest.mark.parametrize("name", ["Pipistrellus pygmaeus", "Myotis daubentonii", "Rhinolophus ferrumequinum"])
def test_buzz_shortens_and_sinks(name):
    species = SPECIES[name]
    buzz = feeding_buzz(species.calls[0], species.interval_s, species.buzz_drop, np.random.default_rng(0))
    times, calls = zip(*buzz, strict=True)
    intervals = np.diff(times)
    assert intervals[0] > 0.06
    assert np.all(np.diff(intervals) < 1e-12)
    assert 0.005 < intervals[-1] < 0.008
    durations = [call.duration_s for call in calls]
    assert durations[-1] < 0.5 * durations[0]
    assert all(duration < interval for duration, interval in zip(durations, intervals, strict=False))
    if species.buzz_drop:
        assert calls[-1].end_hz < 0.75 * calls[0].end_hz


# --- scene -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("temperature", "humidity", "expected"),
    # ISO 9613-2:1996, table 2: dB/km at 500, 1000, 2000, 4000 and 8000 Hz.
    [
        (10, 70, [1.9, 3.7, 9.7, 32.8, 117]),
        (20, 70, [2.8, 5.0, 9.0, 22.9, 76.6]),
        (15, 50, [2.2, 4.2, 10.8, 36.2, 129]),
    ],
)
def test_absorption_is_that_of_the_standard(temperature, humidity, expected):
    octaves = np.array([500.0, 1000, 2000, 4000, 8000])
    assert 1e3 * atmospheric_absorption(octaves, temperature, humidity) == pytest.approx(expected, rel=0.04)


def test_doppler_shift_has_the_right_sign_and_size():
    scene, shape = still_air(), CallShape(98e3, 110e3, 95e3, 0.04, law="cf", harmonics=())
    flight = Flight(nearest_s=1.0, speed_m_s=6.0, aside_m=0.5, above_m=0.0)
    coming, passing, leaving = (
        measured_hz(receive(shape, at, flight, scene)[1].waveform, 0.5) for at in (-1.0, 1.0, 3.0)
    )
    assert coming == pytest.approx(110e3 * 340 / (340 - 6), rel=2e-4)
    assert passing == pytest.approx(110e3, rel=2e-4)
    assert leaving == pytest.approx(110e3 * 340 / (340 + 6), rel=2e-4)


def test_sound_arrives_late_and_faint():
    scene, shape = still_air(), CallShape(50e3, 50e3, 49e3, 0.005, harmonics=())
    near, far = (Flight(0.0, 1.0, aside, 0.0) for aside in (5.0, 10.0))
    (first_near, call_near), (first_far, call_far) = (receive(shape, 0.0, flight, scene) for flight in (near, far))
    assert first_near == np.ceil(5 / 340 * RATE)
    assert first_far == np.ceil(10 / 340 * RATE)
    assert call_near.envelope.max() / call_far.envelope.max() == pytest.approx(2, rel=1e-3)
    by_ground, _ = receive(shape, 0.0, near, scene, by_ground=True)
    assert by_ground > first_near


def test_noise_has_the_density_of_the_scene():
    scene = draw_scene(RATE, -115.0, np.random.default_rng(1))
    noise = coloured_noise(scene, 2 * RATE, np.random.default_rng(2))
    frequency, density = signal.welch(noise, RATE, nperseg=2048)
    inside = (frequency > 15e3) & (frequency < 120e3)
    excess = 10 * np.log10(density[inside]) - np.interp(frequency[inside], scene.grid_hz, scene.noise_db)
    assert abs(np.median(excess)) < 0.3


def test_click_band_holds_its_spectrum():
    click = Click(30e3, 4e-5, 3)
    spectrum = np.abs(np.fft.rfft(click.waveform(RATE), 8192))
    frequency = np.fft.rfftfreq(8192, 1 / RATE)
    loud = frequency[spectrum >= 0.1 * spectrum.max()]
    assert click.band() == pytest.approx((loud.min(), loud.max()), rel=0.15)


@pytest.mark.parametrize("seed", range(6))
def test_syllables_do_not_overlap(seed):
    song = bush_cricket(1.0, RATE, np.random.default_rng(seed))
    starts = np.array([burst.start_s for burst in song])
    assert np.all(np.diff(starts) > 0)
    assert all(np.abs(burst.waveform).max() == pytest.approx(1) for burst in song)


# --- recordings ------------------------------------------------------------------------------------------------------


def test_one_seed_one_sound():
    recording, annotations = simulate_recording(SHORT, 2)
    again, same = simulate_recording(SHORT.model_copy(update={"n_recordings": 99}), 2)
    assert np.array_equal(recording, again)
    assert annotations == same
    assert not np.array_equal(recording, simulate_recording(SHORT, 1)[0])
    assert not np.array_equal(recording, simulate_recording(SHORT.model_copy(update={"seed": 4}), 2)[0])


@pytest.mark.parametrize("index", range(len(SPECIES)))
def test_boxes_hold_the_calls_and_start_with_them(index):
    recording, annotations = simulate_recording(CLEAN, index)
    assert {row["label"] for row in annotations} == {list(SPECIES)[index]}
    quiet_s, checked, end = 0.045, 0, -1.0
    for row in annotations:
        alone = row["start_s"] - end > quiet_s and row["start_s"] > quiet_s
        end = row["end_s"]
        if not alone or row["call_type"] != "echolocation" or end > CLEAN.duration_s - 0.002:
            continue
        start, stop = round(row["start_s"] * RATE), round(end * RATE)
        assert start / RATE == row["start_s"]  # to the sample
        assert stop / RATE == end
        inside = recording[start:stop]
        peak = np.abs(inside).max()
        assert np.abs(recording[start - 400 : start]).max() < 1.3 * BOX_FRACTION * peak
        assert np.abs(inside[:40]).max() > 0.6 * BOX_FRACTION * peak
        power = np.abs(np.fft.rfft(inside)) ** 2
        frequency = np.fft.rfftfreq(inside.size, 1 / RATE)
        in_band = (frequency >= row["low_hz"] - 500) & (frequency <= row["high_hz"] + 500)
        assert power[in_band].sum() > 0.75 * power.sum()
        checked += 1
    assert checked > 0


def test_faint_calls_are_not_annotated():
    strict = CLEAN.model_copy(update={"annotate_above_snr_db": 92.0})
    loud, all_of_them = simulate_recording(strict, 0)[1], simulate_recording(CLEAN, 0)[1]
    assert 0 < len(loud) < len(all_of_them)
    assert all(row in all_of_them for row in loud)


def test_nights_hold_what_was_asked_for():
    config = SimulationConfig(
        duration_s=1.0, passes=(2, 3), empty_fraction=0, bush_cricket_probability=1, rain_probability=1, seed=5
    )
    rows = pd.DataFrame([row for index in range(11) for row in simulate_recording(config, index)[1]])
    assert set(SPECIES) <= set(rows.label)
    assert set(rows.label) - set(SPECIES) == {"Orthoptera", "noise"}
    assert {"echolocation", "buzz", "social", "song", "rain"} == set(rows.call_type)
    assert (rows.start_s >= 0).all() and (rows.end_s <= 1).all() and (rows.start_s < rows.end_s).all()
    assert (rows.low_hz < rows.high_hz).all() and (rows.low_hz > 0).all() and (rows.high_hz <= RATE / 2).all()


def test_calls_of_different_species_overlap():
    config = SimulationConfig(passes=(3, 3), empty_fraction=0, duration_s=2.0, rain_probability=0)
    rows = [row for index in range(3) for row in simulate_recording(config, index)[1] if row["label"] in SPECIES]
    overlapping = [
        (a["label"], b["label"])
        for a, b in pairwise(rows)
        if a["label"] != b["label"] and a["start_s"] <= b["start_s"] < a["end_s"]
    ]
    assert overlapping


@pytest.mark.parametrize("rate", [192_000, 384_000])
def test_other_sample_rates(rate):
    config = SimulationConfig(
        sample_rate_hz=rate, duration_s=0.5, species=("Myotis nattereri", "Pipistrellus kuhlii"), passes=(1, 1)
    )
    recording, annotations = simulate_recording(config, 0)
    assert recording.shape == (rate // 2,)
    assert all(row["high_hz"] <= rate / 2 for row in annotations)


def test_loud_bats_clip_without_wrapping():
    recording, _ = simulate_recording(CLEAN.model_copy(update={"snr_db": (140.0, 140.0)}), 0)
    assert recording.max() == np.float32(32767 / 32768)
    assert recording.min() == -1.0


# --- data sets -------------------------------------------------------------------------------------------------------


def test_dataset_on_disk(tmp_path):
    seen = []
    manifest = simulate_dataset(tmp_path / "nights", SHORT, report=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert sorted(path.name for path in (tmp_path / "nights").iterdir()) == [
        "manifest.csv", "night_000.wav", "night_001.wav", "night_002.wav", "night_003.wav",
    ]  # fmt: skip
    for index in range(4):
        sound, rate = soundfile.read(tmp_path / "nights" / f"night_{index:03d}.wav", dtype="float32")
        assert rate == RATE
        assert np.array_equal(sound, simulate_recording(SHORT, index)[0])
    assert soundfile.info(tmp_path / "nights" / "night_000.wav").subtype == "PCM_16"
    expected = ["recording", "start_s", "end_s", "low_hz", "high_hz", "label", "weight", "group", "split", "call_type"]
    assert list(manifest.columns) == expected
    assert set(manifest.recording) == {f"night_{index:03d}.wav" for index in range(4)}
    assert (manifest.weight == 1).all() and (manifest.split == "").all()
    assert (manifest.group + ".wav" == manifest.recording).all()
    read = pd.read_csv(
        tmp_path / "nights" / "manifest.csv", keep_default_na=False, na_values={"low_hz": "", "high_hz": ""}
    )
    pd.testing.assert_frame_equal(read, manifest, check_dtype=False)


def test_a_recording_without_anything_is_one_empty_row(tmp_path):
    config = SimulationConfig(
        n_recordings=1, duration_s=0.3, empty_fraction=1, bush_cricket_probability=0, rain_probability=0
    )
    manifest = simulate_dataset(tmp_path, config)
    assert len(manifest) == 1
    row = manifest.iloc[0]
    assert (row.label, row.start_s, row.end_s) == ("", 0.0, 0.3)
    assert np.isnan(row.low_hz) and np.isnan(row.high_hz)


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"species": ["Pipistrellus"]}, "'Pipistrellus' cannot be simulated; known: Pipistrellus pipistrellus"),
        ({"species": []}, "at least one species"),
        ({"sample_rate_hz": 192_000}, "cannot carry Rhinolophus hipposideros, which calls at 110500 Hz"),
        ({"snr_db": [40, 20]}, "not a range from least to most"),
        ({"passes": [0, 2]}, "at least 1 pass"),
        ({"n_recordings": 0}, "n_recordings = 0"),
        ({"duration": 3}, "did you mean 'duration_s'"),
    ],
)
def test_impossible_settings_are_named(values, message):
    with pytest.raises(ConfigError, match=message) as caught:
        validate(SimulationConfig, values, "night.yaml")
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "nights").write_text("not a folder")
    with pytest.raises(DataError, match="nights: simulated recordings cannot be written here"):
        simulate_dataset(tmp_path / "nights", SHORT)


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    def fill_up(path, *_, **__):
        path.write_bytes(b"RIFF")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(simulate.soundfile, "write", fill_up)
    with pytest.raises(DataError, match="No space left on device"):
        simulate_dataset(tmp_path, SHORT)
    assert list(tmp_path.iterdir()) == []
