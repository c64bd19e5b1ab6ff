"""The contract of an export: everything that it needs of a trained run, for every task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from ecotf.audio.channels import ChannelChoice
from ecotf.errors import ConfigError
from ecotf.export.c99.part import NetworkPart
from ecotf.export.convert.calibration import Calibration
from ecotf.export.prove.examples import Examples
from ecotf.export.prove.recordings import Heard, RunRecordings
from ecotf.export.prove.rehearsal import Rehearsal
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.birdnet_go import birdnet_go
from ecotf.export.stages.stage import ExportPlan, Precision


class Exportable(Protocol):
    """A run that can become a device model; each task has a class of it (``ecotf/tasks/*/export.py``).

    The recordings of a run are chosen by ``path``, ``channel`` and ``high_hz`` (`RunRecordings`).

    Attributes
    ----------
    path
        The run folder.
    name
        The recipe's name.
    channel
        Of recordings with several.
    high_hz
        The top of the front end's band: a recording at less than twice as many hertz cannot be listened to.
    sample_rate
        Hz, the one rate that the run listens at; None where a recording keeps its own.
    compare_s
        Seconds of sound that a file is compared on unless the user chooses another length.
    learned
        The sides of the split that the run has learned from: ``train``, and with a refit ``valid``.
    """

    path: Path
    name: str
    channel: ChannelChoice
    high_hz: float
    sample_rate: int | None
    compare_s: float
    learned: tuple[str, ...]

    def check(self, settings: ExportSettings) -> None:
        """Refuse what cannot be exported; raises `ConfigError`."""

    def plan(self, settings: ExportSettings) -> ExportPlan:
        """Make the stages and signatures of the model; raises `ConfigError` where it cannot run on a device."""

    def facts(self) -> dict[str, Any]:
        """Return the run's entries of ``model.json`` besides the plan's: ``thresholds``, ``unnamed``, ``gate``."""

    def calibrate(self, recordings: RunRecordings) -> Calibration:
        """Make the examples for int8 from training recordings; raises `ConfigError` where there are none."""

    def examples(self, settings: ExportSettings, heard: Heard) -> Examples:
        """Make the inputs that the file is tried on, and the desktop's outputs for them."""

    def compare(self, precision: Precision, heard: Heard, examples: Examples, rehearsal: Rehearsal) -> dict[str, Any]:
        """Make the parity report, for ``parity.json``; its ``failures`` list every tolerance that is exceeded."""

    def found(self, heard: Heard, examples: Examples, rehearsal: Rehearsal) -> Mapping[str, pd.DataFrame]:
        """Return detections of the file (``detections``) and of the run (``desktop``), for the golden outputs."""

    def network_part(self, settings: ExportSettings) -> NetworkPart:
        """Return the part that ``--target c`` translates; raises `ConfigError` where there is no such part."""


def require_thresholds(run: Path, thresholds: Mapping[str, float], labels: Sequence[str]) -> None:
    """Require a threshold for every label; raises `ConfigError`."""
    absent = [label for label in labels if label not in thresholds]
    if absent:
        raise ConfigError(f"{run}: thresholds.json has no threshold for {absent[0]!r}; train again to fit it")


def plan_of(run: Exportable, settings: ExportSettings) -> ExportPlan:
    """Make the plan of a run in the chosen profile; raises `ConfigError`."""
    plan = run.plan(settings)
    return birdnet_go(plan, settings) if settings.profile == "birdnet-go" else plan
