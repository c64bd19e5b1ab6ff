"""The quantised network alone, cut out of a model file: for runtimes that take neither the front end nor the trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ecotf.errors import ConfigError
from ecotf.export.convert.cut import cut_out
from ecotf.export.convert.flatbuffer import name_of, read_model

PATCH = "patch"


def network_file(flatbuffer: bytes, source: str, outputs: Sequence[str]) -> bytes:
    """Make a flatbuffer of only the operators that lead from the patch to ``outputs``, with one signature.

    Raises
    ------
    ConfigError
        The model takes sound, and there is no patch inside that a network begins with.
    """
    model = read_model(flatbuffer, source)
    graph = _graph(model, source)
    places = {name_of(tensor): index for index, tensor in enumerate(graph.tensors)}
    absent = [name for name in outputs if name not in places]
    if absent:
        raise ConfigError(f"{source}: no part of it gives {absent[0]!r}")
    return cut_out(model, graph, {PATCH: places[PATCH]}, {name: places[name] for name in outputs}, "network")


def _graph(model: Any, source: str) -> Any:
    """Find the smallest subgraph with the patch."""
    found = [graph for graph in model.subgraphs if any(name_of(tensor) == PATCH for tensor in graph.tensors)]
    if not found:
        raise ConfigError(
            f"{source}: it takes sound itself; a microcontroller has no room for the front end, the board must make "
            "the spectrogram itself and give the network a patch of it"
        )
    return min(found, key=lambda graph: len(graph.operators))
