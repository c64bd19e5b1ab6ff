"""What the converter is not allowed to make, and what is said when it dies."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest
from convert_here import convert_stage

from ecotf.errors import ConfigError
from ecotf.export.convert.converter import check_stage, refuse_recurrent
from ecotf.export.convert.flatbuffer import model_bytes, operator_name, read_model
from ecotf.export.module_process import run_module
from ecotf.export.prove.rehearsal import check_loads
from ecotf.export.stages.stage import Stage, TensorKind


@pytest.fixture(scope="module")
def stage() -> Stage:
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(5, activation="relu"), keras.layers.Dense(2)])
    return Stage("network", lambda x: {"y": model(x)}, {"x": TensorKind((1, 8))}, quantised=True, models=(model,))


@pytest.fixture(scope="module")
def content(stage) -> bytes:
    return convert_stage(stage, "f32")


def changed(content: bytes, change) -> bytes:
    model = read_model(content, "stage")
    change(model)
    return model_bytes(model)


@pytest.mark.parametrize("precision", ["f32", "f16", "dynamic", "int8"])
def test_all_weights_are_there_at_every_precision(stage, precision):
    patches = {"x": np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)}
    check_stage(convert_stage(stage, precision, patches), stage)


def test_weights_that_went_missing(stage, content):
    def lose(model):
        for tensor in model.subgraphs[0].tensors:
            if tensor.shape is not None and tuple(tensor.shape) == (2, 5):
                tensor.buffer = 0

    with pytest.raises(
        ConfigError, match=r"stage network: the weights .*kernel \(10 numbers\) are not in the converted"
    ):
        check_stage(changed(content, lose), stage)


def test_operators_that_only_tensorflow_has(stage, content):
    def flex(model):
        model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = 32
        model.operatorCodes[0].customCode = b"FlexErf"

    with pytest.raises(ConfigError, match=r"stage network needs FlexErf, which only TensorFlow itself has \(Flex\)"):
        check_stage(changed(content, flex), stage)


def test_weights_outside_of_the_file(stage, content):
    def outside(model):
        model.operatorCodes[0].builtinCode, model.operatorCodes[0].deprecatedBuiltinCode = 143, 127

    assert operator_name(read_model(changed(content, outside), "x").operatorCodes[0]) == "READ_VARIABLE"
    with pytest.raises(ConfigError, match="reads its weights from outside of the file"):
        check_stage(changed(content, outside), stage)


def test_an_operator_version_that_the_runtime_lacks(content, tmp_path):
    def newer(model):
        model.operatorCodes[0].version = 99

    check_loads(content, tmp_path)
    with pytest.raises(ConfigError, match=r"does not load in tflite-runtime: .*FULLY_CONNECTED.*99"):
        check_loads(changed(content, newer), tmp_path)


def test_a_loop_at_int8_is_refused_with_what_to_do():
    def network(unroll):
        model = keras.Sequential([keras.Input((10, 4)), keras.layers.GRU(3, unroll=unroll, name="memory")])
        whole = keras.Sequential([keras.Input((10, 4)), model])
        return Stage("network", lambda x: {"y": whole(x)}, {"x": TensorKind((1, 10, 4))}, True, (whole,))

    with pytest.raises(ConfigError, match=r"recurrent layer 'memory' cannot be.*unroll=True.*--precision f16"):
        refuse_recurrent([network(False)], "int8")
    refuse_recurrent([network(False)], "f16")
    refuse_recurrent([network(True)], "int8")


def test_a_converter_that_dies_is_one_line(tmp_path, monkeypatch):
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\necho network\necho 'LLVM ERROR: Failed to infer result type(s).' >&2\nkill -ABRT $$\n")
    dying.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(dying))
    with pytest.raises(ConfigError, match=r"stage network: the converter died with signal 6 \(LLVM ERROR: Failed"):
        run_module("ecotf.export.convert.converter", tmp_path / "request.json", "converter")


def test_a_converter_that_refuses_is_one_line(tmp_path):
    (tmp_path / "request.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"^at its start: the converter failed \(KeyError: 'folder'\)$"):
        run_module("ecotf.export.convert.converter", tmp_path / "request.json", "converter")
