"""Stages chained into one flatbuffer: the numbers of the parts, weights stored once, loops and all."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from convert_here import convert_stage
from tflite_runtime.interpreter import Interpreter

from ecotf.errors import ConfigError
from ecotf.export.convert.chain import chain_stages
from ecotf.export.convert.flatbuffer import model_bytes, operator_name, read_model
from ecotf.export.stages.stage import Signature, Stage, TensorKind


@pytest.fixture(scope="module")
def models():
    keras.utils.set_random_seed(2)
    double = keras.Sequential([keras.Input((12,)), keras.layers.Dense(300, activation="relu")])
    sequence = [keras.Input((300,)), keras.layers.Reshape((30, 10)), keras.layers.GRU(4), keras.layers.Dense(3)]
    return double, keras.Sequential(sequence)


@pytest.fixture(scope="module")
def converted(models):
    first, second = models
    stages = {
        "first": Stage("first", lambda a: {"b": first(a)}, {"a": TensorKind((1, 12))}, models=(first,)),
        "second": Stage("second", lambda b: {"c": second(b)}, {"b": TensorKind((1, 300))}, models=(second,)),
        "both": Stage("both", lambda c, d: {"e": c * d}, {"c": TensorKind((1, 3)), "d": TensorKind((1, 3))}),
    }
    return {name: convert_stage(stage, "f32") for name, stage in stages.items()}


@pytest.fixture(scope="module")
def chained(converted):
    signatures = {
        "serving_default": Signature(("first", "second"), ("c",)),
        "all": Signature(("first", "second", "both"), ("e", "b")),
        "second": Signature(("second",), ("c",)),
    }
    return chain_stages(converted, signatures)


def test_the_chain_gives_what_its_parts_give(chained, models):
    interpreter = Interpreter(model_content=chained)
    interpreter.allocate_tensors()
    a, d = np.random.default_rng(1).normal(size=(2, 12)).astype(np.float32)[:, None]
    b = np.asarray(models[0](a))
    c = np.asarray(models[1](b))
    given = interpreter.get_signature_runner("all")(a=a, d=d[:, :3])
    np.testing.assert_allclose(given["b"], b, atol=1e-6)
    np.testing.assert_allclose(given["e"], c * d[:, :3], atol=1e-6)
    np.testing.assert_allclose(interpreter.get_signature_runner("second")(b=b)["c"], c, atol=1e-6)
    # the first signature is that of programs which know of none
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], a)
    interpreter.invoke()
    np.testing.assert_allclose(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), c, atol=1e-6)


def test_weights_are_stored_once(chained, models):
    buffers = [bytes(buffer.data) for buffer in read_model(chained, "chained").buffers if buffer.data is not None]
    assert len(buffers) == len(set(buffers))
    weights = sum(weight.numpy().nbytes for model in models for weight in model.trainable_weights)
    assert 0.9 * weights < sum(map(len, buffers)) < 1.1 * weights  # a bias may be split or folded


def test_a_loop_keeps_its_body(chained):
    model = read_model(chained, "chained")
    names = [
        [operator_name(model.operatorCodes[op.opcodeIndex]) for op in graph.operators] for graph in model.subgraphs
    ]
    loops = sum(graph.count("WHILE") for graph in names)
    assert loops == 3  # one in each signature
    assert len(model.subgraphs) == 3 + 2 * loops


def test_an_output_that_no_stage_gives(converted):
    with pytest.raises(ConfigError, match="signature x: none of the stages first gives 'c'"):
        chain_stages(converted, {"x": Signature(("first",), ("c",))})


def test_what_is_read_is_what_was_written(chained):
    again = model_bytes(read_model(chained, "chained"))
    assert read_model(again, "again").subgraphs[0].name == b"serving_default"


@pytest.mark.parametrize("length", [0, 3, 100, 0.5, 0.97])
def test_a_file_that_was_cut_off(chained, length):
    cut = chained[: length if isinstance(length, int) else int(length * len(chained))]
    with pytest.raises(ConfigError, match=r"(not a TFLite model|damaged or cut off)"):
        read_model(cut, "cut.tflite")
