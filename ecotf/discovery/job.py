"""Cluster an archive into a folder: embed, iterate, choose, map, report; a kill changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ecotf.clustering.map import map_points
from ecotf.datasets.manifest import Manifest
from ecotf.discovery import folder as names
from ecotf.discovery.clips import clips_of
from ecotf.discovery.folder import AboutClusters, Clusters, open_clusters, write_about, write_clips
from ecotf.discovery.held import ClusterFolder, question_of
from ecotf.discovery.learning import Learner, NetworkLearner, ProjectionLearner
from ecotf.discovery.loop import choose_iteration, read_iteration, run_iterations
from ecotf.discovery.options import REGIONS, ClusterOptions
from ecotf.discovery.report import write_report
from ecotf.embeddings.store import Embeddings, open_embeddings
from ecotf.errors import ConfigError, DataError, RecordingStatus
from ecotf.inference.embed_job import EmbedOptions, embed_recordings
from ecotf.inference.output import Outcome
from ecotf.inference.question import NAME as QUESTION
from ecotf.inference.question import asked_in
from ecotf.models.embedders import Embedder
from ecotf.regions.job import CutOptions, cut_regions
from ecotf.regions.wanted import wanted_files
from ecotf.runs.progress import PROGRESS
from ecotf.tasks.cluster_recipe import ClusterRecipe
from ecotf.tasks.fine_tuning import network_recipe
from ecotf.training.run_store import Log

if TYPE_CHECKING:
    import pandas as pd

Report = Callable[[str, Outcome], None]


@dataclass(frozen=True)
class ClusterResult:
    """The result of a job.

    Attributes
    ----------
    clusters
        The folder, opened.
    counts
        Recordings of each status; empty where embeddings were given.
    lines
        The report, for people to read.
    """

    clusters: Clusters
    counts: dict[RecordingStatus, int]
    lines: list[str] = field(repr=False)


def cluster_archive(
    what: Sequence[str | Path] | Manifest | Embeddings,
    output: str | Path,
    recipe: ClusterRecipe,
    embedder: Embedder | None = None,
    options: ClusterOptions | None = None,
    resume: bool = False,
    overwrite: bool = False,
    log: Log = print,
    report: Report | None = None,
) -> ClusterResult:
    """Cluster the clips of an archive, and write the folder of clusters (`ecotf.discovery.folder`).

    Parameters
    ----------
    what
        Recordings, of which the embedder's windows are clips; a manifest, whose annotations are; or embeddings. Labels
        are looked at in the report alone.
    output
        A folder for this job alone.
    embedder
        Not for embeddings.
    resume, overwrite
        Continue or replace the job in ``output``.
    report
        Takes each recording and its result, when it is embedded.

    Raises
    ------
    ConfigError
        ``output`` holds another job, or options do not go together.
    DataError
        There are fewer clips than the smallest cluster has.
    """
    options = options or ClusterOptions()
    if resume and overwrite:
        raise ConfigError("--resume continues a job and --overwrite replaces it: choose one")
    if (embedder is None) != isinstance(what, Embeddings):
        raise ConfigError("embeddings have their embedder; recordings and manifests need --model")
    if options.regions is not None and (isinstance(what, Embeddings | Manifest)):
        raise ConfigError("regions of interest are cut out of recordings; a manifest has annotations of its own")
    if isinstance(what, Embeddings) and replace(options, threads=ClusterOptions.threads) != ClusterOptions():
        raise ConfigError(
            f"{what.folder}: channel, time expansion and salvage were chosen when these were embedded; they are for "
            "recordings and manifests"
        )
    output = Path(output)
    with ClusterFolder(output, question_of(what, recipe, embedder, options), resume, overwrite):
        heard = _heard(what, output, embedder, options, log, report)
        write_about(output, AboutClusters(
            recipe.name, *heard.about, options.regions is not None, heard.where, heard.options.channel,
            heard.options.time_expansion, heard.options.salvage, recipe.model_dump(mode="json"),
        ))  # fmt: skip
        embeddings = heard.embeddings
        if not len(embeddings):
            raise DataError("there is not one clip to cluster: see the ledger for what became of the recordings")
        clips = clips_of(embeddings, heard.regions)
        learner = _learner(heard, clips, recipe, options, log)
        number = run_iterations(embeddings, learner, recipe, output / names.STEPS, log)
        iterations = [read_iteration(output / names.STEPS, one) for one in range(number)]
        chosen = choose_iteration(iterations, recipe)
        best = iterations[chosen]
        x, y = map_points(best.points, best.point_of, recipe.seed).T
        clips = clips.assign(x=x, y=y, cluster=best.labels, probability=best.probability)
        lines = write_report(output, iterations, chosen, clips, None if learner is None else learner.what)
        write_clips(output, clips)
        return ClusterResult(open_clusters(output), heard.counts, lines)


@dataclass(frozen=True)
class _Heard:
    """What was embedded, and how.

    Attributes
    ----------
    wanted
        Recordings, or a manifest; None where embeddings were given.
    about
        Title, licence and digest of the embedder, and its window in seconds.
    where
        The folder of embeddings, as the folder of clusters names it.
    regions
        Their table, if they are.
    run
        The run that embeds; None of another embedder.
    """

    embeddings: Embeddings
    wanted: Sequence[str | Path] | Manifest | None
    options: EmbedOptions
    about: tuple[str, str, str, float]
    where: str
    regions: pd.DataFrame | None
    counts: dict[RecordingStatus, int]
    run: Path | None


def _heard(
    what: Sequence[str | Path] | Manifest | Embeddings, output: Path, embedder: Embedder | None,
    options: ClusterOptions, log: Log, report: Report | None,
) -> _Heard:  # fmt: skip
    """Embed what is not embedded yet."""
    plain = EmbedOptions(options.time_expansion, options.channel, options.salvage)
    if isinstance(what, Embeddings):
        known = what.about
        about = (known.embedder, known.licence, known.digest, known.samples / known.sample_rate)
        asked = asked_in(what.folder)
        then = EmbedOptions(asked.get("time expansion"), asked.get("channel", "mix"), bool(asked.get("salvage")))
        return _Heard(what, None, then, about, os.path.abspath(what.folder), None, {}, None)
    assert embedder is not None
    wanted, regions, counts = what, None, None
    if options.regions is not None and not isinstance(what, Manifest):
        wanted, regions, counts = _cut(what, output / REGIONS, options, log)
    each = replace(plain, each=isinstance(wanted, Manifest))
    place = output / names.EMBEDDINGS
    done = embed_recordings(embedder, wanted, place, each, resume=(place / QUESTION).exists(), report=report)
    about = (embedder.title, embedder.licence, embedder.digest, embedder.samples / embedder.sample_rate)
    model = embedder.config.model
    run = model if model is not None and (model / PROGRESS).is_file() else None
    return _Heard(open_embeddings(place), wanted, each, about, names.EMBEDDINGS, regions, counts or done.counts, run)


def _cut(
    recordings: Sequence[str | Path], folder: Path, options: ClusterOptions, log: Log
) -> tuple[Manifest, pd.DataFrame, dict[RecordingStatus, int]]:
    """Cut regions of interest; return the manifest of their clips, their table, and the recordings of each status."""
    from ecotf.datasets.manifest import read_manifest

    assert options.regions is not None
    wanted = wanted_files({Path(one): "" for one in recordings}, options.time_expansion)
    chosen = CutOptions(options.channel, options.salvage, options.threads, sheet=0)
    done = cut_regions(wanted, folder, options.regions, chosen, resume=(folder / QUESTION).exists())
    log(f"regions: {done.regions} in {len(wanted)} recordings")
    if not done.regions:
        raise DataError("not one region of interest stands out of the background; see regions.high_db, or leave it out")
    manifest = read_manifest(folder / "manifest.csv")
    table = manifest.table.assign(label="")
    paths = {one.waiting.name: one.waiting.path for one in wanted}
    table["source_path"] = table["source"].map(paths).fillna(table["source"])
    for name in ("source_start_s", "source_end_s"):
        table[name] = table[name].astype(float)
    return Manifest(table.drop(columns="source_path"), manifest.root), table, done.counts


def _learner(
    heard: _Heard, clips: pd.DataFrame, recipe: ClusterRecipe, options: ClusterOptions, log: Log
) -> Learner | None:
    """Say what learns from clusters: the network of a run, or a projection of embeddings; None where nothing does."""
    if not recipe.iterations:
        return None
    if heard.run is not None and recipe.network is not None and network_recipe(heard.run) is not None:
        about = heard.embeddings.about
        hop_s = about.hop_samples / about.sample_rate
        return NetworkLearner(heard.run, recipe, clips, heard.wanted, heard.options, hop_s, options.threads, log)
    return ProjectionLearner(recipe, options.threads, log)
