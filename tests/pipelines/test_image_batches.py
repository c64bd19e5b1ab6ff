"""Batches of clips: each with its own image, target and weight, the same again from a seed, and no clip in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from ecotf.features import MelSpectrogram, MelSpectrogramConfig, build_spectrogram
from ecotf.features.image import ImageConfig, make_image
from ecotf.pipelines.augment_image import AugmentImageConfig
from ecotf.pipelines.augment_sound import AugmentSoundConfig
from ecotf.pipelines.augmentation.band_edges import BandEdges
from ecotf.pipelines.augmentation.band_edges import moved as moved_bands
from ecotf.pipelines.clips import ClipsConfig, ClipTable
from ecotf.pipelines.crops import ClipSounds, SkippedRecordings
from ecotf.pipelines.event_draws import Places
from ecotf.pipelines.image_batches import ClipImages, EpochDraws, clip_batches
from ecotf.pipelines.quiet_sounds import QuietSounds
from ecotf.pipelines.samplers import SamplerConfig

RATE = 8000
FRONT_END = MelSpectrogramConfig(window_s=0.032, hop_s=0.016, low_hz=50, high_hz=4000, bands=16, centred=True)
IMAGE = ImageConfig(channels=1)
CLIPS = ClipsConfig(seconds=0.5)
N = 9


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Recordings that can be told apart by the pitch of their tone."""
    folder = tmp_path_factory.mktemp("clips")
    for i in range(N):
        time = np.arange(round((0.4 + 0.2 * i) * RATE)) / RATE
        tone = 0.2 * np.sin(2 * np.pi * (300 + 350 * i) * time)
        soundfile.write(folder / f"{i}.wav", tone + np.random.default_rng(i).normal(0, 0.02, len(time)), RATE)
    for i in range(2):
        soundfile.write(folder / f"rain{i}.wav", np.random.default_rng(i).normal(0, 0.3, 2 * RATE), RATE)
    return folder


def sounds_of(folder, cache=None):
    return ClipSounds([folder / f"{i}.wav" for i in range(N)], RATE, cache)


def table(start_s=np.nan):
    numbers = np.arange(N)
    targets = np.stack([numbers / 10, numbers % 2], axis=1).astype(np.float32)
    return ClipTable(numbers, np.full(N, start_s), targets, (0.1 + numbers / 100).astype(np.float32))


def batches_of(table, sounds, batch, draws=None, image=IMAGE, clips=CLIPS, **options):
    return clip_batches(table, ClipImages(sounds, FRONT_END, image, clips, batch, **options), draws)


def collected(batches):
    return [np.concatenate(parts) for parts in zip(*(map(np.asarray, batch) for batch in batches), strict=True)]


def test_without_a_sampler_it_is_the_table_and_nothing_is_random(folder):
    sounds = sounds_of(folder)
    batches = list(batches_of(table(0.0), sounds, 4, numbered=True))
    assert [len(batch[0]) for batch in batches] == [4, 4, 1]
    images, targets, weight, rows = collected(batches)
    spectrogram = build_spectrogram(FRONT_END, RATE)
    for i in range(N):
        crop = sounds.crop(i, 0.0, CLIPS, np.random.default_rng(0))
        np.testing.assert_allclose(images[i], make_image(spectrogram(crop), IMAGE), atol=1e-5)
    np.testing.assert_array_equal(targets, table().targets)
    np.testing.assert_array_equal(weight, table().weight)
    assert rows.tolist() == list(range(N)) and images.shape == (N, 32, 16, 1)
    assert {part.dtype for part in (images, targets, weight)} == {np.dtype(np.float32)}
    assert len(list(batches_of(table(0.0), sounds, 4, drop_last=True))) == 2


def test_image_target_and_weight_stay_together(folder):
    made = batches_of(table(), sounds_of(folder), 4, EpochDraws(3, sampler=SamplerConfig()))
    images, targets, weight = collected(made)
    number = np.round(targets[:, 0] * 10).astype(int)
    assert sorted(number) == list(range(N)) != number.tolist()
    np.testing.assert_allclose(weight, 0.1 + number / 100, atol=1e-6)
    loudest = images[..., 0].mean(axis=1).argmax(axis=1)
    assert np.corrcoef(loudest, number)[0, 1] > 0.97  # the pitch is that of the recording


def test_the_edges_of_the_bands_change_from_batch_to_batch(folder):
    """A batch has one pair of edges, the next another; the same seed gives the same."""
    edges = AugmentImageConfig(band_edges=BandEdges(low_hz=200, high_hz=1000))
    front_end = FRONT_END.model_copy(update={"high_hz": 3900.0})

    def epoch(image):
        made = ClipImages(sounds_of(folder), front_end, IMAGE, CLIPS, 4)
        return collected(clip_batches(table(0.0), made, EpochDraws(3, image=image)))[0]

    plain, moved = epoch(None), epoch(edges)
    changes = np.abs(moved - plain).mean(axis=(1, 2, 3))
    assert (changes > 0.001).all()
    np.testing.assert_array_equal(moved, epoch(edges))
    spectrogram = MelSpectrogram(front_end, RATE)
    drawn = [moved_bands(spectrogram, edges.band_edges, np.random.default_rng(number)).config for number in range(40)]
    low, high = [config.low_hz for config in drawn], [config.high_hz for config in drawn]
    assert 50 <= min(low) < 90 and 210 < max(low) <= 250
    assert 2900 <= min(high) < 3000 and max(high) == 4000  # half the rate


# Of each kind of draw one; tests of augmentations have all of them together in the graph, and again from the seed.
DRAWN = {
    "sound": AugmentSoundConfig.model_validate(
        {
            **{name: {"probability": 0.5} for name in ("gain", "sum_mixup")},
            "backgrounds": [{"probability": 0.5, "snr_db": [0, 3]}],
        }
    ),
    "image": AugmentImageConfig.model_validate({name: {"probability": 0.5} for name in ("mixup", "time_mask")}),
}


def test_an_epoch_comes_again_from_its_seed(folder, tmp_path):
    def epoch(number, threads=2, cache=None):
        rain = ClipSounds([folder / "rain0.wav", folder / "rain1.wav"], RATE)
        draws = EpochDraws(5, number, SamplerConfig(name="balanced"), backgrounds=[rain], **DRAWN)
        made = batches_of(table(), sounds_of(folder, cache), 4, draws, ImageConfig(channels=3), threads=threads)
        return collected(made)

    first, again, later = epoch(0), epoch(0, threads=4), epoch(1)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert first[0].shape == (N, 32, 16, 3) and np.isfinite(first[0]).all()
    assert np.abs(first[0] - later[0]).max() > 0.1
    kept = epoch(0, cache=tmp_path / "cache")
    np.testing.assert_array_equal(first[1], kept[1])
    assert np.median(np.abs(first[0] - kept[0])) < 0.02  # 16 bits are not quite the same sound


def test_backgrounds_are_heard_only_where_they_are_mixed_in(folder):
    sound = AugmentSoundConfig.model_validate({"backgrounds": [{"probability": 0.5, "snr_db": [-40, -40]}]})
    rain = [ClipSounds([folder / "rain0.wav"], RATE)]
    (plain,) = (collected(batches_of(table(0.0), sounds_of(folder), 9)),)
    mixed = collected(batches_of(table(0.0), sounds_of(folder), 9, EpochDraws(sound=sound, backgrounds=rain)))
    changed = [float(np.abs(a - b).max()) for a, b in zip(plain[0], mixed[0], strict=True)]
    assert 0 < sum(value > 0.1 for value in changed) < N
    assert all(value == 0 or value > 0.1 for value in changed)
    with pytest.raises(ValueError, match="1 sets of backgrounds are configured and 0 given"):
        EpochDraws(sound=sound)


def test_a_quiet_stretch_is_not_mixed_into_its_own_recording(folder):
    sound = AugmentSoundConfig.model_validate({"backgrounds": [{"probability": 1, "snr_db": [-40, -40]}]})
    own = Places(np.array([2]), np.array([0.0]), np.array([1.0]), np.ones(1))
    quiet = [QuietSounds(sounds_of(folder), own)]
    (plain,) = (collected(batches_of(table(0.0), sounds_of(folder), 4)),)
    mixed = collected(batches_of(table(0.0), sounds_of(folder), 4, EpochDraws(sound=sound, backgrounds=quiet)))
    changed = np.abs(plain[0] - mixed[0]).max(axis=(1, 2, 3))
    assert changed[2] == 0 and (np.delete(changed, 2) > 0.1).all()


@pytest.mark.parametrize("kept", [True, False])
def test_corrupt_recordings_are_skipped_counted_and_named(folder, tmp_path, kept):
    paths = [folder / f"{i}.wav" for i in range(N)]
    paths[3] = tmp_path / "cut.wav"
    paths[3].write_bytes((folder / "3.wav").read_bytes()[:3000])
    paths[5] = tmp_path / "empty.ogg"
    paths[5].write_bytes(b"")
    sounds = ClipSounds(paths, RATE, tmp_path / "cache" if kept else None)
    report = SkippedRecordings()
    twice = table().joined(table().take(np.array([3])))
    made = list(batches_of(twice, sounds, 3, EpochDraws(1, sampler=SamplerConfig()), report=report))
    assert [len(batch[0]) for batch in made] == [3, 3, 1]  # the others move up
    assert sorted(np.round(collected(made)[1][:, 0] * 10).astype(int)) == [0, 1, 2, 4, 6, 7, 8]
    assert report.clips == 3
    (cut, empty) = report.lines()
    assert cut.startswith(f"{paths[3]}: truncated") and cut.endswith("(2 clips left out)")
    assert empty == f"{paths[5]}: empty file (0 bytes) (1 clip left out)"


def test_a_recording_that_breaks_off_in_the_middle(folder, tmp_path):
    """The header is whole; decoding finds the damage."""
    sound = np.random.default_rng(0).normal(0, 0.1, 4 * RATE)
    soundfile.write(tmp_path / "a.flac", sound, RATE)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4000] = bytes(4000)
    (tmp_path / "a.flac").write_bytes(content)
    sounds = ClipSounds([folder / "1.wav", tmp_path / "a.flac"], RATE, tmp_path / "cache")
    report = SkippedRecordings()
    both = ClipTable(np.arange(2), np.full(2, np.nan), np.eye(2, dtype=np.float32), np.ones(2, np.float32))
    _, targets, _ = collected(batches_of(both, sounds, 2, report=report))
    assert targets.tolist() == [[1, 0]]
    assert report.clips == 1 and "a.flac: " in report.lines()[0]


DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "fewshot"


@pytest.mark.real
@pytest.mark.skipif(not DATA.exists(), reason=f"real recordings are not at {DATA}")
def test_real_birds(tmp_path):
    from ecotf.datasets.importers import import_annotations
    from ecotf.pipelines.clip_places import clips_of_recordings, segments_of_recordings

    manifest = import_annotations("folders", DATA / "phoebe_xc")
    clips = clips_of_recordings(manifest, manifest.labels, ClipsConfig())
    assert len(clips.table) == 70 and clips.table.targets.sum(axis=0).tolist() == [10] * 7
    sounds = ClipSounds(clips.paths(manifest), 32_000, tmp_path)
    front_end = MelSpectrogramConfig(window_s=0.064, hop_s=0.016, low_hz=50, high_hz=14_000, bands=64, centred=True)
    report = SkippedRecordings()
    images = ClipImages(sounds, front_end, ImageConfig(channels=3), ClipsConfig(crop="energy"), 16, report)
    draws = EpochDraws(sampler=SamplerConfig(), image=DRAWN["image"])
    images, targets, _ = collected(clip_batches(clips.table, images, draws))
    assert report.lines() == [] and images.shape == (70, 313, 64, 3) and np.isfinite(images).all()
    assert targets.sum() == pytest.approx(70, abs=1e-3)
    lengths = {clips.recordings[i]: length for i, length in sounds.durations().items()}
    windows = segments_of_recordings(manifest, lengths, manifest.labels, ClipsConfig(), hop_s=5.0)
    assert len(windows.table) == 70  # 6 s each: the second window would hold 1 s
