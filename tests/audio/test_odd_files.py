"""What a header says and what a file holds, on the desktop."""

from __future__ import annotations

from pathlib import Path
from time import process_time

import numpy as np
import pytest
import soundfile

from ecotf.audio.recording import Recording, open_recording
from ecotf.errors import RecordingError
from tests.audio.odd_files import BYTES, DATA, FRAMES_OVER_4_GIB, ODD, RATE, SOUND, N, stating, write

FULL = np.float32(SOUND) / 32768


def refusal(path: Path, **arguments: bool) -> tuple[str, str]:
    with pytest.raises(RecordingError) as caught:
        open_recording(path, **arguments)
    return caught.value.status, str(caught.value)


@pytest.mark.parametrize("name", ODD)
def test_odd_wav(tmp_path: Path, name: str) -> None:
    odd, path = ODD[name], write(name, tmp_path)
    if odd.frames is None:
        status, reason = refusal(path)
        assert (status, odd.words in reason) == (odd.status, True), reason
        return
    began = process_time()
    recording = open_recording(path)
    assert process_time() - began < 0.1
    assert recording.n_frames == odd.frames
    assert recording.time_expansion == odd.expansion
    assert bool(recording.note) == bool(odd.words) and odd.words in recording.note
    assert not recording.salvaged
    first = recording.read(0, 1 / odd.expansion)
    if odd.frames in (N, FRAMES_OVER_4_GIB):
        np.testing.assert_array_equal(first, FULL[:RATE])
    last = recording.read(recording.duration_s - 1 / odd.expansion)
    if odd.frames != 2 * N - 1:
        np.testing.assert_array_equal(last, FULL[-RATE:])
    assert recording.began is None or recording.began.utc.isoformat() == "2026-06-21T20:15:00+00:00"


def test_what_a_truncated_file_still_holds(tmp_path: Path) -> None:
    recording = open_recording(write("cut", tmp_path), salvage=True)
    assert (recording.salvaged, recording.note) == (True, "1.000 s read of 2.000 s promised")
    np.testing.assert_array_equal(recording.read(), FULL[:RATE])
    assert refusal(write("cut at the header", tmp_path), salvage=True)[1].endswith("it holds none; nothing can be read")
    assert refusal(write("rate 0", tmp_path), salvage=True) == ("corrupt", "its header gives a sample rate of 0")


def flac(path: Path) -> bytes:
    soundfile.write(path, SOUND, RATE, format="FLAC", subtype="PCM_16")
    return path.read_bytes()


def with_total(content: bytes, total: int) -> bytes:
    number = int.from_bytes(content[21:26], "big") >> 36 << 36 | total
    return content[:21] + number.to_bytes(5, "big") + content[26:]


ID3 = b"ID3\4\0\0\0\0\1\0" + bytes(128)


@pytest.mark.parametrize("front", [b"", ID3])
@pytest.mark.parametrize("behind", [b"", b"TAG" + b"x" * 125, bytes(200_000), bytes(80_000_000)])
@pytest.mark.parametrize("total", [N, N // 2, 1, 0])
def test_odd_flac(tmp_path: Path, front: bytes, behind: bytes, total: int) -> None:
    path = tmp_path / "odd.flac"
    path.write_bytes(front + with_total(flac(path), total) + behind)
    recording = open_recording(path)
    assert recording.n_frames == N
    np.testing.assert_array_equal(recording.read(), FULL)
    np.testing.assert_array_equal(recording.read(1.0, 1.5), FULL[RATE : RATE * 3 // 2])
    promised = f"its header promises {total / RATE:.3f} s, it holds 2.000 s"
    assert recording.note == ("" if total in (N, 0) else promised)


def test_truncated_flac(tmp_path: Path) -> None:
    path = tmp_path / "odd.flac"
    content = flac(path)
    path.write_bytes(content[: len(content) // 2])
    status, reason = refusal(path)
    assert (status, reason[:60]) == ("corrupt", "truncated: its header promises 2.000 s of sound, it holds 1.")
    recording = open_recording(path, salvage=True)
    assert recording.note == f"{recording.duration_s:.3f} s read of 2.000 s promised"
    assert 0.8 < recording.duration_s < 1.0
    np.testing.assert_array_equal(recording.read(), FULL[: recording.n_frames])
    path.write_bytes(with_total(content, 5 * RATE))
    assert refusal(path) == ("corrupt", "truncated: its header promises 5.000 s of sound, it holds 2.000 s")
    assert open_recording(path, salvage=True).n_frames == N
    middle = len(content) // 2
    path.write_bytes(content[:middle] + b"\xaa" * 3000 + content[middle + 3000 :])
    with pytest.raises(RecordingError, match="damaged after 0"):
        open_recording(path).read()
    recording = open_recording(path, salvage=True)
    assert 0.8 < len(recording.read()) / RATE < 1.0


@pytest.mark.parametrize("kind", ["OGG", "MP3"])
def test_truncated_ogg_and_mp3_are_salvaged(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "odd.bin"
    soundfile.write(path, SOUND, RATE, format=kind)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(RecordingError, match="truncated"):
        open_recording(path).read()
    recording = open_recording(path, salvage=True)
    assert recording.salvaged and 0.5 < recording.duration_s < 1.9
    assert len(recording.read()) == recording.n_frames
    assert recording.note.startswith(f"{recording.duration_s:.3f} s read of ")


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_compressed_wav(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "odd.wav"
    soundfile.write(path, SOUND, RATE, subtype=subtype)
    whole = open_recording(path)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    size = int.from_bytes(content[at : at + 4], "little")
    content[at : at + 4] = (0x7FFFFFFF).to_bytes(4, "little")
    path.write_bytes(content)
    assert 0 <= open_recording(path).n_frames - whole.n_frames <= 320
    content[at : at + 4] = (size // 2).to_bytes(4, "little")
    path.write_bytes(content)
    status, reason = refusal(path)
    assert status == "unsupported" and "compressed WAV cannot be read past what its header says" in reason


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_wrong_header_changes_no_sample(tmp_path: Path, subtype: str, channels: int) -> None:
    path = tmp_path / "odd.wav"
    sound = np.random.default_rng(1).uniform(-0.9, 0.9, (70_002, channels))
    soundfile.write(path, sound, RATE, subtype=subtype)
    expected = open_recording(path)
    wanted = expected.read(channel=channels)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = (44).to_bytes(4, "little")
    path.write_bytes(content)
    recording = open_recording(path)
    assert recording.note and recording.n_frames == expected.n_frames
    np.testing.assert_array_equal(recording.read(channel=channels), wanted)
    np.testing.assert_array_equal(np.concatenate(list(recording.blocks(999, channel=channels))), wanted)
    np.testing.assert_array_equal(recording.read(0.5, 1.0, channel=channels), wanted[RATE // 2 : RATE])


def test_names_of_any_bytes(tmp_path: Path) -> None:
    name = b"for\xeat.wav".decode(errors="surrogateescape")
    for path in (tmp_path / name, tmp_path / ("\u591c\u95f4\u5f55\u97f3" * 20 + ".wav")):
        path.write_bytes(stating(BYTES // 2))
        np.testing.assert_array_equal(open_recording(path).read(), FULL)


def test_no_file_stays_open(tmp_path: Path) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    for name in ("promises half", "cut", "rate 0", "plain"):
        path = write(name, tmp_path)
        for _ in range(5):
            try:
                recording: Recording = open_recording(path)
                recording.read()
            except RecordingError:
                pass
    (tmp_path / "odd.wav").write_bytes(b"fLaC" + DATA[:100])
    for _ in range(5):
        refusal(tmp_path / "odd.wav")
    assert descriptors() == before


@pytest.mark.parametrize("kind", ["AIFF", "AU", "CAF", "W64"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_other_containers(tmp_path: Path, kind: str, subtype: str) -> None:
    path = tmp_path / f"odd.{kind.lower()}"
    soundfile.write(path, SOUND, RATE, format=kind, subtype=subtype)
    content = path.read_bytes()
    whole = open_recording(path)
    assert (whole.n_frames, whole.note) == (N, "")
    expected = whole.read()
    for behind in (bytes(5_000_000), b"junk\0\0\0\0"):
        path.write_bytes(content + behind)
        assert open_recording(path).n_frames == N
    path.write_bytes(content[: len(content) // 2])
    status, reason = refusal(path)
    assert status == "corrupt"
    if kind == "CAF":  # libsndfile does not open it
        return
    assert reason.startswith("truncated: its header promises 2.000 s of sound, it holds "), reason
    half = open_recording(path, salvage=True)
    assert half.salvaged and 0.9 < half.duration_s < 1.1
    np.testing.assert_array_equal(half.read(), expected[: half.n_frames])
    path.write_bytes(content + DATA)
    status, reason = refusal(path)
    assert status == "unsupported" and f"{kind} cannot be read past what its header says" in reason
