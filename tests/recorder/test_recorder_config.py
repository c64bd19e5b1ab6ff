"""The config file: every key explained, every mistake said in one line; the service file is sound."""

from __future__ import annotations

import configparser
import json
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from ecotf_recorder import cli
from ecotf_recorder.config import Config, read_config
from ecotf_recorder.errors import ConfigError, RecorderError
from ecotf_recorder.facts import read_facts
from ecotf_recorder.model import DeviceModel

RECORDER = Path(__file__).parents[2] / "deploy" / "recorder"
GOOD = '[source]\ndevice = "AudioMoth"\n'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def keys(kind: type, place: str = "") -> list[tuple[str, str, object]]:
    """Section, key and default of every setting."""
    found = []
    for one in fields(kind):
        if is_dataclass(one.default_factory):
            found += keys(one.default_factory, one.name)
        else:
            found.append((place, one.name, one.default))
    return found


def test_the_example_explains_every_key_with_its_default(tmp_path):
    text = (RECORDER / "config.toml").read_text()
    assert read_config(RECORDER / "config.toml").source.device == "AudioMoth"
    sections = {"": text.split("\n[")[0]} | {part.split("]")[0]: part for part in text.split("\n[")[1:]}
    for section, key, default in keys(Config):
        line = re.search(rf"^(# )?{key} = (.+)$", sections[section], re.MULTILINE)
        assert line, f"{section}.{key} is not in the example"
        if isinstance(default, (int, float)) and default == default:
            assert json.loads(line[2]) == default, f"{section}.{key}"
    everything = re.sub(r"^# (\w+ = )", r"\1", text.replace("windows = []\n", ""), flags=re.MULTILINE)
    config = read_config(written(tmp_path, everything))  # every example works, all at once
    assert config.site.latitude == 50.6803


MISTAKES = {
    "[source]\ndevise = 'x'": "source.devise is unknown; did you mean source.device?",
    "[sources]\ndevice = 'x'": "sources is unknown; did you mean source?",
    "[source]\nzzz = 1": "source.zzz is unknown; known: kind, device,",
    "[source]\nkind = 'mic'": "source.kind = 'mic': must be one of microphone, folder, stdin, file",
    "[source]\nbuffer_s = 'long'": "source.buffer_s = 'long': must be a number",
    "[source]\nchannels = 1.5": "source.channels = 1.5: must be a whole number",
    "[source]\nchannels = true": "source.channels = True: must be a whole number",
    "[clips]\nkeep = 1": "clips.keep = 1: must be true or false",
    "[clips]\nlabels = 'x'": "clips.labels = 'x': must be a list of texts",
    "[detections]\nthreshold = 2": "detections.threshold = 2: must be from 0 to 1",
    "source = 3": "source = 3: must be a section, [source]",
    "[source]": "source.device is missing; source.kind is 'microphone'",
    "[source]\nkind = 'folder'": "source.folder is missing",
    GOOD + "channel = 2": "source.channel = 2: the microphone has source.channels = 1",
    "[source]\ndevice = 'plughw:1,0'": "plughw changes the sample rate unseen",
    GOOD + "[schedule]\nwindows = ['dusk to dawn']": "goes by the sun; set site.latitude and site.longitude",
    GOOD + "[schedule]\nwindows = ['9 to 5']": "'9' is no moment",
    GOOD + "[schedule]\nrecord_s = 60": "set both, and record_s at most every_s",
    GOOD + "[site]\nlatitude = 50": "site needs both latitude and longitude",
    GOOD + "[clips]\nlongest_s = 0.5": "clips.longest_s = 0.5 is shorter than",
    GOOD + "[rules]\nhits = 0": "rules.hits = 0: must be from 1 to 100",
    GOOD + "[rules]\nplausible = 'p.csv'": "rules.plausible = 'p.csv': must begin with /",
    GOOD + "[rules]\nplausible = '/nowhere/p.csv'": "rules.plausible: /nowhere/p.csv: cannot be read",
    GOOD + "[privacy]\nhuman_voice = 'drop'": "privacy.voice_labels is missing",
    GOOD + "[privacy]\nhuman_voice = 'cut'": "privacy.human_voice = 'cut': must be one of keep, drop",
    "state_dir = 'data'\n" + GOOD: "state_dir = 'data': must begin with /",
    "[source]\nkind = 'folder'\nfolder = 'card'": "source.folder = 'card': must begin with /",
    "not toml": "is not TOML",
}


def test_what_is_not_there_is_said(tmp_path, capsys):
    """It may come later, as a card does: the recorder starts all the same."""
    for kind, name in (("folder", "card"), ("file", "night.wav")):
        path = written(tmp_path, f'state_dir = "{tmp_path}"\n[source]\nkind = "{kind}"\n{kind} = "{tmp_path / name}"')
        assert cli.main(["check-config", "--config", str(path)]) == 1
        assert f"source.{kind} = '{tmp_path / name}' is not there" in capsys.readouterr().err
    (tmp_path / "night.wav").touch()
    assert cli.main(["check-config", "--config", str(path)]) == 0


@pytest.mark.parametrize("text", MISTAKES)
def test_every_mistake_is_one_clear_line(tmp_path, text, capsys):
    path = written(tmp_path, text)
    assert cli.main(["check-config", "--config", str(path)]) == 2
    said = capsys.readouterr().err.strip()
    assert MISTAKES[text] in said
    assert said.startswith(f"{path}: ")
    assert len(said.splitlines()) == 1


def test_all_mistakes_are_said_at_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        read_config(written(tmp_path, "[source]\ndevise = 1\nbuffer_s = 0\n[log]\nlevel = 'loud'\n"))
    assert len(str(caught.value).splitlines()) == 3


def test_no_file_and_no_model_yet(tmp_path, capsys):
    assert cli.main(["check-config", "--config", str(tmp_path / "none.toml")]) == 2
    assert "cannot be read (No such file or directory)" in capsys.readouterr().err
    path = written(tmp_path, f'state_dir = "{tmp_path}"\n{GOOD}')
    assert cli.main(["check-config", "--config", str(path)]) == 0
    assert "ok; no model yet at" in capsys.readouterr().out


def change(facts: dict, place: str, value: object) -> None:
    *way, last = place.split(".")
    for name in way:
        facts = facts[name]
    if value is None:
        del facts[last]
    else:
        facts[last] = value


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [("format", 1, "of format 1; this recorder reads format 2; export it again"),
     ("kind", "windows", "of kind 'windows'; this recorder runs kinds 'peaks' and 'segments'"),
     ("front_end.hop", None, "lacks 'hop'"), ("front_end.denoise", "magic", "denoise = 'magic'; allowed: none, mean"),
     ("front_end.chunk_samples", 5, "chunk_samples is not"), ("input", "int8", "input = 'int8'; allowed: int16"),
     ("front_end.frequencies_hz", [1.0], "228 rows and 1 frequencies_hz"),
     ("detection.scoring.at", "dusk", "allowed: peaks, grid"), ("front_end.rows", 0, "front_end.rows = 0"),
     ("sample_rate_hz", 4 * 10**12, "sample_rate_hz = 4000000000000: allowed are 100 to 4000000")],
)  # fmt: skip
def test_a_description_that_cannot_be_used(field_model, place, value, reason):
    facts = json.loads(json.dumps(field_model.description))
    change(facts, place, value)
    with pytest.raises(RecorderError, match=re.escape(reason)):
        read_facts(json.dumps(facts))


@pytest.mark.parametrize("content", [b"", b"TFL3" + b"\0" * 5000, b"PK\x03\x04 foreign"])
def test_files_that_are_no_device_models(tmp_path, content, capsys):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(RecorderError, match=r"model\.tflite: is no device model, or is cut off"):
        DeviceModel(path)
    assert cli.main(["selftest", str(path)]) == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_the_service_runs_without_rights_and_is_watched():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(RECORDER / "ecotf-recorder.service")
    service = unit["Service"]
    expected = {
        "Type": "notify", "User": "ecotf", "ProtectSystem": "strict", "PrivateTmp": "yes", "NoNewPrivileges": "yes",
        "StateDirectory": "ecotf/data", "Restart": "always", "CapabilityBoundingSet": "", "ProtectHome": "yes",
    }  # fmt: skip
    assert {key: service[key] for key in expected} == expected
    assert int(service["WatchdogSec"]) > 2 * 10
    assert int(service["TimeoutStopSec"]) > 20
