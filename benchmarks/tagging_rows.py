"""The rows of the tagging benchmark. Settings are for few clips and a laptop, and were not chosen on tested clips."""

from __future__ import annotations

from tagging_models import Model, Statistics, Trained

LENGTH = ("clips.seconds={seconds}", "inference.segment_s={seconds}")
# The published recipes are for AudioSet's millions of clips: fewer epochs, no accumulation, the epoch by validation.
FEW = (
    "stages.0.accumulation=1", "stages.0.batch=16", "stages.0.learning_rate=0.002",
    "stages.0.schedule={{name: cosine_restarts, least: 1.0e-5, warmup_epochs: 2}}", "stages.0.keep=best",
)  # fmt: skip
MN02 = (*LENGTH, *FEW, "stages.0.epochs=40")
YAMNET, BIRDNET = "ECOTF_YAMNET", "ECOTF_BIRDNET"

MODELS: dict[str, Model] = {
    "statistics": Statistics(),
    "birds_small": Trained("`birds/small`", "from scratch", "birds/small", LENGTH, sets=("phoebe",)),
    "small": Trained("`tagging/small`", "from scratch", "tagging/small", LENGTH),
    "cnn6": Trained(
        "`tagging/cnn6` at a quarter of its width", "from scratch", "tagging/cnn6",
        (*LENGTH, *FEW, "network.backbone.width=0.25", "stages.0.epochs=24"),
    ),
    "mn02": Trained("`tagging/mn02`", "from scratch", "tagging/mn02", MN02),
    "yamnet": Trained("YAMNet's embedding and a head", "transfer", "tagging/transfer", (), YAMNET),
    "birdnet": Trained("BirdNET's embedding and a head", "transfer", "tagging/transfer", (), BIRDNET),
    "mn02_scores": Trained(
        "`tagging/mn02`, taught by BirdNET and a head", "with a teacher", "tagging/mn02", MN02, BIRDNET, "birdnet",
    ),
    "mn02_embeddings": Trained(
        "`tagging/mn02`, taught BirdNET's embedding", "with a teacher", "tagging/mn02", MN02, BIRDNET, "birdnet_2.4",
        "embeddings",
    ),
}  # fmt: skip
