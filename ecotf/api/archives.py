"""Embed, cluster and cut recordings that nobody has annotated."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecotf.api.given import PathLike, one_or_many, options_of
from ecotf.datasets.manifest import Manifest, read_manifest
from ecotf.embeddings.store import Embeddings, open_embeddings
from ecotf.errors import ConfigError, DataError
from ecotf.tasks.run_embedder import open_embedder

if TYPE_CHECKING:
    from ecotf.discovery.folder import Clusters
    from ecotf.models.embedders import Embedder


def embed(
    model: Embedder | PathLike,
    recordings: PathLike | Sequence[PathLike] | Manifest,
    output: PathLike,
    *,
    resume: bool = False,
    overwrite: bool = False,
    **options: Any,
) -> Embeddings:
    """Embed recordings, or the annotations of a manifest, into a folder; as the command ``ecotf embed``.

    Parameters
    ----------
    model
        From `open_embedder`, or what that takes.
    recordings
        Files, folders or patterns; or a manifest, whose annotations keep their labels.
    output
        A folder for this job alone, with a ledger of what became of every recording.
    resume, overwrite
        Continue or replace the job in ``output``.
    options
        Further fields of `ecotf.inference.embed_job.EmbedOptions`: ``channel``, ``time_expansion``, ``salvage``,
        ``each``.

    Raises
    ------
    ConfigError
        No recording is found, a wrong option, or ``output`` holds another job.

    Examples
    --------
    >>> ecotf.embed(RUN, NIGHT, OUTPUT.parent / "embeddings").table["start_s"].tolist()
    [0.0]
    >>> len(ecotf.open_embeddings(OUTPUT.parent / "embeddings"))
    1
    """
    from ecotf.audio.discover import find_recordings
    from ecotf.inference.embed_job import EmbedOptions, embed_recordings

    embedder = open_embedder(model) if isinstance(model, str | Path) else model
    asked = options_of(EmbedOptions, "embed", options)
    if isinstance(recordings, Manifest):
        embed_recordings(embedder, recordings, output, asked, resume, overwrite)
        return open_embeddings(output)
    found = find_recordings(one_or_many(recordings))
    if not found.recordings:
        first = f": {found.problems[0][0]}: {found.problems[0][1]}" if found.problems else ""
        raise ConfigError(f"no recording to embed{first}")
    embed_recordings(embedder, found.recordings, output, asked, resume, overwrite)
    return open_embeddings(output)


def cluster(
    archive: PathLike | Sequence[PathLike] | Manifest | Embeddings,
    output: PathLike,
    *,
    model: Embedder | PathLike | None = None,
    recipe: PathLike = "clustering/archive",
    overrides: Sequence[str] = (),
    regions: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    log: Callable[[str], None] = print,
    **options: Any,
) -> Clusters:
    """Cluster the clips of an unlabelled archive into a folder; as the command ``ecotf cluster``.

    Parameters
    ----------
    archive
        Files, folders or patterns; a manifest, whose annotations are clustered; or embeddings (a folder, or from
        `open_embeddings`).
    output
        A folder for this job alone.
    model
        What embeds, as for `open_embedder`; not for embeddings.
    recipe, overrides
        How; and ``key=value`` for its settings.
    regions
        Cluster regions of interest, with these settings (``""`` for ecotf's own); None: segments.
    resume, overwrite
        Continue or replace the job in ``output``.
    options
        Further fields of `ecotf.discovery.options.ClusterOptions`: ``channel``, ``time_expansion``, ``salvage``,
        ``threads``.

    Raises
    ------
    ConfigError
        No recording is found, a wrong option, or ``output`` holds another job.
    DataError
        There are fewer clips than the smallest cluster has.

    Examples
    --------
    >>> found = ecotf.cluster("archive/", "clusters/", model="runs/owls")  # doctest: +SKIP
    >>> found.clips.groupby("cluster")["recording"].nunique()  # doctest: +SKIP
    """
    from ecotf.discovery.inputs import open_input
    from ecotf.discovery.job import cluster_archive
    from ecotf.discovery.options import ClusterOptions
    from ecotf.regions.config import read_roi_config
    from ecotf.tasks.recipes import load_cluster_recipe

    chosen = load_cluster_recipe(os.fspath(recipe), overrides)
    roi = None if regions is None else read_roi_config(regions or None)
    asked = options_of(ClusterOptions, "cluster", {"regions": roi, **options})
    what: Any = archive
    if not isinstance(archive, Manifest | Embeddings):
        what = open_input(one_or_many(archive)).what
    embedder = open_embedder(model) if isinstance(model, str | Path) else model
    return cluster_archive(what, output, chosen, embedder, asked, resume, overwrite, log).clusters


def rois(
    recordings: PathLike | Sequence[PathLike] | Manifest,
    output: PathLike,
    *,
    settings: PathLike | None = None,
    overrides: Sequence[str] = (),
    label: str | None = None,
    time_expansion: float | None = None,
    resume: bool = False,
    overwrite: bool = False,
    **options: Any,
) -> Manifest:
    """Cut regions of interest out of recordings, and sort out noise by species; as the command ``ecotf dataset rois``.

    Parameters
    ----------
    recordings
        Files, folders or patterns, whose folders name the species; or a manifest, whose annotations do.
    output
        A folder for this job alone: clips, ``manifest.csv``, ``features.csv``, ``contact_sheet.html``, ``ledger.csv``.
    settings
        ``darksound_v1``, ``darksound_v2`` or a YAML file; by default ecotf's own.
    overrides
        Settings to change: ``["regions.high_hz=8000", "keep=all"]``.
    label
        The species of all recordings, in place of their folders' names; not with a manifest.
    time_expansion
        If the recordings' metadata do not say.
    resume, overwrite
        Continue or replace the job in ``output``.
    options
        Further fields of `ecotf.regions.job.CutOptions`: ``channel``, ``salvage``, ``workers``, ``sheet``.

    Returns
    -------
    The clips with their species, as `train` takes them; ``noise`` is what fits no species' biggest cluster.

    Raises
    ------
    ConfigError
        No recording is found, a wrong setting, or ``output`` holds another job.
    DataError
        No recording has a region.

    Examples
    --------
    >>> clips = ecotf.rois("birds/", "rois/", overrides=["regions.high_hz=8000"])  # doctest: +SKIP
    >>> ecotf.train("fewshot/prototypical", clips, "runs/")  # doctest: +SKIP
    """
    from ecotf.audio.discover import find_recordings
    from ecotf.regions.config import read_roi_config
    from ecotf.regions.job import CutOptions, cut_regions
    from ecotf.regions.labels import folder_labels
    from ecotf.regions.wanted import wanted_files, wanted_of_manifest

    chosen = options_of(CutOptions, "rois", options)
    config = read_roi_config(None if settings is None else os.fspath(settings), list(overrides))
    if isinstance(recordings, Manifest):
        if label is not None:
            raise ConfigError(f"label = {label!r}: a manifest has labels of its own; leave it out")
        wanted = wanted_of_manifest(recordings, time_expansion)
    else:
        given = one_or_many(recordings)
        found = find_recordings(given)
        for argument, reason in found.problems:
            raise ConfigError(f"recordings: {argument}: {reason}")
        labels = folder_labels(given, found.recordings)
        wanted = wanted_files(labels if label is None else dict.fromkeys(labels, label), time_expansion)
    if not wanted:
        raise ConfigError("no recording to cut")
    if not cut_regions(wanted, output, config, chosen, resume, overwrite).regions:
        raise DataError(f"{output}: no recording has a region of interest; ledger.csv says what became of each")
    return read_manifest(Path(output) / "manifest.csv")
