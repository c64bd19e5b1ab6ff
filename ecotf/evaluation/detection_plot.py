"""A spectrogram with the true calls and the detections drawn on it, and their names in two rows above."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from ecotf.errors import DataError
from ecotf.evaluation.drawing import literal
from ecotf.files import atomic_file

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRUTH, PREDICTED = "#1b7837", "#b35806"

_DPI = 150
_MOST_COLUMNS = 3000  # more frames than the picture has pixels are drawn as the loudest of each block
_CHARACTER_INCHES = 0.062  # mean width of a letter at 8 points
_LANE_INCHES = 0.19
_WIDTH_INCHES = 8.6  # of the spectrogram within the picture
_LANES = 4


def plot_detections(
    spectrogram: npt.ArrayLike,
    frame_times: npt.ArrayLike,
    frequencies_hz: npt.ArrayLike,
    detections: pd.DataFrame,
    annotations: pd.DataFrame,
    title: str,
    path: str | Path,
) -> Path:
    """Draw a spectrogram with the true calls and the detections on it, and their names in two rows above.

    Parameters
    ----------
    spectrogram
        Any scale that grows with loudness, best decibels or log; shape [T, F].
    frame_times
        The middle of each frame in seconds of the recording, rising, shape [T].
    frequencies_hz
        The frequency of each row in hertz, rising, shape [F].
    detections, annotations
        Rows of this recording (recording is not looked at); those outside the picture are left out. Boxes without
        frequencies (NaN, or no such columns) span the band. The score of a detection is written behind its label.

    Raises
    ------
    DataError
        Shapes that do not fit together, or fewer than two frames or frequencies.
    """

    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    image = np.asarray(spectrogram, dtype=np.float64)
    times, frequencies = np.asarray(frame_times, dtype=np.float64), np.asarray(frequencies_hz, dtype=np.float64)
    if image.shape != (times.size, frequencies.size) or min(image.shape) < 2:
        raise DataError(
            f"spectrogram of shape {image.shape} does not fit {times.size} frame times and {frequencies.size} "
            "frequencies; both must be at least 2"
        )
    step = -(-times.size // _MOST_COLUMNS)
    begins = np.arange(0, times.size, step)
    image, times = np.maximum.reduceat(image, begins, axis=0), times[begins] + (times[step - 1] - times[0]) / 2
    scale, unit = (1000.0, "ms") if times[-1] - times[0] <= 2 else (1.0, "s")
    half = (times[1] - times[0]) / 2
    window = ((times[0] - half) * scale, (times[-1] + half) * scale)

    band = (frequencies[0] / 1000, frequencies[-1] / 1000)
    found, true = (_boxes(table, scale, window, band) for table in (detections, annotations))
    rows = (
        ("detected", found, _place_names(found, window), PREDICTED, {"linestyle": (0, (4, 2)), "zorder": 4}),
        ("annotated", true, _place_names(true, window), TRUTH, {"alpha": 0.8, "zorder": 3}),
    )
    heights = [_LANE_INCHES * (max((lane for _, lane, _ in names), default=0) + 1.4) for _, _, names, _, _ in rows]

    figure = Figure(figsize=(10, sum(heights) + 4.8), layout="constrained")
    *above, main = figure.subplots(3, 1, sharex=True, height_ratios=(*heights, 3.8))
    finite = image[np.isfinite(image)]
    quiet, loud = np.percentile(finite, [40, 99.9]) if finite.size else (0.0, 1.0)
    main.pcolormesh(
        times * scale, frequencies / 1000, image.T, cmap="gray_r", vmin=quiet, vmax=loud, shading="nearest",
        rasterized=True,
    )  # fmt: skip
    for axes, (name, boxes, names, colour, line) in reversed(list(zip(above, rows, strict=True))):
        _draw_names(axes, boxes, names, colour, f"{name} ({len(boxes)})")
        thin = float(np.clip(60 / max(len(boxes), 1), 0.6, 1.5))  # many boxes must not hide the calls
        for box in boxes:
            corner, width, height = (box.start, box.low), box.end - box.start, box.high - box.low
            main.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=colour, linewidth=thin, **line))
    main.set(xlim=window, ylim=band, xlabel=f"time ({unit})", ylabel="frequency (kHz)")
    main.ticklabel_format(useOffset=False, style="plain")
    figure.suptitle(literal(title), fontsize=11)
    return save_figure(figure, path)


class _Box(NamedTuple):
    start: float
    end: float
    low: float
    high: float
    label: str
    score: float  # NaN for an annotation


def _boxes(table: pd.DataFrame, scale: float, window: tuple[float, float], band: tuple[float, float]) -> list[_Box]:
    """The labelled boxes inside the picture, in its units and in order of time."""
    boxes = []
    for row in table.to_dict("records"):
        start, end = row["start_s"] * scale, row["end_s"] * scale
        if row["label"] and end >= window[0] and start <= window[1]:
            low, high = row.get("low_hz", np.nan) / 1000, row.get("high_hz", np.nan) / 1000
            low, high = (band[0] if np.isnan(low) else low), (band[1] if np.isnan(high) else high)
            boxes.append(_Box(start, end, low, high, str(row["label"]), row.get("score", np.nan)))
    return sorted(boxes)


def _place_names(boxes: list[_Box], window: tuple[float, float]) -> list[tuple[float, int, str]]:
    """Middle, lane and text of each name, on as many lanes as keep them apart; one without room is left out.

    Calls of one species whose names would run into each other share one name: a label, their number, their scores.
    """
    per_character = _CHARACTER_INCHES * (window[1] - window[0]) / _WIDTH_INCHES
    runs: list[list[_Box]] = []
    latest: dict[str, list[_Box]] = {}
    for box in boxes:
        run = latest.get(box.label)
        if run is None or box.start - run[-1].end > per_character * (len(box.label) + 5):
            run = latest[box.label] = []
            runs.append(run)
        run.append(box)
    free_from = [-np.inf] * _LANES
    placed = []
    for run in runs:
        text = _name(run)
        width = (len(text) + 1) * per_character
        middle = (max(run[0].start, window[0]) + min(run[-1].end, window[1])) / 2
        middle = min(max(middle, window[0] + width / 2), window[1] - width / 2)
        lane = next((lane for lane in range(_LANES) if free_from[lane] <= middle - width / 2), None)
        if lane is not None:
            free_from[lane] = middle + width / 2
            placed.append((middle, lane, text))
    return placed


def _name(run: list[_Box]) -> str:
    text = run[0].label if len(run) == 1 else f"{run[0].label} ×{len(run)}"
    scores = sorted(box.score for box in run)
    if np.isnan(scores[0]):
        return text
    return f"{text}  {scores[0]:.2f}" + (f"–{scores[-1]:.2f}" if len(run) > 1 else "")


def _draw_names(axes: Axes, boxes: list[_Box], names: list[tuple[float, int, str]], colour: str, title: str) -> None:
    """A bar under the names for every box, so that one whose name had no room is still seen."""
    for box in boxes:
        axes.plot([box.start, box.end], [0, 0], color=colour, linewidth=4, solid_capstyle="butt")
    for middle, lane, text in names:
        axes.text(middle, lane + 0.65, literal(text), ha="center", va="center", fontsize=8, color=colour)
    axes.set(ylim=(-0.1, max((lane for _, lane, _ in names), default=0) + 1.3), yticks=[])
    axes.set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9, color=colour)
    axes.tick_params(axis="x", length=0, labelbottom=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#cccccc")


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure to a file that appears whole or not at all; the ending chooses the format."""

    from matplotlib.backends.backend_agg import FigureCanvasAgg

    path = Path(path)
    FigureCanvasAgg(figure)
    with atomic_file(path) as partial:
        figure.savefig(partial, dpi=_DPI, bbox_inches="tight", pad_inches=0.1)
    return path
