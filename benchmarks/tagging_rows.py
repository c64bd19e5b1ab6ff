"""The rows of the tagging benchmark. Settings are for few clips and a laptop, and were not chosen on tested clips."""

from __future__ import annotations

from tagging_models import Model, Statistics, Trained

LENGTH = ("clips.seconds={seconds}", "inference.segment_s={seconds}")
# The published recipes are for millions of clips with several classes each. Here: one class a clip, fewer epochs, crops
# of half a clip where there is sound, and the epoch that validates best.
FEW = (
    *LENGTH, "clips.crop=energy", "stages.0.seconds=2.5", "stages.0.loss={{name: cross_entropy, average: clips}}",
    "stages.0.schedule={{name: cosine_restarts, least: 1.0e-5, warmup_epochs: 2}}", "stages.0.batch=16",
    "stages.0.keep=best",
)  # fmt: skip
CNN6 = (
    *FEW, "network.backbone.width=0.25", "stages.0.sampler={{name: plain}}", "stages.0.learning_rate=0.002",
    "stages.0.epochs=30",
)  # fmt: skip
MN02 = (*FEW, "stages.0.accumulation=1", "stages.0.learning_rate=0.003", "stages.0.epochs=40")
YAMNET, BIRDNET = "ECOTF_YAMNET", "ECOTF_BIRDNET"

MODELS: dict[str, Model] = {
    "statistics": Statistics(),
    "birds_small": Trained("`birds/small`", "from scratch", "birds/small", LENGTH, sets=("phoebe",)),
    "small": Trained("`tagging/small`", "from scratch", "tagging/small", LENGTH),
    "cnn6": Trained(
        "`tagging/cnn6` at a quarter of its width", "from scratch", "tagging/cnn6", CNN6, sets=("esc50",)
    ),
    "mn02": Trained("`tagging/mn02`", "from scratch", "tagging/mn02", MN02, sets=("esc50",)),
    "yamnet": Trained(
        "YAMNet's embedding and a head", "transfer", "tagging/transfer",
        ("embedder.model={file}", "embedder.description=yamnet"), YAMNET,
    ),
    "birdnet": Trained(
        "BirdNET's embedding and a head", "transfer", "tagging/transfer",
        ("embedder.model={file}", "embedder.description=birdnet_2.4"), BIRDNET,
    ),
    "both": Trained(
        "BirdNET's and YAMNet's embeddings and a head", "transfer", "tagging/transfer",
        ("embedder.model={both}", "embedder.description=null"), BIRDNET,
    ),
    "mn02_scores": Trained(
        "`tagging/mn02`, taught by BirdNET and a head", "with a teacher", "tagging/mn02", MN02, BIRDNET, "birdnet",
        sets=("esc50",),
    ),
    "mn02_embeddings": Trained(
        "`tagging/mn02`, taught BirdNET's embedding", "with a teacher", "tagging/mn02", MN02, BIRDNET, "birdnet_2.4",
        "embeddings", ("esc50",),
    ),
}  # fmt: skip
