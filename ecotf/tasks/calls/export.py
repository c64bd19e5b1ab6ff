"""What an export does differently for each kind of run. A new kind writes such a class, and `kind_of` knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ecotf.config import read_yaml
from ecotf.detection.naming import name_calls
from ecotf.errors import ConfigError
from ecotf.export.convert.calibration import Calibration, calibration_patches
from ecotf.export.prove.examples import Examples, make_examples
from ecotf.export.prove.parity import compare
from ecotf.export.prove.recordings import Heard, RunRecordings
from ecotf.export.prove.trials import Trial
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.stage import Precision
from ecotf.features.spectrogram import build_spectrogram
from ecotf.runs import RunFolder
from ecotf.tasks.calls.run import LoadedRun, load_run
from ecotf.tasks.clips.export import ClipRuns
from ecotf.tasks.clips.run import ClipRun, load_clip_run
from ecotf.tasks.recipes import task_of

if TYPE_CHECKING:
    import pandas as pd

AnyRun = LoadedRun | ClipRun


class Kind(Protocol):
    """What `ecotf.export.export` asks of a kind of run."""

    def check(self, settings: ExportSettings) -> None:
        """Refuse what cannot be exported; raises `ConfigError`."""

    @property
    def model(self) -> Any:
        """What `ecotf.export.plans.plan_of` makes stages of."""

    def calibrate(self, recordings: RunRecordings) -> Calibration:
        """Examples for int8, of training recordings."""

    def examples(self, settings: ExportSettings, heard: Heard) -> Examples:
        """What the file is tried on, and what the desktop makes of it."""

    def trial_values(self) -> dict[str, Any]:
        """What the trial has to know of the run."""

    def facts(self) -> dict[str, Any]:
        """What ``model.json`` says of the run besides the plan's facts."""

    def compare(self, precision: Precision, heard: Heard, examples: Examples, trial: Trial) -> dict[str, Any]:
        """The parity report."""

    def found(self, heard: Heard, examples: Examples, trial: Trial) -> Mapping[str, pd.DataFrame]:
        """Detections of the file and of the desktop, for the golden outputs."""


class CallRuns:
    """Runs of task calls: peaks, or patches on a grid."""

    def __init__(self, run: LoadedRun) -> None:
        self.run, self.model = run, run.detector

    def check(self, settings: ExportSettings) -> None:
        """The rate carries the band, and there is a threshold for everything."""
        build_spectrogram(self.run.recipe.front_end, settings.rate)
        require_thresholds(self.run, ("call", *self.run.detector.species))

    def calibrate(self, recordings: RunRecordings) -> Calibration:
        """Patches on peaks."""
        return calibration_patches(self.run, recordings)

    def examples(self, settings: ExportSettings, heard: Heard) -> Examples:
        """Chunks, blocks and patches."""
        return make_examples(self.run, settings, heard)

    def trial_values(self) -> dict[str, Any]:
        """Front end and patches, for the candidates of whole recordings."""
        recipe = self.run.recipe
        return {"front_end": recipe.front_end.model_dump(), "patches": recipe.patches.model_dump()}

    def facts(self) -> dict[str, Any]:
        """Thresholds, and the gate that the desktop has."""
        gate = None if self.run.gate is None else asdict(self.run.gate)
        return {"thresholds": self.run.thresholds, "unnamed": True, "gate": gate}

    def compare(self, precision: Precision, heard: Heard, examples: Examples, trial: Trial) -> dict[str, Any]:
        """Stage by stage, and in detections."""
        return compare(self.run, precision, heard, examples, trial.outputs, trial.candidates)

    def found(self, heard: Heard, examples: Examples, trial: Trial) -> Mapping[str, pd.DataFrame]:
        """Candidates with names."""
        if trial.candidates is None:
            return {}
        tables = {"detections": trial.candidates, "desktop": examples.candidates}
        return {name: name_calls(table, self.run.thresholds) for name, table in tables.items()}


def kind_of(run: AnyRun) -> Kind:
    """The kind of a run."""
    return ClipRuns(run) if isinstance(run, ClipRun) else CallRuns(run)


def load_exportable(path: str | Path) -> AnyRun:
    """Read the run folder at ``path``, whatever its task; raises `ConfigError`."""
    folder = RunFolder.open(path)
    task = task_of(read_yaml(folder.file("recipe.yaml")), str(folder.file("recipe.yaml")))
    return load_clip_run(path) if task == "clips" else load_run(path)


def require_thresholds(run: AnyRun, labels: tuple[str, ...]) -> None:
    """Every label has a threshold; raises `ConfigError`."""
    absent = [label for label in labels if label not in run.thresholds]
    if absent:
        raise ConfigError(f"{run.path}: thresholds.json has no threshold for {absent[0]!r}; train again to fit it")
