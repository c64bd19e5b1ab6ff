"""One small training of each task, for the tests of what all tasks promise."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from tiny_embedder import tiny_embedder

from ecotf.audio.simulate import SimulationConfig, simulate_dataset
from ecotf.datasets.manifest import Manifest, make_manifest, read_manifest
from ecotf.quiet import quieten_libraries
from ecotf.tasks.recipes import load_any_recipe
from ecotf.tasks.training_run import train_run
from ecotf.training.run_store import Log

_RATE = 32000
_ODD = "=1+$x^{$"

_SPECIES = ("Myotis daubentonii", "Pipistrellus pipistrellus")
_CALLS = (
    "networks.0.backbone.filters=[4, 6, 6]", "networks.0.backbone.squeeze=2", "networks.0.backbone.embedding=8",
    "stages.0.epochs=1", "stages.0.batch=256", "trees.n_estimators=4", "trees.max_depth=2", "mining.rounds=1",
    "mining.keep=last", "evaluation.bootstrap=5",
)  # fmt: skip
_CLIPS = (
    "network.backbone={name: small, stem: 4, filters: [4, 4, 8], blocks: [1, 1, 1], expand: 1, features: 8}",
    "clips.seconds=1.2", "inference.segment_s=1.0", "stages.0.batch=3", "stages.0.epochs=1", "stages.0.sound={}",
    "stages.0.image={}", "stages.1.batch=3", "stages.1.epochs=1", "stages.1.sound={}", "stages.1.image={}",
    "evaluation.events=true", "evaluation.bootstrap=20", "inference.events={name: change_detection, steps_s: [0.3]}",
)  # fmt: skip


def _calls(folder: Path) -> None:
    simulate_dataset(folder, SimulationConfig(
        n_recordings=12, duration_s=0.35, seed=5, species=_SPECIES, empty_fraction=0.0, passes=(1, 1), snr_db=(50, 70),
    ))  # fmt: skip


def _clips(folder: Path) -> None:
    rows, times, rng = [], np.arange(round(1.2 * _RATE)) / _RATE, np.random.default_rng(0)
    for name, pitch in (("robin", 2000.0), ("wren", 4000.0)):
        for number in range(5):
            sound = 0.3 * np.sin(2 * np.pi * pitch * times) * (times % 0.4 < 0.2) + 0.01 * rng.normal(size=len(times))
            soundfile.write(folder / f"{name}_{number}.wav", sound.astype(np.float32), _RATE)
            rows.append({"recording": f"{name}_{number}.wav", "start_s": 0.0, "end_s": 1.2, "label": name})
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)


@dataclass(frozen=True)
class _Made:
    """What a case is made of; see `Case`."""

    task: str
    name: str
    overrides: tuple[str, ...]
    make: Callable[[Path], None]
    fits: int = 2
    told: str = "epoch 1/1"


_MADE = {
    "calls": _Made("calls", "bats/field", _CALLS, _calls),
    "clips": _Made("clips", "birds/small", _CLIPS, _clips),
    "transfer": _Made("clips", "tagging/transfer", ("inference.segment_s=0.5",), _clips, 1, "logistic, "),
}


def quiet(line: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Case:
    """A recipe of a task, and recordings that it can be trained on within seconds.

    Attributes
    ----------
    fits
        How many fits its training has.
    told
        What the log says once in each of them.
    odd
        One of its classes; a formula to spreadsheets and to pictures.
    """

    task: str
    name: str
    overrides: tuple[str, ...]
    folder: Path
    fits: int = 2
    told: str = "epoch 1/1"
    odd: str = _ODD

    @property
    def recipe(self):
        return load_any_recipe(self.name, self.overrides)

    @property
    def manifest(self) -> Manifest:
        return read_manifest(self.folder / "manifest.csv")

    def edited(self, **columns) -> Manifest:
        """The manifest with columns made anew from the table."""
        table = self.manifest.table
        return make_manifest(table.assign(**{name: edit(table) for name, edit in columns.items()}), self.folder, "here")

    def train(self, output: Path, manifest: Manifest | None = None, log: Log = quiet) -> Path:
        """Train into a new run folder."""
        return train_run(self.recipe, manifest or self.manifest, output, threads=1, log=log)

    def copy(self, folder: Path) -> Case:
        """The same with recordings of its own, to be damaged."""
        return replace(self, folder=Path(shutil.copytree(self.folder, folder)))


@pytest.fixture(scope="module", autouse=True)
def _quickly() -> Iterator[None]:
    """Compiling a step takes longer than the few steps that these trainings have."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session", params=_MADE)
def case(request, tmp_path_factory) -> Case:
    """Each task in turn, and each kind of recipe that it has."""
    quieten_libraries()
    made, folder = _MADE[request.param], tmp_path_factory.mktemp(request.param)
    made.make(folder)
    table = pd.read_csv(folder / "manifest.csv", dtype=str)
    first = table["label"].dropna().min()
    table.assign(label=table["label"].replace(first, _ODD)).to_csv(folder / "manifest.csv", index=False)
    overrides = made.overrides
    if made.name == "tagging/transfer":
        overrides = (*overrides, *tiny_embedder(tmp_path_factory.mktemp("embedder")))
    return Case(made.task, made.name, overrides, folder, made.fits, made.told)


@dataclass(frozen=True)
class Trained:
    """A training that nobody interrupted, and what a loss of power in its last fit would have left of it.

    Attributes
    ----------
    run
        Its folder.
    lines
        What it told.
    place
        A copy of its recordings, and of its folder as it was after the first epoch of its last fit.
    stopped
        The folder in that copy, relative to it.
    """

    run: Path
    lines: list[str]
    place: Path
    stopped: Path


@pytest.fixture(scope="session")
def trained(case, tmp_path_factory) -> Trained:
    lines: list[str] = []
    output, place, base = (
        tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("stopped"), tmp_path_factory.getbasetemp(),
    )  # fmt: skip

    def log(line: str) -> None:
        lines.append(line)
        if case.told in line and sum(case.told in line for line in lines) == case.fits:
            for folder in (case.folder, output):
                shutil.copytree(folder, place / folder.relative_to(base))

    run = case.train(output, log=log)
    return Trained(run, lines, place, run.relative_to(base))


@pytest.fixture(scope="session")
def whole(trained) -> Path:
    """The folder of a training that nobody interrupted."""
    return trained.run


@pytest.fixture
def undrawn(monkeypatch) -> None:
    """No pictures: those of ``whole`` are the same."""
    for where in ("calls.evaluate.draw_run", "clips.evaluate.draw_clip_run"):
        monkeypatch.setattr(f"ecotf.tasks.{where}", lambda *_: None)
