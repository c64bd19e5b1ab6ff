"""The recorder's loop with a scripted source: what it writes, and how it bears trouble."""

from __future__ import annotations

import math
import os
import sqlite3
from datetime import UTC

import numpy as np
import pandas as pd
import pytest
import soundfile
from ecotf_recorder.errors import RecorderError
from ecotf_recorder.lock import lock_state
from ecotf_recorder.rules.judge import Rules
from ecotf_recorder.rules.plausible import Plausible
from ecotf_recorder.run import run
from ecotf_recorder.sources.events import Began, Ended
from ecotf_recorder.sources.wav_files import FilledFolder, OneFile, Recordings
from ecotf_recorder.status import _told, status_of
from ecotf_recorder.times.clock import steady
from ecotf_recorder.times.schedule import ListeningTimes
from recorder_sources import Scripted, in_pieces
from recorder_stand_ins import RATE
from recorder_states import full, gaps, health, records, table

from ecotf.audio.metadata import read_metadata
from ecotf.detection.naming import name_calls
from ecotf.detection.recordings import candidates_of
from ecotf.pipelines.spectrogram_store import compute_spectrogram


def desktop(run, path) -> pd.DataFrame:
    from ecotf.audio.recording import open_recording

    stored = compute_spectrogram(open_recording(path), run.recipe.front_end)
    return name_calls(candidates_of(stored, run.detector, run.recipe.detection, run.recipe.peaks), run.thresholds)


def test_a_folder_gives_the_desktops_detections(assembled, tmp_path, field_run, field_model, sound_of):
    folder = tmp_path / "card"
    folder.mkdir()
    for name in ("20260621_220000", "20260621_220500"):
        soundfile.write(folder / f"{name}.wav", sound_of(int(name[-4:])), RATE, subtype="PCM_16")
    soundfile.write(folder / "silent.wav", np.zeros(RATE, np.int16), RATE, subtype="PCM_16")
    (folder / "cut.wav").write_bytes((folder / "20260621_220000.wav").read_bytes()[:5000])

    def source(notebook) -> FilledFolder:
        recordings = Recordings(RATE, field_model.facts.window_s, time_zone=UTC)
        return FilledFolder(folder, recordings, 0.0, lambda key: notebook.database.is_done(key, "r"))

    recorder = assembled(source)
    while recorder._notebook.database.execute("SELECT COUNT(*) FROM files").fetchone()[0] < 4:
        event = recorder._source.next(0.1)
        if event is not None:
            recorder.take(event)
    found = table(tmp_path)
    for name in ("20260621_220000", "20260621_220500"):
        mine = found[found["recording"] == f"{name}.wav"].reset_index(drop=True)
        expected = desktop(field_run, folder / f"{name}.wav").round({"start_s": 6, "end_s": 6, "score": 4})
        assert len(mine) > 10
        assert mine["label"].tolist() == expected["label"].tolist()
        for column in ("start_s", "end_s", "low_hz", "high_hz", "score"):
            np.testing.assert_allclose(mine[column], expected[column], atol=1e-3 if column == "score" else 2e-6)
        first = mine.iloc[0]
        began = pd.Timestamp(f"{name[:8]}T{name[9:]}Z")
        assert pd.Timestamp(first["time"]) == (began + pd.Timedelta(seconds=first["start_s"])).round("ms")
    database = sqlite3.connect(tmp_path / "state" / "detections.sqlite")
    ledger = dict(database.execute("SELECT path, status FROM files").fetchall())
    assert ledger == {
        "20260621_220000.wav": "done",
        "20260621_220500.wav": "done",
        "silent.wav": "silent",
        "cut.wav": "corrupt",
    }
    files = {row["recording"]: row for row in records(tmp_path / "state" / "files.csv")}
    assert {name: row["status"] for name, row in files.items()} == ledger
    whole, cut = files["20260621_220500.wav"], files["cut.wav"]
    assert (whole["duration_s"], whole["began"]) == ("2.3", "2026-06-21T22:05:00.000+00:00")
    assert int(whole["n_detections"]) == (found["recording"] == "20260621_220500.wav").sum()
    assert (cut["duration_s"], cut["began"], cut["n_detections"]) == ("", "", "0") and "truncated" in cut["reason"]
    clips = sorted((tmp_path / "state" / "clips").rglob("*.wav"))
    assert len(clips) >= 2
    fields = read_metadata(clips[0])
    assert fields["ecotf|Recording"] == "20260621_220000.wav"
    start = (pd.Timestamp(fields["Timestamp"]) - pd.Timestamp("20260621T220000Z")).total_seconds()
    whole, part = sound_of(0), soundfile.read(clips[0], dtype="int16")[0]
    np.testing.assert_array_equal(part, whole[round(start * RATE) :][: len(part)])


def test_live_sound_with_a_gap(assembled, tmp_path, sound_of):
    sound, now = sound_of(3), steady()
    recorder = assembled(Scripted(
        Began(now), *in_pieces(sound), Ended("AudioMoth is not there: unplugged?", gap=True),
        Began(now + 10), *in_pieces(sound), Ended(),
    ))  # fmt: skip
    recorder.listen()
    found = table(tmp_path)
    names = found["recording"].unique()
    assert len(names) == 2
    first, second = (found[found["recording"] == name] for name in names)
    assert first["label"].tolist() == second["label"].tolist()
    apart = pd.to_datetime(second["time"]).iloc[0] - pd.to_datetime(first["time"]).iloc[0]
    assert apart.total_seconds() == pytest.approx(10, abs=0.01)
    ((when, seconds, reason, quality),) = gaps(tmp_path)
    assert reason == "AudioMoth is not there: unplugged?"
    assert float(seconds) == pytest.approx(10 - len(sound) / RATE, abs=0.01)
    assert (bool(when), quality) == (True, "synchronised")
    said = health(tmp_path)
    assert (said["gaps"], said["detections"], said["stopped"]) == (1, len(found), True)
    assert said["seconds"] == pytest.approx(2 * len(sound) / RATE, abs=0.1)
    assert said["blocks"] == int(said["seconds"] / 0.4)
    clips = list((tmp_path / "state" / "clips").rglob("*.wav"))
    assert said["clips"] == len(clips) >= 2


def test_rules_lose_nothing(assembled, tmp_path, sound_of):
    """What is reported, kept out and waiting together is what a recorder without rules reports."""
    sound, now, state = sound_of(3), steady(), tmp_path / "state"
    assembled(Scripted(Began(now), *in_pieces(sound), Ended())).listen()
    plain = table(tmp_path)
    state.rename(tmp_path / "plain")
    species = plain["label"].value_counts().index[-1]
    rules = Rules(3, 0.2, plausible=Plausible({"*": frozenset(range(1, 13)), species: frozenset()}))
    assembled(Scripted(Began(now), *in_pieces(sound, 7_000), Ended()), rules=rules).listen()
    said = health(tmp_path)
    assert said["kept_out"]["plausible"] == (plain["label"] == species).sum() > 0
    assert said["waiting"] > 0
    recorder = assembled(Scripted(None), rules=rules)
    recorder._look_at, recorder._clock.now = 0.0, lambda: steady() + 30
    recorder._look_at_clocks()
    recorder._beat(force=True)
    said, kept_out = health(tmp_path), pd.read_csv(state / "kept_out.csv")
    assert said["waiting"] == 0
    assert said["kept_out"] == kept_out["rule"].value_counts().to_dict()
    columns = ["start_s", "label", "score"]
    both = pd.concat([table(tmp_path), kept_out])[columns].sort_values(columns, ignore_index=True)
    assert said["detections"] == len(table(tmp_path)) > 3
    pd.testing.assert_frame_equal(both, plain[columns].sort_values(columns, ignore_index=True))
    assert f"{said['kept_out']['hits']} kept out by rules.hits" in _told(status_of(state))


def test_no_sound_from_the_beginning_is_a_gap(assembled, tmp_path):
    source = Scripted(None, problem="no microphone called 'AudioMoth' is plugged in; present: none")
    recorder = assembled(source)
    recorder._look_at_clocks()
    recorder._beat(force=True)
    said = health(tmp_path)
    assert said["state"] == "idle"
    assert said["error"] == source.problem
    recorder._opens_at -= 60
    recorder._look_at = 0.0
    recorder._look_at_clocks()
    recorder._close_gap(steady())
    recorder._notebook.commit()
    ((_, seconds, reason, _),) = gaps(tmp_path)
    assert float(seconds) == pytest.approx(60, abs=1)
    assert reason == source.problem


def test_listening_follows_the_schedule(assembled, tmp_path, sound_of, monkeypatch):
    class Times(ListeningTimes):
        on = False

        def listens(self, when: float) -> bool:
            return self.on

    times, source = Times([], math.nan, math.nan), Scripted(None)
    recorder = assembled(source, times=times)
    recorder._look_at_clocks()
    assert not source.on
    times.on, recorder._look_at = True, 0.0
    recorder._look_at_clocks()
    assert source.on
    source.events = [Began(steady()), *in_pieces(sound_of(3)), Ended(), None]
    times.on, recorder._look_at = False, 0.0
    recorder._look_at_clocks()
    assert not source.on
    assert recorder._stretch is None
    assert recorder._notebook.detections > 10
    assert gaps(tmp_path) == []


def test_a_single_file_is_read_once_even_when_killed(assembled, tmp_path, field_model, sound_of):
    path = tmp_path / "20260621_220000.wav"
    soundfile.write(path, sound_of(3), RATE, subtype="PCM_16")

    def source(notebook) -> OneFile:
        recordings = Recordings(RATE, field_model.facts.window_s, time_zone=UTC)
        return OneFile(path, recordings, lambda key: notebook.database.is_done(key, "r"))

    killed = assembled(source)
    while (event := killed._source.next(0)) is not None and not isinstance(event, Ended):
        killed.take(event)
        killed._beat()
    killed._notebook.database.close()
    assert killed._notebook.detections > 10 and len(table(tmp_path)) == 0
    assembled(source).listen()
    once = len(table(tmp_path))
    assert once >= killed._notebook.detections
    for _ in range(2):
        assembled(source).listen()
        assert len(table(tmp_path)) == once
        assert set(table(tmp_path)["time_quality"]) == {"recording"}


def test_a_service_whose_file_is_read_stays_idle(assembled, tmp_path, monkeypatch):
    """systemd would only start it again, every five seconds, for ever."""
    turns: list[int] = []
    recorder = assembled(Scripted())
    recorder._manager.is_there = True
    monkeypatch.setattr("time.sleep", lambda _: turns.append(1) or (len(turns) > 2 and recorder.ask_to_stop()))
    recorder.listen()
    assert len(turns) == 3
    assert health(tmp_path)["state"] == "idle"


def test_a_second_recorder_is_refused(tmp_path):
    config = tmp_path / "config.toml"
    config.write_text(f'state_dir = "{tmp_path}"\n[source]\nkind = "stdin"\n')
    with lock_state(tmp_path):
        with pytest.raises(RecorderError, match=rf"another recorder writes here \(process {os.getpid()}\)"):
            run(config)
        assert not (tmp_path / "health.json").exists()
    lock_state(tmp_path).close()


def test_a_full_disk_is_said_and_survived(assembled, tmp_path, sound_of, monkeypatch):
    sound, now = sound_of(3), steady()

    def disk_fills() -> None:
        monkeypatch.setattr("ecotf_recorder.store.table.GrowingTable.append", full)
        monkeypatch.setattr("ecotf_recorder.store.clips.write_fields", full)

    def is_looked_at() -> None:
        recorder._commit_at = recorder._health_at = 0.0
        recorder._beat(force=True)
        said = health(tmp_path)
        assert "detections wait in memory" in said["error"]
        assert "detections go on without clips" in said["error"]
        assert said["state"] == "listening"

    recorder = assembled(
        Scripted(Began(now), disk_fills, *in_pieces(sound), *in_pieces(sound), is_looked_at, monkeypatch.undo, Ended())
    )
    recorder.listen()
    assert health(tmp_path)["error"] == ""
    assert len(table(tmp_path)) == health(tmp_path)["detections"] > 20
