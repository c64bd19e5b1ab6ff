"""Settings of recorders are changed and their logs read from here; what does not work is undone there."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest
from crate import Crate
from ecotf_recorder.releases.bundle import ReleaseError
from ecotf_recorder.releases.config_text import change_text, settings_in
from hypothesis import given, settings
from hypothesis import strategies as st

EXAMPLE = (Path(__file__).parents[2] / "deploy" / "recorder" / "config.toml").read_text()
KEYS = ("rules.hits", "page_s", "site.name", "clips.labels", "schedule.windows", "source.kind", "new.key", "log.level")
TYPED = {"3": 3, "true": True, '["a", "b"]': ["a", "b"], "[]": [], "-0.5": -0.5, '"Oak 14"': "Oak 14", "14": 14}
VALUES = (*TYPED, "Oak 14", "dusk to dawn", "x = 1", '"""', "[rules]", "'")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from((*VALUES, None))), max_size=6))
def test_a_change_leaves_all_else_as_it_was(changes):
    text = EXAMPLE
    for key, value in changes:
        before, text = text, change_text(text, {key: value})
        old, new = dict(settings_in(before)), dict(settings_in(text))
        assert {k: v for k, v in old.items() if k != key} == {k: v for k, v in new.items() if k != key}
        assert (key in new) == (value is not None)
    remarks = [line for line in text.splitlines() if line.startswith("#")]
    assert remarks == [line for line in EXAMPLE.splitlines() if line.startswith("#")]
    for key, value in dict(changes).items():
        if value is not None:
            section, _, name = key.rpartition(".")
            found = tomllib.loads(text)[section][name] if section else tomllib.loads(text)[name]
            texts = key in ("site.name", "source.kind", "log.level") and value != '"Oak 14"'
            assert found == (value if texts else TYPED.get(value, value))


@pytest.mark.parametrize(
    ("text", "key", "value", "reason"),
    [("", "rules.hits\n[x]", "1", "is no setting"), ("", "a.b.c", "1", "is no setting"),
     ("a = [", "a", "1", "is not TOML"),
     ("rules = 3", "rules.hits", "1", "rules is no section"), ("", "site.name", "a\nb", "must be one line"),
     ("rules = {hits = 2}", "rules.hits", "3", "cannot be changed in part"),
     ('a = """\n[rules]\n"""\n', "rules.hits", "3", "cannot be changed in part")],
)  # fmt: skip
def test_what_cannot_be_changed_is_said(text, key, value, reason):
    with pytest.raises(ReleaseError, match=reason):
        change_text(text, {key: value})


def test_values_over_several_lines_are_replaced_whole():
    text = 'labels = [\n  "a",  # first\n  "b",\n]\nx = 1\n'
    assert change_text(text, {"labels": '["c"]'}) == 'labels = ["c"]\nx = 1\n'


@pytest.fixture
def oak(make_device, make_bundle, monkeypatch):
    """A recorder that runs; its service does not start with hits = 99."""
    recorder = make_device("oak")
    crate = Crate()
    crate.roots["pi@oak"] = recorder.root
    for place in ("flashing", "showing"):
        monkeypatch.setattr(f"deploy.flash.{place}.connect", crate.connect)
    bundle = make_bundle()
    recorder.install(bundle)
    recorder.config = recorder.root / "etc/ecotf/config.toml"
    text = EXAMPLE.replace("# state_dir =", f'state_dir = "{recorder.state}/data"\nmodel = "none"\n# state_dir =')
    recorder.config.write_text(text)
    works = " ".join(recorder._service("restart"))
    script = f"if grep -q '^hits = 99' {recorder.config}; then echo 'Job failed.' >&2; exit 1; fi; {works}"
    place = recorder.root / "etc/ecotf/releases.toml"
    lines = [line for line in place.read_text().splitlines() if not line.startswith("restart")]
    lines.append(f'data_dir = "{recorder.state.relative_to(recorder.root)}/data"')
    place.write_text("\n".join([*lines, f"restart = {json.dumps(['sh', '-c', script])}"]))
    return recorder


def test_settings_are_changed_from_here_and_undone_there(oak, run_flash_device, tmp_path):
    words = ["config", "--device", "pi@oak", "--no-sudo", "--root", oak.root]
    before, pid = oak.config.read_text(), (oak.state.parent / "fake.pid").read_text()
    status, output, _ = run_flash_device(*words, "--set", "rules.hits=3", "--set", "site.name=Oak 14")
    assert (status, "1 of 1 recorders well" in output) == (0, True), output
    said = tomllib.loads(oak.config.read_text())
    assert (said["rules"]["hits"], said["site"]["name"]) == (3, "Oak 14")
    assert oak.config.with_name("config.toml.old").read_text() == before
    assert (oak.state.parent / "fake.pid").read_text() != pid and oak.running() == oak.pointed("current")
    good = oak.config.read_text()
    for change, reason in (
        ("rules.hit=3", "rules.hit is unknown; did you mean rules.hits?"),
        ("rules.hits=99", "the recorder's service did not start: Job failed.; the old config is taken again"),
    ):
        status, output, _ = run_flash_device(*words, "--set", change)
        assert (status, oak.config.read_text()) == (1, good)
        assert reason in output and ("rolled-back" if "99" in change else "refused") in output
        assert oak.running() == oak.pointed("current")
    status, output, _ = run_flash_device(*words, "--unset", "rules.hits", "--unset", "site.name")
    assert status == 0 and oak.config.read_text() == before
    last = json.loads((oak.releases / "last.json").read_text())
    assert (last["operation"], last["status"]) == ("config", "done")


def test_a_table_of_plausible_labels_goes_along(oak, run_flash_device, tmp_path):
    words = ["config", "--device", "pi@oak", "--no-sudo", "--root", oak.root, "--plausible", tmp_path / "mine.csv"]
    (tmp_path / "mine.csv").write_text("label,first_month,last_month\nMyotis myotis,3,11\n")
    status, output, _ = run_flash_device(*words)
    assert status == 0, output
    (kept,) = oak.config.parent.glob("plausible-*.csv")
    assert tomllib.loads(oak.config.read_text())["rules"]["plausible"] == str(kept)
    assert kept.read_bytes() == (tmp_path / "mine.csv").read_bytes()
    (tmp_path / "mine.csv").write_text("label,first_month,last_month\nMyotis myotis,3-Nov,\n")
    status, output, _ = run_flash_device(*words)
    assert status == 1 and "line 2: '3-Nov' is no month" in output
    status, output, _ = run_flash_device(*words[:-2])
    assert status == 0 and "rules.plausible" in output and str(kept) in output
    assert list(oak.config.parent.glob("plausible-*.csv")) == [kept]


def test_words_that_are_no_changes(run_flash_device):
    for words, reason in (
        (["--set", "rules.hits"], "allowed is key=value"), (["--set", "a=1", "--set", "a=2"], "a is there twice"),
        (["--set", "a=1", "--unset", "a"], "either --set or --unset"),
        (["--plausible", "/nowhere.csv"], "no such file"),
    ):  # fmt: skip
        status, _, complaint = run_flash_device("config", "--device", "pi@oak", *words)
        assert status == 2 and reason in complaint


def test_logs_come_home_and_cannot_play_with_the_terminal(oak, run_flash_device, tmp_path):
    words = ["logs", "--device", "pi@oak", "--no-sudo", "--root", oak.root]
    place = oak.state / "data" / "recorder.log"
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(b"old\n" * 400_000 + b"WARNING \x1b[2J[red]gap\xff\n" + b"x" * 9000 + b"\n")
    status, output, _ = run_flash_device(*words, "--lines", "2")
    assert status == 0 and "\x1b" not in output and "[red]gap" in output and "old" not in output
    assert 1900 < output.count("x") < 2100
    (oak.releases / "log.jsonl").write_text('{"step": "restart"}\n')
    status, output, _ = run_flash_device(*words, "--of", "changes")
    assert status == 0 and '{"step": "restart"}' in output
    status, output, _ = run_flash_device(*words, "--of", "service")
    assert status == 1 and "there is no journal of systemd here" in output
    secret = tmp_path / "secret"
    secret.write_text("secret")
    place.unlink()
    os.symlink(secret, place)
    status, output, _ = run_flash_device(*words)
    assert status == 1 and "secret" not in output.replace(str(secret), "") and "cannot be read" in output
    assert run_flash_device(*words, "--lines", "0")[0] == 2
