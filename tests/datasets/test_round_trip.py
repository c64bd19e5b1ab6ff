"""Detections come back as annotations through every format that ecotf writes, scores apart from labels."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.datasets.importers import IMPORTERS, import_annotations
from ecotf.datasets.manifest import read_manifest, write_manifest
from ecotf.inference.writers import WRITERS, write_detections

RATE = 96000
NAN = float("nan")
# What each format cannot hold; all else must come back.
LOST = {
    "csv": set(),
    "parquet": set(),
    "aoef": set(),
    "raven": set(),
    "audacity": {"time"},
    "audiotagger": {"low_hz", "high_hz", "detection_score", "channel", "time"},
    "published_csv": {"end_s", "low_hz", "high_hz", "detection_score", "channel", "time"},
}
# Half of the last decimal that each writes.
STEPS = {"published_csv": {"start_s": 5e-4, "score": 5e-4}}
STEP = {"start_s": 5e-7, "end_s": 1e-6, "low_hz": 0.05, "high_hz": 0.05, "score": 5e-5, "detection_score": 5e-5}
LABELS = [
    "Pippip", "Pippip 0.91", "Myotis [score 0.5]", "=1+$x^{$", "+49", "-", "@home", "NA", "None", "nan", "007",
    '"unsure', '"all"', '"x, y"', "it's", "a,b;c", "Ägypten", "é", "夜", "two\nlines", "tab\there", "back\\slash", "\\",
    "lone\rreturn", "[score 0.1000]", "x [score 0.1000]", "<b>&amp;", "null", "bat",
]  # fmt: skip


@pytest.fixture
def found(tmp_path):
    """Every kind of label, on two channels of recordings in sub-folders; one recording without detections."""
    names = [tmp_path / "night" / name for name in ("a/r.wav", "b/r.wav", "b/quiet.wav")]
    for path in names:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros((10 * RATE, 2)), RATE)
    rng = np.random.default_rng(1979)
    rows = []
    for number, label in enumerate(LABELS):
        start = round(number / 3, 6)
        rows.append({
            "recording": str(names[number % 2]), "start_s": start, "end_s": round(start + 0.0051237, 6),
            "low_hz": 20000.1, "high_hz": 40000.7, "label": label, "score": round(float(rng.random()), 4),
            "detection_score": round(float(rng.random()), 4), "channel": 1 + number % 2, "time": "",
        })  # fmt: skip
        rows[-1]["time"] = str(
            (pd.Timestamp("2026-06-21T22:15:00+02:00") + pd.Timedelta(seconds=start)).isoformat(timespec="milliseconds")
        )
    table = pd.DataFrame(rows).astype({"channel": "Int64"})
    return table, {str(path): float(RATE) for path in names}, tmp_path


def come_back(format: str, written: list[Path], out: Path, audio: Path):
    whole = [path for path in written if path.parent == out and path.name.startswith(("detections", "classif"))]
    return import_annotations(format, whole[0] if whole else out, audio)


def test_every_format_that_is_written_is_imported():
    assert set(WRITERS) == set(LOST) <= set(IMPORTERS)


@pytest.mark.parametrize("format", sorted(LOST))
@pytest.mark.parametrize("kept_as", ["manifest.csv", "manifest.parquet"])
def test_round_trip(found, format, kept_as):
    table, recordings, folder = found
    written = write_detections(table, folder / "out", [format], recordings)
    manifest = come_back(format, written, folder / "out", folder / "night")
    if format in ("raven", "audacity", "audiotagger", "aoef"):
        assert {"a/r.wav", "b/r.wav", "b/quiet.wav"} == set(manifest.recordings)
    write_manifest(manifest, folder / kept_as)
    back = read_manifest(folder / kept_as).annotations
    wanted = table.assign(
        recording=[Path(name).relative_to(folder / "night").as_posix() for name in table["recording"]]
    )
    back = back.assign(recording=[Path(name).relative_to("night").as_posix() for name in back["recording"]])
    back, wanted = (
        one.assign(start_s=one["start_s"].astype(float)).sort_values(["recording", "start_s"], ignore_index=True)
        for one in (back, wanted)
    )
    assert back["recording"].tolist() == wanted["recording"].tolist()
    assert back["label"].tolist() == wanted["label"].tolist()
    steps = STEPS.get(format, STEP)
    for name in set(wanted.columns) - LOST[format] - {"recording", "label"}:
        if name == "time":
            # AOEF holds when the recording began, and its microseconds.
            times = [pd.to_datetime(one[name], format="ISO8601") for one in (back, wanted)]
            assert (times[0] - times[1]).abs().max() <= pd.Timedelta(milliseconds=1 if format == "aoef" else 0)
        elif name == "channel":
            assert back[name].astype(float).tolist() == wanted[name].astype(float).tolist()
        else:
            exact = format in ("csv", "parquet", "aoef")
            difference = (back[name].astype(float) - wanted[name].astype(float)).abs().max()
            assert difference <= (0 if exact else steps[name] * 1.001), name


@pytest.mark.parametrize("format", sorted(LOST))
def test_what_is_not_known_stays_unknown(found, format):
    table, recordings, folder = found
    table = table.iloc[:2].assign(low_hz=NAN, high_hz=NAN, detection_score=NAN, channel=pd.NA, time="")
    written = write_detections(table, folder / "out", [format], recordings)
    back = come_back(format, written, folder / "out", folder / "night").annotations
    assert back["label"].tolist() == LABELS[:2]
    if format != "raven":  # Raven needs a band: an unknown one is that of the recording
        assert back[["low_hz", "high_hz"]].isna().all(axis=None)
    assert "time" not in back or (back["time"] == "").all()
    if format not in ("aoef",):  # a prediction has a score: there it is that of the label
        assert "detection_score" not in back or back["detection_score"].isna().all()


def test_a_prediction_set_is_as_soundevent_reads_it(found):
    """Its references fit together; versions and fields are those of soundevent 2.10."""
    table, recordings, folder = found
    write_detections(table, folder / "out", ["aoef"], recordings)
    content = json.loads((folder / "out" / "a" / "r.aoef.json").read_text())
    data = content["data"]
    assert (content["version"], data["collection_type"]) == ("1.1.0", "prediction_set")
    assert data["recordings"][0].keys() >= {"uuid", "path", "duration", "channels", "samplerate", "date", "time"}
    assert (data["recordings"][0]["channels"], data["recordings"][0]["duration"]) == (2, 10.0)
    sounds, predictions = ([one["uuid"] for one in data[name]] for name in ("sound_events", "sound_event_predictions"))
    assert [one["sound_event"] for one in data["sound_event_predictions"]] == sounds
    assert data["clip_predictions"][0]["sound_events"] == predictions
    assert len(set(sounds)) == len(sounds) == (table["recording"] == str(folder / "night/a/r.wav")).sum()
