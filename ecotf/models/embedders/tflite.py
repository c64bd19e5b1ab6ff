"""A ``.tflite`` of anybody as an embedder: any tensor in it can be the embedding."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal

import numpy as np

from ecotf.errors import ConfigError
from ecotf.features.threads import in_threads
from ecotf.models.embedders.base import EMBEDDERS, Embedder, EmbedderConfig
from ecotf.models.embedders.described import (
    DescribedConfig,
    check_classes,
    check_numbers,
    check_windows,
    digest_of,
    one_row,
    probabilities,
)
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


class TfliteEmbedder:
    """A ``.tflite`` that embeds windows; see `ecotf.models.embedders.base.Embedder`.

    Windows go through the model one at a time, in as many threads as there are cores: 16 at once are 5 % faster and
    change the last digit of an embedding with its company.

    Attributes
    ----------
    threads
        Cores to use.
    """

    def __init__(self, config: TfliteConfig) -> None:
        if config.model is None:
            raise ConfigError("embedder tflite: no model; say where the .tflite is")
        self.config: EmbedderConfig = config
        self._config = config
        self.sample_rate, self.samples, self.hop_samples = config.rate_hz, config.window, config.hop
        self.title, self.licence = config.title or config.model.name, config.licence
        self.threads = len(os.sched_getaffinity(0))
        self._source = str(config.model)
        self._content, self._has_scores = _rooted(_read(config.model), config, self._source)
        self._free: SimpleQueue[_Interpreter] = SimpleQueue()
        answers = self._run(np.zeros(self.samples, np.float32))
        self.numbers = len(one_row(answers[0], "the embedding", config.numbers, self._source))
        self.classes = config.read_labels() if self._has_scores else ()
        if self.classes and config.labels is not None:
            named = f"the tensor of scores, of which {config.labels} names {len(self.classes)},"
            one_row(answers[1], named, len(self.classes), self._source)
        self.digest = digest_of(config, [config.model])

    def embed(self, windows: np.ndarray) -> np.ndarray:
        """Embed windows ``[n, samples]``: float32 ``[n, numbers]``."""
        return check_numbers(self._rows(windows, 0, self.numbers), self._source)

    def scores(self, windows: np.ndarray) -> np.ndarray:
        """Compute the model's own scores: probabilities ``[n, classes]``."""
        check_classes(self._config, self.classes, self._source)
        rows = self._rows(windows, 1, len(self.classes))
        return check_numbers(probabilities(rows, self._config.activation), self._source)

    def _rows(self, windows: np.ndarray, output: int, numbers: int) -> np.ndarray:
        windows = check_windows(windows, self.samples, self._source)
        rows = np.empty((len(windows), numbers), np.float32)

        def work(number: int) -> None:
            rows[number] = self._run(windows[number])[output].reshape(-1)

        in_threads(work, len(windows), self.threads)
        return rows

    def _run(self, window: np.ndarray) -> list[np.ndarray]:
        """Run one window through an interpreter that no other thread uses now."""
        interpreter = None
        with suppress(Empty):
            interpreter = self._free.get_nowait()
        if interpreter is None:
            interpreter = _Interpreter(self._content, self._config, self._source)
        answers = interpreter.run(window)
        self._free.put(interpreter)
        return answers


class _Interpreter:
    """The model in the runtime, ready for windows of one length."""

    def __init__(self, content: bytes, config: TfliteConfig, source: str) -> None:
        self._scale = np.float32(config.scale)
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
            lacking = ", ".join(read_tflite(content, source).custom)
            why = f"needs operators that the runtime lacks: {lacking}" if lacking else _first_line(error)
            raise ConfigError(f"{source}: cannot be run; it {why}") from None
        self._outputs = [one["index"] for one in self._runtime.get_output_details()]

    def run(self, window: np.ndarray) -> list[np.ndarray]:
        """Run one window ``[samples]``; the answers are copies, the runtime overwrites its own."""
        self._runtime.set_tensor(self._input, (window * self._scale).reshape(self._shape))
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


def _rooted(file: TfliteFile, config: TfliteConfig, source: str) -> tuple[bytes, bool]:
    """Return the file with the embedding and the scores as its outputs, and whether there are scores."""
    wanted = [_tensor(file, config.embedding, "embedding", source)]
    if config.scores is not None:
        wanted.append(_tensor(file, config.scores, "scores", source))
    return file.with_outputs(wanted), len(wanted) > 1


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
