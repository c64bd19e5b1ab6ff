"""The MobileNetV3 of EfficientAT: as many numbers as published, at every width."""

from __future__ import annotations

import keras
import pytest

from ecotf.models.image_network import ClipNetworkConfig, build_clip_network

# Published, in millions: 0.983 and 4.88 (Schmid et al. 2023). Of the smallest no count is published.
PARAMETERS = {0.1: 123_783, 0.4: 983_599, 1.0: 4_876_831}


@pytest.mark.parametrize("width", PARAMETERS)
def test_it_has_as_many_parameters_as_published(width):
    network = {"backbone": {"name": "mn", "width": width}, "head": {"name": "mlp", "units": round(1280 * width)}}
    with keras.StatelessScope():  # no memory is taken for it
        built = build_clip_network(ClipNetworkConfig.model_validate(network), 527, (1000, 128, 1))
    assert built.n_parameters == PARAMETERS[width]
