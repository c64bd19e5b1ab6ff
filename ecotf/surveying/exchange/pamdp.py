"""The pamflow Data Package (pamDP) 0.0.1, Camtrap DP for recorders: https://github.com/pamflow-org/pam-dp."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import soundfile

from ecotf.surveying.effort import BROKEN, SILENT
from ecotf.surveying.exchange.package import classifier, deployments, detections_of, identifier, packed, write_package
from ecotf.surveying.survey import Survey

PROFILE = "https://raw.githubusercontent.com/pamflow-org/pam-dp/v0.0.1/pam-dp-profile.json"
DEPLOYMENTS = (
    "deploymentID", "locationID", "locationName", "latitude", "longitude", "coordinateUncertainty", "deploymentStart",
    "deploymentEnd", "setupBy", "recorderID", "recorderModel", "recorderHeight", "recorderDepth", "recorderTilt",
    "recorderHeading", "timestampIssues", "baitUse", "featureType", "habitat", "deploymentGroups", "deploymentTags",
    "deploymentComments",
)  # fmt: skip
MEDIA = (
    "mediaID", "deploymentID", "captureMethod", "timestamp", "filePath", "filePublic", "fileName", "fileMediatype",
    "sampleRate", "bitDepth", "fileLength", "numChannels", "favorite", "mediaComments",
)  # fmt: skip
OBSERVATIONS = (
    "observationID", "deploymentID", "mediaID", "eventID", "eventStart", "eventEnd", "frequencyLow", "frequencyHigh",
    "observationLevel", "observationType", "scientificName", "count", "lifeStage", "sex", "behavior", "individualID",
    "individualPositionRadius", "classificationMethod", "classifiedBy", "classificationTimestamp",
    "classificationProbability", "observationTags", "observationComments",
)  # fmt: skip
_BITS = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 64}


def write_pamdp(survey: Survey, folder: Path) -> list[str]:
    """Write a pamDP into ``pamdp/``.

    The standard wants the rate, depth and channels of each file, so a recording that is gone or broken is not in it.
    A silent recording is an observation ``silence``.
    """
    media, notes = packed(survey)
    shapes = [
        _shape(path) if state != BROKEN else None for path, state in zip(media["path"], media["state"], strict=True)
    ]
    reached = [shape is not None for shape in shapes]
    lost = len(media) - sum(reached)
    if lost:
        notes.append(f"{lost} recordings are gone or broken and are not in it: it needs the depth and channels of each")
    media = media[reached].assign(captureMethod="timeLapse", filePublic="false", fileLength=media["duration_s"])
    if not len(media):
        return [f"pamDP: {line}" for line in [*notes, "no recording is left, so nothing was written"]]
    there = [shape for shape in shapes if shape is not None]
    media["sampleRate"] = media["sample_rate"]  # the real one, as the times are: of slowed sound the file's is another
    media["bitDepth"], media["numChannels"] = zip(*there, strict=True)
    stood = deployments(survey, media).rename(columns={"recorder": "recorderID"})
    found = detections_of(survey, media)
    found = found.assign(
        eventStart=found["start_s"], eventEnd=found["end_s"], frequencyLow=found["low_hz"],
        frequencyHigh=found["high_hz"], observationLevel="interval", observationType="animal",
        classificationProbability=found["score"], observationComments=found["comments"],
    )  # fmt: skip
    still = media[media["state"] == SILENT]
    silent = still[["mediaID", "deploymentID"]].assign(
        observationID=[identifier("silence", one) for one in still["mediaID"]], eventStart=0.0,
        eventEnd=still["duration_s"], observationLevel="media", observationType="silence",
    )  # fmt: skip
    both = pd.concat([found, silent], ignore_index=True) if len(silent) else found
    both = both.assign(classificationMethod="machine", classifiedBy=classifier(survey))
    tables = {
        "deployments": (stood, DEPLOYMENTS),
        "media": (media, MEDIA),
        "observations": (both, OBSERVATIONS),
    }
    project = {"captureMethod": ["recordingSchedule"], "observationLevel": ["interval"]}
    write_package(survey, folder / "pamdp", tables, PROFILE, project, sorted(set(found["scientificName"]) - {""}))
    return [f"pamDP: {line}" for line in notes]


def _shape(path: str) -> tuple[int, int] | None:
    """Bits and channels of a file; None where it is gone or its samples have no bits."""
    if not os.path.exists(path):
        return None
    try:
        facts = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError):
        return None
    bits = _BITS.get(facts.subtype, 16)  # compressed sound is decoded to 16
    return bits, facts.channels
