"""What Camtrap DP and pamDP share: deployments, media files, and the description of a data package."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from ecotf import __version__
from ecotf.datasets.labels import UNNAMED_LABELS, unnamed_among
from ecotf.surveying.survey import Survey

STAMP = "%Y-%m-%dT%H:%M:%SZ"
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "ecotf survey")
_MEDIA = {".wav": "audio/wav", ".flac": "audio/flac", ".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".opus": "audio/opus"}


def identifier(*parts: object) -> str:
    """Return the same identifier for the same parts."""
    return str(uuid.uuid5(_SPACE, "\n".join(map(str, parts)).encode("utf-8", "surrogateescape").decode("latin-1")))


def packed(survey: Survey) -> tuple[pd.DataFrame, list[str]]:
    """Return the recordings that a package can hold, with ``mediaID`` and ``deploymentID``, and a line about others.

    A moment needs a time zone there.
    """
    used = survey.recordings[survey.recordings["left_out"] == ""]
    known = used[used["utc"].notna()].copy()
    known["mediaID"] = [identifier("media", path) for path in known["path"]]
    known["deploymentID"] = [
        f"{site}_{recorder}" if recorder else str(site)
        for site, recorder in zip(known["site"], known["recorder"], strict=True)
    ]
    known["filePath"] = _paths(list(known["path"]))
    known["fileName"] = [PurePath(path).name for path in known["path"]]
    known["fileMediatype"] = [_MEDIA.get(PurePath(path).suffix.lower(), "audio/x-other") for path in known["path"]]
    known["timestamp"] = known["utc"].dt.strftime(STAMP)
    lost = len(used) - len(known)
    return known, [f"{lost} recordings have no time zone and are not in it"] if lost else []


def deployments(survey: Survey, media: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each recorder at each site: where it stood, and from when to when there is sound of it."""
    sites = survey.sites.table.set_index("site")
    end = media["utc"] + pd.to_timedelta(media["duration_s"].fillna(0.0), unit="s")
    rows = []
    for name, own in media.groupby("deploymentID", sort=True):
        site = str(own["site"].iloc[0])
        facts: dict[str, Any] = {
            "deploymentID": name,
            "locationID": site,
            "locationName": site,
            "latitude": sites.at[site, "latitude"],
            "longitude": sites.at[site, "longitude"],
            "deploymentStart": own["utc"].min().strftime(STAMP),
            "deploymentEnd": end[own.index].max().strftime(STAMP),
            "recorder": own["recorder"].iloc[0],
            "habitat": sites.at[site, "habitat"] if "habitat" in sites else "",
            "timestampIssues": "false",
        }
        rows.append(facts)
    return pd.DataFrame(rows)


def detections_of(survey: Survey, media: pd.DataFrame) -> pd.DataFrame:
    """Return the detections in these media, with the name of the species (empty where the label is none)."""
    facts = media.set_index("path")[["mediaID", "deploymentID"]]
    own = survey.detections[survey.detections["path"].isin(facts.index)].join(facts, on="path").reset_index(drop=True)
    unnamed = {*unnamed_among(survey.labels, UNNAMED_LABELS), "call"}
    own["scientificName"] = ["" if label in unnamed else label for label in own["label"]]
    places = zip(own["mediaID"], own["start_s"], own["label"], own["channel"], strict=True)
    own["observationID"] = [identifier("observation", number, *place) for number, place in enumerate(places)]
    own["comments"] = [
        "" if name else f"label {label}" for name, label in zip(own["scientificName"], own["label"], strict=True)
    ]
    return own


def classifier(survey: Survey) -> str:
    """Name the model: its title and the beginning of its checksums."""
    models = {(model.get("title", ""), *model.get("runs", ())) for model in survey.models.values()}
    return " and ".join(f"{title} ({', '.join(s[:8] for s in sums)})" for title, *sums in sorted(models))


def write_package(
    survey: Survey,
    folder: Path,
    tables: Mapping[str, tuple[pd.DataFrame, Sequence[str]]],
    profile: str,
    project: dict[str, Any],
    names: Sequence[str],
) -> None:
    """Write the tables, with all columns of the standard in its order, and ``datapackage.json``.

    Parameters
    ----------
    tables
        Each with the columns of the standard.
    profile
        The address of the profile; those of the table schemas are beside it.
    """
    folder.mkdir(parents=True)
    for name, (table, columns) in tables.items():
        table.reindex(columns=list(columns)).to_csv(folder / f"{name}.csv", index=False, errors="surrogateescape")
    places = survey.sites.table
    west, east = float(places["longitude"].min()), float(places["longitude"].max())
    south, north = float(places["latitude"].min()), float(places["latitude"].max())
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    where = profile.rpartition("/")[0]
    described = {
        "resources": [
            {"name": name, "path": f"{name}.csv", "profile": "tabular-data-resource", "format": "csv",
             "mediatype": "text/csv", "encoding": "utf-8", "schema": f"{where}/{name}-table-schema.json"}
            for name in tables
        ],
        "profile": profile,
        "name": "survey",
        "id": identifier("package", *tables["media"][0]["mediaID"]),
        "created": datetime.now(UTC).strftime(STAMP),
        "contributors": [{"title": "not stated", "role": "contributor"}],
        "sources": [{"title": "ecotf", "version": __version__}],
        "project": {"title": "not stated", "samplingDesign": "opportunistic", "individualAnimals": False, **project},
        "spatial": {"type": "Polygon", "coordinates": [ring]},
        "temporal": {"start": f"{survey.days['day'].min():%Y-%m-%d}", "end": f"{survey.days['day'].max():%Y-%m-%d}"},
        "taxonomic": [{"scientificName": name} for name in names],
    }  # fmt: skip
    (folder / "datapackage.json").write_text(
        json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _paths(paths: list[str]) -> list[str]:
    """Paths below the folder that all share, as both standards want them: relative, with no dots at their beginning."""
    root = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths]) if paths else ""
    below = [PurePath(os.path.relpath(os.path.abspath(path), root)).as_posix() for path in paths]
    return [re.sub(r"^[./~]+", "", re.sub(r"\.{2,}", ".", path)) for path in below]
