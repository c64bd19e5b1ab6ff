"""A survey for others: Camtrap DP, pamDP, AOEF by their published rules; SQL; the page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from published_tables import CAMTRAP, PAMDP, PROJECT, faults
from simulated_season import SPECIES

from ecotf.commands.main import main
from ecotf.errors import ConfigError


def described(folder: Path) -> dict:
    return json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))


def test_camtrap_dp(season, written):
    folder = written / "exchange" / "camtrap-dp"
    assert faults(folder, CAMTRAP) == []
    media, found = (pd.read_csv(folder / f"{name}.csv") for name in ("media", "observations"))
    assert len(media) == 700 - 40
    animals = found[found["observationType"] == "animal"]
    expected = sum(len(calls) for own in season.seen.values() for calls in own.values())
    assert len(animals) == expected and set(animals["scientificName"]) == set(SPECIES)
    heard = set(media.loc[media["mediaComments"].isna(), "mediaID"])
    assert heard == set(found["mediaID"]), "each recording that was heard has an observation, blank or not"
    assert len(pd.read_csv(folder / "deployments.csv")) == 6
    package = described(folder)
    assert package["profile"].endswith("/1.0.2/camtrap-dp-profile.json")
    assert {one["name"] for one in package["resources"]} == {"deployments", "media", "observations"}
    assert package.keys() >= {"created", "contributors", "project", "spatial", "temporal", "taxonomic"}
    assert set(package["project"]["captureMethod"]) <= PROJECT["camtrap methods"]
    assert package["project"]["samplingDesign"] in PROJECT["samplingDesign"]
    assert package["temporal"] == {"start": "2026-06-01", "end": "2026-06-30"}


def test_pamdp(written):
    """Only recordings that are still there: it needs the depth of their samples."""
    folder = written / "exchange" / "pamdp"
    assert faults(folder, PAMDP) == []
    media, found = (pd.read_csv(folder / f"{name}.csv") for name in ("media", "observations"))
    assert 0 < len(media) <= 3 and set(media["bitDepth"]) == {16} and set(media["sampleRate"]) == {256_000}
    assert (found["eventEnd"] > found["eventStart"]).all() and (found["frequencyHigh"] > found["frequencyLow"]).all()
    assert set(described(folder)["project"]["captureMethod"]) <= PROJECT["pamdp methods"]


def test_the_check_sees_faults(written, tmp_path):
    folder = shutil.copytree(written / "exchange" / "camtrap-dp", tmp_path / "changed")
    table = pd.read_csv(folder / "media.csv", dtype=str, keep_default_na=False)
    table.loc[0, "filePath"], table.loc[1, "fileMediatype"], table.loc[2, "deploymentID"] = "../a", "sound", "nowhere"
    table.loc[3, "mediaID"] = table.loc[4, "mediaID"]
    table.to_csv(folder / "media.csv", index=False)
    seen = faults(folder, CAMTRAP)
    for words in ("media.filePath: '../a'", "media.fileMediatype: 'sound'", "media.deploymentID: not in", "not unique"):
        assert any(words in line for line in seen)


def test_aoef(season, written):
    """All references fit; where soundevent is installed, it reads the file."""
    path = written / "exchange" / "aoef.json"
    data = json.loads(path.read_text())["data"]
    expected = sum(len(calls) for own in season.seen.values() for calls in own.values())
    assert len(data["sound_event_predictions"]) == len(data["sound_events"]) == expected
    recordings = {one["uuid"]: one for one in data["recordings"]}
    assert len(recordings) == len(data["clips"]) == 700 - 40 - 8 - 82
    assert {one["recording"] for one in data["sound_events"]} <= recordings.keys()
    tags = {one["id"]: (one["key"], one["value"]) for one in data["tags"]}
    first = next(iter(recordings.values()))
    assert [tags[number] for number in first["tags"]] == [("site", "dyke")]
    assert (first["date"], first["time"], first["duration"]) == ("2026-06-01", "22:00:00+02:00", 1800.0)
    soundevent = pytest.importorskip("soundevent.io", reason="soundevent is not installed")
    assert len(soundevent.load(path, type="prediction_set").clip_predictions) == len(recordings)


def test_the_page(season, written):
    page = (written / "survey.html").read_text(encoding="utf-8")
    assert page.count("<audio") == 3 and "the recording is no longer there" in page
    assert page.count("<svg") == 2 + 2 * len(SPECIES)
    for name in ("effort", "accumulation", "activity_Nyctalus_noctula", "history_Plecotus_auritus"):
        assert (written / "pictures" / f"{name}.svg").read_text().startswith("<svg xmlns=")
    assert not re.search(r'(src|href)="(?!data:)', page)
    for state in ("silent", "broken", "nothing"):
        assert f"url(#e-{state})" in (written / "pictures" / "effort.svg").read_text()
    assert "its clock jumped" in page


def test_questions_in_sql(written, season, capsys):
    pytest.importorskip("duckdb", reason="DuckDB is not installed")
    sql = "SELECT site, sum(recorded_h) AS h FROM days GROUP BY site HAVING h < 50 ORDER BY site"
    assert main(["survey", str(written), "--sql", sql]) == 0
    assert capsys.readouterr().out == "site,h\nmill,20.0\norchard,40.0\n"
    assert main(["survey", str(season.folder), "--sql", "SELECT count(*) AS n FROM recordings"]) == 0
    assert capsys.readouterr().out == "n\n700\n"
    with pytest.raises(ConfigError, match=r"--sql: .*nowhere"):
        main(["survey", str(written), "--sql", "SELECT * FROM nowhere"])


def test_without_duckdb(written, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ConfigError, match=r"pip install 'ecotf\[duckdb\]'"):
        main(["survey", str(written), "--sql", "SELECT 1"])


def test_unknown_exchange(season, tmp_path):
    with pytest.raises(ConfigError, match="exchange format 'eml' is unknown; known formats: camtrap-dp, pamdp, aoef"):
        main(["survey", str(season.folder), "--sites", str(season.sites), "--output", str(tmp_path / "x"),
              "--exchange", "eml"])  # fmt: skip


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_the_r_of_the_documentation(written, tmp_path):
    """The snippet of docs/survey.md, up to the fit where the packages are absent."""
    text = (Path(__file__).parents[2] / "docs" / "survey.md").read_text(encoding="utf-8")
    for number, code in enumerate(re.findall(r"```r\n(.*?)```", text, re.DOTALL)):
        packages = re.findall(r"library\((\w+)\)", code)
        wanted = ", ".join(f"'{name}'" for name in packages)
        ask = f"quit(status = !all(c({wanted}) %in% rownames(installed.packages())))"
        lack = subprocess.run(["Rscript", "-e", ask], check=False)
        if lack.returncode:
            pytest.skip(f"R lacks one of {', '.join(packages)}")
        script = tmp_path / f"{number}.R"
        script.write_text(code.replace('"survey"', f'"{written}"'))
        subprocess.run(["Rscript", str(script)], check=True, timeout=300)
