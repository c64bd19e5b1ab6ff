import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from ecotf.audio.channels import channels_to_read
from ecotf.audio.metadata import write_guano
from ecotf.audio.recording import Recording, open_recording
from ecotf.errors import ConfigError, RecordingError

RATE = 384_000


def noise(frames: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    return np.clip(np.random.default_rng(seed).normal(0, 0.2, (frames, channels)), -0.99, 0.99)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """One second of 16-bit noise at 384 kHz."""
    path = tmp_path / "night.wav"
    soundfile.write(path, noise(RATE), RATE)
    return path


@pytest.fixture
def varying_mp3(tmp_path: Path) -> Path:
    """30 s of MP3 whose bit rate varies: loud and quiet seconds in turn."""
    path = tmp_path / "song.mp3"
    loudness = np.repeat(np.random.default_rng(1).uniform(0, 1, 30), 48_000)
    sound = 0.3 * np.sin(np.arange(30 * 48_000) / 20) + 0.05 * loudness * noise(30 * 48_000)[:, 0]
    soundfile.write(path, sound, 48_000, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5)
    return path


def refusal(path: Path, **arguments: float) -> tuple[str, str]:
    """The status and the reason that a recording is refused with, on opening or while reading."""
    with pytest.raises(RecordingError) as caught:
        for _ in open_recording(path, **arguments).blocks(1000):
            pass
    assert "\n" not in str(caught.value)
    return caught.value.status, str(caught.value)


@pytest.mark.parametrize(
    ("container", "subtype", "rate"),
    [
        ("WAV", "PCM_U8", 22_050),
        ("WAV", "PCM_16", 500_000),
        ("WAV", "PCM_24", 384_000),
        ("WAV", "PCM_32", 256_000),
        ("WAV", "FLOAT", 250_000),
        ("WAV", "DOUBLE", 2_500),
        ("WAVEX", "PCM_24", 48_000),
        ("RF64", "PCM_16", 384_000),
        ("FLAC", "PCM_16", 384_000),
        ("FLAC", "PCM_24", 96_000),
        ("OGG", "VORBIS", 32_000),
        ("MP3", "MPEG_LAYER_III", 44_100),
    ],
)
def test_blocks_are_the_whole_recording(tmp_path: Path, container: str, subtype: str, rate: int) -> None:
    path = tmp_path / "recording.bin"  # the name says nothing: recordings are known by their content
    sound = noise(20_000, 2)
    soundfile.write(path, sound, rate, format=container, subtype=subtype)
    recording = open_recording(path)
    assert (recording.sample_rate, recording.file_rate, recording.time_expansion) == (rate, rate, 1.0)
    assert (recording.n_channels, recording.n_frames, recording.duration_s) == (2, 20_000, 20_000 / rate)
    expected = soundfile.read(path, dtype="float64")[0]
    for channel, wanted in (("mix", expected.mean(axis=1)), (1, expected[:, 0]), (2, expected[:, 1])):
        blocks = list(recording.blocks(3_000, channel=channel))
        assert [len(block) for block in blocks] == [3_000] * 6 + [2_000]
        assert {block.dtype for block in blocks} == {np.dtype(np.float32)}
        np.testing.assert_allclose(np.concatenate(blocks), wanted, atol=1e-7)
    if subtype not in ("VORBIS", "MPEG_LAYER_III"):
        np.testing.assert_allclose(expected, sound, atol=0.008 if subtype == "PCM_U8" else 4e-5)


@pytest.mark.parametrize("block_frames", [1, 999, 65_536, 70_000, 384_000, 10**12])
def test_any_block_length(wav: Path, block_frames: int) -> None:
    recording = open_recording(wav)
    if block_frames == 1:
        recording = Recording(wav, RATE, RATE, 1.0, 1, 500)
    blocks = list(recording.blocks(block_frames))
    assert all(len(block) == block_frames for block in blocks[:-1])
    assert 0 < len(blocks[-1]) <= block_frames
    expected = soundfile.read(wav, dtype="float32")[0][: recording.n_frames]
    np.testing.assert_array_equal(np.concatenate(blocks), expected)


def test_passages_in_seconds(wav: Path) -> None:
    expected = soundfile.read(wav, dtype="float32")[0]
    recording = open_recording(wav)
    np.testing.assert_array_equal(recording.read(), expected)
    np.testing.assert_array_equal(recording.read(0.25, 0.5), expected[96_000:192_000])
    np.testing.assert_array_equal(recording.read(0.75, 9.0), expected[288_000:])
    assert len(recording.read(0.5, 0.5)) == 0
    for start_s, end_s in ((-0.1, 0.5), (0.6, 0.5), (1.5, None)):
        with pytest.raises(ValueError, match=r"no passage from"):
            recording.read(start_s, end_s)


def test_time_expansion_gives_real_units(tmp_path: Path) -> None:
    path = tmp_path / "expanded.wav"
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 4_500 * np.arange(38_400 * 2) / 38_400), 38_400)
    for recording in (open_recording(path, time_expansion=10), _with_guano(path)):
        assert (recording.sample_rate, recording.file_rate, recording.time_expansion) == (384_000, 38_400, 10.0)
        assert recording.duration_s == pytest.approx(0.2)
        passage = recording.read(0.05, 0.15)
        assert len(passage) == 38_400
        frequencies = np.fft.rfftfreq(len(passage), 1 / recording.sample_rate)
        assert frequencies[np.abs(np.fft.rfft(passage)).argmax()] == pytest.approx(45_000, abs=10)


def _with_guano(path: Path) -> Recording:
    write_guano(path, {"TE": "10"})
    return open_recording(path)


def test_stated_time_expansion_against_metadata(tmp_path: Path, wav: Path) -> None:
    write_guano(wav, {"TE": "10", "Samplerate": "3840000"})
    assert open_recording(wav, time_expansion=10).time_expansion == 10
    status, reason = refusal(wav, time_expansion=1)
    assert status == "unsupported"
    assert reason == "time expansion 1 was stated, but its metadata say TE 10; correct the wrong one"
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="must be a number above 0"):
            open_recording(wav, time_expansion=wrong)


def test_choice_of_channels(tmp_path: Path, wav: Path) -> None:
    path = tmp_path / "stereo.wav"
    soundfile.write(path, noise(1_000, 2), RATE)
    stereo, mono = open_recording(path), open_recording(wav)
    assert channels_to_read(stereo.n_channels, "mix") == ["mix"]
    assert channels_to_read(stereo.n_channels, "each") == [1, 2]
    assert channels_to_read(stereo.n_channels, 2) == [2]
    assert channels_to_read(mono.n_channels, "each") == [1]
    with pytest.raises(RecordingError, match=r"channel 3 was asked for, it has 2 channels") as caught:
        stereo.blocks(100, channel=3)
    assert caught.value.status == "unsupported"
    with pytest.raises(RecordingError, match=r"channel 2 was asked for, it has 1 channel$"):
        mono.read(channel=2)
    for wrong in (0, -1, "left", True, 1.5):
        with pytest.raises(ConfigError, match="allowed are mix, each, or a channel's number"):
            channels_to_read(stereo.n_channels, wrong)
    with pytest.raises(ValueError, match="channels_to_read"):
        stereo.read(channel="each")


@pytest.mark.parametrize("rate", [256_000, 48_000, 192_000, 383_999, 441_000])
def test_resampling_has_no_seams(wav: Path, rate: int) -> None:
    recording = open_recording(wav)
    whole = soxr.resample(soundfile.read(wav, dtype="float64")[0], RATE, rate, quality="VHQ")
    blocks = list(recording.blocks(10_000, sample_rate=rate))
    assert {len(block) for block in blocks[:-1]} == {10_000}
    streamed = np.concatenate(blocks)
    assert len(streamed) == rate
    # The reference keeps more of the last few percent below Nyquist, so the two differ there; elsewhere they are equal.
    spectra = np.fft.rfft(np.stack([streamed, whole]))[:, : int(0.4 * min(rate, RATE))]
    assert np.abs(spectra[0] - spectra[1]).max() < 1e-3 * np.abs(spectra[1]).max()
    for start_s, end_s in ((0.0, 0.1), (0.3333, 0.4444), (0.5, 0.5001), (0.9, None)):
        start, end = round(start_s * rate), round((1.0 if end_s is None else end_s) * rate)
        np.testing.assert_allclose(recording.read(start_s, end_s, sample_rate=rate), streamed[start:end], atol=1e-5)


def test_mp3_passages_and_blocks_are_seamless(varying_mp3: Path) -> None:
    recording = open_recording(varying_mp3)
    assert recording.n_frames == 30 * 48_000
    expected = soundfile.read(varying_mp3, dtype="float32")[0]
    np.testing.assert_array_equal(np.concatenate(list(recording.blocks(1_000))), expected)
    for start in np.random.default_rng(2).integers(0, 29 * 48_000, 40):
        passage = recording.read(start / 48_000, (start + 5_000) / 48_000)
        np.testing.assert_allclose(passage, expected[start : start + 5_000], atol=1e-6)


def _first_mp3_frame_bytes(content: bytes) -> int:
    kilobits = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)[content[2] >> 4]
    return 144 * kilobits * 1000 // 48_000


def test_mp3_without_a_length_header(tmp_path: Path, varying_mp3: Path) -> None:
    content = varying_mp3.read_bytes()
    varying_mp3.write_bytes(content[_first_mp3_frame_bytes(content) :])
    status, reason = refusal(varying_mp3)
    assert status == "unsupported"
    assert reason.startswith("is an MP3 of varying bit rate without a length header: only ")

    steady = tmp_path / "steady.mp3"
    sound = noise(10 * 48_000)
    soundfile.write(steady, sound, 48_000, format="MP3", bitrate_mode="CONSTANT", compression_level=0.5)
    content = steady.read_bytes()
    cover = b"ID3\x03\0\0\0\0\x7f\x7f" + bytes(0x7F * 128 + 0x7F)  # a tag that the decoder takes for sound
    steady.write_bytes(cover + content[_first_mp3_frame_bytes(content) :] + b"TAG" + bytes(125))
    recording = open_recording(steady)
    assert recording.n_frames == pytest.approx(10 * 48_000, abs=2 * 1152)
    assert sum(map(len, recording.blocks(4_096))) == recording.n_frames


def test_flac_that_was_streamed_has_a_length(tmp_path: Path) -> None:
    path = tmp_path / "streamed.flac"
    soundfile.write(path, noise(100_000), RATE)
    expected = soundfile.read(path, dtype="float32")[0]
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the 36 bits of STREAMINFO that count the samples
    content[22:26] = bytes(4)
    path.write_bytes(content)
    recording = open_recording(path)
    assert recording.n_frames == 100_000
    np.testing.assert_array_equal(recording.read(0.1, 0.2), expected[38_400:76_800])


def test_wav_of_unknown_length_is_read_to_its_end(wav: Path) -> None:
    content = wav.read_bytes()
    wav.write_bytes(content[:4] + b"\xff" * 4 + content[8:40] + b"\xff" * 4 + content[44:])
    assert open_recording(wav).n_frames == RATE


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    peaks = []
    for seconds in (1, 30):
        path = tmp_path / f"{seconds}.wav"
        with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as sound:
            for _ in range(seconds):
                sound.write(np.zeros(RATE, np.int16))
        tracemalloc.start()
        for _ in open_recording(path).blocks(RATE // 4, sample_rate=256_000):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 2**20


def test_flac_named_wav_is_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(1_000), RATE, format="FLAC")
    assert open_recording(tmp_path / "a.wav").n_frames == 1_000


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    assert refusal(tmp_path / "a.wav") == ("corrupt", "empty file (0 bytes)")


def test_truncated_wav(wav: Path) -> None:
    wav.write_bytes(wav.read_bytes()[: 44 + 2 * 96_000])
    status, reason = refusal(wav)
    assert status == "corrupt"
    assert reason == "truncated: its header promises 1.000 s of sound, it holds 0.250 s"
    assert refusal(wav, time_expansion=10)[1].endswith("promises 0.100 s of sound, it holds 0.025 s")


def test_wav_cut_at_its_header(wav: Path) -> None:
    content = wav.read_bytes()
    wav.write_bytes(content[:44])
    assert refusal(wav) == ("corrupt", "truncated: its header promises 1.000 s of sound, it holds none")
    wav.write_bytes(content[:40] + bytes(4))
    assert refusal(wav) == ("corrupt", "holds a header, but no sound (0 samples)")
    wav.write_bytes(content[:30])
    status, reason = refusal(wav)
    assert status == "corrupt"
    assert reason.startswith("is not a sound file that can be read: ")


def test_wav_whose_header_counts_itself_as_sound(wav: Path) -> None:
    content = wav.read_bytes()
    wav.write_bytes(content[:40] + struct.pack("<I", 2 * RATE + 44) + content[44:])
    assert open_recording(wav).n_frames == RATE


def test_truncated_and_damaged_flac(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(RATE), RATE)
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle])
    assert refusal(path) == ("corrupt", "truncated: its header promises 1.000 s of sound, it holds 0.501 s")
    path.write_bytes(content[:middle] + b"\xaa" * 3_000 + content[middle + 3_000 :])
    status, reason = refusal(path)
    assert status == "corrupt"
    assert reason.startswith("damaged after 0.") and " s of 1.000 s (" in reason


@pytest.mark.parametrize(("container", "share"), [("OGG", 0.3), ("OGG", 0.77), ("MP3", 0.5)])
def test_truncated_ogg_and_mp3(tmp_path: Path, container: str, share: float) -> None:
    path = tmp_path / "a.bin"
    soundfile.write(path, noise(48_000 * 5), 48_000, format=container)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    status, reason = refusal(path)
    assert status == "corrupt"
    assert reason.startswith("truncated: ")


def test_not_a_sound_file(tmp_path: Path) -> None:
    for name, expected in (("a.wav", "corrupt"), ("a.txt", "unsupported"), ("a.raw", "unsupported")):
        (tmp_path / name).write_text("date,species\n2024-05-01,Nyctalus noctula\n")
        status, reason = refusal(tmp_path / name)
        assert status == expected
        assert reason.startswith("is not a sound file that can be read: ")
        assert reason.endswith("; allowed: WAV, FLAC, OGG, MP3")


def test_missing_folder_unreadable(tmp_path: Path, wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(tmp_path / "none.wav") == ("failed", "cannot be read (No such file or directory)")
    assert refusal(tmp_path) == ("failed", "is a folder, not a recording")
    assert refusal(Path(os.devnull)) == ("failed", "is not an ordinary file")

    def forbid(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbid)  # as root, the tests may read anything
    assert refusal(wav) == ("failed", "cannot be read (Permission denied)")


@pytest.mark.parametrize(("value", "words"), [(np.nan, "is not a number (NaN)"), (-np.inf, "is infinite")])
def test_samples_that_are_no_numbers(tmp_path: Path, value: float, words: str) -> None:
    sound = noise(200_000, 2)
    sound[96_000:, 1] = value
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
    assert refusal(tmp_path / "a.wav") == ("corrupt", f"the sample at 0.250000 s {words}")
    recording = open_recording(tmp_path / "a.wav")
    assert len(recording.read(0.0, 0.2)) == 76_800
    with pytest.raises(RecordingError, match=r"^the sample at 0\.300000 s is"):
        recording.read(0.3, 0.4)
