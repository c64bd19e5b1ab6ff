"""Detections as a prediction set of the Acoustic Objects Exchange Format (AOEF) that soundevent reads."""

from __future__ import annotations

import json
import math
import os
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from ecotf.audio.recording import open_recording
from ecotf.errors import RecordingError
from ecotf.inference.formats import Call

VERSION = "1.1.0"
_KEY = "species"
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "ecotf")


class Heard(NamedTuple):
    """A recording and what was found in it.

    Attributes
    ----------
    recording
        Its path.
    sample_rate
        Real rate in Hz.
    began
        ISO 8601; where it is empty, the times of the calls tell.
    duration_s
        Used where the recording can no longer be opened; None is the end of its last call.
    site
        Its name, latitude and longitude.
    """

    recording: str
    sample_rate: float
    calls: list[Call]
    began: str = ""
    duration_s: float | None = None
    site: tuple[str, float, float] | None = None


def aoef(calls: list[Call], recording: str, sample_rate: float) -> str:
    """Write the detections of one recording as an AOEF prediction set.

    The score of a prediction is that there is a call at all (that of the label, where it is not known), the score of
    its tag that of the label. A call of unknown band becomes a time interval, and a channel a feature of its sound
    event. Of a recording that can no longer be opened the length is that of its last call.
    """
    return prediction_set([Heard(recording, sample_rate, calls)])


def prediction_set(heard: Sequence[Heard]) -> str:
    """Write the detections of several recordings as one AOEF prediction set, as :func:`aoef` does."""
    named = dict.fromkeys((_KEY, call.label) for one in heard for call in one.calls)
    named |= dict.fromkeys(("site", one.site[0]) for one in heard if one.site is not None)
    tags = {tag: number for number, tag in enumerate(named)}
    paths = [os.path.abspath(one.recording) for one in heard]
    data: dict[str, Any] = {
        "uuid": str(_name(*paths, "set")),
        "collection_type": "prediction_set",
        "tags": [{"id": number, "key": key, "value": value} for (key, value), number in tags.items()],
    }
    kinds = ("recordings", "clips", "sound_events", "sound_event_predictions", "clip_predictions")
    data |= {kind: [] for kind in kinds}
    for one, path in zip(heard, paths, strict=True):
        for kind, objects in zip(kinds, _objects(one, path, tags), strict=True):
            data[kind] += objects
    content = {"version": VERSION, "created_on": datetime.now(UTC).isoformat(timespec="seconds"), "data": data}
    # Names that are not UTF-8 are escaped, and come back as they were.
    return json.dumps(content, indent=1) + "\n"


def _objects(one: Heard, path: str, tags: dict[tuple[str, str], int]) -> tuple[list[dict[str, Any]], ...]:
    calls, sample_rate = one.calls, one.sample_rate
    own = str(_name(path))
    length, channels, expansion = _facts(path, calls, one.duration_s)
    recording = {"uuid": own, "path": path, "duration": length, "channels": channels, "samplerate": round(sample_rate)}
    if expansion != 1:
        recording["time_expansion"] = expansion
    recording |= _moment(datetime.fromisoformat(one.began)) if one.began else _begun(calls)
    if one.site is not None:
        name, latitude, longitude = one.site
        recording |= {"latitude": latitude, "longitude": longitude, "tags": [tags["site", name]]}
    events = [str(_name(path, number)) for number in range(len(calls))]
    predictions = [str(_name(path, number, "prediction")) for number in range(len(calls))]
    return (
        [recording],
        [{"uuid": str(_name(path, "clip")), "recording": own, "start_time": 0.0, "end_time": length}],
        [
            {"uuid": event, "recording": own, "geometry": _geometry(call, sample_rate)}
            | ({} if call.channel is None else {"features": {"channel": call.channel}})
            for event, call in zip(events, calls, strict=True)
        ],
        [
            {
                "uuid": prediction, "sound_event": event, "score": _sure(call),
                "tags": [[tags[_KEY, call.label], call.score]],
            }
            for prediction, event, call in zip(predictions, events, calls, strict=True)
        ],
        [{"uuid": str(_name(path, "found")), "clip": str(_name(path, "clip")), "sound_events": predictions}],
    )  # fmt: skip


def _name(*parts: object) -> uuid.UUID:
    text = "\n".join(map(str, parts)).encode("utf-8", "surrogateescape")
    return uuid.uuid5(_SPACE, text.decode("latin-1"))


def _facts(path: str, calls: list[Call], known_s: float | None) -> tuple[float, int, float]:
    """Find the real length, channels and time expansion of a recording, as far as it or its calls show them."""
    try:
        opened = open_recording(path)
        return opened.duration_s, opened.n_channels, opened.time_expansion
    except (RecordingError, OSError):
        last = max((call.end_s for call in calls), default=0.0)
        return known_s or last, max((call.channel or 1 for call in calls), default=1), 1.0


def _sure(call: Call) -> float:
    return call.detection_score if math.isfinite(call.detection_score) else call.score


def _begun(calls: list[Call]) -> dict[str, str]:
    """Find the time at which the recording began, from the times of its calls."""
    for call in calls:
        if call.time:
            began = datetime.fromisoformat(call.time) - timedelta(seconds=call.start_s)
            return _moment(began)
    return {}


def _moment(began: datetime) -> dict[str, str]:
    return {"date": began.date().isoformat(), "time": began.timetz().isoformat()}


def _geometry(call: Call, sample_rate: float) -> dict[str, Any]:
    if not (math.isfinite(call.low_hz) or math.isfinite(call.high_hz)):
        return {"type": "TimeInterval", "coordinates": [call.start_s, call.end_s]}
    low = call.low_hz if math.isfinite(call.low_hz) else 0.0
    high = call.high_hz if math.isfinite(call.high_hz) else sample_rate / 2
    return {"type": "BoundingBox", "coordinates": [call.start_s, low, call.end_s, high]}
