"""``ecotf cluster``: clips in clusters, labels hidden until the report, kills that change nothing, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.commands.main import main
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.discovery import job, learning, loop
from ecotf.discovery.job import ClusterOptions, ClusterResult, cluster_archive
from ecotf.discovery.learning import learned_from
from ecotf.embeddings.store import open_embeddings
from ecotf.errors import ConfigError, DataError
from ecotf.regions.config import read_roi_config
from ecotf.tasks.cluster_recipe import ClusterRecipe
from ecotf.tasks.recipes import load_cluster_recipe, load_trainable

RATE = 8000
PITCHES = (400.0, 1100.0, 2300.0)
QUICK = ["iterations=1", "clustering.reduce.neighbours=6", "clustering.min_sizes=[4]",
         "clustering.resamples=2", "projection.epochs=3",
         "projection.units=8", "clustering.reduce.dimensions=4"]  # fmt: skip


class Bands:
    """Embeds windows of half a second as the energies of 16 bands."""

    sample_rate, samples, hop_samples, numbers = RATE, RATE // 2, RATE // 2, 16
    title, licence, classes, threads, digest = "Bands", "free", (), 1, "b" * 32
    config = SimpleNamespace(model=Path("bands"), model_dump=lambda **options: {"name": "tflite", "model": "bands"})

    def embed(self, windows: np.ndarray) -> np.ndarray:
        power = np.abs(np.fft.rfft(windows, axis=1)[:, 1:2001]).reshape(len(windows), 16, -1).mean(axis=2)
        return np.log(power + 0.1).astype(np.float32)


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Manifest:
    """Six recordings of five calls each, of three pitches, in noise; two at each of three sites."""
    folder, rng, rows = tmp_path_factory.mktemp("archive"), np.random.default_rng(0), []
    for number in range(6):
        sound = 0.01 * rng.standard_normal(5 * RATE)
        for call in range(5):
            pitch, start = rng.choice(PITCHES), call + rng.uniform(0.1, 0.4)
            times = np.arange(int(0.4 * RATE)) / RATE
            first = int(start * RATE)
            sound[first : first + len(times)] += 0.2 * np.sin(2 * np.pi * pitch * times) * np.hanning(len(times))
            rows.append((f"site{number // 2}/2026-06-21T0{number}-00-00.wav", start, start + 0.4, f"{pitch:.0f}"))
        path = folder / rows[-1][0]
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, sound, RATE, subtype="PCM_16")
    table = pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label"])
    return make_manifest(table, folder, "archive")


def recipe(*changes: str, name: str = "clustering/archive") -> ClusterRecipe:
    return load_cluster_recipe(name, [*QUICK, *changes])


def run(what: Any, output: Path, *changes: str, **options: Any) -> ClusterResult:
    embedder = options.pop("embedder", Bands())
    return cluster_archive(
        what, output, recipe(*changes), embedder, log=options.pop("log", lambda line: None), **options
    )


def recordings(archive: Manifest) -> list[Path]:
    return [archive.path_of(name) for name in archive.recordings]


def test_annotations_of_one_sound_are_one_cluster(archive, tmp_path):
    result = run(archive, tmp_path / "out")
    clips, table = result.clusters.clips, result.clusters.iterations
    assert clips["label"].tolist() == archive.table["label"].tolist() and len(clips) == 30
    np.testing.assert_allclose(clips["start_s"], archive.table["start_s"], atol=1e-6)
    assert set(clips["site"]) == {"site0", "site1", "site2"} and clips["time"][29].startswith("2026-06-21T05:00:04")
    assert table["chosen"].sum() == 1 and table["accuracy"].iloc[0] > 0.8 and table["ami"].max() > 0.7
    assert {"ami_at_60", "ari_kept", "stability", "dbcv", "nmi"} <= set(table)
    assert any("iterating" in line for line in result.lines)
    rows = result.clusters.embeddings.rows(clips["row"])
    assert rows.shape == (30, 16) and np.isfinite(clips[["x", "y"]].to_numpy()).all()
    # A label is never looked at: with others, the clusters are the same.
    other = Manifest(archive.table.assign(label=archive.table["label"].to_numpy()[::-1]), archive.root)
    again = run(other, tmp_path / "other").clusters.clips
    pd.testing.assert_frame_equal(again.drop(columns="label"), clips.drop(columns="label"))


def test_segments_regions_and_embeddings(archive, tmp_path):
    lines: list[str] = []
    found = run(recordings(archive), tmp_path / "segments", log=lines.append, options=ClusterOptions(salvage=True))
    assert len(found.clusters) == 60 and (found.clusters.clips["label"] == "").all()
    assert "ami" not in found.clusters.iterations and found.counts["done"] == 6
    given = open_embeddings(tmp_path / "segments" / "embeddings")
    same = run(given, tmp_path / "given", embedder=None)
    assert same.clusters.clips["cluster"].tolist() == found.clusters.clips["cluster"].tolist()
    assert same.clusters.embeddings.folder == given.folder.resolve() and same.clusters.about.salvage
    with pytest.raises(ConfigError, match="were chosen when these were embedded"):
        run(given, tmp_path / "no", embedder=None, options=ClusterOptions(channel=2))
    settings = [
        "sample_rate=8000",
        "shapes=none",
        "cluster_by=[peak_f]",
        "regions.high_hz=3500",
        "clip.sample_rate=8000",
    ]
    options = ClusterOptions(regions=read_roi_config(None, settings), threads=1)
    cut = run(recordings(archive), tmp_path / "regions", options=options).clusters
    clips = cut.clips
    assert cut.about.regions and 15 <= len(clips) <= 45 and (clips["high_hz"] > clips["low_hz"]).all()
    assert set(clips["path"]) <= {str(path.resolve()) for path in recordings(archive)}
    assert (clips["end_s"] <= 5.01).all() and clips["start_s"].max() > 3


class Killed(BaseException):
    """A kill: no handler of errors sees it."""


@pytest.mark.parametrize("where, at", [
    ((Bands, "embed"), 4), ((loop, "cluster_rows"), 2), ((learning, "fit_scale"), 1), ((np, "savez"), 2),
    ((job, "write_clips"), 1),
])  # fmt: skip
def test_a_kill_changes_nothing(archive, tmp_path, monkeypatch, where, at):
    whole = tmp_path.parent / "whole"
    if not whole.exists():
        run(archive, whole)
    place, name = where
    before, calls = getattr(place, name), [0]

    def killed(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == at:
            raise Killed
        return before(*arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(place, name, killed)
        run(archive, tmp_path / "out")
    with pytest.raises(ConfigError):
        run(archive, tmp_path / "out")
    found = run(archive, tmp_path / "out", resume=True)
    for kept in ("clips.parquet", "iterations.csv", "report.txt"):
        assert (tmp_path / "out" / kept).read_bytes() == (whole / kept).read_bytes(), kept
    assert len(found.clusters) == 30


@pytest.mark.parametrize("change, message", [
    (["seed=7"], "recipe is"), ([], "holds a job already"),
])  # fmt: skip
def test_a_used_folder(archive, tmp_path, change, message):
    run(archive, tmp_path / "out", "iterations=0")
    with pytest.raises(ConfigError, match=message):
        run(archive, tmp_path / "out", "iterations=0", *change, resume=bool(change))
    (tmp_path / "out" / "decisions.jsonl").write_text("{}\n")
    with pytest.raises(ConfigError, match="names that a person gave"):
        run(archive, tmp_path / "out", "iterations=0", overwrite=True)
    (tmp_path / "out" / "decisions.jsonl").unlink()
    assert len(run(archive, tmp_path / "out", "iterations=0", overwrite=True).clusters) == 30
    (tmp_path / "out" / "job.json").unlink()
    with pytest.raises(ConfigError, match=r"holds .* and no job\.json"):
        run(archive, tmp_path / "out", overwrite=True)


def test_odd_archives(archive, tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    soundfile.write(folder / "silence.wav", np.zeros(2 * RATE), RATE)
    (folder / "broken.wav").write_bytes(b"RIFF....")
    names = sorted(folder.glob("*.wav"))
    with pytest.raises(DataError, match="not one clip"):
        run(names, tmp_path / "nothing")
    found = run([*recordings(archive), *names], tmp_path / "out", "iterations=0")
    assert found.counts["silent"] == 1 and found.counts["corrupt"] == 1 and len(found.clusters) == 60
    with pytest.raises(DataError, match="10 clips cannot be clustered: the smallest cluster has 25"):
        run(recordings(archive)[:1], tmp_path / "few", "clustering.min_sizes=[25]")
    noise = run(recordings(archive), tmp_path / "noise", "clustering.min_sizes=[50]")
    assert (noise.clusters.clips["cluster"] == -1).all() and "all clips are noise" in " ".join(noise.lines)
    assert len(noise.clusters.iterations) == 1
    times = np.arange(10 * RATE) / RATE
    soundfile.write(folder / "alike.wav", 0.1 * np.sin(2 * np.pi * 400 * times), RATE)
    alike = run([folder / "alike.wav"], tmp_path / "alike")
    assert (alike.clusters.clips["cluster"] == 0).all() and "one kind of sound" in " ".join(alike.lines)


def test_what_is_learned_from():
    labels = np.array([0, 0, 0, 1, -1, 1, 0])
    probability = np.array([0.1, 0.9, 0.5, 0.2, 0.0, 0.3, 0.9])
    assert learned_from(labels, probability, 2).tolist() == [1, 3, 5, 6]


def test_wrong_recipes():
    with pytest.raises(ConfigError, match="goes with ecotf cluster"):
        load_trainable("clustering/archive")
    with pytest.raises(ConfigError, match="here one of clustering is needed"):
        load_cluster_recipe("bats/field")
    with pytest.raises(ConfigError, match="none has no dimensions"):
        load_cluster_recipe("clustering/darksound_v1", ["clustering.dimensions=[5]"])
    assert load_cluster_recipe("clustering/darksound_v2").clustering.dimensions == (5, 10, 15, 20, 25)


def test_the_command(archive, tmp_path, capsys, monkeypatch):
    run(recordings(archive), tmp_path / "first", "iterations=0")
    output = tmp_path / "out"
    command = ["cluster", str(tmp_path / "first" / "embeddings"), "--output", str(output), *QUICK, "iterations=0"]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "60 clips" in told and f"ecotf cluster show {output}" in told
    assert json.loads((output / "about.json").read_text())["embeddings"] == str(tmp_path / "first" / "embeddings")
    with pytest.raises(ConfigError, match="unknown key"):
        main([*command[:2], "--output", str(tmp_path / "no"), "--regions", "nonsense=1"])
    with pytest.raises(ConfigError, match="--model is needed"):
        main(["cluster", str(archive.root), "--output", str(tmp_path / "no")])
    with pytest.raises(ConfigError, match="no recording to cluster"):
        main(["cluster", str(tmp_path / "nowhere"), "--output", str(tmp_path / "no")])
    shutil.rmtree(output)
