"""A run of task clips as the embedder inside another run's export: its front end and its network, as layers.

Importing this module adds runs to what `ecotf.export.stages.frozen.embedder_stages` can export.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ecotf.detection.segments import margin_of
from ecotf.errors import ConfigError
from ecotf.export.stages.frozen import embedder_stages, named
from ecotf.export.stages.sound import spectrogram_function
from ecotf.export.stages.stage import Stage, TensorKind
from ecotf.export.stages.tagger import fix_length
from ecotf.models.embedders import EmbedderConfig
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.clips.run import ClipsRun
from ecotf.tasks.loading import load_runs
from ecotf.tasks.run_embedder import RunEmbedder, RunEmbedderConfig


@embedder_stages.register(RunEmbedderConfig)
def _of_run(config: RunEmbedderConfig, number: int, numbers: int) -> tuple[Stage, ...]:
    """The image of a window, and the network up to its embedding, which alone takes a precision."""
    run, samples = _heard_as_one(config)
    model = run.model
    fixed = fix_length(model, run.recipe.inference_network, samples / model.sample_rate)
    taken, seen, given = f"window_{number}", f"image_{number}", f"embedding_{number}"
    embedding = fixed.network.embedding
    picture = _picture(run)

    def look(window: Any) -> dict[str, Any]:
        return {seen: picture(window)}

    def embed(image: Any) -> dict[str, Any]:
        return {given: embedding(fixed.features(fixed.seen(image)))}

    layers = tuple(layer for layer in (*fixed.trunk, fixed.front_end) if layer is not None and layer.weights)
    image = TensorKind((1, *fixed.image_shape))
    return (
        Stage(taken.replace("window", "front_end"), named(look, (taken,)), {taken: TensorKind((1, samples))}),
        Stage(f"embedder_{number}", named(embed, (seen,)), {seen: image}, True, layers),
    )


def network_inputs(config: EmbedderConfig, number: int, windows: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the images of windows ``[n, samples]`` by the name of the stage's input; nothing of other embedders."""
    if not isinstance(config, RunEmbedderConfig):
        return {}
    run, _ = _heard_as_one(config)
    return {f"image_{number}": run.model.images(windows)}


def _picture(run: ClipsRun) -> Any:
    """Make the function from sound [1, samples] to an image."""
    from ecotf.features.image_layer import ImageLayer

    if run.model.front_end.in_graph:
        return lambda sound: sound[..., None, None]
    compute, picture = spectrogram_function(run.model.front_end, run.model.sample_rate), ImageLayer(run.model.image)
    return lambda sound: picture(compute(sound))


def _heard_as_one(config: RunEmbedderConfig) -> tuple[Any, int]:
    """Return the run, and the samples of a window that its network hears as one; raises `ConfigError`."""
    assert config.model is not None
    run: Any = load_runs([config.model])
    if not isinstance(run.recipe, ClipRecipe):
        raise ConfigError(
            f"{config.model}: a run of {run.recipe.name} as an embedder has no form in one file with a head; export a "
            "head on a .tflite, a SavedModel or a run with a network of clips, or classify on a computer"
        )
    samples = RunEmbedder(config).samples
    alone = samples == round(run.segment_s * run.model.sample_rate) and margin_of(run.model, run.recipe.inference) == 0
    if not (config.whole or alone):
        raise ConfigError(
            f"{config.model}: its windows of {samples / run.model.sample_rate:g} s are not what its network hears at "
            "once, which has no form in one file with a head; set embedder.window_s, or classify on a computer"
        )
    return run, samples
