"""Fades and padding of clips: published numbers, overlap, and what is too short."""

import numpy as np
import pytest

from ecotf.audio.fades import centred, faded
from ecotf.errors import RecordingError


def test_fades_are_the_published_ones():
    sound = np.full((2, 1000), 0.5, np.float32)
    found = faded(sound, 0.1, 1000)
    rise = 0.5 * (np.sin(np.pi * np.arange(100) / 99 - np.pi / 2) / 2 + 0.5)
    np.testing.assert_allclose(found[1, :100], rise, atol=1e-7)
    np.testing.assert_allclose(found[0, -100:], rise[::-1], atol=1e-7)
    assert (found[:, 100:900] == 0.5).all() and (sound == 0.5).all() and found.dtype == np.float32
    assert (faded(sound, 0, 1000) == sound).all()


def test_fades_overlap_in_a_short_clip_and_one_shorter_than_a_fade_is_refused():
    ones = np.ones(150, np.float32)
    first = faded(np.ones(1000, np.float32), 0.1, 1000)[:100]
    expected = np.ones(150)
    expected[:100] *= first
    expected[50:] *= first[::-1]
    np.testing.assert_allclose(faded(ones, 0.1, 1000), expected, atol=1e-7)
    with pytest.raises(RecordingError, match=r"0\.099 s long; a fade of 0\.1 s needs at least 0\.1 s") as caught:
        faded(ones[:99], 0.1, 1000)
    assert caught.value.status == "short"


def test_a_clip_is_centred_or_cut():
    assert centred(np.arange(1, 4, dtype=np.int16), 8).tolist() == [0, 0, 0, 1, 2, 3, 0, 0]
    assert centred(np.arange(5), 5).tolist() == [0, 1, 2, 3, 4]
    assert centred(np.ones((2, 7), np.float32), 4).shape == (2, 4)
