"""Early stopping of bad trials: the median rule worked by hand, and in a real fit."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from ecotf.models.backbones.field_cnn import FieldCnnConfig
from ecotf.models.heads.dense import DenseHeadConfig
from ecotf.models.patch_network import NetworkConfig, build_network
from ecotf.pipelines.patches import PatchesConfig, PatchTable, cut_table
from ecotf.pipelines.spectrogram_store import StoredSpectrogram
from ecotf.tasks.calls.fit_network import FitNetworkStage, fit_network
from ecotf.tasks.calls.material import Material
from ecotf.training.stages import FitPlace
from ecotf.tuning.config import StoppingConfig
from ecotf.tuning.stopping import MedianWatch, StoppedEarly, limits_from
from ecotf.tuning.trial import Outcome


def trial(status: str = "done", **scores: list[float]):
    return SimpleNamespace(outcome=Outcome(status, scores=scores))


RULE = StoppingConfig(after_trials=3, after_epochs=2)


def test_the_medians_by_hand():
    """Best so far: 1 3 3, then 2 2 2 (it ended by itself), then 4 4 6; and 1 1, stopped."""
    trials = [trial(calls=[0.1, 0.3, 0.2]), trial(calls=[0.2]), trial(calls=[0.4, 0.2, 0.6])]
    assert limits_from(trials, RULE) == {"calls": [-1.0, 0.3, 0.3]}
    stopped = trial("stopped", calls=[0.1, 0.05])
    assert limits_from([*trials, stopped], RULE)["calls"] == pytest.approx([-1.0, (0.2 + 0.3) / 2, 0.3])


def test_nothing_is_stopped_before_there_is_enough_to_compare_with():
    two = [trial(calls=[0.5, 0.5])] * 2
    assert limits_from([*two, trial("stopped", calls=[0.1]), trial("failed")], RULE) == {}
    assert limits_from([*two, trial()], RULE) == {}, "trials without a network's scores are none to compare with"
    assert limits_from([*two, *two], None) == {}
    assert limits_from([*two, *two], RULE) == {"calls": [-1.0, 0.5]}


def test_each_network_has_its_own():
    trials = [trial(finder=[0.5, 0.6], namer=[0.1])] * 3
    assert limits_from(trials, RULE) == {"finder": [-1.0, 0.6], "namer": [-1.0]}


def history(*scores: float) -> list[dict]:
    return [{"network": "calls", "valid_score": score} for score in scores]


def test_a_trial_below_the_median_is_stopped():
    watch = MedianWatch({"calls": [-1.0, 0.3, 0.4]})
    for fine in ([0.0], [0.0, 0.3], [0.4, 0.1, 0.1], [0.1, 0.2, 0.4, 0.1, 0.1, 0.1]):
        watch.check(history(*fine))
    with pytest.raises(StoppedEarly, match=r"calls: 0\.290 after epoch 2, the median of earlier trials is 0\.300") as e:
        watch.check(history(0.29, 0.1))
    assert e.value.scores == {"calls": [0.29, 0.1]} and e.value.epochs == 2
    with pytest.raises(StoppedEarly):  # later than any earlier trial came: the last median holds
        watch.check(history(0.0, 0.3, 0.39, 0.39, 0.39))
    MedianWatch({}).check(history(0.0))
    MedianWatch({"other": [0.9]}).check(history(0.0))


# --- in a fit --------------------------------------------------------------------------------------------------------

WINDOWS = PatchesConfig(width_s=0.016)
STAGE = FitNetworkStage(network="calls", batch=20, epochs=4, learning_rate=0.01, min_delta=0.0)


@pytest.fixture(scope="module", autouse=True)
def deterministic(uncompiled):
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()


@pytest.fixture(scope="module")
def spectrograms() -> list[StoredSpectrogram]:
    """Noise, with a low or a high blob here and there."""
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 1, (2000, 32)).astype(np.float32)
    for tenth in range(0, 10, 2):
        rows = slice(4, 10) if tenth % 4 else slice(20, 26)
        values[200 * tenth + 96 : 200 * tenth + 104, rows] += 2
    return [StoredSpectrogram(values, 0.0005, 0.0005, 0.0, np.arange(32.0), 1.0, 256_000, 0.0)]


def patches() -> PatchTable:
    tenth = np.repeat(np.arange(10), 4)
    species = np.stack([(tenth % 4 == 2), (tenth % 4 == 0)], axis=1).astype(np.uint8)
    return PatchTable(np.zeros(40, int), tenth / 10 + 0.05, species)


def fit(spectrograms, checkpoint, watch=None, log=lambda line: None):
    import keras

    keras.utils.set_random_seed(5)
    backbone = FieldCnnConfig(filters=(2, 4, 4), squeeze=2, embedding=4)
    network = build_network(NetworkConfig(name="calls", backbone=backbone, head=DenseHeadConfig()), 2, 16, 16)
    material = Material(patches(), patches(), spectrograms, WINDOWS, 7)
    rows = fit_network(network, STAGE, material, FitPlace(checkpoint, log, watch, save_every_s=-1.0))
    return network, rows


@pytest.fixture(scope="module")
def watched(spectrograms, tmp_path_factory):
    """A fit that was watched to its end."""
    return fit(spectrograms, tmp_path_factory.mktemp("watched") / "a.npz", MedianWatch({"calls": [0.0] * 4}))


def test_watching_changes_nothing_and_measures_mean_average_precision(spectrograms, tmp_path, watched):
    plain, rows = fit(spectrograms, tmp_path / "a.npz")
    network, measured = watched
    for one, other in zip(plain.model.get_weights(), network.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert measured[rows.columns].equals(rows)
    best = int(measured["valid_loss"].idxmin())
    targets = patches().targets("call_and_species")
    scores = network.model.predict(cut_table(patches(), spectrograms, WINDOWS), verbose=0)
    expected = np.mean([average_precision_score(targets[:, k], scores[:, k]) for k in range(3)])
    assert measured["valid_score"][best] == pytest.approx(expected, abs=1e-6)


def test_a_bad_fit_ends_at_the_same_epoch_with_or_without_a_kill(spectrograms, tmp_path, watched):
    limits = {"calls": [-1.0, -1.0, 1.1]}  # nothing can be that good in epoch 3

    def die_after_two(line: str) -> None:
        if "epoch 2/" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(spectrograms, tmp_path / "b.npz", MedianWatch(limits), die_after_two)
    with pytest.raises(StoppedEarly) as resumed:
        fit(spectrograms, tmp_path / "b.npz", MedianWatch(limits))
    assert resumed.value.scores == {"calls": watched[1]["valid_score"][:3].tolist()}
