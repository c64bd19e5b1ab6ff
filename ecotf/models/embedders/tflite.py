"""A ``.tflite`` of anybody as an embedder: any tensor in it can be the embedding."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal

import numpy as np

from ecotf.errors import ConfigError
from ecotf.models.embedders.base import EMBEDDERS, Embedder
from ecotf.models.embedders.described import DescribedConfig
from ecotf.models.embedders.described_embedder import DescribedEmbedder
from ecotf.models.embedders.tflite_file import TfliteFile, read_tflite

BEFORE_LAST = "before_last"


class TfliteConfig(DescribedConfig):
    """A ``.tflite``.

    Attributes
    ----------
    embedding
        The tensor with the embedding: its index in the file, its name (or one of the names that are joined by ``;``),
        or ``before_last``, the one that goes into the last operator.
    scores
        The tensor with the scores, alike; none where they are of no use.
    """

    name: Literal["tflite"] = "tflite"
    embedding: int | str
    scores: int | str | None = None

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether it is a ``.tflite``."""
        return path.suffix == ".tflite" and path.is_file()


@EMBEDDERS.register(TfliteConfig)
def build_tflite(config: TfliteConfig) -> Embedder:
    """Open the model; raises `ConfigError` where it does not fit the description or the runtime."""
    return TfliteEmbedder(config)


class TfliteEmbedder(DescribedEmbedder):
    """A ``.tflite`` that embeds windows; see `DescribedEmbedder`."""

    def __init__(self, config: TfliteConfig) -> None:
        if config.model is None:
            raise ConfigError("embedder tflite: no model; say where the .tflite is")
        self._tflite, source = config, str(config.model)
        self._content = _rooted(_read(config.model), config, source)
        self._free: SimpleQueue[_Interpreter] = SimpleQueue()
        super().__init__(config, [config.model], config.scores is not None)

    def _answer(self, window: np.ndarray) -> list[np.ndarray]:
        """Run one window through an interpreter that no other thread uses now."""
        interpreter = None
        with suppress(Empty):
            interpreter = self._free.get_nowait()
        if interpreter is None:
            interpreter = _Interpreter(self._content, self._tflite, str(self._tflite.model))
        answers = interpreter.run(window)
        self._free.put(interpreter)
        return answers


class _Interpreter:
    """The model in the runtime, ready for windows of one length."""

    def __init__(self, content: bytes, config: TfliteConfig, source: str) -> None:
        custom = read_tflite(content, source).custom
        if any(name.startswith("Flex") for name in custom):
            # TensorFlow's own operators. Where TensorFlow is loaded the small runtime would find them, and crash.
            lacking = ", ".join(custom)
            raise ConfigError(f"{source}: cannot be run; it needs operators that the runtime lacks: {lacking}")
        try:
            self._runtime = _runtime()(model_content=content, num_threads=1)
        except (ValueError, RuntimeError) as error:
            raise ConfigError(f"{source}: the runtime cannot read it ({_first_line(error)})") from None
        inputs = self._runtime.get_input_details()
        if len(inputs) != 1 or inputs[0]["dtype"] != np.float32:
            found = ", ".join(f"{one['name']} ({np.dtype(one['dtype']).name})" for one in inputs)
            raise ConfigError(f"{source}: takes {found}; allowed: one tensor of float32, with the sound")
        self._input, self._shape = inputs[0]["index"], _input_shape(inputs[0], config, source)
        try:
            if list(inputs[0]["shape"]) != list(self._shape):
                self._runtime.resize_tensor_input(self._input, self._shape)
            self._runtime.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            lacking = ", ".join(custom)
            why = f"needs operators that the runtime lacks: {lacking}" if lacking else _first_line(error)
            raise ConfigError(f"{source}: cannot be run; it {why}") from None
        self._outputs = [one["index"] for one in self._runtime.get_output_details()]

    def run(self, window: np.ndarray) -> list[np.ndarray]:
        """Run one window ``[samples]``; the answers are copies, the runtime overwrites its own."""
        self._runtime.set_tensor(self._input, window.reshape(self._shape))
        self._runtime.invoke()
        return [np.array(self._runtime.get_tensor(index), np.float32) for index in self._outputs]


def _runtime() -> Any:
    """Load the runtime: the small one that recorders have, or TensorFlow's."""
    with suppress(ImportError):
        from tflite_runtime.interpreter import Interpreter

        return Interpreter
    import tensorflow as tf

    return tf.lite.Interpreter


def _read(path: Path) -> TfliteFile:
    try:
        return read_tflite(path.read_bytes(), str(path))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None


def embedding_tensor(config: TfliteConfig, content: bytes) -> int:
    """Find the tensor of the embedding in the bytes of a model: its index; raises `ConfigError`."""
    source = str(config.model)
    return _tensor(read_tflite(content, source), config.embedding, "embedding", source)


def _rooted(file: TfliteFile, config: TfliteConfig, source: str) -> bytes:
    """Return the file with the embedding and, where there are any, the scores as its outputs."""
    wanted = [_tensor(file, config.embedding, "embedding", source)]
    if config.scores is not None:
        wanted.append(_tensor(file, config.scores, "scores", source))
    return file.with_outputs(wanted)


def _tensor(file: TfliteFile, stated: int | str, key: str, source: str) -> int:
    """Find the tensor that the description calls ``stated``."""
    if isinstance(stated, int):
        if not 0 <= stated < len(file.names):
            raise ConfigError(f"{source}: {key} = {stated}; the model has the tensors 0 to {len(file.names) - 1}")
        return stated
    if stated == BEFORE_LAST:
        return file.last_inputs[0]
    found = [index for index, name in enumerate(file.names) if name == stated]
    found = found or [index for index, name in enumerate(file.names) if stated in name.split(";")]
    if len(found) != 1:
        how = "no tensor has that name" if not found else f"{len(found)} tensors have that name; give an index"
        raise ConfigError(f"{source}: {key} = {stated!r}: {how}")
    return found[0]


def _input_shape(details: dict[str, Any], config: TfliteConfig, source: str) -> tuple[int, ...]:
    """Return the shape of the input for one window; the model may leave some of its sizes open."""
    own = [int(size) for size in details["shape_signature"]]
    if config.input_shape is not None:
        wanted = [size or 1 for size in config.input_shape]
    else:
        wanted = [*([1] * (len(own) - 1)), config.window]
    fits = len(own) == len(wanted) and all(size in (-1, want) for size, want in zip(own, wanted, strict=True))
    if not fits:
        said = f"the description says {wanted}, a window of {config.window} samples"
        raise ConfigError(f"{source}: takes sound of the shape {own} (-1: any); {said}")
    return tuple(wanted)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
