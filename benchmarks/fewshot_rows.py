"""The rows of the few-shot benchmark: how each model turns the tested clips into numbers."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fewshot_data import Direction
from tagging_models import RATE, SPECTROGRAM, Clock, told

from ecotf.audio.voice_dataset import VoicesConfig, simulate_voices
from ecotf.errors import ConfigError
from ecotf.evaluation.episodes import Answer
from ecotf.features import MelSpectrogram, MelSpectrogramConfig
from ecotf.runs import RunFolder
from ecotf.tasks.recipes import load_trainable, read_run_recipe
from ecotf.tasks.training_run import resume_run, train_run


@dataclass(frozen=True)
class Embedded:
    """The tested clips as a model sees them.

    Attributes
    ----------
    rows
        ``[n, numbers]``.
    compared, answer
        What the rule of the model's own head compares, and the rule; None where it has none.
    cost
        Seconds of training, parameters.
    """

    rows: np.ndarray
    compared: np.ndarray | None = None
    answer: Answer | None = None
    cost: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Statistics:
    """Mean and deviation of log-mel bands, as the tagging benchmark has them; nothing is trained."""

    title: str = "log-mel statistics"
    seeds: tuple[int, ...] = (0,)

    def embed(self, direction: Direction, runs: Path, name: str, seed: int, threads: int) -> Embedded:
        """Compute them."""
        spectrogram = MelSpectrogram(MelSpectrogramConfig.model_validate({**SPECTROGRAM, "centred": True}), RATE)
        levels = [spectrogram(sound) for sound in direction.sounds(RATE)]
        return Embedded(np.stack([np.concatenate([one.mean(axis=0), one.std(axis=0)]) for one in levels]))


@dataclass(frozen=True)
class Published:
    """A model of others, from the user's own file: the mean of the embeddings of its windows."""

    title: str
    description: str
    needs: str
    seeds: tuple[int, ...] = (0,)

    def embed(self, direction: Direction, runs: Path, name: str, seed: int, threads: int) -> Embedded:
        """Embed the clips; raises `ConfigError` where the file is not given."""
        from ecotf.embeddings import embed_clips
        from ecotf.models.embedders import open_embedder

        if not os.environ.get(self.needs):
            raise ConfigError(f"{self.title}: set {self.needs} to your own file")
        embedder = open_embedder(self.description, os.environ[self.needs])
        return Embedded(embed_clips(embedder, direction.sounds(embedder.sample_rate), runs / "cache" / "embeddings"))


@dataclass(frozen=True)
class Trained:
    """A recipe, trained as ``ecotf train`` does; each tested clip goes through its network as a whole.

    Attributes
    ----------
    voices
        Train on simulated voices too.
    """

    title: str
    recipe: str
    overrides: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (1,)
    voices: bool = False

    def embed(self, direction: Direction, runs: Path, name: str, seed: int, threads: int) -> Embedded:
        """Train where that is not done, and embed the clips."""
        from ecotf.tasks.loading import load_runs

        recipe = load_trainable(self.recipe, [*self.overrides, f"seed={seed}"])
        folder, began = runs / direction.name / name / f"seed_{seed}", Clock()
        done = sorted(folder.glob("**/progress.json"))
        options: dict[str, Any] = {"cache": runs / "cache", "threads": threads, "log": told}
        if not done:
            voices = runs / "voices" if self.voices else None
            if voices is not None and not (voices / "manifest.csv").exists():
                simulate_voices(voices, VoicesConfig())
            path = train_run(recipe, direction.manifest(voices), folder, **options)
        elif read_run_recipe(done[0].parent) != recipe:
            raise ConfigError(f"{done[0].parent}: was trained with another recipe than is asked for; move it away")
        else:
            path = resume_run(done[0].parent, **options)
        run: Any = load_runs([path])
        model, own = run.model, run.recipe.own_rule(run.model)
        sounds = [sound[None] for sound in direction.sounds(model.sample_rate)]
        rows = np.concatenate([model.embed(sound) for sound in sounds])
        history = RunFolder.open(path).read_table("history.csv")
        cost = {"parameters": model.n_parameters, "seconds": float(history["seconds"].sum()), **began.passed()}
        if own is None:
            return Embedded(rows, cost=cost)
        return Embedded(rows, np.concatenate([own.compared(sound) for sound in sounds]), own.answer, cost)


Row = Statistics | Published | Trained
SEEDS = (1, 2, 3)
# All species but a fifth are trained on; that fifth chooses the epoch.
SPECIES = ("data.train=0.8", "data.valid=0.2", "data.test=0")
NETWORK = (*SPECIES, "stages.0.validation={way: 2, shots: 5, queries: 5, episodes: 50}")
ALL = ("data.train=1.0", "data.valid=0", "data.test=0")

ROWS: dict[str, Row] = {
    "statistics": Statistics(),
    "prototypical": Trained("`fewshot/prototypical`", "fewshot/prototypical", NETWORK),
    "matching": Trained("`fewshot/matching`", "fewshot/matching", NETWORK),
    "relation": Trained("`fewshot/relation`", "fewshot/relation", NETWORK),
    "small": Trained("`fewshot/small`", "fewshot/small", ALL, SEEDS, voices=True),
    "yamnet": Published("YAMNet", "yamnet", "ECOTF_YAMNET"),
    "birdnet": Published("BirdNET 2.4", "birdnet_2.4", "ECOTF_BIRDNET"),
}
