"""WAV files and their metadata, against soundfile, the desktop's reader and the guano that it writes."""

from __future__ import annotations

import struct
from pathlib import Path
from time import process_time

import numpy as np
import pytest
import soundfile
from ecotf_recorder.audio.guano import read_fields, write_fields
from ecotf_recorder.audio.wav import open_wav, write_wav
from ecotf_recorder.errors import SoundError
from ecotf_recorder.sources.wav_files import Recordings, start_of

from ecotf.audio.metadata import read_metadata, write_guano
from ecotf.audio.provenance import read_provenance
from ecotf.audio.recording import open_recording
from tests.audio.odd_files import FRAMES_OVER_4_GIB, ODD, SOUND, N
from tests.audio.odd_files import RATE as ODD_RATE
from tests.audio.odd_files import write as write_odd

RATE = 96_000


def write(path, subtype="PCM_16", channels=1, n=150_000, **form):
    sound = np.random.default_rng(1).uniform(-0.9, 0.9, (n, channels))
    soundfile.write(path, sound, RATE, subtype=subtype, **form)
    return path


def read(wav, channel=None):
    return np.concatenate([*wav.blocks(channel), np.empty(0, np.int16)])


@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_kind_is_read_as_the_desktop_reads_it(tmp_path, form, subtype, channels):
    path = write(tmp_path / "a.wav", subtype, channels, format=form)
    wav, desktop = open_wav(path), open_recording(path)
    assert (wav.sample_rate, wav.n_channels, wav.n_frames) == (RATE, channels, desktop.n_frames)
    for channel in (None, channels):
        found = read(wav, channel)
        found = found * np.float32(1 / 32768) if found.dtype == np.int16 else found
        expected = np.concatenate(list(desktop.blocks(50_000, channel=channel or "mix")))
        np.testing.assert_allclose(found, expected, atol=1e-7)
    assert (read(wav).dtype == np.int16) == (subtype == "PCM_16" and channels == 1)


def test_a_clip_is_read_by_others(tmp_path):
    sound = np.arange(-500, 501, dtype=np.int16)
    path = tmp_path / "clip.wav"
    write_wav(path, sound, 384_000)
    write_fields(path, {"Timestamp": "2026-06-21T20:15:00+00:00", "Loc Position": "50.1 4.2", "Note": "a\nb"})
    there, rate = soundfile.read(path, dtype="int16")
    np.testing.assert_array_equal(there, sound)
    assert rate == 384_000
    expected = {"GUANO|Version": "1.0", "Timestamp": "2026-06-21T20:15:00+00:00", "Loc Position": "50.1 4.2"}
    assert expected.items() <= read_metadata(path).items()
    write_fields(path, {"Timestamp": "2027-01-01T00:00:00+00:00"})
    assert (
        read_fields(path) == read_metadata(path) == {"GUANO|Version": "1.0", "Timestamp": "2027-01-01T00:00:00+00:00"}
    )
    np.testing.assert_array_equal(read(open_wav(path)), sound)


def test_what_an_audiomoth_notes(tmp_path):
    path = write(tmp_path / "a.wav")
    note = b"Recorded at 22:05:00 21/06/2026 (UTC+2) by AudioMoth 24F3190361CBE9 at medium gain"
    note += b"\0" * (len(note) % 2)
    chunk = b"LIST" + struct.pack("<I", 12 + len(note)) + b"INFOICMT" + struct.pack("<I", len(note)) + note
    path.write_bytes(path.read_bytes() + chunk)
    assert read_fields(path)["Timestamp"] == read_metadata(path)["Timestamp"] == "2026-06-21T22:05:00+02:00"


def test_what_a_file_says_of_itself_is_what_the_desktop_reads(tmp_path):
    note = b"Recorded at 22:05:00 21/06/2026 (UTC+2) by AudioMoth 249BC30461CBB1E6 at medium gain\0\0"
    note = note[: len(note) // 2 * 2]
    wamd = struct.pack("<HI", 2, 8) + b"SMM01234" + struct.pack("<HI", 5, 25) + b"2026-06-21 22:05:00+02:00\0"
    info = b"INFOICMT" + struct.pack("<I", len(note)) + note
    chunks = {
        "249BC30461CBB1E6": b"LIST" + struct.pack("<I", len(info)) + info,
        "SMM01234": b"wamd" + struct.pack("<I", len(wamd)) + wamd,
    }
    for serial, chunk in chunks.items():
        path = write(tmp_path / f"{serial}.wav")
        path.write_bytes(path.read_bytes() + chunk)
        facts = next(Recordings(RATE, 0.0).play(path, path.name, None)).facts
        assert facts.seconds == open_recording(path).duration_s
        assert (facts.began, facts.serial) == (read_provenance(path).time, read_provenance(path).recorder)
        assert (facts.began, facts.serial) == ("2026-06-21T22:05:00.000+02:00", serial)


def test_a_date_that_cannot_be_is_none(tmp_path):
    path = write(tmp_path / "a.wav")
    note = b"Recorded at 22:05:00 31/02/2026 (UTC+2) by AudioMoth 24F3190361CBE9 at medium gain\0\0"
    note = note[: len(note) // 2 * 2]
    chunk = b"LIST" + struct.pack("<I", 12 + len(note)) + b"INFOICMT" + struct.pack("<I", len(note)) + note
    path.write_bytes(path.read_bytes() + chunk)
    assert "Timestamp" not in read_fields(path) | read_metadata(path)


def test_a_negative_time_expansion_is_none(tmp_path):
    path = write(tmp_path / "a.wav")
    write_guano(path, {"TE": "-10"})
    assert open_wav(path).sample_rate == open_recording(path).sample_rate == RATE


def test_time_expansion_is_what_is_stated(tmp_path):
    path = write(tmp_path / "slow.wav")
    assert open_wav(path).sample_rate == RATE
    assert open_wav(path, 10).sample_rate == 10 * RATE
    write_guano(path, {"TE": "10", "Samplerate": "960000"})
    assert open_wav(path).sample_rate == open_recording(path).sample_rate == 960_000
    other = write(tmp_path / "odd.wav")
    write_guano(other, {"TE": "10", "Samplerate": "96000"})
    with pytest.raises(SoundError, match="contradict themselves: TE 10 and Samplerate 96000 Hz"):
        open_wav(other)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


DAMAGE = {
    "empty file": (lambda path: path.write_bytes(b""), "corrupt"),
    "not a WAV file": (lambda path: path.write_bytes(b"fLaC" + b"0" * 999), "unsupported"),
    "truncated: its header promises": (cut, "corrupt"),
    "no sound": (lambda path: path.write_bytes(path.read_bytes()[:40]), "corrupt"),
    "does not say how": (lambda path: path.write_bytes(path.read_bytes()[:12]
                         + b"data" + struct.pack("<I", 4) + b"1234"), "corrupt"),
    "cannot be read": (lambda path: path.unlink(), "failed"),
    "its header does not say how the sound": (lambda path: path.write_bytes(
        path.read_bytes()[:16] + struct.pack("<I", 4) + path.read_bytes()[20:]), "corrupt"),
    "a TE of nan": (lambda path: write_guano(path, {"TE": "nan"}), "corrupt"),
    "a TE of inf": (lambda path: write_guano(path, {"TE": "inf"}), "corrupt"),
    "a time expansion of 1e-09": (lambda path: write_guano(path, {"TE": "1e-9"}), "corrupt"),
    "a time expansion of 1e.308": (lambda path: write_guano(path, {"TE": "1e308"}), "corrupt"),
    "format 6, 8 bits": (lambda path: write(path, "ALAW"), "unsupported"),
}  # fmt: skip


@pytest.mark.parametrize("reason", DAMAGE)
def test_what_cannot_be_used_is_refused_with_a_reason(tmp_path, reason):
    path = write(tmp_path / "a.wav")
    spoil, status = DAMAGE[reason]
    spoil(path)
    with pytest.raises(SoundError, match=reason) as caught:
        read(open_wav(path))
    assert caught.value.status == status


def test_a_sample_that_is_no_number_and_a_channel_that_is_not_there(tmp_path):
    sound = np.zeros(5000, np.float32)
    sound[4800] = np.nan
    path = tmp_path / "nan.wav"
    soundfile.write(path, sound, RATE, subtype="FLOAT")
    with pytest.raises(SoundError, match=r"at 0\.050000 s is not a number"):
        read(open_wav(path))
    with pytest.raises(SoundError, match="channel 3 was asked for, it has 1 channel"):
        read(open_wav(path), 3)


@pytest.mark.parametrize("name", ODD)
def test_what_a_header_says_and_what_a_file_holds(tmp_path, name):
    """The same table as the desktop's."""
    odd, path = ODD[name], write_odd(name, tmp_path)
    if odd.frames is None or odd.frames == 2 * N - 1:
        with pytest.raises(SoundError) as caught:
            open_wav(path)
        if odd.frames is not None:
            assert "a recorder reads integers of 16" in str(caught.value)  # not those of 8 bits
        else:
            assert (caught.value.status, odd.words in str(caught.value)) == (odd.status, True), str(caught.value)
        return
    began = process_time()
    wav = open_wav(path)
    assert process_time() - began < 0.1
    assert (wav.n_frames, wav.sample_rate) == (odd.frames, odd.expansion * ODD_RATE)
    assert bool(wav.note) == bool(odd.words) and odd.words in wav.note
    assert wav.note == open_recording(path).note
    assert start_of(wav) in (None, 1_782_072_900)
    blocks = wav.blocks()
    first = next(blocks)[:1000]
    if odd.frames in (N, FRAMES_OVER_4_GIB):
        np.testing.assert_array_equal(first, SOUND[:1000] if first.dtype == np.int16 else SOUND[:1000] / 32768)
    if odd.frames != FRAMES_OVER_4_GIB:
        last = [first, *blocks][-1][-1000:]
        np.testing.assert_array_equal(last, SOUND[-1000:] if last.dtype == np.int16 else SOUND[-1000:] / 32768)


@pytest.mark.parametrize(
    "name",
    [
        "audio/riff.py",
        "times/beginning.py",
        "strangers.py",
        "scoring/change_points.py",
        "scoring/change_track.py",
        "scoring/onset_points.py",
        "scoring/band_edges.py",
    ],
)
def test_files_that_both_packages_have_are_the_same(name):
    root = Path(__file__).parents[2]
    place = {"strangers": "", "scoring": "detection"}.get(Path(name).parts[0].removesuffix(".py"), "audio")
    desktop = (root / "ecotf" / place / Path(name).name).read_text(encoding="utf-8")
    recorder = (root / "deploy" / "recorder" / "ecotf_recorder" / name).read_text(encoding="utf-8")
    renamed = desktop.replace("from ecotf.detection.", "from ecotf.scoring.")
    assert renamed.replace("from ecotf.", "from ecotf_recorder.") == recorder


def test_channels_that_cancel_are_no_broken_microphone(tmp_path):
    sound = np.random.default_rng(1).integers(-9000, 9000, 5000).astype(np.int16)
    for name, channels, words in (
        ("antiphase", [sound, -sound], "the channels cancel; try --channel 1"),
        ("inverted", [sound, ~sound], "the channels cancel; try --channel 1"),
        ("empty", [0 * sound, 0 * sound], "every sample is the same; a broken microphone or an empty channel"),
    ):
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, np.stack(channels, 1), RATE, subtype="PCM_16")
        wav = open_wav(path)
        assert len(np.unique(read(wav))) == 1
        assert wav.why_silent(None) == words
        assert wav.why_silent(1).startswith("every sample is the same")
