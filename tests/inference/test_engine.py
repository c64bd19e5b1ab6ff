"""The same rows from one process, from workers and from a Spark; what is killed loses nothing and doubles nothing."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.errors import ConfigError, EcotfError
from ecotf.inference.engine import EngineOptions, _Feed
from ecotf.inference.job import ClassifierOptions, JobResult, classify
from ecotf.inference.ledger import read_ledger
from ecotf.inference.outcome import Waiting

from .cheap_run import CheapRun, CheapSource, contents

RATE = 16_000
PLAIN = ClassifierOptions()
SPARK = "local-cluster[2,1,1024]"
PYSPARK = importlib.util.find_spec("pyspark")
needs_spark = pytest.mark.skipif(
    PYSPARK is None or shutil.which("java") is None,
    reason="pyspark is not installed" if PYSPARK is None else "there is no Java",
)


def write(path: Path, sound: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, RATE, subtype="PCM_16")


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    """Short recordings, long ones of one and two channels, one that ends in silence, a silent and a broken one."""
    folder, rng = tmp_path_factory.mktemp("archive"), np.random.default_rng(0)
    for number in range(12):
        write(folder / f"site{number % 3}" / f"{number}.wav", 0.1 * rng.standard_normal(RATE // 4))
    night = 0.1 * rng.standard_normal(10 * RATE)
    write(folder / "long.wav", night)
    write(folder / "stereo.wav", np.stack([night, np.zeros_like(night)], axis=1))
    night[: 7 * RATE] = 0
    write(folder / "late.wav", night)
    write(folder / "silent.wav", np.zeros(10 * RATE))
    write(folder / "bad.wav", night)
    with (folder / "bad.wav").open("r+b") as file:
        file.truncate(200_000)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("model") / "model.bin"


def job(
    model: Path, archive: Path, output: Path, engine: EngineOptions | None = None, source=None, **more
) -> JobResult:
    recordings = sorted(archive.rglob("*.wav"))
    options = replace(PLAIN, channel="each", formats=("csv", "raven"))
    source = source or CheapSource(model)
    return classify(CheapRun(model), recordings, output, options, engine=engine, source=source, **more)


def digests(output: Path) -> dict[str, str]:
    """Of each file's lines in order, without the seconds that the work took."""
    return {
        name: hashlib.sha256(b"\n".join(sorted(content.splitlines()))).hexdigest()
        for name, content in contents(output).items()
        if name not in ("job.json", "job.jsonl")
    }


@pytest.fixture(scope="module")
def expected(model, archive, tmp_path_factory) -> dict[str, str]:
    output = tmp_path_factory.mktemp("one") / "out"
    job(model, archive, output)
    table = pd.read_csv(output / "detections.csv")
    assert len(table) > 200 and set(table["channel"]) == {1}
    return digests(output)


@pytest.mark.parametrize(("workers", "part_s"), [(1, 2.0), (3, 0.7)])
def test_workers_give_the_rows_of_one_process(model, archive, expected, tmp_path, workers, part_s):
    engine = EngineOptions(workers, part_s=part_s)
    result = job(model, archive, tmp_path / "out", engine)
    assert digests(tmp_path / "out") == expected
    assert result.counts["done"] == 15 and result.counts["silent"] == 1 and result.counts["corrupt"] == 1


@needs_spark
def test_a_spark_gives_the_same_rows_also_when_an_executor_is_killed(
    model, archive, expected, tmp_path, executors, monkeypatch
):
    killed: list[int] = []

    def report(name: str, outcome: object) -> None:
        if len(killed) < 1:
            killed.extend(kill_one("CoarseGrainedExecutorBackend"))

    job(model, archive, tmp_path / "out", EngineOptions(2, SPARK, part_s=5.0), report=report)
    assert len(killed) == 1
    assert digests(tmp_path / "out") == expected


@dataclass(frozen=True)
class Stranger:
    """A source that needs what an executor does not have."""

    def load(self):
        import a_package_that_is_not_there  # noqa: F401


def test_a_worker_that_cannot_load_the_model_says_so_once(model, archive, tmp_path):
    with pytest.raises(EcotfError, match=r"cannot load the model: No module named .a_package") as error:
        job(model, archive, tmp_path / "out", EngineOptions(2), source=Stranger())
    assert "\n" not in str(error.value)


def kill_one(name: str) -> list[int]:
    """Kill a child of this process, or a child's child, with ``name`` in its command line."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, pid = (folder / "cmdline").read_bytes().decode(errors="replace"), int(folder.name)
            if name in command and descends(pid):
                os.kill(pid, signal.SIGKILL)
                return [pid]
        except OSError:
            continue
    return []


def descends(pid: int) -> bool:
    while pid > 1:
        if pid == os.getpid():
            return True
        pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return False


@pytest.fixture
def executors(monkeypatch):
    """Executors find the run; what they write beside pyspark goes."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (Path(__file__).parents[2], Path(__file__).parent))))
    from spark_work import QUICK_JAVA, tidied  # not above: executors import this file, and do not find that one

    monkeypatch.setenv("JAVA_TOOL_OPTIONS", QUICK_JAVA)
    with tidied():
        yield


def test_workers_that_are_killed_lose_nothing(model, archive, expected, tmp_path, monkeypatch):
    """Their work is done again by others, also where chance kills all of them at one recording."""
    monkeypatch.setattr("ecotf.inference.engine._MOST_TRIES", 9)
    monkeypatch.setattr("ecotf.inference.job._LONG_S", 0.0)  # each result is told at once
    killed: list[int] = []

    def report(name: str, outcome: object) -> None:
        if len(killed) < 3:
            killed.extend(kill_one("spawn_main"))

    source = CheapSource(model, slow_s=0.05)
    job(model, archive, tmp_path / "out", EngineOptions(2, part_s=2.0), source, report=report)
    assert len(killed) == 3
    assert digests(tmp_path / "out") == expected


@dataclass(frozen=True)
class Awkward(CheapSource):
    """At a recording of one length the process ends, at another it does not come to an end."""

    def load(self) -> CheapRun:
        return AwkwardRun(self.path)


class AwkwardRun(CheapRun):
    def open_stream(self, sample_rate, options):
        stream = super().open_stream(sample_rate, options)
        whole = stream.push

        def push(sound: np.ndarray) -> pd.DataFrame:
            if len(sound) == 5000:
                os.kill(os.getpid(), signal.SIGKILL)
            if len(sound) == 6000:
                time.sleep(60)
            return whole(sound)

        stream.push = push  # type: ignore[method-assign]
        return stream


def test_what_kills_or_holds_a_worker_is_failed_and_the_others_go_on(model, tmp_path, monkeypatch):
    monkeypatch.setattr("ecotf.inference.engine._GRACE_S", 0.5)
    archive, rng = tmp_path / "archive", np.random.default_rng(0)
    for number, samples in enumerate((4000, 5000, 4000, 6000, 4000)):
        write(archive / f"{number}.wav", 0.1 * rng.standard_normal(samples))
    job(model, archive, tmp_path / "out", EngineOptions(1, timeout_s=1.0), Awkward(model))
    rows = {Path(row.recording).name: (row.status, row.reason) for row in read_ledger(tmp_path / "out" / "ledger.csv")}
    assert rows["1.wav"] == ("failed", "listening to it ended the process by signal 9, 2 times")
    assert rows["3.wav"] == ("failed", "took longer than --timeout 1 s")
    assert [rows[f"{n}.wav"][0] for n in (0, 2, 4)] == ["done"] * 3


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"workers": -1}, "--workers -1: at least 0"),
        ({"timeout_s": 0.0}, "--timeout 0: it is in seconds, above 0"),
        ({"engine": "sparkle"}, "--engine 'sparkle' is unknown"),
    ],
)
def test_an_engine_that_cannot_be_is_refused(values, said):
    with pytest.raises(ConfigError, match=said):
        EngineOptions(**values)


def test_a_parent_that_is_killed_takes_its_workers_along_and_the_next_one_goes_on(model, archive, expected, tmp_path):
    out = tmp_path / "out"
    script = (
        "import sys; from pathlib import Path; from tests.inference.test_engine import *; "
        "model, archive, out = map(Path, sys.argv[1:]); "
        "job(model, archive, out, EngineOptions(2, part_s=2.0), CheapSource(model, 0.2), resume=True)"
    )
    command = [sys.executable, "-c", script, model, archive, out]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as parent:
        while not (out / "ledger.csv").exists() or (out / "ledger.csv").read_bytes().count(b"\n") < 4:
            assert parent.poll() is None
            time.sleep(0.02)
        workers = [int(pid) for pid in Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()]
        parent.kill()
    assert workers and len(list(read_ledger(out / "ledger.csv"))) < 17
    job(model, archive, out, EngineOptions(1, part_s=2.0), resume=True)
    assert digests(out) == expected
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in workers):
        assert time.monotonic() < deadline, "workers live on"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_executors_are_given_whole_paths(tmp_path, monkeypatch):
    """They work in folders of their own; tables keep the names that the user gave."""
    monkeypatch.chdir(tmp_path)
    feed = _Feed([Waiting.of("night.wav")], may_be_cut=True, one_by_one=False, whole_paths=True)
    job = feed.next_job()
    assert job is not None
    (piece,) = job.pieces
    assert (piece.one.file, piece.one.name) == (str(tmp_path / "night.wav"), "night.wav")
