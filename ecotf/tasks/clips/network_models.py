"""The networks of a training on clips: fresh, with the weights of earlier stages, kept, and read from a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecotf.errors import ConfigError
from ecotf.models.tagger import WEIGHTS, ClipModel, build_clip_model, read_weights, save_weights
from ecotf.tasks.clips.stages import outside_weights, stage_name

if TYPE_CHECKING:
    from ecotf.models.image_network import ClipNetwork
    from ecotf.tasks.clips.recipe import ClipRecipe
    from ecotf.training.run_store import RunStore


class NetworkModels:
    """The networks of a plan's stages; see `ecotf.tasks.clips.plan.StageModels`."""

    def __init__(self, plan: ClipRecipe) -> None:
        self._plan = plan

    def begin(self, number: int, classes: Sequence[str], run_store: RunStore) -> tuple[ClipNetwork, str]:
        """Make a network, with the weights that its stage begins with."""
        source = _source_of(self._plan, number, run_store)
        network = fresh_model(self._plan, classes, pretrained=source is None).network
        if source is None:
            return network, f"{network.n_parameters:,} parameters" if number == 0 else "continues"
        weights, known = read_weights(source)
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
        model = fresh_model(self._plan, classes, pretrained=None)
        weights, kept = read_weights(folder / "weights.npz")
        model.network.carry_rows(weights, kept, classes)
        return model


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
