"""The same search on a small Spark: local-cluster mode, real executors. Skipped where Java or pyspark is absent."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest
from cheap_search import CONFIG, STARTS, Sum, facts, search_in

from ecotf.commands import run_tuning
from ecotf.errors import ConfigError
from ecotf.parallel.spark import require_spark
from ecotf.tuning.spark import run_with_spark
from ecotf.tuning.trial import Outcome
from ecotf.tuning.workers import attempt

ENGINE = "local-cluster[1,2,1024]"  # an executor of two cores is a Java less than two of one
PYSPARK = importlib.util.find_spec("pyspark")
needs_spark = pytest.mark.skipif(
    PYSPARK is None or shutil.which("java") is None,
    reason="pyspark is not installed" if PYSPARK is None else "there is no Java",
)


class OnExecutor(Sum):
    """Says in its figures where it was tried."""

    def __call__(self, task, log) -> Outcome:
        outcome = super().__call__(task, log)
        return Outcome(outcome.status, {**outcome.metrics, "pid": float(os.getpid())}, outcome.scores, outcome.epochs)


@pytest.fixture
def executors(monkeypatch):
    """Executors find the objective; what they write beside pyspark goes."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    from spark_work import QUICK_JAVA, tidied  # not above: executors import this file, and do not find that one

    monkeypatch.setenv("JAVA_TOOL_OPTIONS", QUICK_JAVA)
    with tidied():
        yield


def two_at_a_time(search, until: int) -> None:
    """Run in this process, as two workers would."""
    running: dict[int, Outcome] = {}
    while len(search.trials) < until:
        while len(running) < 2 and (task := search.next_task()) is not None:
            running[task.number] = attempt(OnExecutor(), task, lambda line: None)
        number = min(running)
        search.record(number, running.pop(number))


def without_pid(trial) -> dict:
    found = facts(trial)
    found["outcome"]["metrics"].pop("pid", None)
    found["outcome"].pop("trace")
    return found


@needs_spark
def test_a_search_that_goes_on_with_spark_is_the_same_search(tmp_path, executors):
    config = CONFIG.model_copy(update={"trials": 4})
    whole = search_in(tmp_path / "here", 2, config)
    two_at_a_time(whole, 4)

    two_at_a_time(search_in(tmp_path / "spark", 2, config), 2)
    search = search_in(tmp_path / "spark", 2, config)
    said: list[str] = []
    ended: list[int] = []
    run_with_spark(search, OnExecutor(), ENGINE, said.append, ended.append)
    assert [without_pid(trial) for trial in search.trials] == [without_pid(trial) for trial in whole.trials]
    assert sorted(ended) == [2, 3] and said[0] == "preparing on one executor"
    reread = search_in(tmp_path / "spark", 2, config).trials
    assert [facts(trial) for trial in reread] == [facts(trial) for trial in search.trials]
    pids = {trial.outcome.metrics["pid"] for trial in search.trials[2:] if trial.outcome.metrics}
    assert pids and os.getpid() not in pids
    assert search.trials[2].outcome.reason == "a kind b that deep cannot be"
    assert os.environ["PYSPARK_PYTHON"] == sys.executable


# --- what is missing is said in one line -----------------------------------------------------------------------------


def test_without_java(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setitem(sys.modules, "pyspark", object())
    with pytest.raises(ConfigError, match=r"^--engine spark://head:7077 needs java, which is not here; run: sudo apt "):
        require_spark("spark://head:7077")
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(ConfigError, match="needs java"):
        require_spark(ENGINE)


def test_without_pyspark(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(ConfigError, match=r"needs pyspark; run: pip install -r requirements-spark\.txt"):
        require_spark(ENGINE)


@pytest.mark.parametrize("engine", ["sprak://head:7077", "spark://head", "local-cluster[2]", "threads", ""])
def test_an_engine_that_is_none(engine, tmp_path):
    with pytest.raises(ConfigError, match="is unknown; allowed: processes, spark://HOST:PORT"):
        run_tuning.main(["--recipe", "bats/field", "--data", "no.csv", "--output", str(tmp_path), "--engine", engine])
    assert list(tmp_path.iterdir()) == []


def test_the_starting_point_is_told_as_text(tmp_path):
    """Tasks go to executors as JSON; what YAML can hold comes back the same."""
    import json

    from ecotf.tuning.spark import RemoteObjective
    from ecotf.tuning.trial import Task

    seen: list[Task] = []

    class Looks:
        def __call__(self, task, log) -> Outcome:
            seen.append(task)
            return Outcome("done", {"quality": 1.0})

    task = Task(0, {**STARTS[0].values, "kind": [1, {"name": "cnn"}]}, {"calls": [-1.0, 0.25]})
    text = json.dumps({"number": task.number, "values": task.values, "limits": task.limits})
    result = RemoteObjective(Looks())(text)
    assert seen == [task]
    assert result["status"] == "ok" and Outcome(**result["outcome"]) == Outcome("done", {"quality": 1.0})
