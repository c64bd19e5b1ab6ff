"""Bird recipes on real recordings: species of short clips, and events in field recordings.

    python benchmarks/birds_real.py phoebe --data FOLDER --runs FOLDER     7 species, 5 folds by recording
    python benchmarks/birds_real.py events --data FOLDER --runs FOLDER     3 sets, folds by recording
    python benchmarks/birds_real.py ablation --data FOLDER --runs FOLDER   what each augmentation does

FOLDER holds `manifest.csv` and `annotations.csv`. Results are in `birds.md`; figures also go to RUNS as JSON. Finished
folds are not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd

from ecotf.audio.recording import open_recording
from ecotf.commands.console import quieten_libraries, tell
from ecotf.commands.train_clips import clip_steps, train_clip_run
from ecotf.datasets.manifest import Manifest, make_manifest, write_manifest
from ecotf.evaluation import average_precision, match_detections
from ecotf.evaluation.clip_metrics import wilson_interval
from ecotf.features import MelSpectrogram
from ecotf.recipe import ClipRecipe, load_any_recipe, recipe_text
from ecotf.runs import RunFolder

FOLDS = 5
SETS = {"qut_boobook": ("Ninox boobook",), "qut_pitta": ("Pitta versicolor",), "pyha_piha": ("bird",)}
# Each clip has one class, so the recipe's first stage, which chooses one, is enough. There are few recordings: an epoch
# draws several crops of each, so that there are enough steps.
PHOEBE = ("stages.0.sampler.clips=384", "stages.0.epochs=10")
TOLERANCE_S = 0.25
SOUND = ("gain", "time_shift")
IMAGE = ("time_mask", "frequency_mask")
# Windows of 5 s, half overlapping, labelled by the boxes in them.
EVENTS = (
    "stages.0.windows=true", "stages.0.window_hop_s=2.5", "stages.0.epochs=10", "evaluation.events=true",
    "stages.0.loss={name: binary, frames_share: 0.5}", "inference.report=events", "clips.pad=zeros",
)  # fmt: skip
PRETRAIN = ("stages.0.epochs=16",)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("phoebe", "events", "ablation"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=FOLDS)
    parser.add_argument("--fold", type=int, action="append", help="of phoebe: only this one")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="comma-separated: settings, sets or variants")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    options = parser.parse_intermixed_args()
    quieten_libraries()
    {"phoebe": phoebe, "events": events, "ablation": ablation}[options.what](options)


def phoebe(options: argparse.Namespace) -> None:
    """Accuracy on the species of phoebe_xc: log-mel statistics, from scratch, and pre-trained on other classes."""
    species, others = tables(options.data)
    only = options.only.split(",") if options.only else ["statistics", "scratch", "pretrained"]
    results = {}
    if "statistics" in only:
        results["logistic regression on log-mel statistics"] = statistics_accuracy(species)
    if "scratch" in only:
        results["birds/small from scratch"] = small_accuracy(species, options, "scratch", options.overrides)
    if "pretrained" in only:
        stage = pretrained(others, options)
        changed = [f"stages.0.weights_from={stage}", *options.overrides]
        results["birds/small pre-trained"] = small_accuracy(species, options, "pretrained", changed)
    show(results, options.runs / "phoebe.json")


def tables(data: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The clips of phoebe_xc with their folds, and those of the other classes of the few-shot set."""
    manifest = pd.read_csv(data / "manifest.csv")
    manifest["recording"] = [str((data / path).resolve()) for path in manifest["path"]]
    species = manifest[manifest["path"].str.startswith("fewshot/phoebe_xc/")].reset_index(drop=True)
    species["number"] = species.groupby("label").cumcount() % FOLDS
    others = manifest[manifest["path"].str.startswith("fewshot/esc")].reset_index(drop=True)
    return species, others


def whole_clips(table: pd.DataFrame, split: Sequence[str]) -> Manifest:
    """Clips with one label each, and the side that each is on."""
    rows = pd.DataFrame({"recording": table["recording"], "start_s": 0.0, "end_s": np.nan, "label": table["label"]})
    return make_manifest(rows.assign(group=table["recording"], split=list(split)), "/", "benchmark")


def statistics_accuracy(species: pd.DataFrame) -> dict:
    """Mean and standard deviation of each log-mel band over the clip, scaled, into a logistic regression."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    recipe = load_any_recipe("birds/small")
    assert isinstance(recipe, ClipRecipe)
    spectrogram = MelSpectrogram(recipe.front_end, recipe.sample_rate)
    features = []
    for path in species["recording"]:
        sound = open_recording(path).read(channel="mix", sample_rate=recipe.sample_rate)
        levels = spectrogram(np.ascontiguousarray(sound, np.float32))
        features.append(np.concatenate([levels.mean(axis=0), levels.std(axis=0)]))
    x, y, fold = np.stack(features), species["label"].to_numpy(), species["number"].to_numpy()
    right = 0
    for number in range(FOLDS):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
        model.fit(x[fold != number], y[fold != number])
        right += int((model.predict(x[fold == number]) == y[fold == number]).sum())
    return figures(right, len(y))


def small_accuracy(species: pd.DataFrame, options: argparse.Namespace, name: str, overrides: Sequence[str]) -> dict:
    """Accuracy over the folds."""
    right = n = 0
    for number in options.fold or range(FOLDS):
        split = np.where(species["number"] == number, "test", "train")
        metrics = run_once(whole_clips(species, split), options, f"{name}/fold_{number}", [*PHOEBE, *overrides])
        right, n = right + metrics["recordings"]["right"], n + metrics["recordings"]["n"]
        tell(f"{name}: fold {number}: {right} of {n} right so far")
    return figures(right, n)


def pretrained(others: pd.DataFrame, options: argparse.Namespace) -> Path:
    """The stage that learned the other classes; it never sees a recording of the species."""
    split = np.where(others["fold"] == 4, "valid", "train")
    run_once(whole_clips(others, split), options, "others", ["stages.0.title=pretrain", *PRETRAIN])
    return next((options.runs / "others").glob("*/stages/0_pretrain")).resolve()


def run_once(manifest: Manifest, options: argparse.Namespace, name: str, overrides: Sequence[str]) -> dict:
    """Train and judge as ``run_training.py`` does; once, whatever was changed since."""
    done = sorted((options.runs / name).glob("*/environment.json"))
    if done:
        return json.loads((done[0].parent / "metrics.json").read_text())
    recipe = load_any_recipe("birds/small", overrides)
    assert isinstance(recipe, ClipRecipe)
    recipe = recipe.model_copy(update={"stages": recipe.stages[:1]})
    run = RunFolder.create(options.runs, name, steps=clip_steps(recipe))
    run.write_text("recipe.yaml", recipe_text(recipe))
    write_manifest(manifest, run.path / "manifest.csv")
    train_clip_run(recipe, manifest, run, options.runs / "sounds")
    return json.loads((run.path / "metrics.json").read_text())


def events(options: argparse.Namespace) -> None:
    """Events of one class in field recordings: F1 and AP, every recording tested once."""
    results = {}
    for name in options.only.split(",") if options.only else SETS:
        table = field_table(options.data, name)
        recordings = sorted(table["recording"].unique())
        found, hits, kept = [], 0, 0
        for fold in range(options.folds):
            side = {r: fold_side(i, fold, options.folds) for i, r in enumerate(recordings)}
            manifest = make_manifest(table.assign(split=table["recording"].map(side)), "/", "benchmark")
            run_once(manifest, options, f"{name}/fold_{fold}", [*EVENTS, *options.overrides])
            run = sorted((options.runs / name / f"fold_{fold}").glob("*/environment.json"))[0].parent
            threshold = json.loads((run / "thresholds.json").read_text())["events"]["call"]
            own = pd.read_parquet(run / "events.parquet")
            own = own[own["label"] == "call"]
            above = own[own["score"] >= threshold]
            kept += len(above)
            hits += int(
                (match_detections(above, table[table["recording"].isin(own["recording"])], TOLERANCE_S) >= 0).sum()
            )
            found.append(own)
        candidates = pd.concat(found, ignore_index=True)
        n_calls = int((table["label"] != "").sum())
        hit = match_detections(candidates, table, TOLERANCE_S) >= 0
        results[name] = {
            "recordings": len(recordings),
            "events": n_calls,
            "ap": average_precision(candidates["score"], hit, n_calls),
            "precision": hits / max(1, kept),
            "recall": hits / n_calls,
            "f1": 2 * hits / (kept + n_calls),
        }
        row = results[name]
        tell(
            f"{name}: AP {row['ap']:.3f}  F1 {row['f1']:.3f}  precision {row['precision']:.3f}  "
            f"recall {row['recall']:.3f}"
        )
    (options.runs / "events.json").write_text(json.dumps(results, indent=2) + "\n")


def field_table(data: Path, name: str) -> pd.DataFrame:
    """Annotations of the set's class; what is annotated as anything else, and what is not at all, is no event."""
    manifest, annotations = pd.read_csv(data / "manifest.csv"), pd.read_csv(data / "annotations.csv")
    paths = [path for path in manifest["path"] if path.startswith(f"soundscapes/{name}/")]
    own = annotations[annotations["path"].isin(paths) & annotations["label"].isin(SETS[name])]
    rest = [
        {"path": path, "start_s": 0.0, "end_s": np.nan, "label": ""} for path in paths if path not in set(own["path"])
    ]
    table = pd.concat([own[["path", "start_s", "end_s", "label"]], pd.DataFrame(rest)], ignore_index=True)
    table["recording"] = [str((data / path).resolve()) for path in table.pop("path")]
    return table


def fold_side(number: int, fold: int, folds: int) -> str:
    """The side of a recording: one fold is tested, the next chooses thresholds."""
    return {fold: "test", (fold + 1) % folds: "valid"}.get(number % folds, "train")


def ablation(options: argparse.Namespace) -> None:
    """Each augmentation and the balanced sampler left out, some seeds, on the folds of phoebe: mean and spread."""
    species, _ = tables(options.data)
    off = {f"without {name}": [f"stages.0.sound.{name}.probability=0"] for name in SOUND}
    off |= {f"without {name}": [f"stages.0.image.{name}.probability=0"] for name in IMAGE}
    variants = {"all": [], **off, "plain sampler": ["stages.0.sampler={name: plain}"], "none": ["stages.0.sound={}",
                "stages.0.image={}"], "class weights": ["stages.0.class_weights=-0.5"]}  # fmt: skip
    for name in options.only.split(",") if options.only else variants:
        found = []
        for seed in range(options.seeds):
            folder = f"ablation/{name.replace(' ', '_')}/seed_{seed}"
            found.append(
                small_accuracy(species, options, folder, [*variants[name], f"seed={seed}", *options.overrides])
            )
        shares = [row["accuracy"] for row in found]
        tell(f"{name:30s} {np.mean(shares):.3f} (from {min(shares):.3f} to {max(shares):.3f}, {len(shares)} seeds)")


def figures(right: int, n: int) -> dict:
    """Accuracy with its interval."""
    low, high = wilson_interval(right, n)
    return {"right": right, "n": n, "accuracy": right / n, "interval": [low, high]}


def show(results: dict, file: Path) -> None:
    """Print the figures, and add them to ``file``."""
    file.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(known | results, indent=2) + "\n")
    for name, row in results.items():
        low, high = row["interval"]
        tell(f"{name:45s} {row['right']:3d} of {row['n']}  {row['accuracy']:.3f} [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()
