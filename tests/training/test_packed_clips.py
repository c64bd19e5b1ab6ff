"""Training on packed clips: what is said of clips of no class, and of classes without a clip."""

from __future__ import annotations

import pandas as pd
import pytest
from clip_runs import beeps

from ecotf.commands.pack_clips import Packing, pack_clips
from ecotf.datasets.manifest import Manifest, make_manifest, read_manifest
from ecotf.tasks.clips.data import prepare_clip_data
from ecotf.tasks.recipes import load_any_recipe


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Manifest:
    """Two species in a file; one clip of the wren lost its label, another label is of a row that is not there."""
    folder = tmp_path_factory.mktemp("packed")
    made = beeps(folder, ("train", "train", "valid"), ("robin", "wren"), 1.0)
    table = made.table
    table.loc[table["recording"] == "wren_1.wav", "label"] = ""
    pack_clips(
        make_manifest(table, folder, "beeps"), folder / "clips.h5", Packing(32000, 1.0), 1, print, lambda *_: None
    )
    table = read_manifest(folder / "clips.csv").table
    gone = table.iloc[:1].assign(recording="clips.h5#gone.wav", label="crow", group="gone")
    return make_manifest(pd.concat([table, gone], ignore_index=True), folder, "packed")


@pytest.mark.parametrize(
    ("sampler", "use"), [("in_turn", "the sampler in_turn never draws them"), ("plain", "learned from as none of the")]
)
def test_clips_of_no_class_and_classes_of_no_clip_are_said_once(packed, sampler, use):
    said: list[str] = []
    plan = load_any_recipe("tagging/cnn6", [f"stages.0.sampler={{name: {sampler}}}"])
    prepare_clip_data(packed, plan, None, said.append)
    assert [line for line in said if "no class" in line and line.startswith("1 training recording has no class (of 4)")]
    assert sum("no class" in line for line in said) == 1 and any(use in line for line in said)
    assert sum(line.startswith("crow will not be learned") for line in said) == 1
    assert sum("gone.wav" in line for line in said) == 1
    assert not any(line.startswith(("robin", "wren")) for line in said)
