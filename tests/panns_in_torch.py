"""The networks of PANNs as plain PyTorch, from their published description, on tensors of the published names.

The tensors are drawn when they are first asked for, so a statement of a network is a checkpoint of it as well.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F


class Tensors:
    """Random weights and running averages, and what every normalisation gave, by the names of checkpoints."""

    def __init__(self, width: float, seed: int = 0) -> None:
        self.width = width
        self.state: dict[str, torch.Tensor] = {}
        self.given: dict[str, torch.Tensor] = {}
        self._draw = torch.Generator().manual_seed(seed)

    def wide(self, filters: int) -> int:
        return max(1, round(filters * self.width))

    def normal(self, name: str, *shape: int, scale: float = 1.0) -> torch.Tensor:
        if name not in self.state:
            self.state[name] = scale * torch.randn(shape, generator=self._draw)
        assert self.state[name].shape == shape, name
        return self.state[name]

    def positive(self, name: str, *shape: int) -> torch.Tensor:
        if name not in self.state:
            self.state[name] = 0.5 + torch.rand(shape, generator=self._draw)
        return self.state[name]

    def norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Normalise over axis 1 with the running averages."""
        n = x.shape[1]
        mean, variance = self.normal(f"{name}.running_mean", n, scale=0.1), self.positive(f"{name}.running_var", n)
        weight, bias = self.positive(f"{name}.weight", n), self.normal(f"{name}.bias", n, scale=0.1)
        self.state[f"{name}.num_batches_tracked"] = torch.tensor(7)
        self.given[name] = F.batch_norm(x, mean, variance, weight, bias, training=False, eps=1e-5)
        return self.given[name]

    def conv(self, name: str, x: torch.Tensor, filters: int, kernel: int, groups: int = 1) -> torch.Tensor:
        inside = x.shape[1] // groups
        scale = (inside * kernel**2) ** -0.5
        weight = self.normal(f"{name}.weight", filters, inside, kernel, kernel, scale=scale)
        return F.conv2d(x, weight, padding=kernel // 2, groups=groups)

    def conv1d(self, name: str, x: torch.Tensor, filters: int, kernel: int, **options: int) -> torch.Tensor:
        weight = self.normal(f"{name}.weight", filters, x.shape[1], kernel, scale=(x.shape[1] * kernel) ** -0.5)
        return F.conv1d(x, weight, **options)

    def dense(self, name: str, x: torch.Tensor, units: int) -> torch.Tensor:
        weight = self.normal(f"{name}.weight", units, x.shape[1], scale=x.shape[1] ** -0.5)
        self.given[name] = F.linear(x, weight, self.normal(f"{name}.bias", units, scale=0.1))
        return self.given[name]


def conv_block(t: Tensors, name: str, x: torch.Tensor, filters: int, *, kernel: int = 3, convs: int = 2, size=(2, 2)):
    for i in range(1, convs + 1):
        x = F.relu(t.norm(f"{name}.bn{i}", t.conv(f"{name}.conv{i}", x, filters, kernel)))
    return F.avg_pool2d(x, size)


def beginning(t: Tensors, image: torch.Tensor) -> torch.Tensor:
    """``(batch, frames, bands)`` normalised by band, as one channel."""
    return t.norm("bn0", image[:, None].transpose(1, 3)).transpose(1, 3)


def ending(t: Tensors, x: torch.Tensor, classes: int) -> torch.Tensor:
    x = x.mean(dim=3)
    x = x.max(dim=2).values + x.mean(dim=2)
    t.given["embedding"] = F.relu(t.dense("fc1", x, x.shape[1]))
    return t.dense("fc_audioset", t.given["embedding"], classes)


def cnn14(t: Tensors, image: torch.Tensor, classes: int) -> torch.Tensor:
    x = conv_block(t, "conv_block1", beginning(t, image), t.wide(64))
    return _cnn14_after_first(t, x, classes)


def _cnn14_after_first(t: Tensors, x: torch.Tensor, classes: int) -> torch.Tensor:
    for number, filters in enumerate((128, 256, 512, 1024), start=2):
        x = conv_block(t, f"conv_block{number}", x, t.wide(filters))
    return ending(t, conv_block(t, "conv_block6", x, t.wide(2048), size=(1, 1)), classes)


def wavegram_logmel_cnn14(t: Tensors, image: torch.Tensor, sound: torch.Tensor, classes: int) -> torch.Tensor:
    wave = t.conv1d("pre_conv0", sound[:, None], t.wide(64), 11, stride=5, padding=5)
    wave = F.relu(t.norm("pre_bn0", wave))
    for number, filters in enumerate((t.wide(64), t.wide(128), 32 * t.wide(4)), start=1):
        name = f"pre_block{number}"
        wave = F.relu(t.norm(f"{name}.bn1", t.conv1d(f"{name}.conv1", wave, filters, 3, padding=1)))
        wave = t.conv1d(f"{name}.conv2", wave, filters, 3, padding=2, dilation=2)
        wave = F.max_pool1d(F.relu(t.norm(f"{name}.bn2", wave)), 4)
    wave = wave.reshape(len(wave), -1, 32, wave.shape[-1]).transpose(2, 3)
    wave = conv_block(t, "pre_block4", wave, t.wide(64), size=(2, 1))
    x = conv_block(t, "conv_block1", beginning(t, image), t.wide(64))
    return _cnn14_after_first(t, torch.cat([x, wave], dim=1), classes)


def _short(convs: int, kernel: int) -> Callable[[Tensors, torch.Tensor, int], torch.Tensor]:
    def network(t: Tensors, image: torch.Tensor, classes: int) -> torch.Tensor:
        x = beginning(t, image)
        for number, filters in enumerate((64, 128, 256, 512), start=1):
            x = conv_block(t, f"conv_block{number}", x, t.wide(filters), kernel=kernel, convs=convs)
        return ending(t, x, classes)

    return network


def resnet38(t: Tensors, image: torch.Tensor, classes: int) -> torch.Tensor:
    x = conv_block(t, "conv_block1", beginning(t, image), t.wide(64))
    for layer, (filters, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
        for block in range(blocks):
            name, n = f"resnet.layer{layer}.{block}", t.wide(filters)
            halves = layer > 1 and block == 0
            y = F.avg_pool2d(x, 2) if halves else x
            y = F.relu(t.norm(f"{name}.bn1", t.conv(f"{name}.conv1", y, n, 3)))
            y = t.norm(f"{name}.bn2", t.conv(f"{name}.conv2", y, n, 3))
            if halves:
                x = t.norm(f"{name}.downsample.2", t.conv(f"{name}.downsample.1", F.avg_pool2d(x, 2), n, 1))
            x = F.relu(x + y)
    x = conv_block(t, "conv_block_after1", F.avg_pool2d(x, 2), t.wide(2048), size=(1, 1))
    return ending(t, x, classes)


def mobilenet_v1(t: Tensors, image: torch.Tensor, classes: int) -> torch.Tensor:
    x = F.avg_pool2d(t.conv("features.0.0", beginning(t, image), t.wide(32), 3), 2)
    x = F.relu(t.norm("features.0.2", x))
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for number, (filters, step) in enumerate(plan, start=1):
        name = f"features.{number}"
        x = F.avg_pool2d(t.conv(f"{name}.0", x, x.shape[1], 3, groups=x.shape[1]), step)
        x = F.relu(t.norm(f"{name}.2", x))
        x = F.relu(t.norm(f"{name}.5", t.conv(f"{name}.4", x, t.wide(filters), 1)))
    return ending(t, x, classes)


OF_IMAGES = {
    "cnn14": cnn14,
    "cnn10": _short(convs=2, kernel=3),
    "cnn6": _short(convs=1, kernel=5),
    "resnet38": resnet38,
    "mobilenet_v1": mobilenet_v1,
}
