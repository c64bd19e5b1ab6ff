"""Crops of recordings: the right sound at the right rate, kept on disk within bounds, never stale."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from ecotf.audio.fades import centred, faded
from ecotf.audio.recording import open_recording
from ecotf.audio.resample import resample
from ecotf.errors import EcotfError, RecordingError
from ecotf.pipelines import sound_cache
from ecotf.pipelines.clips import ClipsConfig
from ecotf.pipelines.crops import ClipSounds, SkippedRecordings
from ecotf.pipelines.passages import draw_where_it_is_loud, padded

RATE = 8000
RNG = np.random.default_rng


def write(path, sound, rate=RATE, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, rate, **options)
    return path


def noise(seconds, seed=0, rate=RATE):
    return RNG(seed).normal(0, 0.1, round(seconds * rate))


@pytest.fixture
def recording(tmp_path):
    return write(tmp_path / "a.wav", noise(4.0), subtype="PCM_16")


@pytest.fixture
def decoded(monkeypatch):
    """The recordings that were decoded from beginning to end."""
    seen = []
    really = sound_cache.decode

    def counted(recording, *arguments):
        seen.append(recording.path.name)
        return really(recording, *arguments)

    monkeypatch.setattr(sound_cache, "decode", counted)
    monkeypatch.setattr("ecotf.pipelines.crops.decode", counted)
    return seen


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("rate", [RATE, 5000, 12_000])
def test_a_crop_is_that_part_of_the_recording(tmp_path, recording, kept, rate):
    whole = resample(open_recording(recording).read(), RATE, rate)
    sounds = ClipSounds([recording], rate, tmp_path / "cache" if kept else None)
    clips = ClipsConfig(seconds=1.0)
    step = 2 * sound_cache._HEADROOM / 32767 if kept else 2e-5
    for start_s in (0.0, 1.3, 3.0):
        start = round(start_s * rate)
        np.testing.assert_allclose(sounds.crop(0, start_s, clips, RNG(0)), whole[start : start + rate], atol=step)
    found = sounds.crop(0, np.nan, clips, RNG(1))
    place = int(RNG(1).integers(0, 3 * rate + 1))
    np.testing.assert_allclose(found, whole[place : place + rate], atol=step)
    assert found.dtype == np.float32 and found.shape == (rate,)


@pytest.mark.parametrize("pad", ["repeat", "zeros"])
def test_a_short_recording_is_filled_up(tmp_path, pad):
    short = write(tmp_path / "a.wav", noise(0.3))
    whole = open_recording(short).read()
    made = ClipSounds([short], RATE).crop(0, np.nan, ClipsConfig(seconds=1, pad=pad), RNG(0))
    expected = np.tile(whole, 4)[:RATE] if pad == "repeat" else np.concatenate([whole, np.zeros(RATE - len(whole))])
    np.testing.assert_array_equal(made, expected)
    last = ClipSounds([short], RATE).crop(0, 0.2, ClipsConfig(seconds=0.2, pad="zeros"), RNG(0))
    np.testing.assert_array_equal(last, np.concatenate([whole[1600:], np.zeros(800)]))
    assert (ClipSounds([short], RATE).crop(0, 7.0, ClipsConfig(seconds=1, pad=pad), RNG(0)) == 0).all()
    assert len(padded(np.empty(0, np.float32), 5, pad)) == 5


def test_fades_and_the_middle_are_as_published_for_darksound(tmp_path):
    """Half a period of a cosine at both ends of the recording, then centred or cut to the length of a clip."""
    for seconds in (0.3, 0.15, 2.0):
        path = write(tmp_path / f"{seconds}.wav", noise(seconds))
        clips = ClipsConfig(seconds=1, pad="centre", fade_s=0.1, crop="start")
        made = ClipSounds([path], RATE).crop(0, np.nan, clips, RNG(0))
        np.testing.assert_allclose(made, centred(faded(open_recording(path).read(), 0.1, RATE), RATE), atol=1e-6)
    middle = ClipSounds([path], RATE).crop(0, 0.5, clips, RNG(0))  # nothing begins or ends there
    np.testing.assert_array_equal(middle, open_recording(path).read()[RATE // 2 : RATE // 2 + RATE])
    short = write(tmp_path / "short.wav", noise(0.09))
    with pytest.raises(RecordingError, match=r"0\.090 s long; a fade of 0\.1 s needs at least 0\.1 s"):
        ClipSounds([short], RATE).crop(0, np.nan, clips, RNG(0))


def test_smart_crops_go_where_the_sound_is(tmp_path):
    sound = noise(20.0) * 0.01
    sound[12 * RATE : 13 * RATE] += noise(1.0, 1)
    sounds = ClipSounds([write(tmp_path / "a.wav", sound)], RATE)
    clips, rng = ClipsConfig(seconds=2.0, crop="energy"), RNG(0)
    envelope = sounds.decoded(0).envelope
    starts = np.array([draw_where_it_is_loud(envelope, 2 * RATE, 18 * RATE, RATE, rng) for _ in range(300)]) / RATE
    assert (starts >= 9.9).mean() > 0.97 and (starts <= 13.1).mean() > 0.97
    # Where all of the burst is in the clip, its energy is the same, so places there are alike.
    assert np.histogram(starts, [11, 11.5, 12])[0].min() > 30
    crops = [sounds.crop(0, np.nan, clips, rng).std() for _ in range(20)]
    assert np.median(crops) > 0.02
    even = draw_where_it_is_loud(np.ones(400), 2 * RATE, 18 * RATE, RATE, RNG(0))
    assert 0 <= even <= 18 * RATE
    assert all(draw_where_it_is_loud(RNG(i).random(41), RATE, 8420, RATE, RNG(i)) <= 8420 for i in range(50))


def test_wind_does_not_draw_crops(tmp_path):
    time = np.arange(20 * RATE) / RATE
    rumble = 0.5 * np.sin(2 * np.pi * 20 * time) * (time < 5)
    call = 0.1 * np.sin(2 * np.pi * 2500 * time) * ((time > 12) & (time < 13))
    sounds = ClipSounds([write(tmp_path / "a.wav", rumble + call + 0.001 * noise(20))], RATE)
    envelope = sounds.decoded(0).envelope
    starts = [draw_where_it_is_loud(envelope, 2 * RATE, 18 * RATE, RATE, RNG(i)) / RATE for i in range(200)]
    assert np.mean([9.9 < start < 13.1 for start in starts]) > 0.85


def test_self_mixup_adds_the_parts_of_a_recording(tmp_path):
    path = write(tmp_path / "a.wav", noise(3.5))
    whole = open_recording(path).read()
    sounds = ClipSounds([path], RATE)
    clips = ClipsConfig(seconds=1, self_mixup="background", self_mixup_s=60)
    added = whole[:RATE] + whole[RATE : 2 * RATE] + whole[2 * RATE : 3 * RATE]
    added[: RATE // 2] += whole[3 * RATE :]
    np.testing.assert_allclose(sounds.crop(0, np.nan, clips, RNG(0), foreground=False), added, atol=1e-6)
    assert np.abs(sounds.crop(0, np.nan, clips, RNG(0), foreground=True) - added).max() > 0.1
    every = ClipsConfig(seconds=1, self_mixup="all", self_mixup_s=2)
    place = int(RNG(3).integers(0, round(1.5 * RATE) + 1))
    parts = whole[place : place + 2 * RATE].reshape(2, RATE).sum(axis=0)
    np.testing.assert_allclose(sounds.crop(0, np.nan, every, RNG(3)), parts, atol=1e-6)
    assert (sounds.crop(0, 1.0, every, RNG(0)) == whole[RATE : 2 * RATE]).all()  # a fixed place is that place


def test_a_recording_is_decoded_once(tmp_path, recording, decoded):
    for _ in range(2):  # the second time as another training would
        sounds = ClipSounds([recording], RATE, tmp_path / "cache")
        for i in range(3):
            sounds.crop(0, np.nan, ClipsConfig(seconds=1), RNG(i))
    assert decoded == ["a.wav"]
    write(recording, noise(4.0, seed=9), subtype="PCM_16")
    fresh = ClipSounds([recording], RATE, tmp_path / "cache").crop(0, 0.0, ClipsConfig(seconds=1), RNG(0))
    assert decoded == ["a.wav"] * 2
    np.testing.assert_allclose(fresh, open_recording(recording).read(0, 1), atol=1e-4)
    ClipSounds([recording], 4000, tmp_path / "cache").crop(0, 0.0, ClipsConfig(seconds=1), RNG(0))
    assert len(decoded) == 3


def test_a_damaged_entry_is_made_anew(tmp_path, recording, decoded):
    cache = tmp_path / "cache"
    ClipSounds([recording], RATE, cache).crop(0, 0.0, ClipsConfig(seconds=1), RNG(0))
    (entry,) = cache.glob("*.npy")
    entry.write_bytes(entry.read_bytes()[:5000])
    made = ClipSounds([recording], RATE, cache).crop(0, 3.0, ClipsConfig(seconds=1), RNG(0))
    np.testing.assert_allclose(made, open_recording(recording).read(3, 4), atol=1e-4)
    assert len(decoded) == 2


def test_the_cache_stays_within_its_limit(tmp_path, decoded):
    paths = [write(tmp_path / f"{i}.wav", noise(1.0, i)) for i in range(6)]
    limit = 3 * (2 * RATE + 128)
    clips = ClipsConfig(seconds=0.5)
    sounds = ClipSounds(paths, RATE, tmp_path / "cache", cache_bytes=limit)
    for epoch in range(2):
        for i in range(6):
            made = sounds.crop(i, 0.25, clips, RNG(epoch))
            np.testing.assert_allclose(made, open_recording(paths[i]).read(0.25, 0.75), atol=1e-4)
    held = sum(file.stat().st_size for file in (tmp_path / "cache").glob("*.npy"))
    assert held <= limit and len(list((tmp_path / "cache").glob("*.npy"))) == 3
    assert sorted(decoded) == [f"{i}.wav" for i in range(6)]  # what has no room is read where it is wanted
    # Another set of recordings takes the room of those that it does not use.
    others = [write(tmp_path / f"other{i}.wav", noise(1.0, 10 + i)) for i in range(2)]
    later = ClipSounds([paths[0], *others], RATE, tmp_path / "cache", cache_bytes=limit)
    decoded.clear()
    for i in range(3):
        later.crop(i, 0.0, clips, RNG(0))
    assert decoded == ["other0.wav", "other1.wav"]
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 3


def test_a_full_disk_ends_the_keeping_not_the_training(tmp_path, recording, monkeypatch):
    def full(path):
        raise EcotfError(f"disk full while writing {path}")

    monkeypatch.setattr(sound_cache, "atomic_file", full)
    sounds = ClipSounds([recording, recording], RATE, tmp_path / "cache")
    assert sounds.cache_problem == ""
    for index in (0, 1):
        made = sounds.crop(index, 1.0, ClipsConfig(seconds=1), RNG(0))
        np.testing.assert_array_equal(made, open_recording(recording).read(1, 2))
    assert sounds.cache_problem.startswith("disk full while writing ")


@pytest.mark.parametrize("crop", ["random", "energy"])
def test_crops_are_drawn_alike_whether_kept_or_not(tmp_path, crop):
    path = write(tmp_path / "a.ogg", noise(7.3, rate=44_100), 44_100, format="OGG")
    clips, step = ClipsConfig(seconds=1, crop=crop), 2 * sound_cache._HEADROOM / 32767
    kept, not_kept = ClipSounds([path], 32_000, tmp_path / "cache"), ClipSounds([path], 32_000)
    no_room = ClipSounds([path], 32_000, tmp_path / "small", cache_bytes=1000)
    for seed in (1, 1, 2):
        expected = not_kept.crop(0, np.nan, clips, RNG(seed))
        for sounds in (kept, no_room):
            np.testing.assert_allclose(sounds.crop(0, np.nan, clips, RNG(seed)), expected, atol=step)


def test_sound_beyond_full_scale_keeps_its_shape(tmp_path):
    loud = noise(1.0) * 60  # a float file
    path = write(tmp_path / "a.wav", loud, subtype="FLOAT")
    made = ClipSounds([path], RATE, tmp_path / "cache").crop(0, 0.0, ClipsConfig(seconds=1), RNG(0))
    assert np.abs(made).max() > 10
    np.testing.assert_allclose(made, loud, atol=2 * np.abs(loud).max() / 32767)


def test_time_expansion_and_channels(tmp_path):
    slow = write(tmp_path / "a.wav", np.stack([noise(1.0), noise(1.0, 1)], axis=1))
    sounds = ClipSounds([slow], 80_000, tmp_path / "cache", time_expansions=[10.0], channel=2)
    made = sounds.crop(0, 0.0, ClipsConfig(seconds=0.05), RNG(0))
    np.testing.assert_allclose(made, noise(1.0, 1)[:4000], atol=2e-4)
    assert sounds.durations() == {0: 0.1}


@pytest.mark.parametrize("kept", [True, False])
def test_what_cannot_be_read_is_refused_every_time(tmp_path, recording, kept):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(recording.read_bytes()[:2000])
    sounds = ClipSounds([broken, tmp_path / "none.wav", recording], RATE, tmp_path / "cache" if kept else None)
    report = SkippedRecordings()
    assert list(sounds.durations(report)) == [2]
    for _ in range(2):
        for index in (0, 1):
            with pytest.raises(RecordingError):
                sounds.crop(index, np.nan, ClipsConfig(seconds=1), RNG(0))
    assert report.clips == 2
    assert [line.split(": ")[0] for line in report.lines()] == [str(broken), str(tmp_path / "none.wav")]
    assert "(1 clip left out)" in report.lines()[0]
    assert not list((tmp_path / "cache").glob("*.npy")) if kept else not (tmp_path / "cache").exists()
