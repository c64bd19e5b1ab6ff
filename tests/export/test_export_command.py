"""The command from a run to a bundle: what is written, what it says of itself, and what is refused without a trace."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from convert_here import ConvertOnce, convert_here, converting_here

from ecotf.commands import export_model
from ecotf.commands.console import run_command
from ecotf.detection.naming import name_calls
from ecotf.errors import ConfigError
from ecotf.export.convert.converter import convert_stages
from ecotf.export.describe.container import read_model_file, with_members
from ecotf.export.describe.description import require_name
from ecotf.export.export import make_model
from ecotf.export.prove import parity
from ecotf.export.prove.file_detector import FileDetector
from ecotf.export.prove.runtime import open_interpreter
from ecotf.tasks.calls.export import CallExport

RATE = 256_000


def outcome(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit status, output and complaints of the command."""
    with pytest.raises(SystemExit) as end:
        run_command(export_model.main, [str(argument) for argument in arguments])
    said = capsys.readouterr()
    return int(end.value.code), said.out, said.err


@pytest.fixture(scope="module")
def once() -> ConvertOnce:
    """The first export of the field run is converted and tried as a user's is; of the others what is new, here."""
    return ConvertOnce(convert_stages)


@pytest.fixture(scope="module")
def bundles(field, once, tmp_path_factory) -> Path:
    """The field run as a bundle at float32 and at int8."""
    folder = tmp_path_factory.mktemp("bundles")
    with converting_here(once, make_model):
        assert export_model.main([str(field.path), "--output", str(folder / "f32"), "--embedding"]) == 0
    once.convert = convert_here
    with converting_here(once):
        arguments = ["--precision", "int8", "--input", "float32", "--licence", "CC BY 4.0"]
        assert export_model.main([str(field.path), "--output", str(folder / "int8"), *arguments]) == 0
    return folder


def members(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle / "model.tflite") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def golden(bundle: Path) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(members(bundle)["golden.npz"])) as arrays:
        return {name: arrays[name] for name in arrays.files}


def test_the_bundle_is_what_it_says(bundles):
    for bundle in bundles.iterdir():
        assert {path.name for path in bundle.iterdir()} == {"model.tflite", "bundle.json"}
        facts = json.loads((bundle / "bundle.json").read_text())
        content = (bundle / "model.tflite").read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        assert facts["id"] == digest[:12]
        assert facts["files"] == {"model.tflite": {"sha256": digest, "bytes": len(content)}}
        assert facts["sample_rate_hz"] == RATE and facts["needs"]["runtime"] == "tflite-runtime>=2.14"
        cost = json.loads(members(bundle)["model.json"])["cost"]
        assert facts["fits"] == {"machines": ["aarch64", "x86_64"], "memory_mb": round(cost["memory_mb"], 1)}
        assert ["CONV_2D", 1] in facts["needs"]["operators"]


def test_the_file_describes_itself(bundles, field):
    inside = members(bundles / "int8")
    assert set(inside) == {"model.json", "labels.txt", "recipe.yaml", "LICENCE.txt", "parity.json", "golden.npz"}
    assert inside["labels.txt"].decode().splitlines() == list(field.detector.species)
    assert inside["recipe.yaml"] == (field.path / "recipe.yaml").read_bytes()
    assert inside["LICENCE.txt"] == b"CC BY 4.0\n"
    values = json.loads(inside["model.json"])
    assert values["format"] == 2 and values["kind"] == "peaks" and values["input"] == "float32"
    assert values["precision"] == "int8" and values["thresholds"] == field.thresholds
    assert sorted(Path(name).name for name in values["calibration"]["recordings"]) == ["night_000.wav", "night_001.wav"]
    assert values["front_end"]["chunk_samples"] == 255 * 128 + 512 and values["front_end"]["rows"] == 228
    assert values["patches"]["columns"] == 24 and values["patches"]["bands"] == 114
    assert values["run"] == field.path.name and len(values["run_checksum"]) == 64
    assert values["multiply_adds"]["score"] > 10_000
    whole = json.loads(members(bundles / "f32")["model.json"])
    assert whole["calibration"] is None and 0 < whole["cost"]["memory_mb"] < 200


def test_a_flatbuffer_can_be_checked_before_a_runtime_sees_it(bundles):
    for bundle in bundles.iterdir():
        facts = json.loads(members(bundle)["model.json"])["flatbuffer"]
        content = (bundle / "model.tflite").read_bytes()[: facts["bytes"]]
        assert hashlib.sha256(content).hexdigest() == facts["sha256"]


def test_the_fast_kernels_take_every_signature(bundles):
    """They take one subgraph after the other, until one holds a tensor of unknown size."""
    interpreter = open_interpreter(bundles / "f32" / "model.tflite")
    assert interpreter.get_signature_list()["serving_default"]["inputs"] == ["sound"]
    assert "DELEGATE" in [operator["op_name"] for operator in interpreter._get_ops_details()]
    assert not [tensor["name"] for tensor in interpreter.get_tensor_details() if -1 in tensor["shape_signature"]]


def test_float32_is_the_run(bundles):
    report = json.loads(members(bundles / "f32")["parity.json"])
    assert report["compared_on"] == "test recordings of the run"
    assert report["tensorflow_loaded"] is False and report["runtime"].startswith("tflite-runtime 2.")
    assert report["front_end"]["max_within_40_db"] < 1e-3
    assert report["network"]["max"] < 1e-5 and report["network"]["agreement"] == 1.0
    assert report["trees"]["exact_margins"] == 1.0 and report["trees"]["max"] <= 3e-7
    assert report["serving_default"]["n"] > 0 and report["serving_default"]["max"] < 1e-5
    found = report["detections"]
    assert found["same_detections"] == 1.0 and found["n_detections"][0] == found["n_detections"][1] > 0
    assert report["failures"] == []


def test_int8_changes_the_network_alone(bundles):
    report = json.loads(members(bundles / "int8")["parity.json"])
    assert report["front_end"]["max_within_40_db"] < 1e-3
    assert 1e-4 < report["network"]["max"] <= report["tolerances"]["network_max"]
    assert report["trees"]["exact_margins"] == 1.0 and report["trees"]["max"] <= 3e-7


@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_the_golden_outputs_are_those_of_the_file(bundles, field, precision):
    bundle = bundles / precision
    kept, values = golden(bundle), json.loads(members(bundle)["model.json"])
    interpreter = open_interpreter(bundle / "model.tflite")
    for signature in ("spectrogram", "score", "serving_default"):
        runner = interpreter.get_signature_runner(signature)
        names = list(runner.get_input_details())
        for at in range(len(kept[f"{signature}.{names[0]}"])):
            given = runner(**{name: kept[f"{signature}.{name}"][at : at + 1] for name in names})
            for name, output in given.items():
                np.testing.assert_allclose(output[0], kept[f"{signature}.{name}"][at], atol=1e-5)
    samples = kept["sound"] if values["input"] == "int16" else kept["sound"] / np.float32(32768)
    detector = FileDetector(interpreter, values, field.recipe.front_end, field.recipe.patches)
    found = name_calls(detector.candidates(samples), values["thresholds"])
    assert len(found) > 0
    assert found["label"].tolist() == kept["detections.label"].tolist()
    for column in ("start_s", "end_s", "low_hz", "high_hz", "score"):
        np.testing.assert_allclose(found[column], kept[f"detections.{column}"], atol=1e-6)
    if precision == "f32":
        np.testing.assert_allclose(kept["detections.score"], kept["desktop.score"], atol=1e-5)
        np.testing.assert_array_equal(kept["detections.start_s"], kept["desktop.start_s"])


def test_inspect_shows_everything_before_anything_is_flashed(bundles, capsys):
    status, out, _ = outcome(capsys, "--inspect", bundles / "int8" / "model.tflite")
    assert status == 0
    for words in ("bats/field", "float32 at 256000 Hz", "CC BY 4.0", "serving_default", "CONV_2D v3", "Pi Zero 2 W",
                  "estimate", "headroom", "call 0.50", "multiply-adds", "for 10 s of sound"):  # fmt: skip
        assert words in out.replace("\n", " "), words


def test_inspect_of_what_ecotf_did_not_make(bundles, tmp_path, capsys):
    bare = tmp_path / "bare.tflite"
    flatbuffer = read_model_file(bundles / "f32" / "model.tflite").flatbuffer
    bare.write_bytes(flatbuffer.replace(b"ecotf", b"other"))
    status, out, _ = outcome(capsys, "--inspect", bare)
    assert status == 0 and "without a description" in out and "CONV_2D" in out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda whole: whole[: len(whole) - 30], "cut off, its description is missing; copy it again"),
        (lambda whole: whole[:20_000], "damaged or cut off; copy it again"),
        (lambda whole: b"", "not a TFLite model"),
        (lambda whole: b"RIFF" + whole[8:], "not a TFLite model"),
        (lambda whole: with_members(b"", {"model.json": "{"}), "its description is damaged"),
    ],
)
def test_inspect_of_a_damaged_file(bundles, tmp_path, capsys, content, said):
    path = tmp_path / "model.tflite"
    path.write_bytes(content((bundles / "f32" / "model.tflite").read_bytes()))
    status, _, err = outcome(capsys, "--inspect", path)
    assert status == 2 and said in err.replace("\n", " ") and "Traceback" not in err


def test_a_description_that_would_fill_the_memory_is_not_unpacked(bundles, tmp_path, capsys):
    path = tmp_path / "bomb.tflite"
    flatbuffer = read_model_file(bundles / "f32" / "model.tflite").flatbuffer
    path.write_bytes(with_members(flatbuffer, {"model.json": b" " * (65 << 20)}))
    assert path.stat().st_size < 2_000_000
    status, _, err = outcome(capsys, "--inspect", path)
    assert status == 2 and "nothing was unpacked" in err.replace("\n", " ")
    path.write_bytes(with_members(flatbuffer, {str(number): b"" for number in range(101)}))
    status, _, err = outcome(capsys, "--inspect", path)
    assert status == 2 and "in 101 files" in err.replace("\n", " ")


@pytest.mark.parametrize("name", ["a\nb", "", "*/ int x;", "\x1b[31mred", "/x", "x" * 101])
def test_a_name_that_is_none(name):
    with pytest.raises(ConfigError, match="cannot be the name of a recipe"):
        require_name(name)
    require_name("own/Fledermäuse 2 (north)")


def test_a_file_that_is_too_far_from_its_run_is_not_written(field, bundles, once, tmp_path, capsys, monkeypatch):
    strict = parity.TOLERANCES["f32"].model_copy(update={"network_rms": 1e-12})
    monkeypatch.setitem(parity.TOLERANCES, "f32", strict)
    with converting_here(once):
        status, _, err = outcome(capsys, field.path, "--output", tmp_path / "bundle", "--seconds", "1")
    assert status == 1 and not list(tmp_path.iterdir())
    assert err.startswith("error: nothing is written, f32 is too far from the run: the network's rms error is")
    assert len(err.strip().splitlines()) == 1


def lacking_thresholds(run: Path) -> None:
    (run / "thresholds.json").unlink()


def lacking_one_threshold(run: Path) -> None:
    facts = json.loads((run / "thresholds.json").read_text())
    del facts["thresholds"]["call"]
    (run / "thresholds.json").write_text(json.dumps(facts))


def nothing(run: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("damage", "arguments", "said"),
    [
        (lacking_thresholds, (), "lacks thresholds.json"),
        (lacking_one_threshold, (), "thresholds.json has no threshold for 'call'"),
        (nothing, ("--rate", "96000"), "needs a sample rate of at least 244000 Hz; this is 96000 Hz"),
        (nothing, ("--rate", "0"), "--rate 0: a sample rate in hertz is above 0"),
        (nothing, ("--board", "pi-6"), "known boards are pi-zero-2w"),
        (nothing, ("--precision", "int8"), "calibrated with the run's training recordings"),
        (nothing, ("--profile", "birdnet-go"), "BirdNET-Go gives a model 3 s of sound at 48 kHz"),
        (nothing, ("--seconds", "0"), "--seconds 0: must be above 0"),
        (nothing, ("--licence", "gone.txt"), "--licence gone.txt: cannot be read"),
        (nothing, ("--data", "gone.csv"), "gone.csv"),
    ],
)
def test_what_cannot_be_exported_is_one_line(field, tmp_path, capsys, damage, arguments, said):
    run = Path(shutil.copytree(field.path, tmp_path / "far/away/from/all/of/it/run"))
    damage(run)
    status, _, err = outcome(capsys, run, "--output", tmp_path / "bundle", *arguments)
    assert status == 2 and said in err.replace("\n", " "), err
    assert len(err.strip().splitlines()) == 1 and not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("arguments", [(), ("RUN",), ("RUN", "--inspect", "x.tflite"), ("--output", "bundle")])
def test_a_run_and_an_output_or_a_file(arguments):
    with pytest.raises(ConfigError):
        export_model.main(arguments)


def test_a_rate_that_no_recording_tells(field, make_run):
    usual = export_model.usual_rate(CallExport(make_run("bats/cnn8")), None)
    assert usual == 384_000
    assert export_model.usual_rate(CallExport(field), None) == RATE
