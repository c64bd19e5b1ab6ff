"""Which calls follow each other too closely for the score of frames to fall between them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ecotf.datasets.pauses import joined_pauses


def table_of(*rows: tuple[object, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label"])


def test_the_part_of_short_pauses_is_that_of_a_class_in_one_recording():
    close = [("a.wav", at, at + 1.0, "piha") for at in (0.0, 1.05, 2.05, 3.0, 9.0)]  # 0.05, 0, -0.05 and 5 s
    far = [("b.wav", 10.0 * at, 10.0 * at + 1.0, label) for at in range(3) for label in ("piha", "owl")]
    found = joined_pauses(table_of(*close, *far), ["owl", "piha", "wren"], 0.08)
    assert found == {"owl": 0.0, "piha": pytest.approx(3 / 6), "wren": 0.0}


def test_a_call_inside_a_long_one_ends_no_pause():
    rows = [("a.wav", at, at + 5.0, "owl") for at in (0.0, 20.0, 40.0)]
    rows += [("a.wav", at + 1.0, at + 2.0, "owl") for at in (0.0, 20.0, 40.0)]
    assert joined_pauses(table_of(*rows), ["owl"], 0.08) == {"owl": pytest.approx(3 / 5)}


def test_two_short_pauses_are_a_slip_and_the_same_box_twice_is_one():
    rows = [("a.wav", at, at + 1.0, "owl") for at in (0.0, 1.0, 2.0, 2.0, 2.0)]
    assert joined_pauses(table_of(*rows), ["owl"], 0.08) == {"owl": 0.0}


def test_labels_that_are_somewhere_and_rows_without_an_end_say_nothing():
    rows = [("a.wav", at, at + 1.0, "owl") for at in (0.0, 1.0, 2.0, 3.0)]
    assert joined_pauses(table_of(*rows).assign(weak="yes"), ["owl"], 0.08) == {"owl": 0.0}
    assert joined_pauses(table_of(*rows).assign(end_s=np.nan), ["owl"], 0.08) == {"owl": 0.0}
    assert joined_pauses(table_of(), ["owl"], 0.08) == {"owl": 0.0}
