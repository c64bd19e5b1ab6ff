"""Pack the recordings of a manifest into one HDF5 file of clips, in worker processes, resumable, with a ledger."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from ecotf.append_only import AppendOnly, csv_rows
from ecotf.audio.odd_samples import to_int16, why_not_on_scale, why_not_sound
from ecotf.audio.recording import open_recording
from ecotf.datasets.manifest import Manifest, make_manifest, write_manifest
from ecotf.errors import ConfigError, DataError, RecordingError
from ecotf.files import atomic_file
from ecotf.parallel.processes import Died, results_of

Log = Callable[[str], None]


class Row(NamedTuple):
    """The result of one recording: ``done``, or why it is no row; ``digest`` is of its samples."""

    recording: str
    status: str
    reason: str
    digest: str


class _Job(NamedTuple):
    recording: str
    path: str
    time_expansion: float | None
    rate: int
    samples: int


@dataclass(frozen=True)
class Packing:
    """The shape of the rows: sample rate in Hz, and seconds; shorter clips get zeros at their end, longer are cut."""

    rate: int = 32000
    seconds: float = 10.0

    @property
    def samples(self) -> int:
        """Samples of a row."""
        return round(self.rate * self.seconds)


def pack_clips(
    manifest: Manifest, output: Path, packing: Packing, workers: int, log: Log, done: Callable[[int, int], None]
) -> int:
    """Pack the recordings of a manifest into ``output``, laid out as PANNs' files (`ecotf.audio.hdf5_rows`).

    Beside it appear its manifest (``clips.csv``) and the ledger (``clips.ledger.csv``: recording, status, reason).
    A killed packing goes on where it was; until it is finished, twice the room is needed.

    Returns
    -------
    How many recordings are no row.

    Raises
    ------
    DataError
        A name, or a sound, on two sides of the split (both are named); nothing to pack; an ``output`` that is there.
    ConfigError
        What was begun there has another rate, length or manifest.
    """
    if output.suffix.lower() not in (".h5", ".hdf5"):
        raise DataError(f"{output}: a file of clips is a .h5 or a .hdf5 file")
    if output.exists():
        raise DataError(f"{output}: is there already; give another --output, or remove it")
    same = _same_names(manifest)
    wanted = [name for name in manifest.recordings if same[name] == name]
    store = _Store(output.with_name(f"{output.name}.partial"), packing, wanted)
    jobs = [
        _Job(name, os.fspath(manifest.path_of(name)), manifest.time_expansion_of(name), packing.rate, packing.samples)
        for name in wanted
        if name not in store.rows
    ]
    if len(jobs) < len(wanted):
        log(f"going on: {len(wanted) - len(jobs)} of {len(wanted)} recordings are packed")
    for row, content in _in_processes(jobs, workers):
        store.add(row, content)
        done(len(store.rows), len(wanted))
    rows = [store.rows[name] for name in wanted]
    sounds = _same_sounds(manifest, rows)
    kept = [row.recording for row in rows if row.status == "done" and sounds[row.recording] == row.recording]
    if not kept:
        raise DataError(
            f"none of {len(rows)} recordings can be packed; the first: {rows[0].recording}: {rows[0].reason}"
        )
    of_row = {name: sounds.get(first, "") for name, first in same.items()}
    packed = _packed_manifest(manifest, of_row, output)
    _write_file(output, packed, kept, store, packing)
    write_manifest(packed, output.with_suffix(".csv"))
    with atomic_file(output.with_suffix(".ledger.csv")) as partial:
        partial.write_bytes(csv_rows([Row._fields[:3], *(row[:3] for row in rows)]))
    shutil.rmtree(store.folder)
    merged = len(manifest.recordings) - len(wanted) + sum(row.status == "done" for row in rows) - len(kept)
    bad = [row for row in rows if row.status != "done"]
    log(f"{output}: {len(kept)} clips of {len(packed.labels)} classes; {merged} copies merged, {len(bad)} left out")
    for row in bad[:5]:
        log(f"left out: {row.recording}: {row.reason}")
    for label in sorted(set(manifest.labels) - set(packed.labels)):
        log(f"class {label!r} has no clip that can be packed")
    return len(bad)


class _Store:
    """What is packed so far: the rows one after the other in a plain file, and a ledger of them."""

    def __init__(self, folder: Path, packing: Packing, wanted: Sequence[str]) -> None:
        self.folder, self.bytes = folder, 2 * packing.samples
        asked = {"rate": packing.rate, "seconds": packing.seconds, "recordings": _digest("\n".join(wanted).encode())}
        folder.mkdir(parents=True, exist_ok=True)
        question = folder / "question.json"
        if not question.exists():
            with atomic_file(question) as partial:
                partial.write_text(json.dumps(asked))
        elif json.loads(question.read_text()) != asked:
            raise ConfigError(f"{folder}: was begun with another rate, length or manifest; remove it to begin anew")
        self._ledger = AppendOnly(folder / "ledger.csv", csv_rows([Row._fields]), quoted=True)
        self.rows: dict[str, Row] = {}
        self.places: dict[str, int] = {}
        for line in self._ledger.rows():
            self._note(Row(*next(csv.reader([line.decode("utf-8", "surrogateescape")]))))
        self._sound = (folder / "rows.int16").open("a+b")
        self._sound.truncate(len(self.places) * self.bytes)  # what the ledger does not know was cut off by a kill

    def _note(self, row: Row) -> None:
        self.rows[row.recording] = row
        if row.status == "done":
            self.places[row.recording] = len(self.places)

    def add(self, row: Row, content: bytes) -> None:
        """Keep the samples, then the line that says that they are there."""
        if row.status == "done":
            self._sound.write(content)
            self._sound.flush()
        self._ledger.append(csv_rows([row]))
        self._note(row)

    def samples(self, recording: str) -> np.ndarray:
        """Read the samples of a row, int16."""
        return np.frombuffer(os.pread(self._sound.fileno(), self.bytes, self.places[recording] * self.bytes), "<i2")


def _pack_one(job: _Job, say: Callable[[str], None]) -> tuple[Row, bytes]:
    """Read one clip in a worker process."""
    try:
        opened = open_recording(job.path, time_expansion=job.time_expansion)
        sound = opened.read(0, job.samples / job.rate, sample_rate=job.rate)[: job.samples]
        reason = why_not_on_scale(sound)
        samples = np.zeros(job.samples, "<i2")
        samples[: len(sound)] = to_int16(sound)
        reason = reason or why_not_sound(samples)
    except RecordingError as error:
        return Row(job.recording, error.status, str(error), ""), b""
    if reason:
        return Row(job.recording, "silent" if "all samples are 0" in reason else "corrupt", reason, ""), b""
    content = samples.tobytes()
    return Row(job.recording, "done", "", _digest(content)), content


def _in_processes(jobs: Sequence[_Job], workers: int) -> Iterator[tuple[Row, bytes]]:
    """Results as they come; a clip at which a process dies is one that failed."""

    def died(job: _Job, end: Died) -> tuple[Row, bytes]:
        return Row(job.recording, "failed", f"reading it ended the process {end.how}", ""), b""

    return results_of(_pack_one, jobs, workers, died)


def _same_names(manifest: Manifest) -> dict[str, str]:
    """Recording to the first of the same name; raises `DataError` for a name on two sides."""
    return _merged(manifest, {name: _row_name(name) for name in manifest.recordings}, "have one name")


def _same_sounds(manifest: Manifest, rows: Sequence[Row]) -> dict[str, str]:
    """Packed recording to the first of the same sound; raises `DataError` for a sound on two sides."""
    return _merged(manifest, {row.recording: row.digest for row in rows if row.status == "done"}, "are one sound")


def _merged(manifest: Manifest, key_of: dict[str, str], what: str) -> dict[str, str]:
    sides = dict(zip(manifest.table["recording"], manifest.table["split"], strict=True))
    first: dict[str, str] = {}
    for name, key in key_of.items():
        other = first.setdefault(key, name)
        if sides[other] != sides[name]:
            raise DataError(
                f"{other!r} ({sides[other] or 'no split'}) and {name!r} ({sides[name] or 'no split'}) {what}, on two "
                "sides of the split; take one of them out of the manifest"
            )
    return {name: first[key] for name, key in key_of.items()}


def _packed_manifest(manifest: Manifest, of_row: dict[str, str], output: Path) -> Manifest:
    """The manifest with rows of the file as its recordings; ``of_row`` is empty for those that are none."""
    table = manifest.table
    row = table["recording"].map(of_row)
    table = table.assign(recording=[f"{output.name}#{_row_name(name)}" if name else "" for name in row], source=row)
    first_group = manifest.table.drop_duplicates("recording").set_index("recording")["group"]
    table = table[row.to_numpy() != ""].assign(group=lambda rows: rows["source"].map(first_group))
    table = table.drop(columns=["source", "time_expansion"], errors="ignore").drop_duplicates()
    return make_manifest(table.reset_index(drop=True), output.parent, str(output))


def _write_file(output: Path, packed: Manifest, kept: Sequence[str], store: _Store, packing: Packing) -> None:
    import h5py

    names = [_row_name(name) for name in kept]
    place = {f"{output.name}#{name}": row for row, name in enumerate(names)}
    code = {label: number for number, label in enumerate(packed.labels)}
    target = np.zeros((len(names), len(code)), bool)
    for recording, label in packed.annotations[["recording", "label"]].itertuples(index=False, name=None):
        target[place[recording], code[label]] = True
    with atomic_file(output) as partial, h5py.File(partial, "w") as file:
        file["audio_name"] = np.array([name.encode() for name in names], f"S{max(20, *map(_bytes, names))}")
        waveform = file.create_dataset("waveform", (len(names), packing.samples), "<i2")
        for row, name in enumerate(kept):
            waveform[row] = store.samples(name)
        file["target"] = target
        file["class_names"] = np.array([label.encode() for label in code] or [b""], f"S{max(1, *map(_bytes, code), 1)}")
        file.attrs["sample_rate"] = np.int32(packing.rate)


def _row_name(recording: str) -> str:
    return PurePosixPath(recording.replace("\\", "/")).name.rpartition("#")[2]


def _bytes(text: str) -> int:
    return len(text.encode())


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
