"""A session with an Apache Spark, and in one line what is missing for one."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ecotf.errors import ConfigError
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
def spark_session(engine: str) -> Iterator[Any]:
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
    builder = SparkSession.builder.master(engine).appName("ecotf tuning")
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


def _cause(error: Exception) -> str:
    """Return the line of Java's own message, which begins with a colon; else the first line of the error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = next((line for line in lines if line.startswith(":")), lines[0] if lines else type(error).__name__)
    return told.lstrip(": ").removeprefix("java.lang.")
