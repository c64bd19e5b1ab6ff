"""Recipes and what their models see; train on annotated recordings, add species, compare runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ecotf.api.given import PathLike, one_or_many
from ecotf.api.listening import load
from ecotf.datasets.manifest import Manifest, read_manifest
from ecotf.errors import ConfigError
from ecotf.model import Model
from ecotf.reports import MOST_CLIPS
from ecotf.tasks.recipe_files import recipe_descriptions
from ecotf.tasks.recipes import load_trainable


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
        found = find_recordings(one_or_many(given))
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

    folders = one_or_many(runs)
    return write_report([Path(folder) for folder in folders], Path(output), clips, overwrite)
