"""Where an export may be written, and what it must not pass over."""

from __future__ import annotations

import numpy as np
import pytest

from ecotf.errors import ConfigError
from ecotf.export.describe.bundle import refuse_foreign, write_files
from ecotf.export.describe.container import read_model_file, with_members
from ecotf.export.prove.parity import TOLERANCES
from ecotf.tasks.calls.export_parity import apart


def test_a_folder_of_the_user_is_left_alone(tmp_path):
    (tmp_path / "night.wav").write_bytes(b"sound")
    with pytest.raises(ConfigError, match="is there already and no earlier export; name a new folder"):
        refuse_foreign(tmp_path)
    with pytest.raises(ConfigError, match="no earlier export"):
        refuse_foreign(tmp_path / "night.wav")
    assert (tmp_path / "night.wav").read_bytes() == b"sound"


@pytest.mark.parametrize("files", [{}, {"bundle.json": b"", "model.tflite": b""}, {"model.h": b"", "REPORT.txt": b""}])
def test_an_earlier_export_and_an_empty_folder_may_be_replaced(tmp_path, files):
    write_files(tmp_path / "bundle", files)
    refuse_foreign(tmp_path / "bundle")
    refuse_foreign(tmp_path / "nothing")


def test_wrong_scores_and_scores_that_are_no_numbers_count():
    expected = np.zeros((4, 3), np.float32)
    given = expected.copy()
    given[0, 1], given[2, 0] = 0.5, np.nan
    assert apart(expected, given, TOLERANCES["f32"]) == 2
    assert apart(expected, expected + 5e-5, TOLERANCES["f32"]) == 0


def test_a_description_that_is_no_mapping(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(with_members(b"", {"model.json": "[1]"}))
    with pytest.raises(ConfigError, match=r"its description is damaged \(model.json is no mapping\)"):
        read_model_file(path)
