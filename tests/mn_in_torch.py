"""MobileNetV3-Large as in EfficientAT, stated in plain PyTorch; modules have the names of its checkpoints."""

from __future__ import annotations

import torch
from torch import nn

# kernel, channels inside, channels after, squeeze, Hardswish, stride; for width 1 (Howard et al. 2019, table 1)
ROWS = (
    (3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 1, 0, 2), (5, 120, 40, 1, 0, 1),
    (5, 120, 40, 1, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1),
    (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1), (5, 672, 160, 1, 1, 2), (5, 960, 160, 1, 1, 1),
    (5, 960, 160, 1, 1, 1),
)  # fmt: skip


def eights(channels: float) -> int:
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


def layer(
    before: int, after: int, kernel: int, stride: int = 1, groups: int = 1, active: type | None = None
) -> nn.Module:
    convolution = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
    parts = [convolution, nn.BatchNorm2d(after, eps=0.001, momentum=0.01)]
    return nn.Sequential(*parts, *([active()] if active else []))


class Squeeze(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        less = eights(channels // 4)
        one = nn.Module()
        one.fc1, one.fc2 = nn.Linear(channels, less), nn.Linear(less, channels)
        self.conc_se_layers = nn.ModuleList([one])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one = self.conc_se_layers[0]
        share = torch.sigmoid(one.fc2(torch.relu(one.fc1(x.mean((2, 3))))))
        return x * share[:, :, None, None]


class Residual(nn.Module):
    def __init__(self, before: int, row: tuple[int, ...], width: float) -> None:
        super().__init__()
        kernel, inside, after, squeeze, swish, stride = row
        inside, after = eights(inside * width), eights(after * width)
        active = nn.Hardswish if swish else nn.ReLU
        parts = [layer(before, inside, 1, active=active)] if inside != before else []
        parts.append(layer(inside, inside, kernel, stride, inside, active))
        parts += [Squeeze(inside)] if squeeze else []
        self.block = nn.Sequential(*parts, layer(inside, after, 1))
        self.joins = stride == 1 and before == after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.block(x) if self.joins else self.block(x)


class Published(nn.Module):
    """Images [n, 1, mel, time] to logits."""

    def __init__(self, width: float, classes: int) -> None:
        super().__init__()
        channels = eights(16 * width)
        parts = [layer(1, channels, 3, 2, active=nn.Hardswish)]
        for row in ROWS:
            parts.append(Residual(channels, row, width))
            channels = eights(row[2] * width)
        parts.append(layer(channels, 6 * channels, 1, active=nn.Hardswish))
        self.features = nn.Sequential(*parts)
        units = eights(1280 * width)
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6 * channels, units), nn.Hardswish(), nn.Dropout(0.2),
            nn.Linear(units, classes),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x))


def random_model(width: float, classes: int) -> tuple[Published, dict[str, torch.Tensor]]:
    """A model with random weights and running averages, and a dict that its layers' outputs are put into."""
    torch.manual_seed(0)
    model, given = Published(width, classes).eval(), {}
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, least, most in (
                (module.weight, 0.8, 1.6), (module.bias, -0.3, 0.3), (module.running_mean, -0.3, 0.3),
                (module.running_var, 0.3, 1.0),
            ):  # fmt: skip
                nn.init.uniform_(values, least, most)
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d | nn.Linear):
            module.register_forward_hook(lambda _, inputs, out, name=name: given.update({name: out.detach()}))
    return model, given
