"""The results of a search for people: the best recipe, a table, pictures, published CSVs, a summary of failures."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.table import Table

from ecotf.commands.console import console, log, plain
from ecotf.commands.tuning_folder import SearchFolder
from ecotf.errors import ConfigError
from ecotf.files import atomic_file
from ecotf.runs import environment_facts
from ecotf.tasks.base import get_task
from ecotf.tasks.recipes import recipe_text
from ecotf.tuning.keys import settings_of, with_settings
from ecotf.tuning.pictures import write_pictures
from ecotf.tuning.report import changes, failures, write_table
from ecotf.tuning.search import Search

if TYPE_CHECKING:
    from ecotf.tasks.recipes import AnyRecipe

_SHOWN = 5


def write_results(search: Search, recipe: AnyRecipe, place: SearchFolder) -> int:
    """Write everything into the folder of the search and print the short of it.

    Raises
    ------
    ConfigError
        There is no trial with a metric: the budget was too small for one, or all failed.
    """
    config, trials, best = search.config, search.trials, search.best
    if trials:
        write_table(trials, config.metric, place.path / "trials.csv")
    lost = failures(trials)
    if best is None:
        if lost:
            raise ConfigError(f"{place.path}: none of the {len(trials)} trials gave a recipe; {lost[0]}")
        raise ConfigError(
            f"{place.path}: the budget of {config.time} was too small for one trial; continue it with "
            f"--resume --output {place.path} and a greater --budget"
        )
    changed = changes(search, settings_of(recipe))
    tuned = _tuned(search, recipe, changed)
    with atomic_file(place.path / "best.yaml") as partial:
        partial.write_text(_comment(search, changed) + recipe_text(tuned), encoding="utf-8")
    tables = get_task(tuned.task).searchable(tuned).write_published(tuned, place.path)
    pictures = write_pictures(trials, config, recipe.name, place.path / "plots", log)
    facts = environment_facts(config.seed, trials[0].finished, datetime.now(UTC).isoformat())
    with atomic_file(place.path / "summary.txt") as partial:
        partial.write_text(_summary(search, changed, lost, facts), encoding="utf-8")

    console.print()
    console.print(_table(search))
    log(_summary(search, changed, lost, None))
    log(f"best recipe:  {place.path / 'best.yaml'}" + "".join(f", {path.name}" for path in tables))
    log(f"all trials:   {place.path / 'trials.csv'}")
    log(f"pictures:     {', '.join(str(path) for path in pictures.values())}")
    log(f"next:         ecotf train --recipe {place.path / 'best.yaml'} --data {place.path / 'manifest.csv'}")
    return 0


def _tuned(search: Search, recipe: AnyRecipe, changed: list[str]) -> AnyRecipe:
    """Return the recipe of the best trial, under a new name."""
    best = search.best
    assert best is not None
    tuned = with_settings(recipe, best.values)
    name = recipe.name if recipe.name.endswith("_tuned") or not changed else f"{recipe.name}_tuned"
    return tuned.model_copy(update={"name": name})


def _comment(search: Search, changed: list[str]) -> str:
    best = search.best
    assert best is not None
    lines = [f"Trial {best.number} of {len(search.trials)}: {search.config.metric} {best.metric:.4f} on validation."]
    lines += changed or ["Nothing was changed: no trial was better than the recipe as it is."]
    return "".join(f"# {line}\n" for line in lines) + "\n"


def _summary(search: Search, changed: list[str], lost: list[str], facts: dict | None) -> str:
    best, first = search.best, search.trials[0]
    assert best is not None
    metric = search.config.metric
    was = f", {first.metric:.4f} as the recipe is" if first.origin == "recipe" and first.metric is not None else ""
    lines = [
        f"{len(search.trials)} trials in {search.clock.spent_s() / 60:.1f} min ({search.over() or 'stopped'}); "
        f"best {metric} {best.metric:.4f} (trial {best.number}){was}"
    ]
    lines += [f"  {line}" for line in changed] or ["  no trial was better than the recipe as it is"]
    lines += lost
    if facts is not None:
        lines += ["", f"{facts['cpu']}, {facts['cpu_count']} cores; seed {facts['seed']}"]
        lines += [
            f"{name} {facts['packages'][name]}" for name in ("hyperopt", "tensorflow") if name in facts["packages"]
        ]
    return "\n".join(lines) + "\n"


def _table(search: Search) -> Table:
    """Make the table of the best trials, a row for each setting: its dotted key is longer than its values."""
    config = search.config
    done = sorted((t for t in search.trials if t.metric is not None), key=lambda t: config.loss(t.metric))  # type: ignore[arg-type]
    shown = done[:_SHOWN]
    table = Table(title=f"the best {len(shown)} of {len(search.trials)} trials", title_justify="left")
    table.add_column("trial", overflow="fold")
    for trial in shown:
        table.add_column(
            f"{trial.number}" + ("" if trial.origin == "search" else f" ({trial.origin})"), justify="right"
        )
    table.add_row(config.metric, *(f"{trial.metric:.4f}" for trial in shown))
    table.add_row("seconds", *(f"{trial.seconds:.0f}" for trial in shown), end_section=True)
    for key in config.space:
        values = [trial.values.get(key) for trial in shown]
        table.add_row(key, *(f"{value:.4g}" if isinstance(value, float) else plain(value) for value in values))
    return table
