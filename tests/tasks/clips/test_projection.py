"""Heads that compare examples, over a frozen embedder: trained, judged, classified with, exported, enrolled on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from convert_here import make_here
from tiny_embedder import RATE, tiny_embedder

from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.errors import ConfigError
from ecotf.export.export import ExportJob
from ecotf.export.settings import ExportSettings
from ecotf.inference.device_run import DeviceRun
from ecotf.tasks.base import get_task
from ecotf.tasks.enrolment.enrol import NewRun, enrol
from ecotf.tasks.enrolment.examples import whole_clips
from ecotf.tasks.recipes import load_any_recipe
from ecotf.tasks.training_run import train_run

CLIPS = get_task("clips")
# Each is two of the pitches that the embedder hears.
PITCHES = {
    "crow": (1, 2, "train"), "owl": (2, 3, "train"), "robin": (3, 4, "train"), "wren": (1, 3, "valid"),
    "tit": (2, 4, "valid"), "rail": (1, 4, "test"), "ani": (2, 2, "test"),
}  # fmt: skip
SMALL = (
    "inference.segment_s=0.5", "project={units: [8], dropout: 0}", "evaluation.bootstrap=2", "stages.0.epochs=3",
    "stages.0.learning_rate=0.01", "stages.0.episodes={way: 3, shots: 2, queries: 1, episodes: 20}",
    "evaluation.episodes=[{way: 2, shots: 1, queries: 2, episodes: 20}]",
)  # fmt: skip


@pytest.fixture(scope="module")
def chords(tmp_path_factory) -> Manifest:
    """Four recordings of each; phases vary little, since the embedder hears sines and cosines apart."""
    folder, rows, rng = tmp_path_factory.mktemp("chords"), [], np.random.default_rng(0)
    times = np.arange(round(0.6 * RATE)) / RATE
    for name, (low, high, side) in PITCHES.items():
        for number in range(4):
            sound = sum(np.sin(2 * np.pi * 1000 * pitch * times + rng.uniform(0, 0.6)) for pitch in (low, high))
            sound = rng.uniform(0.1, 0.3) * sound + 0.02 * rng.normal(size=len(times))
            soundfile.write(folder / f"{name}_{number}.wav", sound, RATE)
            rows.append({"recording": f"{name}_{number}.wav", "start_s": 0.0, "label": name, "split": side})
    return make_manifest(pd.DataFrame(rows).assign(end_s=np.nan), folder, "chords")


@pytest.fixture(scope="module", params=["prototype", "matching", "relation"])
def run(request, chords, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    more = ["stages.0.training=classical"] if request.param == "matching" else []
    head = {"relation": "head={name: relation, channels: 4, norm_momentum: 0.5}"}
    overrides = [*tiny_embedder(folder), *SMALL, head.get(request.param, f"head={{name: {request.param}}}"), *more]
    return train_run(
        load_any_recipe("fewshot/transfer", overrides), chords, folder / "runs", threads=1, log=lambda line: None
    )


def test_a_run_names_its_species_and_is_judged_on_others(run, chords):
    found = json.loads((run / "metrics.json").read_text())["episodes"]
    assert (found["trained"], found["species"], found["unseen"]) == (["crow", "owl", "robin"], ["ani", "rail"], True)
    rules = found["settings"][0]["rules"]
    assert set(rules) == {"network", "nearest_mean", "cl2n"} and rules["nearest_mean"]["accuracy"] > 0.9
    with np.load(run / "heldout.npz") as kept:
        assert kept["embeddings"].shape == (8, 8) and set(kept["labels"]) == {"tit", "wren"}
    loaded = CLIPS.load(run)
    sound, _ = soundfile.read(chords.path_of("owl_0.wav"), dtype="float32")
    assert loaded.embed(sound, RATE).shape == (2, 8)
    scores = loaded.scores(sound, RATE).pivot(index="start_s", columns="label", values="score")
    assert (scores["owl"] >= scores.max(axis=1)).all()


def test_the_file_gives_what_the_run_gives(run, chords, tmp_path):
    loaded = CLIPS.load(run)
    settings = ExportSettings(rate=RATE, sound="float32", embedding=True)
    made = make_here(CLIPS.exportable(loaded), settings, ExportJob(seconds=1.0))
    (tmp_path / "model.tflite").write_bytes(made.model)
    assert not made.parity["failures"]
    sound, _ = soundfile.read(chords.path_of("robin_1.wav"), dtype="float32")
    expected, found = (one.scores(sound, RATE) for one in (loaded, DeviceRun(tmp_path / "model.tflite")))
    np.testing.assert_allclose(found["score"], expected["score"], atol=1e-5)


def test_species_are_enrolled_on_it(run, chords, tmp_path):
    """Its embedding is the projection; those that it held out tell what other sound is like."""
    clips = whole_clips([chords.path_of(f"rail_{number}.wav") for number in range(3)])
    made = enrol(tmp_path / "rails", "rail", clips, new=NewRun(run))
    assert made.state.support.numbers == 8 and made.fitted.judged[0].without >= 8
    enrolled = CLIPS.load(tmp_path / "rails")
    sounds = [soundfile.read(chords.path_of(f"{name}_3.wav"), dtype="float32")[0] for name in ("rail", "tit")]
    rail, tit = (enrolled.scores(sound, RATE)["score"].max() for sound in sounds)
    assert rail > 0.5 > tit


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("stages.0.sound={gain: {probability: 1}}", "sound: each clip is embedded once, as it is; leave it out"),
        ("stages.0.name=fit_head", "'fit_head' is a stage with learns_from = clips, fits = head; here"),
        ("pool=scores", "pool = 'scores': episodes are of one embedding a clip; allowed: 'embeddings'"),
        ("project.units=[0]", "each layer needs at least one unit"),
        ("head={name: logistic}", "'fit_projection' is a stage with learns_from = clips, fits = projection"),
    ],
)
def test_settings_that_do_not_go_together(settings, said):
    with pytest.raises(ConfigError) as error:
        load_any_recipe("fewshot/transfer", [settings])
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_damaged_head_is_one_line(run):
    path = run / "model" / "head" / "projection.weights.h5"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:100])
        with pytest.raises(ConfigError, match="the head is damaged") as error:
            CLIPS.load(run)
        assert "\n" not in str(error.value)
    finally:
        path.write_bytes(whole)
