"""One model from several: subgraphs made of converted stages, with constants that all of them share."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from typing import Any

from ecotf.errors import ConfigError
from ecotf.export.convert.flatbuffer import model_bytes, name_of, operator_number, read_model, schema, tensor_map
from ecotf.export.stages.stage import Signature


def chain_stages(converted: Mapping[str, bytes], signatures: Mapping[str, Signature]) -> bytes:
    """Chain converted stages into one flatbuffer with a subgraph for each signature.

    The output of a stage is the input of that name of a later one; an input that no earlier stage gives is one of the
    signature's. The first signature is the one that programs run which know of none.

    Parameters
    ----------
    converted
        Stage to its own flatbuffer, as the converter wrote it, each with one signature.

    Returns
    -------
    The flatbuffer.
    """
    made = _Joined({name: read_model(content, f"stage {name}") for name, content in converted.items()})
    # Subgraphs of loops are called by number, so what signatures call comes first.
    made.model.subgraphs = [schema().SubGraphT() for _ in signatures]
    made.model.signatureDefs = [
        made.fill(number, name, signature) for number, (name, signature) in enumerate(signatures.items())
    ]
    return model_bytes(made.model)


class _Joined:
    """The model that grows; constants of equal bytes are kept once."""

    def __init__(self, stages: dict[str, Any]) -> None:
        self.stages = stages
        self.model = schema().ModelT()
        self.model.version = 3
        self.model.description = b"ecotf"
        self.model.operatorCodes = []
        self.model.buffers = [schema().BufferT()]  # the first is that of every tensor without values
        self.model.metadata = []
        self._buffers: dict[bytes, int] = {}
        self._codes: dict[tuple[int, int, Any], int] = {}

    def fill(self, number: int, name: str, signature: Signature) -> Any:
        """Make the subgraph ``number`` for a signature; returns its definition."""
        graph = self.model.subgraphs[number]
        graph.name = name.encode()
        graph.tensors, graph.operators = [], []
        known: dict[str, int] = {}
        inputs: dict[str, int] = {}
        for stage in signature.stages:
            model = self.stages[stage]
            taken, given = _ends(model, stage)
            placed = self._add(graph, model, stage, {index: known[end] for end, index in taken.items() if end in known})
            inputs |= {end: placed[index] for end, index in taken.items() if end not in known}
            known |= {end: placed[index] for end, index in taken.items()}
            known |= {end: placed[index] for end, index in given.items()}
        absent = [output for output in signature.outputs if output not in known]
        if absent:
            raise ConfigError(f"signature {name}: none of the stages {', '.join(signature.stages)} gives {absent[0]!r}")
        graph.inputs = list(inputs.values())
        graph.outputs = [known[output] for output in signature.outputs]
        for end, index in known.items():  # also between stages, so that a rehearsal finds what passes there
            graph.tensors[index].name = end.encode()
        definition = schema().SignatureDefT()
        definition.signatureKey = name.encode()
        definition.subgraphIndex = number
        definition.inputs = [tensor_map(end, index) for end, index in inputs.items()]
        definition.outputs = [tensor_map(output, known[output]) for output in signature.outputs]
        return definition

    def _add(self, graph: Any, model: Any, stage: str, joined: dict[int, int]) -> list[int]:
        """Append a stage to ``graph``; ``joined`` says which of its tensors are there already. Returns their places."""
        inner = {0: None}
        for below in range(1, len(model.subgraphs)):
            inner[below] = len(self.model.subgraphs)  # type: ignore[assignment]
            self.model.subgraphs.append(schema().SubGraphT())
        for below, place in inner.items():
            if place is not None:
                self._copy(self.model.subgraphs[place], model, below, stage, {}, inner)
        return self._copy(graph, model, 0, stage, joined, inner)

    def _copy(
        self, graph: Any, model: Any, below: int, stage: str, joined: dict[int, int], inner: Mapping[int, int | None]
    ) -> list[int]:
        source = model.subgraphs[below]
        graph.tensors, graph.operators = graph.tensors or [], graph.operators or []
        places: list[int] = []
        for index, tensor in enumerate(source.tensors):
            if index in joined:
                places.append(joined[index])
                continue
            tensor = copy.copy(tensor)
            tensor.name = f"{stage}/{name_of(tensor)}".encode()
            tensor.buffer = self._buffer(model.buffers[tensor.buffer])
            places.append(len(graph.tensors))
            graph.tensors.append(tensor)
        for operator in source.operators:
            operator = copy.deepcopy(operator)
            operator.opcodeIndex = self._code(model.operatorCodes[operator.opcodeIndex])
            for ends in ("inputs", "outputs", "intermediates"):
                indices = getattr(operator, ends)
                if indices is not None:
                    setattr(operator, ends, [places[index] if index >= 0 else index for index in indices])
            for called in ("condSubgraphIndex", "bodySubgraphIndex", "thenSubgraphIndex", "elseSubgraphIndex"):
                if hasattr(operator.builtinOptions, called):
                    setattr(operator.builtinOptions, called, inner[getattr(operator.builtinOptions, called)])
            graph.operators.append(operator)
        if below:
            graph.name = f"{stage}/{below}".encode()
            graph.inputs = [places[index] for index in source.inputs]
            graph.outputs = [places[index] for index in source.outputs]
        return places

    def _buffer(self, buffer: Any) -> int:
        data = buffer.data
        if data is None or not len(data):
            return 0
        key = hashlib.sha256(bytes(data)).digest()
        if key not in self._buffers:
            self._buffers[key] = len(self.model.buffers)
            kept = schema().BufferT()
            kept.data = data
            self.model.buffers.append(kept)
        return self._buffers[key]

    def _code(self, code: Any) -> int:
        key = operator_number(code), code.version, code.customCode
        if key not in self._codes:
            self._codes[key] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        return self._codes[key]


def _ends(model: Any, stage: str) -> tuple[dict[str, int], dict[str, int]]:
    """Tensors of a stage's named inputs and outputs."""
    if not model.signatureDefs or len(model.signatureDefs) != 1:
        raise ConfigError(f"stage {stage}: it was converted without a signature")
    definition = model.signatureDefs[0]
    taken, given = (
        {_text(end.name): end.tensorIndex for end in ends} for ends in (definition.inputs, definition.outputs)
    )
    return taken, given


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
