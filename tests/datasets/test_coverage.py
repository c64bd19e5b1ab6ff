"""What annotations say of a whole recording, and of which time nobody knows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ecotf.datasets.coverage import (
    fully_annotated,
    half_known,
    in_known_time,
    known_seconds,
    known_to_hold_nothing,
    with_nothing_heard,
)
from ecotf.datasets.manifest import make_manifest
from ecotf.errors import DataError

COLUMNS = ["recording", "start_s", "end_s", "label", "fully_annotated"]


def table_of(*rows: tuple[str, float, float, str, str]) -> pd.DataFrame:
    return make_manifest(pd.DataFrame(rows, columns=COLUMNS), "/", "test").table


MIXED = table_of(
    ("all.wav", 1.0, 2.0, "owl", "yes"),
    ("all.wav", 5.0, 6.0, "", "yes"),  # said, and known anyway
    ("boxes.wav", 1.0, 2.0, "owl", ""),  # nothing says where no owl is
    ("empty.wav", 0.0, np.nan, "", ""),
    ("some.wav", 1.0, 2.0, "owl", ""),
    ("some.wav", 5.0, 8.0, "", ""),
)


def test_only_where_stretches_without_a_call_are_annotated_and_not_all_calls_the_rest_is_unknown():
    assert set(fully_annotated(MIXED)) == {"all.wav", "empty.wav"}
    assert {name: len(rows) for name, rows in half_known(MIXED).items()} == {"some.wav": 2}


@pytest.mark.parametrize(
    ("start_s", "end_s", "known"),
    [
        (1.1, 1.9, True),  # the owl
        (1.9, 4.0, True),  # touches it: a box that is too long is wrong
        (2.5, 4.0, False),  # nobody knows
        (5.5, 6.0, True),  # a false alarm
        (4.0, 7.0, True),  # its middle is where nothing is
        (7.5, 9.5, False),  # most of it is not
    ],
)
def test_what_can_be_right_or_wrong(start_s, end_s, known):
    rows = half_known(MIXED)["some.wav"]
    assert in_known_time([start_s, 20.0], [end_s, 21.0], rows).tolist() == [known, False]
    assert in_known_time([], [], rows).shape == (0,)


@pytest.mark.parametrize(
    ("start_s", "end_s", "nothing"),
    [(5.0, 8.0, True), (4.9, 6.0, False), (7.0, 8.5, True), (8.0, 9.1, False), (1.0, 2.0, False), (11.0, 12.0, True)],
)
def test_what_is_known_to_hold_nothing(start_s, end_s, nothing):
    """All of it must be in such stretches, which may overlap or touch; one may be inside of another."""
    more = [("some.wav", 6.0, 7.0, "", ""), ("some.wav", 8.0, 9.0, "", ""), ("some.wav", 11.0, 12.0, "", "")]
    rows = table_of(("some.wav", 1.0, 2.0, "owl", ""), ("some.wav", 5.0, 8.0, "", ""), *more)
    assert known_to_hold_nothing([start_s, 20.0], [end_s, 21.0], rows).tolist() == [nothing, False]


def test_how_much_of_a_recording_is_known():
    """Stretches that overlap count once, what is beyond the recording's end and a label without an end do not."""
    rows = table_of(
        ("some.wav", 5.0, 8.0, "", ""),
        ("some.wav", 1.0, 2.0, "owl", ""),
        ("some.wav", 6.0, 6.5, "owl", ""),
        ("some.wav", 7.0, 9.0, "", ""),
        ("some.wav", 0.0, np.nan, "owl", ""),
        ("some.wav", 19.0, 22.0, "", ""),
    )
    assert known_seconds(rows, 20.0) == pytest.approx(1 + 4 + 1)
    assert known_to_hold_nothing([5.0, 2.5], [9.0, 4.0], rows).tolist() == [True, False]


@pytest.mark.parametrize(
    ("labels", "left", "told"),
    [
        (["owl", "not_owl", "nocall"], ["owl", "", ""], []),
        (["owl", "Not Owl", "unknown"], ["owl", "", "unknown"], []),  # not a class that could be there
        (
            ["owl", "not_owl", "wren"],
            ["owl", "wren"],
            ["not_owl says nothing of wren: what is there is unknown"],
        ),
        (["wren", "no_bat", "not wren"], ["wren", "", ""], []),  # no bat is no call, as ever
        (["wren", "bird", "not_bird"], ["wren", "bird", ""], []),  # no bird is no wren
        (["owl", "note", "nothura"], ["owl", "note", "nothura"], []),
    ],
)
def test_a_stretch_without_an_owl_may_hold_a_wren(labels, left, told):
    rows = [("some.wav", 5.0 * i, 5.0 * i + 1, label, "") for i, label in enumerate(labels)]
    rows += [("all.wav", 0.0, 1.0, labels[0], "yes"), ("all.wav", 2.0, 3.0, labels[1], "yes")]
    manifest = make_manifest(pd.DataFrame(rows, columns=COLUMNS), "/", "test")
    made, notes = with_nothing_heard(manifest, ("nocall", "no bat"), ("unknown", "bird"))
    of = made.table["recording"] == "some.wav"
    assert made.table["label"][of].tolist() == left
    assert len(made.table[~of]) == 2  # there all is known
    assert [note.split(" (")[0] for note in notes] == told


def test_a_recording_of_which_nothing_is_known_is_named():
    rows = [("a.wav", 0.0, 1.0, "owl", ""), ("b.wav", 0.0, 1.0, "wren", ""), ("c.wav", 0.0, np.nan, "not_owl", "")]
    made, notes = with_nothing_heard(make_manifest(pd.DataFrame(rows, columns=COLUMNS), "/", "test"), (), ())
    assert made.recordings == ["a.wav", "b.wav"]
    assert notes[1:] == ["recordings of which nothing else is known, left out: 1 (c.wav)"]


def test_rows_of_a_recording_that_do_not_agree_are_refused():
    with pytest.raises(DataError, match=r"'a.wav' is fully_annotated in some rows and not in others"):
        fully_annotated(table_of(("a.wav", 1.0, 2.0, "owl", "yes"), ("a.wav", 3.0, 4.0, "owl", "")))
