"""The house rules that a reader relies on: who may import whom, what stays light, how modules are called."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A room imports only from rooms to its left. The kernels are compiled and import nothing, so anyone may use them.
ARROWS = (
    "errors", "files", "append_only", "dotted", "plain", "strangers", "quiet", "config", "registry", "wording",
    "multilabel", "audio", "features", "datasets", "pipelines", "models", "embeddings", "clustering",
    "detection", "evaluation", "runs", "training", "parallel", "tuning", "export", "tasks", "reports", "inference",
    "regions", "discovery", "review", "searching", "surveying", "model", "api", "commands", "__main__",
)  # fmt: skip
ANYONE = {"_kernels"}
# Reading recordings, checking a manifest or writing detections must not cost the six seconds TensorFlow takes.
LIGHT = ("config", "files", "audio", "datasets", "evaluation", "runs", "inference.writers", "inference.ledger")
HEAVY = ("tensorflow", "keras", "torch", "xgboost")
# Each may be replaced one day; whoever does it changes one file.
FRAIL = ("tensorflow_io", "keras_cv", "skmultilearn")
EMPTY_NAMES = {"util", "utils", "helper", "helpers", "misc", "common", "tools", "stuff"}


@cache
def modules() -> dict[str, Path]:
    """Dotted name to file of every module of ecotf."""
    found = {}
    for path in sorted((ROOT / "ecotf").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree_of(source: str) -> ast.Module:
    return ast.parse(source)


@cache
def imports(source: str, package: str = "") -> set[str]:
    """Dotted names of all that a module imports, also inside functions; ``from a import b`` gives a and a.b."""
    found: set[str] = set()
    for node in ast.walk(tree_of(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            found.update([base, *(f"{base}.{alias.name}" for alias in node.names)])
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                found.add(node.args[0].value)
    return found


def package_of(name: str, path: Path) -> str:
    return name if path.name == "__init__.py" else name.rpartition(".")[0]


def against_the_arrows(name: str, path: Path) -> list[str]:
    """What this module imports from rooms to its right."""
    here = name.split(".")[1]
    wrong = []
    for imported in imports(path.read_text(encoding="utf-8"), package_of(name, path)):
        top, _, rest = imported.partition(".")
        room = rest.partition(".")[0]
        if top != "ecotf" or not room or room == here or room in ANYONE or room == "__version__":
            continue
        if room not in ARROWS:
            wrong.append(f"{name} imports ecotf.{room}, which has no place in ARROWS")
        elif ARROWS.index(room) > ARROWS.index(here):
            wrong.append(f"{name} imports ecotf.{room}, which is to its right")
    return sorted(set(wrong))


def test_imports_are_found_wherever_they_hide():
    source = """
import a.b, c
from .d import e
from ..f import g
from . import h
def later():
    import i
    if True:
        from ecotf.export import j
        importlib.import_module("k.l")
"""
    found = imports(source, "ecotf.models.heads")
    assert found == {
        "a.b", "c", "ecotf.models.heads.d", "ecotf.models.heads.d.e", "ecotf.models.f", "ecotf.models.f.g",
        "ecotf.models.heads", "ecotf.models.heads.h", "i", "ecotf.export", "ecotf.export.j", "k.l",
    }  # fmt: skip


def test_a_wrong_arrow_is_seen(tmp_path):
    module = tmp_path / "reading.py"
    module.write_text("from ecotf.errors import DataError\ndef f():\n    from ecotf.models.heads import x\n")
    assert against_the_arrows("ecotf.audio.reading", module) == [
        "ecotf.audio.reading imports ecotf.models, which is to its right"
    ]
    assert against_the_arrows("ecotf.export.reading", module) == []


def test_every_module_is_in_a_room():
    rooms = {name.split(".")[1] for name in modules() if "." in name} - ANYONE
    assert rooms <= set(ARROWS), f"no place in ARROWS for {sorted(rooms - set(ARROWS))}"


def test_arrows_point_left():
    wrong = [
        line
        for name, path in modules().items()
        if "." in name and name.split(".")[1] in ARROWS
        for line in against_the_arrows(name, path)
    ]
    assert wrong == []


def questions_about_tasks(source: str, classes: set[str]) -> list[str]:
    """Where a module asks ``isinstance`` of a recipe, run, model or data, or compares the name of a task."""
    found = []
    for node in ast.walk(tree_of(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
            asked = {part.id for part in ast.walk(node.args[1]) if isinstance(part, ast.Name)}
            asked |= {part.attr for part in ast.walk(node.args[1]) if isinstance(part, ast.Attribute)}
            found += [f"line {node.lineno}: isinstance {name}" for name in sorted(asked & classes)]
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            named = {part.value for side in sides for part in ast.walk(side) if isinstance(part, ast.Constant)}
            text = ast.unparse(node)
            if named & {"calls", "clips", "ensemble"} and re.search(r"\b(task|kind|family)\b", text):
                found.append(f"line {node.lineno}: {text}")
    return found


def classes_of_tasks() -> set[str]:
    """The classes that the tasks define, and the models that they make."""
    trees = [tree_of(path.read_text(encoding="utf-8")) for path in (ROOT / "ecotf" / "tasks").rglob("*.py")]
    defined = {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    return defined | {"Detector", "ClipModel"}


def test_questions_about_tasks_are_seen():
    source = """
if isinstance(run, (a.LoadedRun, B)) or recipe.task == "calls" or values["kind"] in ("clips",) or x == "clips":
    pass
"""
    assert questions_about_tasks(source, {"LoadedRun", "B"}) == [
        "line 2: isinstance B", "line 2: isinstance LoadedRun",
        "line 2: recipe.task == 'calls'", "line 2: values['kind'] in ('clips',)",
    ]  # fmt: skip


def test_nobody_outside_asks_which_task_it_is():
    classes = classes_of_tasks()
    assert {"CallRecipe", "ClipRecipe"} <= classes
    asking = {
        name: found
        for name, path in modules().items()
        if not name.startswith("ecotf.tasks") and (found := questions_about_tasks(path.read_text("utf-8"), classes))
    }
    assert asking == {}


def test_the_front_door_loads_nothing():
    """``import ecotf`` is instant; its parts load when they are used."""
    code = "import sys, ecotf; print(*[name for name in sys.modules if name.startswith('ecotf.') or name == 'numpy'])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.split() == []


def test_the_recorder_stands_alone():
    """It runs on a small board with numpy and a TFLite runtime."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / "deploy" / "recorder").rglob("*.py"))
        for name in imports(path.read_text(encoding="utf-8"))
        if name.partition(".")[0] in ("ecotf", *HEAVY)
    ]
    assert wrong == []


def test_names_say_what_is_inside():
    folders = [ROOT / name for name in ("ecotf", "cython_ext", "deploy", "scripts", "benchmarks")]
    paths = [path for folder in folders for path in folder.rglob("*") if path.suffix in (".py", ".pyx", ".pxd", "")]
    assert [str(path.relative_to(ROOT)) for path in paths if path.stem.strip("_").lower() in EMPTY_NAMES] == []


@pytest.mark.parametrize("package", FRAIL)
def test_frail_packages_have_one_door(package):
    users = [
        name
        for name, path in modules().items()
        if any(found.partition(".")[0] == package for found in imports(path.read_text(encoding="utf-8")))
    ]
    assert len(users) <= 1, f"{package} is imported by {', '.join(users)}"


def test_light_rooms_do_not_load_tensorflow():
    code = "import sys\n"
    for room in LIGHT:
        inside = [name for name in modules() if f"{name}.".startswith(f"ecotf.{room}.")]
        assert inside, f"ecotf.{room} is not there"
        code += f"import {', '.join(inside)}\nprint({room!r}, *[name for name in {HEAVY!r} if name in sys.modules])\n"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, result.stderr.strip().splitlines()[-1]
    assert result.stdout.split() == list(LIGHT)


def test_no_name_twice_among_the_tests():
    """pytest imports tests by file name; two of one name hide each other's failures in reports."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
