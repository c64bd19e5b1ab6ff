"""Where live sound comes from: the ring, a microphone played by a script, standard input."""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from ecotf_recorder.errors import SourceError
from ecotf_recorder.sources import arecord
from ecotf_recorder.sources.events import Began, Ended, Exhausted, Sound
from ecotf_recorder.sources.microphone import Microphone
from ecotf_recorder.sources.ring import RingBuffer
from ecotf_recorder.sources.standard_input import StandardInput
from hypothesis import given, settings
from hypothesis import strategies as st
from recorder_sources import collect, n_samples

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
