"""A species enrolled from a few clips is found in long recordings; adding and taking away leave no trace."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from tiny_embedder import RATE, tiny_embedder

from ecotf.commands.main import main
from ecotf.datasets.manifest import read_manifest
from ecotf.errors import ConfigError, DataError, EcotfError
from ecotf.model import Model
from ecotf.tasks.base import get_task
from ecotf.tasks.enrolment.alarms import Alarms
from ecotf.tasks.enrolment.enrol import NewRun, enrol, held_out, listed, remove
from ecotf.tasks.enrolment.examples import boxes_of, whole_clips
from ecotf.tasks.enrolment.fitting import fit_head, known_rows
from ecotf.tasks.enrolment.run_writer import read_enrolled
from ecotf.tasks.enrolment.sentences import sentences_of

CALL_S = 0.5
PITCHES = {"owl": 1001.3, "wren": 3001.3, "rail": 3001.1}
WHEN = (2.0, 4.5, 8.0)


def call(pitch: float, rng: np.random.Generator) -> np.ndarray:
    times = np.arange(round(CALL_S * RATE)) / RATE
    return rng.uniform(0.1, 0.3) * np.sin(2 * np.pi * pitch * times + rng.uniform(0, 6))


def noise(seconds: float, rng: np.random.Generator) -> np.ndarray:
    return 0.02 * rng.normal(size=round(seconds * RATE))


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Five clips of each of three birds, two quiet recordings, a night with owls, and its boxes; two owls are one."""
    folder, rng = tmp_path_factory.mktemp("enrolment"), np.random.default_rng(7)
    tiny_embedder(folder)
    for name, pitch in PITCHES.items():
        for number in range(5):
            soundfile.write(folder / f"{name}_{number}.wav", call(pitch, rng) + noise(CALL_S, rng), RATE)
    for number in range(2):
        soundfile.write(folder / f"quiet_{number}.wav", noise(10, rng), RATE)
    for night in range(2):
        sound = noise(10, rng)
        for start in WHEN:
            at = round(start * RATE)
            sound[at : at + round(CALL_S * RATE)] += call(PITCHES["owl"], rng)
        soundfile.write(folder / f"night_{night}.wav", sound, RATE)
    rows = [("night_0.wav", start, start + CALL_S, "owl") for start in WHEN]
    pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label"]).to_csv(folder / "boxes.csv", index=False)
    return folder


def new(place: Path) -> NewRun:
    return NewRun(place / "tiny.tflite", str(place / "tiny.yaml"))


def clips(place: Path, name: str, numbers=range(5)) -> list:
    return whole_clips(place / f"{name}_{number}.wav" for number in numbers)


def quiet(place: Path) -> list[Path]:
    return [place / f"quiet_{number}.wav" for number in range(2)]


@pytest.fixture(scope="module")
def owls(place) -> Path:
    return enrol(place / "owls", "owl", clips(place, "owl"), quiet(place), new(place)).path


def same(first: Path, second: Path) -> None:
    """Two runs know the same and answer the same, to the bit."""
    for name in ("labels.csv", "thresholds.json", "splits.csv", "manifest.csv", "enrolment/enrolled.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    with np.load(first / "model/head/means.npz") as one, np.load(second / "model/head/means.npz") as other:
        for name in one.files:
            np.testing.assert_array_equal(one[name], other[name])


def only_calls(found: pd.DataFrame) -> None:
    """Every call of the night is found, and nothing else; each to a segment."""
    assert set(found["label"]) == {"owl"}
    middles, starts = ((found["start_s"] + found["end_s"]) / 2).to_numpy(), np.array(WHEN)
    inside = (middles > starts[:, None]) & (middles < starts[:, None] + CALL_S)
    assert inside.any(axis=1).all() and inside.any(axis=0).all()
    assert (found["end_s"] - found["start_s"]).max() < 2 * CALL_S


def test_the_species_is_found_in_a_night_and_nothing_else(place, owls):
    run = get_task("clips").load(owls)
    sound, _ = soundfile.read(place / "night_1.wav", dtype="float32")
    found = Model(run).detect(sound, RATE)
    only_calls(found)
    assert not len(Model(run).detect(soundfile.read(place / "quiet_1.wav", dtype="float32")[0], RATE))


def test_boxes_teach_what_is_around_them_too(place, owls):
    examples = boxes_of(read_manifest(place / "boxes.csv"), "owl")
    made = enrol(place / "boxed", "owl", examples, new=new(place))
    (around,) = [one for one in made.state.support.stretches if one.recording]
    middles = around.middles(made.state.recipe.inference.segment_s)
    assert around.first == 0 and WHEN[-1] < middles.max() < WHEN[-1] + CALL_S
    assert len(known_rows(around, made.state.support, made.state.recipe.inference.segment_s)) < len(around.rows) - 5


def test_order_does_not_matter_and_a_species_can_be_taken_away(place, owls):
    first = shutil.copytree(owls, place / "first")
    enrol(first, "wren", clips(place, "wren"))
    second = enrol(place / "second", "wren", clips(place, "wren"), quiet(place), new(place)).path
    enrol(second, "owl", clips(place, "owl", (3, 1)))
    enrol(second, "owl", clips(place, "owl", (0, 4, 2)))
    same(first, second)
    remove(first, "wren")
    same(first, owls)
    did = [json.loads(line)["did"] for line in (first / "enrolment/journal.jsonl").read_text().splitlines()]
    assert did == ["enrol", "enrol", "remove"]


def test_a_change_is_whole_or_not_at_all(place, owls, monkeypatch):
    copy = shutil.copytree(owls, place / "killed")
    before = {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()}
    monkeypatch.setattr(pd.DataFrame, "to_csv", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        enrol(copy, "wren", clips(place, "wren"))
    assert {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()} == before
    assert not list(place.glob(".partial-*"))


def test_species_held_out_of_a_training_are_sound_without_the_species(place, owls):
    """A few-shot run keeps them; here a run stands for it."""
    made, rows = listed(owls), np.random.default_rng(0).random((60, 8)).astype(np.float32)
    segment_s = made.state.recipe.inference.segment_s
    other = fit_head(made.state.support, segment_s, rows).judged[0]
    assert other.without == made.fitted.judged[0].without + 60
    np.savez(place / "heldout.npz", embeddings=rows)
    embedder = made.state.frozen.embedder
    held = held_out(replace_config(embedder, place))
    np.testing.assert_array_equal(held, rows)
    assert held_out(embedder) is None


def replace_config(embedder, model: Path):
    """The same embedder, as if its model were a folder."""
    from types import SimpleNamespace

    return SimpleNamespace(config=embedder.config.model_copy(update={"model": model}), numbers=embedder.numbers)


def test_what_is_said_is_true(place, owls):
    made = listed(owls)
    said = "\n".join(sentences_of(made))
    assert "owl: 5 examples of 5 recordings; 5 of 5 found again when left out (57% to 100%" in said
    assert f"false alarms: {made.alarms.counts['owl']} an hour (0 to" in said
    assert "background: 20 seconds" in said
    none = replace(made, alarms=Alarms(0.0, {"owl": 0}))
    assert "no background was given, so false alarms are not known" in "\n".join(sentences_of(none))


def test_two_species_that_sound_alike_are_named_with_their_distance(place, owls):
    copy = shutil.copytree(owls, place / "alike")
    enrol(copy, "wren", clips(place, "wren"))
    said = "\n".join(sentences_of(enrol(copy, "rail", clips(place, "rail")), "rail"))
    assert "hard to tell apart: rail and wren, distance" in said and "owl" not in said


@pytest.mark.parametrize(
    ("examples", "said"),
    [
        (("owl_0.wav", "copy.wav"), "copy.wav and owl_0.wav are the same sound; give each example once"),
        (("silent.wav",), "silent.wav: it is silent; an example needs the call to be heard in it"),
        (("short.wav",), "short.wav: 0.010 s long; an example needs at least 0.02 s"),
        (("text.wav",), "text.wav: "),
    ],
)
def test_bad_examples_are_one_line_and_nothing_is_made(place, examples, said):
    shutil.copyfile(place / "owl_0.wav", place / "copy.wav")
    soundfile.write(place / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(place / "short.wav", np.ones(160) * np.linspace(-1, 1, 160), RATE)
    (place / "text.wav").write_text("no sound")
    with pytest.raises(EcotfError) as error:
        enrol(place / "bad", "owl", whole_clips(place / name for name in examples), new=new(place))
    assert said in str(error.value) and "\n" not in str(error.value) and not (place / "bad").exists()


def test_other_mistakes_are_one_line(place, owls, capsys):
    with pytest.raises(ConfigError, match="owls: is there already; add to it with --model"):
        enrol(owls, "owl", clips(place, "owl"), new=new(place))
    with pytest.raises(DataError, match="are the same sound"):
        enrol(owls, "owl", clips(place, "owl"))
    with pytest.raises(ConfigError, match="wren is not enrolled; enrolled are owl"):
        remove(owls, "wren")
    with pytest.raises(ConfigError, match="owl is the only species"):
        remove(owls, "owl")
    with pytest.raises(DataError, match="no row has the label 'wren'; labels that are there: owl"):
        boxes_of(read_manifest(place / "boxes.csv"), "wren")
    changed = shutil.copytree(owls, place / "changed")
    kept = changed / "model/embedder/tiny.tflite"
    kept.write_bytes(kept.read_bytes() + b"\0")
    with pytest.raises(ConfigError, match="the embedder is not the one that the head was fitted on"):
        read_enrolled(changed)


def test_the_command(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    begin = ["enrol", "--model", "tiny.tflite", "--description", "tiny.yaml", "--output", "typed"]
    assert main([*begin, "--name", "wren", *(f"wren_{n}.wav" for n in range(5)), "--background", "quiet_0.wav"]) == 0
    assert main(["enrol", "--model", "typed", "--name", "owl", "--manifest", "boxes.csv"]) == 0
    assert main(["enrol", "--model", "typed", "--list"]) == 0
    assert "owl: 3 examples of 1 recording" in capsys.readouterr().out
    assert main(["enrol", "--model", "typed", "--remove", "wren"]) == 0
    assert main(["classify", "--model", "typed", "night_1.wav", "--output", "found"]) == 0
    only_calls(pd.read_csv("found/detections.csv"))
    assert main(["report", "typed", "--output", "report.html"]) == 0
    import ecotf

    assert ecotf.enrol("typed", "rail", ["rail_0.wav", "rail_1.wav"]).classes == ("owl", "rail")
    with pytest.raises(ConfigError, match="no enrolled run; to make one with it as the embedder, say --output RUN"):
        main(["enrol", "--model", "tiny.tflite", "--name", "owl", "owl_0.wav"])
    assert not [name for name in os.listdir(place) if name.startswith(".typed")]
