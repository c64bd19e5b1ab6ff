"""The networks of a training on clips: fresh, with the weights of earlier stages, kept, and read from a run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.errors import ConfigError
from ecotf.models.tagger import WEIGHTS, ClipModel, build_clip_model, read_weights, save_weights
from ecotf.tasks.clips.stages import outside_weights, stage_name

if TYPE_CHECKING:
    from ecotf.models.image_network import ClipNetwork
    from ecotf.tasks.clips.recipe import ClipRecipe
    from ecotf.training.run_store import RunStore


class NetworkModels:
    """The networks of a plan's stages; see `ecotf.tasks.clips.plan.StageModels`.

    Building takes seconds, so a network goes on into the next stage where the classes are the same.
    """

    def __init__(self, plan: ClipRecipe) -> None:
        self._plan = plan
        self._built: _Built | None = None

    def begin(self, number: int, classes: Sequence[str], run_store: RunStore) -> tuple[ClipNetwork, str]:
        """Make a network, with the weights that its stage begins with."""
        source = _source_of(self._plan, number, run_store)
        if source is None:
            network = self._build(classes, pretrained=True).network
            return network, f"{network.n_parameters:,} parameters"
        weights, known = read_weights(source)
        # A stage of this run has the same network: where it knew all classes, a new one would keep nothing of its own.
        covered = outside_weights(self._plan.stages[number].weights_from) is None and set(classes) <= set(known)
        built = self._again(classes) if covered else None
        network = (built or self._build(classes, pretrained=False)).network
        name = source.parent.name if source.name == "weights.npz" else source.name
        try:
            shared = network.carry_rows(weights, known, classes)
        except ConfigError as error:
            try:
                network.carry_trunk(weights)
            except ConfigError:
                raise error from None
            return network, f"backbone of {name}; the head is another one and begins anew"
        return network, f"weights of {name}, {len(shared)} of {len(classes)} classes keep their rows"

    def keep(self, model: Any, classes: Sequence[str], folder: Path) -> None:
        """Write the weights of a network."""
        save_weights(folder / "weights.npz", model.model.get_weights(), classes)

    def finished(self, folder: Path, classes: Sequence[str]) -> ClipModel:
        """Make the trained model."""
        same = self._plan.inference_network == self._plan.network
        built = self._again(classes) if same else None
        model = built or fresh_model(self._plan, classes, pretrained=None)
        weights, kept = read_weights(folder / "weights.npz")
        model.network.carry_rows(weights, kept, classes)
        return model

    def _build(self, classes: Sequence[str], pretrained: bool) -> ClipModel:
        model = fresh_model(self._plan, classes, pretrained)
        self._built = _Built(model, random.getstate(), [variable.numpy() for variable in _seeds_of(model)])
        return model

    def _again(self, classes: Sequence[str]) -> ClipModel | None:
        """Return the network that was built last as if it were new but for its weights; None if it has other classes.

        What is random afterwards is so as after a new one: a training that was killed in between had to build it.
        """
        import keras

        if self._built is None or self._built.model.classes != tuple(classes):
            return None
        keras.utils.set_random_seed(self._plan.seed)
        random.setstate(self._built.drawn)
        for variable, value in zip(_seeds_of(self._built.model), self._built.seeds, strict=True):
            variable.assign(value)
        return self._built.model


@dataclass(frozen=True)
class _Built:
    """A model that was built, and what random numbers went on from then: Python's state, and those of its dropouts."""

    model: ClipModel
    drawn: Any
    seeds: list[np.ndarray]


def _seeds_of(model: ClipModel) -> list[Any]:
    """The variables that are no weights."""
    network = model.network.model
    weights = {id(weight) for weight in network.weights}
    return [variable for variable in network.variables if id(variable) not in weights]


def load_network(plan: ClipRecipe, folder: Path, classes: Sequence[str]) -> ClipModel:
    """Read the network that a run keeps in ``folder``."""
    model = build_clip_model(
        plan.inference_network, classes, plan.front_end, plan.level, plan.sample_rate, plan.clips.seconds,
        plan.activation, pretrained=False,
    )  # fmt: skip
    model.network.load(folder / WEIGHTS)
    return model


def fresh_model(plan: ClipRecipe, classes: Sequence[str], pretrained: bool | None = True) -> ClipModel:
    """Make a model as the plan describes it, its weights drawn with the plan's seed.

    ``pretrained`` says whether the backbone gets the weights that its config names; None is a model to classify with.
    """
    import keras

    keras.utils.set_random_seed(plan.seed)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(plan.precision)
    try:
        return build_clip_model(
            plan.network if pretrained is not None else plan.inference_network, classes, plan.front_end, plan.level,
            plan.sample_rate, plan.clips.seconds, plan.activation, bool(pretrained),
        )  # fmt: skip
    finally:
        keras.config.set_dtype_policy(before)


def _source_of(plan: ClipRecipe, number: int, run_store: RunStore) -> Path | None:
    """Return the file of a stage's first weights; None for fresh weights."""
    source = plan.stages[number].weights_from
    if source == "fresh" or (source == "previous" and number == 0):
        return None
    outside = outside_weights(source)
    if outside is not None:
        if not outside.is_file():
            raise ConfigError(
                f"stage {plan.stages[number].title!r}: weights_from = {source!r} holds no weights; a stage of a run "
                "does, RUN/stages/0_train"
            )
        return outside
    before = number - 1
    if source != "previous":
        before = next(i for i, stage in enumerate(plan.stages) if stage.title == source)
    return run_store.file(stage_name(before, plan.stages[before])) / "weights.npz"
