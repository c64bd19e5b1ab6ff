"""A first epoch that takes long says so while it goes on."""

from __future__ import annotations

from ecotf.training.pace import telling_pace


def test_the_pace_is_told_once_and_batches_pass_unchanged():
    said: list[str] = []
    batches = [[1, 2], [3, 4], [5]]
    assert list(telling_pace(batches, len, 5, "train", said.append, after_s=0.0)) == batches
    (line,) = said
    assert line.startswith("train: ") and "an epoch of 5 takes about 0 minutes" in line


def test_a_short_epoch_says_nothing():
    said: list[str] = []
    assert len(list(telling_pace([[1, 2], [3]], len, 3, "train", said.append))) == 2
    assert not said
