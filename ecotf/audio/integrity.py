"""Whether a file can be read at all, and holds what its header promises: the checks that the decoder does not make.

libsndfile reads a cut WAV or OGG to where it ends and says nothing, and takes the length of an MP3 without a length
header from its first frame. A recorder that lost power leaves such files, so they are looked for here, without
decoding any sound.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import soundfile

from ecotf.audio.containers import SoundSize, sound_size
from ecotf.audio.flac import FlacLength, read_flac
from ecotf.audio.riff import Riff, WavFormat, impossible_format, read_format, read_riff
from ecotf.audio.sound_file import UNKNOWN_LENGTH, WIDTHS, Opening, raw_opening
from ecotf.errors import RecordingError

_SALVAGE_FRAMES = 1 << 12  # what is read at a time up to a damage; less than this is lost before it
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


@dataclass(frozen=True)
class Contents:
    """The sound of a file, as its header describes it and as it is.

    Attributes
    ----------
    kind, rate, channels
        libsndfile's name of the format, and the rate in Hz and the channels that the header gives.
    frames
        Samples per channel that are there.
    promised
        Samples per channel after the header, where that is more or less than there are; None where it is unknown.
    cut
        Whether the file ends too early, or is damaged, so that less is there than there should be.
    opening
        How its sound is opened.
    riff
        Where the chunks of a WAV file are.
    """

    kind: str
    rate: int
    channels: int
    frames: int
    promised: int | None = None
    cut: bool = False
    opening: Opening = field(default_factory=Opening)
    riff: Riff | None = field(default=None, repr=False)

    def note(self, sample_rate: int) -> str:
        """Describe a fault to the user, in real seconds; empty where there is none."""
        held = f"{self.frames / sample_rate:.3f} s"
        if self.promised is None:
            return f"truncated: cut off in mid-page after {held}" if self.cut else ""
        promised = f"its header promises {self.promised / sample_rate:.3f} s"
        if self.cut:
            return f"truncated: {promised} of sound, it holds {held if self.frames else 'none'}"
        return f"{promised}, it holds {held}"

    def salvage(self, path: Path, sample_rate: int) -> tuple[Contents, str]:
        """Return the readable part, and a note with the seconds read and the seconds promised."""
        frames = count_frames(path, self.opening, _SALVAGE_FRAMES)
        if frames == 0:
            raise RecordingError(f"{self.note(sample_rate)}; nothing can be read", "corrupt")
        promised = "an unknown length" if self.promised is None else f"{self.promised / sample_rate:.3f} s"
        return replace(self, frames=frames), f"{frames / sample_rate:.3f} s read of {promised} promised"


def read_contents(path: Path) -> Contents:
    """Find out what sound a file holds, without decoding it.

    Raises
    ------
    RecordingError
        ``corrupt`` for a header that cannot be true; ``unsupported`` for sound in several pieces, or that goes on
        where the header says that it ends and is compressed; ``soundfile.LibsndfileError`` for what is no sound.
    """
    with path.open("rb") as file:
        riff = read_riff(file)
        if riff is not None:
            form = read_format(file, riff)
            if why := impossible_format(form) if riff.offset else "":
                raise RecordingError(why, "corrupt")
            if riff.pieces > 1:
                raise RecordingError(
                    f"its sound lies in {riff.pieces} pieces, one behind the other; join them with a sound editor",
                    "unsupported",
                )
            if form is not None and riff.offset:
                return _wav_contents(path, riff, form)
        flac = read_flac(file)
        size = sound_size(file)
    with Opening().open(path) as sound:
        found = Contents(sound.format, sound.samplerate, sound.channels, sound.frames)
        width = WIDTHS.get(sound.subtype, 0)
    if flac is not None and (flac.start or flac.end or flac.held not in (None, flac.promised)):
        return _flac_contents(found, flac)
    if size is not None and width:
        return _sized_contents(found, size, width * found.channels)
    if found.frames > UNKNOWN_LENGTH:
        return replace(found, frames=count_frames(path, found.opening, errors=True))
    return replace(found, cut=found.kind == "OGG" and ogg_is_cut(path))


def _flac_contents(found: Contents, flac: FlacLength) -> Contents:
    held, promised = flac.held, flac.promised
    opening = Opening(flac.start, flac.end)
    if held is None or promised == held:
        return replace(found, opening=opening)
    if held < promised:
        return replace(found, frames=held, promised=promised, cut=True, opening=opening)
    return replace(found, frames=held, promised=promised or None, opening=replace(opening, patches=(flac.patch(held),)))


def _sized_contents(found: Contents, size: SoundSize, width: int) -> Contents:
    if size.is_longer:
        raise _not_past_its_header(found.kind, size.promised, size.held)
    frames = size.held // width
    if size.is_cut:
        return replace(found, frames=frames, promised=size.promised // width, cut=True)
    return replace(found, frames=min(found.frames, frames))


def _not_past_its_header(kind: str, promised: int | None, held: int) -> RecordingError:
    return RecordingError(
        f"its header promises {promised} bytes of sound, it holds {held}; {kind} cannot be read past what its header "
        "says: convert it to WAV or FLAC",
        "unsupported",
    )


def _wav_contents(path: Path, riff: Riff, form: WavFormat) -> Contents:
    width = form.width * form.channels
    raw = raw_opening(riff, form)
    found: Contents | None = None
    try:
        with Opening().open(path) as sound:
            found = Contents(sound.format, sound.samplerate, sound.channels, sound.frames)
    except soundfile.LibsndfileError:
        if raw is None:
            raise
    if raw is not None:
        plain = Contents("WAV", form.rate, form.channels, riff.held // width)
        if found is None or (found.rate, found.channels, found.frames) != (plain.rate, plain.channels, plain.frames):
            found = replace(plain, opening=raw)
        promised = None if riff.promised is None else riff.promised // width
    else:
        assert found is not None
        promised = None if riff.promised is None else round(found.frames * riff.promised / max(1, riff.held))
        if riff.is_longer:
            raise _not_past_its_header("compressed WAV", riff.promised, riff.held)
    if not (riff.is_cut or riff.is_longer):
        promised = None
    return replace(found, promised=promised, cut=riff.is_cut, riff=riff)


def count_frames(path: Path, opening: Opening, at_once: int = 1 << 16, errors: bool = False) -> int:
    """Count the samples per channel that can be decoded, up to the first that cannot.

    Parameters
    ----------
    errors
        Raise what stops it (``soundfile.LibsndfileError``) instead.
    """
    frames = 0
    with opening.open(path) as sound:
        try:
            while n := len(sound.read(at_once, "int16")):
                frames += n
        except soundfile.LibsndfileError:
            if errors:
                raise
    return frames


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


def ogg_is_cut(path: str | Path) -> bool:
    """Check whether the last page of an OGG file is incomplete."""
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
