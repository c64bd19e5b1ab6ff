"""The checkpoints of PANNs (Kong et al. 2020; zenodo.org/records/3987831), such as ``Cnn14_mAP=0.431.pth``."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np

from ecotf.errors import ConfigError
from ecotf.features.configs import MelSpectrogramConfig
from ecotf.features.spectrogram import MelSpectrogram
from ecotf.models.published.base import Checkpoint, PublishedModel

_OWN = {
    "band_norm": "bn0", "hidden": "fc1", "classes": "fc_audioset", "pre_conv0": "pre_conv0", "pre_bn0": "pre_bn0",
}  # fmt: skip
_PARTS = re.compile(r"_(?=(?:conv|bn)\d$|layer\d|downsample|\d+(?:_|$))")
# Bins of the window to what differs from 32 kHz: CNN14 was also published for 16 and 8 kHz.
_RATES = {257: ("sample_rate=16000", "front_end.high_hz=8000"), 129: ("sample_rate=8000", "front_end.high_hz=4000")}
_MEL = "logmel_extractor.melW"
_MEL_TOLERANCE = 1e-5


def module_of(layer: str) -> str:
    """Return the PyTorch module of a layer of ours.

    Examples
    --------
    >>> module_of("conv_block1_conv1"), module_of("resnet_layer2_0_downsample_1"), module_of("hidden")
    ('conv_block1.conv1', 'resnet.layer2.0.downsample.1', 'fc1')
    """
    return _OWN.get(layer) or _PARTS.sub(".", layer)


def _overrides(first: str, filters: int, checkpoint: Checkpoint) -> tuple[str, ...]:
    """Width from the first convolution, the embedding's length where it is not that of the features, and the rate."""
    asked: tuple[str, ...] = ()
    if first in checkpoint and checkpoint[first].shape[0] != filters:
        parts = ("network.backbone", "front_end") if "pre_conv0.weight" in checkpoint else ("network.backbone",)
        asked += tuple(f"{part}.width={checkpoint[first].shape[0] / filters:g}" for part in parts)
    dense = checkpoint.get("fc1.weight")
    if dense is not None and dense.ndim == 2 and dense.shape[0] != dense.shape[1]:
        asked += (f"network.head.hidden={dense.shape[0]}",)
    mel = checkpoint.get(_MEL)
    return asked if mel is None else (*asked, *_RATES.get(mel.shape[0], ()))


def _check(checkpoint: Checkpoint, front_end: Any, sample_rate: int, where: str) -> None:
    """Compare the checkpoint's mel bands with ours."""
    mel = checkpoint.get(_MEL)
    if mel is None:
        return
    assert isinstance(front_end, MelSpectrogramConfig)
    own = MelSpectrogram(front_end, sample_rate).weights.T
    if mel.shape != own.shape:
        raise ConfigError(
            f"{where}: tensor {_MEL!r} has shape {mel.shape}, bins by bands; the recipe's front end has {own.shape}"
        )
    apart = float(np.abs(mel - own).max() / own.max())
    if apart > _MEL_TOLERANCE:
        raise ConfigError(
            f"{where}: tensor {_MEL!r} holds other mel bands than the recipe's front end (apart by {apart:.1e} of the "
            "greatest); set front_end to what the checkpoint was trained on"
        )


def _model(name: str, has: tuple[str, ...], lacks: tuple[str, ...], first: str, filters: int) -> PublishedModel:
    return PublishedModel(
        name,
        matches=lambda checkpoint: (
            all(key in checkpoint for key in has) and not any(key in checkpoint for key in lacks)
        ),
        module_of=module_of,
        class_module="fc_audioset",
        overrides=partial(_overrides, first, filters),
        ignored=("spectrogram_extractor.*", "logmel_extractor.*", "*.num_batches_tracked"),
        check=_check,
    )


_FIRST = "conv_block1.conv1.weight"
MODELS = (
    _model("cnn14", ("conv_block6.conv2.weight",), ("pre_conv0.weight",), _FIRST, 64),
    _model("wavegram_logmel_cnn14", ("conv_block6.conv2.weight", "pre_conv0.weight"), (), _FIRST, 64),
    _model("cnn10", ("conv_block4.conv2.weight",), ("conv_block5.conv1.weight", "pre_conv0.weight"), _FIRST, 64),
    _model("cnn6", ("conv_block4.conv1.weight",), ("conv_block4.conv2.weight", "pre_conv0.weight"), _FIRST, 64),
    _model("resnet38", ("resnet.layer3.5.conv2.weight",), ("resnet.layer1.0.conv3.weight",), _FIRST, 64),
    _model("mobilenet_v1", ("features.13.4.weight",), ("features.1.conv.0.weight",), "features.0.0.weight", 32),
)
