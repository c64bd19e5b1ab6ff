"""What a report shows of events: false alarms, what was missed, and hits."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from ecotf.tasks.clips.reported_events import events_to_look_at
from ecotf.tasks.reported import some_of_each

MANIFEST = """recording,start_s,end_s,label
a.wav,1,2,owl
a.wav,5,6,owl
a.wav,8,9,unknown
b.wav,3,4,owl
c.wav,3,4,owl
"""


@pytest.fixture
def run(tmp_path) -> Any:
    columns = ["recording", "start_s", "end_s", "low_hz", "high_hz", "label", "score"]
    found = [
        ("a.wav", 1.1, 2.1, 0, 9, "owl", 0.9),
        ("a.wav", 5.6, 7.0, 0, 9, "owl", 0.8),
        ("a.wav", 8.2, 8.8, 0, 9, "owl", 0.7),
        ("b.wav", 3.0, 4.0, 0, 9, "owl", 0.3),
        ("b.wav", 3.0, 4.0, 0, 9, "call", 0.3),
        ("c.wav", 3.0, 4.0, 0, 9, "owl", 0.9),
    ]
    (tmp_path / "manifest.csv").write_text(MANIFEST)
    rows = [
        f"{name},{split},{name},ok,,," for name, split in (("a.wav", "test"), ("b.wav", "test"), ("c.wav", "train"))
    ]
    (tmp_path / "splits.csv").write_text("\n".join(["recording,split,group,state,reason,bytes,digest", *rows]) + "\n")

    class Run:
        path = tmp_path

        def read_json(self, name: str) -> dict[str, Any]:
            return {"events": {"owl": 0.5, "call": 0.5}}

        def read_table(self, name: str) -> pd.DataFrame:
            return pd.DataFrame(found, columns=columns)

        def file(self, name: str) -> Any:
            return tmp_path / name

        def step_facts(self, name: str) -> dict[str, Any]:
            return {}

    return Run()


def test_false_alarms_misses_and_hits(run):
    looked = events_to_look_at(run, "test", 10, ["unknown"])
    assert [(one.place.recording, one.there, one.found, one.score) for one in looked] == [
        ("a.wav", False, False, 0.8),  # less than 0.3 in common with the annotated one
        ("a.wav", True, False, None),
        ("b.wav", True, False, 0.3),
        ("a.wav", True, True, 0.9),
    ]
    assert looked[0].truth == ("owl",) and looked[0].place.box == (5.6, 7.0, 0.0, 9.0)
    assert [one.found for one in some_of_each(looked, 4, a_recording=4)] == [False, False, True]
