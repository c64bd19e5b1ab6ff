"""Backbones that torchvision publishes, trained on ImageNet: a file for ``network.backbone.weights``.

Their images are ``(frequency, time)``, as pictures of spectrograms are; ours are ``(time, frequency)``, so kernels are
turned.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ecotf.errors import ConfigError
from ecotf.files import atomic_file
from ecotf.models.backbones.resnet18 import plain_resnet18
from ecotf.models.published.base import Checkpoint, PublishedModel
from ecotf.models.published.checkpoint import read_checkpoint

ENDING = ".weights.h5"
_BANDS, _CHANNELS = 224, 3


def _is_resnet18(checkpoint: Checkpoint) -> bool:
    """Deeper ones have more blocks in a stage, or a third convolution in a block."""
    has, lacks = ("conv1.weight", "layer4.1.conv2.weight"), ("layer1.2.conv1.weight", "layer1.0.conv3.weight")
    return all(name in checkpoint for name in has) and not any(name in checkpoint for name in lacks)


RESNET18 = PublishedModel(
    "resnet18",
    matches=_is_resnet18,
    # layer1_0_conv1 is layer1.0.conv1
    module_of=lambda layer: layer.replace("_", "."),
    class_module="fc",
    ignored=("*.num_batches_tracked", "fc.*"),
    frequency_first=True,
)


def convert_backbone(checkpoint: Path, output: Path) -> Any:
    """Make a file of weights from a checkpoint of torchvision; returns the backbone.

    Parameters
    ----------
    checkpoint
        ``resnet18-f37072fd.pth``, for example; its classes are left out.
    output
        Ends in ``.weights.h5``; whole or not at all.

    Raises
    ------
    ConfigError
        PyTorch is not there; the checkpoint cannot be read, or is of another network.

    Examples
    --------
    >>> convert_backbone(Path("resnet18-f37072fd.pth"), Path("resnet18.weights.h5"))  # doctest: +SKIP
    """
    tensors = read_checkpoint(checkpoint)
    if not RESNET18.matches(tensors):
        raise ConfigError(
            f"{checkpoint.name}: looks like no backbone that is known; known: {RESNET18.name} of torchvision (its "
            f"first tensor is {next(iter(tensors))!r}); weights of other models are written with --output FILE.npz"
        )
    backbone = plain_resnet18(_BANDS, _CHANNELS)
    network: Any = SimpleNamespace(model=backbone)
    RESNET18.carry(tensors, network, checkpoint.name)
    with atomic_file(output) as partial:
        # Keras asks for the ending.
        whole = partial.with_name(f"{partial.name}{ENDING}")
        try:
            backbone.save_weights(whole)
            whole.replace(partial)
        finally:
            whole.unlink(missing_ok=True)
    return backbone
