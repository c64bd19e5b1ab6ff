"""Which labels are no event, which are an event of unknown species, and which are names."""

import numpy as np
import pandas as pd
import pytest

from ecotf.datasets.labels import (
    IGNORED_LABELS,
    NO_EVENT_LABELS,
    UNNAMED_EVENT_LABELS,
    UNNAMED_LABELS,
    labels_that_match,
    unnamed_among,
)
from ecotf.pipelines.patch_places import annotations_of, label_peaks, match_peaks, patches_at_calls, patches_at_peaks
from ecotf.pipelines.patches import NOT_KNOWN, UNNAMED, PatchesConfig

NO_CALLS = [
    "Not Bat", "NOT_BAT", "not-bat", "no bat", "No_Bat", "nocall", "no call", "No-Call", "not_call", "noise", "Noise ",
    "Background", "background noise", "None", "insect sp6", "Bush-cricket", "Turdus merula (bird)", "rain",
]  # fmt: skip
OF_A_BAT = ["bat", "Bat sp.", "BAT_SP", "Unknown", "NoID", "no id", "No_ID", "unidentified", "Chiroptera", "?"]
NAMES = [
    "Pippip", "Barbastella barbastellus", "Batrachia", "Myotis sp.", "Unknown Myotis", "=1+$x^{$", "SP", "NA", "nan",
    "Noctula", "Nyctalus noctula", "not_boobook", "callisto", "combat", "[x]",
]  # fmt: skip


def test_what_a_detector_of_calls_takes_for_what():
    labels = [*NO_CALLS, *OF_A_BAT, *NAMES]
    assert labels_that_match(labels, IGNORED_LABELS) == NO_CALLS
    assert labels_that_match(labels, UNNAMED_LABELS) == OF_A_BAT


def test_birds_and_bats_are_classes_of_task_clips():
    labels = ["bird", "bat", "insects", "rain", "Unknown", "NoID", "nocall", "background", "call"]
    assert labels_that_match(labels, NO_EVENT_LABELS) == ["nocall", "background"]
    assert labels_that_match(labels, UNNAMED_EVENT_LABELS) == ["Unknown", "NoID"]


def test_where_nothing_else_is_there_it_is_a_name():
    assert unnamed_among(["bat", "Bat sp."], UNNAMED_LABELS) == []
    assert unnamed_among(["bat", "Pippip"], UNNAMED_LABELS) == ["bat"]


@pytest.fixture
def annotations():
    """Pippip at 0.1 s, a bat at 0.2 s, both at once at 0.3 s, and a species that is not learned at 0.4 s."""
    rows = [(0.1, "Pippip"), (0.2, "bat"), (0.3, "bat"), (0.3, "Pippip"), (0.4, "Rare")]
    calls = pd.DataFrame([(at - 0.002, at + 0.002, label) for at, label in rows], columns=["start_s", "end_s", "label"])
    return annotations_of(calls, calls.iloc[:0], ["Myotis", "Pippip"], ["bat"])


def test_a_call_of_unknown_species_is_a_call_and_names_none(annotations):
    config = PatchesConfig(shift_s=(), negatives_per_call=0)
    at_calls = patches_at_calls(0, 0.5, annotations, 2, config, np.random.default_rng(0))
    peaks = np.array([0.1, 0.2, 0.3, 0.4])
    at_peaks = patches_at_peaks(0, peaks, np.ones(4), 0.5, annotations, 2, config, np.random.default_rng(0))
    for table in (at_calls, at_peaks):
        by_time = {round(float(time), 3): row.tolist() for time, row in zip(table.time_s, table.species, strict=True)}
        assert by_time == {0.1: [0, 1], 0.2: [UNNAMED, UNNAMED], 0.3: [0, 1]}
        assert table.is_call.all() and table.is_unnamed.tolist() == (np.round(table.time_s, 3) == 0.2).tolist()
        unnamed = table.take(np.flatnonzero(table.is_unnamed))
        assert unnamed.targets("call").tolist() == [[0, 1]]
        assert unnamed.targets("call_and_species").tolist() == [[0, NOT_KNOWN, NOT_KNOWN]]
    match = match_peaks(peaks, np.ones(4), annotations, config.match_s)
    assert label_peaks(peaks, match, annotations, 2, config.merge_s)[3].tolist() == [0, 0]


def test_what_is_not_known_is_no_error():
    from ecotf.tasks.calls.fit_network import known_cross_entropy

    targets = np.array([[0, NOT_KNOWN, NOT_KNOWN], [0, 1, 0]], np.float32)
    scores = np.array([[0.25, 0.9, 0.1], [0.25, 0.5, 0.5]], np.float32)
    first, second = np.asarray(known_cross_entropy(targets, scores))
    assert first == pytest.approx(-np.log(0.75) / 3, rel=1e-5)
    assert second == pytest.approx(-(np.log(0.75) + 2 * np.log(0.5)) / 3, rel=1e-5)
