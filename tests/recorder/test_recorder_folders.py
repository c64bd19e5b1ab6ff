"""Folders that fill and single files: what is read, in which order, once, and what is passed over."""

from __future__ import annotations

import os
import time
from datetime import UTC
from pathlib import Path

import numpy as np
import soundfile
from ecotf_recorder.sources import wav_files
from ecotf_recorder.sources.events import Began, Ended, Exhausted, FileKey
from ecotf_recorder.sources.wav_files import FilledFolder, OneFile, Recordings, start_of
from ecotf_recorder.times.clock import steady
from recorder_sources import collect, n_samples

RATE = 48_000


def record(path: Path, seconds: float = 0.5, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = np.random.default_rng(len(path.name)).integers(-900, 900, round(seconds * rate)).astype(np.int16)
    soundfile.write(path, sound, rate, subtype="PCM_16")
    return path


def folder_source(folder: Path, done=(), settle_s: float = 0.0) -> FilledFolder:
    return FilledFolder(folder, Recordings(RATE, 0.02), settle_s, set(done).__contains__)


def ended(n: int):
    return lambda events: sum(isinstance(event, Ended) for event in events) == n


def test_a_folder_gives_every_file_once(tmp_path):
    for name in ("b.wav", "a/2.WAV", "a/1.wav", ".hidden.wav", "notes.txt"):
        record(tmp_path / name) if name.lower().endswith("wav") else (tmp_path / name).write_text("")
    source = folder_source(tmp_path)
    events = collect(source, ended(3))
    names = [event.name for event in events if isinstance(event, Began)]
    assert sorted(names) == ["a/1.wav", "a/2.WAV", "b.wav"]
    assert n_samples(events) == 3 * RATE // 2
    assert source.backlog_s == 0
    assert [source.next(0) for _ in range(3)] == [None] * 3
    keys = [event.key for event in events if isinstance(event, Began)]
    again = folder_source(tmp_path, done=keys)  # after a restart
    record(tmp_path / "c.wav")
    assert collect(again, ended(1))[0].name == "c.wav"


def test_a_file_that_grows_is_left_alone(tmp_path):
    path = record(tmp_path / "a.wav")
    content = path.read_bytes()
    source = folder_source(tmp_path, settle_s=0.4)
    for part in (0.3, 0.6, 0.9):
        path.write_bytes(content[: round(part * len(content))])
        began = time.monotonic()
        while time.monotonic() < began + 0.25:
            assert source.next(0.02) is None
    path.write_bytes(content)
    events = collect(source, ended(1))
    assert n_samples(events) == RATE // 2
    assert events[-1] == Ended()


def test_a_file_that_changes_while_it_is_read_fails_and_is_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr("ecotf_recorder.sources.wav_files._AGAIN_AFTER_S", 0.0)
    path = record(tmp_path / "a.wav", seconds=3)
    source = folder_source(tmp_path)
    events = collect(source, lambda events: n_samples(events) > 0)
    record(path, seconds=4)
    events += collect(source, ended(1))
    assert events[-1] == Ended("changed while it was read", status="failed")
    assert n_samples(collect(source, ended(1))) == 4 * RATE


def test_files_that_cannot_be_used_say_so_and_the_others_go_on(tmp_path):
    record(tmp_path / "1_other_rate.wav", rate=96_000)
    (tmp_path / "2_empty.wav").write_bytes(b"")
    record(tmp_path / "3_short.wav", seconds=0.01)
    record(tmp_path / "4_good.wav")
    events = collect(folder_source(tmp_path), ended(4))
    statuses = [event.status for event in events if isinstance(event, Ended)]
    assert statuses == ["unsupported", "corrupt", "short", "done"]
    reason = next(event.reason for event in events if isinstance(event, Ended))
    assert reason.startswith(
        "recorded at 96000 Hz, the model is for 48000 Hz; one of calls is exported with --rate 96000"
    )


def test_a_card_that_is_out(tmp_path):
    source = folder_source(tmp_path / "card")
    assert source.next(0) is None
    assert source.problem == f"{tmp_path / 'card'} is not there; is the card in?"
    record(tmp_path / "card" / "a.wav")
    collect(source, ended(1))
    assert source.problem == ""


def test_one_file_and_no_more(tmp_path):
    path = record(tmp_path / "a.wav")
    done: set[FileKey] = set()
    for kinds in ([Began, np.ndarray, Ended, Exhausted], [Exhausted]):  # at every start, but not again
        source = OneFile(path, Recordings(RATE, 0.02), done.__contains__)
        events = collect(source, lambda events: any(isinstance(event, Exhausted) for event in events))
        assert [type(event) for event in events] == kinds
        done |= {event.key for event in events if isinstance(event, Began)}


def test_a_folder_of_many_files_is_looked_through_in_parts(tmp_path, monkeypatch):
    """A scan that took a minute would end the recorder by its watchdog, and one after the other would use it up."""
    for number in range(30):
        (tmp_path / f"{number}.wav").touch()
    asked: list[str] = []
    real = wav_files.key_of
    monkeypatch.setattr(wav_files, "key_of", lambda path, name: asked.append(name) or real(path, name))
    monkeypatch.setattr(wav_files, "_SCAN_AT_A_TIME_S", 0.0)
    source = folder_source(tmp_path, settle_s=60)
    for turn in range(30):
        assert source.next(0.0) is None
        assert len(asked) == turn
    while source._scanning is not None:
        source.next(0.0)
    assert source._scan_at - steady() > 0.8 * wav_files._REST * source._scan_took_s > 0
    source.next(0.0)
    assert len(asked) == 30


def test_odd_names_and_years_stop_nothing(tmp_path):
    from ecotf_recorder.audio.guano import write_fields

    record(tmp_path / "good.wav")
    record(tmp_path / "plain.wav").rename(tmp_path / os.fsdecode(b"caf\xe9.wav"))
    (tmp_path / os.fsdecode(b"note.\xff")).touch()
    for year in ("0001", "9999"):
        write_fields(record(tmp_path / f"{year}.wav"), {"Timestamp": f"{year}-01-01T00:00:00+14:00"})
    events = collect(folder_source(tmp_path), ended(4))
    assert {event.status for event in events if isinstance(event, Ended)} == {"done"}
    names = sorted(event.name for event in events if isinstance(event, Began))
    assert names == ["0001.wav", "9999.wav", "caf\\xe9.wav", "good.wav"]
    assert all(event.wall is None for event in events if isinstance(event, Began))


def test_when_a_recording_began(tmp_path):
    from ecotf_recorder.audio.guano import write_fields
    from ecotf_recorder.audio.wav import open_wav

    path = record(tmp_path / "20260621_201500.wav")
    assert start_of(open_wav(path)) is None  # in which zone is not known
    assert start_of(open_wav(path, time_zone=UTC)) == 1_782_072_900
    write_fields(path, {"Timestamp": "2026-06-21T23:15:00+02:00"})
    assert start_of(open_wav(path)) == 1_782_076_500
    plain = record(tmp_path / "REC001.wav", seconds=2)
    assert start_of(open_wav(plain)) is None  # the day of copying says nothing


def test_a_file_of_an_unknown_time_says_so(tmp_path, caplog):
    caplog.set_level("INFO")
    record(tmp_path / "20260621_201500.wav")
    record(tmp_path / "REC001.wav")
    collect(folder_source(tmp_path), ended(2))
    said = [record.message for record in caplog.records]
    assert said == [
        "20260621_201500.wav: begins 2026-06-21 20:15:00 (file name); its time zone is not known",
        "REC001.wav: nothing says when it began; its detections have no time",
    ]


def test_a_folder_as_it_comes(tmp_path, caplog):
    caplog.set_level("INFO")
    card = tmp_path / "card"
    with open(record(card / "a.wav"), "rb") as file:
        content = file.read()
    with open(os.path.join(os.fsencode(card), b"for\xeat.WAVE"), "wb") as file:
        file.write(content)
    for name in ("notes.txt", "._a.wav", "b.flac"):
        (card / name).touch()
    record(tmp_path / "disk" / "c.wav")
    (card / "disk").symlink_to(tmp_path / "disk")
    (card / "again").symlink_to(card)
    (tmp_path / "disk" / "round").symlink_to(card)
    events = collect(folder_source(card), ended(3))
    names = [event.name for event in events if isinstance(event, Began)]
    assert names == ["a.wav", "for\\xeat.WAVE", "disk/c.wav"]
    assert all(event.status == "done" for event in events if isinstance(event, Ended))
    assert f"{card}: 3 files passed over: .flac, .txt, hidden files" in [one.message for one in caplog.records]


def test_channels_that_cancel(tmp_path):
    sound = np.random.default_rng(1).integers(-9000, 9000, RATE).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", np.stack([sound, -sound], 1), RATE, subtype="PCM_16")
    events = collect(folder_source(tmp_path), ended(1))
    assert events[-1] == Ended("the channels cancel; try --channel 1", status="silent")
