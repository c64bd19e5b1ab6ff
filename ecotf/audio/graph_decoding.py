"""Decoding a short clip inside a TensorFlow graph, with tensorflow-io: the one module that knows its audio decoders.

The numbers are those of soundfile (integers divided by 2**(bits - 1)), so a model may be trained on clips decoded here
and run on blocks read by :mod:`ecotf.audio.recording`. A whole file is held in memory: long recordings are streamed
there instead. Only the file's header is looked at for its kind, so a FLAC named ``.wav`` is decoded as what it is.

tensorflow-io takes 8, 16, 24 and 32-bit WAV (not 64-bit floats, and nothing but ``fmt`` as the first chunk), 8, 16 and
24-bit FLAC, OGG Vorbis and MP3. It reads the bits of 32-bit integers as if they were floats; they are put right here.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from ecotf.audio.channels import ChannelChoice, take_channel
from ecotf.audio.pieces import refuse_no_numbers
from ecotf.audio.recording import Recording
from ecotf.errors import ConfigError, RecordingError

if TYPE_CHECKING:
    import tensorflow as tf

_HEADER_BYTES = 4096
_INTEGER, _EXTENSIBLE = 1, 0xFFFE  # format tags of WAV
_PCM = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT")
_DECODABLE = {"WAV": _PCM, "WAVEX": _PCM, "FLAC": ("PCM_S8", "PCM_16", "PCM_24"), "OGG": ("VORBIS",), "MP3": None}


def why_not_decodable(path: Path) -> str:
    """Say why tensorflow-io cannot decode a kind of file, in one sentence; empty where it can, or nobody can read it.

    Raises
    ------
    ConfigError
        When tensorflow-io cannot be loaded beside this TensorFlow.
    """
    _tensorflow_io_audio()
    try:
        about = soundfile.info(str(path))
        with path.open("rb") as stream:
            start = stream.read(16)
    except (soundfile.LibsndfileError, OSError, TypeError):
        return ""
    subtypes = _DECODABLE.get(about.format, ())
    if subtypes is not None and about.subtype not in subtypes:
        return f"tensorflow-io cannot decode {about.format} with {about.subtype_info}"
    if start[:4] == b"RIFF" and start[12:] != b"fmt ":
        return "tensorflow-io cannot decode a WAV file with other chunks before its format"
    return ""


@dataclass(frozen=True)
class DecodedRecording(Recording):
    """A recording whose sound is in memory, as `decode_clip` gave it; passages are read as those of any other.

    Attributes
    ----------
    waveform
        float32 ``[frames, channels]``.
    """

    waveform: np.ndarray = field(default_factory=lambda: np.empty((0, 1), np.float32), hash=False, repr=False)

    def _decode(self, start: int, end: int, channel: ChannelChoice) -> Iterator[np.ndarray]:
        piece = self.waveform[start:end]
        refuse_no_numbers(piece, start, self.sample_rate)
        yield take_channel(piece, channel)


def as_recording(recording: Recording, waveform: np.ndarray, rate: int) -> DecodedRecording:
    """Take the sound of ``recording`` from what `decode_clip` gave of its file.

    Raises
    ------
    RecordingError
        It does not fit the header that was read.
    """
    if (rate, waveform.shape[1]) != (recording.file_rate, recording.n_channels) or len(waveform) < recording.n_frames:
        raise RecordingError(
            f"tensorflow-io gives {len(waveform)} frames at {rate} Hz, {waveform.shape[1]} channels; the header says "
            f"{recording.n_frames} at {recording.file_rate} Hz and {recording.n_channels}",
            "corrupt",
        )
    known = {one.name: getattr(recording, one.name) for one in fields(Recording)}
    return DecodedRecording(**known, waveform=waveform)


def decode_clip(path: str | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode one sound file; for use in ``tf.data.Dataset.map`` as well as eagerly.

    Parameters
    ----------
    path
        The file, as text or as a scalar string tensor.

    Returns
    -------
    waveform
        float32 ``[frames, channels]``, full scale 1.0, at the rate of the file (time expansion is not looked at).
    rate
        int32 scalar: the rate in the file's header, in Hz.

    Raises
    ------
    ConfigError
        When tensorflow-io cannot be loaded beside this TensorFlow.
    tensorflow.errors.OpError
        When it runs, for a file that is missing, damaged or of another kind.
    """
    import tensorflow as tf

    audio = _tensorflow_io_audio()
    content = tf.io.read_file(path)
    header = _bytes(content, 0, _HEADER_BYTES)
    kind = tf.strings.substr(content, 0, 4)
    waveform, rate = tf.case(
        [
            (kind == b"RIFF", lambda: _decode_wav(audio, content, header)),
            (kind == b"fLaC", lambda: _decode_flac(audio, content, header)),
            (kind == b"OggS", lambda: (audio.decode_vorbis(content), _number(header, 40, 4))),
        ],
        default=lambda: _decode_mp3(audio, content, header, path),
    )
    return tf.ensure_shape(waveform, (None, None)), rate


def _decode_wav(audio: Any, content: tf.Tensor, header: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    import tensorflow as tf

    tag, rate, bits = _number(header, 20, 2), _number(header, 24, 4), _number(header, 34, 2)
    tag = tf.where(tag == _EXTENSIBLE, _number(header, 44, 2), tag)

    def floats() -> tf.Tensor:
        return audio.decode_wav(content, dtype=tf.float32)

    waveform = tf.case(
        [
            (bits == 8, lambda: _scaled(audio.decode_wav(content, dtype=tf.uint8))),
            (bits == 16, lambda: _scaled(audio.decode_wav(content, dtype=tf.int16))),
            (bits == 24, lambda: _scaled(audio.decode_wav(content, dtype=tf.int32))),
            (tag == _INTEGER, lambda: _scaled(tf.bitcast(floats(), tf.int32))),
        ],
        default=floats,
    )
    return waveform, rate


def _decode_flac(audio: Any, content: tf.Tensor, header: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The STREAMINFO block packs 20 bits of rate, 3 of channels and 5 of sample size from byte 18 on."""
    import tensorflow as tf

    rate = header[18] * 4096 + header[19] * 16 + header[20] // 16
    bits = header[20] % 2 * 16 + header[21] // 16 + 1
    waveform = tf.case(
        [
            (bits == 8, lambda: _scaled(audio.decode_flac(content, dtype=tf.uint8))),
            (bits == 16, lambda: _scaled(audio.decode_flac(content, dtype=tf.int16))),
        ],
        default=lambda: _scaled(audio.decode_flac(content, dtype=tf.int32)),
    )
    return waveform, rate


def _decode_mp3(
    audio: Any, content: tf.Tensor, header: tf.Tensor, path: str | tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The rate stands in the first frame header, after an ID3 tag whose length is in four 7-bit digits."""
    import tensorflow as tf

    tag_bytes = 10 + ((header[6] * 128 + header[7]) * 128 + header[8]) * 128 + header[9]
    tagged = tf.strings.substr(content, 0, 3) == b"ID3"
    frame = _bytes(content, tf.where(tagged, tag_bytes, 0), 3)
    found = tf.logical_and(frame[0] == 0xFF, frame[1] >= 0xE0)
    check = tf.debugging.Assert(found, [path, "is not a WAV, FLAC, OGG or MP3 file"])
    with tf.control_dependencies([] if check is None else [check]):  # None when it runs eagerly, already checked
        content = tf.identity(content)
    version, index = frame[1] // 8 % 4, frame[2] // 4 % 4
    rate = tf.gather([44100, 48000, 32000, 0], index) // tf.gather([4, 1, 2, 1], version)
    return audio.decode_mp3(content), rate


def _scaled(samples: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    if samples.dtype == tf.uint8:
        return (tf.cast(samples, tf.float32) - 128) / 128
    return tf.cast(samples, tf.float32) / -float(samples.dtype.min)


def _bytes(content: tf.Tensor, start: int | tf.Tensor, count: int) -> tf.Tensor:
    """``count`` bytes as int32, with zeros past the end of the file."""
    import tensorflow as tf

    part = tf.io.decode_raw(tf.strings.substr(content, start, count), tf.uint8)
    return tf.pad(tf.cast(part, tf.int32), [[0, count - tf.size(part)]])


def _number(header: tf.Tensor, start: int, count: int) -> tf.Tensor:
    """A little-endian number, int32."""
    return sum(header[start + place] * 256**place for place in range(count))


def _tensorflow_io_audio() -> Any:
    tensorflow_io_ops()
    import tensorflow_io

    return tensorflow_io.audio


@functools.cache
def tensorflow_io_ops() -> Any:
    """Load the operations of tensorflow-io; raises `ConfigError` where they do not fit this TensorFlow."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import tensorflow_io  # noqa: F401 - it sets its operations up
            from tensorflow_io.python.ops import core_ops

            core_ops.io_audio_decode_wav  # noqa: B018 - the library itself is only loaded at the first use of an op
    except Exception as error:  # whatever a mismatch of the two libraries raises: ImportError, NotImplementedError, ...
        reason = str(error).strip().split("\n")[0]
        raise ConfigError(
            f"tensorflow-io cannot be loaded ({reason}); install the version that fits this TensorFlow, or decode with "
            "soundfile"
        ) from None
    return core_ops
