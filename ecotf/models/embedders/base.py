"""The contract of embedders, their registry, and opening one from what a user has."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import Field

from ecotf.config import Config, read_yaml, validate
from ecotf.errors import ConfigError
from ecotf.registry import Registry

if TYPE_CHECKING:
    import numpy as np

DESCRIPTIONS = Path(__file__).parent
"""The folder of the descriptions that come with ecotf."""


class EmbedderConfig(Config):
    """The settings that all embedders share: the contents of a description.

    Attributes
    ----------
    described
        It needs a description; without one ecotf cannot know what its numbers mean.
    has_model
        It is made of a file or folder of its own; otherwise its description says all, and is its ``model``.
    title
        One line for people.
    licence
        A note on who may use the model for what.
    model
        The path of the model; relative to the description.
    hop_s
        From the start of a window to the start of the next, in seconds; the length of a window if left out.
    """

    described: ClassVar[bool] = True
    has_model: ClassVar[bool] = True

    name: str
    title: str = ""
    licence: str = ""
    model: Path | None = None
    hop_s: float | None = Field(None, gt=0)

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether ``path``, a file or a folder, is a model of this kind."""
        return False

    @property
    def window_s(self) -> float | None:
        """Length of a window in seconds; None where only the opened model knows."""
        return None

    def located(self, model: Path, folder: Path) -> EmbedderConfig:
        """Return it with the full path of the model; ``folder`` is that of the description."""
        return self.model_copy(update={"model": model.resolve()})


class Embedder(Protocol):
    """A model that turns windows of sound into rows of numbers.

    Attributes
    ----------
    config
        The description, with the full path of the model; `build_embedder` makes the same embedder of it again.
    sample_rate
        In Hz; sound is resampled to it.
    samples
        The length of a window.
    hop_samples
        From the start of a window to the start of the next.
    numbers
        The length of an embedding.
    classes
        The names of its own scores; empty where it gives none or they have no names.
    title
        One line for people.
    licence
        A note on who may use it for what; empty where that is unknown.
    digest
        Of the model's bytes, and of what of the description changes an embedding.
    threads
        Processor cores to use; where TensorFlow runs the model, it shares them out itself.
    """

    config: EmbedderConfig
    sample_rate: int
    samples: int
    hop_samples: int
    numbers: int
    classes: tuple[str, ...]
    title: str
    licence: str
    digest: str
    threads: int

    def embed(self, windows: np.ndarray) -> np.ndarray:
        """Embed windows of sound, float32 ``[n, samples]`` in -1 to 1: float32 ``[n, numbers]``."""

    def scores(self, windows: np.ndarray) -> np.ndarray:
        """Compute its own scores: probabilities, float32 ``[n, classes]``; raises `ConfigError` where it has none."""


EMBEDDERS: Registry[Embedder] = Registry("embedder")
"""All embedders; each is built with its config alone, whose ``model`` is a full path."""


def build_embedder(config: EmbedderConfig) -> Embedder:
    """Build the embedder that ``config`` describes; raises `ConfigError` where the model does not fit it."""
    return EMBEDDERS.build(config)


def described_embedders() -> list[str]:
    """List the names of the descriptions that come with ecotf.

    Examples
    --------
    >>> "birdnet_2.4" in described_embedders()
    True
    """
    return sorted(path.stem for path in DESCRIPTIONS.glob("*.yaml"))


def open_embedder(what: str | Path, model: str | Path | None = None, hop_s: float | None = None) -> Embedder:
    """Open an embedder.

    Parameters
    ----------
    what
        A run folder; a SavedModel folder or a ``.tflite`` with a description beside it (``perch.yaml`` beside
        ``perch/`` or ``perch.tflite``); a description, a ``.yaml``; or the name of a description that comes with
        ecotf (`described_embedders`).
    model
        The model's own file or folder, where ``what`` is a description.
    hop_s
        Seconds from one window to the next, in place of what the description says.

    Raises
    ------
    ConfigError
        Nothing of that kind is there, or the model does not fit its description.

    Examples
    --------
    >>> open_embedder("yamnet")
    Traceback (most recent call last):
    ecotf.errors.ConfigError: yamnet: ecotf brings the description, not the model; say where your file of it is
    """
    config = find_config(what, model)
    return build_embedder(config if hop_s is None else with_hop(config, hop_s))


def find_config(what: str | Path, model: str | Path | None = None) -> EmbedderConfig:
    """Find the description of an embedder, as for `open_embedder`; ``model`` in it is a full path."""
    path, known = Path(what), described_embedders()
    if str(what) in known:
        if model is None:
            raise ConfigError(f"{what}: ecotf brings the description, not the model; say where your file of it is")
        description = DESCRIPTIONS / f"{what}.yaml"
        return _located(read_description(description), Path(model), description)
    if path.suffix in (".yaml", ".yml"):
        config = read_description(path)
        if not config.has_model:
            return config.located(path, path.parent)
        stated = Path(model) if model is not None else config.model
        if stated is None:
            raise ConfigError(f"{path}: no model; add the key model, or say where the model is")
        return _located(config, stated if model is not None else path.parent / stated, path)
    if model is not None:
        raise ConfigError(f"{what}: a model of its own goes with a description: {', '.join(known)}, or a .yaml file")
    if path.exists():
        return _of_path(path)
    near = difflib.get_close_matches(str(what), known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ConfigError(f"{what}: no such file or folder, and no description of ecotf ({', '.join(known)}){hint}")


def open_again(values: Mapping[str, Any], what: str) -> Embedder:
    """Open an embedder by its description with the full path of the model, as kept beside embeddings.

    Raises
    ------
    ConfigError
        The model is not there any more, or the description is of another version of ecotf. The line begins with
        ``what``.
    """
    kind, model = _kinds().get(str(values.get("name"))), values.get("model")
    if kind is None or model is None:
        raise ConfigError(f"{what}: it is not kept which embedder made it; say which, and where its model is")
    if not Path(model).exists():
        raise ConfigError(f"{what}: its embedder was {model}, which is not there any more; say where it is")
    return open_embedder(model) if not kind.has_model else build_embedder(validate(kind, dict(values), what))


def described_window(what: str | Path | None, model: str | Path | None) -> float | None:
    """Return the length of a window in seconds as a description says it, without opening the model.

    The parameters are those of `open_embedder`, or a ``model`` that has its description beside it. None where it cannot
    be known.

    Examples
    --------
    >>> described_window("birdnet_2.4", None)
    3.0
    """
    if what is None:
        return None if model is None else find_config(model).window_s
    path = DESCRIPTIONS / f"{what}.yaml" if str(what) in described_embedders() else Path(what)
    return read_description(path).window_s


def read_description(path: Path) -> EmbedderConfig:
    """Read a description: YAML whose key ``name`` says which kind of embedder it is; raises `ConfigError`."""
    values = read_yaml(path)
    name = values.get("name") if isinstance(values, dict) else None
    kinds = _kinds()
    if isinstance(values, dict) and name not in kinds:
        raise ConfigError(f"{path}: name = {name!r}; allowed: {', '.join(kinds)}")
    return validate(kinds.get(str(name), EmbedderConfig), values, str(path))


def with_hop(config: EmbedderConfig, hop_s: float) -> EmbedderConfig:
    """Return ``config`` with another hop, checked."""
    if not 0 < hop_s < float("inf"):
        raise ConfigError(f"hop of {hop_s} s; allowed: more than 0")
    return config.model_copy(update={"hop_s": hop_s})


def _of_path(path: Path) -> EmbedderConfig:
    """Describe a model that is a file or a folder, by what is beside it where it needs that."""
    for name, kind in _kinds().items():
        if not kind.recognises(path):
            continue
        if not kind.described:
            return validate(kind, {"name": name, "model": path.resolve()}, str(path))
        beside = path.with_name(f"{path.name if path.is_dir() else path.stem}.yaml")
        if not beside.exists():
            known = ", ".join(described_embedders())
            raise ConfigError(f"{path}: needs a description, {beside.name} beside it, or one of ecotf: {known}")
        return _located(read_description(beside), path, beside)
    raise ConfigError(f"{path}: no embedder; allowed: a run or SavedModel folder, a .tflite, a description (.yaml)")


def _kinds() -> dict[str, type[EmbedderConfig]]:
    """Return the config class of every kind of embedder, by its name."""
    classes = {entry.name: entry.config_class for entry in EMBEDDERS}
    return {name: kind for name, kind in classes.items() if issubclass(kind, EmbedderConfig)}


def _located(config: EmbedderConfig, model: Path, description: Path) -> EmbedderConfig:
    """Return ``config`` with the full path of its model, which must be there and of its kind."""
    if not model.exists():
        raise ConfigError(f"{description.stem}: model {model}: no such file or folder")
    if not config.recognises(model):
        raise ConfigError(f"{description.stem}: {model} is no model of the kind {config.name}")
    return config.located(model, description.parent)
