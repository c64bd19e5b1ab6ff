"""Networks and trees as stages: a patch of the spectrogram in, scores out."""

from __future__ import annotations

from typing import Any

from ecotf.export.stages.stage import Stage, TensorKind
from ecotf.export.stages.trees import trees_function
from ecotf.features.peaks import MEASURES
from ecotf.models.detector import Detector


def score_stages(detector: Detector) -> tuple[Stage, ...]:
    """Make stages from ``patch`` [1, columns, bands, 1] (trees: and ``measures``) to ``scores`` [1, 1 + species]."""
    if detector.trees is None:
        return (_network_stage(detector),)
    return _network_stage(detector), _trees_stage(detector)


def network_outputs(detector: Detector, embedding: bool) -> tuple[str, ...]:
    """List the outputs that the network of a detector must give: the scores, or those that its trees need."""
    if detector.trees is None:
        return ("scores", "embedding") if embedding else ("scores",)
    return ("embedding", "answers") if detector.needs_measures else ("embedding",)


def _network_stage(detector: Detector) -> Stage:
    first = detector.networks[0]
    split = first.backbone.output_shape[1]

    def run(patch: Any) -> dict[str, Any]:
        import tensorflow as tf

        both = first.both(patch, training=False)
        outputs = {"embedding": both[:, :split]}
        answers = both[:, split:]
        if detector.is_cascade:
            answers = tf.concat([answers[:, :1], detector.networks[1].model(patch, training=False)], axis=1)
        # behind trees, the network's own scores are but one more thing that they see
        outputs["scores" if detector.trees is None else "answers"] = answers
        return outputs

    models = tuple(network.both if network is first else network.model for network in detector.networks)
    patch = TensorKind((1, *first.model.input_shape[1:]))
    return Stage("network", run, {"patch": patch}, quantised=True, models=models)


def _trees_stage(detector: Detector) -> Stage:
    assert detector.trees is not None
    predict = trees_function(detector.trees)
    embedding = TensorKind((1, detector.networks[0].backbone.output_shape[1]))
    if not detector.needs_measures:
        return Stage("trees", lambda embedding: predict(embedding), {"embedding": embedding})

    def run(embedding: Any, answers: Any, measures: Any) -> dict[str, Any]:
        import tensorflow as tf

        return predict(tf.concat([embedding, answers, measures], axis=1))

    answers = TensorKind((1, detector.networks[0].model.output_shape[1]))
    inputs = {"embedding": embedding, "answers": answers, "measures": TensorKind((1, len(MEASURES)))}
    return Stage("trees", run, inputs)
