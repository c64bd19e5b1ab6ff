"""``ecotf weights convert``: a checkpoint becomes a run, and weights to begin a training with."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecotf.commands.main import main
from ecotf.errors import ConfigError
from ecotf.models.tagger import read_weights
from ecotf.tasks.clips.run import load_clip_run
from ecotf.tasks.recipes import load_any_recipe

CLASSES = ("Dog", "Male speech, man speaking", "Owl")
RATE = 32_000


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A narrow CNN6 with random weights, kept as PANNs keep theirs."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install 'ecotf[torch]')")
    import panns_in_torch

    from ecotf.features import build_spectrogram

    tensors, folder = panns_in_torch.Tensors(0.0625), tmp_path_factory.mktemp("panns")
    panns_in_torch.OF_IMAGES["cnn6"](tensors, torch.randn(1, 32, 64), len(CLASSES))
    front_end = load_any_recipe("tagging/cnn6").front_end
    tensors.state["logmel_extractor.melW"] = torch.from_numpy(build_spectrogram(front_end, RATE).weights.T.copy())
    kept = {"iteration": 3, "model": tensors.state, "sampler": {"indexes": np.arange(4), "pointer": np.int64(2)}}
    torch.save(kept, folder / "Cnn6.pth")
    table = pd.DataFrame({"index": [2, 0, 1], "mid": ["c", "a", "b"], "display_name": [CLASSES[i] for i in (2, 0, 1)]})
    table.to_csv(folder / "class_labels_indices.csv", index=False)
    return folder / "Cnn6.pth"


@pytest.fixture(scope="module")
def run(checkpoint) -> Path:
    folder = checkpoint.parent / "runs" / "cnn6"
    labels = str(checkpoint.parent / "class_labels_indices.csv")
    asked = ["--run", str(folder), "--output", str(checkpoint.parent / "cnn6.npz"), "--labels", labels]
    assert main(["weights", "convert", str(checkpoint), *asked]) == 0
    return folder


def test_the_run_answers_and_embeds_as_plain_pytorch_does(checkpoint, run):
    import panns_in_torch
    import torch

    from ecotf.features import build_spectrogram

    model = load_clip_run(run)
    assert model.classes == CLASSES
    recipe = model.recipe
    assert recipe.network.backbone.width == 0.0625
    sound = np.random.default_rng(0).normal(0, 0.1, 10 * RATE).astype(np.float32)
    tensors = panns_in_torch.Tensors(0.0625)
    tensors.state = torch.load(checkpoint, weights_only=False)["model"]
    levels = build_spectrogram(recipe.front_end, RATE)(sound)
    with torch.no_grad():
        logits = panns_in_torch.OF_IMAGES["cnn6"](tensors, torch.from_numpy(levels[None]), len(CLASSES))
    scores = model.scores(sound, RATE)
    found = scores.set_index("label")["score"].loc[list(CLASSES)]
    np.testing.assert_allclose(found, torch.sigmoid(logits)[0], atol=1e-5)
    embedded = model.embed(sound, RATE)
    np.testing.assert_allclose(embedded, tensors.given["embedding"], rtol=1e-3, atol=1e-4)
    assert set(model.thresholds.values()) == {0.5}
    text = (run / "report.txt").read_text()
    assert "converted from Cnn6.pth; nothing was trained here" in text
    assert "0.5 for every class, a guess that no validation recording has fitted" in text


def test_a_training_begins_with_the_weights(checkpoint, run):
    from ecotf.tasks.clips.network_models import fresh_model

    source = checkpoint.parent / "cnn6.npz"
    weights, known = read_weights(source)
    recipe = load_any_recipe("tagging/cnn6", ["network.backbone.width=0.0625", f"stages.0.weights_from={source}"])
    recipe.stages[0].check_files()
    network = fresh_model(recipe, ("Owl", "Wren")).network
    assert network.carry_rows(weights, known, ("Owl", "Wren")) == ("Owl",)
    wide = load_any_recipe("tagging/cnn6", ["network.backbone.width=0.125"])
    with pytest.raises(ConfigError, match=r"weights .* have shape"):
        fresh_model(wide, CLASSES).network.carry_rows(weights, known, CLASSES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--output FILE.npz .* --run FOLDER"),
        (("--output", "w.h5"), "--output w.h5: must end in .npz"),
        (("--output", "w.npz", "--model", "cnn10"), "tensor 'conv_block1.conv1.weight' has shape .4, 1, 5, 5.; cnn10"),
        (("--output", "w.npz", "--model", "vgg"), "--model vgg: no published model is called so; known: cnn14"),
        (("--output", "w.npz", "network.backbone.width=0.125"), "has shape .*; cnn6 of this width has"),
        (("--output", "w.npz", "front_end.mel_scale=htk"), "'logmel_extractor.melW' holds other mel bands"),
        (("--output", "w.npz", "front_end.bands=40"), "'logmel_extractor.melW' has shape .*front end has .513, 40."),
    ],
)
def test_what_cannot_be_converted_is_said_in_one_line(checkpoint, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message) as error:
        main(["weights", "convert", str(checkpoint), *arguments])
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("index,name\n0,Dog\n", "has no column display_name or label; it has index, name"),
        ("label\nDog\nOwl\n", "names 2 classes; the checkpoint Cnn6.pth has 3"),
        ("label\nDog\nOwl\nDog\n", "must name each class once; 'Dog'"),
        ("index,label\n0,Dog\n1,Owl\n1,Wren\n", "column index must count 0, 1, 2 and on, once each"),
    ],
)
def test_names_that_do_not_fit(checkpoint, tmp_path, text, message):
    labels = tmp_path / "labels.csv"
    labels.write_text(text)
    with pytest.raises(ConfigError, match=message):
        main(["weights", "convert", str(checkpoint), "--output", str(tmp_path / "w.npz"), "--labels", str(labels)])


def test_without_pytorch_and_without_a_checkpoint(tmp_path, monkeypatch):
    broken = tmp_path / "broken.pth"
    asked = ["weights", "convert", str(broken), "--output", str(tmp_path / "w.npz")]
    with pytest.raises(ConfigError, match=r"broken.pth: there is no such file"):
        main(asked)
    broken.write_bytes(b"not a checkpoint")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ConfigError, match=r"which is not installed: pip install 'ecotf\[torch\]'"):
        main(asked)


def test_what_pytorch_cannot_read(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install 'ecotf[torch]')")
    path = tmp_path / "some.pth"
    asked = ["weights", "convert", str(path), "--output", str(tmp_path / "w.npz")]
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ConfigError, match="no checkpoint that PyTorch can read, or damaged"):
        main(asked)
    torch.save({"model": torch.nn.Linear(2, 2)}, path)  # code, which is not run
    with pytest.raises(ConfigError, match="no checkpoint that PyTorch can read, or damaged"):
        main(asked)
    torch.save({"epochs": 3}, path)
    with pytest.raises(ConfigError, match="holds no state dict; expected tensors by name"):
        main(asked)
