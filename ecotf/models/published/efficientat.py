"""The checkpoints of EfficientAT (Schmid et al. 2023, arXiv:2211.04772), such as ``mn04_as_mAP_432.pt``.

Those that were trained on another hop or on another number of bands (``hop_20``, ``mels_40`` in their names) have the
same tensors; give their ``front_end.hop_s`` or ``front_end.bands`` yourself. Those with another head are refused.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

from ecotf.models.backbones.mn import BLOCKS, rounded
from ecotf.models.published.base import Checkpoint, PublishedModel

_OWN = {
    "stem": "features.0.0", "stem_norm": "features.0.1", "hidden": "classifier.2", "classes": "classifier.5",
    "last": f"features.{len(BLOCKS) + 1}.0", "last_norm": f"features.{len(BLOCKS) + 1}.1",
}  # fmt: skip
_BLOCK = re.compile(r"block(?P<number>\d+)_(?P<part>expand|depthwise|squeeze|project)(?:_(?P<inside>norm|down|up))?")
_SQUEEZE = {"down": "conc_se_layers.0.fc1", "up": "conc_se_layers.0.fc2"}
_HAS = ("features.0.0.weight", "features.1.block.0.0.weight", "classifier.2.weight", "classifier.5.weight")
_UNITS = 1280  # of the hidden layer, for width 1
_WIDTHS = {"mn01": 0.1, "mn02": 0.2, "mn04": 0.4, "mn05": 0.5}


def module_of(layer: str, expands: tuple[bool, ...]) -> str:
    """Return the PyTorch module of a layer of ours.

    Parameters
    ----------
    expands
        Of each block, whether it begins with a convolution that adds channels; narrow ones do not.

    Examples
    --------
    >>> module_of("block4_depthwise_norm", (True,) * 15), module_of("block4_squeeze_up", (True,) * 15)
    ('features.4.block.1.1', 'features.4.block.2.conc_se_layers.0.fc2')
    """
    if layer in _OWN:
        return _OWN[layer]
    found = _BLOCK.fullmatch(layer)
    assert found is not None, layer
    number, part, inside = int(found["number"]), found["part"], found["inside"]
    parts = ["expand"] * expands[number - 1] + ["depthwise"] + ["squeeze"] * BLOCKS[number - 1].squeeze + ["project"]
    last = _SQUEEZE[inside] if part == "squeeze" else "1" if inside == "norm" else "0"
    return f"features.{number}.block.{parts.index(part)}.{last}"


def _expands(width: float) -> tuple[bool, ...]:
    before = [rounded(BLOCKS[0].filters * width), *(rounded(block.filters * width) for block in BLOCKS)]
    return tuple(rounded(block.inside * width) != n for block, n in zip(BLOCKS, before, strict=False))


def _units(checkpoint: Checkpoint) -> int:
    """The hidden layer's units, which tell the width; 0 where the checkpoint is of another family."""
    return len(checkpoint["classifier.2.weight"]) if all(name in checkpoint for name in _HAS) else 0


def _model(name: str, width: float) -> PublishedModel:
    return PublishedModel(
        name,
        matches=lambda checkpoint: _units(checkpoint) == round(_UNITS * width),
        module_of=partial(module_of, expands=_expands(width)),
        class_module="classifier.5",
        frequency_first=True,
    )


def _wider(checkpoint: Checkpoint) -> tuple[str, ...]:
    units = _units(checkpoint)
    return (f"network.backbone.width={units / _UNITS:g}", f"network.head.units={units}") if units > _UNITS else ()


MODELS = (
    *(_model(name, width) for name, width in _WIDTHS.items()),
    # and what is wider than any of our recipes, with the same layers
    replace(_model("mn10", 1.0), matches=lambda checkpoint: _units(checkpoint) >= _UNITS, overrides=_wider),
)
