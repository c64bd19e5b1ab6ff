"""Fitting a network: the same seed gives the same weights, with or without a kill, and the best epoch is what stays."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_sample_weight

from ecotf.errors import ConfigError, EcotfError
from ecotf.models.backbones.cnn import CnnConfig
from ecotf.models.backbones.field_cnn import FieldCnnConfig
from ecotf.models.detector import Detector
from ecotf.models.heads.dense import DenseHeadConfig
from ecotf.models.heads.trees import TreesConfig
from ecotf.models.patch_network import Network, NetworkConfig, build_network
from ecotf.pipelines.class_weights import balanced_weights
from ecotf.pipelines.patch_batches import AugmentationConfig
from ecotf.pipelines.patches import PatchesConfig, PatchTable, cut_table
from ecotf.pipelines.spectrogram_store import StoredSpectrogram
from ecotf.tasks.calls.fit_network import FitNetworkStage, fit_network
from ecotf.tasks.calls.fit_trees import FitTreesStage, embed_patches
from ecotf.tasks.calls.material import Material
from ecotf.tasks.recipes import load_recipe
from ecotf.training.stages import STAGES, FitPlace

WINDOWS = PatchesConfig(width_s=0.016)
FRONT_END = load_recipe("bats/field").front_end
FIELD = FieldCnnConfig(filters=(2, 4, 4), squeeze=2, embedding=4, dropout=0.3)
STAGE = FitNetworkStage(
    network="calls", batch=16, epochs=4, learning_rate=0.01, min_delta=0.0,
    augmentation=AugmentationConfig(level_shift=0.7, time_mask=0.2),
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def deterministic():
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()


@pytest.fixture(scope="module")
def spectrograms() -> list[StoredSpectrogram]:
    """Noise; in the even tenths of the second a low or a high blob, told by its row."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(2):
        values = rng.uniform(0, 1, (2000, 32)).astype(np.float32)
        for tenth in range(0, 10, 2):
            at = 200 * tenth + 100
            rows = slice(4, 10) if tenth % 4 else slice(20, 26)
            values[at - 4 : at + 4, rows] += 5
        found.append(StoredSpectrogram(values, 0.0005, 0.0005, 0.0, np.arange(32.0), 1.0, 256_000, 0.0))
    return found


def table_of(recording: int) -> PatchTable:
    times = np.repeat(np.arange(10) / 10 + 0.05, 6) + np.tile(np.linspace(-0.002, 0.002, 6), 10)
    tenth = np.repeat(np.arange(10), 6)
    species = np.stack([(tenth % 4 == 2), (tenth % 4 == 0)], axis=1).astype(np.uint8)
    return PatchTable(np.full(60, recording), times, species)


def fresh(backbone=FIELD, answers: str = "call_and_species", activation: str = "sigmoid") -> Network:
    keras.utils.set_random_seed(5)
    head = DenseHeadConfig(answers=answers, activation=activation)
    return build_network(NetworkConfig(name="calls", backbone=backbone, head=head), 2, 16, 16)


def material_of(spectrograms, tables=None, seed=7, **more) -> Material:
    train, valid = tables or (table_of(0), table_of(1))
    return Material(train, valid, spectrograms, WINDOWS, seed, **more)


def fit(network: Network, spectrograms, checkpoint, stage=STAGE, seed=7, log=lambda line: None, tables=None, **place):
    place = FitPlace(checkpoint, log, **place)
    return fit_network(network, stage, material_of(spectrograms, tables, seed), place)


def assert_same(first: Network, second: Network) -> None:
    for a, b in zip(first.model.get_weights(), second.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def fitted(spectrograms, tmp_path_factory):
    network = fresh()
    history = fit(network, spectrograms, tmp_path_factory.mktemp("fit") / "fitting.npz")
    return network, history


def test_the_loss_falls_and_every_epoch_is_noted(fitted):
    _, history = fitted
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    assert set(history["network"]) == {"calls"}
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    assert history["valid_loss"].iloc[-1] < 0.9 * history["valid_loss"].iloc[0]


def test_the_same_seed_gives_the_same_weights(fitted, spectrograms, tmp_path):
    again = fresh()
    history = fit(again, spectrograms, tmp_path / "fitting.npz")
    assert history.equals(fitted[1])
    assert_same(again, fitted[0])


def test_the_reported_loss_is_the_weighted_cross_entropy(fitted, spectrograms):
    """Of the best epoch's weights on the validation patches, worked by hand."""
    network, history = fitted
    valid = table_of(1)
    targets = valid.targets("call_and_species")
    p = network.model.predict(cut_table(valid, spectrograms, WINDOWS), verbose=0).clip(1e-7, 1 - 1e-7)
    each = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean(axis=1)
    assert history["valid_loss"].min() == pytest.approx((each * balanced_weights(targets)).mean(), rel=1e-4)


def pretend(network: Network, monkeypatch, valid_losses: list[float], losses: list[float] | None = None):
    """Replace Keras's fit, which draws new weights instead, and its evaluate, which says these losses."""
    rng, fits, values = np.random.default_rng(0), iter(losses or [1.0] * len(valid_losses)), iter(valid_losses)
    seen: list[list[np.ndarray]] = []
    patches: list[int] = []

    def train(batches, **_):
        patches.append(sum(len(x) for x, _, _ in batches))
        network.model.set_weights([rng.normal(size=w.shape) for w in network.model.get_weights()])
        seen.append(network.model.get_weights())
        return SimpleNamespace(history={"loss": [next(fits)]})

    monkeypatch.setattr(network.model, "fit", train)
    monkeypatch.setattr(network.model, "evaluate", lambda *_, **__: next(values))
    return seen, patches


def test_the_best_epochs_weights_stay(spectrograms, tmp_path, monkeypatch):
    """Validation losses fall twice, then rise: the weights of epoch 2 come back, after `patience` more epochs."""
    network = fresh()
    seen, _ = pretend(network, monkeypatch, [0.9, 0.5, 0.7, 0.8, 0.1])
    said: list[str] = []
    stage = STAGE.model_copy(update={"patience": 2, "epochs": 9})
    history = fit(network, spectrograms, tmp_path / "fitting.npz", stage, log=said.append)
    assert history["valid_loss"].tolist() == [0.9, 0.5, 0.7, 0.8]
    assert ["best so far" in line for line in said] == [True, True, False, False]
    for weight, best in zip(network.model.get_weights(), seen[1], strict=True):
        np.testing.assert_array_equal(weight, best)


def test_a_gain_below_min_delta_is_none(spectrograms, tmp_path, monkeypatch):
    network = fresh()
    pretend(network, monkeypatch, [0.9, 0.85, 0.84, 0.5])
    stage = STAGE.model_copy(update={"patience": 2, "min_delta": 0.1, "epochs": 9})
    assert len(fit(network, spectrograms, tmp_path / "fitting.npz", stage)) == 3


def test_every_epoch_draws_anew_and_from_the_seed(spectrograms, tmp_path, monkeypatch):
    firsts: list[np.ndarray] = []
    for seed in (7, 7, 8):
        network = fresh()
        pretend(network, monkeypatch, [0.9, 0.8])
        really = network.model.fit
        monkeypatch.setattr(
            network.model,
            "fit",
            lambda batches, fit=really, **more: firsts.append(next(iter(batches))[0]) or fit(batches),
        )
        fit(network, spectrograms, tmp_path / "fitting.npz", STAGE.model_copy(update={"epochs": 2}), seed)
    patches = [np.asarray(x) for x in firsts]
    assert np.array_equal(patches[0], patches[2])
    assert np.array_equal(patches[1], patches[3])
    assert not np.array_equal(patches[0], patches[1])
    assert not np.array_equal(patches[0], patches[4])


@pytest.mark.parametrize(("loss", "valid_loss"), [(np.nan, 0.5), (0.5, np.inf)])
def test_a_loss_that_is_no_number_is_explained(spectrograms, tmp_path, monkeypatch, loss, valid_loss):
    network = fresh()
    pretend(network, monkeypatch, [0.9, valid_loss], [0.9, loss])
    with pytest.raises(ConfigError, match=r"'calls': after epoch 2 the loss is not a number.*smaller learning_rate"):
        fit(network, spectrograms, tmp_path / "fitting.npz")


def test_a_namer_is_fitted_on_calls_alone(spectrograms, tmp_path, monkeypatch):
    network = fresh(answers="species")
    _, patches = pretend(network, monkeypatch, [0.5])
    fit(network, spectrograms, tmp_path / "fitting.npz", STAGE.model_copy(update={"epochs": 1}))
    assert patches == [30]  # of 60


def test_a_softmax_that_finds_calls(spectrograms, tmp_path):
    stage = STAGE.model_copy(update={"epochs": 1, "loss": "categorical"})
    finder = fresh(CnnConfig(convolutions=1, filters=2, kernel=3, dense_units=4), "call", "softmax")
    history = fit(finder, spectrograms, tmp_path / "fitting.npz", stage)
    targets = table_of(1).targets("call")
    p = finder.model.predict(cut_table(table_of(1), spectrograms, WINDOWS), verbose=0)
    each = -np.log((p * targets).sum(axis=1)) * balanced_weights(targets)
    assert history["valid_loss"].iloc[0] == pytest.approx(each.mean(), rel=1e-4)


def test_no_window_to_fit_on_is_explained(spectrograms, tmp_path):
    nothing = table_of(0).take(np.arange(0))
    for tables, side in (((nothing, table_of(1)), "training"), ((table_of(0), nothing), "validation")):
        with pytest.raises(EcotfError, match=f"the {side} recordings hold no patch"):
            fit(fresh(), spectrograms, tmp_path / "fitting.npz", tables=tables)


# --- weights of samples ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_balanced_weights_are_sklearns_where_every_sample_has_one_label(n_classes):
    codes = np.random.default_rng(n_classes).integers(0, n_classes, 50) ** 2 % n_classes
    targets = np.eye(n_classes, dtype=np.float32)[codes]
    np.testing.assert_allclose(balanced_weights(targets), compute_sample_weight("balanced", codes), rtol=1e-5)


def test_balanced_weights_of_several_labels_and_of_none():
    targets = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]], np.float32)
    # 5 samples, 2 classes present: class 0 weighs 5 / (2 x 3), class 1 weighs 5 / (2 x 2)
    first, second = 5 / 6, 5 / 4
    expected = [first, first, second, (first + second) / 2, 1]
    np.testing.assert_allclose(balanced_weights(targets), expected, rtol=1e-6)
    assert balanced_weights(targets).dtype == np.float32


# --- trees on the embedding ------------------------------------------------------------------------------------------


def test_patches_are_embedded_in_order(fitted, spectrograms):
    table = table_of(0).joined(table_of(1)).take(np.random.default_rng(0).permutation(120))
    expected = fitted[0].backbone.predict(cut_table(table, spectrograms, WINDOWS), verbose=0)
    np.testing.assert_allclose(embed_patches(fitted[0], table, spectrograms, WINDOWS), expected, atol=1e-5)


def test_trees_learn_from_the_embedding(fitted, spectrograms, tmp_path):
    said: list[str] = []
    config = TreesConfig(n_estimators=10, max_depth=3, subsample=1.0)
    detector = Detector(FRONT_END, WINDOWS, ("low", "high"), (fitted[0],))
    place = FitPlace(tmp_path / "none.npz", said.append, threads=1)
    trees = STAGES.build(FitTreesStage(), detector, material_of(spectrograms, seed=1, trees=config), place).model.trees
    scores = trees.predict(embed_patches(fitted[0], table_of(0), spectrograms, WINDOWS))
    assert scores.shape == (60, 3)
    assert ((scores > 0.5) == (table_of(0).targets("call_and_species") > 0.5)).mean() > 0.9
    assert said[-1] == "trees: 30 on 60 patches of 4 numbers"
