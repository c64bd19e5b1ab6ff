"""A session with an Apache Spark, and in one line what is missing for one."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ecotf.errors import ConfigError, EcotfError
from ecotf.parallel.processes import Died, Said
from ecotf.parallel.threads import PATIENT_THREADS

_MASTER = re.compile(
    r"spark://[\w.-]+:\d+(,[\w.-]+:\d+)*|local-cluster\[\d+,\d+,\d+\]|local(\[(\d+|\*)\])?|yarn|k8s://.+"
)


def require_spark(engine: str) -> None:
    """Say in one line what is missing for ``engine``, before anything begins.

    Raises
    ------
    ConfigError
        Not a master's address, no pyspark, or no java.
    """
    if not _MASTER.fullmatch(engine):
        raise ConfigError(
            f"--engine {engine!r} is unknown; allowed: processes, spark://HOST:PORT, local-cluster[N,CORES,MB], yarn"
        )
    try:
        import pyspark  # noqa: F401
    except ImportError:
        raise ConfigError(f"--engine {engine} needs pyspark; run: pip install -r requirements-spark.txt") from None
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java", path=f"{home}/bin" if home else None) is None:
        raise ConfigError(
            f"--engine {engine} needs java, which is not here; run: sudo apt install default-jre-headless"
        )


@contextmanager
def spark_session(engine: str, name: str = "ecotf tuning") -> Iterator[Any]:
    """Start a Spark session whose executors run this Python and find this ecotf; it ends with the block.

    Raises
    ------
    ConfigError
        Nobody answers there.
    """
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    if engine.startswith("local"):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    root = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    builder = SparkSession.builder.master(engine).appName(name)
    settings = {
        "spark.executorEnv.PYTHONPATH": paths,
        **{f"spark.executorEnv.{name}": value for name, value in PATIENT_THREADS.items()},
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.task.maxFailures": "1",
        "spark.log.level": "OFF",
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    try:
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("OFF")
    except Exception as error:
        raise ConfigError(
            f"--engine {engine}: no session with Spark; does a master run there? ({_cause(error)})"
        ) from None
    try:
        yield session
    finally:
        session.stop()


def messages_from_spark(
    work: Callable[..., Any], next_job: Callable[[], Any], out: int, engine: str
) -> Iterator[tuple[Any, Any]]:
    """Yield each message with the job that it is about, as `ecotf.parallel.processes.messages_of`, from executors.

    What a job says arrives with its result, and nothing of a job whose executor was lost: that is `Died`. The work is
    broadcast once, and made anew once in each Python process of an executor.

    Parameters
    ----------
    out
        How many jobs are out at a time, each a row of a Spark job of its own.

    Raises
    ------
    ConfigError
        Nobody answers there.
    EcotfError
        An executor lacks a package.
    """
    require_spark(engine)
    with spark_session(engine, "ecotf") as session:
        there = _OnExecutor(session.sparkContext.broadcast(pickle.dumps(work)))
        running: dict[Future[tuple[list[Any], Any]], Any] = {}
        with ThreadPoolExecutor(out) as threads:
            try:
                while True:
                    while len(running) < out and (job := next_job()) is not None:
                        running[threads.submit(_run_there, session, there, job)] = job
                    if not running:
                        return
                    for ended in wait(running, return_when=FIRST_COMPLETED).done:
                        job, (said, result) = running.pop(ended), ended.result()
                        yield from ((job, Said(what)) for what in said)
                        yield job, result
            finally:
                with suppress(Exception):
                    session.sparkContext.cancelAllJobs()


class _OnExecutor:
    """Runs jobs there, each a row of a table; `mapInPandas` takes it."""

    def __init__(self, work: Any) -> None:
        self._work = work

    def __call__(self, tables: Iterable[Any]) -> Iterator[Any]:
        import pandas as pd

        for table in tables:
            for job in table["job"]:
                said: list[Any] = []
                # Both ends are this ecotf: the driver made these bytes, and nothing from a file or a user is in them.
                result = _made_once(self._work.value)(pickle.loads(job), said.append)
                yield pd.DataFrame({"answer": [pickle.dumps((said, result))]})


_made: dict[bytes, Any] = {}


def _made_once(content: bytes) -> Any:
    key = hashlib.blake2b(content).digest()
    if key not in _made:
        # The broadcast of the driver, which is this ecotf.
        _made[key] = pickle.loads(content)
    return _made[key]


def _run_there(session: Any, there: _OnExecutor, job: Any) -> tuple[list[Any], Any]:
    from pyspark.errors import PythonException

    try:
        table = session.createDataFrame([(pickle.dumps(job),)], "job binary").coalesce(1)
        (row,) = table.mapInPandas(there, "answer binary").collect()
        # An executor of our own session made it. Whoever runs the Spark can run code there and here without it.
        said, result = pickle.loads(row["answer"])
        return said, result
    except Exception as error:
        absent = re.search(r"(?:ModuleNotFound|Import)Error: (.+)", str(error))
        if absent:
            raise EcotfError(
                f"an executor lacks a package ({absent[1].strip()}); install ecotf with its requirements everywhere"
            ) from None
        if isinstance(error, PythonException):  # what a recording does is caught there, so this would strike every job
            last = [line.strip() for line in str(error).splitlines() if re.match(r"\s*[\w.]+(Error|Exception)\b", line)]
            raise EcotfError(f"the work cannot be done on an executor: {(last or [_cause(error)])[-1][:300]}") from None
        return [], Died(f"on an executor ({_cause(error)[:200]})")


def _cause(error: Exception) -> str:
    """Return the line of Java's own message, which begins with a colon; else the first line of the error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = next((line for line in lines if line.startswith(":")), lines[0] if lines else type(error).__name__)
    return told.lstrip(": ").removeprefix("java.lang.")
