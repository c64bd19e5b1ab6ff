"""``--target c``: C code, compiled here and for two emulated boards, beside tflite-runtime and XGBoost."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from convert_here import convert_stage

from ecotf.errors import ConfigError
from ecotf.export.c99.arena import plan_arena
from ecotf.export.c99.compiled import Given, compared, read_answers, reference_answers, run_here, write_vectors
from ecotf.export.c99.network import read_network
from ecotf.export.c99.quantisation import multiplier_of, scaled
from ecotf.export.c99.source import Source, c_source, kernel
from ecotf.export.convert.chain import chain_stages
from ecotf.export.convert.flatbuffer import operator_name, read_model
from ecotf.export.convert.network_file import network_file
from ecotf.export.stages.stage import Signature, Stage, TensorKind
from ecotf.export.stages.trees import node_tables
from ecotf.models.heads.trees import Trees, TreesConfig, fit_trees

SHAPE = (11, 14, 2)
layers = keras.layers


STRICT = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
BOARDS = {
    "mps2-an386": ("cortex-m4", "fpv4-sp-d16", "0x00000000", "0x20000000", 40),
    "mps2-an505": ("cortex-m33", "fpv5-sp-d16", "0x10000000", "0x38000000", 50),
}


def patches(n: int = 24) -> np.ndarray:
    return np.random.default_rng(4).normal(size=(n, *SHAPE)).astype(np.float32)


def plain(given: Any) -> dict[str, Any]:
    """Strides, dilation, odd sizes, both kinds of padding, several depthwise kernels for one channel."""
    x = layers.BatchNormalization()(given)
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="relu6")(x)
    x = layers.Conv2D(7, (2, 3), dilation_rate=2, padding="same")(x)
    x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.AveragePooling2D((2, 2), strides=1, padding="same")(x)
    x = layers.Conv2D(5, (2, 1), padding="valid", activation="relu")(x)
    embedding = layers.Dense(9, activation="relu")(layers.Flatten()(x))
    return {"scores": layers.Dense(3, activation="sigmoid")(embedding), "embedding": embedding}


def branched(given: Any) -> dict[str, Any]:
    """Sums, gates, means, joined and cut channels."""
    x = layers.ZeroPadding2D(((1, 0), (2, 1)))(given)
    x = layers.Conv2D(8, 3, padding="same")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(8, 1, activation="sigmoid")(layers.Conv2D(4, 1, activation="relu")(gate))
    x = layers.Add()([x, layers.Multiply()([x, gate])])
    x = layers.ReLU()(x)
    x = layers.Concatenate()([x, layers.ReLU(6.0)(layers.Conv2D(3, 1)(x))])
    x = layers.Permute((2, 1, 3))(x)[:, 1:-1, ::2, 1:]
    x = layers.Activation("tanh")(layers.Conv2D(6, 1)(x))
    embedding = layers.GlobalAveragePooling2D()(x)
    return {"scores": layers.Dense(3, activation="sigmoid")(embedding), "embedding": embedding}


def quantised(
    build: Callable[[Any], Mapping[str, Any]],
    outputs: tuple[str, ...] = ("scores", "embedding"),
    precision: Any = "int8",
) -> bytes:
    """A network as `network_file` gives it."""
    keras.utils.set_random_seed(3)
    given = keras.Input(SHAPE)
    model = keras.Model(given, build(given))
    model(patches(), training=True)  # so that the statistics of batches are not the ones of the start
    stage = Stage(
        "network", lambda patch: model(patch, training=False), {"patch": TensorKind((1, *SHAPE))}, True, (model,)
    )
    converted = convert_stage(stage, precision, {"patch": patches(48)})
    chained = chain_stages({"network": converted}, {"score": Signature(("network",), outputs)})
    return network_file(chained, "network", outputs)


@pytest.fixture(scope="module")
def networks() -> dict[str, bytes]:
    return {"plain": quantised(plain), "branched": quantised(branched)}


@pytest.fixture(scope="module")
def embedding() -> bytes:
    """A network that gives what trees look at."""
    return quantised(plain, ("embedding",))


def bare_header(source: Source) -> str:
    """What `model.h` says to a compiler."""
    sizes = {
        "PATCH": source.patch, "SCORES": source.n_scores, "MARGINS": source.n_margins,
        "ANSWERS": sum(size for _, size, _ in source.answers),
    }  # fmt: skip
    defined = "".join(f"#define MODEL_{name} {size}\n" for name, size in sizes.items())
    return (
        f"#include <stdint.h>\n{defined}void model_score(const float *patch, float *scores);\n"
        "const float *model_answers(void);\nconst float *model_margins(void);\n"
    )


def written(folder: Path, network: bytes, source: Source) -> Path:
    (folder / "network.tflite").write_bytes(network)
    (folder / "model.c").write_text(source.text)
    (folder / "model.h").write_text(bare_header(source))
    return folder


def with_trees(network: bytes, strategy: str) -> tuple[Trees, Source]:
    """Trees on the embedding of a network."""
    rng = np.random.default_rng(5)
    features = rng.uniform(0, 0.08, size=(300, 9)).astype(np.float32)
    first, second = features[:, 0] > 0.02, features[:, 2] + features[:, 5] > 0.09
    targets = np.stack([~(first | second), first, second, np.ones(300, bool)], axis=1)
    config = TreesConfig(strategy=strategy, n_estimators=15, max_depth=5, min_child_weight=0.1)
    trees = fit_trees(config, features, targets, seed=3, threads=1)
    return trees, c_source(network, trees, False, "a network with trees")


@pytest.mark.parametrize("name", ["plain", "branched"])
def test_every_operator_is_what_the_runtime_computes(networks, name, tmp_path):
    source = c_source(networks[name], None, False, name)
    folder = written(tmp_path, networks[name], source)
    given = run_here(folder, source, patches(), None)
    expected = reference_answers(folder / "network.tflite", source, patches())
    found = compared(given, expected, source, None, None)
    assert found.patches == 24 and len(np.unique(given.answers)) > 50
    assert found.steps <= 1.01 and found.exact_answers >= 0.99 and found.scores == 0
    strict = subprocess.run(["cc", *STRICT, "-c", "model.c"], cwd=folder, capture_output=True, text=True, check=False)
    assert strict.returncode == 0, strict.stderr


def test_the_networks_hold_what_is_claimed(networks):
    held = {
        operator_name(code) for content in networks.values() for code in read_model(content, "network").operatorCodes
    }
    assert held >= {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN", "ADD",
                    "MUL", "LOGISTIC", "TANH", "CONCATENATION", "STRIDED_SLICE", "PAD", "TRANSPOSE", "QUANTIZE",
                    "DEQUANTIZE", "RESHAPE"}  # fmt: skip


@pytest.mark.parametrize("strategy", ["one_vs_rest", "chain", "powerset"])
def test_margins_are_xgboosts_to_the_bit(strategy, embedding, tmp_path):
    trees, source = with_trees(embedding, strategy)
    folder = written(tmp_path, embedding, source)
    given = run_here(folder, source, patches(), None)
    found = compared(given, reference_answers(folder / "network.tflite", source, patches()), source, trees, None)
    assert found.exact_margins == 1.0 and found.scores <= 1e-6 and found.steps <= 1.01
    assert len(np.unique(given.margins)) > 10


def test_a_difference_is_seen(networks):
    source = c_source(networks["plain"], None, False, "plain")
    answers = np.zeros((2, 12), np.float32)
    wrong = answers.copy()
    wrong[1, 4] = 3 * source.answers[1][2]
    found = compared(Given(wrong, np.empty((2, 0), np.float32), wrong[:, :3]), answers, source, None, None)
    assert found.steps == pytest.approx(3) and found.exact_answers == pytest.approx(23 / 24)


def test_nothing_that_is_needed_is_overwritten(networks):
    for content in networks.values():
        network = read_network(content, "network")
        arena = plan_arena(network)
        alive: dict[int, tuple[int, int, int]] = {}
        for at, step in enumerate(network.steps):
            for tensor in (*step.inputs, *step.outputs):
                if tensor is not None and tensor.index in arena.offsets:
                    alive[tensor.index] = (alive.get(tensor.index, (at,))[0], at, tensor.size)
        for one, (born, died, size) in alive.items():
            assert arena.offsets[one] + size <= arena.size
            for other, (born_other, died_other, size_other) in alive.items():
                start, start_other = arena.offsets[one], arena.offsets[other]
                if start == start_other or died < born_other or died_other < born:
                    continue  # an alias, or never at the same time
                assert start + size <= start_other or start_other + size_other <= start
        assert 0 < arena.size < sum(size for _, _, size in alive.values())


def test_the_rounding_in_c_is_the_rounding_here(tmp_path):
    rng = np.random.default_rng(6)
    values = [*rng.integers(-(2**20), 2**20, 500), *range(-9, 10)]
    factors = [multiplier_of(factor) for factor in (0.5, 0.25, 1.0, 0.0013, 0.75, 1.7, 3e-6)]
    calls = [(int(value), *factor) for value in values for factor in factors]
    lines = ",\n".join(f"{{{value}, {multiplier}, {exponent}}}" for value, multiplier, exponent in calls)
    program = (
        f"#include <stdint.h>\n#include <stdio.h>\n{kernel('scaled')}\nstatic const int32_t calls[][3] = {{{lines}}};\n"
        'int main(void) { for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) printf("%d\\n", '
        "(int)scaled(calls[i][0], calls[i][1], calls[i][2])); return limited(0, -1, 1); }\n"
    )
    (tmp_path / "rounding.c").write_text(program)
    subprocess.run(["cc", *STRICT, "rounding.c", "-o", "rounding"], cwd=tmp_path, check=True)
    said = subprocess.run([str(tmp_path / "rounding")], capture_output=True, text=True, check=True).stdout
    assert [int(line) for line in said.split()] == [scaled(*call) for call in calls]
    # gemmlowp's first rounding takes halves up, its second away from 0
    assert [scaled(value, *multiplier_of(0.5)) for value in (3, -3)] == [2, -1]
    assert [scaled(value, *multiplier_of(0.25)) for value in (6, -6)] == [2, -2]


def soft(given):
    return {"scores": layers.Dense(3, activation="softmax")(layers.Flatten()(given))}


def test_an_operator_without_a_form_is_named():
    with pytest.raises(ConfigError, match="cannot translate the operator SOFTMAX; it knows ADD, AVERAGE_POOL_2D"):
        c_source(quantised(soft, ("scores",)), None, False, "soft")


def test_a_float_network_is_refused():
    with pytest.raises(ConfigError, match=r"translates int8 networks, and .* works on FLOAT32"):
        c_source(quantised(plain, precision="f32"), None, False, "float")


@pytest.mark.parametrize("board", BOARDS)
def test_an_emulated_board_gives_what_this_computer_gives(board, embedding, tmp_path):
    for name, package in (("arm-none-eabi-gcc", "gcc-arm-none-eabi"), ("qemu-system-arm", "qemu-system-arm")):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed (Debian: apt install {package})")
    _, source = with_trees(embedding, "one_vs_rest")
    folder = written(tmp_path, embedding, source)
    here = run_here(folder, source, patches(), None)
    ticks = run_on_board(board, folder, source)
    there = read_answers(folder, source)
    np.testing.assert_array_equal(there.answers, here.answers)
    np.testing.assert_array_equal(there.margins, here.margins)
    np.testing.assert_allclose(there.scores, here.scores, atol=1e-6)
    assert len(ticks) == 24 and 4 * source.macs < np.median(ticks) * BOARDS[board][4] < 1e8


def run_on_board(board: str, folder: Path, source: Source) -> list[int]:
    """Run `check.c` on an emulated board; ticks of its clock for each patch."""
    core, fpu, code, data, _ = BOARDS[board]
    write_vectors(folder, patches(), None)
    (folder / "answers.bin").unlink(missing_ok=True)
    support = Path(__file__).parent / "boards"
    script = (support / "link.ld").read_text().replace("@CODE@", code).replace("@DATA@", data)
    (folder / "board.ld").write_text(script)
    target = [f"-mcpu={core}", "-mthumb", "-mfloat-abi=hard", f"-mfpu={fpu}", "-std=gnu99", "-O2", "-ffp-contract=off"]
    linked = ["--specs=rdimon.specs", "-nostartfiles", "-Wl,--wrap=model_score", "-T", "board.ld"]
    files = [str(support / "start.c"), "-I.", "check.c", "model.c", "-lm", "-o", "board.elf"]
    subprocess.run(["arm-none-eabi-gcc", *target, *linked, *files], cwd=folder, check=True)
    quiet = ["-display", "none", "-monitor", "none", "-serial", "none"]
    counted = ["-semihosting-config", "enable=on,target=native", "-icount", "shift=0"]
    command = ["qemu-system-arm", "-M", board, *quiet, *counted, "-kernel", "board.elf"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=120)
    assert "wrapped" not in result.stdout
    return [int(ticks) for ticks in re.findall(r"ticks (\d+)", result.stdout)]


def test_wide_forests_are_counted_in_32_bits(embedding, tmp_path, monkeypatch):
    monkeypatch.setattr("ecotf.export.c99.trees._MANY", 64)
    trees, source = with_trees(embedding, "one_vs_rest")
    assert len(node_tables([b for b in trees.boosters if b is not None], 9).feature) > 64
    assert "typedef uint32_t node_number" in source.text
    given = run_here(written(tmp_path, embedding, source), source, patches(), None)
    assert compared(given, given.answers, source, trees, None).exact_margins == 1.0
