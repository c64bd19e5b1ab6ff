"""A published model: how its checkpoint is known, what it asks of our recipe, and where each tensor goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.errors import ConfigError

if TYPE_CHECKING:
    from ecotf.models.image_network import ClipNetwork

Checkpoint = Mapping[str, np.ndarray]
"""The tensors of a PyTorch state dict by their names."""

# Keras's name of a variable to PyTorch's, and how the axes of a kernel change places.
_SUFFIXES = {
    "kernel": "weight", "depthwise_kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias",
    "moving_mean": "running_mean", "moving_variance": "running_var",
}  # fmt: skip
_TIME_FIRST = {"Dense": (1, 0), "Conv1D": (2, 1, 0), "Conv2D": (2, 3, 1, 0), "DepthwiseConv2D": (2, 3, 0, 1)}
_FREQUENCY_FIRST = {**_TIME_FIRST, "Conv2D": (3, 2, 1, 0), "DepthwiseConv2D": (3, 2, 0, 1)}


@dataclass(frozen=True)
class PublishedModel:
    """A model whose checkpoints can be converted.

    Attributes
    ----------
    name
        That of the recipe ``tagging/<name>``.
    matches
        Whether a checkpoint looks like one of this model, whatever its width.
    module_of
        From the name of a layer of ours to that of the PyTorch module.
    class_module
        The PyTorch module whose rows are the classes.
    overrides
        Settings of the recipe that the checkpoint's shapes ask for, such as ``network.backbone.width=0.5``.
    ignored
        Shell patterns of tensors that have no place here: what is computed from the front end's settings.
    check
        Refuses, with a `ConfigError`, a checkpoint whose ignored tensors say that it was trained on other images;
        takes the checkpoint, the front end's config, the sample rate, and where the checkpoint is from.
    frequency_first
        Whether the published network's images are ``(frequency, time)``; ours are ``(time, frequency)``.
    """

    name: str
    matches: Callable[[Checkpoint], bool]
    module_of: Callable[[str], str]
    class_module: str
    overrides: Callable[[Checkpoint], tuple[str, ...]] = lambda checkpoint: ()
    ignored: tuple[str, ...] = ("*.num_batches_tracked",)
    check: Callable[[Checkpoint, Any, int, str], None] = lambda checkpoint, front_end, sample_rate, where: None
    frequency_first: bool = False

    @property
    def recipe(self) -> str:
        """The recipe of this model."""
        return f"tagging/{self.name}"

    def n_classes(self, checkpoint: Checkpoint, where: str) -> int:
        """Return how many classes the checkpoint knows; raises `ConfigError` where it does not say."""
        return len(self._tensor(checkpoint, f"{self.class_module}.weight", where))

    def carry(self, checkpoint: Checkpoint, network: ClipNetwork, where: str) -> None:
        """Give a network of ours the weights of a checkpoint.

        Raises
        ------
        ConfigError
            A tensor is missing, has another shape, or has no place here; the line names the first.
        """
        axes = _FREQUENCY_FIRST if self.frequency_first else _TIME_FIRST
        names, weights = set(), []
        for layer, variable in _variables(network.model):
            name = f"{self.module_of(layer.name)}.{_SUFFIXES[variable.name]}"
            tensor, shape = self._tensor(checkpoint, name, where), tuple(variable.shape)
            if type(layer).__name__ == "Conv2D" and shape[:2] == (1, 1) and tensor.ndim == 2:
                tensor = tensor[:, :, None, None]  # a Linear over channels is a convolution of 1 by 1
            order = next((axes[c.__name__] for c in type(layer).__mro__ if c.__name__ in axes), None)
            if order is not None and "kernel" in variable.name:
                published = tuple(shape[order.index(axis)] for axis in range(len(order)))
            else:
                order, published = tuple(range(len(shape))), shape
            if tensor.shape != published:
                raise ConfigError(
                    f"{where}: tensor {name!r} has shape {tensor.shape}; {self.name} of this width has {published}"
                )
            names.add(name)
            weights.append((variable, np.transpose(tensor, order)))
        for name in checkpoint:
            if name not in names and not any(fnmatchcase(name, pattern) for pattern in self.ignored):
                raise ConfigError(f"{where}: tensor {name!r} has no place in {self.name}; it is another model")
        for variable, values in weights:
            variable.assign(values)

    def _tensor(self, checkpoint: Checkpoint, name: str, where: str) -> np.ndarray:
        if name not in checkpoint:
            raise ConfigError(f"{where}: tensor {name!r} is missing; a checkpoint of {self.name} has it")
        return checkpoint[name]


def find_model(
    models: Sequence[PublishedModel], checkpoint: Checkpoint, name: str | None, where: str
) -> PublishedModel:
    """Find the model that a checkpoint is of, or the one called ``name``.

    Raises
    ------
    ConfigError
        There is no such model, or the checkpoint looks like none.
    """
    known = ", ".join(model.name for model in models)
    if name is not None:
        found = next((model for model in models if model.name == name), None)
        if found is None:
            raise ConfigError(f"--model {name}: no published model is called so; known: {known}")
        return found
    found = next((model for model in models if model.matches(checkpoint)), None)
    if found is None:
        first = next(iter(checkpoint), "none")
        raise ConfigError(f"{where}: looks like none of {known} (its first tensor is {first!r})")
    return found


def _variables(model: Any) -> Iterator[tuple[Any, Any]]:
    """Go through the layers inside a model and their weights, in the order of ``model.weights`` or any other."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _variables(layer)
        else:
            for variable in layer.weights:
                yield layer, variable
