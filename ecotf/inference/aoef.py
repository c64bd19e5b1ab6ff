"""Detections as a prediction set of the Acoustic Objects Exchange Format (AOEF) that soundevent reads."""

from __future__ import annotations

import json
import math
import os
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from ecotf.audio.recording import open_recording
from ecotf.errors import RecordingError
from ecotf.inference.formats import Call

VERSION = "1.1.0"
_KEY = "species"
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "ecotf")


def aoef(calls: list[Call], recording: str, sample_rate: float) -> str:
    """Write the detections of one recording as an AOEF prediction set.

    The score of a prediction is that there is a call at all (that of the label, where it is not known), the score of
    its tag that of the label. A call of unknown band becomes a time interval, and a channel a feature of its sound
    event. Of a recording that can no longer be opened the length is that of its last call.
    """
    path = os.path.abspath(recording)
    own = _name(path)
    length, channels, expansion = _facts(path, calls)
    tags = {label: number for number, label in enumerate(dict.fromkeys(call.label for call in calls))}
    events = [str(_name(path, number)) for number in range(len(calls))]
    predictions = [str(_name(path, number, "prediction")) for number in range(len(calls))]
    data = {
        "uuid": str(_name(path, "set")),
        "collection_type": "prediction_set",
        "tags": [{"id": number, "key": _KEY, "value": label} for label, number in tags.items()],
        "recordings": [
            {"uuid": str(own), "path": path, "duration": length, "channels": channels, "samplerate": round(sample_rate)}
            | ({"time_expansion": expansion} if expansion != 1 else {})
            | _begun(calls)
        ],
        "clips": [{"uuid": str(_name(path, "clip")), "recording": str(own), "start_time": 0.0, "end_time": length}],
        "sound_events": [
            {"uuid": event, "recording": str(own), "geometry": _geometry(call, sample_rate)}
            | ({} if call.channel is None else {"features": {"channel": call.channel}})
            for event, call in zip(events, calls, strict=True)
        ],
        "sound_event_predictions": [
            {"uuid": prediction, "sound_event": event, "score": _sure(call), "tags": [[tags[call.label], call.score]]}
            for prediction, event, call in zip(predictions, events, calls, strict=True)
        ],
        "clip_predictions": [
            {"uuid": str(_name(path, "found")), "clip": str(_name(path, "clip")), "sound_events": predictions}
        ],
    }
    content = {"version": VERSION, "created_on": datetime.now(UTC).isoformat(timespec="seconds"), "data": data}
    # Names that are not UTF-8 are escaped, and come back as they were.
    return json.dumps(content, indent=1) + "\n"


def _name(*parts: object) -> uuid.UUID:
    text = "\n".join(map(str, parts)).encode("utf-8", "surrogateescape")
    return uuid.uuid5(_SPACE, text.decode("latin-1"))


def _facts(path: str, calls: list[Call]) -> tuple[float, int, float]:
    """Find the real length, channels and time expansion of a recording, as far as it or its calls show them."""
    try:
        opened = open_recording(path)
        return opened.duration_s, opened.n_channels, opened.time_expansion
    except (RecordingError, OSError):
        last = max((call.end_s for call in calls), default=0.0)
        return last, max((call.channel or 1 for call in calls), default=1), 1.0


def _sure(call: Call) -> float:
    return call.detection_score if math.isfinite(call.detection_score) else call.score


def _begun(calls: list[Call]) -> dict[str, str]:
    """Find the time at which the recording began, from the times of its calls."""
    for call in calls:
        if call.time:
            began = datetime.fromisoformat(call.time) - timedelta(seconds=call.start_s)
            return {"date": began.date().isoformat(), "time": began.timetz().isoformat()}
    return {}


def _geometry(call: Call, sample_rate: float) -> dict[str, Any]:
    if not (math.isfinite(call.low_hz) or math.isfinite(call.high_hz)):
        return {"type": "TimeInterval", "coordinates": [call.start_s, call.end_s]}
    low = call.low_hz if math.isfinite(call.low_hz) else 0.0
    high = call.high_hz if math.isfinite(call.high_hz) else sample_rate / 2
    return {"type": "BoundingBox", "coordinates": [call.start_s, low, call.end_s, high]}
