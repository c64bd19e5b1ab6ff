"""Examples of what is searched for, as embeddings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.audio.recording import Recording, open_recording
from ecotf.embeddings.store import Embeddings
from ecotf.errors import ConfigError, DataError, RecordingError
from ecotf.inference.embed_places import places_of
from ecotf.inference.question import asked_in
from ecotf.models.embedders import Embedder
from ecotf.models.embedders.base import open_again, open_embedder


@dataclass(frozen=True)
class Example:
    """A clip, or a part of a recording.

    Attributes
    ----------
    start_s, end_s
        Real seconds; NaN is the end of the recording.
    """

    path: Path
    start_s: float = 0.0
    end_s: float = math.nan


def embedder_of(
    embeddings: Embeddings, embedder: str | Path | None = None, model_file: str | Path | None = None
) -> Embedder:
    """Open the embedder that a folder's rows are of.

    Parameters
    ----------
    embedder, model_file
        Where it is now, as `ecotf.open_embedder` takes it; by default where it was.

    Raises
    ------
    ConfigError
        It is not there any more, or is another one.
    """
    import ecotf.tasks.run_embedder  # noqa: F401 - the embedder may be a run

    if model_file is not None and embedder is None:
        raise ConfigError("--model-file goes with --embedder, the description of that model")
    if embedder is not None:
        found = open_embedder(embedder, model_file)
    else:
        try:
            found = open_again(embeddings.about.model, str(embeddings.folder))
        except ConfigError as error:
            raise ConfigError(f"{error} with --embedder (and --model-file)") from None
    embeddings.require(found)
    return found


def embed_examples(embeddings: Embeddings, embedder: Embedder, examples: Sequence[Example]) -> np.ndarray:
    """Embed examples as the folder's recordings were: float32 ``[examples, numbers]``.

    An example that is shorter than a window is heard with what is around it, as much on both sides; silence fills up
    where the recording is shorter. One that is longer is the mean of the windows in it.

    Raises
    ------
    DataError
        An example cannot be read, is silent, or ends before it begins.
    """
    asked = asked_in(embeddings.folder)
    return np.stack([_embed(embedder, one, asked) for one in examples])


def _embed(embedder: Embedder, example: Example, asked: dict[str, Any]) -> np.ndarray:
    try:
        return _heard(embedder, example, asked)
    except RecordingError as error:
        raise DataError(f"{example.path}: {error}") from None


def _heard(embedder: Embedder, example: Example, asked: dict[str, Any]) -> np.ndarray:
    recording = open_recording(example.path, time_expansion=asked.get("time expansion"))
    end_s = recording.duration_s if math.isnan(example.end_s) else example.end_s
    if not 0 <= example.start_s < end_s or example.start_s >= recording.duration_s:
        raise DataError(
            f"{example.path}: from {example.start_s:g} s to {end_s:g} s of {recording.duration_s:g} s; allowed: a "
            "start in the recording, and an end after it"
        )
    rate, samples = embedder.sample_rate, embedder.samples
    window_s, hop_s = samples / rate, embedder.hop_samples / rate
    starts, _ = places_of([(example.start_s, end_s, "")], recording.duration_s, window_s, hop_s)
    windows = [_window(recording, start_s, samples, rate, asked.get("channel", "mix")) for start_s in starts]
    heard = np.stack(windows)
    if heard.min() == heard.max():
        raise RecordingError(f"silent from {example.start_s:g} s to {end_s:g} s", "silent")
    return embedder.embed(heard).mean(axis=0)


def _window(recording: Recording, start_s: float, samples: int, rate: int, channel: Any) -> np.ndarray:
    sound = recording.read(start_s, start_s + samples / rate, channel=channel, sample_rate=rate)[:samples]
    return np.pad(sound, (0, samples - len(sound)))
