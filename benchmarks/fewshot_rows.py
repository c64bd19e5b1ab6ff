"""The rows of the few-shot benchmark: how each model turns the tested clips into numbers."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from fewshot_data import Direction, voices_alone
from tagging_models import RATE, SPECTROGRAM, Clock, told

from ecotf.audio.voice_dataset import VoicesConfig, simulate_voices
from ecotf.datasets.manifest import Manifest
from ecotf.embeddings.windows import loud_windows
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
    """Mean and deviation of log-mel bands, 50 Hz to 14 kHz; nothing is trained."""

    title: str
    floor_db: float
    seeds: tuple[int, ...] = (0,)

    def embed(self, direction: Direction, runs: Path, name: str, seed: int, threads: int) -> Embedded:
        """Compute them."""
        values = {**SPECTROGRAM, "low_hz": 50, "high_hz": 14000, "floor_db": self.floor_db, "centred": True}
        spectrogram = MelSpectrogram(MelSpectrogramConfig.model_validate(values), RATE)
        levels = [spectrogram(sound) for sound in direction.sounds(RATE)]
        return Embedded(np.stack([np.concatenate([one.mean(axis=0), one.std(axis=0)]) for one in levels]))


@dataclass(frozen=True)
class Published:
    """A model of others, from the user's own file: the mean of the embeddings of its windows that have sound."""

    title: str
    description: str
    needs: str
    seeds: tuple[int, ...] = (0,)

    def embed(self, direction: Direction, runs: Path, name: str, seed: int, threads: int) -> Embedded:
        """Embed the clips; raises `ConfigError` where the file is not given."""
        from ecotf.embeddings import embed_windows
        from ecotf.models.embedders import open_embedder

        if not os.environ.get(self.needs):
            raise ConfigError(f"{self.title}: set {self.needs} to your own file")
        embedder = open_embedder(self.description, os.environ[self.needs])
        rows = [
            embed_windows(embedder, loud_windows(sound, embedder.samples), runs / "cache" / "embeddings").mean(axis=0)
            for sound in direction.sounds(embedder.sample_rate)
        ]
        return Embedded(np.stack(rows))


@dataclass(frozen=True)
class Trained:
    """A recipe, trained as ``ecotf train`` does.

    Attributes
    ----------
    window_s
        Length of the windows of a tested clip; null: it goes through the network as a whole.
    voices
        Train on simulated voices too, or on nothing but them: then the classes that are trained on make no difference.
    """

    title: str
    recipe: str
    overrides: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (1,)
    voices: Literal["none", "too", "alone"] = "none"
    window_s: float | None = None

    def embed(self, direction: Direction, runs: Path, name: str, seed: int, threads: int) -> Embedded:
        """Train where that is not done, and embed the clips."""
        from ecotf.tasks.loading import load_runs

        recipe = load_trainable(self.recipe, [*self.overrides, f"seed={seed}"])
        where = "voices_alone" if self.voices == "alone" else direction.name
        folder, began = runs / where / name / f"seed_{seed}", Clock()
        done = sorted(folder.glob("**/progress.json"))
        options: dict[str, Any] = {"cache": runs / "cache", "threads": threads, "log": told}
        if not done:
            manifest = self._manifest(direction, runs / "voices")
            path = train_run(recipe, manifest, folder, **options)
        elif read_run_recipe(done[0].parent) != recipe:
            raise ConfigError(f"{done[0].parent}: was trained with another recipe than is asked for; move it away")
        elif json.loads(done[0].read_text())["complete"]:  # it was trained for the other direction
            path = done[0].parent
        else:
            path = resume_run(done[0].parent, **options)
        run: Any = load_runs([path])
        model, own = run.model, run.recipe.own_rule(run.model)
        rate, window_s = model.sample_rate, self.window_s
        sounds = [
            sound[None] if window_s is None else loud_windows(sound, round(window_s * rate))
            for sound in direction.sounds(rate)
        ]
        rows = np.stack([model.embed(sound).mean(axis=0) for sound in sounds])
        history = RunFolder.open(path).read_table("history.csv")
        cost = {"parameters": model.n_parameters, "seconds": float(history["seconds"].sum()), **began.passed()}
        if own is None:
            return Embedded(rows, cost=cost)
        return Embedded(rows, np.stack([own.compared(sound).mean(axis=0) for sound in sounds]), own.answer, cost)

    def _manifest(self, direction: Direction, voices: Path) -> Manifest:
        if self.voices == "none":
            return direction.manifest()
        if not (voices / "manifest.csv").exists():
            simulate_voices(voices, VoicesConfig())
        return voices_alone(voices) if self.voices == "alone" else direction.manifest(voices)


Row = Statistics | Published | Trained
SEEDS = (1, 2, 3)
# All species but a fifth are trained on; that fifth chooses the epoch.
SPECIES = ("data.train=0.8", "data.valid=0.2", "data.test=0")
# On processors with AMX it takes half the time.
HALF = ("precision=mixed_bfloat16",)
# Six epochs of the recipe, looked at fifteen times: some minutes of one core, so that three seeds can be trained.
NETWORK = (
    *SPECIES, *HALF, "stages.0.validation={way: 2, shots: 5, queries: 5, episodes: 50}",
    "stages.0.episodes={way: 5, shots: 5, queries: 5, episodes: 20}", "stages.0.epochs=15",
)  # fmt: skip


ROWS: dict[str, Row] = {
    "statistics": Statistics("log-mel statistics", -120.0),
    "statistics_80": Statistics("the same, all below -80 dB raised to there", -80.0),
    "prototypical": Trained("`fewshot/prototypical`", "fewshot/prototypical", NETWORK, SEEDS),
    "matching": Trained("`fewshot/matching`", "fewshot/matching", NETWORK, SEEDS),
    "relation": Trained("`fewshot/relation`", "fewshot/relation", NETWORK, SEEDS, window_s=5.0),
    "voices": Trained("`fewshot/small`, simulated voices alone", "fewshot/small", HALF, SEEDS, "alone", 1.0),
    "small": Trained("`fewshot/small`, voices, then the classes", "fewshot/small", HALF, SEEDS, "too", 1.0),
    "yamnet": Published("YAMNet", "yamnet", "ECOTF_YAMNET"),
    "birdnet": Published("BirdNET 2.4", "birdnet_2.4", "ECOTF_BIRDNET"),
}
