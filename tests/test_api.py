"""``import ecotf``: the examples of its docstrings, the commands' numbers, and what cannot be."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from simulated_season import make_season

import ecotf
from ecotf import model as model_module
from ecotf.api import archives, listening, seasons, training
from ecotf.commands import run_classifier

RATE = 256_000
SPECIES = ("Myotis daubentonii", "Nyctalus noctula")
SOUND = np.float32(0.1) * np.random.default_rng(1).standard_normal(RATE // 4).astype(np.float32)


@pytest.fixture(scope="module")
def run(make_loud_run, tmp_path_factory) -> Path:
    return make_loud_run(tmp_path_factory.mktemp("runs"), {**dict.fromkeys(SPECIES, 0.5), "call": 0.5})


@pytest.fixture(scope="module")
def model(run) -> ecotf.Model:
    return ecotf.load(run)


@pytest.fixture(scope="module")
def night(tmp_path_factory) -> Path:
    """Half a second of sweeps in noise."""
    rng = np.random.default_rng(3)
    samples = 0.002 * rng.standard_normal(RATE // 2)
    time = np.arange(round(0.005 * RATE)) / RATE
    for start in np.arange(0.03, 0.45, 0.06):
        sweep = np.sin(2 * np.pi * (60e3 * time - 2e6 * time**2)) * np.hanning(time.size)
        samples[round(start * RATE) :][: time.size] += 0.2 * sweep
    path = tmp_path_factory.mktemp("night") / "20260621_221500.wav"
    soundfile.write(path, samples, RATE, subtype="PCM_16")
    return path


def test_the_examples_are_true(run, night, tmp_path):
    season = make_season(tmp_path / "season")
    given = {
        "SEASON": season.folder,
        "SITES": season.sites,
        "ecotf": ecotf,
        "np": np,
        "RUN": run,
        "NIGHT": night,
        "OUTPUT": tmp_path / "detections",
    }
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    # What `find` gives of the front door is its own example alone.
    tests = [
        test
        for module in (ecotf, archives, listening, seasons, training, model_module)
        for test in finder.find(module, module.__name__, globs=dict(given))
    ]
    for test in tests:
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
    assert runner.tries > 12


def test_the_numbers_are_the_commands(model, run, night, tmp_path):
    found = model.detect(night)
    assert len(found) > 3
    run_classifier.main(["--model", str(run), str(night), "--output", str(tmp_path)])
    expected = pd.read_csv(tmp_path / "detections.csv", keep_default_na=False, na_values={"channel": [""]})
    assert found["label"].tolist() == expected["label"].tolist()
    for column in ("start_s", "end_s", "low_hz", "high_hz", "score", "detection_score"):
        np.testing.assert_array_equal(found[column].astype(float), expected[column].astype(float))
    assert found["time"].str.startswith("2026-06-21T22:15:00").all()


def test_an_array_is_heard_as_its_file(model, night):
    samples, rate = soundfile.read(night, dtype="float32")
    found = model.detect(samples, sample_rate=rate)
    in_file = model.detect(night)
    assert found["label"].tolist() == in_file["label"].tolist()
    np.testing.assert_allclose(found["score"], in_file["score"], atol=1e-4)
    assert (model.scores(samples, rate)["label"] == "call").any()
    assert len(model.embed(samples, rate)) > 3


def test_a_threshold_and_unnamed_calls(model, night):
    assert len(model.detect(night, threshold=0.99)) <= len(model.detect(night)) <= len(model.detect(night, threshold=0))
    assert not (model.detect(night, threshold=0.3, unnamed=False)["label"] == "bat").any()


@pytest.mark.parametrize(
    ("sound", "rate", "said"),
    [
        (np.zeros(10, np.int16), RATE, "samples of type int16; allowed: floating-point numbers"),
        (SOUND.reshape(2, -1), RATE, r"samples of shape \(2, 32000\); allowed: one channel"),
        (np.array([0.1, np.nan, np.inf]), RATE, "2 of 3 samples are NaN or infinite"),
        (np.empty(0, np.float32), RATE, "no samples"),
        (SOUND, None, "samples without a sample rate"),
        (SOUND, 256_000.5, "sample_rate=256000.5: a whole number"),
        (SOUND, -1, "sample_rate=-1: a whole number"),
        (SOUND, 44_100, "needs a sample rate of at least"),
    ],
)
def test_samples_that_are_no_sound(model, sound, rate, said):
    for method in (model.detect, model.scores, model.embed):
        with pytest.raises(ecotf.ConfigError, match=said):
            method(sound, rate)


def test_what_cannot_be_loaded_or_read(model, night, tmp_path):
    with pytest.raises(ecotf.ConfigError, match="not a run folder"):
        ecotf.load(tmp_path)
    with pytest.raises(ecotf.ConfigError, match="there is no such run folder"):
        ecotf.load(tmp_path / "absent")
    with pytest.raises(ecotf.ConfigError, match="an empty list"):
        ecotf.load([])
    with pytest.raises(ecotf.ConfigError, match=r"none\.tflite: cannot be read"):
        ecotf.load(tmp_path / "none.tflite")
    (tmp_path / "other.tflite").write_bytes(b"TFL3" * 20)
    with pytest.raises(ecotf.ConfigError, match="is no device model"):
        ecotf.load(tmp_path / "other.tflite")
    with pytest.raises(ecotf.RecordingError, match=r"absent\.wav: cannot be read"):
        model.detect(tmp_path / "absent.wav")
    with pytest.raises(ecotf.ConfigError, match="a file says its own rate"):
        model.detect(night, sample_rate=RATE)
    with pytest.raises(ecotf.ConfigError, match="list is no sound"):
        model.detect([0.0, 1.0])  # type: ignore[arg-type]
    with pytest.raises(ecotf.ConfigError, match=r"no recording to classify: .*absent"):
        ecotf.classify(model, tmp_path / "absent", tmp_path / "out")
    with pytest.raises(ecotf.ConfigError, match="unknown option treshold; known: formats, "):
        ecotf.classify(model, night, tmp_path / "out", treshold=0.5)
    with pytest.raises(AttributeError, match="has no attribute 'lod'"):
        _ = ecotf.lod
    assert "load" in dir(ecotf)


def test_a_training_by_python_is_a_run(tmp_path):
    """Two epochs on simulated calls; the run is that of the command."""
    from ecotf.commands import make_dataset

    calls = tmp_path / "calls"
    make_dataset.main(["simulate", "--output", str(calls), "--recordings", "10", "--duration", "0.5", "--seed", "3"])
    told: list[str] = []
    settings = [
        "stages.0.epochs=2", "mining.rounds=0", "trees.n_estimators=4", "evaluation.bootstrap=2",
        "networks.0.backbone.filters=[4, 6, 6]", "networks.0.backbone.squeeze=2", "networks.0.backbone.embedding=8",
    ]  # fmt: skip
    model = ecotf.train(
        "bats/field", calls / "manifest.csv", tmp_path / "runs", seed=5, settings=settings, log=told.append
    )
    assert model.run.path.parent == tmp_path / "runs" / "bats" / "field"
    assert len(model.classes) > 1 and any("epoch 2/2" in line for line in told)
