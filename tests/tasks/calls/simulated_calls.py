"""Simulated recordings of two species, prepared for a training on calls."""

from __future__ import annotations

from ecotf.audio.simulate import SimulationConfig
from ecotf.datasets.manifest import Manifest
from ecotf.pipelines.spectrogram_store import SpectrogramStore
from ecotf.tasks.calls.data import CallDataConfig, TrainingData, prepare_data
from ecotf.tasks.calls.recipe import CallRecipe
from ecotf.tasks.recipes import load_recipe

PIP, MYO = "Pipistrellus pipistrellus", "Myotis daubentonii"
SOUNDS = SimulationConfig(
    n_recordings=8, duration_s=0.6, seed=5, species=(PIP, MYO), empty_fraction=0.1, passes=(1, 1), snr_db=(50, 70)
)


def prepare(
    manifest: Manifest, recipe: CallRecipe | None = None, said: list[str] | None = None, **config
) -> TrainingData:
    recipe = recipe or load_recipe("bats/field")
    store = SpectrogramStore(None, recipe.front_end)
    log = (lambda line: None) if said is None else said.append
    return prepare_data(manifest, CallDataConfig(**config), store, recipe.seed, log, 1)
