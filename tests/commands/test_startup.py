"""Help and a user's mistake are answered at once: what takes seconds to load is loaded when work begins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ecotf.commands.console import SCRIPTS, as_called
from ecotf.commands.main import COMMANDS

ROOT = Path(__file__).parents[2]
HEAVY = (
    "tensorflow", "keras", "scipy", "sklearn", "skmultilearn", "xgboost", "matplotlib", "hyperopt", "pandas",
    "pyarrow", "joblib", "pyspark", "h5py",
)  # fmt: skip
WRONG_KEY = (ROOT / "ecotf" / "recipes" / "bats" / "field.yaml").read_text(encoding="utf-8") + "\nfront_ent: {}\n"


def answer(*arguments: str, script: str = "") -> tuple[int, str, set[str]]:
    """The status of a command, what it wrote, and the heavy packages that it loaded."""
    code = (
        "import atexit, runpy, sys\n"
        f"atexit.register(lambda: print('LOADED', *[name for name in {HEAVY!r} if name in sys.modules]))\n"
        f"sys.argv[1:] = {list(arguments)!r}\n"
    )
    if script:
        path = str(ROOT / "scripts" / script)
        code += f"sys.argv[0] = {path!r}\nrunpy.run_path({path!r}, run_name='__main__')\n"
    else:
        code += "sys.argv[0] = 'ecotf'\nfrom ecotf.commands.main import run\nrun()\n"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    text, _, loaded = result.stdout.rpartition("LOADED")
    return result.returncode, text + result.stderr, set(loaded.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_light(command):
    status, text, loaded = answer(command, "--help")
    assert status == 0
    assert text.startswith(f"usage: ecotf {command}")
    assert loaded == set()


@pytest.mark.parametrize("command", SCRIPTS)
def test_scripts_are_the_same_doors(command):
    status, text, loaded = answer("--help", script=SCRIPTS[command])
    assert status == 0
    assert text.startswith(f"usage: {SCRIPTS[command]}")
    assert f"ecotf {command}" not in text
    assert f"python scripts/{SCRIPTS[command]}" in text
    assert loaded == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_that_does_not_exist(command):
    status, text, loaded = answer(command, "--no-such-option")
    assert status == 2
    assert f"ecotf {command}" in text
    assert "Traceback" not in text
    assert loaded == set()


RECIPES = {
    "train": ("--data", "none.csv", "--recipe"),
    "tune": ("--data", "none.csv", "--recipe"),
    "recipes": (),
}


@pytest.mark.parametrize("command", RECIPES)
def test_a_wrong_recipe(command, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text(WRONG_KEY)
    wrong = [
        ("no/such", "unknown recipe 'no/such'"),
        ("bats/feild", "did you mean bats/field?"),
        (str(own), "front_ent"),
    ]
    for recipe, message in wrong if command == "recipes" else wrong[1:2]:  # read by all of them alike
        status, text, loaded = answer(command, *RECIPES[command], recipe)
        assert status == 2
        assert message in text
        assert len(text.splitlines()) == 1
        assert loaded == set()


def test_recipes_are_listed_and_printed():
    status, text, loaded = answer("recipes")
    assert status == 0
    assert all(any(line.startswith(name) for line in text.splitlines()) for name in ("bats/field", "birds/small"))
    assert loaded == set()
    status, text, _ = answer("recipes", "bats/field", "seed=7")
    assert status == 0
    assert "\nseed: 7\n" in text


def test_the_door_without_a_command():
    status, text, loaded = answer("--help")
    assert status == 0
    assert all(f"\n  {command} " in text for command in COMMANDS)
    assert loaded == set()
    assert answer()[0] == 2
    status, text, _ = answer("trian")
    assert status == 2
    assert "unknown command 'trian'" in text


def test_commands_are_named_as_the_user_calls_them(monkeypatch):
    text = "to go on: ecotf train --resume RUN; ecotf itself"
    monkeypatch.setattr(sys, "argv", ["/usr/bin/ecotf"])
    assert as_called(text) == text
    monkeypatch.setattr(sys, "argv", ["scripts/run_tuning.py"])
    assert as_called(text) == "to go on: python scripts/run_training.py --resume RUN; ecotf itself"


def test_what_keras_only_wraps_is_not_loaded_with_tensorflow_and_is_there_afterwards():
    code = (
        "import sys\nfrom ecotf.quiet import load_keras_alone\nload_keras_alone()\nimport tensorflow\n"
        "print(*{'sklearn', 'matplotlib'}.intersection(sys.modules))\nimport sklearn, matplotlib.pyplot\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "\n"
