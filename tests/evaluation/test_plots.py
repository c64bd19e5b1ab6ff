"""Pictures: written whole, of the right things, without pyplot."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Rectangle

from ecotf.errors import DataError, EcotfError
from ecotf.evaluation import evaluate
from ecotf.evaluation.drawing import drawing, literal
from ecotf.evaluation.plots import plot_confusion, plot_detections, plot_precision_recall, plot_reliability


@pytest.fixture
def metrics():
    rng = np.random.default_rng(0)
    start = np.arange(60) * 0.1
    labels = rng.choice(["Myosp", "Pip35"], 60)
    frame = pd.DataFrame({"recording": [f"{i % 4}.wav" for i in range(60)], "start_s": start, "end_s": start + 0.01})
    detections = pd.concat([frame.assign(label="call"), frame.assign(label=labels)])
    detections["score"] = rng.random(120)
    recordings = [f"{i}.wav" for i in range(4)]
    thresholds = {"call": 0.4, "Myosp": 0.4, "Pip35": 0.4}
    return evaluate(
        detections, frame.assign(label=rng.choice(["Myosp", "Pip35"], 60)), recordings, labels=["Myosp", "Pip35"],
        ignored_labels=[], thresholds=thresholds, n_bootstrap=50,
    )  # fmt: skip


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, as objects."""
    figures = []
    save = Figure.savefig

    def keep(self, *arguments, **options):
        figures.append(self)
        return save(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def scene(n_frames=400, n_frequencies=64):
    rng = np.random.default_rng(0)
    times = (np.arange(n_frames) + 0.5) * 0.5e-3 + 3.0
    return rng.normal(0, 1, (n_frames, n_frequencies)), times, np.linspace(10e3, 120e3, n_frequencies)


def boxes(rows, *columns):
    return pd.DataFrame(rows, columns=["start_s", "end_s", "low_hz", "high_hz", "label", *columns])


@pytest.mark.parametrize("draw", [plot_precision_recall, plot_confusion, plot_reliability])
def test_picture_is_written_whole(draw, metrics, tmp_path):
    path = draw(metrics, tmp_path / "pictures" / "one.png", title="A title")
    assert imread(path).std() > 0.05
    assert [file.name for file in path.parent.iterdir()] == ["one.png"]


def test_curve_passes_the_operating_point(metrics, drawn, tmp_path):
    plot_precision_recall(metrics, tmp_path / "curve.png")
    lines = {line.get_label(): line for line in drawn[0].axes[0].get_lines()}
    curve = next(line for name, line in lines.items() if name.startswith("average precision"))
    point = next(line for name, line in lines.items() if name.startswith("threshold"))
    assert tuple(point.get_xydata()[0]) == (metrics["detection"]["recall"], metrics["detection"]["precision"])
    assert np.abs(curve.get_xydata() - point.get_xydata()).sum(axis=1).min() < 0.05


def test_truth_and_detections_are_boxes_in_ms_and_khz(drawn, tmp_path):
    annotations = boxes(
        [(3.02, 3.03, 40e3, 80e3, "Myosp"), (3.1, 3.11, np.nan, np.nan, "Pip35"), (9, 9.1, 0, 1, "far")]
    )
    detections = boxes([(3.021, 3.031, 42e3, 78e3, "Myosp", 0.93)], "score")
    plot_detections(*scene(), detections, annotations, "A night", tmp_path / "boxes.png")
    *_, main = drawn[0].axes
    found = sorted(
        (round(box.get_x()), round(box.get_y()), round(box.get_width()), round(box.get_height()))
        for box in main.patches
        if isinstance(box, Rectangle)
    )
    assert found == [(3020, 40, 10, 40), (3021, 42, 10, 36), (3100, 10, 10, 110)]
    assert main.get_xlabel() == "time (ms)" and main.get_ylabel() == "frequency (kHz)"
    texts = [[text.get_text() for text in axes.texts] for axes in drawn[0].axes[:2]]
    assert texts == [["Myosp  0.93"], ["Myosp", "Pip35"]]


def test_names_do_not_overlap(drawn, tmp_path):
    names = [f"Pipistrellus species {i}" for i in range(30)]
    rows = [(3 + 0.006 * i, 3.004 + 0.006 * i, 20e3, 90e3, name, 0.5) for i, name in enumerate(names)]
    plot_detections(*scene(), boxes(rows, "score"), boxes([]), "Many", tmp_path / "many.png")
    drawn[0].set_dpi(150)
    FigureCanvasAgg(drawn[0]).draw()
    extents = [text.get_window_extent() for text in drawn[0].axes[0].texts]
    assert len(extents) >= 12
    assert not any(a.overlaps(b) for i, a in enumerate(extents) for b in extents[:i])


def test_a_series_of_one_species_shares_its_name(drawn, tmp_path):
    rows = [(3 + 0.01 * i, 3.004 + 0.01 * i, 20e3, 90e3, "Myotis nattereri", 0.5 + i / 50) for i in range(15)]
    detections = boxes([*rows, (3.02, 3.03, 20e3, 90e3, "Plecotus auritus", 0.7)], "score")
    plot_detections(*scene(), detections, boxes([]), "Series", tmp_path / "series.png")
    texts = [text.get_text() for text in drawn[0].axes[0].texts]
    assert sorted(texts) == ["Myotis nattereri ×15  0.50–0.78", "Plecotus auritus  0.70"]


def test_long_recording_is_drawn_in_seconds_and_keeps_short_calls(drawn, tmp_path):
    image, _, frequencies = scene(20_000)
    image[12_345] = 50.0
    plot_detections(
        image, np.arange(20_000) * 1e-3, frequencies, boxes([], "score"), boxes([]), "Long", tmp_path / "long.png"
    )
    *_, main = drawn[0].axes
    assert main.get_xlabel() == "time (s)"
    shown = main.collections[0].get_array()
    assert shown.max() == 50 and shown.shape[1] <= 3000


def test_flat_or_infinite_spectrogram_is_drawn(tmp_path):
    image, times, frequencies = scene()
    for value in (0.0, -np.inf):
        path = tmp_path / f"{value}.png"
        plot_detections(np.full_like(image, value), times, frequencies, boxes([], "score"), boxes([]), "Flat", path)
        assert path.exists()


def test_what_cannot_be_drawn_is_refused(metrics, tmp_path):
    image, times, frequencies = scene()
    with pytest.raises(DataError, match=r"shape \(64, 400\) does not fit 400 frame times and 64"):
        plot_detections(image.T, times, frequencies, boxes([], "score"), boxes([]), "Turned", tmp_path / "a.png")
    with pytest.raises(DataError, match="no annotated call"):
        plot_precision_recall({"detection": {"curve": None}}, tmp_path / "a.png")
    with pytest.raises(DataError, match="no species to name"):
        plot_confusion({"confusion": None}, tmp_path / "a.png")
    with pytest.raises(DataError, match="needs detection scores from 0 to 1"):
        plot_reliability({"calibration": None}, tmp_path / "a.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(EcotfError, match="cannot be written"):
        plot_confusion(metrics, tmp_path / "file" / "a.png")
    assert [path.name for path in Path(tmp_path).iterdir()] == ["file"]


def test_pyplot_is_not_touched(metrics, tmp_path):
    plot_confusion(metrics, tmp_path / "a.png")
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_names_are_drawn_as_they_are_written():
    """A class may be called like a formula that is none."""
    from matplotlib.cbook import is_math_text

    for name in ("=1+$x^{$", "a $b$ c", r"\$", "$", "night\udcff.wav"):
        drawn = literal(name)
        assert is_math_text(drawn) is False
        assert drawn.replace(r"\$", "$") == name.replace("\udcff", "\N{REPLACEMENT CHARACTER}")


def test_a_picture_that_fails_is_one_line():
    said: list[str] = []
    with drawing("curve.png", said.append):
        raise RuntimeError("no such font\nand a long story")
    assert said == ["the picture curve.png could not be drawn: no such font"]
    with pytest.raises(KeyboardInterrupt), drawing("curve.png", said.append):
        raise KeyboardInterrupt
