"""Whether a file can be read at all, and holds what its header promises: the checks that the decoder does not make.

libsndfile reads a cut WAV or OGG to where it ends and says nothing, and takes the length of an MP3 without a length
header from its first frame. A recorder that lost power leaves such files, so they are looked for here, without
decoding any sound.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

from ecotf.audio.metadata import riff_chunks
from ecotf.errors import RecordingError

_HEADER_SLACK = 64  # bytes; some recorders count their own header as sound
_MP3_RATES = (44100, 48000, 32000)
_MP3_KBITS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # MPEG-1 layer III
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # MPEG-2 and 2.5
}


def check_file(path: Path) -> None:
    """Refuse what is no file to read: ``failed`` when missing, unreadable or a folder, ``corrupt`` when empty."""
    try:
        found = path.stat()
        if stat.S_ISREG(found.st_mode):
            path.open("rb").close()
    except OSError as error:
        raise RecordingError(f"cannot be read ({error.strerror})", "failed") from None
    if stat.S_ISDIR(found.st_mode):
        raise RecordingError("is a folder, not a recording", "failed")
    if not stat.S_ISREG(found.st_mode):
        raise RecordingError("is not an ordinary file", "failed")
    if found.st_size == 0:
        raise RecordingError("empty file (0 bytes)", "corrupt")


def check_whole(path: Path, kind: str, n_frames: int, duration_s: float) -> None:
    """Refuse as ``corrupt`` a file of which the header promises more than it holds, or that holds no sound.

    Parameters
    ----------
    kind
        libsndfile's name of the format.
    n_frames, duration_s
        What the decoder finds in the file, in samples per channel and in real seconds.
    """
    shortfall = wav_shortfall(path)
    if shortfall is not None:
        promised, held = shortfall
        if promised == 0:
            reason = f"unfinished: its header promises no sound, but {held} bytes follow; the recorder was cut off"
        elif n_frames == 0:
            reason = f"truncated: its header promises {promised} bytes of sound, it holds none"
        else:
            promised_s = duration_s * promised / held
            reason = f"truncated: its header promises {promised_s:.3f} s of sound, it holds {duration_s:.3f} s"
        raise RecordingError(reason, "corrupt")
    if kind == "OGG" and ogg_is_cut(path):
        raise RecordingError(f"truncated: cut off in mid-page after {duration_s:.3f} s", "corrupt")
    if n_frames == 0:
        raise RecordingError("holds a header, but no sound (0 samples)", "corrupt")


def mp3_length(path: Path, decoder_frames: int, file_rate: int) -> int:
    """Return the true length of an MP3, in samples per channel.

    Without a length in its header the decoder guesses one, and stops there: too long is put right here, too short by
    more than 0.1 s is refused as ``unsupported``.
    """
    frames = mp3_frames(path)
    if not frames:
        return decoder_frames
    if frames > decoder_frames + file_rate // 10:
        raise RecordingError(
            f"is an MP3 of varying bit rate without a length header: only {decoder_frames / file_rate:.1f} s of its "
            f"{frames / file_rate:.1f} s can be decoded; convert it to WAV or FLAC",
            "unsupported",
        )
    return min(frames, decoder_frames)


def wav_shortfall(path: str | Path) -> tuple[int, int] | None:
    """Return ``(promised, held)`` bytes of sound of a WAV file that is cut or was never finished, else None.

    ``promised`` is 0 for a file whose header was not filled in before the recorder stopped.
    """
    with open(path, "rb") as file:
        for chunk in riff_chunks(file):
            if chunk.name == b"data" and chunk.size is not None:
                if chunk.size > chunk.available + _HEADER_SLACK:
                    return chunk.size, chunk.available
                if chunk.size == 0 and chunk.available > 1024:
                    return 0, chunk.available
                return None
    return None


def ogg_is_cut(path: str | Path) -> bool:
    """Whether the last page of an OGG file is incomplete."""
    with open(path, "rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - (1 << 17)))  # a page is under 64 KiB
        tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0 or len(tail) < page + 27:
        return True
    segments = tail[page + 27 : page + 27 + tail[page + 26]]
    return len(segments) < tail[page + 26] or len(tail) < page + 27 + len(segments) + sum(segments)


def mp3_frames(path: str | Path) -> int | None:
    """Count the frames (samples per channel) of an MP3 whose first frame states no length.

    Walks from frame header to frame header (ISO 11172-3, layer III), over the tags at both ends. None where the first
    frame does state the length, or the walk meets something else than frames and tags.
    """
    with open(path, "rb") as file:
        length = os.fstat(file.fileno()).st_size
        position = _after_id3(file)
        file.seek(position)
        start = file.read(1 << 16)
        first = re.search(rb"\xff[\xe2-\xfb]", start)
        if first is None or re.search(rb"Xing|Info|VBRI", start[first.start() : first.start() + 200]):
            return None
        position += first.start()
        frames = 0
        while position < length:
            file.seek(position)
            header = file.read(4)
            frame = _mp3_frame(header)
            if frame is None and header[:3] not in (b"TAG", b"APE", b"ID3", b"LYR"):
                return None
            if frame is None or position + frame[0] > length:
                break
            position += frame[0]
            frames += frame[1]
    return frames


def _after_id3(file: BinaryIO) -> int:
    tag = file.read(10)
    if tag[:3] != b"ID3" or len(tag) < 10:
        return 0
    return 10 + (tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9])


def _mp3_frame(header: bytes) -> tuple[int, int] | None:
    """The bytes and the samples of the layer III frame that a 4-byte header begins."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return None
    version, bits, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or bits in (0, 15) or rate == 3:
        return None
    hertz = _MP3_RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    samples = 1152 if version == 3 else 576
    return samples // 8 * _MP3_KBITS[version == 3][bits] * 1000 // hertz + (header[2] >> 1 & 1), samples
