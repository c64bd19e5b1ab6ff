"""Embeddings of clips: each window is embedded once, and never taken for that of another sound or embedder."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ecotf.embeddings import EmbeddingCache, count_windows, cut_windows, embed_clips, windows_of
from ecotf.errors import ConfigError


def fake_embedder(digest: str = "a" * 32, factor: float = 1.0) -> SimpleNamespace:
    """An embedder of windows of 4 samples that counts what it is asked."""
    embedder = SimpleNamespace(
        sample_rate=8, samples=4, hop_samples=4, numbers=2, digest=digest, title="Sums", licence="", classes=(), asked=0
    )

    def embed(windows):
        embedder.asked += len(windows)
        return factor * np.stack([windows.sum(axis=1), windows[:, 0]], axis=1).astype(np.float32)

    embedder.embed = embed
    return embedder


def sounds(n: int = 5) -> list[np.ndarray]:
    draws = np.random.default_rng(7)
    return [draws.normal(size=length).astype(np.float32) for length in range(3, 3 + 2 * n, 2)]


@pytest.mark.parametrize("samples, hop", [(4, 4), (4, 3), (4, 1), (4, 6)])
def test_windows_do_not_depend_on_the_blocks(samples, hop):
    for length in range(1, 30):
        sound = np.arange(1, length + 1, dtype=np.float32)
        whole = cut_windows(sound, samples, hop)
        assert len(whole) == count_windows(length, samples, hop)
        for size in (1, 5, 7):
            blocks = [sound[at : at + size] for at in range(0, length, size)]
            np.testing.assert_array_equal(np.stack(list(windows_of(blocks, samples, hop))), whole)
        for number, window in enumerate(whole):
            part = sound[number * hop :][:samples]
            np.testing.assert_array_equal(window, np.pad(part, (0, samples - len(part))))
        seen = (len(whole) - 1) * hop + samples
        assert length - seen < max(samples, hop) and (len(whole) == 1 or length - (len(whole) - 1) * hop >= samples / 2)


def test_a_clip_is_the_mean_of_its_windows():
    clip = sounds()[-1]
    embedder = fake_embedder()
    wanted = embedder.embed(cut_windows(clip, 4, 4)).mean(axis=0)
    np.testing.assert_allclose(embed_clips(embedder, [clip]), [wanted], rtol=1e-6)
    assert embed_clips(embedder, []).shape == (0, 2)


def test_each_window_is_embedded_once(tmp_path):
    first, second = fake_embedder(), fake_embedder()
    rows = embed_clips(first, sounds(), tmp_path)
    np.testing.assert_array_equal(embed_clips(second, reversed(sounds()), tmp_path)[::-1], rows)
    assert first.asked == len(EmbeddingCache(tmp_path, first)) and second.asked == 0
    np.testing.assert_array_equal(rows, embed_clips(second, sounds()))


def test_another_embedder_or_changed_sound_is_embedded_anew(tmp_path):
    rows = embed_clips(fake_embedder(), sounds(), tmp_path)
    other = fake_embedder("b" * 32, 2.0)
    np.testing.assert_allclose(embed_clips(other, sounds(), tmp_path), 2 * rows)
    changed = sounds()
    changed[0][0] += 1e-6
    again = fake_embedder()
    embed_clips(again, changed, tmp_path)
    assert other.asked > 1 and again.asked == 1


def test_what_a_kill_cut_off_or_a_disk_damaged_is_embedded_anew(tmp_path):
    embedder = fake_embedder()
    rows = embed_clips(embedder, sounds(), tmp_path)
    file = tmp_path / embedder.digest / "rows.bin"
    content = bytearray(file.read_bytes())
    content[20] ^= 1
    file.write_bytes(content[:-5])
    for expected in (2, 0):
        again = fake_embedder()
        np.testing.assert_array_equal(embed_clips(again, sounds(), tmp_path), rows)
        assert again.asked == expected


def test_a_folder_of_something_else_is_one_line(tmp_path):
    embedder = fake_embedder()
    embed_clips(embedder, sounds(), tmp_path)
    (tmp_path / embedder.digest / "about.json").write_text('{"numbers": 3}')
    with pytest.raises(ConfigError, match="no cache of Sums; another program wrote it; remove it"):
        embed_clips(embedder, sounds(), tmp_path)
