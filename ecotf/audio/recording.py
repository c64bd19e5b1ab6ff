"""Opening a recording and reading it in bounded memory, in seconds and hertz of real time.

WAV (8 to 32-bit integers, 32 and 64-bit floats), FLAC, OGG and MP3 are read by their content, whatever the name says.
Channels are counted from 1, as recorders, Raven and Audacity count them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import soundfile

from ecotf.audio.beginning import Began, find_beginning, time_zone_of
from ecotf.audio.channels import ChannelChoice, channels_to_read, take_channel
from ecotf.audio.discover import SOUND_EXTENSIONS
from ecotf.audio.hdf5_rows import row_facts, row_pieces, split_row
from ecotf.audio.integrity import check_file, mp3_length, read_contents
from ecotf.audio.metadata import read_notes
from ecotf.audio.pieces import PIECE_FRAMES, cut_into_blocks, decode_pieces, leave_out, what_libsndfile_says
from ecotf.audio.resample import resample, resample_blocks
from ecotf.audio.sound_file import UNKNOWN_LENGTH, WIDTHS, Opening
from ecotf.audio.time_expansion import settle_time_expansion
from ecotf.errors import ConfigError, RecordingError, RecordingStatus

_RESTART_S = 60  # resampling begins anew so often, so that its numbers do not depend on where reading began
_EDGE_FRAMES = 2048  # frames at the lower rate, read on both sides of a passage so that resampling has no edges


@dataclass(frozen=True)
class Recording:
    """One recording, opened by :func:`open_recording`; its sound is read only by :meth:`blocks` and :meth:`read`.

    Attributes
    ----------
    sample_rate
        The real rate in Hz: the rate in the file times the time expansion.
    file_rate
        The rate in the file's header, in Hz.
    time_expansion
        How many times slower than life the sound is stored; 1 when it is not expanded.
    n_frames
        Samples per channel.
    metadata
        The fields that the recorder wrote, under their GUANO names.
    began
        When it began (:func:`ecotf.audio.beginning.iso_time` dates what lies behind); None where nothing says it.
    date_note
        Why a time is left out, or that its zone is not known; empty where all is well.
    note
        What the ledger must say of a recording that is used: that its header promises less than there is, or, of a
        salvaged one, the seconds read and the seconds promised.
    salvaged
        Whether it is the readable part of a truncated or damaged file.
    opening
        How its sound is opened.
    """

    path: Path
    sample_rate: int
    file_rate: int
    time_expansion: float
    n_channels: int
    n_frames: int
    metadata: dict[str, str] = field(default_factory=dict, hash=False)
    began: Began | None = None
    date_note: str = ""
    note: str = ""
    salvaged: bool = False
    opening: Opening = field(default_factory=Opening, repr=False)

    @property
    def duration_s(self) -> float:
        """The length in seconds of real time."""
        return self.n_frames / self.sample_rate

    def blocks(
        self, block_frames: int, *, channel: ChannelChoice = "mix", sample_rate: int | None = None, first: int = 0
    ) -> Iterator[np.ndarray]:
        """Stream the recording to its end in bounded memory.

        Parameters
        ----------
        block_frames
            Frames per block, at ``sample_rate``.
        channel
            ``"mix"`` for the mean of all channels, or a channel's number, counted from 1.
        sample_rate
            Resample to this real rate in Hz; None keeps the recording's own.
        first
            Where to begin, in frames at ``sample_rate``. Where `can_begin_anywhere`, the numbers are, to the bit, those
            of the whole recording from there.

        Yields
        ------
        numpy.ndarray
            float32 ``[block_frames]``, full scale 1.0 (a float file may exceed it); the last block may be shorter.
            Together the blocks are the whole recording.

        Raises
        ------
        RecordingError
            ``corrupt``, with the time in seconds, where the sound is damaged, ends too early, or is not a number;
            ``unsupported`` for a channel that is not there.
        """
        if block_frames < 1:
            raise ValueError(f"block_frames = {block_frames}: must be at least 1")
        rate = sample_rate or self.sample_rate
        if rate == self.sample_rate:
            read_from = first // PIECE_FRAMES * PIECE_FRAMES  # a mix of channels depends on the pieces in its last bit
            sound = leave_out(self._passages(read_from, self.n_frames, channel), first - read_from)
        elif self.duration_s > _RESTART_S and self.can_begin_anywhere:
            minutes = range(first // (_RESTART_S * rate), math.ceil(self.duration_s / _RESTART_S))
            sound = (piece for minute in minutes for piece in self._resampled(minute, rate, channel))
            sound = leave_out(sound, first - minutes.start * _RESTART_S * rate)
        else:
            whole = self._passages(0, self.n_frames, channel)
            sound = leave_out(resample_blocks(whole, self.sample_rate, rate), first)
        return cut_into_blocks(sound, block_frames)

    @property
    def can_begin_anywhere(self) -> bool:
        """Whether its sound is the same to the bit wherever reading begins: WAV and the like, and FLAC."""
        try:
            with self.opening.open(self.path) as sound:
                known = sound.frames < UNKNOWN_LENGTH
                return known and ((sound.subtype in WIDTHS and sound.format != "OGG") or sound.format == "FLAC")
        except (soundfile.LibsndfileError, OSError):
            return False

    def _resampled(self, minute: int, rate: int, channel: ChannelChoice) -> Iterator[np.ndarray]:
        """One minute at another rate; it begins and ends where the two rates share an instant."""
        common = math.gcd(rate, self.sample_rate)
        edge = math.ceil(_EDGE_FRAMES / min(rate, self.sample_rate) * common)
        begin = max(0, minute * _RESTART_S * common - edge)
        end = (minute + 1) * _RESTART_S * common + edge
        each, made = self.sample_rate // common, rate // common
        sound = self._passages(begin * each, min(end * each, self.n_frames), channel)
        skipped = minute * _RESTART_S * rate - begin * made
        wanted = _RESTART_S * rate
        for piece in leave_out(resample_blocks(sound, self.sample_rate, rate), skipped):
            yield piece[:wanted]
            wanted -= len(piece)
            if wanted <= 0:
                return

    def read(
        self,
        start_s: float = 0.0,
        end_s: float | None = None,
        *,
        channel: ChannelChoice = "mix",
        sample_rate: int | None = None,
    ) -> np.ndarray:
        """Read one passage as a whole: the same numbers as that part of :meth:`blocks`, to 1e-5 when resampled.

        Parameters
        ----------
        start_s, end_s
            Real seconds; None, or a time past the end, stands for the end of the recording.
        channel, sample_rate
            As in :meth:`blocks`.

        Returns
        -------
        numpy.ndarray
            float32 ``[round(end_s * sample_rate) - round(start_s * sample_rate)]``.

        Raises
        ------
        ValueError
            When the passage is reversed or begins outside the recording.
        RecordingError
            As :meth:`blocks` does.
        """
        end_s = self.duration_s if end_s is None else min(end_s, self.duration_s)
        if not 0 <= start_s <= end_s:
            raise ValueError(f"{self.path}: no passage from {start_s} s to {end_s} s in {self.duration_s} s of sound")
        rate = sample_rate or self.sample_rate
        start, end = round(start_s * rate), round(end_s * rate)
        if rate == self.sample_rate:
            return self._passage(start, end, channel)
        # Begin where the two rates share an instant, so that the samples fall where those of the whole recording do.
        common = math.gcd(rate, self.sample_rate)
        edge_s = _EDGE_FRAMES / min(rate, self.sample_rate)
        shared = max(0, math.floor((start_s - edge_s) * common))
        first = shared * (self.sample_rate // common)
        last = min(self.n_frames, math.ceil((end_s + edge_s) * self.sample_rate))
        offset = shared * (rate // common)
        return resample(self._passage(first, last, channel), self.sample_rate, rate)[start - offset : end - offset]

    def _passage(self, start: int, end: int, channel: ChannelChoice) -> np.ndarray:
        return np.concatenate([np.empty(0, np.float32), *self._passages(start, end, channel)])

    def _passages(self, start: int, end: int, channel: ChannelChoice) -> Iterator[np.ndarray]:
        """Frames ``start`` to ``end`` of one channel, in the pieces that they are read in."""
        if channels_to_read(self.n_channels, channel) != [channel]:
            raise ValueError(f"channel {channel!r}: read one at a time what channels_to_read gives")
        return self._decode(start, end, channel)

    def _decode(self, start: int, end: int, channel: ChannelChoice) -> Iterator[np.ndarray]:
        rates = {"file_rate": self.file_rate, "sample_rate": self.sample_rate}
        pieces = decode_pieces(self.path, self.opening, start, end, **rates, duration_s=self.duration_s)
        return (take_channel(piece, channel) for piece in pieces)


@dataclass(frozen=True)
class RowRecording(Recording):
    """A row of an HDF5 file of clips, read as any other recording."""

    @property
    def can_begin_anywhere(self) -> bool:
        """No: a row is read as a whole."""
        return False

    def _decode(self, start: int, end: int, channel: ChannelChoice) -> Iterator[np.ndarray]:
        yield from row_pieces(self.path, start, end)


def open_recording(
    path: str | Path, *, time_expansion: float | None = None, time_zone: str | None = None, salvage: bool = False
) -> Recording:
    """Open a recording: read its header and metadata, and refuse what cannot be used.

    Parameters
    ----------
    path
        A sound file, read by its content, whatever its extension; or a row of an HDF5 file, ``clips.h5#Yabc.wav``
        (:mod:`ecotf.audio.hdf5_rows`).
    time_expansion
        How many times slower than life the sound is stored, where the user or the manifest states it. None takes it
        from the metadata, and is 1 where they say nothing (:func:`ecotf.audio.time_expansion.settle_time_expansion`).
    time_zone
        The zone in which the recorder's clock was set, such as ``Europe/Brussels``, for times that come without one.
    salvage
        Use what can be read of a truncated or damaged file, for a file that was refused as ``corrupt`` without it.

    Raises
    ------
    RecordingError
        The reason is one sentence about the file, to be put after its name. Its status is ``failed`` for a file that
        is missing, cannot be read or is a folder; ``corrupt`` for an empty, cut or unrecognisable file;
        ``unsupported`` for another kind of file, or a time expansion that contradicts the metadata.
    ConfigError
        When ``time_expansion`` is not a positive number, or ``time_zone`` no zone.
    """
    path = Path(path)
    if time_expansion is not None and not (math.isfinite(time_expansion) and time_expansion > 0):
        raise ConfigError(f"time expansion {time_expansion}: must be a number above 0, such as 10")
    zone = None if time_zone is None else time_zone_of(time_zone)
    if split_row(path) is not None:
        return RowRecording(**row_facts(path, time_expansion))
    check_file(path)
    try:
        found = read_contents(path)
        notes = read_notes(path, found.riff)
    except soundfile.LibsndfileError as error:
        status: RecordingStatus = "corrupt" if path.suffix.lower() in SOUND_EXTENSIONS else "unsupported"
        raise RecordingError(
            f"is not a sound file that can be read: {what_libsndfile_says(error)}; allowed: WAV, FLAC, OGG, MP3", status
        ) from None
    except OSError as error:
        raise RecordingError(f"cannot be read ({error.strerror})", "failed") from None
    expansion = settle_time_expansion(notes.fields, found.rate, time_expansion)
    rate = round(found.rate * expansion)
    if found.kind == "MP3" and not salvage:
        found = replace(found, frames=mp3_length(path, found.frames, found.rate))
    note = found.note(rate)
    if salvage:
        found, note = found.salvage(path, rate)
    elif found.cut:
        raise RecordingError(note, "corrupt")
    if found.frames == 0:
        raise RecordingError("holds a header, but no sound (0 samples)", "corrupt")
    began, date_note = find_beginning(path, notes.dated, zone)
    return Recording(
        path, rate, found.rate, expansion, found.channels, found.frames, notes.fields, began, date_note, note, salvage,
        found.opening,
    )  # fmt: skip
