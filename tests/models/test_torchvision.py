"""A backbone of torchvision becomes one of ours: the same feature maps as a plain statement of its layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecotf.commands.main import main
from ecotf.errors import ConfigError
from ecotf.models.backbones import build_backbone
from ecotf.models.backbones.resnet18 import ResNet18Config

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install 'ecotf[torch]')")


def resnet18(state: dict, image):
    """ResNet-18 from its paper, with torchvision's names of tensors, which are drawn when they are first asked for."""
    draw, F = torch.Generator().manual_seed(0), torch.nn.functional

    def convolved(name: str, x, filters: int, kernel: int, stride: int):
        shape = filters, x.shape[1], kernel, kernel
        scale = (x.shape[1] * kernel**2) ** -0.5
        weight = state.setdefault(f"{name}.weight", scale * torch.randn(shape, generator=draw))
        return F.conv2d(x, weight, stride=stride, padding=kernel // 2)

    def normed(name: str, x):
        n = x.shape[1]
        parts = [
            state.setdefault(f"{name}.{part}", least + scale * torch.rand(n, generator=draw))
            for part, least, scale in (
                ("running_mean", -0.1, 0.2), ("running_var", 0.5, 1.0), ("weight", 0.5, 1.0), ("bias", -0.1, 0.2),
            )
        ]  # fmt: skip
        state[f"{name}.num_batches_tracked"] = torch.tensor(3)
        return F.batch_norm(x, *parts, training=False, eps=1e-5)

    x = F.max_pool2d(F.relu(normed("bn1", convolved("conv1", image, 64, 7, 2))), 3, 2, 1)
    for stage, filters in enumerate((64, 128, 256, 512), 1):
        for block in (0, 1):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and not block else 1
            y = F.relu(normed(f"{name}.bn1", convolved(f"{name}.conv1", x, filters, 3, stride)))
            y = normed(f"{name}.bn2", convolved(f"{name}.conv2", y, filters, 3, 1))
            if stride > 1:
                x = normed(f"{name}.downsample.1", convolved(f"{name}.downsample.0", x, filters, 1, stride))
            x = F.relu(x + y)
    state["fc.weight"], state["fc.bias"] = torch.zeros(1000, 512), torch.zeros(1000)
    return x


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> tuple[Path, np.ndarray, np.ndarray]:
    """A checkpoint, an image (frequency, time, channels), and the feature map that the network gives of it."""
    state: dict = {}
    image = np.random.default_rng(0).normal(size=(1, 3, 64, 96)).astype(np.float32)
    with torch.no_grad():
        features = resnet18(state, torch.from_numpy(image)).numpy()
    path = tmp_path_factory.mktemp("torchvision") / "resnet18.pth"
    torch.save(state, path)
    return path, image, features


def test_the_backbone_gives_the_same_features(published, tmp_path, capsys):
    path, image, features = published
    output = tmp_path / "resnet18.weights.h5"
    assert main(["weights", "convert", str(path), "--output", str(output)]) == 0
    assert "a backbone of 11,186,112 parameters" in capsys.readouterr().out
    backbone = build_backbone(ResNet18Config(weights=str(output)), (None, 64, 3))
    ours = backbone(image.transpose(0, 3, 2, 1), training=False).numpy()  # (time, frequency, channels)
    assert ours.shape == (1, 3, 2, 512) and np.ptp(ours) > 1
    np.testing.assert_allclose(ours.transpose(0, 3, 2, 1), features, rtol=1e-3, atol=1e-3)
    # One channel is taken too: that of a plain spectrogram.
    one = build_backbone(ResNet18Config(weights=str(output)), (None, 64, 1))
    gray = image[:, :1].transpose(0, 3, 2, 1)
    alike = backbone(np.repeat(gray, 3, axis=3), training=False)
    np.testing.assert_allclose(one(gray, training=False), alike, rtol=1e-3, atol=1e-3)


def test_what_is_no_backbone_is_one_line(published, tmp_path):
    path, _, _ = published
    state = torch.load(path)
    for change, said in (
        ({"layer1.2.conv1.weight": torch.zeros(64, 64, 3, 3)}, "looks like no backbone that is known; known: resnet18"),
        ({"layer1.0.conv1.weight": torch.zeros(8, 64, 3, 3)}, r"'layer1.0.conv1.weight' has shape \(8, 64, 3, 3\)"),
    ):
        torch.save({**state, **change}, tmp_path / "other.pth")
        with pytest.raises(ConfigError, match=said) as error:
            main(["weights", "convert", str(tmp_path / "other.pth"), "--output", str(tmp_path / "x.weights.h5")])
        assert "\n" not in str(error.value) and not list(tmp_path.glob("*x.weights*"))
    with pytest.raises(ConfigError, match="a backbone has no classes and no recipe; leave out --run"):
        main(["weights", "convert", str(path), "--output", str(tmp_path / "x.weights.h5"), "--run", "run"])
