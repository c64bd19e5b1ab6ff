"""From a session to a manifest: every decided hit as a clip of its own, for ``ecotf train``."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from ecotf.audio.recording import open_recording
from ecotf.datasets.manifest import make_manifest, write_manifest
from ecotf.errors import ConfigError, DataError, EcotfError
from ecotf.files import atomic_file, atomic_folder
from ecotf.inference.question import asked_in
from ecotf.searching.session import Session


@dataclass(frozen=True)
class Exported:
    """What was exported.

    Attributes
    ----------
    lines
        What a user must know: of recordings that have vanished.
    """

    accepted: int
    rejected: int
    clips: Path
    lines: tuple[str, ...]


def export_manifest(session: Session, path: Path, overwrite: bool = False) -> Exported:
    """Write a manifest of all decided hits, and the clips beside it.

    Accepted hits have the session's label; rejected ones are recordings without an annotation. Clips are cut out, one a
    hit, since nothing is known of the sound around them, which a training would take for sound without the label. The
    clips of one recording are a group.

    Parameters
    ----------
    path
        A ``.csv`` or ``.parquet``; clips are written into the folder ``<name>_clips`` beside it.
    overwrite
        Replace what is there.

    Raises
    ------
    ConfigError
        Something is there already, or nothing was accepted.
    DataError
        The recordings of all accepted hits have vanished.
    """
    import pandas as pd

    clips = path.with_name(f"{path.stem}_clips")
    for there in (path, clips):
        if there.exists() and not overwrite:
            raise ConfigError(f"{there}: is there already; give another --output, or --overwrite")
    if not any(session.answers.values()):
        raise ConfigError(f"{session.folder}: no hit was accepted yet; ecotf search show is the page to do it")
    rows, gone = [], dict[str, int]()
    with atomic_folder(clips) as partial:
        for row, accepted in sorted(session.answers.items()):
            place = session.embeddings.table.iloc[row]
            name = f"{row:07d}.wav"
            try:
                began = _cut(
                    session, str(place["recording"]), float(place["start_s"]), float(place["end_s"]), partial / name
                )
            except EcotfError:
                gone[str(place["recording"])] = gone.get(str(place["recording"]), 0) + 1
                continue
            rows.append(
                (f"{clips.name}/{name}", session.facts.label if accepted else "", str(place["recording"]), began)
            )
        if not any(label for _, label, _, _ in rows):
            raise DataError(f"{session.folder}: the recordings of all accepted hits have vanished or are damaged")
    table = pd.DataFrame(rows, columns=["recording", "label", "group", "cut_from_s"])
    table = table.assign(start_s=0.0, end_s=np.nan)
    write_manifest(make_manifest(table, path.parent, str(path)), path)
    lines = []
    if gone:
        lines.append(
            f"left out: {sum(gone.values())} hits of recordings that cannot be read any more, as {next(iter(gone))}"
        )
    accepted_rows = sum(bool(label) for _, label, _, _ in rows)
    return Exported(accepted_rows, len(rows) - accepted_rows, clips, tuple(lines))


def training_command(session: Session, manifest: Path) -> str:
    """Return the command that trains a head on the same embedder; its description is written beside the manifest."""
    about = session.embeddings.about
    settings = [f"embedder.model={about.model.get('model', 'MODEL')}"]
    description = manifest.with_name(f"{manifest.stem}_embedder.yaml")
    if about.model:
        with atomic_file(description) as partial:
            partial.write_text(yaml.safe_dump(about.model, sort_keys=False, allow_unicode=True), encoding="utf-8")
        settings.append(f"embedder.description={description}")
    settings.append(f"inference.segment_s={about.samples / about.sample_rate:g}")
    return shlex.join(["ecotf", "train", "--recipe", "tagging/transfer", "--data", str(manifest), *settings])


def _cut(session: Session, recording: str, start_s: float, end_s: float, path: Path) -> float:
    """Write a part of a recording as a file of its own."""
    import soundfile

    from ecotf.audio.odd_samples import to_int16

    asked = asked_in(session.embeddings.folder)
    source = session.embeddings.paths.get(recording)
    if source is None:
        raise DataError(f"{recording}: is not in the folder of embeddings")
    opened = open_recording(source, time_expansion=asked.get("time expansion"), salvage=bool(asked.get("salvage")))
    sound = opened.read(start_s, end_s, channel=asked.get("channel", "mix"))
    if not len(sound):
        raise DataError(f"{recording}: has no sound from {start_s:g} s on")
    soundfile.write(path, to_int16(sound), opened.sample_rate, subtype="PCM_16")
    return start_s
