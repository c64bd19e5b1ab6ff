"""Camtrap DP 1.0.2, of which media may be sound: https://camtrap-dp.tdwg.org."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ecotf.surveying.effort import RECORDED
from ecotf.surveying.exchange.package import (
    STAMP,
    classifier,
    deployments,
    detections_of,
    identifier,
    packed,
    write_package,
)  # fmt: skip
from ecotf.surveying.survey import Survey

PROFILE = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.2/camtrap-dp-profile.json"
DEPLOYMENTS = (
    "deploymentID", "locationID", "locationName", "latitude", "longitude", "coordinateUncertainty", "deploymentStart",
    "deploymentEnd", "setupBy", "cameraID", "cameraModel", "cameraDelay", "cameraHeight", "cameraDepth", "cameraTilt",
    "cameraHeading", "detectionDistance", "timestampIssues", "baitUse", "featureType", "habitat", "deploymentGroups",
    "deploymentTags", "deploymentComments",
)  # fmt: skip
MEDIA = (
    "mediaID", "deploymentID", "captureMethod", "timestamp", "filePath", "filePublic", "fileName", "fileMediatype",
    "exifData", "favorite", "mediaComments",
)  # fmt: skip
OBSERVATIONS = (
    "observationID", "deploymentID", "mediaID", "eventID", "eventStart", "eventEnd", "observationLevel",
    "observationType", "cameraSetupType", "scientificName", "count", "lifeStage", "sex", "behavior", "individualID",
    "individualPositionRadius", "individualPositionAngle", "individualSpeed", "bboxX", "bboxY", "bboxWidth",
    "bboxHeight", "classificationMethod", "classifiedBy", "classificationTimestamp", "classificationProbability",
    "observationTags", "observationComments",
)  # fmt: skip


def write_camtrap(survey: Survey, folder: Path) -> list[str]:
    """Write a Camtrap DP into ``camtrap-dp/``.

    A detection is an observation of its media file; its times are whole seconds there, so the exact ones and the band
    are tags. A recording in which nothing was found is ``blank``; one that is broken or silent says so as a comment
    and has no observation, which is what the standard calls not classified.
    """
    media, notes = packed(survey)
    media = media.assign(captureMethod="timeLapse", filePublic="false")
    media["mediaComments"] = [
        "" if state == RECORDED else f"{status}: {reason}".rstrip(": ")
        for state, status, reason in zip(media["state"], media["status"], media["reason"], strict=True)
    ]
    stood = deployments(survey, media).rename(columns={"recorder": "cameraID"})
    found = detections_of(survey, media)
    end = found["utc"] + pd.to_timedelta(found["end_s"] - found["start_s"], unit="s")
    found = found.assign(
        eventStart=found["utc"].dt.strftime(STAMP), eventEnd=end.dt.strftime(STAMP), observationType="animal",
        classificationProbability=found["score"], observationComments=found["comments"],
        observationTags=[
            f"startSeconds:{start:.6f}|endSeconds:{stop:.6f}"
            + (f"|frequencyLow:{low:.1f}|frequencyHigh:{high:.1f}" if low == low and high == high else "")
            for start, stop, low, high in found[["start_s", "end_s", "low_hz", "high_hz"]].to_numpy(float).tolist()
        ],
    )  # fmt: skip
    quiet = media[(media["state"] == RECORDED) & ~media["path"].isin(found["path"])]
    over = quiet["utc"] + pd.to_timedelta(quiet["duration_s"].fillna(0.0), unit="s")
    blank = quiet[["mediaID", "deploymentID"]].assign(
        observationID=[identifier("blank", one) for one in quiet["mediaID"]], eventStart=quiet["timestamp"],
        eventEnd=over.dt.strftime(STAMP), observationType="blank",
    )  # fmt: skip
    both = pd.concat([found, blank], ignore_index=True).assign(
        observationLevel="media", classificationMethod="machine", classifiedBy=classifier(survey)
    )
    tables = {
        "deployments": (stood, DEPLOYMENTS),
        "media": (media, MEDIA),
        "observations": (both, OBSERVATIONS),
    }
    project = {"captureMethod": ["timeLapse"], "observationLevel": ["media"]}
    write_package(survey, folder / "camtrap-dp", tables, PROFILE, project, sorted(set(found["scientificName"]) - {""}))
    return [f"Camtrap DP: {line}" for line in notes]
