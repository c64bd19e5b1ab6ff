"""Pictures of a search: one panel for each parameter, with every trial in its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from cheap_search import CONFIG, run_here, search_in
from matplotlib.figure import Figure

from ecotf.tuning import pictures
from ecotf.tuning.config import TuningConfig


@pytest.fixture
def drawn(monkeypatch) -> list[Figure]:
    """The figures, kept before they are saved."""
    kept: list[Figure] = []
    save = pictures.save_figure

    def keep(figure, path):
        kept.append(figure)
        return save(figure, path)

    monkeypatch.setattr(pictures, "save_figure", keep)
    return kept


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    return run_here(search_in(tmp_path_factory.mktemp("search")))


def test_both_pictures(search, tmp_path, drawn):
    files = pictures.write_pictures(search.trials, CONFIG, "a sum", tmp_path)
    assert [file.name for file in files.values()] == ["best_so_far.png", "parameters.png"]
    assert all(Path(file).read_bytes().startswith(b"\x89PNG") for file in files.values())
    progress, parameters = drawn
    (axes,) = progress.axes
    lines = {line.get_label(): line for line in axes.lines}
    assert set(lines) == {"trial", "best so far", "the recipe as it was", "failed", "stopped"}
    done = [trial for trial in search.trials if trial.metric is not None]
    assert lines["trial"].get_xdata().tolist() == [trial.number for trial in done]
    assert max(lines["best so far"].get_ydata()) == search.best.metric
    assert (lines["best so far"].get_ydata()[1:] >= lines["best so far"].get_ydata()[:-1]).all()
    panels = {axes.get_xlabel(): axes for axes in parameters.axes if axes.get_visible()}
    assert list(panels) == ["rate", "depth", "share", "kind"]
    assert [axes.get_xscale() for axes in panels.values()] == ["log", "linear", "linear", "linear"]
    assert [label.get_text() for label in panels["kind"].get_xticklabels()] == ["a", "b", "[1, 2]"]
    rates, metrics = panels["rate"].collections[0].get_offsets().T
    assert rates.tolist() == [trial.values["rate"] for trial in done]
    assert metrics.tolist() == [trial.metric for trial in done]
    ringed = panels["depth"].lines[-1]
    assert (ringed.get_xdata()[0], ringed.get_ydata()[0]) == (search.best.values["depth"], search.best.metric)


@pytest.mark.parametrize("trials", [1, 3])
def test_few_trials_and_one_parameter(tmp_path, trials):
    """As after a budget that was nearly too small; a choice of numbers over decades has a logarithmic axis."""
    config = TuningConfig(
        space={"rate": {"name": "choice", "options": [1e-4, 1e-3, 1e-2]}}, trials=trials, stopping=None
    )

    def constant(task, log):
        from ecotf.tuning.trial import Outcome

        return Outcome("done", {"quality": 0.5})

    search = run_here(search_in(tmp_path, config=config), constant)
    pictures.write_pictures(search.trials, config, "a constant", tmp_path)
    assert (tmp_path / "parameters.png").stat().st_size > 5000
