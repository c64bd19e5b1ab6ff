"""What the recorder's tests share: its package on the path, simulated sound, and a model without TFLite."""

from __future__ import annotations

import fcntl
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from recorder_stand_ins import NOON, RATE, StandIn, right_since_2020

SPECIES = ("Nyctalus noctula", "Pipistrellus pipistrellus")


def night_sound(seed: int, seconds: float = 2.3, rate: int = RATE) -> np.ndarray:
    """Sweeps at irregular times in noise, int16 ``[n]``."""
    rng = np.random.default_rng(seed)
    samples = 0.002 * rng.standard_normal(round(seconds * rate))
    time = np.arange(round(0.005 * rate)) / rate
    for start in np.cumsum(rng.uniform(0.01, 0.09, round(30 * seconds))):
        at = round(start * rate)
        if at + time.size < samples.size:
            sweep = np.sin(2 * np.pi * (rng.uniform(40e3, 90e3) * time - 2e6 * time**2)) * np.hanning(time.size)
            samples[at : at + time.size] += rng.choice([0.002, 0.02, 0.2]) * sweep
    return np.rint(samples * 32767).astype(np.int16)


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Any]:
    """Makes an untrained run of a recipe; its trees, if any, call what is loud and name it by its strongest band."""
    import keras

    from ecotf.datasets.labels import CALL_LABEL
    from ecotf.features.peaks import MEASURES
    from ecotf.models.heads.trees import fit_trees
    from ecotf.models.saved import build_detector
    from ecotf.tasks.calls.run import CallsRun
    from ecotf.tasks.recipes import load_recipe

    def make(name: str, *overrides: str, thresholds: tuple[float, ...] = (0.45, 0.55, 0.5)) -> CallsRun:
        recipe = load_recipe(name, overrides)
        keras.utils.set_random_seed(1)
        detector = build_detector(recipe.front_end, recipe.patches, recipe.networks, SPECIES)
        if recipe.trees is not None:
            width = recipe.networks[0].backbone.embedding + 3
            seen = np.random.default_rng(0).uniform(size=(400, width + len(MEASURES))).astype(np.float32)
            strength, band = (seen[:, width + MEASURES.index(name)] for name in ("strength", "strongest band"))
            strength *= 40
            loud = strength > 20
            targets = np.stack([~loud, loud & (band < 0.3), loud & (band > 0.35)], axis=1)
            detector = detector.with_trees(fit_trees(recipe.trees, seen, targets, 1, 1))
        return CallsRun(Path(), recipe, detector, dict(zip((*SPECIES, CALL_LABEL), thresholds, strict=True)))

    return make


TINY_FIELD = (
    "networks.0.backbone.filters=[2, 3, 3]", "networks.0.backbone.squeeze=2", "networks.0.backbone.embedding=4",
    "trees.n_estimators=6", "trees.eta=0.5",
)  # fmt: skip


@pytest.fixture(scope="session")
def field_run(make_run) -> Any:
    return make_run("bats/field", *TINY_FIELD)


@pytest.fixture(scope="session")
def field_model(field_run) -> StandIn:
    return StandIn(field_run)


@pytest.fixture(scope="session")
def device_model(field_run, tmp_path_factory) -> Path:
    """The tiny run of ``bats/field`` exported for `RATE`; made once, however many processes run the tests."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if os.environ.get("PYTEST_XDIST_WORKER") else shared
    with open(shared / "device_model.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "device_model" / "model.tflite").exists():
            _export(field_run, shared)
    return shared / "device_model" / "model.tflite"


def _export(made: Any, folder: Path) -> None:
    from convert_here import converting_here

    from ecotf.export.export import ExportJob, export_run
    from ecotf.export.settings import ExportSettings
    from ecotf.models.saved import save_detector
    from ecotf.runs import RunFolder
    from ecotf.tasks.calls.export import CallExport
    from ecotf.tasks.calls.run import load_run
    from ecotf.tasks.recipes import recipe_text

    run = RunFolder.create(folder, "bats/field")
    run.write_text("recipe.yaml", recipe_text(made.recipe))
    run.write_table("labels.csv", pd.DataFrame({"label": SPECIES, "training_annotations": 1}))
    run.write_json("thresholds.json", {"thresholds": made.thresholds, "unfitted": []})
    with run.writing("model", folder=True) as place:
        save_detector(made.detector, place)
    run.finish()
    settings = ExportSettings(rate=RATE)
    exportable, job = CallExport(load_run(run.path)), ExportJob(seconds=2)
    with converting_here():
        export_run(exportable, folder / "device_model", settings, job, lambda _: None)


@pytest.fixture(scope="session")
def stand_in() -> type[StandIn]:
    return StandIn


@pytest.fixture(scope="session")
def sound_of() -> Callable[..., np.ndarray]:
    return night_sound


@pytest.fixture
def heard(tmp_path: Path) -> Callable[..., None]:
    """Lets a recorder hear calls at some seconds of a stretch that began at noon; one call was heard before."""
    from ecotf_recorder.scoring.held import Detection
    from ecotf_recorder.store.notebook import Notebook
    from ecotf_recorder.times.clock import Clock

    def hear(*starts: float) -> None:
        notebook = Notebook(tmp_path, Clock(lambda: 100.0, lambda: NOON, "abcd1234", right_since_2020))
        number = notebook.begin("night", NOON, 100.0, "r")
        found = [Detection(at, at + 0.1, 0.0, 9e3, "Strix aluco", 0.9, 0.9) for at in starts]
        notebook.add(number, "night", NOON, found, "synchronised")
        notebook.close()

    hear(0.5)
    return hear


@pytest.fixture
def assembled(tmp_path: Path, field_model: StandIn) -> Callable[..., Any]:
    """A recorder around a source, in a folder of its own."""
    from ecotf_recorder.assembly import Parts, wishes_of
    from ecotf_recorder.config import Clips, ClockSettings, Config, Detections
    from ecotf_recorder.health import Health, ServiceManager
    from ecotf_recorder.recorder import Recorder
    from ecotf_recorder.rules.judge import Rules
    from ecotf_recorder.store.clips import ClipKeeper
    from ecotf_recorder.store.notebook import Notebook
    from ecotf_recorder.store.quota import ClipRoom
    from ecotf_recorder.stretch import room_for
    from ecotf_recorder.times.clock import Clock
    from ecotf_recorder.times.schedule import ListeningTimes

    def make(
        source, clock: Clock | None = None, times: ListeningTimes | None = None, unset: str = "listen",
        rules: Rules | None = None,
    ) -> Recorder:  # fmt: skip
        clock = clock or Clock(quality=right_since_2020)
        config = Config(
            state_dir=str(tmp_path / "state"),
            detections=Detections(flush_s=0.5),
            clock=ClockSettings(unset),
            clips=Clips(longest_s=1.0),
        )
        notebook = Notebook(config.state, clock)
        room = ClipRoom(config.state / "clips", notebook.database, config.clips.quota_mb * 1e6, 0)
        clips = ClipKeeper(room, notebook.database, clock, RATE, {"ecotf|Model": "bats/stand_in"})
        wishes = wishes_of(config, field_model.facts)
        times = times or ListeningTimes([], math.nan, math.nan)
        source = source(notebook) if callable(source) else source
        rules = rules or Rules()
        recent = room_for(wishes, RATE, 3.0 + rules.delay_s)
        parts = Parts(field_model, source, notebook, times, wishes, recent, room, clips, rules)
        return Recorder(config, parts, clock, Health(config.state / "health.json"), ServiceManager())

    return make
