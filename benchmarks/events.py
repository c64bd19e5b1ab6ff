"""Recipes of events beside `birds/small` with boxes and a detector of energy: folds by recording.

    python benchmarks/events.py simulated --runs FOLDER --fold 0
    python benchmarks/events.py real --data FOLDER --runs FOLDER --only energy/small/events
    python benchmarks/events.py real --data FOLDER --runs FOLDER --sets qut_boobook --only events/plain loss --seeds 3
    python benchmarks/events.py table --runs FOLDER

FOLDER of the data holds `manifest.csv`, `annotations.csv` and the sets of `events_sets.py`. One fold is tested, the
next chooses epochs and thresholds, the others are learned from. Trainings that are finished are not repeated. Figures
go to RUNS as JSON; `events.md` says what they mean.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd
from birds_runs import pretrained, run_once, short_clips, whole_clips
from events_judged import by_energy, judged
from events_scenes import CLASSES, scenes
from events_sets import FOLDS, SETS, EventSet, event_table, folds_of, side_of

from ecotf.commands.console import log
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.quiet import quieten_libraries
from ecotf.runs import RunFolder
from ecotf.tasks.recipes import load_any_recipe
from ecotf.tasks.training_run import train_run

ENERGY = "energy"
# birds/small with boxes. Windows of 1.5 s, two a second, labelled by the boxes in them: calls follow each other every
# two seconds, and longer ones would hardly ever have none. Rows of 1 s are read with a quarter of a second on either
# side. Few recordings have the call, and would be known by their background: windows are added up, and so are labels.
SMALL = (
    "clips.seconds=1.5", "inference.segment_s=1.0", "inference.report=events", "evaluation.events=true",
    "stages.0.segments=true", "stages.0.segment_hop_s=0.5", "stages.0.epochs=4", "stages.0.sampler.clips=560",
    "stages.0.loss={name: binary, frames_share: 0.5, average: clips}",
    "stages.0.sound.sum_mixup={probability: 0.6, double: 1.0}",
    "stages.0.image={time_mask: {probability: 0.5, width: 20}}",
    "stages.0.learning_rate=0.002", "stages.0.schedule.warmup_epochs=1",
)  # fmt: skip
_BOTH = ("stages.0", "stages.1")
_LEVELS = ("front_end.denoise=none", "level.offset=70")
_CHANGES = "{name: change_detection, steps_s: [0.01, 0.02, 0.04], floor: 0.05, shortest_s: 0.01, outvoted: 0.5}"
_FILTERS = "{name: change_detection, steps_s: [0.08, 0.16, 0.32, 0.48, 0.64, 0.96], within: 1.5}"
# What is compared: a recipe and its overrides. All of calls but `small` are birds/events with one thing changed.
CALLS: dict[str, tuple[str, tuple[str, ...]]] = {
    "small": ("birds/small", SMALL),
    "small after sounds": ("birds/small", SMALL),
    "events": ("birds/events", ()),
    "without refit": ("birds/events", ("refit=false",)),
    "without planting": ("birds/events", tuple(f"{one}.draws.planted=0" for one in _BOTH)),
    "without speed": ("birds/events", tuple(f"{one}.planting.speed=0" for one in _BOTH)),
    "decoys beside": ("birds/events", tuple(f"{one}.planting.elsewhere=0" for one in _BOTH)),
    "without mining": ("birds/events", ("stages.1.mining=null", "stages.1.draws.mined=0")),
    "without backgrounds": ("birds/events", tuple(f"{one}.sound={{}}" for one in _BOTH)),
    "without frames": ("birds/events", tuple(f"{one}.frames.share=0.05" for one in _BOTH)),
    "plain loss": ("birds/events", tuple(f"{one}.frames={{name: focal, gamma: 0.0, share: 0.7}}" for one in _BOTH)),
    "without onsets": ("birds/events", ("network.head.onsets=false", f"inference.events={_FILTERS}")),
    "peaks": ("birds/events", ("inference.events={smooth_s: 0.05, gap_s: 0.15}",)),
    "shorter": ("birds/events", ("stages.0.epochs=8",)),
    "fewer clips": ("birds/events", tuple(f"{one}.draws.clips=480" for one in (*_BOTH, "stages.2"))),
    "more clips": ("birds/events", tuple(f"{one}.draws.clips_each=960" for one in (*_BOTH, "stages.2"))),
    "one filter": (
        "birds/events",
        ("inference.events.finders.0.steps_s=[0.32, 0.48, 0.64]", "inference.events.finders.0.within=null"),
    ),
    "averaged": ("birds/events", ("stages.0.ema=0.98", "stages.1.ema=0.98")),
    "after sounds": ("birds/events", ()),
}
# What names clips of 23 classes of other sounds, with the backbone of birds/events, which is all that is kept of it.
SOUNDS = (
    "front_end.window_s=0.064", "network.backbone.halvings=2", "stages.0.epochs=40", "stages.0.title=sounds",
)  # fmt: skip
SONGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "small": ("birds/small", SMALL),
    "events": ("songs/dense", ()),
    "with refit": ("songs/dense", ("refit=true",)),
    "shorter": ("songs/dense", ("stages.0.epochs=10",)),
    "without onsets": ("songs/dense", (f"inference.events={_CHANGES}",)),
    "other levels": (
        "songs/dense",
        (*_LEVELS, *(f"{one}.sound.gain={{probability: 0.5, db: [-15.0, 5.0]}}" for one in _BOTH)),
    ),
    "peaks": ("songs/dense", ("inference.events={smooth_s: 0.004, gap_s: 0.02}",)),
}
ALONE = (ENERGY, "small", "small after sounds")


def main() -> None:
    """Train what is asked for and is not there yet, and judge it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("simulated", "real", "table"))
    parser.add_argument("--data", type=Path, help="of real: the folder of the recordings")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--fold", type=int, action="append", help="only this one; may be given again")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=1979)
    parser.add_argument(
        "--only", default="energy/small/events", help=f"with / between them, + for both at once: {', '.join(CALLS)}"
    )
    parser.add_argument("--sets", default="", help="of real: comma-separated; all by default")
    parser.set_defaults(threads=1)
    options = parser.parse_args()
    if options.what == "table":
        print(as_table(json.loads((options.runs / "real.json").read_text())))
        return
    unknown = [one for one in options.only.replace("+", "/").split("/") if one not in (ENERGY, *CALLS, *SONGS)]
    if unknown:
        parser.error(f"--only {unknown[0]!r}: allowed are {ENERGY}, {', '.join(dict.fromkeys((*CALLS, *SONGS)))}")
    alone = [one for one in options.only.split("/") if "+" in one and set(ALONE) & set(one.split("+"))]
    if alone:
        parser.error(f"--only {alone[0]!r}: {', '.join(ALONE)} stand alone")
    quieten_libraries()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    options.runs.mkdir(parents=True, exist_ok=True)
    file = options.runs / f"{options.what}.json"
    for name, table, own in _sets(options):
        for variant in options.only.split("/"):
            for seed in range(options.first_seed, options.first_seed + (1 if variant == ENERGY else options.seeds)):
                folds = options.fold or folds_of(table)
                title = f"{name}, {variant}, seed {seed}, folds {', '.join(map(str, folds))}"
                began = process_time()
                parts = [_fold(options, name, table, own, variant, fold, seed) for fold in folds]
                tested = table[table["number"].isin(folds)]
                rows = judged(pd.concat(parts, ignore_index=True), tested, own.classes, own.collar_s)
                results: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
                results[title] = rows
                file.write_text(json.dumps(results, indent=2) + "\n")
                log(f"{title}: {process_time() - began:.0f} s of processor time")
                for label, row in rows.items():
                    log("  " + said(label, row))


def said(label: str, row: dict[str, Any]) -> str:
    """Return the figures of a class in one line."""
    span = ", ".join("-" if one is None else f"{one:.3f}" for one in row["f_interval"])
    alarms = "-"
    if row["alarms_hours"]:
        alarms = f"{row['alarms']:.0f} an hour ({row['alarms_n']} in {row['alarms_hours'] * 60:.1f} min)"
    figures = {
        "AP": "ap",
        "AP of folds": "ap_folds",
        "F": "f",
        "both edges": "edges_f",
        "precision": "precision",
        "recall": "recall",
        "PSDS": "psds",
    }
    told = "  ".join(f"{name} {_figure(row[key])}" for name, key in figures.items())
    counted = f"{label}: {row['recordings']} recordings, {row['events']} events"
    return f"{counted}: {told}  F 95 % [{span}]  false alarms {alarms}"


def as_table(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Return the results as the table of `events.md`: of several seeds the mean, the least and the highest figure."""
    lines = [
        "| set, class | recordings, events | by | seeds | AP | AP of folds | F [95 %] | F, both edges [95 %] | PSDS "
        "| false alarms an hour [95 %] |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    together: dict[tuple[str, str, str, str], list[dict[str, Any]]] = {}
    for title, rows in results.items():
        name, variant, _, folds = title.split(", ", 3)
        for label, row in rows.items():
            together.setdefault((name, variant, folds, label), []).append(row)
    for (name, variant, _, label), seeds in together.items():
        first = seeds[0]
        alarms = "-"
        if first["alarms_hours"]:
            low, high = _middle(seeds, "alarms")["alarms_interval"]
            alarms = f"{_over(seeds, 'alarms', 0)} [{low:.0f}, {high:.0f}]"
        f, edges = (f"{_over(seeds, key)} {_span(_middle(seeds, key)[f'{key}_interval'])}" for key in ("f", "edges_f"))
        lines.append(
            f"| {name}, {label} | {first['recordings']}, {first['events']} | {variant} | {len(seeds)} "
            f"| {_over(seeds, 'ap')} | {_over(seeds, 'ap_folds')} | {f} | {edges} | {_over(seeds, 'psds')} | {alarms} |"
        )
    return "\n".join(lines)


def _over(seeds: list[dict[str, Any]], key: str, digits: int = 2) -> str:
    """Return the mean of a figure over seeds, with the least and the highest one."""
    values = [row.get(key) for row in seeds]
    if any(value is None or value != value for value in values):
        return "-"
    mean = f"{sum(values) / len(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def _middle(seeds: list[dict[str, Any]], key: str) -> dict[str, Any]:
    """Return the seed in the middle by a figure, of two the worse one; its interval stands for all."""
    worst_first = sorted(seeds, key=lambda row: row[key] or 0.0, reverse=key == "alarms")
    return worst_first[(len(seeds) - 1) // 2]


def _figure(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.2f}"


def _span(interval: list[float | None]) -> str:
    return "[" + ", ".join("-" if one is None else f"{one:.2f}" for one in interval) + "]"


def _sets(options: argparse.Namespace) -> list[tuple[str, pd.DataFrame, EventSet]]:
    """Return the sets with their tables: the folds are in ``number``."""
    if options.what == "simulated":
        table = scenes(options.runs / "scenes").table.copy()
        names = sorted(table["recording"].unique())
        table["number"] = table["recording"].map({name: i % FOLDS for i, name in enumerate(names)})
        table["recording"] = [str((options.runs / "scenes" / name).resolve()) for name in table["recording"]]
        return [("scenes", table, EventSet(CLASSES))]
    if options.data is None:
        raise SystemExit("events.py real needs --data FOLDER")
    wanted = options.sets.split(",") if options.sets else list(SETS)
    return [(name, event_table(options.data, name, options.runs / "pieces"), SETS[name]) for name in wanted]


def _fold(
    options: argparse.Namespace, name: str, table: pd.DataFrame, own: EventSet, variant: str, fold: int, seed: int
) -> pd.DataFrame:
    """Return what is found in the recordings of a fold, with what is above the threshold in ``kept``."""
    if variant == ENERGY:
        sides = sides_of(table, own, fold)
        return by_energy(sides, table, own.classes, own.collar_s)
    known = SONGS if own.family == "songs" else CALLS
    if strange := [one for one in variant.split("+") if one not in known]:
        raise SystemExit(f"{name} is of {own.family}, which have no {strange[0]!r}; they have: {', '.join(known)}")
    changes = [known[one] for one in variant.split("+")]
    recipe_name, overrides = changes[0][0], tuple(one for _, own_ones in changes for one in own_ones)
    if recipe_name == "birds/small":
        overrides = (*overrides, *(() if own.family == "calls" else ("sample_rate=32000",)))
    else:
        overrides = (*overrides, *own.overrides)
    if variant == "small after sounds":
        overrides = (*overrides, f"stages.0.weights_from={pretrained(options)}")
    if "after sounds" in variant.split("+"):
        overrides = (*overrides, f"stages.0.weights_from={_sounds_learned(options)}")
    recipe = load_any_recipe(recipe_name, [*overrides, f"seed={seed}"])
    title = f"{name}/{variant.replace(' ', '_')}_{seed}_fold_{fold}"
    stages = recipe.stages if recipe_name != "birds/small" else recipe.stages[:1]
    done = sorted((options.runs / title).glob("*/environment.json"))
    if not done:
        began = perf_counter()
        manifest = fold_manifest(table, own, fold)
        train_run(
            recipe.model_copy(update={"name": title, "stages": stages}), manifest, options.runs, threads=options.threads
        )
        log(f"{title}: {perf_counter() - began:.0f} s")
        done = sorted((options.runs / title).glob("*/environment.json"))
    run = RunFolder.open(done[0].parent)
    found, least = run.read_table("events.parquet"), run.read_json("thresholds.json")["events"]
    return found.assign(kept=found["score"] >= found["label"].map(least).fillna(1.1))


def _sounds_learned(options: argparse.Namespace) -> Path:
    """Return a stage that learned animals, weather and machines of the few-shot sets: nothing of the sets of events."""
    clips = short_clips(options.data, "fewshot/")
    fold = clips["fold"].where(clips["fold"].notna(), clips.index % FOLDS)
    split = ["valid" if one == 4 else "train" for one in fold]
    return (run_once(whole_clips(clips, split), options, "sounds", SOUNDS).path / "stages/0_sounds").resolve()


def sides_of(table: pd.DataFrame, own: EventSet, fold: int) -> pd.Series:
    """Return the side of each recording in a fold."""
    n = len(folds_of(table))
    firsts = table.drop_duplicates("recording")
    return pd.Series({row.recording: side_of(row, fold, n, own.pieces) for row in firsts.itertuples()})


def fold_manifest(table: pd.DataFrame, own: EventSet, fold: int) -> Manifest:
    """Return the annotations with the side of each recording in a fold."""
    made = table.assign(split=table["recording"].map(sides_of(table, own, fold)))
    return make_manifest(made.drop(columns=["number", "piece"], errors="ignore"), "/", "benchmark")


if __name__ == "__main__":
    main()
