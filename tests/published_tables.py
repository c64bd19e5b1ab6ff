"""The rules that Camtrap DP 1.0.2 and pamDP 0.0.1 publish for their tables, and a check against them.

Restated from the table schemas (https://camtrap-dp.tdwg.org/data, https://github.com/pamflow-org/pam-dp): the columns
in their order; which are required; what is allowed in them.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

TIME = {"time": "%Y-%m-%dT%H:%M:%S%z"}
NEEDED_TIME = {**TIME, "required": True}
KEY: dict[str, Any] = {"required": True, "unique": True}
NEEDED: dict[str, Any] = {"required": True}
POSITIVE: dict[str, Any] = {"minimum": 0}
SHARE: dict[str, Any] = {"minimum": 0, "maximum": 1}
TRUTH: dict[str, Any] = {"enum": ["true", "false"]}
FEATURES = ("roadPaved", "roadDirt", "trailHiking", "trailGame", "roadUnderpass", "roadOverpass", "roadBridge",
            "culvert", "burrow", "nestSite", "carcass", "waterSource", "fruitingTree")  # fmt: skip
_WHERE: dict[str, dict[str, Any]] = {
    "deploymentID": KEY, "locationID": {}, "locationName": {},
    "latitude": {**NEEDED, "minimum": -90, "maximum": 90}, "longitude": {**NEEDED, "minimum": -180, "maximum": 180},
    "coordinateUncertainty": {"minimum": 1}, "deploymentStart": NEEDED_TIME, "deploymentEnd": NEEDED_TIME,
    "setupBy": {},
}  # fmt: skip
_SITE: dict[str, dict[str, Any]] = {
    "timestampIssues": TRUTH, "baitUse": TRUTH, "featureType": {"enum": FEATURES}, "habitat": {},
    "deploymentGroups": {}, "deploymentTags": {}, "deploymentComments": {},
}  # fmt: skip
_ANIMAL: dict[str, dict[str, Any]] = {
    "scientificName": {}, "count": {"minimum": 1}, "lifeStage": {"enum": ["adult", "subadult", "juvenile"]},
    "sex": {"enum": ["female", "male"]}, "behavior": {}, "individualID": {}, "individualPositionRadius": POSITIVE,
}  # fmt: skip
_CLASSIFIED: dict[str, dict[str, Any]] = {
    "classificationMethod": {"enum": ["human", "machine"]}, "classifiedBy": {}, "classificationTimestamp": TIME,
    "classificationProbability": SHARE, "observationTags": {}, "observationComments": {},
}  # fmt: skip
_FILE: dict[str, dict[str, Any]] = {
    "mediaID": KEY, "deploymentID": NEEDED, "captureMethod": {"enum": ["activityDetection", "timeLapse"]},
    "timestamp": NEEDED_TIME, "filePath": {**NEEDED, "pattern": r"^(?=^[^./~])(^((?!\.{2}).)*$).*$"},
    "filePublic": {**NEEDED, **TRUTH}, "fileName": {},
    "fileMediatype": {**NEEDED, "pattern": "^(image|video|audio)/.*$"},
}  # fmt: skip
_CAMERA = ("cameraID", "cameraModel", "cameraDelay", "cameraHeight", "cameraDepth", "cameraTilt", "cameraHeading",
           "detectionDistance")  # fmt: skip
_RECORDER = ("recorderID", "recorderModel", "recorderHeight", "recorderDepth", "recorderTilt", "recorderHeading")

CAMTRAP: dict[str, dict[str, dict[str, Any]]] = {
    "deployments": {**_WHERE, **{name: {} for name in _CAMERA}, **_SITE},
    "media": {**_FILE, "exifData": {}, "favorite": TRUTH, "mediaComments": {}},
    "observations": {
        "observationID": KEY, "deploymentID": NEEDED, "mediaID": {}, "eventID": {}, "eventStart": NEEDED_TIME,
        "eventEnd": NEEDED_TIME, "observationLevel": {**NEEDED, "enum": ["media", "event"]},
        "observationType": {**NEEDED, "enum": ["animal", "human", "vehicle", "blank", "unknown", "unclassified"]},
        "cameraSetupType": {"enum": ["setup", "calibration"]}, **_ANIMAL,
        "individualPositionAngle": {"minimum": -90, "maximum": 90}, "individualSpeed": POSITIVE,
        "bboxX": SHARE, "bboxY": SHARE, "bboxWidth": SHARE, "bboxHeight": SHARE, **_CLASSIFIED,
    },
}  # fmt: skip
PAMDP: dict[str, dict[str, dict[str, Any]]] = {
    "deployments": {**_WHERE, **{name: {} for name in _RECORDER}, **_SITE},
    "media": {
        **_FILE, "sampleRate": {**NEEDED, **POSITIVE, "whole": True},
        "bitDepth": {**NEEDED, "minimum": 2, "whole": True},
        "fileLength": {**NEEDED, **POSITIVE}, "numChannels": {**NEEDED, "minimum": 1, "whole": True}, "favorite": TRUTH,
        "mediaComments": {},
    },
    "observations": {
        "observationID": KEY, "deploymentID": NEEDED, "mediaID": {}, "eventID": {},
        "eventStart": {**NEEDED, **POSITIVE}, "eventEnd": {**NEEDED, **POSITIVE}, "frequencyLow": POSITIVE,
        "frequencyHigh": POSITIVE, "observationLevel": {**NEEDED, "enum": ["media", "event", "interval"]},
        "observationType": {**NEEDED, "enum": ["animal", "rain", "flowing water", "wind", "human voice",
                                               "electro-mechanical", "silence", "unknown", "unclassified"]},
        **_ANIMAL, **_CLASSIFIED,
    },
}  # fmt: skip
PROJECT = {
    "samplingDesign": {
        "simpleRandom",
        "systematicRandom",
        "clusteredRandom",
        "experimental",
        "targeted",
        "opportunistic",
    },
    "camtrap methods": {"activityDetection", "timeLapse"},
    "pamdp methods": {"activityDetection", "recordingSchedule", "continuous"},
}


def faults(folder: Path, tables: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """Return what is wrong with the tables in a folder, a line each."""
    read = {name: pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False) for name in tables}
    found = []
    for name, fields in tables.items():
        table = read[name]
        if list(table) != list(fields):
            found.append(f"{name}: columns {list(table)}")
            continue
        for column, rules in fields.items():
            values = table[column]
            filled = values[values != ""]
            where = f"{name}.{column}"
            if rules.get("required") and (values == "").any():
                found.append(f"{where}: required")
            if rules.get("unique") and values.duplicated().any():
                found.append(f"{where}: not unique")
            wrong = [value for value in filled.unique() if not _allowed(value, rules)]
            found += [f"{where}: {value!r}" for value in wrong[:3]]
        for key, other in (("deploymentID", "deployments"), ("mediaID", "media")):
            if key in table and not set(table[key]) - {""} <= set(read[other][key]):
                found.append(f"{name}.{key}: not in {other}")
    return found


def _allowed(value: str, rules: dict[str, Any]) -> bool:
    if "enum" in rules and value not in rules["enum"]:
        return False
    if "pattern" in rules and re.match(rules["pattern"], value) is None:
        return False
    if "time" in rules:
        datetime.strptime(value, rules["time"])
    if rules.get("whole") and not value.isdecimal():
        return False
    least, most = rules.get("minimum"), rules.get("maximum")
    return (least is None or float(value) >= least) and (most is None or float(value) <= most)
