"""A folder of clusters: what is written is read, and folders of something else are refused in one line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny_clusters import tiny_clusters

from ecotf.discovery.folder import COLUMNS, open_clusters
from ecotf.errors import ConfigError


def test_what_is_written_is_read(tmp_path):
    found = tiny_clusters(tmp_path)
    assert list(found.clips) == list(COLUMNS) and len(found) == 16
    kinds = {name: kind for name, kind in COLUMNS.items() if kind != "string"}
    assert {name: str(found.clips[name].dtype) for name in kinds} == kinds
    rows = found.embeddings.rows(found.clips["row"])
    assert (rows.argmax(axis=1) == np.where(found.clips["cluster"] < 0, 2, found.clips["cluster"])).all()
    assert (found.embeddings.table["recording"] == found.clips["recording"]).all()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"clusters": 99}, "clusters of format 99, and this version of ecotf reads format 1"),
        ({"clusters": None}, "no folder of clusters"),
        ({"unknown": 1}, "damaged"),
    ],
)
def test_other_folders_are_refused(tmp_path, change, message):
    folder = tiny_clusters(tmp_path).folder
    about = json.loads((folder / "about.json").read_text())
    (folder / "about.json").write_text(json.dumps(about | change))
    with pytest.raises(ConfigError, match=message):
        open_clusters(folder)


def test_an_unfinished_job_is_no_folder_of_clusters(tmp_path):
    folder = tiny_clusters(tmp_path).folder
    (folder / "clips.parquet").unlink()
    with pytest.raises(ConfigError, match="did not finish"):
        open_clusters(folder)
    with pytest.raises(ConfigError, match=r"has no about\.json"):
        open_clusters(tmp_path)
