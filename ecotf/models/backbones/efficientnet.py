"""EfficientNet (Tan and Le, ICML 2019) and EfficientNetV2 (ICML 2021), as keras.applications has them."""

from __future__ import annotations

from typing import Any, Literal

from ecotf.models.backbones.base import BACKBONES
from ecotf.models.backbones.weights import ImageBackboneConfig, build_weighted

_CLASSES = {
    "efficientnet_v2_s": "EfficientNetV2S",
    "efficientnet_v2_b0": "EfficientNetV2B0",
    "efficientnet_b0": "EfficientNetB0",
    "efficientnet_b3": "EfficientNetB3",
}


class EfficientNetConfig(ImageBackboneConfig):
    """An EfficientNet without its classifier; blocks are dropped with a probability up to 0.2, as published."""

    name: Literal["efficientnet_v2_s", "efficientnet_v2_b0", "efficientnet_b0", "efficientnet_b3"]


@BACKBONES.register(EfficientNetConfig)
def build_efficientnet(config: EfficientNetConfig, shape: tuple[int | None, int, int]) -> Any:
    """Build the network; time and frequency are halved five times."""

    def make(channels: int, weights: str | None) -> Any:
        import keras

        options: dict[str, Any] = {} if "_v2_" not in config.name else {"include_preprocessing": False}
        raw = getattr(keras.applications, _CLASSES[config.name])(
            include_top=False, weights=weights, input_shape=(None, shape[1], channels), **options
        )
        if options:
            return raw
        # The first version scales photographs of 0..255 in its first layers; the images here need none of it.
        return keras.Model(raw.get_layer("stem_conv_pad").input, raw.output, name="backbone")

    return build_weighted(
        config.name, config.weights, shape[2], lambda n: make(n, None), lambda weights: make(3, weights)
    )
