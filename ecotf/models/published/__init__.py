"""Published models, one family a file: how the tensors of their PyTorch checkpoints become weights of ours.

To add a family, write its file with a `PublishedModel` for each model, and import it here.
"""

from __future__ import annotations

from ecotf.models.published import efficientat, panns
from ecotf.models.published.base import PublishedModel
from ecotf.models.published.checkpoint import read_checkpoint

__all__ = ["MODELS", "PublishedModel", "read_checkpoint"]

MODELS: tuple[PublishedModel, ...] = (*panns.MODELS, *efficientat.MODELS)
"""All published models. The first that matches a checkpoint is taken for what it is."""
