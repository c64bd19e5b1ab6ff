"""CNN14, CNN10 and CNN6 of PANNs (Kong et al., IEEE/ACM TASLP 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field

from ecotf.models.backbones.base import BACKBONES
from ecotf.models.backbones.conv_block import conv_block, wide
from ecotf.models.backbones.weights import ImageBackboneConfig, build_weighted


@dataclass(frozen=True)
class _Plan:
    """Filters of the blocks, the kernel and number of convolutions in each, and whether the last block pools."""

    filters: tuple[int, ...]
    kernel: int
    convolutions: int
    pools_last: bool


_PLANS = {
    "cnn14": _Plan((64, 128, 256, 512, 1024, 2048), 3, 2, pools_last=False),
    "cnn10": _Plan((64, 128, 256, 512), 3, 2, pools_last=True),
    "cnn6": _Plan((64, 128, 256, 512), 5, 1, pools_last=True),
}


class Cnn14Config(ImageBackboneConfig):
    """Blocks of one or two convolutions; after each, time and frequency are halved by averaging.

    With 527 classes and the head ``panns``, CNN14 has 80,753,615 numbers to learn, CNN10 5,219,279, CNN6 4,837,455.

    Attributes
    ----------
    width
        Factor on all numbers of filters; 1 as published.
    dropout
        After each block.
    first_block
        Whether the first block is there. Not after a front end that ends with it (``wavegram_logmel``).
    """

    channels: ClassVar[tuple[int, ...]] = ()

    name: Literal["cnn14", "cnn10", "cnn6"]
    width: float = Field(1.0, gt=0, le=4)
    dropout: float = Field(0.2, ge=0, lt=1)
    first_block: bool = True

    @property
    def smallest(self) -> tuple[int, int]:
        """Frames and bands: CNN14 halves both five times, the others four times; once less without first block."""
        plan = _PLANS[self.name]
        least = 2 ** (len(plan.filters) - (not plan.pools_last) - (not self.first_block))
        return least, least


@BACKBONES.register(Cnn14Config)
def build_cnn14(config: Cnn14Config, shape: tuple[int | None, int, int]) -> Any:
    """Build the network; the feature map has 2048 (CNN10 and CNN6: 512) times ``width`` channels."""
    return build_weighted(config.name, config.weights, shape[2], lambda n: _build(config, shape[1], n))


def _build(config: Cnn14Config, bands: int, channels: int) -> Any:
    import keras

    plan = _PLANS[config.name]
    x = inputs = keras.Input((None, bands, channels))
    for number, filters in enumerate(plan.filters, start=1):
        if number > 1 or config.first_block:
            size = (2, 2) if plan.pools_last or number < len(plan.filters) else (1, 1)
            options: dict[str, Any] = {"kernel": plan.kernel, "convolutions": plan.convolutions, "size": size}
            x = conv_block(x, wide(filters, config.width), f"conv_block{number}", **options)
        x = keras.layers.Dropout(config.dropout)(x)
    return keras.Model(inputs, x, name="backbone")
