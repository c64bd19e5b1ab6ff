"""The commands: a page that is killed while naming loses nothing, and names become a manifest."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_clusters import tiny_clusters

from ecotf.commands import cluster
from ecotf.datasets.manifest import read_manifest
from ecotf.discovery.folder import open_clusters
from ecotf.errors import ConfigError, DataError
from ecotf.review.clusters import ReviewedClusters, read_naming
from ecotf.review.journal import Journal

ROOT = Path(__file__).parents[2]


def shown(folder: Path) -> tuple[subprocess.Popen[str], str, str]:
    """Start the page's command; returns it with its host and its token."""
    command = [sys.executable, "-m", "ecotf", "cluster", "show", str(folder), "--no-browser"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if found := re.search(r"http://([\d.:]+)/([\w-]+)/", line):
            return process, found[1], found[2]
    raise AssertionError("".join(said))


def test_a_page_that_is_killed_loses_no_decision(tmp_path):
    folder = tiny_clusters(tmp_path).folder
    process, host, token = shown(folder)
    connection = http.client.HTTPConnection(host, timeout=20)
    for number in range(12):
        body = json.dumps({"what": "name", "cluster": number % 2, "name": f"name {number}"})
        connection.request("POST", f"/{token}/decide", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200 and json.loads(answer.read())["state"]["undo"] == f"name of cluster {number % 2}"
    process.kill()
    process.communicate(timeout=20)
    clusters = open_clusters(folder)
    naming, note = read_naming(clusters)
    assert naming.names == {0: "name 10", 1: "name 11"} and note == ""
    with (folder / "decisions.jsonl").open("ab") as stream:  # what a power cut might leave
        stream.write(b'{"time": "2026-06')
    process, host, token = shown(folder)  # the lock of the killed one is free
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=20)
    assert process.returncode == 0 and "every decision is kept" in text and "Traceback" not in text
    assert len(ReviewedClusters(clusters)._journal.decisions) == 12
    assert not (folder / ".job.lock").exists()


def decided(folder: Path, *decisions: dict[str, Any]) -> None:
    reviewed = ReviewedClusters(open_clusters(folder))
    for decision in decisions:
        reviewed.decide(decision)


def test_names_become_a_manifest(tmp_path, capsys):
    clusters = tiny_clusters(tmp_path, recordings=6)
    folder, output = clusters.folder, tmp_path / "data" / "manifest.csv"
    command = ["export", str(folder), "--output", str(output)]
    with pytest.raises(ConfigError, match="no cluster has a name yet"):
        cluster.main(command)
    decided(folder, {"what": "name", "cluster": 0, "name": "low, long"})
    assert cluster.main(command) == 0
    manifest = read_manifest(output)
    counts = manifest.table["label"].value_counts().to_dict()
    assert counts == {"low, long": 12, "unknown": 12}
    assert (manifest.table["group"] == manifest.table["recording"]).all() and not manifest.missing_files()
    text = capsys.readouterr().out
    assert "8 clips of 1 cluster without a name have the label unknown" in text
    assert "4 clips that are in no cluster have the label unknown" in text
    with pytest.raises(ConfigError, match="is there already"):
        cluster.main(command)
    decided(folder, {"what": "noise", "cluster": 1}, {"what": "move", "clips": [0], "to": -1})
    assert cluster.main([*command, "--overwrite", "--unnamed", "leave"]) == 0
    assert read_manifest(output).table["label"].value_counts().to_dict() == {"low, long": 11, "noise": 8}
    assert cluster.main([*command, "--overwrite", "--unnamed", "leave", "--noise", "leave"]) == 0
    assert read_manifest(output).labels == ["low, long"]
    capsys.readouterr()
    Path(clusters.clips["path"][0]).unlink()
    assert cluster.main([*command, "--overwrite"]) == 0
    assert "left out: 4 clips of 1 recordings that are no longer there" in capsys.readouterr().out
    for path in clusters.clips["path"].unique():
        Path(path).unlink(missing_ok=True)
    with pytest.raises(DataError, match="have vanished"):
        cluster.main([*command, "--overwrite"])


@pytest.mark.parametrize("part", ["show", "export"])
def test_folders_that_cannot_be_named(tmp_path, part):
    folder = tiny_clusters(tmp_path).folder
    command = [part, str(folder), *(["--output", str(tmp_path / "m.csv")] if part == "export" else [])]
    Journal(folder / "decisions.jsonl", "of other clips")
    with pytest.raises(ConfigError, match="about other clips"):
        cluster.main(command)
    about = json.loads((folder / "about.json").read_text())
    (folder / "about.json").write_text(json.dumps({**about, "clusters": 99}))
    with pytest.raises(ConfigError, match="clusters of format 99"):
        cluster.main(command)
    os.unlink(folder / "about.json")
    with pytest.raises(ConfigError, match="no folder of clusters"):
        cluster.main(command)
