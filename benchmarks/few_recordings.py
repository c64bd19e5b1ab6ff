"""What parts of `birds/events` bring where few recordings are learned from: simulated ones, so that many can be tested.

    python benchmarks/few_recordings.py --runs FOLDER
    python benchmarks/few_recordings.py --runs FOLDER --seeds 1,2 --only "without refit/plain loss+without refit"
    python benchmarks/few_recordings.py --runs FOLDER --classes 8 --seeds 1,2 --only "without refit"

Each seed has voices of its own: of three classes five recordings of 40 s are learned from, two choose epochs and
thresholds, and 29 are tested; of one class eight, four and 28, of eight classes twelve, five and 23. What is compared
are names of `events.py`, on the same recordings. `events.md` has the table.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from events import ALONE, CALLS
from events_judged import judged
from events_scenes import CLASSES, STRANGERS, scenes, voices

from ecotf.commands.console import log
from ecotf.datasets.manifest import make_manifest
from ecotf.quiet import quieten_libraries
from ecotf.runs import RunFolder
from ecotf.tasks.recipes import load_any_recipe
from ecotf.tasks.training_run import train_run

_QUIETEST_DB = -10.0
_SEEDS = "1,2,4,7"  # in the recordings of 3 that choose there is no call
_COLLAR_S = 0.25
_FIGURES = ("ap", "f", "edges_f", "psds")


@dataclass(frozen=True)
class Setup:
    """So many recordings are learned from, choose, and are tested; each class is in a ``share`` of them.

    Recordings are drawn from ``first`` and the seed, and voices from the number that is ``voices_after`` it.
    """

    name: str
    classes: tuple[str, ...]
    learn: int
    choose: int
    test: int
    share: float
    first: int
    voices_after: int

    def table(self, folder: Path, seed: int) -> pd.DataFrame:
        """Return the annotations with the side of each recording; recordings that are not there are written."""
        n, first = self.learn + self.choose + self.test, self.first + seed
        drawn = voices(first + self.voices_after, len(self.classes) + STRANGERS)
        table = scenes(folder, n, first, _QUIETEST_DB, self.classes, self.share, drawn).table.copy()
        number = table["recording"].str.extract(r"(\d+)")[0].astype(int)
        sides = np.where(number < self.learn, "train", np.where(number < self.learn + self.choose, "valid", "test"))
        return table.assign(split=sides, recording=[str(folder / name) for name in table["recording"]])


SETUPS = {
    1: Setup("one", CLASSES[:1], 8, 4, 28, 0.5, 900, 0),
    3: Setup("few", CLASSES, 5, 2, 29, 0.5, 100, 1),
    8: Setup("many", tuple(f"c{i}" for i in range(8)), 12, 5, 23, 0.3, 500, 0),
}


def main() -> None:
    """Train what is asked for and is not there yet, judge it, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--seeds", type=seed_numbers, default=_SEEDS, help="numbers with commas between them")
    parser.add_argument("--only", default="events/without refit", help="with / between them, + for both at once")
    parser.add_argument("--classes", type=int, default=3, choices=tuple(SETUPS))
    options = parser.parse_args()
    variants = options.only.split("/")
    allowed = [one for one in CALLS if one not in ALONE]
    unknown = [one for one in options.only.replace("+", "/").split("/") if one not in allowed]
    if unknown:
        parser.error(f"--only {unknown[0]!r}: allowed are {', '.join(allowed)}")
    quieten_libraries()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    setup, found = SETUPS[options.classes], {}
    for one in variants:
        found[one] = np.array([_figures(options.runs, seed, one, setup) for seed in options.seeds])
    print("| scenes | seeds | AP | F | F, both edges | PSDS | AP beyond the first row |\n|---|---|---|---|---|---|---|")
    first = found[variants[0]]
    for name, rows in found.items():
        told = " | ".join(f"{one.mean():.2f} ({one.min():.2f} to {one.max():.2f})" for one in rows.T)
        apart = (rows - first)[:, 0]
        more = "" if name == variants[0] else f"{apart.mean():+.3f} ({', '.join(f'{one:+.2f}' for one in apart)})"
        print(f"| {name} | {len(options.seeds)} | {told} | {more} |")


def seed_numbers(text: str) -> list[int]:
    """Read numbers with commas between them."""
    return [int(one) for one in text.split(",")]


def _figures(runs: Path, seed: int, variant: str, setup: Setup) -> list[float]:
    """Return average precision, F1, that of both edges, and PSDS: means over the classes."""
    folder = (runs / f"scenes_{setup.name}_{seed}").resolve()
    table = setup.table(folder, seed)
    title = f"{setup.name}_{seed}/{variant.replace(' ', '_')}"
    if not list((runs / title).glob("*/environment.json")):
        overrides = tuple(one for name in variant.split("+") for one in CALLS[name][1])
        recipe = load_any_recipe("birds/events", [*overrides, f"seed={1979 + seed}"])
        train_run(recipe.model_copy(update={"name": title}), make_manifest(table, "/", "scenes"), runs, threads=1)
    run = RunFolder.open(next((runs / title).glob("*/environment.json")).parent)
    found, least = run.read_table("events.parquet"), run.read_json("thresholds.json")["events"]
    found["recording"] = [str(folder / Path(name).name) for name in found["recording"]]
    found = found.assign(kept=found["score"] >= found["label"].map(least).fillna(1.1))
    known = [name for name in setup.classes if (table.loc[table["split"] == "train", "label"] == name).any()]
    rows = judged(found, _tested(table), known, _COLLAR_S)
    figures = [float(np.mean([row[key] for row in rows.values()])) for key in _FIGURES]
    told = ", ".join(f"{name} {row['ap']:.3f}" for name, row in rows.items())
    log(f"{title}: mean AP {figures[0]:.3f} ({told})")
    return figures


def _tested(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["split"] == "test"].assign(number=0).reset_index(drop=True)


if __name__ == "__main__":
    main()
