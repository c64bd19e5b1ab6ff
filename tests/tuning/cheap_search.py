"""A search over a sum that costs nothing, and a program that tests can kill: cheap_search.py FOLDER JOBS TRIALS."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from ecotf.errors import ConfigError
from ecotf.tuning.clock import Clock
from ecotf.tuning.config import TuningConfig
from ecotf.tuning.journal import Journal
from ecotf.tuning.search import Search, Start
from ecotf.tuning.stopping import MedianWatch
from ecotf.tuning.trial import Outcome, Task
from ecotf.tuning.workers import attempt, run_with_workers

SPACE = {
    "rate": {"name": "loguniform", "low": 1e-4, "high": 1.0},
    "depth": {"name": "randint", "low": 2, "high": 9},
    "share": {"name": "quniform", "low": 0.1, "high": 0.9, "q": 0.1},
    "kind": {"name": "choice", "options": ["a", "b", [1, 2]]},
}
CONFIG = TuningConfig(space=SPACE, startup=6, trials=18, stopping={"after_trials": 3, "after_epochs": 2})
STARTS = [Start("recipe", {"rate": 0.1, "depth": 4, "share": 0.5, "kind": "a"})]
IDENTITY = {"recipe": "a sum", "space": "four numbers"}


class Sum:
    """Not quite a training: four epochs of a score that tends to a sum, some settings that cannot be."""

    def __init__(self, seconds: float = 0.0, pids: Path | None = None) -> None:
        self.seconds = seconds
        self.pids = pids

    def prepare(self, log) -> None:
        log("prepared")
        if self.pids is not None:
            with self.pids.open("a") as file:
                file.write(f"{os.getpid()}\n")

    def __call__(self, task: Task, log) -> Outcome:
        rate, depth, share, kind = (task.values[key] for key in SPACE)
        if kind == "b" and depth > 6:
            raise ConfigError("a kind b that deep cannot be")
        if kind == "b" and share > 0.8:
            raise ZeroDivisionError("division\nby zero")
        good = 1 / (1 + (rate - 0.03) ** 2 * 9 + abs(depth - 5) / 5 + abs(share - 0.4))
        watch, history = MedianWatch(task.limits), []
        for epoch in range(1, 5):
            # Some trials take longer than others, so with several workers they overtake each other.
            time.sleep(self.seconds * (1 + task.number % 3))
            history.append({"network": "sum", "valid_score": good * (1 - 0.5**epoch)})
            if epoch < 4:
                watch.check(history)
        return Outcome("done", {"quality": good}, {"sum": [row["valid_score"] for row in history]}, 4)


def search_in(folder: Path, jobs: int = 1, config: TuningConfig = CONFIG, log=print) -> Search:
    """The search in ``folder``, new or resumed."""
    folder.mkdir(exist_ok=True)
    journal = Journal.open(folder / "trials.jsonl", IDENTITY, log)
    return Search(config, STARTS, journal, Clock(folder / "clock.json", config.time_s), jobs, log)


def run_here(search: Search, objective=None, log=lambda line: None) -> Search:
    """Run a search in this process, one trial after another."""
    objective = objective or Sum()
    while (task := search.next_task()) is not None:
        search.record(task.number, attempt(objective, task, log))
    return search


def facts(trial) -> dict:
    """Everything about a trial but what a clock says."""
    values = trial.as_json()
    return {key: value for key, value in values.items() if key not in ("seconds", "finished")}


def main() -> None:
    folder, jobs, trials = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    search = search_in(folder, jobs, CONFIG.model_copy(update={"trials": trials}))
    run_with_workers(search, Sum(0.01, folder / "pids"), lambda line: None, lambda number: None)
    (folder / "done").touch()


if __name__ == "__main__":
    main()
