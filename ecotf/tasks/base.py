"""The contract of a task. Commands, inference, tuning and export know this and nothing else of calls and clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from ecotf.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ecotf.datasets.manifest import Manifest
    from ecotf.detection.scoring import Stopwatch
    from ecotf.runs.splits import Splits
    from ecotf.tasks.reported import Material
    from ecotf.training.run_store import Log, RunStore
    from ecotf.tuning.searchable import Searchable

TASKS = ("calls", "clips")
"""The names of all tasks; each is a package ``ecotf.tasks.<name>`` that holds its ``TASK``."""


@dataclass(frozen=True)
class StreamOptions:
    """The settings of a stream that a user may choose.

    Attributes
    ----------
    threshold
        One threshold for everything, from 0 to 1, instead of the run's own.
    unnamed
        Keep calls that no species is named for.
    gate
        Skip parts where nothing is louder than the background by the run's fitted gate.
    segments
        Keep the scores of every segment until `ScoreStream.take_segments` fetches them.
    """

    threshold: float | None = None
    unnamed: bool = True
    gate: bool = False
    segments: bool = False


class ScoreStream(Protocol):
    """Sound of one channel in, detections out; the same names as on the recorder.

    How the sound is cut into pieces makes no difference to a bit. Memory does not grow with the recording.

    Attributes
    ----------
    samples
        Samples that were pushed.
    windows
        How often the network was asked: patches around peaks, or segments with their surroundings.
    silent
        Whether all samples so far are the same.
    settled_s
        Up to when all detections are out: later ones begin after this. While the sound is silent detections wait, and
        this is 0.
    spent
        What listening has cost so far, and what the gate has spared.
    """

    spent: Stopwatch

    @property
    def samples(self) -> int: ...  # noqa: D102

    @property
    def windows(self) -> int: ...  # noqa: D102
    @property
    def silent(self) -> bool: ...  # noqa: D102
    @property
    def settled_s(self) -> float: ...  # noqa: D102

    def push(self, sound: np.ndarray) -> pd.DataFrame:
        """Take sound, float32 ``[n]``; return the detections that are settled now.

        Their columns are ``start_s, end_s, low_hz, high_hz, label, score, detection_score``. Each table is in order of
        time; a long event may come out after a shorter one that began later.
        """

    def finish(self) -> pd.DataFrame:
        """End the sound; return the last detections."""

    def take_segments(self) -> np.ndarray:
        """Return the scores of segments since the last call, ``[n, classes]``; needs `StreamOptions.segments`."""


@dataclass(frozen=True)
class Cuts:
    """Places at which a channel may be cut, so that its parts together have the detections of the whole, to the bit.

    A part has the detections that begin in it. Its stream hears some sound before it, and as much after it as it takes
    until ``settled_s`` is past its end; detections that begin outside are left out. Such a stream keeps nothing back
    while the sound is silent: whoever joins the parts knows whether the whole is.

    Attributes
    ----------
    step
        A part begins at a multiple of so many samples.
    before, align
        How many samples its stream must hear first, and what the number of the first one is a multiple of.
    open
        Begin a stream for the part that begins at this sample.
    """

    step: int
    before: int
    align: int
    open: Callable[[int], ScoreStream]

    def first_sample(self, start: int) -> int:
        """Return the sample with which the stream of the part that begins at ``start`` begins."""
        return max(0, (start - self.before) // self.align * self.align)

    def starts(self, samples: int, longest: int) -> list[int]:
        """Return where the parts begin: each about ``longest`` samples, none shorter than half of that.

        Examples
        --------
        >>> Cuts(10, 3, 1, print).starts(100, 34)
        [0, 30, 60]
        """
        length = max(1, longest // self.step, -(-self.before // self.step)) * self.step
        return [at for at in range(0, samples, length) if at == 0 or samples - at >= length // 2]


class Run(Protocol):
    """A trained model, ready to listen."""

    @property
    def path(self) -> Path:
        """The run folder; of several that answer together, the first."""

    @property
    def recipe(self) -> Any:
        """The recipe; of several that answer together, the first."""

    @property
    def thresholds(self) -> dict[str, float]:
        """Of every class, and of ``call`` where calls are found."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names that detections may have."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The run folders: of several that answer together, all."""

    @property
    def title(self) -> str:
        """One line: what answers, and of several how much each counts."""

    @property
    def shortest_s(self) -> float:
        """Shorter sound has no answer; seconds."""

    @property
    def segment_s(self) -> float | None:
        """Length of a segment in seconds; None where detections are not of segments."""

    def check(self, options: StreamOptions) -> None:
        """Refuse an option that the run cannot serve (`ConfigError`)."""

    def stream_rate(self, sample_rate: int) -> int:
        """Return the rate in Hz at which `open_stream` needs a recording; raises `ConfigError` for a wrong one."""

    def open_stream(self, sample_rate: int, options: StreamOptions) -> ScoreStream:
        """Begin to listen to one channel; raises `ConfigError` for a rate or an option that the run cannot serve."""

    def cuts(self, sample_rate: int, options: StreamOptions) -> Cuts | None:
        """Return where a channel may be cut; None where what is heard depends on all that came before."""

    def scores(self, sound: np.ndarray, sample_rate: int) -> pd.DataFrame:
        """Compute all scores of sound at `stream_rate`, before thresholds, with the columns of detections."""

    def embed(self, sound: np.ndarray, sample_rate: int) -> np.ndarray:
        """Embed sound at `stream_rate`, ``[n, numbers]``; may refuse, in one sentence (`ConfigError`)."""

    def embed_each(self, windows: np.ndarray, sample_rate: int, whole: bool) -> np.ndarray:
        """Embed windows ``[n, samples]`` at `stream_rate`: float32 ``[n, numbers]``, one row for each.

        It is the mean of what `embed` gives for the window, 0 where that is nothing. With ``whole``, the network hears
        the window as one, whatever the length of the run's segments. Rows do not depend on their company. May refuse,
        in one sentence (`ConfigError`).
        """


class Data(Protocol):
    """The recordings of a training.

    Attributes
    ----------
    manifest
        With splits; the recordings that could be read when the split was drawn.
    problems
        ``recording, status, reason`` of what is left out.
    splits
        The split, to be kept in the run.
    """

    manifest: Manifest
    problems: pd.DataFrame
    splits: Splits | None

    def recordings_of(self, split: str) -> list[str]:
        """List the recordings of a split that can be used now."""


Model = TypeVar("Model")


@dataclass(frozen=True)
class Trained(Generic[Model]):
    """The outcome of a training.

    Attributes
    ----------
    model
        The task's model, with the weights that were chosen on validation recordings.
    classes
        The names that it learned, in the order of its outputs.
    history
        One row for each epoch of each fit.
    """

    model: Model
    classes: tuple[str, ...]
    history: pd.DataFrame


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a trained model.

    Attributes
    ----------
    metrics
        As they go to ``metrics.json``. ``judged_on.split`` says on which side: ``test``, or ``valid`` where there are
        no test recordings, or None.
    thresholds
        As they go to ``thresholds.json``; fitted on validation recordings alone. ``unfitted`` names the classes that
        none could be fitted for.
    head, body
        The task's own lines of the report: about the model, and the figures.
    """

    metrics: dict[str, Any]
    thresholds: dict[str, Any]
    head: list[str]
    body: list[str]


class Task(Protocol):
    """A way of listening."""

    name: str
    cache_name: str
    """The folder, beside the runs, of what is computed once and read by every training."""

    def recipe_class(self, values: Mapping[str, Any]) -> type[Any]:
        """Return the config class of a recipe with these keys, which may still be wrong."""

    def check(self, recipe: Any) -> None:
        """Refuse what cannot be trained, before anything is written; raises `ConfigError`."""

    def steps(self, recipe: Any) -> list[str]:
        """Return the steps of a training, in order; all tasks share the split before and the evaluation after them."""

    def open_data(
        self,
        recipe: Any,
        manifest: Manifest,
        cache: Path | None,
        log: Log,
        threads: int = 2,
        progress: Callable[[int, int], None] | None = None,
        kept: Splits | None = None,
    ) -> Data:
        """Read the recordings, name and leave out those that cannot be read, and split the rest.

        With ``kept``, the split of an interrupted training, nothing is drawn.
        """

    def train(
        self, recipe: Any, data: Any, run: RunStore, log: Log, threads: int = 2, watch: Any = None
    ) -> Trained[Any]:
        """Run the stages; steps that were finished before an interruption are not repeated."""

    def evaluate(self, recipe: Any, data: Any, trained: Any, run: RunStore, log: Log) -> Evaluation:
        """Fit thresholds on validation recordings, judge the test ones, write model, predictions and pictures."""

    def load(self, folder: Path) -> Run:
        """Read a complete run folder; raises `ConfigError`."""

    def join(self, runs: Sequence[Any], weights: Sequence[float] | Literal["fit"] | None = None) -> Run:
        """Join several runs to one; raises `ConfigError` where they do not go together.

        ``weights`` are by default all alike; ``fit`` chooses them by the validation segments that the runs share.
        """

    def exportable(self, run: Any) -> Any:
        """Make the object that export needs of a run; the protocol is `ecotf.export.exportable.Exportable`."""

    def report_material(self, folder: Path, clips: int) -> Material:
        """Read what a report shows of a run, with up to ``clips`` places to listen to; raises `ConfigError`."""

    def searchable(self, recipe: Any) -> Searchable:
        """Return the objects that a search over the recipe's settings needs."""


def get_task(name: str) -> Task:
    """Return the task called ``name``; raises `ConfigError` that lists the known ones.

    Examples
    --------
    >>> get_task("clips").name
    'clips'
    """
    if name not in TASKS:
        raise ConfigError(f"unknown task {name!r}; known: {', '.join(TASKS)}")
    task: Task = import_module(f"ecotf.tasks.{name}").TASK
    return task
