"""A model's zip that states a small size and unpacks to a large one: on the board and at the desk."""

from __future__ import annotations

import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from ecotf_recorder.errors import ModelError
from ecotf_recorder.model import member

from ecotf.errors import ConfigError
from ecotf.export.describe.container import read_model_file

_UNPACKED = 80 << 20


@pytest.fixture(scope="module", params=[zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def bomb(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """80 MB of spaces that state to be 1000 bytes."""
    path = tmp_path_factory.mktemp("bomb") / "model.tflite"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.json", b" " * _UNPACKED, request.param)
    content = path.read_bytes()
    path.write_bytes(content.replace(_UNPACKED.to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    return path


@pytest.mark.parametrize(
    "read", [lambda path: member(path, "model.json"), read_model_file], ids=["on the board", "at the desk"]
)
def test_a_stated_size_is_a_limit(bomb: Path, read: Callable[[Path], object]) -> None:
    tracemalloc.start()
    try:
        with pytest.raises((ModelError, ConfigError)):
            read(bomb)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 20 << 20
