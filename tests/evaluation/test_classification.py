"""Species naming: confusion, majority species and calibration, by hand and against scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss
from sklearn.metrics import confusion_matrix as sklearn_confusion

from ecotf.errors import DataError
from ecotf.evaluation import calibration
from ecotf.evaluation.classification import (
    above_thresholds,
    confusion_matrix,
    count_per_recording,
    label_tracks,
    majority_files,
)

SPECIES = ["Myosp", "Pip35", "Rhisp"]


def table(rows):
    """Rows of (recording index, time, label[, score]): calls of 10 ms."""
    columns = ["recording_index", "time", "label", "score"]
    frame = pd.DataFrame([(*row, 0.9)[:4] for row in rows], columns=columns)
    return frame.assign(start_s=frame["time"] - 0.005, end_s=frame["time"] + 0.005)


def test_one_name_per_call_gives_sklearns_matrix():
    rng = np.random.default_rng(0)
    truth, named = rng.choice(SPECIES, 80), rng.choice(SPECIES, 80)
    calls = table([(i % 7, i * 0.1, label) for i, label in enumerate(truth)])
    kept = table([(i % 7, i * 0.1, label, rng.random()) for i, label in enumerate(named)])
    found = confusion_matrix(kept, calls, SPECIES, 0.01)
    assert found["rows"] == [*SPECIES, "no call"] and found["columns"] == [*SPECIES, "missed"]
    np.testing.assert_array_equal(np.array(found["counts"])[:3, :3], sklearn_confusion(truth, named, labels=SPECIES))
    assert np.array(found["counts"])[3].sum() == 0 and np.array(found["counts"])[:, 3].sum() == 0


def test_own_species_first_then_any_then_left_over():
    calls = table([(0, 1.0, "Myosp"), (0, 1.0, "Pip35"), (0, 2.0, "Rhisp"), (0, 3.0, "Rhisp"), (1, 1.0, "Nycsp")])
    kept = table(
        [
            (0, 1.0, "Pip35", 0.9),  # right, though the call of Myosp is as near
            (0, 1.0, "Rhisp", 0.8),  # what Myosp was named
            (0, 1.0, "Myosp", 0.2),  # right, though named less surely than Rhisp: so Rhisp is a second name
            (0, 2.0, "Pip35", 0.7),  # Rhisp named Pip35
            (1, 1.0, "Myosp", 0.6),  # a species that cannot be named
            (1, 9.0, "Myosp", 0.6),  # nothing there
        ]
    )
    found = confusion_matrix(kept, calls, SPECIES, 0.01)
    assert found["rows"] == [*SPECIES, "other species", "no call"]
    assert found["counts"] == [
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 1, 0, 1],
        [1, 0, 0, 0],
        [1, 0, 1, 0],
    ]


def test_sums_and_diagonal_agree_with_the_counts():
    rng = np.random.default_rng(4)
    calls = table([(rng.integers(5), rng.uniform(0, 2), rng.choice([*SPECIES, "Nycsp"])) for _ in range(150)])
    rows = [(rng.integers(5), rng.uniform(0, 2), rng.choice(SPECIES), rng.random()) for _ in range(300)]
    detections = table(rows)
    thresholds = {"Myosp": 0.3, "Pip35": 0.5, "Rhisp": 0.7}
    kept = above_thresholds(detections, thresholds)
    counts = np.array(confusion_matrix(kept, calls, SPECIES, 0.01)["counts"])
    hits, found, true = count_per_recording(label_tracks(detections, calls, SPECIES, 5, 0.01), thresholds)
    np.testing.assert_array_equal(np.diag(counts[:3, :3]), hits.sum(axis=0))
    np.testing.assert_array_equal(counts[:, :3].sum(axis=0), found.sum(axis=0))
    np.testing.assert_array_equal(counts[:3].sum(axis=1), true.sum(axis=0))
    assert counts[:4].sum() == len(calls)
    for i, label in enumerate(SPECIES):
        for recording in range(5):
            here = kept[(kept["label"] == label) & (kept["recording_index"] == recording)]
            assert found[recording, i] == len(here)


def test_majority_species_of_a_recording():
    calls = table(
        [
            *[(0, t, "Myosp") for t in (1, 2)], (0, 3, "Pip35"),  # Myosp, detected so
            *[(1, t, "Rhisp") for t in (1, 2)],                    # Rhisp, detected as Pip35
            (2, 1, "Myosp"), (2, 2, "Pip35"),                      # equal numbers: not judged
            (3, 1, "Pip35"),                                       # nothing detected: wrong
            (4, 1, "Nycsp"),                                       # no species that can be named: not judged
            (5, 1, "Pip35"),                                       # tie of detections goes to the surer
        ]
    )  # fmt: skip
    kept = table(
        [
            *[(0, 1, "Myosp"), (0, 2, "Myosp"), (0, 9, "Pip35"), (1, 1, "Pip35"), (2, 1, "Myosp"), (4, 1, "Myosp")],
            *[(5, 1, "Pip35", 0.9), (5, 2, "Myosp", 0.6)],
        ]
    )
    found = majority_files(kept, calls, SPECIES, 7)
    assert found.judged.tolist() == [True, True, False, True, False, True, False]
    assert found.right.tolist() == [True, False, False, False, False, True, False]
    assert (found.n_tied, found.n_without_calls) == (1, 2)


def test_label_without_threshold_is_refused():
    with pytest.raises(DataError, match="no threshold for label 'Rhisp'"):
        above_thresholds(table([(0, 1.0, "Rhisp")]), {"Myosp": 0.5})
    assert above_thresholds(table([(0, 1.0, "Myosp", 0.5), (0, 1.0, "Myosp", 0.49)]), {"Myosp": 0.5}).shape[0] == 1


def test_calibration_by_hand_and_by_sklearn():
    scores, hits = [0.05, 0.15, 0.15, 0.95, 0.95, 1.0], [False, True, False, True, True, False]
    found = calibration(scores, hits)
    assert found["brier_score"] == pytest.approx(brier_score_loss(hits, scores))
    by_hand = (1 * 0.05 + 2 * abs(0.15 - 0.5) + 3 * abs(2.9 / 3 - 2 / 3)) / 6
    assert found["expected_calibration_error"] == pytest.approx(by_hand)
    assert [row["n"] for row in found["bins"]] == [1, 2, 0, 0, 0, 0, 0, 0, 0, 3]
    assert found["bins"][1]["hit_rate"] == 0.5 and found["bins"][2]["hit_rate"] is None


def test_calibrated_scores_have_small_error():
    rng = np.random.default_rng(0)
    scores = rng.random(20_000)
    assert calibration(scores, rng.random(20_000) < scores)["expected_calibration_error"] < 0.015
    assert calibration(scores**3, rng.random(20_000) < scores)["expected_calibration_error"] > 0.15


def test_what_cannot_be_calibrated():
    assert calibration([], []) is None
    assert calibration([0.5, 3.2], [True, False]) is None
    with pytest.raises(DataError, match="1 of 2 scores are NaN"):
        calibration([0.5, np.nan], [True, False])
    with pytest.raises(DataError, match="one length"):
        calibration([0.5], [True, False])
