"""Multiply-adds, memory and boards, against what can be counted by hand."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import pytest
from convert_here import convert_stage

from ecotf.errors import ConfigError
from ecotf.export.convert.flatbuffer import is_constant, model_bytes, read_model
from ecotf.export.describe.boards import board_named, boards, budget, misfits, require_fit
from ecotf.export.describe.costs import arena_bytes, multiply_adds_of, operators, runs_per_second, signature_costs
from ecotf.export.stages.stage import Stage, TensorKind

KB = 1024


@pytest.fixture(scope="module")
def content() -> bytes:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((16, 20, 1)),
            layers.Conv2D(8, 3, padding="same"),
            layers.SeparableConv2D(12, 3, padding="same"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(5),
        ]
    )
    stage = Stage("network", lambda x: {"y": model(x)}, {"x": TensorKind((1, 16, 20, 1))}, models=(model,))
    return convert_stage(stage, "f32")


def test_multiply_adds_by_hand(content):
    by_hand = 16 * 20 * (8 * 9 + 8 * 9 + 12 * 8) + 8 * 10 * 12 * 5
    (cost,) = signature_costs(content, "network").values()
    assert cost.multiply_adds == by_hand
    assert 0.6 * by_hand < cost.instructions < 2 * by_hand
    assert multiply_adds_of({"backbone": content}) == {"backbone": by_hand}


def test_shapes_that_a_file_leaves_open_are_those_of_a_run(content):
    model = read_model(content, "network")
    graph = model.subgraphs[0]
    for number, tensor in enumerate(graph.tensors):
        if number not in graph.inputs and not is_constant(model, tensor):
            tensor.shape, tensor.shapeSignature = [1] * len(tensor.shape), [-1] * len(tensor.shape)
    assert signature_costs(model_bytes(model), "open") == signature_costs(content, "network")


def test_how_often_a_model_runs():
    assert runs_per_second({"kind": "segments", "window": {"segment_s": 10.0}}) == {"serving_default": 0.1}
    peaks = {"front_end": {"chunk_frames": 100, "hop_s": 0.0005}, "cost": {"peaks_per_s": 40.0}}
    assert runs_per_second({"kind": "peaks", **peaks}) == {"spectrogram": 20.0, "score": 40.0}
    with pytest.raises(ConfigError, match="bats/field: a model of kind patches; no recorder runs it"):
        runs_per_second({"kind": "patches", "name": "bats/field"})


def test_operators_with_versions_and_counts(content):
    found = {name: count for name, _, count in operators(content, "network")}
    assert found["CONV_2D"] == 2 and found["DEPTHWISE_CONV_2D"] == 1 and found["FULLY_CONNECTED"] == 1
    assert all(version >= 1 for _, version, _ in operators(content, "network"))


def graph_of(sizes: list[int], steps: list[tuple[list[int], list[int]]], inputs: list[int], outputs: list[int]):
    tensors = [SimpleNamespace(shape=[size * KB // 4], type=0, buffer=0) for size in sizes]
    made = [SimpleNamespace(inputs=taken, outputs=given) for taken, given in steps]
    model = SimpleNamespace(buffers=[SimpleNamespace(data=None)])
    return model, SimpleNamespace(tensors=tensors, operators=made, inputs=inputs, outputs=outputs)


def test_tensors_that_do_not_live_together_share_room():
    # 0 -> 1 -> 2 -> 3: the input stays to the end, the output lies where 1 was
    model, graph = graph_of([1, 8, 8, 1], [([0], [1]), ([1], [2]), ([2], [3])], [0], [3])
    assert arena_bytes(model, graph) == (8 + 8 + 1) * KB
    # the second of 8 lies where the first was, and the output where 2 was
    model, graph = graph_of([1, 8, 2, 8, 1], [([0], [1]), ([1], [2]), ([2], [3]), ([3], [4])], [0], [4])
    assert arena_bytes(model, graph) == (8 + 2 + 1) * KB


def values(memory_mb: float, instructions: float) -> dict:
    cost = {"memory_mb": memory_mb, "million_instructions_per_s": instructions}
    return {"cost": cost, "size_bytes": 323_000_000}


def test_every_board_has_room_and_a_name():
    assert set(boards()) >= {"pi-zero-2w", "pi-3", "pi-4", "pi-5"}
    for board in boards().values():
        assert 0 < board.free_mb < board.memory_mb
    speeds = [board.instructions_per_s for board in boards().values()]
    assert speeds == sorted(speeds)


def test_the_budget_is_a_share_of_what_is_free():
    board = boards()["pi-zero-2w"]
    found = budget(values(board.free_mb / 4, board.instructions_per_s / 2), board)
    assert (found.memory, found.instructions, found.fits) == (0.25, 0.5, True)
    require_fit(values(10, 10), board)


def test_a_model_that_is_too_large_is_refused_with_both_figures():
    board = boards()["pi-zero-2w"]
    with pytest.raises(
        ConfigError,
        match=r"too large for a Raspberry Pi Zero 2 W: it needs 600 MB \(its file has 323.0 MB\), 312 MB are",
    ):
        require_fit(values(600, 10), board)
    with pytest.raises(ConfigError, match=r"too slow for a Raspberry Pi Zero 2 W: .* 900 million .* 500 million"):
        require_fit(values(10, 900), board)
    assert [reason.partition(":")[0] for reason in misfits(values(700, 550))] == [
        "the model is too large for a Raspberry Pi Zero 2 W"
    ]
    assert misfits(values(10, 10)) == []
    with pytest.raises(ConfigError, match=r"--board 'pi-6': known boards are pi-zero-2w, pi-3, pi-4, pi-5"):
        board_named("pi-6")
