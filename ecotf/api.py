"""The Python API: what ``import ecotf`` offers. It gives the numbers of the commands."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.datasets.manifest import Manifest, read_manifest
from ecotf.discovery.folder import open_clusters
from ecotf.embeddings.store import Embeddings, open_embeddings
from ecotf.errors import ConfigError, DataError
from ecotf.inference.run_source import RunSource
from ecotf.model import Model
from ecotf.quiet import quieten_libraries
from ecotf.reports import MOST_CLIPS
from ecotf.tasks.recipe_files import recipe_descriptions
from ecotf.tasks.recipes import load_trainable
from ecotf.tasks.run_embedder import open_embedder

if TYPE_CHECKING:
    from ecotf.discovery.folder import Clusters
    from ecotf.inference.job import JobResult
    from ecotf.models.embedders import Embedder
    from ecotf.surveying.survey import Survey

__all__ = [
    "Model", "classify", "cluster", "embed", "enrol", "load", "open_clusters", "open_embedder", "open_embeddings",
    "read_manifest", "recipes", "report", "rois", "spectrogram", "survey", "train",
]  # fmt: skip

PathLike = str | Path

quieten_libraries()


def load(source: PathLike | Sequence[PathLike], *, ensemble: str | None = None) -> Model:
    """Load a trained model.

    Parameters
    ----------
    source
        A run folder; a list of run folders that answer together; or a ``.tflite`` that ecotf exported.
    ensemble
        Of several runs: the recipe that weighs them, as ``birds/2023_ensemble``.

    Raises
    ------
    ConfigError
        No such folder, no run, a training that did not finish, or runs that do not go together.

    Examples
    --------
    >>> ecotf.load(RUN)
    <ecotf.Model bats/field: 2 classes>
    """
    paths = [source] if isinstance(source, str | Path) else list(source)
    if not paths:
        raise ConfigError("load: an empty list; give at least one run folder")
    if len(paths) == 1 and Path(paths[0]).suffix == ".tflite":
        from ecotf.inference.device_run import DeviceRun

        return Model(DeviceRun(Path(paths[0])))
    origin = RunSource(tuple(str(path) for path in paths), ensemble)
    return Model(origin.load(), origin)


def classify(
    model: Model | PathLike,
    recordings: PathLike | Sequence[PathLike],
    output: PathLike,
    *,
    formats: Sequence[str] = ("csv",),
    resume: bool = False,
    overwrite: bool = False,
    workers: int = 0,
    engine: str = "processes",
    timeout_s: float | None = None,
    **options: Any,
) -> JobResult:
    """Classify recordings, and write detections and the ledger into a folder; as the command ``ecotf classify``.

    Parameters
    ----------
    model
        From `load`, or a run folder.
    recordings
        Files, folders or patterns.
    output
        A folder for this job alone.
    formats
        ``csv``, ``parquet``, ``raven``, ``audacity``, ``audiotagger``, ``aoef``, ``published_csv``.
    resume, overwrite
        Continue or replace the job in ``output``.
    workers, engine, timeout_s
        How many processes listen (0: this one), or the address of a Spark; and how long a recording may take.
    options
        Further fields of `ecotf.inference.question.ClassifierOptions`: ``threshold``, ``channel``, ``gate``,
        ``time_expansion``, ``time_zone``, ``salvage``, ``unnamed``.

    Returns
    -------
    How many recordings ended in each status, and how much was found of each label.

    Raises
    ------
    ConfigError
        No recording is found, a wrong option, or ``output`` holds another job.

    Examples
    --------
    >>> ecotf.classify(RUN, NIGHT, output=OUTPUT).counts["done"]
    1
    """
    from ecotf.audio.discover import Recordings
    from ecotf.inference.engine import EngineOptions
    from ecotf.inference.job import classify as run_job
    from ecotf.inference.question import ClassifierOptions

    chosen = model if isinstance(model, Model) else load(model)
    found = Recordings([recordings] if isinstance(recordings, str | Path) else list(recordings))
    if not len(found):
        first = f": {found.problems[0][0]}: {found.problems[0][1]}" if found.problems else ""
        raise ConfigError(f"no recording to classify{first}")
    try:
        asked = ClassifierOptions(formats=tuple(formats), **options)
    except TypeError:
        known = ", ".join(ClassifierOptions.__dataclass_fields__)
        raise ConfigError(f"classify: unknown option among {', '.join(options)}; known: {known}") from None
    how = EngineOptions(workers, engine, timeout_s)
    source = None if how.here else chosen.source
    return run_job(chosen.run, found, Path(output), asked, resume, overwrite, None, how, source)


def train(
    recipe: PathLike,
    data: PathLike | Manifest,
    output: PathLike = "runs",
    *,
    seed: int | None = None,
    settings: Sequence[str] = (),
    threads: int | None = None,
    log: Callable[[str], None] = print,
) -> Model:
    """Train a model on annotated recordings; as the command ``ecotf train``.

    Parameters
    ----------
    recipe
        One of `recipes`, or the path of a YAML file.
    data
        The manifest, or its path.
    output
        The folder of all runs; the run is ``output/<recipe>/<time>``.
    seed
        Of all random numbers, instead of the recipe's.
    settings
        ``key=value`` of the recipe, as ``stages.0.epochs=20``.
    threads
        Processor cores to use; all.
    log
        Takes each line about what goes on.

    Returns
    -------
    The trained model; its run folder is ``model.run.path``.

    Raises
    ------
    ConfigError, DataError
        The recipe or the data cannot be trained on.

    Examples
    --------
    >>> model = ecotf.train("bats/field", "calls/manifest.csv", output="runs/", seed=7)  # doctest: +SKIP
    """
    from ecotf.tasks.training_run import train_run

    changed = [*settings, *([] if seed is None else [f"seed={seed}"])]
    chosen = load_trainable(os.fspath(recipe), changed)
    manifest = data if isinstance(data, Manifest) else read_manifest(data)
    folder = train_run(chosen, manifest, Path(output), threads=threads or os.cpu_count() or 1, log=log)
    return load(folder)


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
        Further fields of `ecotf.inference.embed_job.EmbedOptions`: ``channel``, ``time_expansion``, ``salvage``.

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
    try:
        asked = EmbedOptions(**options)
    except TypeError:
        known = ", ".join(EmbedOptions.__dataclass_fields__)
        raise ConfigError(f"embed: unknown option among {', '.join(options)}; known: {known}") from None
    if isinstance(recordings, Manifest):
        embed_recordings(embedder, recordings, output, asked, resume, overwrite)
        return open_embeddings(output)
    found = find_recordings([recordings] if isinstance(recordings, str | Path) else list(recordings))
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
    try:
        asked = ClusterOptions(regions=roi, **options)
    except TypeError:
        known = ", ".join(ClusterOptions.__dataclass_fields__)
        raise ConfigError(f"cluster: unknown option among {', '.join(options)}; known: {known}") from None
    what: Any = archive
    if not isinstance(archive, Manifest | Embeddings):
        what = open_input([archive] if isinstance(archive, str | Path) else list(archive)).what
    embedder = open_embedder(model) if isinstance(model, str | Path) else model
    return cluster_archive(what, output, chosen, embedder, asked, resume, overwrite, log).clusters


def enrol(
    model: PathLike,
    name: str,
    examples: PathLike | Sequence[PathLike] | Manifest,
    output: PathLike | None = None,
    *,
    description: str | None = None,
    label: str | None = None,
    background: PathLike | Sequence[PathLike] = (),
    background_s: float = 600.0,
    window_s: float | None = None,
    whole_window: bool = False,
) -> Model:
    """Add a species to a model from a few examples, without training; as the command ``ecotf enrol``.

    Parameters
    ----------
    model
        An enrolled run, to which the species is added; or, with ``output``, a run or the file of a model that embeds.
    name
        The species.
    examples
        Clips that hold one call each, or a manifest with boxes.
    output
        Where a new enrolled run is made.
    description
        Of a model that ecotf did not make: the name of one that comes with ecotf, or a ``.yaml``.
    label
        Of the rows of the manifest to take; by default the name.
    background, background_s
        Recordings without any species of the run, and how many seconds of them are listened to, evenly.
    window_s, whole_window
        Of a new run: the length of a call, by default the examples' median; and whether a window of fixed length is
        heard with all that is around a call.

    Returns
    -------
    The enrolled run as it is now, ready to listen.

    Raises
    ------
    ConfigError, DataError
        The model, an example or a recording cannot be used. The run is then as it was.

    Examples
    --------
    >>> owls = ecotf.enrol("BirdNET.tflite", "Ninox boobook", ["a.wav", "b.wav"], "runs/owls",
    ...                    description="birdnet_2.4", background="quiet_nights/")  # doctest: +SKIP
    """
    from ecotf.audio.discover import find_recordings
    from ecotf.tasks.enrolment.enrol import NewRun
    from ecotf.tasks.enrolment.enrol import enrol as add
    from ecotf.tasks.enrolment.examples import boxes_of, whole_clips

    def files(given: PathLike | Sequence[PathLike], what: str) -> list[Path]:
        found = find_recordings([given] if isinstance(given, str | Path) else list(given))
        for argument, reason in found.problems:
            raise ConfigError(f"{what}: {argument}: {reason}")
        return [Path(path) for path in found.recordings]

    if isinstance(examples, Manifest):
        chosen = boxes_of(examples, label or name)
    else:
        chosen = whole_clips(files(examples, "examples"))
    new = None if output is None else NewRun(Path(model), description, window_s, whole_window)
    run = Path(model) if output is None else Path(output)
    return load(add(run, name, chosen, files(background, "background"), new, background_s).path)


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

    try:
        chosen = CutOptions(**options)
    except TypeError:
        known = ", ".join(CutOptions.__dataclass_fields__)
        raise ConfigError(f"rois: unknown option among {', '.join(options)}; known: {known}") from None
    config = read_roi_config(None if settings is None else os.fspath(settings), list(overrides))
    if isinstance(recordings, Manifest):
        if label is not None:
            raise ConfigError(f"label = {label!r}: a manifest has labels of its own; leave it out")
        wanted = wanted_of_manifest(recordings, time_expansion)
    else:
        given = [recordings] if isinstance(recordings, str | Path) else list(recordings)
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


def report(
    runs: PathLike | Sequence[PathLike],
    output: PathLike,
    *,
    clips: int = MOST_CLIPS,
    overwrite: bool = False,
) -> Path:
    """Compare runs in one HTML file, with the clips that they got most wrong; as the command ``ecotf report``.

    Parameters
    ----------
    runs
        One run folder or several, of any task.
    output
        A file that ends in ``.html``, or a folder.
    clips
        How many clips to listen to, all runs together.
    overwrite
        Replace a report that is there.

    Returns
    -------
    The file.

    Raises
    ------
    ConfigError
        A folder is no run, half written or given twice, or ``output`` is there already.

    Examples
    --------
    >>> ecotf.report(RUN, "report.html")  # doctest: +SKIP
    PosixPath('report.html')
    """
    from ecotf.reports.report import write_report

    folders = [runs] if isinstance(runs, str | Path) else list(runs)
    return write_report([Path(folder) for folder in folders], Path(output), clips, overwrite)


def survey(
    folders: PathLike | Sequence[PathLike],
    sites: PathLike,
    output: PathLike | None = None,
    *,
    exchange: Sequence[str] = (),
    overwrite: bool = False,
    **options: Any,
) -> Survey:
    """Make effort, detection histories and covariates of a season; as the command ``ecotf survey``.

    Parameters
    ----------
    folders
        What `classify` wrote, of one model.
    sites
        A CSV file with the columns ``site, latitude, longitude`` and, if wanted, ``recorder``, ``folder``,
        ``time_zone`` and covariates.
    output
        A folder for the tables, pictures and the page; None writes nothing.
    exchange
        Formats for others in it: ``camtrap-dp``, ``pamdp``, ``aoef``.
    overwrite
        Replace the survey in ``output``.
    options
        Fields of `ecotf.surveying.survey.SurveyOptions`: ``day``, ``occasion``, ``pass_gap_s``, ``score``,
        ``time_zone``, ``site_by``, ``longest_gap_days``, ``clips``.

    Returns
    -------
    The tables: ``effort``, ``states``, ``histories``, ``observations``, ``covariates`` and others; ``notes`` and
    ``left_out`` say what could not be used.

    Raises
    ------
    ConfigError
        A folder or an option that cannot be.
    DataError
        Folders of different models, a wrong table of sites, or no recording that has a site and a date.

    Examples
    --------
    >>> found = ecotf.survey(SEASON, SITES)
    >>> found.effort.loc["dyke", "2026-06-01"], found.states.loc["mill", "2026-06-15"]
    (2.0, 'broken')
    """
    from ecotf.surveying.folder import check_output, write_survey
    from ecotf.surveying.survey import SurveyOptions, make_survey

    try:
        chosen = SurveyOptions(**options)
    except TypeError:
        known = ", ".join(SurveyOptions.__dataclass_fields__)
        raise ConfigError(f"survey: unknown option among {', '.join(options)}; known: {known}") from None
    given = [folders] if isinstance(folders, str | Path) else list(folders)
    if output is not None:
        check_output(Path(output), overwrite)
    made = make_survey([Path(folder) for folder in given], Path(sites), chosen)
    if output is not None:
        write_survey(made, Path(output), exchange, overwrite)
    return made


def recipes() -> dict[str, str]:
    """List the recipes that come with ecotf, each with its description.

    Examples
    --------
    >>> "bats/field" in ecotf.recipes()
    True
    """
    return recipe_descriptions()


def spectrogram(sound: np.ndarray, sample_rate: int, recipe: PathLike = "bats/field") -> np.ndarray:
    """Compute the spectrogram that a recipe's model sees.

    Parameters
    ----------
    sound
        float ``[n]`` in -1 to 1.
    sample_rate
        Hz; a recipe of clips takes its own rate only.
    recipe
        Whose front end.

    Returns
    -------
    float32 ``[slices, rows]``, the lowest frequency first, in the units of the front end's scale.

    Raises
    ------
    ConfigError
        The rate cannot carry the recipe's band.

    Examples
    --------
    >>> ecotf.spectrogram(np.zeros(38_400, np.float32), 384_000, "bats/field").shape[1]
    228
    """
    from ecotf.features import build_spectrogram

    sound = np.asarray(sound)
    if sound.dtype.kind != "f" or sound.ndim != 1:
        raise ConfigError(f"samples of type {sound.dtype} and shape {sound.shape}; allowed: floats of one dimension")
    front_end = getattr(load_trainable(os.fspath(recipe)), "front_end", None)
    if front_end is None:
        raise ConfigError(f"{recipe}: its embedder takes sound itself, so the recipe has no spectrogram")
    return build_spectrogram(front_end, sample_rate)(np.ascontiguousarray(sound, np.float32))
