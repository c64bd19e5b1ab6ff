"""``ecotf dataset rois``: what is cut, what every file ends as, kills, other settings, species, and what is refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

import ecotf
from ecotf.commands.make_dataset import main
from ecotf.datasets import read_manifest
from ecotf.errors import ConfigError, DataError, EcotfError
from ecotf.inference.ledger import read_ledger
from ecotf.regions import job
from ecotf.regions.config import read_roi_config
from ecotf.regions.cut import cut_recording
from ecotf.regions.species import sort_regions

RATE = 16_000
FAST = ["sample_rate=16000", "shapes=low", "chunk_s=2", "clip.seconds=1.5", "clip.sample_rate=22050"]


def sound(seconds: float, *calls: tuple[float, float, float], seed: int = 0, rate: int = RATE) -> np.ndarray:
    """White noise with calls: ``(start_s, length_s, frequency_hz)``, softly begun and ended."""
    t = np.arange(round(seconds * rate)) / rate
    result = np.random.default_rng(seed).normal(0, 1e-3, len(t))
    for start_s, length_s, hertz in calls:
        inside = (t >= start_s) & (t < start_s + length_s)
        result += inside * 0.2 * np.sin(2 * np.pi * hertz * t) * np.sin(np.pi * (t - start_s) / length_s) ** 2
    return result.astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)
    return path


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Cut in this process, not in others."""
    monkeypatch.setattr(job, "results_of", lambda work, jobs, workers, died: map(work, jobs))


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """Two species, 3 recordings each of the same call at another time, and one other sound."""
    folder = tmp_path_factory.mktemp("recordings")
    for species, hertz in (("owl", 700.0), ("rail", 3000.0)):
        for number in range(3):
            calls = [(0.7 + 0.1 * number, 0.5, hertz), (3.0, 0.5, hertz)]
            calls += [(4.5, 0.3, 4500.0)] if number == 0 else []
            write(folder / species / f"{number}.wav", sound(6, *calls, seed=number))
    return folder


def rois(*arguments: object, sheet: int = 0) -> int:
    return main(["rois", "--sheet", str(sheet), *map(str, arguments)])


def table(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "manifest.csv", dtype={"cluster": "Int64"})


def statuses(folder: Path) -> dict[str, tuple[str, int, str]]:
    return {Path(e.recording).name: (e.status, e.n_detections, e.reason) for e in read_ledger(folder / "ledger.csv")}


def test_what_is_cut(recordings, tmp_path):
    assert rois(recordings, "--output", tmp_path / "out", *FAST, sheet=300) == 0
    found = table(tmp_path / "out")
    assert len(found) == 14 and set(found["species"]) == {"owl", "rail"}
    noise = found[found["label"] == "noise"]
    assert len(noise) == 2 and (noise["low_hz"] > 4000).all(), "the other sound is in no cluster of its species"
    assert (found.loc[found["label"] != "noise", "label"] == found.loc[found["label"] != "noise", "species"]).all()
    assert found.groupby("group")["source"].nunique().eq(1).all() and found["group"].nunique() == 6
    first = found[found["source"].str.endswith("rail/1.wav")].sort_values("source_start_s").iloc[0]
    assert abs(first["source_start_s"] - 0.8) < 0.1 and abs(first["source_end_s"] - 1.3) < 0.1
    for clip, start_s, end_s in found[["recording", "start_s", "end_s"]].itertuples(index=False):
        samples, rate = soundfile.read(tmp_path / "out" / clip)
        assert rate == 22050 and len(samples) == round(1.5 * 22050)
        assert soundfile.info(tmp_path / "out" / clip).subtype == "PCM_16"
        inside = samples[round(start_s * rate) : round(end_s * rate)]
        assert (inside**2).sum() > 0.97 * (samples**2).sum(), "the call is where the manifest says"
        sounding = np.flatnonzero(samples)
        assert abs(sounding[0] + sounding[-1] - len(samples)) < 0.03 * rate, "in the middle, between silence"
    assert read_manifest(tmp_path / "out" / "manifest.csv").missing_files() == []
    features = pd.read_csv(tmp_path / "out" / "features.csv")
    assert list(features.columns[:4]) == ["recording", "species", "cluster", "kept"] and features.shape == (14, 10 + 16)
    page = (tmp_path / "out" / "contact_sheet.html").read_text()
    assert page.count("<article") == 14 and page.count("audio/mpeg") == 14 and page.count('class="box"') == 14
    assert "14 regions of 6 recordings: 12 kept, 2 left out as noise." in page
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_python_cuts_what_the_command_cuts(recordings, tmp_path):
    rois(recordings, "--output", tmp_path / "command", *FAST)
    clips = ecotf.rois(recordings, tmp_path / "python", overrides=FAST, sheet=0)
    pd.testing.assert_frame_equal(table(tmp_path / "python"), table(tmp_path / "command"))
    assert clips.missing_files() == [] and clips.labels == ["noise", "owl", "rail"]
    again = ecotf.rois(clips, tmp_path / "again", overrides=[*FAST, "keep=all"], sheet=0)
    assert set(again.labels) >= {"owl", "rail"}
    silent = write(tmp_path / "silent" / "a.wav", np.zeros(RATE))
    for asked, kind, said in (
        ({"recordings": silent}, DataError, "no recording has a region of interest; ledger.csv says"),
        ({"recordings": tmp_path / "gone"}, ConfigError, "gone: no such file"),
        ({"recordings": clips, "label": "owl"}, ConfigError, "label = 'owl': a manifest has labels of its own"),
        ({"recordings": silent, "sheets": 3}, ConfigError, "rois: unknown option sheets; known: channel"),
    ):
        with pytest.raises(kind, match=said) as error:
            ecotf.rois(output=tmp_path / "none", overrides=FAST, overwrite=True, **asked)
        assert "\n" not in str(error.value)


def test_more_regions_than_the_sheet_shows(recordings, tmp_path):
    rois(recordings, "--output", tmp_path / "out", *FAST, sheet=5)
    page = (tmp_path / "out" / "contact_sheet.html").read_text()
    assert page.count("<article") == 5 and "This page shows 5 of them; 9 are not shown." in page
    rois(recordings, "--output", tmp_path / "out", "--resume", *FAST)
    assert not (tmp_path / "out" / "contact_sheet.html").exists()


def test_every_file_has_an_end(tmp_path, capsys):
    calls = sound(6, (1.0, 0.5, 1000.0), (3.0, 0.5, 1000.0))
    here = tmp_path / "in"
    write(here / "a.wav", calls)
    shutil.copy(here / "a.wav", here / "b_copy.wav")
    write(here / "noise.wav", sound(6))
    write(here / "silent.wav", np.zeros(6 * RATE))
    write(here / "short.wav", calls[: RATE // 8])
    write(here / "below_a_chunk.wav", calls[: round(1.8 * RATE)])
    write(here / "slow.wav", sound(4, rate=8000), 8000)
    (here / "cut.wav").write_bytes((here / "a.wav").read_bytes()[:60_000])
    (here / "empty.wav").touch()
    assert rois(here, "--output", tmp_path / "out", "--label", "frog", *FAST) == 1
    found = statuses(tmp_path / "out")
    assert found["a.wav"] == ("done", 2, "") and found["below_a_chunk.wav"][:2] == ("done", 1)
    assert found["b_copy.wav"][:2] == ("done", 0) and found["b_copy.wav"][2].endswith("a.wav; it is cut once")
    assert found["noise.wav"] == ("done", 0, "no region of interest")
    assert found["silent.wav"][0] == "silent"
    assert found["short.wav"] == ("short", 0, "0.125 s long; at least 0.264 s are needed")
    assert found["slow.wav"][0] == "unsupported"
    assert found["slow.wav"][2] == "the band reaches 5000 Hz; sound at 8000 Hz reaches up to 4000 Hz"
    assert found["cut.wav"][0] == found["empty.wav"][0] == "corrupt" and len(found) == 9
    assert set(table(tmp_path / "out")["species"]) == {"frog"}
    said = capsys.readouterr().out
    assert "frog: 3 regions" in said and "recordings: 5 done, 1 short, 1 silent, 2 corrupt, 1 unsupported" not in said
    assert "4 done, 1 short, 1 silent, 2 corrupt, 1 unsupported" in said
    rois(here, "--output", tmp_path / "dropped", "tail=drop", *FAST)
    reason = "1.800 s long; with tail=drop, at least a chunk of 2 s is needed"
    assert statuses(tmp_path / "dropped")["below_a_chunk.wav"] == ("short", 0, reason)


def test_nothing_found_anywhere(tmp_path, capsys):
    write(tmp_path / "in" / "a.wav", sound(3))
    assert rois(tmp_path / "in", "--output", tmp_path / "out", *FAST) == 0
    assert not (tmp_path / "out" / "manifest.csv").exists() and not (tmp_path / "out" / "contact_sheet.html").exists()
    assert "regions:  0, 0 kept, 0 left out" in capsys.readouterr().out


def test_a_manifest_names_regions_and_groups(tmp_path):
    write(tmp_path / "a.wav", sound(6, (1.0, 0.5, 1000.0), (3.0, 0.5, 3000.0), (4.5, 0.5, 1000.0)))
    write(tmp_path / "b.wav", sound(6, (1.0, 0.5, 1000.0), seed=1))
    rows = [("a.wav", 0.9, 1.6, "owl", "site 1", "train"), ("a.wav", 2.9, 3.6, "rail", "site 1", "train")]
    rows += [("b.wav", 0.0, np.nan, "owl", "site 1", "train")]
    columns = ["recording", "start_s", "end_s", "label", "group", "split"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "manifest.csv", index=False)
    assert rois(tmp_path / "manifest.csv", "--output", tmp_path / "out", *FAST) == 0
    found = table(tmp_path / "out").sort_values(["source", "source_start_s"])
    assert found["species"].fillna("").tolist() == ["owl", "rail", "", "owl"], "of several labels, what overlaps"
    assert set(found["group"]) == {"site 1"} and set(found["split"]) == {"train"}
    shutil.copy(tmp_path / "a.wav", tmp_path / "c.wav")
    rows += [("c.wav", 0.0, np.nan, "owl", "site 2", "test")]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "manifest.csv", index=False)
    with pytest.raises(DataError, match=r"'a.wav' \(train\) and 'c.wav' \(test\) are one file, on two sides"):
        rois(tmp_path / "manifest.csv", "--output", tmp_path / "other", *FAST)


def test_a_killed_job_goes_on(recordings, tmp_path, monkeypatch, capsys):
    rois(recordings, "--output", tmp_path / "whole", *FAST)
    done = []

    def killed_at_the_third(work, jobs, workers, died):
        for one in jobs:
            if len(done) == 3:
                (Path(one.folder).parent / ".partial-12345678-x").mkdir(parents=True)
                raise KeyboardInterrupt
            done.append(one.file)
            yield cut_recording(one)

    monkeypatch.setattr(job, "results_of", killed_at_the_third)
    assert rois(recordings, "--output", tmp_path / "out", *FAST) == 130
    ledger = tmp_path / "out" / "ledger.csv"
    ledger.write_bytes(ledger.read_bytes()[:-20])  # as if killed while its last row was written
    monkeypatch.setattr(job, "results_of", lambda work, jobs, workers, died: map(work, jobs))
    assert rois(recordings, "--output", tmp_path / "out", "--resume", *FAST) == 0
    monkeypatch.setattr(job, "results_of", lambda work, jobs, workers, died: done.extend(jobs) or iter(()))
    del done[:]
    assert rois(recordings, "--output", tmp_path / "out", "--resume", *FAST) == 0
    assert done == [], "nothing is left to do"
    assert "recordings: 6 done" in capsys.readouterr().out
    for name in ("manifest.csv", "features.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    clips = [sorted((tmp_path / name / "clips").rglob("*")) for name in ("out", "whole")]
    assert [p.name for p in clips[0]] == [p.name for p in clips[1]]
    assert ledger.read_text().count("\n") == 7


def test_sorting_may_change_and_cutting_may_not(recordings, tmp_path):
    recordings, out = shutil.copytree(recordings, tmp_path / "in"), tmp_path / "out"
    rois(recordings / "owl", "--output", out, *FAST)
    assert (table(out)["label"] == "noise").sum() == 1
    with pytest.raises(ConfigError, match="holds a job already: --resume continues it, --overwrite replaces it"):
        rois(recordings / "owl", "--output", out, *FAST)
    with pytest.raises(ConfigError, match=r"regions\.high hz is 5000 in this folder's job, 6000 now"):
        rois(recordings / "owl", "--output", out, "--resume", *FAST, "regions.high_hz=6000")
    assert rois(recordings, "--output", out, "--resume", *FAST, "cluster={name: dbscan, eps: 100}") == 0
    assert len(table(out)) == 14 and (table(out)["label"] != "noise").all(), "so far apart is near"
    changed = write(recordings / "owl" / "1.wav", sound(6, (1.0, 0.5, 700.0), seed=8))
    rois(recordings, "--output", out, "--resume", *FAST)
    assert (table(out)["source"] == str(changed)).sum() == 1, "a file that has changed is cut again"
    rois(recordings / "rail", "--output", out, "--overwrite", *FAST)
    assert set(table(out)["species"]) == {"rail"} and not (out / "clips" / "owl").exists()
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "manifest.csv").write_text("mine")
    with pytest.raises(ConfigError, match=r"strange holds manifest\.csv and no job\.json"):
        rois(recordings, "--output", tmp_path / "strange", "--overwrite", *FAST)


def test_species_are_sorted_apart():
    rng = np.random.default_rng(0)
    near, far = rng.normal(0, 0.01, (8, 3)), rng.normal(5, 0.01, (4, 3))
    points = np.concatenate([near, far, [[30, 30, 30]], [[0, 0, 0], [9, 9, 9]], [[1, 1, 1]]])
    table = pd.DataFrame(points, columns=["shp_001", "shp_002", "peak_f"])
    table["species"] = ["a"] * 13 + ["b"] * 2 + [""]
    config = read_roi_config(None, ["cluster={name: dbscan, eps: 0.05}", "cluster_by=[shp, peak_f]"])
    found, lines = sort_regions(table, config)
    assert found["kept"].tolist() == [True] * 8 + [False] * 5 + [True] * 3
    assert found["cluster"].tolist()[:13] == [0] * 8 + [1] * 4 + [-1] and found["cluster"][13:].isna().all()
    assert "a: 13 regions, 2 clusters, 8 kept" in lines
    assert "fewer than 3 regions, not clustered, all kept: b (2)" in lines
    everything, _ = sort_regions(table, config.model_copy(update={"keep": "all"}))
    assert everything["kept"].tolist() == [True] * 12 + [False] + [True] * 3
    table.loc[0, "shp_001"] = np.nan
    assert sort_regions(table, config)[0]["kept"].tolist()[:3] == [False, True, True], "no shape, no cluster"


def test_published_settings():
    first, second = read_roi_config("darksound_v1"), read_roi_config("darksound_v2")
    assert (first.sample_rate, first.regions.low_hz, first.regions.high_hz, first.longest_s) == (48000, 250, 2500, 120)
    assert (second.sample_rate, second.regions.low_hz, second.regions.high_hz) == (44100, 250, 5000)
    assert (second.longest_s, second.tail, second.cluster.name, first.cluster.name) == (60, "drop", "dbscan", "hdbscan")
    assert read_roi_config().tail == "keep"


@pytest.mark.parametrize(
    ("settings", "overrides", "said"),
    [
        ("darksound_v3", [], "settings 'darksound_v3': no such file; that come with ecotf: darksound_v1, darksound_v2"),
        (
            None,
            ["regions.high_hz=30000"],
            "regions.high_hz = 30000: sound at sample_rate = 44100 reaches up to 22050 Hz",
        ),
        (None, ["clip.fade_s=0.5"], "clip.fade_s = 0.5: a region may be as short as regions.least_s = 0.2"),
        (None, ["regions.low_hz=6000"], "low_hz = 6000 must be below high_hz = 5000"),
        (None, ["regions.low_hz=0"], "a band-pass begins above 0 Hz"),
        (None, ["cluster=kmeans"], "cluster"),
        (None, ["cluster.eps=near"], "eps"),
        (None, ["cluster_by=[shape]"], "cluster_by: 'shape'; allowed: shp, duration_t"),
        (None, ["region.low_hz=3"], "unknown key 'region'"),
        (None, ["tail=cut"], "tail = 'cut'"),
    ],
)
def test_settings_that_cannot_work(settings, overrides, said):
    with pytest.raises(ConfigError) as caught:
        read_roi_config(settings, overrides)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tail=keep"], "no recording to cut"),
        (["{in}", "--workers", 0], "--workers 0: allowed: 1 or more"),
        (["{in}", "--resume", "--overwrite"], "choose one"),
        (["{in}", "--channel", "each"], "clips are of one channel"),
        (["{in}/nothing"], "no recording to cut"),
        (["{in}/m.csv", "{in}"], "give one manifest, or recordings"),
    ],
)
def test_arguments_that_cannot_work(tmp_path, arguments, said):
    write(tmp_path / "a.wav", sound(1))
    given = [str(argument).replace("{in}", str(tmp_path)) for argument in arguments]
    with pytest.raises(EcotfError, match=said):
        rois(*given, "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists()
