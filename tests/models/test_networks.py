"""Networks and detectors: the published sizes, what the scores mean, and that what is saved comes back the same."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from ecotf.errors import ConfigError
from ecotf.features.peaks import MEASURES
from ecotf.features.spectrogram import BandSpectrogramConfig
from ecotf.models.backbones.cnn import CnnConfig
from ecotf.models.backbones.field_cnn import FieldCnnConfig
from ecotf.models.detector import Detector
from ecotf.models.heads.dense import DenseHeadConfig
from ecotf.models.heads.trees import TreesConfig, fit_trees
from ecotf.models.patch_network import NetworkConfig, build_network
from ecotf.models.saved import build_detector, load_weights, patch_shape, save_detector
from ecotf.pipelines.patches import PatchesConfig
from ecotf.tasks.recipes import load_recipe

FRONT_END = BandSpectrogramConfig(window_s=0.002, hop_s=0.0005, low_hz=10_000, high_hz=26_000)  # 32 rows
WINDOWS = PatchesConfig(width_s=0.016)  # 16 columns by 16 bands
SPECIES = ("Nyc", "Pip")
CNN = CnnConfig(convolutions=2, filters=4, kernel=3, dense_units=6)
FIELD = FieldCnnConfig(filters=(4, 4, 4), squeeze=2, embedding=5)


def network(name: str, answers: str, backbone=CNN, activation: str = "sigmoid") -> NetworkConfig:
    return NetworkConfig(name=name, backbone=backbone, head=DenseHeadConfig(answers=answers, activation=activation))


ONE = (network("calls", "call_and_species"),)
TWO = (network("finder", "call", activation="softmax"), network("namer", "species", FIELD))


def detector_of(networks: tuple[NetworkConfig, ...], seed: int = 1) -> Detector:
    keras.utils.set_random_seed(seed)
    return build_detector(FRONT_END, WINDOWS, networks, SPECIES)


@pytest.fixture(scope="module")
def patches() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 4, (9, 16, 16, 1)).astype(np.float32)


# --- sizes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "published"),
    [("bats/cnn8", [569_048]), ("bats/cnn2", [211_442, 974_079]), ("bats/hybrid_cnn_xgboost", [569_048])],
)
def test_published_numbers_of_parameters(recipe, published):
    """Seven species and "not a call"; patches of 20 columns by 130 bands (Dierckx et al., IDA 2022)."""
    plan = load_recipe(recipe)
    assert patch_shape(plan.front_end, plan.patches) == (20, 130)
    built = [build_network(config, 7, 20, 130) for config in plan.networks]
    assert [network.n_parameters for network in built] == published


def test_the_field_network_fits_a_recorder():
    plan = load_recipe("bats/field")
    for n_species in (7, 30):
        (built,) = (
            build_network(config, n_species, *patch_shape(plan.front_end, plan.patches)) for config in plan.networks
        )
        assert built.n_parameters < 100_000


# --- building --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backbone", [CNN, FIELD, CnnConfig(convolutions=1, filters=2, dense_layers=3, dense_units=4)])
def test_a_network_gives_one_score_for_each_answer(backbone, patches):
    for answers, scores in (("call_and_species", 3), ("call", 2), ("species", 2)):
        built = build_network(network("calls", answers, backbone), 2, 16, 16)
        assert built.model.output_shape == (None, scores)
        assert len(built.backbone.output_shape) == 2
        answer = built.model(patches, training=False).numpy()
        assert answer.min() >= 0
        assert answer.max() <= 1
    softmax = build_network(network("calls", "call", backbone, "softmax"), 2, 16, 16)
    np.testing.assert_allclose(softmax.model(patches).numpy().sum(axis=1), 1, atol=1e-5)


def test_the_seed_decides_the_weights():
    same, again, other = (detector_of(ONE, seed).networks[0].model.get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(same, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(same, other, strict=True))


# --- scores ----------------------------------------------------------------------------------------------------------


def test_one_network_gives_its_own_scores(patches):
    detector = detector_of(ONE)
    scores = detector.combine(detector.run(patches))
    np.testing.assert_allclose(scores, detector.networks[0].model.predict(patches, verbose=0), atol=1e-6)
    assert not detector.is_cascade


def test_a_cascade_gives_not_a_call_from_the_first_and_species_from_the_second(patches):
    detector = detector_of(TWO)
    first, second = (network.model.predict(patches, verbose=0) for network in detector.networks)
    scores = detector.combine(detector.run(patches))
    np.testing.assert_allclose(scores[:, 0], first[:, 0], atol=1e-6)
    np.testing.assert_allclose(scores[:, 1:], second, atol=1e-6)
    assert scores.shape == (9, 3)
    assert detector.is_cascade


def with_trees(detector: Detector, patches: np.ndarray, measures: bool = False) -> Detector:
    seen = detector.networks[0].backbone.predict(patches, verbose=0)
    if measures:
        scores = detector.networks[0].model.predict(patches, verbose=0)
        seen = np.hstack([seen, scores, measures_of(patches)])
    targets = np.random.default_rng(1).integers(0, 2, (len(patches), 3))
    config = TreesConfig(n_estimators=3, measures=measures, min_child_weight=0)
    return detector.with_trees(fit_trees(config, seen, targets, 1, 1))


def measures_of(patches: np.ndarray) -> np.ndarray:
    return np.random.default_rng(len(patches)).normal(size=(len(patches), len(MEASURES))).astype(np.float32)


def test_trees_see_the_embedding_and_replace_the_head(patches):
    plain = detector_of(ONE)
    before = plain.combine(plain.run(patches))
    detector = with_trees(plain, patches)
    embedding = detector.networks[0].backbone.predict(patches, verbose=0)
    (seen,) = detector.run(patches)
    np.testing.assert_allclose(seen, embedding, atol=1e-6)
    np.testing.assert_allclose(detector.combine([seen]), detector.trees.predict(embedding), atol=1e-6)
    np.testing.assert_array_equal(plain.combine(plain.run(patches)), before)  # the one without trees is as it was
    assert not detector.needs_measures


def test_trees_may_see_the_scores_and_the_measures_of_the_peak_too(patches):
    detector = with_trees(detector_of(ONE), patches, measures=True)
    assert detector.needs_measures
    (network,) = detector.networks
    seen = [network.backbone.predict(patches, verbose=0), network.model.predict(patches, verbose=0)]
    expected = detector.trees.predict(np.hstack([*seen, measures_of(patches)]))
    scores = detector.combine(detector.run(patches), measures_of(patches))
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_scores_follow_the_weights_after_a_first_look(patches):
    """The compiled function reads the weights that the network has, also those that are loaded later."""
    detector, other = detector_of(ONE, 1), detector_of(ONE, 2)
    detector.run(patches)
    detector.networks[0].model.set_weights(other.networks[0].model.get_weights())
    np.testing.assert_allclose(detector.run(patches)[0], other.run(patches)[0], atol=1e-6)


@pytest.mark.parametrize("n", [1, 33])
def test_any_number_of_patches_is_scored(n):
    detector = detector_of(TWO)
    patches = np.zeros((n, 16, 16, 1), np.float32)
    assert detector.combine(detector.run(patches)).shape == (n, 3)


# --- on disk ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("networks", "trees"), [(ONE, False), (ONE, True), (TWO, False)])
def test_a_detector_comes_back_from_disk(tmp_path, patches, networks, trees):
    detector = detector_of(networks)
    # Batch normalisation keeps what it saw in training; that must come back, too.
    for built in detector.networks:
        built.model(patches, training=True)
    if trees:
        detector = with_trees(detector, patches)
    save_detector(detector, tmp_path)
    loaded = load_weights(detector_of(networks, seed=99), tmp_path, trees)
    np.testing.assert_array_equal(loaded.combine(loaded.run(patches)), detector.combine(detector.run(patches)))
    assert (loaded.trees is not None) is trees


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_missing_and_damaged_weights_are_explained(tmp_path, patches):
    save_detector(detector_of(ONE), tmp_path)
    path = tmp_path / "calls.weights.h5"
    with pytest.raises(ConfigError, match=r"finder\.weights\.h5 are missing"):
        load_weights(detector_of(TWO), tmp_path, False)
    wider = (network("calls", "call_and_species", CnnConfig(convolutions=2, filters=5, kernel=3, dense_units=6)),)
    with pytest.raises(ConfigError, match="not of this recipe") as error:
        load_weights(detector_of(wider), tmp_path, False)
    assert "\n" not in str(error.value)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ConfigError, match="damaged") as error:
        load_weights(detector_of(ONE), tmp_path, False)
    assert "\n" not in str(error.value)
