"""Cross-validation of the bat models on real recordings: folds by recording, every figure on recordings not trained on.

    python benchmarks/bats_real.py --data ../shared/data --models cnn8 field --output runs/real

    python benchmarks/bats_real.py --run demo/runs/bats/field/2026-06-21_22-15-00     (a run on simulated sound)

    python benchmarks/bats_real.py --gate --models field hybrid_cnn_xgboost     (what their gates skip and lose)

    python benchmarks/bats_real.py --ranking --models field     (detections ranked by score and by detection_score)

The table and the JSON hold, for each model: detection AP and F1 for each set, macro F1 over the species with at least
two recordings, seconds for a minute of sound on one core, and the size of the model.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from ecotf.commands.console import console
from ecotf.quiet import quieten_libraries

quieten_libraries()
SETS = ("tadarida_fr", "whombat_cr")
MODELS = ("cnn8", "cnn2", "hybrid_cnn_xgboost", "field", "resnet8", "resnet2", "hybrid_resnet_xgboost")
N_FOLDS, SEED = 5, 1979
# The hybrids train the very networks that these train; with the same settings they are taken over, not trained twice.
TWINS = {"hybrid_cnn_xgboost": "cnn8", "hybrid_resnet_xgboost": "resnet8"}


def real_manifest(data: Path):
    """Return the annotated bat recordings as one manifest; a recording is its own group."""
    from ecotf.datasets.manifest import make_manifest

    annotations = pd.read_csv(data / "annotations.csv", keep_default_na=False)
    inside = annotations["path"].str.startswith(tuple(f"bats/{name}/" for name in SETS))
    table = annotations[inside].rename(columns={"path": "recording"})
    table = table[["recording", "start_s", "end_s", "low_hz", "high_hz", "label", "call_type"]]
    return make_manifest(table.reset_index(drop=True), data.resolve(), str(data / "annotations.csv"))


def real_folds(data: Path):
    """Five manifests, each with its own test recordings; part of the rest is for validation."""
    from ecotf.datasets.splits import folds_by_group, split_by_group

    manifest = real_manifest(data)
    result = []
    for number, fold in enumerate(folds_by_group(manifest, N_FOLDS, SEED)):
        test = set(fold.of_split("test").recordings)
        rest = manifest.subset([name for name in manifest.recordings if name not in test])
        inner = split_by_group(rest, {"train": 0.8, "valid": 0.2}, SEED + number)
        sides = {name: "valid" for name in inner.of_split("valid").recordings}
        sides |= {name: "train" for name in inner.of_split("train").recordings} | dict.fromkeys(test, "test")
        result.append(manifest.with_splits(sides))
    return result


def cross_validate(model: str, folds, output: Path, overrides: list[str], threads: int, exact: bool):
    """Train on every fold, score its test recordings; returns pooled candidates, kept detections and costs."""
    import keras
    import tensorflow as tf

    from ecotf.detection.candidates import DetectionConfig
    from ecotf.detection.scoring import EXACT, Stopwatch
    from ecotf.models.saved import load_weights
    from ecotf.pipelines.spectrogram_store import SpectrogramStore
    from ecotf.runs import RunFolder
    from ecotf.tasks.calls.data import prepare_data
    from ecotf.tasks.calls.train import fresh_detector, score_recordings, train_detector
    from ecotf.tasks.recipes import load_recipe

    recipe = load_recipe(f"bats/{model}", overrides)
    pooled, kept, cost = (
        [],
        [],
        {"features_s": 0.0, "networks_s": 0.0, "trees_s": 0.0, "minutes": 0.0, "training_s": 0.0},
    )
    for number, manifest in enumerate(folds):
        keras.utils.set_random_seed(recipe.seed)
        tf.config.experimental.enable_op_determinism()
        log = lambda line, number=number: print(f"[{model} fold {number}] {line}", flush=True)  # noqa: E731
        store = SpectrogramStore(output / "spectrograms", recipe.front_end)
        data = prepare_data(manifest, recipe.data, store, recipe.seed, log, threads)
        place = output / model / f"fold_{number}"
        began = time.time()
        if (place / "trained.json").exists():
            facts = json.loads((place / "trained.json").read_text())
            detector = load_weights(fresh_detector(recipe, data.species), place / "model", recipe.trees is not None)
        else:
            from ecotf.models.saved import save_detector

            run = RunFolder.create(output / "runs", f"{model}/fold_{number}")
            twin = output / TWINS.get(model, "none") / f"fold_{number}" / "model"
            trained = train_detector(recipe, data, run, log, threads, twin if twin.exists() else None)
            detector = trained.model
            (place / "model").mkdir(parents=True, exist_ok=True)
            save_detector(detector, place / "model")
            facts = {"thresholds": trained.thresholds, "training_s": time.time() - began}
            (place / "trained.json").write_text(json.dumps(facts))
            run.close()
        watch = Stopwatch()
        plan = recipe
        if exact:
            detector = detector.with_trees(None)  # trees that see measures of peaks cannot look at other slices
            plan = recipe.model_copy(
                update={"detection": DetectionConfig(**{**dict(recipe.detection), "scoring": EXACT})}
            )
        candidates = score_recordings(plan, data, detector, "test", watch)
        level = candidates["label"].map(facts["thresholds"]).to_numpy(float)
        pooled.append(candidates)
        kept.append(candidates[candidates["score"].to_numpy(float) >= level])
        cost["networks_s"] += watch.networks_s
        cost["trees_s"] += watch.trees_s
        cost["training_s"] += facts["training_s"]
        for index in data.indices_of("test"):
            cost["features_s"] += data.spectrograms[index].seconds_used
            cost["minutes"] += data.spectrograms[index].duration_s / 60
        cost["model_mb"] = sum(path.stat().st_size for path in (place / "model").iterdir()) / 1e6
        cost["parameters"] = sum(network.n_parameters for network in detector.networks)
        cost["trees"] = detector.trees.n_trees if detector.trees else 0
    return pd.concat(pooled, ignore_index=True), pd.concat(kept, ignore_index=True), cost


def score_with(run_folder: Path, manifest, output: Path):
    """Score every real recording with a run that was trained on something else; its own thresholds keep detections."""
    from ecotf.detection.recordings import candidates_of
    from ecotf.pipelines.spectrogram_store import SpectrogramStore
    from ecotf.tasks.calls.run import load_run

    run = load_run(run_folder)
    store = SpectrogramStore(output / "spectrograms", run.recipe.front_end)
    tables = []
    for name in manifest.recordings:
        spectrogram = store.get(manifest.path_of(name))
        table = candidates_of(spectrogram, run.detector, run.recipe.detection, run.recipe.peaks)
        tables.append(table.assign(recording=name))
    pooled = pd.concat(tables, ignore_index=True)
    return pooled, pooled[pooled["score"].to_numpy(float) >= pooled["label"].map(run.thresholds).to_numpy(float)]


def band_energy(manifest, separation_s: float = 0.010) -> pd.DataFrame:
    """Find calls with a plain detector: peaks of the strongest frequency from 15 to 120 kHz over its median."""
    import numpy as np
    from scipy.signal import find_peaks, stft

    from ecotf.audio.recording import open_recording

    tables = []
    for name in manifest.recordings:
        recording = open_recording(manifest.path_of(name))
        frequencies, times, spectrum = stft(recording.read(), recording.sample_rate, nperseg=1024, noverlap=768)
        inside = (frequencies >= 15e3) & (frequencies <= 120e3)
        decibels = 10 * np.log10(np.abs(spectrum[inside]) ** 2 + 1e-14)
        track = (decibels - np.median(decibels, axis=1, keepdims=True)).max(axis=0)
        peaks, _ = find_peaks(track, height=10, distance=max(1, int(separation_s / (times[1] - times[0]))))
        at = {"recording": name, "start_s": times[peaks], "end_s": times[peaks], "low_hz": 15e3, "high_hz": 120e3}
        tables.append(pd.DataFrame({**at, "label": "call", "score": track[peaks]}))
    return pd.concat(tables, ignore_index=True)


def print_figures(model: str, figures: dict) -> None:
    """One line for each set."""
    for name, row in figures.items():
        low, high = row["ap_interval"]
        interval = f"AP {row['ap']:.3f} [{low:.3f}, {high:.3f}]"
        rest = "  ".join(f"{key} {row[key] or 0:.3f}" for key in ("f1", "macro_f1", "precision", "recall"))
        console.print(f"{model:24s} {name:12s} {interval}  {rest}", markup=False)


def judge_sets(manifest, pooled: pd.DataFrame, kept: pd.DataFrame) -> dict:
    """Figures for each set: AP from all candidates, the rest from what each fold's own thresholds kept."""
    from ecotf.datasets.labels import IGNORED_LABELS, labels_that_match
    from ecotf.evaluation.metrics import evaluate

    ignored_labels = labels_that_match(manifest.labels, IGNORED_LABELS)
    labels = [label for label in manifest.labels if label not in ignored_labels]
    # A model may know species that nobody annotated here: their detections are calls, under no name that can be judged.
    pooled, kept = (table[table["label"].isin(["call", *labels])] for table in (pooled, kept))
    result = {}
    for name in (*SETS, "both"):
        recordings = [r for r in manifest.recordings if name == "both" or f"/{name}/" in r]
        inside = [table[table["recording"].isin(recordings)] for table in (pooled, kept)]
        settings = {
            "labels": labels,
            "ignored_labels": ignored_labels,
            "thresholds": dict.fromkeys(["call", *labels], 0.0),
            "seed": SEED,
        }
        ranked, decided = (evaluate(table, manifest.table, recordings, **settings) for table in inside)
        result[name] = {
            "ap": ranked["detection"]["ap"],
            "ap_interval": ranked["detection"]["ap_interval"],
            **{key: decided["detection"][key] for key in ("f1", "f1_interval", "precision", "recall")},
            "macro_f1": decided["species"]["macro_f1_two_recordings"],
            "macro_f1_interval": decided["species"].get("macro_f1_two_recordings_interval"),
            "n_calls": decided["detection"]["n_calls"],
        }
    return result


def report_ranking(model: str, manifest, pooled: pd.DataFrame) -> dict:
    """Compare two rankings of the same named detections: by the score of the label, and by `detection_score`.

    The difference is judged on the same resampled recordings.
    """
    from ecotf.datasets.labels import CALL_LABEL, IGNORED_LABELS, labels_that_match
    from ecotf.evaluation.average_precision import average_precision
    from ecotf.evaluation.bootstrap import interval, resample_weights, resampled_detection
    from ecotf.evaluation.matching import DEFAULT_TOLERANCE_S, match_track, scored_tables

    ignored = labels_that_match(manifest.labels, IGNORED_LABELS)
    named = pooled[pooled["label"] != CALL_LABEL].sort_values("score", ascending=False, kind="stable")
    named = named.drop_duplicates(["recording", "start_s", "end_s"]).assign(label=CALL_LABEL)  # one name for each peak
    result = {}
    for name in (*SETS, "both"):
        recordings = [r for r in manifest.recordings if name == "both" or f"/{name}/" in r]
        weights = resample_weights(len(recordings), 1000, SEED)
        inside, row, resampled = named[named["recording"].isin(recordings)], {}, {}
        for column in ("score", "detection_score"):
            table = inside.assign(score=inside[column])
            detections, calls = scored_tables(table, manifest.table, recordings, ignored)
            track = match_track(detections, calls, len(recordings), DEFAULT_TOLERANCE_S)
            resampled[column] = resampled_detection(track, 0.0, weights)["ap"]
            row[column] = average_precision(track.scores, track.hits, track.n_calls)
            row[f"{column}_interval"] = interval(resampled[column], weights)
        row["difference"] = row["detection_score"] - row["score"]
        row["difference_interval"] = interval(resampled["detection_score"] - resampled["score"], weights)
        result[name] = {"candidates": len(inside), **row}
        for column in ("score", "detection_score", "difference"):
            low, high = row[f"{column}_interval"]
            line = f"{model}  {name:12s} {len(inside):5d} named candidates, {column:15s} {row[column]:.3f}"
            console.print(f"{line} [{low:.3f}, {high:.3f}]", markup=False, soft_wrap=True)
    return result


def report_gate(models: list[str], data: Path, output: Path) -> None:
    """Measure what each model's gate skips and loses on recordings that its threshold was not fitted on."""
    from gate_real import cross_validate_gate

    folds = real_folds(data)
    found = band_energy(folds[0])
    without = judge_sets(folds[0], found, found)
    result = {}
    for model in models:
        figures, kept = cross_validate_gate(model, folds, found)
        gated = judge_sets(folds[0], kept, kept)
        console.print(f"{model}: thresholds {[fold['threshold_db'] for fold in figures['folds']]} dB", markup=False)
        for name in (*SETS, "both"):
            row = figures[name]
            row |= {"ap": without[name]["ap"], "ap_gated": gated[name]["ap"]}
            low, high = row["calls_lost_interval"]
            console.print(
                f"  {name:12s} skips {row['patches_skipped']:.1%} of {row['patches']} patches, loses "
                f"{row['calls_lost']:.2%} [{low:.2%}, {high:.2%}] of {row['calls']} calls; band energy AP "
                f"{row['ap']:.3f}, with the gate {row['ap_gated']:.3f}",
                markup=False,
                soft_wrap=True,
            )
        result[model] = figures
    output.mkdir(parents=True, exist_ok=True)
    (output / "gate.json").write_text(json.dumps(result, indent=1))


def main() -> None:
    """Train, score, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--output", type=Path, default=Path("runs/real"))
    parser.add_argument("--exact", action="store_true", help="score the published way, every window of every slice")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value", help="settings of the recipes to change")
    parser.add_argument("--run", type=Path, help="judge this run on all real recordings instead of training")
    parser.add_argument("--baseline", action="store_true", help="judge a plain band-energy peak detector")
    parser.add_argument("--gate", action="store_true", help="what the models' gates skip and lose; trains no network")
    parser.add_argument("--ranking", action="store_true", help="compare rankings by score and by detection_score")
    options = parser.parse_args()
    if options.gate:
        report_gate(options.models, options.data, options.output)
        return
    if options.baseline:
        manifest = real_manifest(options.data)
        pooled = band_energy(manifest)
        print_figures("band energy", judge_sets(manifest, pooled, pooled[pooled["score"] > 20]))
        return
    if options.run:
        manifest = real_manifest(options.data)
        print_figures(options.run.name, judge_sets(manifest, *score_with(options.run, manifest, options.output)))
        return
    folds = real_folds(options.data)
    for model in options.models:
        pooled, kept, cost = cross_validate(model, folds, options.output, options.set, options.threads, options.exact)
        if options.ranking:
            found = report_ranking(model, folds[0], pooled)
            (options.output / f"{model}_ranking.json").write_text(json.dumps(found, indent=1))
            continue
        figures = judge_sets(folds[0], pooled, kept)
        place = options.output / f"{model}{'_exact' if options.exact else ''}"
        pooled.to_parquet(place.with_suffix(".parquet"))
        place.with_suffix(".json").write_text(
            json.dumps({"figures": figures, "cost": cost, "set": options.set}, indent=1)
        )
        print_figures(model, figures)
        console.print(json.dumps(cost), markup=False)


if __name__ == "__main__":
    main()
