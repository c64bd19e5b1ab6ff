"""Two recordings for tables of annotations."""

import numpy as np
import pytest
import soundfile


@pytest.fixture
def folder(tmp_path):
    """Two recordings of 0.5 and 2 s."""
    for name, seconds in (("t1", 0.5), ("t2", 2.0)):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(round(seconds * 8000)), 8000)
    return tmp_path
