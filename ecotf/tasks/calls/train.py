"""Train a call detector: rounds of fitting its stages, choosing thresholds on validation data, and mining."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.datasets.labels import CALL_LABEL
from ecotf.detection.recordings import candidates_of
from ecotf.detection.scoring import Stopwatch
from ecotf.evaluation.metrics import Metrics, evaluate
from ecotf.evaluation.thresholds import fit_thresholds
from ecotf.models.detector import Detector
from ecotf.models.saved import build_detector, load_weights, save_detector
from ecotf.pipelines.patches import PatchTable
from ecotf.tasks.base import Trained
from ecotf.tasks.calls.data import TrainingData, every_peak, training_patches
from ecotf.tasks.calls.fit_network import HISTORY
from ecotf.tasks.calls.material import Material
from ecotf.tasks.calls.mining import mine_patches
from ecotf.tasks.calls.recipe import TrainingPlan
from ecotf.training.run_store import EpochWatch, Log, RunStore
from ecotf.training.stages import STAGES, FitPlace

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TrainedCalls(Trained[Detector]):
    """The outcome of a training: the kept round's detector, and what `judge_validation` gave of it."""

    validation: dict[str, Any]

    @property
    def thresholds(self) -> dict[str, float]:
        """Of every species and of ``call``, fitted on validation recordings."""
        return dict(self.validation["thresholds"])


def train_detector(
    plan: TrainingPlan,
    data: TrainingData,
    run_store: RunStore,
    log: Log,
    threads: int = 2,
    networks_from: Path | None = None,
    watch: EpochWatch | None = None,
) -> TrainedCalls:
    """Train on the ``train`` recordings, choose on the ``valid`` ones.

    ``networks_from`` is the model folder of a run with the same networks, species and training patches: its networks
    are taken as they are, and only trees and thresholds are fitted. ``watch`` looks at the epochs of the first round.

    Every round is kept under ``rounds/<number>/``; steps that were finished before an interruption are not repeated.
    """

    import pandas as pd

    train = training_patches(data, "train", plan.patches, plan.peaks, plan.seed)
    valid = training_patches(data, "valid", plan.patches, plan.peaks, plan.seed + 1)
    histories, qualities = [], []
    for number in range(plan.mining.rounds + 1):
        folder = f"rounds/{number}"
        round_data = _Round(plan, data, run_store, log, folder, threads, networks_from, None if number else watch)
        if not run_store.step_done(folder):
            log(
                f"round {number}: {len(train)} patches from {len(data.recordings_of('train'))} recordings, "
                f"{int(train.is_call.sum())} of them calls; {len(data.species)} species"
            )
            round_data.fit(train, valid)
        histories.append(run_store.read_table(f"{folder}/history.csv").assign(round=number))
        qualities.append(run_store.read_json(f"{folder}/validation.json"))
        if number < plan.mining.rounds:
            train = train.joined(round_data.mined(qualities[-1]["thresholds"]))
    kept = len(qualities) - 1
    if plan.mining.keep == "best":
        kept = int(np.argmax([quality["quality"] for quality in qualities]))
    if plan.mining.rounds:
        log(f"the run's model is that of round {kept}, on validation {qualities[kept]['quality']:.3f}")
    detector = fresh_detector(plan, data.species)
    detector = load_weights(detector, run_store.file(f"rounds/{kept}"), plan.trees is not None)
    return TrainedCalls(detector, data.species, pd.concat(histories), qualities[kept])


def fresh_detector(plan: TrainingPlan, species: Sequence[str]) -> Detector:
    """Make a detector as the plan describes it, its weights drawn with the plan's seed."""
    import keras

    keras.utils.set_random_seed(plan.seed)
    return build_detector(plan.front_end, plan.patches, plan.networks, species)


def judge(
    plan: TrainingPlan,
    data: TrainingData,
    candidates: pd.DataFrame,
    recordings: Sequence[str],
    thresholds: dict[str, float],
) -> Metrics:
    """Compute the metrics of candidates on ``recordings`` that the plan asks for."""
    return evaluate(
        without_unnamed(candidates, data, plan.evaluation.tolerance_s),
        data.manifest.table,
        recordings,
        labels=data.species,
        ignored_labels=data.ignored_labels,
        thresholds=thresholds,
        tolerance_s=plan.evaluation.tolerance_s,
        seed=plan.seed,
        n_bootstrap=plan.evaluation.bootstrap,
    )


def without_unnamed(candidates: pd.DataFrame, data: TrainingData, tolerance_s: float) -> pd.DataFrame:
    """Leave out the species named on calls whose species nobody knows: they are neither right nor wrong.

    The candidates that there is a call stay. A species named where a known call is as near stays, too.
    """
    if not data.unnamed_labels:
        return candidates
    middle = ((candidates["start_s"] + candidates["end_s"]) / 2).to_numpy(float)
    kept = np.ones(len(candidates), bool)
    for recording, rows in candidates.reset_index(drop=True).groupby("recording", sort=False):
        calls, at = data.calls_of(str(recording)), middle[rows.index]
        inside = (at[:, None] >= calls["start_s"].to_numpy(float) - tolerance_s) & (
            at[:, None] <= calls["end_s"].to_numpy(float) + tolerance_s
        )
        unnamed = calls["label"].isin(data.unnamed_labels).to_numpy(bool)
        kept[rows.index] = ~(inside[:, unnamed].any(axis=1) & ~inside[:, ~unnamed].any(axis=1))
    return candidates[kept | (candidates["label"] == CALL_LABEL).to_numpy(bool)]


def score_recordings(
    plan: TrainingPlan, data: TrainingData, detector: Detector, split: str, stopwatch: Stopwatch | None = None
) -> pd.DataFrame:
    """Find the candidates of all recordings of a split, with the column ``recording`` first."""

    import pandas as pd

    recordings = data.manifest.recordings
    tables = []
    if stopwatch is not None:
        # The first call compiles; what a minute of sound costs is what it costs after that.
        detector.run(np.zeros((1, *detector.networks[0].model.input_shape[1:]), np.float32))
    for index in data.indices_of(split):
        table = candidates_of(data.spectrograms[index], detector, plan.detection, plan.peaks, stopwatch)
        table.insert(0, "recording", recordings[index])
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def judge_validation(plan: TrainingPlan, data: TrainingData, detector: Detector) -> dict[str, Any]:
    """Fit thresholds on the validation recordings and judge the detector there: what is compared before it is chosen.

    Returns
    -------
    ``thresholds``, ``unfitted``, ``notes``, ``metrics``, and ``quality``, the one figure that rounds are compared by.
    """
    candidates = score_recordings(plan, data, detector, "valid")
    recordings = data.recordings_of("valid")
    fitted = fit_thresholds(
        without_unnamed(candidates, data, plan.evaluation.tolerance_s),
        data.manifest.table[data.manifest.table["recording"].isin(recordings)],
        recordings,
        data.species,
        plan.evaluation.tolerance_s,
        ignored_labels=data.ignored_labels,
    )
    metrics = judge(plan, data, candidates, recordings, fitted.thresholds)
    return {
        "thresholds": fitted.thresholds,
        "unfitted": fitted.unfitted,
        "notes": list(fitted.notes),
        "quality": _quality(metrics),
        "metrics": metrics,
    }


@dataclass(frozen=True)
class _Round:
    plan: TrainingPlan
    data: TrainingData
    run_store: RunStore
    log: Log
    folder: str
    threads: int
    networks_from: Path | None
    watch: EpochWatch | None = None

    def fit(self, train: PatchTable, valid: PatchTable) -> None:
        import pandas as pd

        plan, data, run_store = self.plan, self.data, self.run_store
        detector = fresh_detector(plan, data.species)
        histories = [pd.DataFrame(columns=HISTORY)]
        networks = {network.config.name for network in detector.networks}
        if self.networks_from is not None:
            detector = load_weights(detector, self.networks_from, trees=False)
        material = self._material(train, valid)
        for number, stage in enumerate(plan.stages):
            if self.networks_from is not None and set(stage.trains) <= networks:
                continue
            fitted = STAGES.build(stage, detector, material, self._place(number))
            detector = fitted.model
            histories += [fitted.history] if len(fitted.history) else []
        judged = judge_validation(plan, data, detector)
        metrics = judged["metrics"]
        with run_store.writing(self.folder, folder=True) as folder:
            save_detector(detector, folder)
            _save_patches(folder / "patches.npz", train)
            pd.concat(histories).to_csv(folder / "history.csv", index=False)
        run_store.write_json(f"{self.folder}/validation.json", judged)
        for stage_state in run_store.path.glob(".fitting_*"):
            stage_state.unlink()
        run_store.mark_done(self.folder)
        self.log(
            f"on the {len(data.recordings_of('valid'))} validation recordings: detection "
            f"AP {metrics['detection']['ap'] or 0:.3f}, F1 {metrics['detection']['f1'] or 0:.3f}"
        )

    def _material(self, train: PatchTable, valid: PatchTable) -> Material:
        plan, data = self.plan, self.data
        at_peaks = plan.patches.at == "peaks"
        every = partial(every_peak, data, "train", plan.patches, plan.peaks) if at_peaks else None
        return Material(train, valid, data.spectrograms, plan.patches, plan.seed, plan.trees, every)

    def _place(self, number: int) -> FitPlace:
        checkpoint = self.run_store.path / f".fitting_{self.folder.replace('/', '_')}_{number}.npz"
        return FitPlace(checkpoint, self.log, self.watch, self.threads, self.run_store.save_every_s)

    def mined(self, thresholds: dict[str, float]) -> PatchTable:
        """Mine the patches that this round's model got wrong on the training recordings; mined once, then kept."""
        name = f"{self.folder}/mined.npz"
        if not self.run_store.has(name):
            detector = fresh_detector(self.plan, self.data.species)
            detector = load_weights(detector, self.run_store.file(self.folder), self.plan.trees is not None)
            found = score_recordings(self.plan, self.data, detector, "train")
            by_recording = dict.fromkeys(self.data.recordings_of("train"), found.iloc[:0])
            by_recording |= {str(recording): rows for recording, rows in found.groupby("recording")}
            mined = mine_patches(self.data, by_recording, self.plan.mining, thresholds, self.plan.patches.merge_s)
            with self.run_store.writing(name) as partial:
                _save_patches(partial, mined)
            false = int((~mined.is_call).sum())
            self.log(f"mined {false} false detections and {(len(mined) - false) // 2} missed calls")
        with np.load(self.run_store.file(name)) as kept:
            there = np.isin(kept["recording"], self.data.indices_of("train"))  # recordings may have been lost since
            return PatchTable(*(kept[column][there] for column in ("recording", "time_s", "species")))


def _save_patches(path: Path, table: PatchTable) -> None:
    with path.open("wb") as stream:
        np.savez(stream, recording=table.recording, time_s=table.time_s, species=table.species)


def _quality(metrics: Metrics) -> float:
    """Return the figure that rounds are compared by: the mean of detection F1 and macro F1 over species."""
    parts = [metrics["detection"]["f1"], (metrics["species"] or {}).get("macro_f1")]
    return float(np.mean([part for part in parts if part is not None] or [0.0]))
