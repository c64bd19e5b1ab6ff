"""The recorder's loop with a scripted source: what it writes, what it says of itself, how it bears trouble."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import socket
import sqlite3
from datetime import UTC

import numpy as np
import pandas as pd
import pytest
import soundfile
from ecotf_recorder import cli
from ecotf_recorder.assembly import Parts, wishes_of
from ecotf_recorder.config import Clips, ClockSettings, Config, Detections
from ecotf_recorder.errors import RecorderError
from ecotf_recorder.health import Health, ServiceManager
from ecotf_recorder.hearing import Hearing
from ecotf_recorder.lock import lock_state
from ecotf_recorder.recorder import Recorder
from ecotf_recorder.rules.judge import Rules
from ecotf_recorder.rules.plausible import Plausible
from ecotf_recorder.run import run
from ecotf_recorder.scoring.opening import open_stream
from ecotf_recorder.sources.events import Began, Ended, Exhausted, Sound
from ecotf_recorder.sources.wav_files import FilledFolder, OneFile, Recordings
from ecotf_recorder.status import _told, status_of
from ecotf_recorder.store.clips import ClipKeeper
from ecotf_recorder.store.notebook import Notebook
from ecotf_recorder.store.quota import ClipRoom
from ecotf_recorder.stretch import room_for
from ecotf_recorder.times.clock import Clock, steady
from ecotf_recorder.times.schedule import ListeningTimes
from recorder_stand_ins import right_since_2020

from ecotf.audio.metadata import read_metadata
from ecotf.detection.naming import name_calls
from ecotf.detection.recordings import candidates_of
from ecotf.pipelines.spectrogram_store import compute_spectrogram

RATE = 256_000
NOON = 1_782_043_200.0  # 2026-06-21T12:00Z


class Scripted:
    """A live source that tells what a test wrote down, and stops being asked when the script ends."""

    live = True

    def __init__(self, *events, problem: str = "") -> None:
        self.events, self.problem = list(events), problem
        self.backlog_s, self.lost_s = 0.0, 0.0
        self.on = self.starts = 0

    def start(self) -> None:
        self.on, self.starts = True, self.starts + 1

    def stop(self) -> None:
        self.on = False

    def next(self, timeout_s: float):
        event = self.events.pop(0) if self.events else Exhausted()
        return event() if callable(event) else event


def in_pieces(sound: np.ndarray, n: int = 30_000) -> list[Sound]:
    return [Sound(sound[at : at + n]) for at in range(0, len(sound), n)]


@pytest.fixture
def assembled(tmp_path, field_model):
    """A recorder around a source, in a folder of its own."""

    def make(
        source, clock: Clock | None = None, times: ListeningTimes | None = None, unset: str = "listen",
        rules: Rules | None = None,
    ) -> Recorder:  # fmt: skip
        clock = clock or Clock(quality=right_since_2020)
        config = Config(
            state_dir=str(tmp_path / "state"),
            detections=Detections(flush_s=0.5),
            clock=ClockSettings(unset),
            clips=Clips(longest_s=1.0),
        )
        notebook = Notebook(config.state, clock)
        room = ClipRoom(config.state / "clips", notebook.database, config.clips.quota_mb * 1e6, 0)
        clips = ClipKeeper(room, notebook.database, clock, RATE, {"ecotf|Model": "bats/stand_in"})
        wishes = wishes_of(config, field_model.facts)
        times = times or ListeningTimes([], math.nan, math.nan)
        source = source(notebook) if callable(source) else source
        rules = rules or Rules()
        recent = room_for(wishes, RATE, 3.0 + rules.delay_s)
        parts = Parts(field_model, source, notebook, times, wishes, recent, room, clips, rules)
        return Recorder(config, parts, clock, Health(config.state / "health.json"), ServiceManager())

    return make


def table(tmp_path) -> pd.DataFrame:
    return pd.read_csv(tmp_path / "state" / "detections.csv")


def gaps(tmp_path) -> list[list[str]]:
    with open(tmp_path / "state" / "gaps.csv", newline="") as file:
        return list(csv.reader(file))[1:]


def health(tmp_path) -> dict:
    return json.loads((tmp_path / "state" / "health.json").read_text())


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


DEAF = {
    "silent": lambda n: np.zeros(n, np.int16),
    "constant": lambda n: np.full(n, 1234, np.int16),
    "clipped": lambda n: np.where(np.arange(n) // 4 % 2, 32767, -32768).astype(np.int16),
    "noise of": lambda n: np.random.default_rng(0).integers(-32000, 32000, n).astype(np.int16),
}


@pytest.mark.parametrize("kind", DEAF)
def test_a_deaf_microphone_is_a_problem(kind):
    hearing = Hearing(1000)
    hearing.push(DEAF[kind](59_999))
    assert hearing.problem == ""
    hearing.push(DEAF[kind](1000))
    assert ("silent" if kind == "constant" else kind) in hearing.problem
    quiet = np.random.default_rng(1).normal(0, 30, 61_000).astype(np.int16)
    for piece in np.split(quiet, 7_000 + np.arange(3)):
        hearing.push(piece)
    assert hearing.problem == ""
    assert hearing.facts["level_dbfs"] == pytest.approx(20 * np.log10(30 / 32768), abs=1)
    assert hearing.facts["level_dbfs"] > hearing.facts["noise_floor_dbfs"] > -80


def test_a_deaf_recorder_is_not_well(assembled, tmp_path, sound_of):
    def is_looked_at() -> None:
        recorder._beat(force=True)
        assert status_of(tmp_path / "state")["error"] == said
        assert cli.main(["status", "--root", str(tmp_path / "state")]) == int(bool(said))

    silence = [Sound(np.zeros(30_000, np.int16))] * 2
    recorder = assembled(Scripted(Began(steady()), *silence, is_looked_at, Ended()))
    recorder._hearing = Hearing(800)  # so that a minute is soon over
    said = "the microphone is silent: its samples do not change; check plug, switch and source.channel"
    recorder.listen()
    assert health(tmp_path)["silent_share"] == 1
    recorder = assembled(Scripted(Began(steady()), *in_pieces(sound_of(3)), is_looked_at, Ended()))
    recorder._hearing, said = Hearing(800), ""
    recorder.listen()


@pytest.mark.parametrize("boot", ["same", "other", "unset", "set later"])
def test_sound_that_a_kill_or_a_stop_cost_is_a_gap(assembled, tmp_path, sound_of, boot):
    hands = Hands(wall=NOON)
    began = steady()
    killed = assembled(Scripted(), hands.clock())
    for event in (Began(began - 100), *in_pieces(sound_of(3))):
        killed.take(event)
    killed._commit()
    heard_s = killed._stretch.settled_s
    assert 0.5 < heard_s < len(sound_of(3)) / RATE
    killed._notebook.database.close()
    if "set" in boot:
        hands.wall = 100.0

    def sets_the_clock() -> None:
        hands.wall = NOON if boot == "set later" else hands.wall
        recorder._look_at = 0.0

    clock = Clock(steady, lambda: hands.wall + steady() - hands.began, "abcd1234" if boot == "same" else "other",
                  right_since_2020)  # fmt: skip
    recorder = assembled(Scripted(Began(began), *in_pieces(sound_of(3)), sets_the_clock, Began(began + 50)), clock)
    recorder.listen()
    ((when, seconds, reason, _),) = gaps(tmp_path)
    if boot == "unset":
        assert (when, seconds) == ("", "")
        assert reason == "the recorder was killed, or lost its power; for how long is not known"
        return
    assert reason == "the recorder was killed, or lost its power"
    assert float(seconds) == pytest.approx(100 - heard_s, abs=0.01), "what was not settled is lost, too"
    assert abs(pd.Timestamp(when) - pd.Timestamp(NOON - 100 + heard_s, unit="s", tz="UTC")).total_seconds() < 0.5


@pytest.mark.parametrize("samples", [600_000, 760_000, 900_000])
def test_what_is_called_heard_before_a_kill_has_all_its_detections(assembled, tmp_path, field_model, sound_of, samples):
    """Scoring is some way behind the sound. A kill loses what is not scored, so the gap must begin there."""
    sound, stream = sound_of(3, 4.0), open_stream(field_model, live=True)
    whole = [one.start_s for one in (*stream.push(sound), *stream.finish())]
    killed = assembled(Scripted())
    for event in (Began(steady()), *in_pieces(sound[:samples], 4_000)):
        killed.take(event)
    killed._commit()
    killed._notebook.database.close()
    with sqlite3.connect(tmp_path / "state" / "detections.sqlite") as database:
        ((heard_s,),) = database.execute("SELECT seconds FROM stretches").fetchall()
        rows = [start for (start,) in database.execute("SELECT start_s FROM detections ORDER BY start_s")]
    expected = [start for start in whole if start < heard_s]
    assert len(expected) > 5 and 0 < heard_s < samples / RATE
    np.testing.assert_allclose(rows[: len(expected)], expected, atol=1e-6)


def test_a_stop_is_a_gap_and_the_end_of_a_window_is_none(assembled, tmp_path, sound_of):
    now = steady()
    recorder = assembled(Scripted(Began(now - 50), *in_pieces(sound_of(3)), lambda: recorder.ask_to_stop()))
    recorder.listen()
    assembled(Scripted(Began(now), *in_pieces(sound_of(3)), Ended())).listen()  # by its schedule
    assembled(Scripted(Began(now + 50), *in_pieces(sound_of(3)), Ended())).listen()
    ((_, seconds, reason, _),) = gaps(tmp_path)
    assert reason == "the recorder was stopped"
    assert float(seconds) == pytest.approx(50 - 2.3, abs=0.1)


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


class Hands:
    def __init__(self, wall: float) -> None:
        self.wall, self.began = wall, steady()

    def clock(self) -> Clock:
        return Clock(steady, lambda: self.wall + steady() - self.began, "abcd1234", right_since_2020)


def test_a_clock_that_is_set_in_mid_stretch(assembled, tmp_path, sound_of):
    hands = Hands(wall=100.0)
    sound, now = sound_of(3), steady()

    def sets_the_clock() -> None:
        recorder._commit()
        assert table(tmp_path)["recording"].iloc[0].startswith("unset-clock-abcd1234-")
        hands.wall = NOON
        recorder._look_at = 0.0

    recorder = assembled(
        Scripted(Began(now), *in_pieces(sound), sets_the_clock, *in_pieces(sound), Ended()), clock=hands.clock()
    )
    recorder.listen()
    found = table(tmp_path)
    assert found["recording"].nunique() == 1
    assert found["recording"].iloc[0].startswith("20260621T12")
    times = pd.to_datetime(found["time"])
    assert times.is_monotonic_increasing
    assert abs(times.iloc[0] - pd.Timestamp(NOON, unit="s", tz="UTC")).total_seconds() < 60
    np.testing.assert_allclose(
        (times - times.iloc[0]).dt.total_seconds(), found["start_s"] - found["start_s"].iloc[0], atol=2e-3
    )
    assert not list((tmp_path / "state" / "clips").glob("unset-clock/*.wav"))
    assert len(list((tmp_path / "state" / "clips").glob("20260621/*.wav"))) == health(tmp_path)["clips"]


def test_a_recorder_may_wait_for_its_clock(assembled):
    for wish, on in (("wait", False), ("listen", True)):
        hands, source = Hands(wall=100.0), Scripted(None)
        recorder = assembled(source, clock=hands.clock(), unset=wish)
        recorder._look_at_clocks()
        assert source.on == on
        hands.wall, recorder._look_at = NOON, 0.0
        recorder._look_at_clocks()
        assert source.on


def test_a_jump_of_the_clock_is_logged_and_followed(assembled, tmp_path, sound_of, caplog):
    hands = Hands(wall=NOON)
    sound, now = sound_of(3), steady()

    def jumps() -> None:
        hands.wall += 3600
        recorder._look_at = 0.0

    recorder = assembled(
        Scripted(Began(now), *in_pieces(sound), jumps, *in_pieces(sound), Ended()), clock=hands.clock()
    )
    recorder.listen()
    assert "the clock jumped by +3600.0 s" in caplog.text
    found = table(tmp_path)
    assert found["recording"].nunique() == 1
    late = pd.to_datetime(found["time"]).diff().dt.total_seconds() - found["start_s"].diff()
    assert late.max() == pytest.approx(3600, abs=1)
    assert (late.abs() > 1).sum() == 1


def test_a_full_disk_is_said_and_survived(assembled, tmp_path, sound_of, monkeypatch):
    sound, now = sound_of(3), steady()

    def full(*_) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

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


def test_systemd_is_told(assembled, tmp_path, monkeypatch):
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(1)
        monkeypatch.setenv("NOTIFY_SOCKET", str(address))
        monkeypatch.setenv("WATCHDOG_USEC", "60000000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        assert ServiceManager().watchdog_s == 60
        recorder = assembled(Scripted(None, lambda: recorder.ask_to_stop()))
        recorder.listen()
        told = set()
        while "STOPPING=1" not in told:
            told |= set(manager.recv(1000).decode().splitlines())
    assert {"READY=1", "WATCHDOG=1"} <= told


def test_status_tells_of_a_recorder(assembled, tmp_path, sound_of, capsys):
    state = tmp_path / "state"
    with pytest.raises(RecorderError, match="no recorder has run here"):
        status_of(tmp_path)
    assembled(Scripted(Began(steady()), *in_pieces(sound_of(3)), Ended())).listen()
    assert cli.main(["status", "--root", str(state), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["running"] is False
    assert told["state"] == "stopped"
    assert sum(told["last_24_h"]["detections"].values()) == told["detections"] > 10
    assert told["last_24_h"]["listened_s"] == pytest.approx(2.3, abs=0.1)
    assert cli.main(["status", "--root", str(state)]) == 1
    assert "stopped (not running)" in capsys.readouterr().out
    facts = health(tmp_path)
    (state / "health.json").write_text(json.dumps({**facts, "stopped": False, "state": "listening"}))
    assert status_of(state)["running"]
    assert cli.main(["status", "--root", str(state)]) == 0
    (state / "health.json").write_text(json.dumps({**facts, "stopped": False, "steady_s": steady() - 500}))
    assert status_of(state)["error"].startswith("hangs: no sign of life for 500 s")
