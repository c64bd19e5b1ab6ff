"""``--target c`` as a user meets it: what is written, and what is refused in one line."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from convert_here import convert_stage, converting_here

from ecotf.commands import export_model
from ecotf.commands.console import run_command
from ecotf.errors import ConfigError
from ecotf.export.c99.constants import comment_of, number, text_of
from ecotf.export.c99.source import c_source
from ecotf.export.convert.chain import chain_stages
from ecotf.export.convert.network_file import network_file
from ecotf.export.stages.stage import Signature, Stage, TensorKind


def outcome(capsys, *arguments: object) -> tuple[int, str, str]:
    """Exit status, output and complaints of the command."""
    with pytest.raises(SystemExit) as end:
        run_command(export_model.main, [str(argument) for argument in arguments])
    said = capsys.readouterr()
    return int(end.value.code), said.out, said.err


def compiled(folder: Path, *files: str) -> Path:
    strict = ["cc", "-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    subprocess.run([*strict, *files, "-lm", "-o", "program"], cwd=folder, check=True)
    return folder / "program"


def test_a_run_becomes_a_folder_of_c(field, tmp_path, capsys):
    folder = tmp_path / "firmware"
    arguments = ("--precision", "int8", "--target", "c", "--seconds", "1", "--licence", "CC BY 4.0")
    with converting_here():
        status, out, err = outcome(capsys, field.path, "--output", folder, *arguments)
    assert status == 0, err
    assert {path.name for path in folder.iterdir()} == {"model.h", "model.c", "main_example.c", "REPORT.txt"}
    report = (folder / "REPORT.txt").read_text()
    for words in ("EXPERIMENTAL", "Flash, bytes", "arena of the network", "multiply-adds", "steps of int8",
                  "100 % of the margins XGBoost's to the bit", "Not in here: the front end"):  # fmt: skip
        assert words in report
    assert report in out and "the board makes the spectrogram itself" in out
    header = (folder / "model.h").read_text()
    for words in ("The front end is not in here", "Licence: CC BY 4.0", "i * 128 to i * 128 + 512", "prominence",
                  "#define MODEL_COLUMNS 24", "#define MODEL_MEASURES 11", '"Myotis daubentonii"'):  # fmt: skip
        assert words in header
    run = subprocess.run(
        [str(compiled(folder, "main_example.c", "model.c"))], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0 and "as expected" in run.stdout and "DIFFERS" not in run.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--target", "c"), "--target c is int8 arithmetic, not f32; add --precision int8"),
        (("--target", "c", "--precision", "int8", "--board", "pi-zero-2w"), "not a microcontroller"),
        (("--target", "c", "--precision", "int8", "--profile", "birdnet-go"), "does not go with --profile birdnet-go"),
        (("--target", "c", "--precision", "int8", "--input", "int16"), "the board must make the spectrogram itself"),
    ],
)
def test_what_a_microcontroller_cannot_have_is_one_line(field, tmp_path, capsys, arguments, said):
    status, _, err = outcome(capsys, field.path, "--output", tmp_path / "firmware", *arguments)
    assert status == 2 and said in err and len(err.strip().splitlines()) == 1
    assert not (tmp_path / "firmware").exists()


def test_without_a_compiler_nothing_is_begun(field, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    arguments = ("--precision", "int8", "--target", "c")
    status, _, err = outcome(capsys, field.path, "--output", tmp_path / "firmware", *arguments)
    assert status == 2 and "there is no C compiler here; install gcc or clang" in err


def test_a_model_of_sound_has_no_network_to_cut_out():
    import tensorflow as tf

    stage = Stage("sound", lambda sound: {"scores": tf.reduce_sum(sound, 1)}, {"sound": TensorKind((1, 64))})
    chained = chain_stages({"sound": convert_stage(stage, "f32")}, {"x": Signature(("sound",), ("scores",))})
    with pytest.raises(ConfigError, match=r"it takes sound itself.*the board must make the spectrogram itself"):
        network_file(chained, "model", ("scores",))


def test_numbers_read_back_as_themselves():
    values = np.float32([0, 1, -2.5, 1e-20, 3.4e38, 0.1, 16777217])
    assert [np.float32(number(value).rstrip("f")) for value in values] == values.tolist()
    assert all(set(number(value)) & set(".e") for value in values)
    assert text_of('Plecotus "ä" \\ ?') == '"Plecotus \\042\\303\\244\\042 \\134 \\077"'


@pytest.mark.parametrize("name", ["x */ int evil; /*", "a\n*/\nint b;", "*?\?/\n/", "**//*", "\u202ebidi", "/*/"])
def test_words_cannot_leave_their_comment(name, tmp_path):
    """A recipe's name stands in C code that is compiled and run."""
    said = comment_of(name)
    assert "\n" not in said and "*/" not in said and "/*" not in said and "\u202e" not in said
    (tmp_path / "program.c").write_text(f"/* {said} */\nint main(void) {{ return 0; }}\n")
    compiled(tmp_path, "program.c")


def test_a_name_with_code_in_it_stays_a_name(tmp_path):
    import tensorflow as tf

    weights = np.random.default_rng(1).normal(size=(3, 3, 1, 4)).astype(np.float32)

    def small(patch):
        answers = tf.nn.relu(tf.nn.conv2d(patch, weights, 1, "SAME"))
        return {"scores": tf.sigmoid(tf.reduce_mean(answers, axis=(1, 2)))}

    patches = np.random.default_rng(2).normal(size=(30, 8, 9, 1)).astype(np.float32)
    stage = Stage("network", small, {"patch": TensorKind((1, 8, 9, 1))}, True)
    converted = {"network": convert_stage(stage, "int8", {"patch": patches})}
    network = network_file(chain_stages(converted, {"x": Signature(("network",), ("scores",))}), "small", ("scores",))
    source = c_source(network, None, False, "own/x */ int evil(void) { return 1; } /*, run 1")
    (tmp_path / "model.h").write_text(
        "#include <stdint.h>\nvoid model_score(const float *patch, float *scores);\n"
        "const float *model_answers(void);\nconst float *model_margins(void);\n"
    )
    (tmp_path / "model.c").write_text(source.text)
    subprocess.run(["cc", "-std=c99", "-c", "model.c"], cwd=tmp_path, check=True)
    assert b"evil" not in (tmp_path / "model.o").read_bytes()
