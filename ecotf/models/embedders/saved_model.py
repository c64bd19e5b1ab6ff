"""A TensorFlow SavedModel of anybody as an embedder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from ecotf.errors import ConfigError
from ecotf.models.embedders.base import EMBEDDERS, Embedder
from ecotf.models.embedders.described import DescribedConfig
from ecotf.models.embedders.described_embedder import DescribedEmbedder

_GRAPH = "saved_model.pb"


class SavedModelConfig(DescribedConfig):
    """A SavedModel folder.

    Attributes
    ----------
    signature
        The function to call.
    input
        Its argument with the sound; its only one if left out.
    embedding, scores
        The outputs of that function.
    """

    name: Literal["saved_model"] = "saved_model"
    signature: str = "serving_default"
    input: str | None = None
    embedding: str
    scores: str | None = None

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether it is a SavedModel folder."""
        return (path / _GRAPH).is_file()


@EMBEDDERS.register(SavedModelConfig)
def build_saved_model(config: SavedModelConfig) -> Embedder:
    """Load the model; raises `ConfigError` where it does not fit the description."""
    return SavedModelEmbedder(config)


class SavedModelEmbedder(DescribedEmbedder):
    """A SavedModel that embeds windows; see `DescribedEmbedder`. TensorFlow itself shares the cores out.

    Attributes
    ----------
    model
        What TensorFlow loaded.
    shape
        Of the sound of one window.
    """

    def __init__(self, config: SavedModelConfig) -> None:
        if config.model is None or not config.recognises(config.model):
            raise ConfigError(f"{config.model}: no SavedModel folder; it would hold {_GRAPH}")
        source = str(config.model)
        self.model = _load(config.model)
        self._call = _signature(self.model, config.signature, source)
        arguments = self._call.structured_input_signature[1]
        self._input = _chosen(config.input, sorted(arguments), "argument", source)
        self.shape = _input_shape(arguments[self._input], config, source)
        outputs = sorted(self._call.structured_outputs)
        named = [config.embedding, *([] if config.scores is None else [config.scores])]
        self._outputs = [_chosen(name, outputs, "output", source) for name in named]
        super().__init__(config, _files(config.model), config.scores is not None)
        self.threads = 1

    def embed_in_graph(self, window: Any) -> Any:
        """Embed one window, a tensor of ``shape``, as a part of a larger graph."""
        return self._call(**{self._input: window})[self._outputs[0]]

    def _answer(self, window: np.ndarray) -> list[np.ndarray]:
        import tensorflow as tf

        try:
            answers = self._call(**{self._input: tf.constant(window.reshape(self.shape))})
        except (tf.errors.OpError, ValueError, TypeError) as error:
            raise ConfigError(f"{self._source}: cannot be run ({_first_line(error)})") from None
        return [np.array(answers[name], np.float32) for name in self._outputs]


def _load(folder: Path) -> Any:
    import tensorflow as tf

    try:
        return tf.saved_model.load(str(folder))
    except Exception as error:  # TensorFlow raises errors of many kinds for a damaged folder
        raise ConfigError(f"{folder}: cannot be loaded as a SavedModel ({_first_line(error)})") from None


def _signature(model: Any, name: str, source: str) -> Any:
    known = sorted(model.signatures)
    if name not in known:
        raise ConfigError(f"{source}: has no signature {name!r}; it has: {', '.join(known) or 'none'}")
    return model.signatures[name]


def _chosen(name: str | None, known: list[str], what: str, source: str) -> str:
    if name is None and len(known) == 1:
        return known[0]
    if name not in known:
        said = f"no {what} {name!r}" if name is not None else f"{len(known)} of {what}; say which"
        raise ConfigError(f"{source}: the signature has {said}; it has: {', '.join(known)}")
    return name


def _input_shape(argument: Any, config: SavedModelConfig, source: str) -> list[int]:
    """Return the shape of the argument for one window."""
    own = None if argument.shape.rank is None else argument.shape.as_list()
    axes = 2 if own is None else len(own)
    wanted = [size or 1 for size in config.input_shape or [*([None] * (axes - 1)), config.window]]
    if argument.dtype.name != "float32" or not argument.shape.is_compatible_with(wanted):
        takes = f"takes {argument.dtype.name} of the shape {own}"
        raise ConfigError(f"{source}: {takes}; expected was float32 {wanted}, a window of {config.window} samples")
    return wanted


def _files(folder: Path) -> list[Path]:
    return [folder / _GRAPH, *sorted(path for path in (folder / "variables").glob("*") if path.is_file())]


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
