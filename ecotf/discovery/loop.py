"""The loop: cluster, learn what the clusters sound like, embed again, cluster again; kept after each iteration."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.clustering.choosing import Clustering, cluster_rows
from ecotf.clustering.micro import Rows
from ecotf.discovery.learning import Learner
from ecotf.errors import ConfigError
from ecotf.files import atomic_folder, reading_arrays
from ecotf.plain import plain
from ecotf.tasks.cluster_recipe import ClusterRecipe
from ecotf.training.run_store import Log

_STATE, _FIGURES = "clusters.npz", "figures.json"
DONE = "done"
"""The folder of an iteration's result, inside of the iteration's; it appears whole."""


@dataclass(frozen=True)
class Iteration:
    """One iteration.

    Attributes
    ----------
    number
        From 0, the clustering of embeddings before anything was learned.
    labels, probability
        Of all clips, ``[n]``.
    points, point_of
        As in `ecotf.clustering.choosing.Clustering`.
    figures
        Without labels: ``clusters, noise, dbcv, relative_validity, stability, dimensions, min_size`` and ``same``, how
        much alike the clusters are to those of the iteration before (adjusted Rand index).
    """

    number: int
    labels: np.ndarray
    probability: np.ndarray
    points: np.ndarray
    point_of: np.ndarray
    figures: dict[str, Any]


def run_iterations(rows: Rows, learner: Learner | None, recipe: ClusterRecipe, folder: Path, log: Log) -> int:
    """Run the iterations that are not finished yet; each is kept as ``folder/NN/done``.

    Parameters
    ----------
    rows
        The embeddings of all clips.
    learner
        None clusters once.
    folder
        Where iterations are kept, and where a killed job goes on.

    Returns
    -------
    How many there are.
    """
    before: Iteration | None = None
    for number in range(recipe.iterations + 1):
        place = folder / f"{number:02d}"
        if (place / DONE).exists():
            before = read_iteration(folder, number)
            log(f"iteration {number}: was finished before")
        else:
            place.mkdir(parents=True, exist_ok=True)
            if before is not None:
                assert learner is not None
                source = rows if number == 1 else learner.rows_of(folder / f"{number - 1:02d}")
                seed = int(np.random.SeedSequence([recipe.seed, number]).generate_state(1)[0] >> 1)
                now = learner.learn(before.labels, before.probability, source, place, seed)
            else:
                now = rows
            found = cluster_rows(now, recipe.clustering, recipe.seed, log)
            before = _keep(place, number, found, before, log)
            if number > 1 and learner is not None:
                learner.tidy(folder / f"{number - 1:02d}")
        reason = _why_stop(before, recipe, learner)
        if reason:
            log(f"iteration {number}: {reason}")
            _forget_later(folder, number)
            return number + 1
    return recipe.iterations + 1


def read_iteration(folder: Path, number: int) -> Iteration:
    """Read a finished iteration; raises `ConfigError` where it is damaged."""
    place = folder / f"{number:02d}" / DONE
    try:
        figures = json.loads((place / _FIGURES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ConfigError(f"{place / _FIGURES}: damaged; cluster again with --overwrite") from None
    figures = {name: math.nan if value is None else value for name, value in figures.items()}
    with reading_arrays(place / _STATE, "the clusters of an iteration") as kept:
        return Iteration(number, kept["labels"], kept["probability"], kept["points"], kept["point_of"], figures)


def choose_iteration(iterations: Sequence[Iteration], recipe: ClusterRecipe) -> int:
    """Return which iteration is the result, by figures that need no labels; the last one where there is none."""
    if recipe.choose == "last":
        with_clusters = [one.number for one in iterations if one.figures["clusters"] >= 2]
        return with_clusters[-1] if with_clusters else 0
    values = np.array([one.figures[recipe.choose] for one in iterations], float)
    return int(np.nanargmax(values)) if np.isfinite(values).any() else 0


def _keep(place: Path, number: int, found: Clustering, before: Iteration | None, log: Log) -> Iteration:
    from sklearn.metrics import adjusted_rand_score

    same = math.nan if before is None else float(adjusted_rand_score(before.labels, found.labels))
    figures = {**found.figures, "same": same}
    made = Iteration(number, found.labels, found.probability, found.points, found.point_of, figures)
    with atomic_folder(place / DONE) as partial:
        np.savez(
            partial / _STATE, labels=made.labels, probability=made.probability, points=made.points,
            point_of=made.point_of,
        )  # fmt: skip
        candidates = [asdict(one) for one in found.candidates]
        (partial / "candidates.json").write_text(json.dumps(plain(candidates), indent=1) + "\n", encoding="utf-8")
        (partial / _FIGURES).write_text(json.dumps(plain(figures), indent=1) + "\n", encoding="utf-8")
    texts = [f"{figures['clusters']} clusters, {100 * figures['noise']:.0f} % noise"]
    for name, title in (("dbcv", "DBCV"), ("relative_validity", "relative validity"), ("stability", "stability")):
        if not math.isnan(figures[name]):
            texts.append(f"{title} {figures[name]:.2f}")
    log(f"iteration {number}: {', '.join(texts)}")
    return made


def _why_stop(last: Iteration, recipe: ClusterRecipe, learner: Learner | None) -> str:
    """Say why there is no next iteration; empty where there is."""
    if learner is None or last.number == recipe.iterations:
        return ""
    if last.figures["clusters"] < 2:
        count = last.figures["clusters"]
        return f"{'all clips are noise' if count == 0 else 'one cluster'}; there is nothing to tell apart"
    if last.figures["same"] >= recipe.unchanged:
        return "the clusters are those of the iteration before"
    return ""


def _forget_later(folder: Path, number: int) -> None:
    later = folder / f"{number + 1:02d}"
    shutil.rmtree(later, ignore_errors=True)
