"""Simulated voices: the same from their seed, each with a character that its recordings share."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from ecotf.audio.voice_dataset import VoicesConfig, simulate_voices
from ecotf.audio.voices import draw_voice, sing
from ecotf.errors import EcotfError

CONFIG = VoicesConfig(voices=8, recordings=4, duration_s=0.8, sample_rate_hz=24_000, seed=3)


def test_a_data_set_of_voices(tmp_path):
    told: list[tuple[int, int]] = []
    table = simulate_voices(tmp_path / "voices", CONFIG, lambda done, total: told.append((done, total)))
    assert len(table) == 32 and table["label"].nunique() == 8 and (table["role"] == "simulated").all()
    assert told[-1] == (32, 32)
    sounds = {name: soundfile.read(tmp_path / "voices" / name) for name in table["recording"]}
    for sound, rate in sounds.values():
        assert rate == 24_000 and len(sound) == 19_200 and np.isfinite(sound).all()
        assert 0.02 < np.abs(sound).max() < 1
    # voices differ more from each other than the recordings of one do, in spite of other places and equipment
    rows = np.stack([np.log(np.abs(np.fft.rfft(sound))[: 9600 // 40 * 40].reshape(40, -1).mean(axis=1) + 1e-6)
                     for sound, _ in sounds.values()])  # fmt: skip
    rows = (rows - rows.mean(axis=1, keepdims=True)) / rows.std(axis=1, keepdims=True)
    likeness, same = rows @ rows.T / 40, np.repeat(np.arange(8), 4)[:, None] == np.repeat(np.arange(8), 4)
    own = same & ~np.eye(32, dtype=bool)
    assert likeness[own].mean() > likeness[~same].mean() + 0.1
    # what is there is not made again; what is gone comes back as it was
    first, second = (tmp_path / "voices" / name for name in table["recording"][:2])
    kept, before = second.read_bytes(), first.read_bytes()
    first.unlink()
    second.write_bytes(b"")
    simulate_voices(tmp_path / "voices", CONFIG)
    assert first.read_bytes() == before and second.read_bytes() == b"" and kept


def test_a_recording_depends_on_its_own_seed_alone():
    voice = draw_voice(np.random.default_rng(5))
    one, again, other = (sing(voice, 0.5, 32_000, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert one.dtype == np.float32 and (one != other).any()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EcotfError, match="cannot be written") as error:
        simulate_voices(tmp_path / "file", CONFIG)
    assert "\n" not in str(error.value)
