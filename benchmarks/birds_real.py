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
from ecotf.evaluation.clip_metrics import wilson_interval
from ecotf.features import MelSpectrogram
from ecotf.recipe import ClipRecipe, load_any_recipe, recipe_text
from ecotf.runs import RunFolder

FOLDS = 5
SETS = {"qut_boobook": ("Ninox boobook",), "qut_pitta": ("Pitta versicolor",), "pyha_piha": ("bird",)}
# Few recordings: an epoch draws several crops of each, so that there are enough steps.
PHOEBE = ("stages.0.sampler.clips=320", "stages.0.epochs=12")
PRETRAIN = ("stages.0.epochs=16",)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("phoebe", "events", "ablation"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=FOLDS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="comma-separated: settings, sets or variants")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    options = parser.parse_args()
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
    right = n = 0
    for number in range(options.folds):
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
    run = RunFolder.create(options.runs, name, steps=clip_steps(recipe))
    run.write_text("recipe.yaml", recipe_text(recipe))
    write_manifest(manifest, run.path / "manifest.csv")
    train_clip_run(recipe, manifest, run, options.runs / "sounds")
    return json.loads((run.path / "metrics.json").read_text())


def events(options: argparse.Namespace) -> None:
    """Events of one class in field recordings: F1 and AP, every recording tested once."""


def ablation(options: argparse.Namespace) -> None:
    """Each augmentation and the class weighting on and off, some seeds, on the folds of phoebe."""


def figures(right: int, n: int) -> dict:
    low, high = wilson_interval(right, n)
    return {"right": right, "n": n, "accuracy": right / n, "interval": [low, high]}


def show(results: dict, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(known | results, indent=2) + "\n")
    for name, row in results.items():
        low, high = row["interval"]
        tell(f"{name:45s} {row['right']:3d} of {row['n']}  {row['accuracy']:.3f} [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()
