"""Episodes: support and queries never share a recording, an epoch comes again whatever was drawn before it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from ecotf.datasets import make_manifest
from ecotf.errors import ConfigError, DataError
from ecotf.features import MelSpectrogramConfig
from ecotf.features.image import ImageConfig
from ecotf.pipelines.augment_image import AugmentImageConfig
from ecotf.pipelines.augment_sound import AugmentSoundConfig
from ecotf.pipelines.clip_places import clips_of_recordings
from ecotf.pipelines.clips import ClipsConfig, ClipTable
from ecotf.pipelines.crops import ClipSounds, SkippedRecordings
from ecotf.pipelines.episode_batches import episode_batches
from ecotf.pipelines.episodes import EpisodeClips, EpisodeConfig, draw_episodes, episode_clips
from ecotf.pipelines.image_batches import ClipImages, EpochDraws
from ecotf.pipelines.sources import RecordingSource

RATE = 4000
FRONT_END = MelSpectrogramConfig(window_s=0.032, hop_s=0.032, low_hz=50, high_hz=2000, bands=8, centred=True)
CONFIG = EpisodeConfig(way=2, shots=2, queries=1, episodes=6)
NAMES = ("low", "middle", "high")


def clips_of(groups: list[list[int]]) -> EpisodeClips:
    """For each class, how many clips each of its groups has."""
    code = np.array([code for code, sizes in enumerate(groups) for size in sizes for _ in range(size)])
    number = np.repeat(np.arange(sum(map(len, groups))), [size for sizes in groups for size in sizes])
    targets = np.eye(len(groups), dtype=np.float32)[code]
    table = ClipTable(np.arange(len(code)), np.full(len(code), np.nan), targets, np.ones(len(code), np.float32))
    return EpisodeClips(table, number, tuple(f"species {i}" for i in range(len(groups))))


def can_be_kept_apart(sizes: list[int], shots: int, queries: int) -> bool:
    sides = [sum(size for i, size in enumerate(sizes) if mask >> i & 1) for mask in range(2 ** len(sizes))]
    return any(side >= shots and sum(sizes) - side >= queries for side in sides)


@settings(max_examples=80, deadline=None)
@given(
    groups=st.lists(st.lists(st.integers(1, 7), min_size=1, max_size=5), min_size=2, max_size=5),
    shots=st.integers(1, 5),
    queries=st.integers(1, 5),
    seed=st.integers(0, 2**31),
)
def test_whatever_the_groups_support_and_queries_are_apart(
    groups: list[list[int]], shots: int, queries: int, seed: int
) -> None:
    clips, config = clips_of(groups), EpisodeConfig(way=2, shots=shots, queries=queries, episodes=5)
    usable = {code for code, sizes in enumerate(groups) if can_be_kept_apart(sizes, shots, queries)}
    if len(usable) < 2:
        with pytest.raises(DataError, match="2-way episodes need 2 classes with enough clips"):
            draw_episodes(clips, config, seed, 0)
        return
    drawn = draw_episodes(clips, config, seed, 0)
    assert len(drawn.left_out) == len(groups) - len(usable)
    for number, rows in enumerate(drawn.rows):
        labels = drawn.labels(number)
        assert len(set(rows)) == len(rows) and set(labels) <= usable and len(set(labels)) == 2
        np.testing.assert_array_equal(clips.table.targets[rows].argmax(axis=1), labels)
        support, queried = np.split(clips.group[rows], [config.n_support])
        assert not set(support) & set(queried)


def test_classes_with_too_few_clips_are_named() -> None:
    drawn = draw_episodes(clips_of([[3, 3], [9], [1, 1], [2, 1, 1]]), CONFIG, 0, 0)
    assert drawn.left_out == (
        "species 1 is not drawn: it has 9 clips of 1 recording or group; 2 + 1 are needed, of different recordings or "
        "groups",
        "species 2 is not drawn: it has 2 clips of 2 recordings or groups; 2 + 1 are needed, of different recordings "
        "or groups",
    )
    with pytest.raises(DataError, match=r"^3-way episodes need 3 classes .* and 2 of 4 have; species 1 is not drawn"):
        draw_episodes(clips_of([[3, 3], [9], [1, 1], [2, 1, 1]]), EpisodeConfig(way=3, shots=2), 0, 0)


def test_an_epoch_does_not_depend_on_those_before_it_and_all_clips_come() -> None:
    clips = clips_of([[1] * 6, [2] * 3, [3, 3], [1, 2, 3]])
    alone = draw_episodes(clips, CONFIG, 7, 3)
    after = [draw_episodes(clips, CONFIG, 7, epoch) for epoch in range(4)]
    np.testing.assert_array_equal(alone.rows, after[3].rows)
    np.testing.assert_array_equal(alone.classes, after[3].classes)
    assert not np.array_equal(after[2].rows, alone.rows)
    assert not np.array_equal(draw_episodes(clips, CONFIG, 8, 3).rows, alone.rows)
    fewer = draw_episodes(clips, replace_episodes(2), 7, 3)  # an episode does not depend on how many there are
    np.testing.assert_array_equal(fewer.rows, alone.rows[:2])
    many = draw_episodes(clips, replace_episodes(200), 7, 3)
    for part in (many.rows[:, : CONFIG.n_support], many.rows[:, CONFIG.n_support :]):
        assert set(part.ravel()) == set(range(len(clips.table)))


def replace_episodes(episodes: int) -> EpisodeConfig:
    return CONFIG.model_copy(update={"episodes": episodes})


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[EpisodeClips, ClipSounds]:
    """Three classes by pitch, four recordings of each; two of ``low`` are copies, one of ``high`` cannot be read."""
    folder = tmp_path_factory.mktemp("episodes")
    rows = []
    for code, name in enumerate(NAMES):
        for i in range(5 if name == "low" else 4):
            time = np.arange(RATE // 2) / RATE
            tone = 0.3 * np.sin(2 * np.pi * (300 + 600 * code) * time + (0 if i == 4 else i))
            soundfile.write(folder / f"{name}{i}.wav", tone, RATE)
            rows.append({"recording": f"{name}{i}.wav", "start_s": 0.0, "end_s": 0.5, "label": name})
    (folder / "high0.wav").write_bytes(b"RIFF nothing")
    manifest = make_manifest(pd_frame(rows), folder, "here")
    clips = clips_of_recordings(manifest, NAMES, ClipsConfig(seconds=0.4))
    digests = {name: str(Path(folder / name).read_bytes()) for name in manifest.recordings}
    sounds = ClipSounds([manifest.path_of(name) for name in clips.recordings], RATE)
    return episode_clips(clips, manifest, digests), sounds


def pd_frame(rows: list[dict[str, Any]]) -> Any:
    import pandas as pd

    return pd.DataFrame(rows)


def epoch_of(
    material: tuple[EpisodeClips, ClipSounds],
    draws: EpochDraws,
    config: EpisodeConfig = CONFIG,
    threads: int = 2,
    report: SkippedRecordings | None = None,
) -> list[list[np.ndarray]]:
    clips, sounds = material
    images = ClipImages(
        sounds, FRONT_END, ImageConfig(channels=1), ClipsConfig(seconds=0.4), 99, report or SkippedRecordings(),
        threads, numbered=True,
    )  # fmt: skip
    return [[np.asarray(part) for part in batch] for batch in episode_batches(clips, images, draws, config)]


def test_copies_count_as_one_recording(material: tuple[EpisodeClips, ClipSounds]) -> None:
    clips, _ = material
    assert clips.notes == ("1 recordings are copies of others, byte for byte: a copy counts as the same recording",)
    assert clips.group[4] == clips.group[0] and len(set(clips.group)) == len(clips.group) - 1


def test_a_batch_is_an_episode(material: tuple[EpisodeClips, ClipSounds]) -> None:
    clips, _ = material
    report = SkippedRecordings()
    made = epoch_of(material, EpochDraws(5, 2), report=report)
    assert len(made) == CONFIG.episodes and made[0][0].shape == (6, 13, 8, 1)
    for images, index, label, rows in made:
        assert index.tolist() == [0, 0, 1, 1, 0, 1]
        np.testing.assert_array_equal(clips.table.targets[rows].argmax(axis=1), label)
        assert not set(clips.group[rows[:4]]) & set(clips.group[rows[4:]])
        loudest = images[..., 0].mean(axis=1).argmax(axis=1)
        assert len(set(rows)) == 6 and len(set(loudest)) == 2  # the image is that of the class
        assert all(len(set(loudest[label == code])) == 1 for code in set(label))
    # the one that cannot be read was replaced, and is named
    assert not any(9 in rows for *_, rows in made) and report.clips > 0 and not report.episodes
    assert "high0.wav" in report.lines()[0]


def test_epochs_come_again_and_augmentation_works(material: tuple[EpisodeClips, ClipSounds]) -> None:
    draws = EpochDraws(
        5, 2,
        sound=AugmentSoundConfig.model_validate({"gain": {"probability": 0.5}, "time_shift": {"probability": 0.5}}),
        image=AugmentImageConfig.model_validate({"time_mask": {"probability": 0.5, "width": 4}}),
    )  # fmt: skip
    first, again = epoch_of(material, draws), epoch_of(material, draws, threads=4)
    for one, other in zip(first, again, strict=True):
        for part, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, same)
    plain = epoch_of(material, EpochDraws(5, 2))
    np.testing.assert_array_equal(plain[0][3], first[0][3])
    assert np.abs(plain[0][0] - first[0][0]).max() > 0.1


def test_an_episode_without_enough_readable_clips_is_left_out(material: tuple[EpisodeClips, ClipSounds]) -> None:
    config = EpisodeConfig(way=2, shots=3, queries=1, episodes=8)  # all four of "high" are needed
    report = SkippedRecordings()
    made = epoch_of(material, EpochDraws(1, 0), config, report=report)
    assert report.lines()[-1] == f"{8 - len(made)} episodes left out: too few clips of high can be read"
    assert 0 < len(made) < 8 and all(2 not in label for _, _, label, _ in made)


def test_mixing_clips_and_decoding_in_the_graph_are_one_line(material: tuple[EpisodeClips, ClipSounds]) -> None:
    clips, sounds = material
    images = ClipImages(sounds, FRONT_END, ImageConfig(), ClipsConfig(seconds=0.4), 9)
    mixed = EpochDraws(sound=AugmentSoundConfig.model_validate({"sum_mixup": {"probability": 0.1}}))
    with pytest.raises(ConfigError, match=r"^sound\.sum_mixup mixes the clips of an episode"):
        episode_batches(clips, images, mixed, CONFIG)
    cut = EpochDraws(image=AugmentImageConfig.model_validate({"cutmix": {"probability": 0.1}}))
    with pytest.raises(ConfigError, match=r"^image\.cutmix mixes"):
        episode_batches(clips, images, cut, CONFIG)
    graph = ClipsConfig(seconds=0.4, source=RecordingSource(decode="graph"))
    with pytest.raises(ConfigError, match=r"clips\.source\.decode=soundfile"):
        episode_batches(clips, replace(images, clips=graph), None, CONFIG)
