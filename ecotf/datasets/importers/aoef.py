"""AOEF, the JSON of soundevent: annotations and predictions as one list each of tags, recordings, clips and events."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecotf.datasets.importers.sources import AudioFolder, annotation_files, joined, read_json
from ecotf.datasets.manifest import Manifest
from ecotf.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

LABEL_KEYS = ("species", "label", "class", "scientific_name", "dwc:scientificName", "event")
# What a collection calls its events, its clips, and the events of a clip's entry.
_ANNOTATED = ("sound_event_annotations", "clip_annotations")
_PREDICTED = ("sound_event_predictions", "clip_predictions")


def import_aoef(
    path: str | Path, audio_dir: str | Path | None = None, *, label_key: str | None = None, label: str | None = None
) -> Manifest:
    """Read annotation sets, annotation projects, evaluation sets and prediction sets of soundevent.

    Parameters
    ----------
    path
        A ``.json`` file or a folder of them.
    audio_dir
        Folder of the recordings; by default that of the files.
    label_key
        Key of the tags that name the events; by default the only key there is, or the only one of :data:`LABEL_KEYS`.
    label
        Name for events without such a tag.

    Raises
    ------
    DataError
        Not AOEF, a reference to something that is not there, an event without a label, or several keys that could name
        events.

    Notes
    -----
    An event with two names is two annotations. Of other shapes than boxes and intervals the box around them counts. A
    clip without events is a recording without annotations. Of predictions, the score of a tag becomes ``score``, that
    of the event ``detection_score``. Names of whole clips are not read.
    """
    import pandas as pd

    files = annotation_files(path, (".json",))
    audio = AudioFolder(audio_dir if audio_dir is not None else files[0].parent if Path(path).is_file() else path)
    tables = []
    for file in files:
        collection = _Collection(file, read_json(file, "AOEF"), label_key, label)
        rows = [{**row, "recording": audio.find(row["recording"])} for row in collection.rows()]
        if rows:
            tables.append((file, _typed(pd.DataFrame(rows))))
    if not tables:
        raise DataError(f"{path}: holds neither events nor clips")
    return joined(tables, audio.folder, path, 1)


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    return table.astype({"channel": "Int64"}) if "channel" in table else table


class _Collection:
    """One file: its things by their numbers."""

    def __init__(self, file: Path, content: Any, label_key: str | None, label: str | None) -> None:
        self.file, self.label = file, label
        data = content.get("data") if isinstance(content, dict) else None
        if not isinstance(data, dict) or "collection_type" not in data:
            raise DataError(f"{file}: not AOEF; soundevent writes an object with version and data.collection_type")
        self.data = data
        self.events, self.clips = _PREDICTED if "prediction" in str(data["collection_type"]) else _ANNOTATED
        if data["collection_type"] == "model_run":
            self.events, self.clips = _PREDICTED
        if not data.get(self.events) and not data.get(self.clips):
            raise DataError(f"{file}: a {data['collection_type']} without {self.events}; nothing to read")
        self.tags = {tag.get("id"): tag for tag in self._list("tags")}
        self.recordings = self._by_uuid("recordings")
        self.sounds = self._by_uuid("sound_events")
        self.key = label_key or self._only_key()

    def rows(self) -> Iterable[dict[str, Any]]:
        """One row for each name of each event, and one for each recording of a clip without events."""
        heard = set()
        for number, entry in enumerate(self._list(self.events), start=1):
            where = f"{self.file}: {self.events} {number}"
            sound = self._of(self.sounds, entry.get("sound_event"), f"{where}: sound_event")
            recording = self._of(self.recordings, sound.get("recording"), f"{where}: recording")
            heard.add(recording.get("uuid"))
            row = {**self._facts(recording, where), **_box(sound, where)}
            channel = (sound.get("features") or {}).get("channel")
            if channel is not None:
                row["channel"] = int(channel)
            if "score" in entry:
                row["detection_score"] = entry["score"]
            row |= _time(recording, row["start_s"])
            for name, score in self._names(entry, where):
                yield {**row, "label": name} | ({} if score is None else {"score": score})
        clips = self._by_uuid("clips")
        for number, entry in enumerate(self._list(self.clips), start=1):
            where = f"{self.file}: {self.clips} {number}"
            clip = self._of(clips, entry.get("clip"), f"{where}: clip")
            recording = self._of(self.recordings, clip.get("recording"), f"{where}: recording")
            if recording.get("uuid") not in heard:
                heard.add(recording.get("uuid"))
                yield {**self._facts(recording, where), "start_s": 0.0, "end_s": recording.get("duration"), "label": ""}

    def _names(self, entry: dict[str, Any], where: str) -> list[tuple[str, float | None]]:
        found: list[tuple[str, float | None]] = []
        for one in entry.get("tags") or []:
            number, score = one if isinstance(one, list) and len(one) == 2 else (one, None)
            tag = self._of(self.tags, number, f"{where}: tag")
            if tag.get("key") == self.key:
                if not isinstance(tag.get("value"), str) or not tag["value"].strip():
                    raise DataError(f"{where}: the tag {self.key} is {tag.get('value')!r}; a name is needed")
                found.append((tag["value"], score))
        if found:
            return found
        if not self.label:
            raise DataError(
                f"{where} has no tag {self.key or 'at all'}; give it one, or the option label=NAME for all without one"
            )
        return [(self.label, None)]

    def _only_key(self) -> str:
        keys = list(dict.fromkeys(str(tag.get("key")) for tag in self.tags.values()))
        named = [key for key in keys if key in LABEL_KEYS]
        if len(keys) > 1 and len(named) != 1:
            raise DataError(
                f"{self.file}: tags have the keys {', '.join(keys)}; say which names the events with label_key="
            )
        return (named or keys or [""])[0]

    def _facts(self, recording: dict[str, Any], where: str) -> dict[str, Any]:
        if not isinstance(recording.get("path"), str):
            raise DataError(f"{where}: its recording has no path")
        return {"recording": recording["path"], "time_expansion": recording.get("time_expansion")}

    def _list(self, name: str) -> list[dict[str, Any]]:
        entries = self.data.get(name) or []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DataError(f"{self.file}: {name} is not a list of objects")
        return entries

    def _by_uuid(self, name: str) -> dict[Any, dict[str, Any]]:
        return {entry.get("uuid"): entry for entry in self._list(name)}

    def _of(self, things: dict[Any, dict[str, Any]], number: Any, where: str) -> dict[str, Any]:
        if not isinstance(number, str | int) or number not in things:
            raise DataError(f"{where} {number!r} is not in the file")
        return things[number]


def _box(sound: dict[str, Any], where: str) -> dict[str, Any]:
    """Start, end and band of a geometry; of a shape without a band, none."""
    geometry = sound.get("geometry") or {}
    kind: Any = geometry.get("type")
    places: Any = geometry.get("coordinates")
    try:
        if kind == "TimeStamp":
            return {"start_s": float(places), "end_s": float(places)}
        if kind == "TimeInterval":
            start, end = map(float, places)
            return {"start_s": start, "end_s": end}
        if kind == "BoundingBox":
            start, low, end, high = map(float, places)
        else:
            times, heights = zip(*_points(places), strict=True)
            start, end, low, high = min(times), max(times), min(heights), max(heights)
    except (TypeError, ValueError):
        raise DataError(f"{where}: a geometry {kind!r} of {places!r:.60} is none that can be read") from None
    return {"start_s": start, "end_s": end, "low_hz": low, "high_hz": high}


def _points(places: Any) -> list[tuple[float, float]]:
    if len(places) == 2 and not any(isinstance(place, list) for place in places):
        return [(float(places[0]), float(places[1]))]
    return [point for part in places for point in _points(part)]


def _time(recording: dict[str, Any], start_s: float) -> dict[str, str]:
    if not recording.get("date") or not recording.get("time"):
        return {}
    try:
        began = datetime.fromisoformat(f"{recording['date']}T{recording['time']}")
    except ValueError:
        return {}
    return {"time": (began + timedelta(seconds=start_s)).isoformat(timespec="milliseconds")}
