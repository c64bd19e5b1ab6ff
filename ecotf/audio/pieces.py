"""The sound of a file in pieces: decoded, looked at, and cut anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from ecotf.audio.sound_file import UNKNOWN_LENGTH, Opening
from ecotf.errors import RecordingError

PIECE_FRAMES = 1 << 16
"""Frames read at a time: 256 KiB a channel, past which reading gets no faster."""

_MP3_RUN_UP_S = 1.0  # an MP3 frame leans on earlier ones; decoding must begin before the first frame that is wanted


def decode_pieces(
    path: Path, opening: Opening, start: int, end: int, *, file_rate: int, sample_rate: int, duration_s: float
) -> Iterator[np.ndarray]:
    """Decode frames ``start`` to ``end`` of a file.

    Parameters
    ----------
    file_rate, sample_rate
        The rate in the file's header and the real one, in Hz.
    duration_s
        How long the recording is said to be, in real seconds.

    Yields
    ------
    numpy.ndarray
        float32 ``[frames, channels]``, full scale 1.0, at most `PIECE_FRAMES` at a time.

    Raises
    ------
    RecordingError
        ``corrupt``, with the time in real seconds, where the sound is damaged, ends too early, or is not a number.
    """
    position = start
    try:
        with opening.open(path) as sound:
            if sound.format == "MP3":
                position = max(0, start - round(_MP3_RUN_UP_S * file_rate))
            elif sound.frames > UNKNOWN_LENGTH:
                position = 0  # libsndfile cannot seek here
            if position > 0:
                sound.seek(position)
            # Integers are read as such and scaled here: the same numbers as libsndfile's, 3 times sooner (WAV).
            whole_numbers = sound.subtype == "PCM_16"
            while position < end:
                wanted = min(PIECE_FRAMES, end - position, start - position if position < start else PIECE_FRAMES)
                piece = sound.read(wanted, dtype="int16" if whole_numbers else "float32", always_2d=True)
                if whole_numbers:
                    piece = np.multiply(piece, np.float32(1 / 32768), dtype=np.float32)
                if position >= start and len(piece) > 0:
                    refuse_no_numbers(piece, position, sample_rate)
                    yield piece
                position += len(piece)
                if len(piece) < wanted:
                    break
    except soundfile.LibsndfileError as error:
        raise RecordingError(
            f"damaged after {position / sample_rate:.3f} s of {duration_s:.3f} s ({what_libsndfile_says(error)})",
            "corrupt",
        ) from None
    except OSError as error:
        raise RecordingError(f"cannot be read ({error.strerror})", "failed") from None
    if position < end:
        raise RecordingError(
            f"truncated: {duration_s:.3f} s of sound were promised, it ends after {position / sample_rate:.3f} s",
            "corrupt",
        )


def refuse_no_numbers(piece: np.ndarray, position: int, sample_rate: int) -> None:
    """Raise a `RecordingError` with the time of the first sample that is no number; a piece begins at ``position``."""
    finite = np.isfinite(piece)
    if not finite.all():
        frame, where = np.argwhere(~finite)[0]
        what = "not a number (NaN)" if np.isnan(piece[frame, where]) else "infinite"
        raise RecordingError(f"the sample at {(position + frame) / sample_rate:.6f} s is {what}", "corrupt")


def what_libsndfile_says(error: Exception) -> str:
    """Its reason, as part of a sentence."""
    text = getattr(error, "error_string", str(error)).removeprefix("Error : ").strip(" .")
    return text[:1].lower() + text[1:]


def leave_out(pieces: Iterator[np.ndarray], skipped: int) -> Iterator[np.ndarray]:
    """Leave the first frames out."""
    for piece in pieces:
        if skipped < len(piece):
            yield piece[max(0, skipped) :]
        skipped -= len(piece)


def cut_into_blocks(pieces: Iterator[np.ndarray], block_frames: int) -> Iterator[np.ndarray]:
    """Cut a stream of pieces anew into blocks of one length; the last block is what remains."""
    waiting: list[np.ndarray] = []
    held = 0
    for piece in pieces:
        while held + len(piece) >= block_frames:
            cut = block_frames - held
            yield np.concatenate([*waiting, piece[:cut]])
            piece, waiting, held = piece[cut:], [], 0
        if len(piece) > 0:
            waiting.append(piece)
            held += len(piece)
    if held > 0:
        yield np.concatenate(waiting)
