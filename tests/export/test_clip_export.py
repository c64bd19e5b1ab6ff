"""Runs of clips as one file: every precision, what it says of itself, and what is refused."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from convert_here import ConvertOnce, convert_here, make_here
from scipy.special import expit

from ecotf.commands import export_model
from ecotf.commands.console import run_command
from ecotf.commands.model_tables import show_model, show_parity
from ecotf.detection.segments import score_windows
from ecotf.errors import ConfigError
from ecotf.export.convert.chain import chain_stages
from ecotf.export.convert.flatbuffer import is_constant, model_bytes, read_model, type_of
from ecotf.export.describe.container import read_model_file
from ecotf.export.export import ExportJob, ParityError, make_model
from ecotf.export.exportable import plan_of
from ecotf.export.prove.runtime import open_interpreter
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.birdnet_go import scores_of
from ecotf.tasks.clips.export import ClipExport
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.clips.run import ClipsRun, load_clip_run

RATE = 32_000
CLASSES = ("007", "owl", "wren")
TINY = (
    "network.backbone={name: small, stem: 4, filters: [4, 4, 8], blocks: [1, 1, 1], expand: 1, features: 8}",
    "clips.seconds=2.0", "inference.segment_s=1.0",
)  # fmt: skip
HEADS = {
    "sed": ("network.head={name: sed}", "inference.score=centre_frames", "inference.shift_frames=1"),
    "gem": ("network.head={name: gem, samples: 2}", "network.parts=2",
            *(f"stages.{n}.loss.frames_share=0" for n in (0, 1))),
    "softmax": ("inference.score=centre_frames", "inference.shift_frames=1", "network.head={name: sed}"),
}  # fmt: skip


@pytest.fixture(scope="session")
def make_clip_run(untrained_clip_run) -> Callable[..., ClipsRun]:
    """An untrained run in a folder."""

    def make(folder: Path, *overrides: str, manifest: Path | None = None) -> ClipsRun:
        return load_clip_run(untrained_clip_run(folder, CLASSES, [*TINY, *overrides], manifest=manifest))

    return make


def sound_of(seed: int, seconds: float, rate: int = RATE) -> np.ndarray:
    """Tones that come and go in noise, int16 ``[n]``."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    level = np.clip(np.sin(2 * np.pi * rng.uniform(0.2, 0.9) * time), 0, 1) ** 2
    tone = level * np.sin(2 * np.pi * rng.uniform(600, 5000) * time)
    return np.rint(32767 * (0.2 * tone + 0.01 * rng.standard_normal(len(time)))).astype(np.int16)


@pytest.fixture(scope="session")
def clip_sounds(tmp_path_factory) -> Path:
    """The manifest of six recordings, two of each split."""
    folder = tmp_path_factory.mktemp("clip_sounds")
    rows = []
    for number in range(6):
        soundfile.write(folder / f"{number}.wav", sound_of(number, 3.4), RATE, subtype="PCM_16")
        label, split = CLASSES[number % 3], ("train", "valid", "test")[number // 2]
        rows.append({"recording": f"{number}.wav", "start_s": 0.2, "end_s": 2.1, "label": label, "split": split})
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


@pytest.fixture(scope="session")
def clip_run(make_clip_run, clip_sounds, tmp_path_factory) -> ClipsRun:
    return make_clip_run(tmp_path_factory.mktemp("clip_runs"), *HEADS["sed"], manifest=clip_sounds)


@pytest.fixture(scope="module")
def here() -> ConvertOnce:
    """Converts stages of `clip_run` in this process."""
    return ConvertOnce()


def in_the_runtime(run: ClipsRun, settings: ExportSettings, sounds: np.ndarray) -> dict[str, np.ndarray]:
    plan = plan_of(ClipExport(run), settings)
    converted = convert_here(plan.stages, settings.precision, Path(), None)
    from tflite_runtime.interpreter import Interpreter

    interpreter = Interpreter(model_content=chain_stages(converted, plan.signatures), num_threads=1)
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
    rows = [runner(sound=sound[None]) for sound in sounds]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize("precision", ["f32", "dynamic", "int8"])
def test_every_precision(precision, clip_run, here, tmp_path, capsys):
    settings = ExportSettings(precision=precision, rate=RATE, embedding=True)
    make = make_model if precision == "f32" else make_here
    made = make(ClipExport(clip_run), settings, ExportJob(seconds=7), lambda _: None, here)
    report, values = made.parity, made.values
    assert report["compared_on"] == "test recordings of the run" and report["failures"] == []
    assert report["front_end"]["max_within_40_db"] < 1e-3
    limit = {"f32": 1e-5, "dynamic": 0.1, "int8": 0.3}[precision]
    assert report["network"]["max"] < limit and report["serving_default"]["n"] == 8
    assert report["detections"]["segments_with_truth"] > 0
    assert values["kind"] == "segments" and values["species"] == list(CLASSES) and values["thresholds"]["007"] == 0.5
    window = values["window"]
    assert (window["samples"], window["segment_samples"], window["margin_samples"]) == (2 * RATE, RATE, RATE // 2)
    assert values["cost"]["million_instructions_per_s"] > 0 and values["multiply_adds"]["serving_default"] > 1000
    assert set(values["stage_multiply_adds"]) == {"image", "backbone", "pool", "classes", "segments"}
    assert sum(values["stage_multiply_adds"].values()) == values["multiply_adds"]["serving_default"]
    path = tmp_path / "model.tflite"
    path.write_bytes(made.model)
    show_model(read_model_file(path))
    work = values["multiply_adds"]["serving_default"] * 10 / 1e9
    assert f"work: {work:.3f} G multiply-adds for 10 s of sound (image " in " ".join(capsys.readouterr().out.split())
    interpreter = open_interpreter(path)
    signature = interpreter.get_signature_list()["serving_default"]
    assert signature["inputs"] == ["sound"]
    assert set(signature["outputs"]) == {"scores", "frames", "embedding"}
    assert not [tensor["name"] for tensor in interpreter.get_tensor_details() if -1 in tensor["shape_signature"]]
    with zipfile.ZipFile(path) as archive:
        assert archive.read("labels.txt").decode().split() == list(CLASSES)
        loaded = json.loads(archive.read("parity.json"))["tensorflow_loaded"]
    if precision == "f32":
        assert loaded is False
        assert report["detections"]["same_detections"] == 1.0
        show_parity(report)
        assert "above their thresholds: " in " ".join(capsys.readouterr().out.split())
        show_parity({**report, "detections": {**report["detections"], "n_detections": [0, 0]}})
        said = " ".join(capsys.readouterr().out.split())
        assert "so none is compared; --data MANIFEST" in said and "are the same, label and box" not in said
        assert "DELEGATE" in [operator["op_name"] for operator in interpreter._get_ops_details()]
    if precision == "int8":
        names = sorted(Path(name).name for name in values["calibration"]["recordings"])
        assert names == ["0.wav", "1.wav"]
        assert np.int8 in {tensor["dtype"] for tensor in interpreter.get_tensor_details()}


@pytest.mark.parametrize("name", ["gem", "softmax"])  # tests/contracts/test_export.py has every head
def test_parts_and_one_class_of_several_give_what_the_desktop_gives(name, make_clip_run, tmp_path, monkeypatch):
    if name == "softmax":
        monkeypatch.setattr(ClipRecipe, "activation", property(lambda _: "softmax"))
    run = make_clip_run(tmp_path, *HEADS[name])
    assert run.model.activation == ("softmax" if name == "softmax" else "sigmoid")
    settings = ExportSettings(rate=RATE, embedding=True)
    sounds = np.stack([sound_of(seed, 2.0) for seed in range(4)])
    given = in_the_runtime(run, settings, sounds)
    rows, frames, _ = score_windows(run.model, run.recipe.inference, sounds / np.float32(32768))
    np.testing.assert_allclose(given["scores"], expit(rows), atol=2e-5)
    if frames is not None:
        np.testing.assert_allclose(given["frames"], expit(frames), atol=2e-5)
    assert np.ptp(given["scores"]) > 0.01 and given["embedding"].shape[0] == 4


def test_three_seconds_at_48_khz_run_in_birdnet_go(make_clip_run, tmp_path):
    overrides = ("sample_rate=48000", "clips.seconds=3.0", "inference.segment_s=3.0")
    run = make_clip_run(tmp_path, *overrides)
    settings = ExportSettings(rate=48_000, sound="float32", profile="birdnet-go")
    sounds = np.stack([sound_of(seed, 3.0, 48_000) for seed in range(3)]) / np.float32(32768)
    given = in_the_runtime(run, settings, sounds)
    assert list(given) == ["logits"] and given["logits"].shape == (3, len(CLASSES))
    rows = score_windows(run.model, run.recipe.inference, sounds)[0]
    np.testing.assert_allclose(scores_of(given["logits"]), expit(rows), atol=2e-5)


def test_a_file_that_is_too_far_from_its_run_is_refused(clip_run, here):
    """Its last weights are halved behind the converter's back."""
    settings, job = ExportSettings(rate=RATE, embedding=True), ExportJob(seconds=3)
    plan = plan_of(ClipExport(clip_run), settings)
    whole = here(plan.stages, "f32", Path(), None)["classes"]
    (key,) = (key for key in here.made if key[:2] == ("f32", "classes"))
    model = read_model(whole, "classes")
    for tensor in model.subgraphs[0].tensors:
        if is_constant(model, tensor) and type_of(tensor) == "FLOAT32":
            buffer = model.buffers[tensor.buffer]
            values = 0.5 * np.frombuffer(bytes(buffer.data), np.float32)
            buffer.data = np.frombuffer(values.astype(np.float32).tobytes(), np.uint8)
    here.made[key] = model_bytes(model)
    try:
        with pytest.raises(ParityError, match="f32 is too far from the run: the network's greatest error"):
            make_here(ClipExport(clip_run), settings, job, convert=here)
    finally:
        here.made[key] = whole


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rate", "48000"), "this run listens at 32000 Hz; leave --rate out"),
        (("--target", "c", "--precision", "int8"), "has no form on a microcontroller yet"),
        (
            ("--profile", "birdnet-go"),
            "BirdNET-Go gives a model 3 s of sound at 48 kHz; this one takes 2 s at 32000 Hz",
        ),
    ],
)
def test_what_a_run_of_clips_cannot_be(clip_run, tmp_path, capsys, arguments, said):
    with pytest.raises(SystemExit) as end:
        run_command(export_model.main, [str(clip_run.path), "--output", str(tmp_path / "bundle"), *arguments])
    err = capsys.readouterr().err
    assert end.value.code == 2 and said in err.replace("\n", " "), err
    assert not (tmp_path / "bundle").exists()


def test_int8_needs_training_recordings(make_clip_run, tmp_path):
    run = make_clip_run(tmp_path)
    with pytest.raises(ConfigError, match="calibrated with the run's training recordings"):
        make_model(ClipExport(run), ExportSettings(rate=RATE, precision="int8"), ExportJob(), lambda _: None)
