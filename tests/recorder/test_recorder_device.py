"""The recorder with a real model file, as a user runs it: its commands, in processes of their own."""

from __future__ import annotations

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.audio.recording import open_recording
from ecotf.detection.naming import name_calls
from ecotf.detection.recordings import candidates_of
from ecotf.pipelines.spectrogram_store import compute_spectrogram

RECORDER = Path(__file__).parents[2] / "deploy" / "recorder"
RATE = 256_000
# All that a recorder has besides the standard library, and the standard library's own parts of them.
ALLOWED = ("ecotf_recorder", "numpy", "tflite_runtime", "ai_edge_litert")
# Refuses whatever else is installed, as a board would.
ALONE = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in {ALLOWED!r}:
            raise ModuleNotFoundError(f"a recorder has no {{name}}", name=top)
sys.meta_path.insert(0, Refuse())
sys.path.insert(0, {str(RECORDER)!r})
from ecotf_recorder.__main__ import start
"""


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-c", ALONE + "sys.exit(start())", *map(str, arguments)]


def run(*arguments: str | Path, **options) -> subprocess.CompletedProcess:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, timeout=300, **options)


@pytest.fixture(scope="module")
def night(tmp_path_factory, sound_of) -> Path:
    folder = tmp_path_factory.mktemp("night")
    for number in range(3):
        soundfile.write(folder / f"{number}.wav", sound_of(number), RATE, subtype="PCM_16")
    soundfile.write(folder / "fine.wav", sound_of(4) / 32768, RATE, subtype="FLOAT")
    soundfile.write(folder / "stereo.wav", np.stack([sound_of(5), sound_of(6)], axis=1), RATE, subtype="PCM_16")
    return folder


def desktop(model_run, path: Path, channel="mix") -> pd.DataFrame:
    stored = compute_spectrogram(open_recording(path), model_run.recipe.front_end, channel=channel)
    found = candidates_of(stored, model_run.detector, model_run.recipe.detection, model_run.recipe.peaks)
    return name_calls(found, model_run.thresholds)


def assert_same(mine: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert mine["label"].tolist() == expected["label"].tolist()
    least = {"start_s": 1e-6, "end_s": 1e-6, "low_hz": 0.1, "high_hz": 0.1, "score": 1e-3}
    for column, tolerance in least.items():
        np.testing.assert_allclose(mine[column], expected[column], rtol=0, atol=1.01 * tolerance)


def test_classify_gives_the_desktops_detections(device_model, field_run, night, tmp_path):
    names = ["0.wav", "1.wav", "2.wav", "fine.wav"]
    done = run("classify", device_model, *(night / name for name in names), "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "recordings: 4 done" in done.stdout
    found = pd.read_csv(tmp_path / "detections.csv")
    for name in names:
        mine = found[found["recording"] == str(night / name)].reset_index(drop=True)
        expected = desktop(field_run, night / name)
        assert len(mine) > 10
        assert_same(mine, expected)
    ledger = pd.read_csv(tmp_path / "ledger.csv")
    assert ledger["status"].tolist() == ["done"] * 4
    assert ledger["duration_s"].tolist() == [2.3] * 4


def test_a_channel(device_model, field_run, night, tmp_path):
    done = run("classify", device_model, night / "stereo.wav", "--channel", "2", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    soundfile.write(tmp_path / "right.wav", soundfile.read(night / "stereo.wav", dtype="int16")[0][:, 1], RATE)
    assert_same(pd.read_csv(tmp_path / "detections.csv"), desktop(field_run, tmp_path / "right.wav"))


def test_bad_files_do_not_stop_the_others(device_model, night, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    soundfile.write(tmp_path / "slow.wav", np.zeros(48_000, np.int16), 48_000)
    files = [tmp_path / "bad.wav", tmp_path / "slow.wav", tmp_path / "none.wav", night / "0.wav"]
    done = run("classify", device_model, *files, "--output", tmp_path / "out")
    assert done.returncode == 1
    with open(tmp_path / "out" / "ledger.csv", newline="") as file:
        ledger = list(csv.DictReader(file))
    assert [row["status"] for row in ledger] == ["unsupported", "unsupported", "failed", "done"]
    assert ledger[1]["reason"].startswith(
        "recorded at 48000 Hz, the model is for 256000 Hz; one of calls is exported with --rate 48000"
    )


def test_selftest_agrees_and_notices_damage(device_model, tmp_path):
    done = run("selftest", device_model)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ok: ")
    assert len(done.stdout.strip().splitlines()) == 1
    content = device_model.read_bytes()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(content[: len(content) // 2])
    done = run("selftest", cut)
    assert done.returncode == 1
    assert "is no device model, or is cut off" in done.stderr


def test_selftest_notices_other_numbers(device_model, monkeypatch):
    from ecotf_recorder.errors import ModelError
    from ecotf_recorder.model import DeviceModel
    from ecotf_recorder.selftest import selftest

    model = DeviceModel(device_model)
    real = model.run
    for output, off, reason in (
        ("frames", 1, "the spectrogram is off by 1"),
        ("scores", 0.01, r"a score is off by 0\.01"),
    ):

        def wrong(*given, output=output, off=off):
            return {name: values + off * (name == output) for name, values in real(*given).items()}

        with monkeypatch.context() as patch, pytest.raises(ModelError, match=reason):
            patch.setattr(model, "run", wrong)
            selftest(model)
    assert selftest(model).startswith("ok: ")


def test_a_description_that_would_fill_the_memory_is_not_unpacked(tmp_path):
    import zipfile

    from ecotf_recorder.errors import ModelError
    from ecotf_recorder.model import member
    from ecotf_recorder.selftest import _arrays

    path = tmp_path / "bomb.tflite"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.json", b" " * (17 << 20))
    with pytest.raises(ModelError, match=r"its model\.json would be 17,825,792 bytes"):
        member(path, "model.json")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sound.npy", b" " * (65 << 20))
    with pytest.raises(ValueError, match="allowed"):
        _arrays(path.read_bytes())


def configured(folder: Path, device_model: Path, source: str, more: str = "") -> Path:
    (folder / "state" / "current").mkdir(parents=True)
    (folder / "state" / "current" / "model.tflite").write_bytes(device_model.read_bytes())
    path = folder / "config.toml"
    path.write_text(
        f'state_dir = "{folder / "state"}"\nhealth_s = 0.2\n[source]\n{source}\n[clock]\ntrusted = true\n{more}\n'
    )
    return path


def wait_for(what, seconds: float = 120):
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


def health(folder: Path) -> dict:
    try:
        return json.loads((folder / "state" / "health.json").read_text())
    except FileNotFoundError:
        return {}


def test_sound_on_standard_input_and_a_stop(device_model, field_run, night, tmp_path):
    """SIGTERM: what has come is scored and written down; memory stays below 100 MB."""
    sound = soundfile.read(night / "0.wav", dtype="int16")[0]
    config = configured(tmp_path, device_model, 'kind = "stdin"')
    process = subprocess.Popen(command("run", "--config", config), stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(sound.astype("<i2").tobytes())
    process.stdin.flush()
    wait_for(lambda: health(tmp_path).get("seconds", 0) > 2.2)
    status = Path(f"/proc/{process.pid}/status").read_text()
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 0, said
    found = pd.read_csv(tmp_path / "state" / "detections.csv")
    assert_same(found, desktop(field_run, night / "0.wav"))
    assert found["recording"].nunique() == 1
    peak_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak_kb < 90_000  # the hybrid takes some 8 MB more than this tiny model
    facts = health(tmp_path)
    assert (facts["state"], facts["stopped"], facts["detections"]) == ("idle", True, len(found))
    assert facts["release"] == run("selftest", device_model).stdout.split()[-1]
    assert "listening: 20" in (tmp_path / "state" / "recorder.log").read_text()
    assert list((tmp_path / "state" / "clips").rglob("*.wav"))


def test_a_folder_survives_being_killed(device_model, field_run, night, tmp_path):
    """Killed in mid-file, then started again: every file once, nothing twice."""
    config = configured(tmp_path, device_model, f'kind = "folder"\nfolder = "{night}"\nsettle_s = 0.1')
    database = tmp_path / "state" / "detections.sqlite"

    def settled() -> int:
        if not database.exists():
            return 0
        try:
            with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as file:
                return file.execute("SELECT COUNT(*) FROM files").fetchone()[0]
        except sqlite3.OperationalError:
            return 0

    for least in (1, 3):
        process = subprocess.Popen(command("run", "--config", config), stderr=subprocess.DEVNULL)
        wait_for(lambda least=least: settled() >= least)
        process.kill()
        process.wait()
        for name, line in (("detections", b"2.wav,0.123,0.12"), ("files", b"2.wav,done,,")):  # was being written
            with open(tmp_path / "state" / f"{name}.csv", "ab") as file:
                file.write(line)
    process = subprocess.Popen(command("run", "--config", config), stderr=subprocess.DEVNULL)
    wait_for(lambda: settled() == 5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    found = pd.read_csv(tmp_path / "state" / "detections.csv")
    for name in ("0.wav", "1.wav", "2.wav", "fine.wav"):
        assert_same(found[found["recording"] == name].reset_index(drop=True), desktop(field_run, night / name))
    files = pd.read_csv(tmp_path / "state" / "files.csv")
    assert files["n_detections"].tolist() == [(found["recording"] == name).sum() for name in files["recording"]]
    assert sorted(files["recording"]) == sorted(path.name for path in night.iterdir())
    rows = sqlite3.connect(database).execute("SELECT recording, start_s, label FROM detections ORDER BY id").fetchall()
    assert rows == list(found[["recording", "start_s", "label"]].itertuples(index=False, name=None))


def test_a_microphone_that_is_not_there_is_said(device_model, tmp_path):
    config = configured(tmp_path, device_model, 'device = "AudioMoth"')
    script = tmp_path / "arecord"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    process = subprocess.Popen(command("run", "--config", config), stderr=subprocess.PIPE, env=environment)
    wait_for(lambda: "plugged in" in health(tmp_path).get("error", ""))
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 0
    assert "no microphone called 'AudioMoth' is plugged in; present: none" in said
    assert health(tmp_path)["state"] == "idle"


def test_a_model_that_cannot_be_used_is_one_line(device_model, tmp_path):
    config = configured(tmp_path, device_model, 'kind = "stdin"')
    (tmp_path / "state" / "current" / "model.tflite").write_bytes(b"no model")
    done = run("run", "--config", config)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert health(tmp_path)["state"] == "failed"
    assert "is no device model" in health(tmp_path)["error"]
