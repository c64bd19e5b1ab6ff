"""The settings of a head on a frozen embedder: how most trainings on a few clips of each class should start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import Field, model_validator

from ecotf.config import Config
from ecotf.detection.segment_model import SegmentModel
from ecotf.errors import ConfigError
from ecotf.models.heads import HEADS, EmbeddingsHead, TableHead
from ecotf.tasks.clips.fit_head import FitHeadStage
from ecotf.tasks.clips.plan import ClipPlan, StageModels
from ecotf.training.stages import STAGES

if TYPE_CHECKING:
    from ecotf.export.exportable import Exportable
    from ecotf.tasks.clips.run import ClipsRun

    HeadStage: TypeAlias = FitHeadStage
else:
    HeadStage = STAGES.config_type(learns_from="clips", fits="head")


class EmbedderChoice(Config):
    """The user's own model, by its file and a description; see `ecotf.models.embedders.open_embedder`.

    Attributes
    ----------
    model
        A run folder, a SavedModel folder or a ``.tflite``. The run keeps a copy of it.
    description
        One that comes with ecotf (``birdnet_2.4``, ``perch``, ``yamnet``) or a ``.yaml``; a run needs none, nor does a
        model that has it beside it.
    hop_s
        At most so many seconds from one window to the next; by default as described.
    listen_s
        What is kept of each window, in its middle, with a fade on both sides and silence beyond: for calls that are
        much shorter than the window. By default all of it.
    window_s
        Of a run as an embedder: its network hears windows of this length, each as one. By default its segments.
    """

    model: Path | None = None
    description: str | None = None
    hop_s: float | None = Field(None, gt=0)
    listen_s: float | None = Field(None, gt=0)
    window_s: float | None = Field(None, gt=0)


class TransferRecipe(ClipPlan):
    """A frozen embedder, and the head that is fitted on its embeddings.

    Attributes
    ----------
    head
        ``logistic``, ``network``, ``trees`` or ``nearest_mean``.
    pool
        What is averaged where a segment holds several windows of the embedder: their ``embeddings``, or their
        ``scores``, and then the head learns from each window.

    By default a segment is one window of the embedder (``inference.segment_s``), and a training clip is a segment
    (``clips.seconds``). With ``inference.window_s`` segments are shorter than what is heard around each; each is then
    one frame, and ``inference.report: events`` makes events of them.
    """

    stages: tuple[HeadStage, ...] = Field(min_length=1, max_length=1)
    embedder: EmbedderChoice = EmbedderChoice()
    head: EmbeddingsHead
    pool: Literal["embeddings", "scores"] = "embeddings"

    def check(self) -> None:
        """Refuse an embedder that is not there, or does not fit its description (`ConfigError`)."""
        from ecotf.tasks.clips.head_models import open_chosen

        open_chosen(self)

    def read_head(self, folder: Path) -> TableHead:
        """Read a fitted head."""
        return self.head.load(folder)

    def models(self, cache: Path | None) -> StageModels:
        """Return the embedder, and the head of the stage."""
        from ecotf.tasks.clips.head_models import HeadModels

        return HeadModels(self, cache)

    def load_model(self, folder: Path, classes: Sequence[str]) -> SegmentModel:
        """Read the embedder and the head of a run."""
        from ecotf.tasks.clips.head_models import load_frozen

        return load_frozen(self, folder, classes)

    def exportable(self, run: ClipsRun) -> Exportable:
        """Return what export needs of a run with an embedder."""
        from ecotf.tasks.clips.transfer_export import TransferExport

        return TransferExport(run)

    @model_validator(mode="before")
    @classmethod
    def _segments_of_the_embedder(cls, values: Any) -> Any:
        """Fill in the length of a segment and of a training clip where they are left out."""
        if not isinstance(values, dict):
            return values
        inference, clips, chosen = (values.get(key) or {} for key in ("inference", "clips", "embedder"))
        if not all(isinstance(part, dict) for part in (inference, clips, chosen)):
            return values
        if "segment_s" not in inference:
            seconds = _window_of(chosen)
            inference = inference if seconds is None else {**inference, "segment_s": seconds}
        if "seconds" not in clips and "segment_s" in inference:
            clips = {**clips, "seconds": inference["segment_s"]}
        return {**values, "inference": inference, "clips": clips}

    @model_validator(mode="after")
    def _fits_together(self) -> TransferRecipe:
        rows = self.inference
        rows.check_onsets(self.head)
        wrong = {
            "inference.score": rows.score != "clip",
            "inference.parts": rows.parts is not None,
            "evaluation.events": self.evaluation.events,
            "head.measures": getattr(self.head, "measures", False),
        }
        for key, is_wrong in wrong.items():
            if is_wrong:
                raise ValueError(f"{key}: a frozen embedder gives one row of numbers for a segment; leave it out")
        return self


def _window_of(chosen: dict[str, Any]) -> float | None:
    """Return the length of an embedder's window as its description says it; None where that cannot be known yet."""
    import ecotf.tasks.run_embedder  # noqa: F401 - the embedder may be a run
    from ecotf.models.embedders.base import described_window

    try:
        return described_window(chosen.get("description"), chosen.get("model"))
    except (ConfigError, TypeError):
        return None  # it is refused when it is opened


def has_episodic_head(values: Mapping[str, Any]) -> bool:
    """Whether the head of a recipe's plain values is one that answers episodes."""
    head = values.get("head")
    name = head.get("name") if isinstance(head, Mapping) else None
    if not isinstance(name, str) or name not in HEADS:
        return False  # it is refused when the recipe is checked
    return bool(getattr(HEADS[name].config_class, "answers_episodes", False))
