"""False alarms of a network in the recordings that it learns from: places to learn from again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ecotf.datasets.pauses import usual_lengths
from ecotf.detection.false_alarms import far_from_all
from ecotf.detection.finders import find_events
from ecotf.errors import RecordingError
from ecotf.models.tagger import ClipModel
from ecotf.pipelines.event_draws import NO_PLACES, Places
from ecotf.pipelines.event_rows import EventRows, Kind
from ecotf.pipelines.frame_truth import FrameTruth
from ecotf.wording import counted

if TYPE_CHECKING:
    import pandas as pd

    from ecotf.models.image_network import ClipNetwork
    from ecotf.tasks.clips.fit_events import EventMiningConfig
    from ecotf.tasks.clips.stages import Material


@dataclass(frozen=True)
class Mined:
    """The false alarms of a network.

    Attributes
    ----------
    places
        Where; each class as often as any other.
    notes
        How many, for people.
    """

    places: Places
    notes: tuple[str, ...] = ()


NONE_MINED = Mined(NO_PLACES)


def mine_events(network: ClipNetwork, config: EventMiningConfig, material: Material, truth: FrameTruth) -> Mined:
    """Hear the recordings as they are classified, and keep what is surely false.

    Only what somebody has listened to counts: recordings that are fully annotated, and stretches of none of the
    classes. What is found is the same for the same weights, so a training that was killed mines the same again.
    """
    from scipy.special import expit

    from ecotf.tasks.clips.scored import score_recording

    plan, rows, data = material.data.plan, truth.rows, material.data
    model = ClipModel(
        network, material.classes, plan.front_end, plan.level, plan.sample_rate, plan.clips.seconds, "sigmoid"
    )
    finder, lengths = plan.inference.events, usual_lengths(data.manifest.table, material.classes)
    numbers = {name: finder.usual(lengths.get(name)) for name in material.classes} if finder.fits else None
    found: list[tuple[int, float, float, int]] = []
    listened = [i for i in range(len(rows.recordings)) if rows.full[i] or (rows.kind[rows.of(i)] == Kind.NOTHING).any()]
    unread = 0
    for recording in listened:
        name = rows.recordings[recording]
        try:
            scores, _ = score_recording(model, plan, data.manifest.path_of(name), data.manifest.time_expansion_of(name))
        except RecordingError:
            unread += 1
            continue
        if scores.frames is None or not len(scores.frame_times):
            continue
        probabilities = expit(scores.frames.astype(np.float64))
        events = find_events(
            probabilities, scores.frame_times, scores.frame_s, model.classes, model.band_hz, finder, numbers=numbers
        )
        found += false_events(events, rows, truth, recording, config, material.classes)
    classes = np.array([code for *_, code in found], int)
    counts = np.bincount(classes, minlength=len(material.classes))
    per_class = ", ".join(f"{n} {name}" for name, n in zip(material.classes, counts, strict=True) if n)
    heard = counted(len(listened) - unread, "training recording")
    note = f"{counted(len(found), 'false alarm')} above {config.score:g} in {heard}"
    if not found:
        return Mined(NO_PLACES, (note,))
    recordings, starts, ends = (np.array([row[i] for row in found]) for i in range(3))
    return Mined(Places(recordings.astype(int), starts, ends, 1.0 / counts[classes]), (f"{note}: {per_class}",))


def false_events(
    events: pd.DataFrame,
    rows: EventRows,
    truth: FrameTruth,
    recording: int,
    config: EventMiningConfig,
    classes: Sequence[str],
) -> list[tuple[int, float, float, int]]:
    """Return ``recording, start_s, end_s, code`` of a recording's surely false events, the highest of each class."""
    own = rows.of(recording)
    code_of = {name: code for code, name in enumerate(classes)}
    found: list[tuple[int, float, float, int]] = []
    for label, some in events[events["score"] > config.score].groupby("label", sort=True):
        code = code_of[str(label)]
        of_class = (rows.code[own] == code) & (rows.kind[own] == Kind.EVENT)
        some = some.sort_values("score", ascending=False, kind="stable")
        middle = ((some["start_s"] + some["end_s"]) / 2).to_numpy(float)
        far = far_from_all(middle, rows.start_s[own][of_class], rows.end_s[own][of_class], config.distance_s)
        spans = some.loc[far, ["start_s", "end_s"]].to_numpy(float)
        sure = [span for span in spans if truth.is_nothing(recording, float(span.mean()), float(span.mean()), code)]
        found += [(recording, float(start), float(end), code) for start, end in sure[: config.most]]
    return found
