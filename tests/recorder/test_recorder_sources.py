"""Where sound comes from: the ring, a microphone played by a script, standard input, folders that fill."""

from __future__ import annotations

import os
import stat
import threading
import time
from datetime import UTC
from pathlib import Path

import numpy as np
import pytest
import soundfile
from ecotf_recorder.errors import SourceError
from ecotf_recorder.sources import arecord, wav_files
from ecotf_recorder.sources.events import Began, Ended, Exhausted, FileKey, Sound
from ecotf_recorder.sources.microphone import Microphone
from ecotf_recorder.sources.ring import RingBuffer
from ecotf_recorder.sources.standard_input import StandardInput
from ecotf_recorder.sources.wav_files import FilledFolder, OneFile, Recordings, start_of
from ecotf_recorder.times.clock import steady
from hypothesis import given, settings
from hypothesis import strategies as st

RATE = 48_000

# Plays a microphone that goes by what is in its folder: `away`, `rate`, `overrun`, `ends`, `hangs`.
FAKE_ARECORD = r"""#!/bin/sh
here=$(dirname "$0")
echo "$@" >> "$here/calls"
case "$*" in
  "-l") if [ ! -e "$here/away" ]; then
          echo "**** List of CAPTURE Hardware Devices ****"
          echo "card 2: Microphone [384kHz AudioMoth USB Microphone], device 0: USB Audio [USB Audio]"
          echo "  Subdevices: 1/1"
          echo "card 3: Webcam [A webcam], device 0: USB Audio [USB Audio]"
        fi
        exit 0 ;;
  *--dump-hw-params*) printf 'HW Params of device "hw"\nFORMAT:  S16_LE\nRATE: [8000 192000]\n' >&2; exit 0 ;;
esac
[ -e "$here/away" ] && { echo "arecord: main:831: audio open error: No such file or directory" >&2; exit 1; }
echo "Recording raw data 'stdin' : Signed 16 bit Little Endian, Rate 48000 Hz, Mono" >&2
[ -e "$here/rate" ] && echo "Warning: rate is not accurate (requested = 48000Hz, got = 44100Hz)" >&2
[ -e "$here/overrun" ] && { rm "$here/overrun"; head -c 96000 "$here/sound"; sleep 0.3
                            echo "overrun!!! (at least 250.500 ms long)" >&2; sleep 0.3; }
if [ -e "$here/ends" ]; then
  rm "$here/ends"; touch "$here/away"; head -c 96000 "$here/sound"
  echo "arecord: pcm_read:2221: read error: No such device" >&2; exit 1
fi
[ -e "$here/hangs" ] && exec sleep 60
cat "$here/sound"
exec sleep 60
"""


@pytest.fixture
def stage(tmp_path, monkeypatch) -> Path:
    """A folder on the path with an arecord that plays two seconds of sound."""
    script = tmp_path / "arecord"
    script.write_text(FAKE_ARECORD)
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    np.arange(2 * RATE, dtype="<i2").tofile(tmp_path / "sound")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def collect(source, until, timeout_s: float = 10):
    """Events until ``until(events)``, with pieces of sound joined."""
    events, ends = [], time.monotonic() + timeout_s
    while not until(events):
        assert time.monotonic() < ends, f"nothing more came; problem: {source.problem!r}, events: {events}"
        event = source.next(0.1)
        if isinstance(event, Sound) and events and isinstance(events[-1], np.ndarray):
            events[-1] = np.concatenate([events[-1], event.samples])
        elif event is not None:
            events.append(event.samples if isinstance(event, Sound) else event)
    return events


def n_samples(events) -> int:
    return sum(len(event) for event in events if isinstance(event, np.ndarray))


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 90), st.integers(0, 3)), max_size=40))
def test_the_ring_gives_what_came_or_says_what_is_lost(steps):
    ring, sent, lost, got = RingBuffer(0.001, 200_000), 0, 0, []
    for n, reads in steps:
        before = ring.lost_s
        ring.write(np.arange(sent, sent + n, dtype=np.int16), steady=sent / 200_000)
        sent += n
        lost += n if ring.lost_s > before else 0
        got += [ring.read(0) for _ in range(reads)]
    while (event := ring.read(0)) is not None:
        got.append(event)
    got = [event for event in got if event is not None]
    heard = np.concatenate([event.samples for event in got if isinstance(event, Sound)] or [np.empty(0, np.int16)])
    assert len(heard) + lost == sent
    assert ring.lost_s == pytest.approx(lost / 200_000)
    assert ring.backlog_s == 0
    opened, expected = False, None
    for event in got:  # every gap shows as an end and a beginning, and within a stretch nothing is missing
        if isinstance(event, Sound):
            assert opened
            first = int(event.samples[0])
            assert expected in (None, first)
            expected = first + len(event.samples)
            np.testing.assert_array_equal(event.samples, np.arange(first, expected))
        else:
            assert isinstance(event, Ended) == opened
            opened, expected = isinstance(event, Began), None


def test_an_overrun_is_one_long_gap():
    ring = RingBuffer(1.0, 1000)
    for i in range(15):
        ring.write(np.zeros(100, np.int16), steady=(i + 1) / 10)
    assert ring.backlog_s == 1.0
    assert ring.lost_s == 0.5
    assert ring.overruns
    ring.read(0)
    ring.read(0)
    ring.write(np.zeros(100, np.int16), steady=5.0)
    events = [ring.read(0) for _ in range(3)]
    assert events[0] == Ended("the scoring fell behind", gap=True)
    assert events[1] == Began(4.9)
    assert not ring.overruns


def test_a_writer_that_waits_loses_nothing():
    ring, sound = RingBuffer(1.0, 1000), np.arange(9000, dtype=np.int16)
    writer = threading.Thread(target=ring.write, args=(sound, 1.0, True))
    writer.start()
    got = []
    while sum(map(len, got)) < len(sound):
        event = ring.read(2)
        got += [event.samples] if isinstance(event, Sound) else []
    writer.join()
    np.testing.assert_array_equal(np.concatenate(got), sound)
    assert ring.lost_s == 0


def test_a_microphone_is_found_by_its_name_and_heard(stage):
    microphone = Microphone("audiomoth", RATE)
    microphone.start()
    events = collect(microphone, lambda events: n_samples(events) == 2 * RATE)
    assert isinstance(events[0], Began)
    np.testing.assert_array_equal(events[1], np.arange(2 * RATE, dtype=np.int64).astype(np.int16))
    microphone.stop()
    assert collect(microphone, lambda events: len(events) > 0) == [Ended()]
    called = (stage / "calls").read_text()
    assert "-D hw:CARD=Microphone,DEV=0 -t raw -f S16_LE -c 1 -r 48000" in called


def test_a_channel_of_several(stage):
    microphone = Microphone("hw:2,0", RATE, channels=2, channel=2)
    microphone.start()
    events = collect(microphone, lambda events: n_samples(events) == RATE)
    microphone.stop()
    np.testing.assert_array_equal(events[1], np.arange(1, 2 * RATE, 2, dtype=np.int64).astype(np.int16))


def test_unplugged_at_night_and_plugged_in_again(stage, caplog):
    (stage / "ends").touch()
    microphone = Microphone("AudioMoth", RATE, first_pause_s=0.05)
    microphone.start()
    events = collect(microphone, lambda events: any(isinstance(event, Ended) for event in events))
    assert n_samples(events) == RATE
    assert events[-1].gap
    assert "not there: unplugged?" in events[-1].reason
    began = time.monotonic()
    collect(microphone, lambda _: (stage / "calls").read_text().count("-l") >= 5)
    assert time.monotonic() - began > 0.05 + 0.1 + 0.2  # tried further and further apart
    collect(microphone, lambda _: "no microphone called 'AudioMoth' is plugged in" in microphone.problem)
    (stage / "away").unlink()
    events = collect(microphone, lambda events: n_samples(events) > 0)
    assert isinstance(events[0], Began)
    assert microphone.problem == ""
    microphone.stop()
    said = [record.message for record in caplog.records]
    assert len(said) == len(set(said)) == 2  # each trouble once, not at every try


def test_a_device_of_another_rate_is_refused(stage):
    (stage / "rate").touch()
    microphone = Microphone("hw:2,0", RATE, first_pause_s=5)
    microphone.start()
    events = collect(microphone, lambda _: "does not record" in microphone.problem)
    microphone.stop()
    assert microphone.problem == ""
    assert n_samples(events) == 0


def test_the_line_about_another_rate(stage):
    line = "Warning: rate is not accurate (requested = 48000Hz, got = 44100Hz)"
    assert arecord.explain([line], "hw:2,0", RATE, 1) == (
        "hw:2,0 does not record at 48000 Hz; allowed: 8000 to 192000 Hz; the model is for 48000 Hz"
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [("arecord: main:645: bad speed value 384000", "this arecord is too old for 384000 Hz"),
     ("arecord: set_params:1358: Channels count non available", "hw:1 does not record 2 channels"),
     ("arecord: main:830: audio open error: Device or resource busy", "hw:1 is in use by another program"),
     ("arecord: something new", "hw:1: arecord ended (arecord: something new)")],
)  # fmt: skip
def test_what_arecord_says_becomes_one_line(line, said):
    assert arecord.explain([line], "hw:1", 384_000, 2).startswith(said)


def test_a_drivers_overrun_is_a_gap_and_counted(stage):
    (stage / "overrun").touch()
    microphone = Microphone("hw:2,0", RATE)
    microphone.start()
    events = collect(microphone, lambda events: n_samples(events) >= 3 * RATE)
    microphone.stop()
    assert [type(event) for event in events[:5]] == [Began, np.ndarray, Ended, Began, np.ndarray]
    assert events[2] == Ended("the driver lost 0.251 s", gap=True)
    assert microphone.lost_s == pytest.approx(0.2505)


def test_a_device_that_hangs_is_given_up(stage, monkeypatch):
    monkeypatch.setattr("ecotf_recorder.sources.microphone._STUCK_S", 0.2)
    (stage / "hangs").touch()
    microphone = Microphone("hw:2,0", RATE, first_pause_s=5)
    microphone.start()
    collect(microphone, lambda _: microphone.problem == "hw:2,0 gives no sound any more")
    microphone.stop()


def test_a_device_that_gives_another_rate_than_it_says(stage, monkeypatch):
    """Within 5 % arecord says nothing; and this one plays faster than the clock."""
    monkeypatch.setattr("ecotf_recorder.sources.microphone._RATE_AFTER_S", 0.0)
    microphone = Microphone("hw:2,0", RATE, first_pause_s=5)
    microphone.start()
    collect(microphone, lambda _: "samples a second instead of 48000" in microphone.problem)
    microphone.stop()


def test_names_that_fit_several_or_no_device(stage):
    with pytest.raises(SourceError, match="several microphones are called 'USB Audio'"):
        arecord.find_device("USB Audio")
    with pytest.raises(SourceError, match=r"no microphone called 'Dodotronic' .* present: Microphone \[384kHz"):
        arecord.find_device("Dodotronic")
    assert arecord.find_device("hw:7,0") == "hw:7,0"


def test_no_arecord(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="sudo apt install alsa-utils"):
        arecord.find_device("AudioMoth")


def test_standard_input_to_its_end():
    reading, writing = os.pipe()
    sound = np.arange(3 * RATE, dtype=np.int64).astype(np.int16)
    source = StandardInput(RATE, buffer_s=1.0, descriptor=reading)
    source.start()

    def feed() -> None:
        content = sound.astype("<i2").tobytes()
        with os.fdopen(writing, "wb", 0) as pipe:
            for at in range(0, len(content), 7777):  # odd numbers of bytes
                pipe.write(content[at : at + 7777])

    threading.Thread(target=feed).start()
    events = collect(source, lambda events: any(isinstance(event, Exhausted) for event in events))
    source.stop()
    os.close(reading)
    assert [type(event) for event in events] == [Began, np.ndarray, Ended, Exhausted]
    np.testing.assert_array_equal(events[1], sound)


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
