"""Embed many recordings, or the annotations of a manifest, into a folder; account for every file."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import numpy as np

from ecotf.audio.channels import ChannelChoice, channels_to_read
from ecotf.audio.recording import Recording, open_recording
from ecotf.datasets.manifest import Manifest
from ecotf.embeddings.records import Embedded
from ecotf.embeddings.windows import LEAST_SHARE, loud_windows, windows_of
from ecotf.errors import ConfigError, RecordingError, RecordingStatus
from ecotf.inference.embed_places import Wanted, places_of, wanted_recordings
from ecotf.inference.embedding_folder import EmbeddingFolder
from ecotf.inference.listen import attempt, why_silent
from ecotf.inference.outcome import Outcome
from ecotf.models.embedders import Embedder

_AT_ONCE = 64  # windows that are read ahead, embedded and written together
_BLOCK_S = 1.0
_LARGEST = float(np.finfo(np.float16).max)
T = TypeVar("T")

Report = Callable[[str, Outcome], None]
"""A function that takes each recording and its result, when it is finished."""


@dataclass(frozen=True)
class EmbedOptions:
    """The settings of a job that a user may choose.

    Attributes
    ----------
    time_expansion
        Stated by the user; None takes what the manifest or the recording's metadata say, or real time.
    channel
        ``mix``, or a channel's number, counted from 1.
    salvage
        Use the beginning of recordings that are cut off.
    each
        An annotation has one row, however long it is: the mean of its windows that have sound in them, without the
        sound around it. By default it has the windows that it holds, and a short one hears what is around it.
    """

    time_expansion: float | None = None
    channel: ChannelChoice = "mix"
    salvage: bool = False
    each: bool = False


@dataclass(frozen=True)
class EmbedResult:
    """The result of a job.

    Attributes
    ----------
    counts
        Number of recordings of each status, with those that an earlier job finished.
    rows
        Rows of the table of the whole folder.
    repeated
        Recordings whose sound was embedded before under another name.
    """

    counts: dict[RecordingStatus, int]
    rows: int
    repeated: int


def embed_recordings(
    embedder: Embedder,
    recordings: Sequence[str | Path] | Manifest,
    output: str | Path,
    options: EmbedOptions | None = None,
    resume: bool = False,
    overwrite: bool = False,
    report: Report | None = None,
) -> EmbedResult:
    """Embed recordings and write embeddings, table and ledger into a folder.

    An error inside one recording is noted in the ledger with the reason; the others continue. A full disk ends the
    job, and so does Ctrl-C; what was finished is kept. Sound that is there already is not embedded again.

    Parameters
    ----------
    recordings
        Sound files; or a manifest, whose annotations are embedded and keep their labels.
    output
        A folder for this job alone.
    resume
        Continue the job in ``output``: finished recordings are kept unless their files have changed.
    overwrite
        Replace the job in ``output``.
    report
        Takes each recording and its result.

    Raises
    ------
    ConfigError
        ``output`` holds another job.
    DiskFullError
        The disk is full.
    """
    options = options or EmbedOptions()
    if resume and overwrite:
        raise ConfigError("--resume continues a job and --overwrite replaces it: choose one")
    wanted = {one.waiting.path: one for one in wanted_recordings(recordings, options.time_expansion)}
    labelled = isinstance(recordings, Manifest)
    with EmbeddingFolder(
        Path(output), embedder, _asked(embedder, options, labelled), labelled, resume, overwrite
    ) as folder:
        job = _Job(embedder, options, folder)
        waiting = folder.look_up([one.waiting for one in wanted.values()], job.settles(wanted))
        counts = dict(folder.settled)
        for path, named in waiting.items():
            one = wanted[path]._replace(waiting=named)
            began = perf_counter()
            outcome, record = job.embed(one)
            outcome = outcome._replace(seconds_used=perf_counter() - began)
            folder.settle(one.waiting, outcome, record)
            counts[outcome.status] += 1
            if report is not None:
                report(one.waiting.name, outcome)
        return EmbedResult(counts, folder.finish(), job.repeated)


class _Job:
    """Embeds one recording after the other into a folder."""

    def __init__(self, embedder: Embedder, options: EmbedOptions, folder: EmbeddingFolder) -> None:
        self._embedder, self._options, self._folder = embedder, options, folder
        self._window_s = embedder.samples / embedder.sample_rate
        self._hop_s = embedder.hop_samples / embedder.sample_rate
        self.repeated = 0

    def settles(self, wanted: dict[str, Wanted]) -> Callable[[Embedded], bool]:
        """Return a function that says whether a record of an earlier job is still that of its file."""

        def settles(record: Embedded) -> bool:
            one = wanted[record.path]
            try:
                found = os.stat(one.waiting.file)
            except OSError:
                return False
            same = (found.st_size, found.st_mtime_ns) == (record.size, record.changed_ns)
            return (same and one.annotations is None) or record.sound == self._digest(one)

        return settles

    def embed(self, one: Wanted) -> tuple[Outcome, Embedded | None]:
        """Embed a recording; the record is None where there is nothing to keep."""
        first = self._folder.shards.rows
        made: list[Embedded] = []

        def listen(salvage: bool) -> Outcome:
            self._folder.shards.cut(first)
            made[:] = [self._embed(one, salvage)]
            return Outcome(made[0].status, made[0].reason, made[0].duration_s)  # type: ignore[arg-type]

        try:
            outcome = attempt(listen, one.waiting.file, self._options.salvage)
        except BaseException:
            self._folder.shards.cut(first)
            raise
        if not made or outcome.status not in ("done", "silent", "salvaged"):
            self._folder.shards.cut(first)
            return outcome, None
        return outcome, made[0]

    def _embed(self, one: Wanted, salvage: bool) -> Embedded:
        sound, found = self._digest(one), os.stat(one.waiting.file)
        name, path = one.waiting.name, one.waiting.path
        known = self._folder.known(sound)
        if known is not None:
            self.repeated += 1
            return known._replace(recording=name, path=path, size=found.st_size, changed_ns=found.st_mtime_ns)
        recording = open_recording(one.waiting.file, time_expansion=one.time_expansion, salvage=salvage)
        least_s = 0.0 if self._options.each else LEAST_SHARE * self._window_s
        if recording.duration_s < least_s:
            raise RecordingError(f"{recording.duration_s:.3f} s long; at least {least_s:.3f} s are needed", "short")
        channels_to_read(recording.n_channels, self._options.channel)
        first = self._folder.shards.rows
        heard = _Heard(recording, self._embedder.sample_rate, self._options.channel)
        places = None
        if one.annotations is None:
            self._write(windows_of(heard.blocks(), self._embedder.samples, self._embedder.hop_samples))
        elif self._options.each:
            places = self._write_each(heard, one.annotations, recording.duration_s)
        else:
            starts, places = places_of(one.annotations, recording.duration_s, self._window_s, self._hop_s)
            self._write(heard.window(start_s, self._embedder.samples) for start_s in starts)
        status, notes = "done", [recording.note]
        if heard.silent:
            self._folder.shards.cut(first)
            status, places = "silent", None
            notes.insert(0, why_silent(recording, self._options.channel))
        return Embedded(
            name, path, sound, found.st_size, found.st_mtime_ns, "salvaged" if recording.salvaged else status,
            "; ".join(filter(None, notes)), recording.duration_s, first, self._folder.shards.rows - first,
            self._hop_s, self._window_s, places,
        )  # fmt: skip

    def _write(self, windows: Iterator[np.ndarray]) -> None:
        for batch in _ahead(_batches(windows)):
            self._append(self._embedder.embed(batch))

    def _write_each(
        self, heard: _Heard, annotations: tuple[tuple[float, float, str], ...], duration_s: float
    ) -> list[tuple[float, float, str, int]]:
        """Write a row for each annotation; return their places."""
        rate, places = self._embedder.sample_rate, []
        sounds = []
        for number, (start_s, stated_s, label) in enumerate(annotations):
            end_s = duration_s if math.isnan(stated_s) else min(stated_s, duration_s)
            start_s = max(0.0, min(start_s, end_s))
            sounds.append((start_s, max(1, round((end_s - start_s) * rate))))
            places.append((round(start_s, 6), round(end_s, 6), label, number))

        def clips() -> Iterator[np.ndarray]:
            for start_s, samples in sounds:
                yield loud_windows(heard.window(start_s, samples), self._embedder.samples)

        for windows in _ahead(clips()):
            self._append(self._embedder.embed(windows).mean(axis=0, keepdims=True))
        return places

    def _append(self, rows: np.ndarray) -> None:
        largest = float(np.abs(rows).max())
        if not largest <= _LARGEST:
            raise RecordingError(f"an embedding with the number {largest:g}; allowed: up to {_LARGEST:g}")
        self._folder.shards.append(rows)

    def _digest(self, one: Wanted) -> str:
        """Compute the digest of a file's bytes, and of what is embedded of it."""
        digest = hashlib.blake2b(digest_size=16)
        with open(one.waiting.file, "rb") as opened:
            for chunk in iter(lambda: opened.read(1 << 20), b""):
                digest.update(chunk)
        digest.update(repr((one.time_expansion, one.annotations)).encode())
        return digest.hexdigest()


class _Heard:
    """The sound of one channel at the embedder's rate; it notes whether all of it is the same."""

    def __init__(self, recording: Recording, rate: int, channel: ChannelChoice) -> None:
        self._recording, self._rate, self._channel = recording, rate, channel
        self._lowest, self._highest = math.inf, -math.inf

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the whole sound."""
        for block in self._recording.blocks(
            round(_BLOCK_S * self._rate), channel=self._channel, sample_rate=self._rate
        ):
            yield self._noted(block)

    def window(self, start_s: float, samples: int) -> np.ndarray:
        """Read a window; silence fills it up where it reaches past the end."""
        end_s = start_s + samples / self._rate
        sound = self._recording.read(start_s, end_s, channel=self._channel, sample_rate=self._rate)[:samples]
        return np.pad(self._noted(sound), (0, samples - len(sound)))

    @property
    def silent(self) -> bool:
        """Whether all samples were the same."""
        return self._lowest >= self._highest

    def _noted(self, sound: np.ndarray) -> np.ndarray:
        if len(sound):
            self._lowest = min(self._lowest, float(sound.min()))
            self._highest = max(self._highest, float(sound.max()))
        return sound


def _asked(embedder: Embedder, options: EmbedOptions, labelled: bool) -> dict[str, object]:
    """Return what a job is asked, as `Question` keeps it."""
    return {
        "hop": f"{embedder.hop_samples / embedder.sample_rate:g} s",
        "annotations of a manifest": labelled,
        "time expansion": options.time_expansion,
        "channel": options.channel,
        "salvage": options.salvage,
        **({"a row for each annotation": True} if options.each else {}),
    }


def _batches(windows: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    while batch := list(islice(windows, _AT_ONCE)):
        yield np.stack(batch)


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the items, each made in a thread while the one before it is used."""
    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(next, items, None)
        while (item := future.result()) is not None:
            future = thread.submit(next, items, None)
            yield item
