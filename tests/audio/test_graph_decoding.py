import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ecotf.audio import graph_decoding
from ecotf.errors import ConfigError

tf = pytest.importorskip("tensorflow")

FORMATS = [
    ("WAV", "PCM_U8", 22_050),
    ("WAV", "PCM_16", 500_000),
    ("WAV", "PCM_24", 384_000),
    ("WAV", "PCM_32", 256_000),
    ("WAV", "FLOAT", 250_000),
    ("WAVEX", "PCM_24", 384_000),
    ("FLAC", "PCM_16", 384_000),
    ("FLAC", "PCM_24", 96_000),
    ("OGG", "VORBIS", 44_100),
    ("MP3", "MPEG_LAYER_III", 22_050),
    ("MP3", "MPEG_LAYER_III", 48_000),
]


def test_numbers_are_those_of_soundfile(tmp_path: Path) -> None:
    """All formats through one graph, several at a time, each known by its content."""
    paths = []
    for number, (container, subtype, rate) in enumerate(FORMATS):
        sound = np.clip(np.random.default_rng(number).normal(0, 0.3, (5_000 + number, 1 + number % 2)), -0.99, 0.99)
        paths.append(str(tmp_path / f"clip_{number}"))
        soundfile.write(paths[-1], sound, rate, format=container, subtype=subtype)
    decoded = tf.data.Dataset.from_tensor_slices(paths).map(graph_decoding.decode_clip, num_parallel_calls=4)
    assert decoded.element_spec[0].shape.rank == 2
    for path, (container, _, rate), (waveform, found_rate) in zip(paths, FORMATS, decoded, strict=True):
        expected = soundfile.read(path, dtype="float32", always_2d=True)[0]
        assert waveform.dtype == tf.float32 and found_rate.dtype == tf.int32
        assert int(found_rate) == rate
        np.testing.assert_allclose(waveform, expected, atol=1e-5 if container in ("OGG", "MP3") else 1e-6)


def test_eagerly_and_behind_an_id3_tag(tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 20_000), 32_000, format="MP3")
    expected = soundfile.read(path, dtype="float32", always_2d=True)[0]
    path.write_bytes(b"ID3\x03\0\0\0\0\x41\x01" + bytes(0x41 * 128 + 1) + path.read_bytes())
    waveform, rate = graph_decoding.decode_clip(str(path))
    assert int(rate) == 32_000
    np.testing.assert_allclose(waveform, expected, atol=1e-5)


def test_what_cannot_be_decoded_raises_and_never_ends_the_data_set(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "whole.wav", np.zeros(10_000), 48_000)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "whole.wav").read_bytes()[:5_000])
    (tmp_path / "text.wav").write_text("not a sound")
    (tmp_path / "empty.wav").touch()
    for name in ("cut", "text", "empty", "missing"):
        paths = [str(tmp_path / f"{name}.wav"), str(tmp_path / "whole.wav")]
        with pytest.raises(tf.errors.OpError):
            list(tf.data.Dataset.from_tensor_slices(paths).map(graph_decoding.decode_clip))


def test_absence_of_tensorflow_io_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_io", None)
    graph_decoding.tensorflow_io_ops.cache_clear()
    with pytest.raises(ConfigError, match=r"^tensorflow-io cannot be loaded \(.*\); install the version that fits"):
        graph_decoding.decode_clip("a.wav")
    graph_decoding.tensorflow_io_ops.cache_clear()
