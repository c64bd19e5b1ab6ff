"""The rows of the tagging benchmark: how each model is trained on one fold, and what it says of the tested clips."""

from __future__ import annotations

import json
import os
import resource
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from tagging_data import ClipSet

from ecotf.audio.recording import open_recording
from ecotf.commands.console import log
from ecotf.errors import ConfigError
from ecotf.features import MelSpectrogram, MelSpectrogramConfig
from ecotf.files import atomic_file
from ecotf.pipelines.teacher_file import What
from ecotf.runs import RunFolder
from ecotf.tasks.recipes import load_trainable
from ecotf.tasks.teach import open_teacher, teach
from ecotf.tasks.training_run import resume_run, train_run

SPECTROGRAM = {"window_s": 0.032, "hop_s": 0.02, "low_hz": 150, "high_hz": 15000, "bands": 64, "floor_db": -100}
RATE = 32000


@dataclass(frozen=True)
class Place:
    """Where a fold's trainings and results are, and how many cores they may use."""

    runs: Path
    threads: int

    def of(self, clips: ClipSet, fold: int, model: str) -> Path:
        """The folder of one training."""
        return self.runs / clips.name / f"fold_{fold}" / model


@dataclass(frozen=True)
class Scored:
    """What a model says of the tested clips.

    Attributes
    ----------
    scores
        Of each recording, one for each class of the set.
    cost
        Seconds and processor seconds of the training, parameters, epochs.
    """

    scores: pd.DataFrame
    cost: dict[str, Any]


@dataclass(frozen=True)
class Statistics:
    """Logistic regression on mean and deviation of log-mel bands. It chooses nothing, so it has all training folds."""

    title: str = "logistic regression on log-mel statistics"
    kind: str = "from scratch"

    def run(self, clips: ClipSet, fold: int, place: Place, name: str) -> Scored:
        """Fit and score."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        began = Clock()
        spectrogram = MelSpectrogram(MelSpectrogramConfig.model_validate({**SPECTROGRAM, "centred": True}), RATE)
        features = []
        for path in clips.table["recording"]:
            sound = open_recording(path).read(channel="mix", sample_rate=RATE)
            levels = spectrogram(np.ascontiguousarray(sound, np.float32))
            features.append(np.concatenate([levels.mean(axis=0), levels.std(axis=0)]))
        x, y, tested = np.stack(features), clips.table["label"].to_numpy(), (clips.table["fold"] == fold).to_numpy()
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)).fit(x[~tested], y[~tested])
        scores = pd.DataFrame(
            model.predict_proba(x[tested]), index=clips.table["recording"][tested], columns=model.classes_
        )
        return Scored(scores, {**began.passed(), "parameters": model[-1].coef_.size + model[-1].intercept_.size})


@dataclass(frozen=True)
class Trained:
    """A recipe, trained as ``ecotf train`` does.

    Attributes
    ----------
    overrides
        Of the recipe; ``{seconds}`` is the length of the set's clips.
    needs
        A file, by the name of an environment variable, without which the row is left out.
    teacher, what
        The row whose run of the same fold teaches, and what.
    """

    title: str
    kind: str
    recipe: str
    overrides: tuple[str, ...] = ()
    needs: str = ""
    teacher: str = ""
    what: What = "scores"
    sets: tuple[str, ...] = ("esc50", "phoebe")
    changed: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def run(self, clips: ClipSet, fold: int, place: Place, name: str) -> Scored:
        """Train where that is not done, and read what the run says of its test recordings."""
        folder = place.of(clips, fold, name)
        done, cost_file = sorted(folder.glob("run/**/progress.json")), folder / "cost.json"
        began, cost = Clock(), json.loads(cost_file.read_text()) if cost_file.exists() else {}
        options: dict[str, Any] = {"cache": place.runs / "cache", "threads": place.threads, "log": told}
        if not done:
            more = self._taught(clips, fold, place, folder, cost) if self.teacher else ()
            write_json(cost_file, cost)
            values = [*self.overrides, *self.changed.get(clips.name, ()), *more]
            named = {"seconds": f"{clips.seconds:g}", "file": os.environ.get(self.needs, ""), "both": _both(place.runs)}
            recipe = load_trainable(self.recipe, [value.format(**named) for value in values])
            began = Clock()
            run = train_run(recipe, clips.manifest(fold), folder / "run", **options)
        elif json.loads(done[0].read_text())["complete"]:
            return self._read(RunFolder.open(done[0].parent), cost)
        else:
            run = resume_run(done[0].parent, **options)
            cost["interrupted"] = True
        cost |= began.passed()
        write_json(cost_file, cost)
        return self._read(RunFolder.open(run), cost)

    def _taught(self, clips: ClipSet, fold: int, place: Place, folder: Path, cost: dict[str, Any]) -> tuple[str, ...]:
        """Let the teacher predict the clips of the training folds alone."""
        file, began = folder / "teacher.npz", Clock()
        folder.mkdir(parents=True, exist_ok=True)
        if self.what == "embeddings":
            model, own = self.teacher, Path(os.environ[self.needs])
        else:
            teacher = sorted(place.of(clips, fold, self.teacher).glob("run/**/environment.json"))
            if not teacher:
                raise ConfigError(f"{self.title}: its teacher, {self.teacher}, has to be trained first")
            model, own = str(teacher[0].parent), None
        asked = open_teacher(model, self.what, own, place.runs / "cache" / "embeddings")
        teach(asked, clips.manifest(fold, tested=False), file, log=told)
        cost["teaching_s"] = began.passed()["seconds"]
        return "stages.0.name=distil", f"stages.0.teacher={file}"

    def _read(self, run: RunFolder, cost: dict[str, Any]) -> Scored:
        with np.load(run.file("predictions.npz")) as kept:
            rows = pd.DataFrame(expit(kept["logits"].astype(float)), columns=kept["classes"].astype(str))
            scores = rows.groupby(kept["recording"].astype(str), sort=True).mean()
        history = run.read_table("history.csv")
        metrics = run.read_json("metrics.json")
        cost = {"epochs": len(history), "parameters": metrics.get("cost", {}).get("parameters"), **cost}
        if cost.get("interrupted") or "seconds" not in cost:  # what was done before the interruption is in the history
            cost |= {"seconds": float(history["seconds"].sum()), "processor_s": None}
        return Scored(scores, cost)


def _both(folder: Path) -> Path:
    """Describe BirdNET and YAMNet as one embedder."""
    path, files = folder / "both.yaml", [os.environ.get(name, "") for name in ("ECOTF_BIRDNET", "ECOTF_YAMNET")]
    members = [
        {"model": file, "description": kind} for file, kind in zip(files, ("birdnet_2.4", "yamnet"), strict=True)
    ]
    write_json(path, {"name": "several", "members": members})  # JSON is YAML
    return path


Model = Statistics | Trained


def write_json(path: Path, values: Any) -> None:
    """Write values, whole or not at all."""
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(values))


class Clock:
    """Measures seconds, and processor seconds of this process and its children."""

    def __init__(self) -> None:
        self.wall, self.processor = time.perf_counter(), self._processor()

    def passed(self) -> dict[str, float]:
        """Return what has passed since."""
        return {"seconds": time.perf_counter() - self.wall, "processor_s": self._processor() - self.processor}

    def _processor(self) -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in used)


def told(line: str) -> None:
    """Log a line of a training."""
    log(f"    {line}")
