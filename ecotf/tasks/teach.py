"""Ask a teacher about the recordings of a manifest, for the stage ``distil`` to learn from."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from ecotf.audio.recording import Recording, open_recording
from ecotf.datasets.manifest import Manifest
from ecotf.embeddings.cache import embed_windows
from ecotf.embeddings.windows import windows_of
from ecotf.errors import ConfigError, DataError, RecordingError
from ecotf.files import lock, remove_partials, unlock
from ecotf.models.embedders.base import Embedder, find_config
from ecotf.pipelines.teacher_file import Predictions, What, joined, read_with_facts, write_predictions
from ecotf.runs.checksum import run_checksum
from ecotf.runs.splits import fingerprint
from ecotf.tasks.base import Run, StreamOptions
from ecotf.tasks.loading import load_runs
from ecotf.tasks.run_embedder import RunEmbedderConfig, build_embedder
from ecotf.training.run_store import Log

_PART = 32  # recordings; what is lost at most by a kill
_BLOCK_S = 10
_BATCH = 16  # windows
Progress = Callable[[int, int], None]


class Answer(NamedTuple):
    """A teacher's predictions for one recording: ``start_s``, ``end_s`` ``[n]`` and ``values`` ``[n, numbers]``."""

    start_s: np.ndarray
    end_s: np.ndarray
    values: np.ndarray


class Teacher(Protocol):
    """A model that predicts something for the segments of a recording.

    Attributes
    ----------
    what
        ``scores`` or ``embeddings``.
    title, digest
        One line for people, and what identifies its weights.
    classes
        Of scores; empty for embeddings.
    """

    what: What
    title: str
    digest: str
    classes: tuple[str, ...]

    def answer(self, recording: Recording) -> Answer:
        """Predict the segments of a recording; raises `RecordingError`."""


class RunTeacher:
    """The scores of a run in each of its segments; a run that has none teaches as an embedder."""

    what: What = "scores"

    def __init__(self, run: Run, segment_s: float) -> None:
        self.run, self.segment_s = run, segment_s
        self.title, self.classes = run.title, tuple(run.classes)
        self.digest = "+".join(run_checksum(path) for path in run.paths)

    def answer(self, recording: Recording) -> Answer:
        """Predict the segments of a recording."""
        rate = self.run.stream_rate(recording.sample_rate)
        stream = self.run.open_stream(rate, StreamOptions(segments=True))
        for block in recording.blocks(_BLOCK_S * rate, channel="mix", sample_rate=rate):
            stream.push(block)
        stream.finish()
        values = stream.take_segments()
        if not len(values):
            raise RecordingError(f"shorter than {self.run.shortest_s:g} s, so it has no segment", status="short")
        starts = np.arange(len(values)) * self.segment_s
        return Answer(starts, _ends(starts, self.segment_s, recording), values)


class EmbedderTeacher:
    """The scores or the embeddings of an embedder in each of its windows.

    Parameters
    ----------
    cache
        A folder where embeddings are kept, as `ecotf.embeddings.cache.embed_clips` keeps them.

    Raises
    ------
    ConfigError
        Scores are asked for of an embedder that has none with a name.
    """

    def __init__(self, embedder: Embedder, what: What, cache: Path | None = None) -> None:
        if what == "scores" and not embedder.classes:
            raise ConfigError(f"{embedder.title}: its scores have no names; teach its embeddings: --what embeddings")
        self.embedder, self.what, self.cache = embedder, what, cache
        self.title, self.digest = embedder.title, embedder.digest
        self.classes = tuple(embedder.classes) if what == "scores" else ()

    def answer(self, recording: Recording) -> Answer:
        """Predict the windows of a recording."""
        model = self.embedder
        blocks = recording.blocks(_BLOCK_S * model.sample_rate, channel="mix", sample_rate=model.sample_rate)
        windows = windows_of(blocks, model.samples, model.hop_samples)
        if self.what == "embeddings":
            values = embed_windows(model, windows, self.cache)
        else:
            values = np.concatenate([model.scores(np.stack(some)) for some in batched(windows, _BATCH)])
        starts = np.arange(len(values)) * model.hop_samples / model.sample_rate
        return Answer(starts, _ends(starts, model.samples / model.sample_rate, recording), values)


def open_teacher(model: str, what: What, model_file: Path | None = None, cache: Path | None = None) -> Teacher:
    """Open what teaches: a run, or an embedder.

    Parameters
    ----------
    model, model_file
        As for `ecotf.models.embedders.open_embedder`.
    cache
        A folder where embeddings are kept.

    Raises
    ------
    ConfigError
        Nothing of that kind is there, or it does not give ``what``.
    """
    config = find_config(model, model_file)
    if what == "scores" and isinstance(config, RunEmbedderConfig) and config.model is not None:
        run = load_runs([config.model])
        if run.segment_s is not None:
            return RunTeacher(run, run.segment_s)
    return EmbedderTeacher(build_embedder(config), what, cache)


@dataclass(frozen=True)
class Taught:
    """The outcome of `teach`.

    Attributes
    ----------
    predictions
        As they were written.
    left_out
        Recording to why it could not be used.
    """

    predictions: Predictions
    left_out: dict[str, str]


def teach(
    teacher: Teacher, manifest: Manifest, output: Path, log: Log = print, progress: Progress | None = None
) -> Taught:
    """Write a teacher's predictions for all recordings of a manifest into one file.

    The file is whole or absent. Until it is, parts lie in ``<output>.parts``, so that the same call continues where a
    killed one was; recordings that have changed meanwhile are asked about again.

    Parameters
    ----------
    output
        A new ``.npz`` file.

    Raises
    ------
    ConfigError
        ``output`` is there, is no ``.npz``, or holds parts of another teacher.
    DataError
        No recording can be used.

    Examples
    --------
    >>> teach(open_teacher(RUN, "scores"), manifest, Path("teacher.npz"))  # doctest: +SKIP
    """
    if output.suffix != ".npz":
        raise ConfigError(f"{output}: predictions are written as .npz; give a name that ends so")
    if output.exists():
        raise ConfigError(f"{output}: is there already; choose another name, or remove it")
    if not manifest.recordings:
        raise DataError("the manifest names no recording")
    folder = output.with_name(f"{output.name}.parts")
    folder.mkdir(parents=True, exist_ok=True)
    held = lock(folder / ".lock", f"{folder}: another process writes there (process {{pid}}); wait for it, or stop it")
    try:
        remove_partials(folder)
        parts: list[Predictions] = []
        left_out: dict[str, str] = {}
        for first in range(0, len(manifest.recordings), _PART):
            names = manifest.recordings[first : first + _PART]
            part, lost = _part(teacher, manifest, names, folder / f"{first // _PART:06d}.npz", log)
            parts += [part] if part.recordings else []
            left_out |= lost
            if progress is not None:
                progress(first + len(names), len(manifest.recordings))
        if not parts:
            name, reason = next(iter(left_out.items()))
            raise DataError(f"none of the {len(left_out)} recordings can be used; the first, {name}: {reason}")
        predictions = joined(parts)
        write_predictions(output, predictions)
        shutil.rmtree(folder)
    finally:
        unlock(held)
    return Taught(predictions, left_out)


def batched(windows: Iterable[np.ndarray], n: int) -> Iterator[list[np.ndarray]]:
    """Return the windows in lists of ``n``; the last may be shorter."""
    left = iter(windows)
    while some := list(islice(left, n)):
        yield some


def _part(
    teacher: Teacher, manifest: Manifest, names: list[str], path: Path, log: Log
) -> tuple[Predictions, dict[str, str]]:
    """Return the predictions for some recordings, those that were kept where nothing has changed."""
    if path.exists():
        part, facts = read_with_facts(path)
        if (part.digest, part.what) != (teacher.digest, teacher.what):
            raise ConfigError(
                f"{path.parent}: holds predictions of another teacher, {part.what} of {part.title}; choose another "
                "name for the output, or remove that folder"
            )
        if facts["asked"] == names and all(_digest(manifest, n) == d for n, d in facts["digests"].items()):
            return part, facts["left_out"]
    answers: dict[str, Answer] = {}
    left_out: dict[str, str] = {}
    digests = {name: _digest(manifest, name) for name in names}
    for name in names:
        try:
            opened = open_recording(manifest.path_of(name), time_expansion=manifest.time_expansion_of(name))
            answer = teacher.answer(opened)
            if not np.isfinite(answer.values).all():
                raise RecordingError("the teacher's answer has NaN or infinite numbers")
            answers[name] = answer
        except RecordingError as error:
            left_out[name] = str(error)
            log(f"left out: {name}: {error}")
    part = _predictions(teacher, answers, digests)
    write_predictions(path, part, asked=names, digests=digests, left_out=left_out)
    return part, left_out


def _predictions(teacher: Teacher, answers: dict[str, Answer], digests: dict[str, str]) -> Predictions:
    nothing = Answer(np.empty(0), np.empty(0), np.empty((0, len(teacher.classes) or 1)))
    given = list(answers.values())
    start_s, end_s, values = (np.concatenate(column) for column in zip(*(given or [nothing]), strict=True))
    return Predictions(
        teacher.what, teacher.title, teacher.digest, teacher.classes, list(answers), [digests[n] for n in answers],
        np.repeat(np.arange(len(given)), [len(answer.start_s) for answer in given]), start_s, end_s,
        np.asarray(values, np.float32),
    )  # fmt: skip


def _digest(manifest: Manifest, name: str) -> str:
    """Return what identifies the content of a recording's file; empty where it cannot be read."""
    try:
        return fingerprint(manifest.path_of(name))[1]
    except OSError:
        return ""


def _ends(starts: np.ndarray, seconds: float, recording: Recording) -> np.ndarray:
    """Ends of segments; those of the last are where the recording ends."""
    return np.minimum(starts + seconds, np.maximum(recording.duration_s, starts + 1e-3))


def describe(taught: Taught) -> str:
    """Say in one line what was written."""
    kept = taught.predictions
    numbers = f"scores of {len(kept.classes)} classes" if kept.what == "scores" else f"{kept.values.shape[1]} numbers"
    return f"{len(kept.recording)} segments of {len(kept.recordings)} recordings, {numbers} each, of {kept.title}"
