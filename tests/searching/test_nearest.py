"""The nearest rows of a folder of embeddings, whatever the blocks and threads."""

import numpy as np
import pandas as pd
import pytest

from ecotf.embeddings import shards
from ecotf.embeddings.store import ABOUT, TABLE, Embeddings, open_embeddings
from ecotf.errors import ConfigError, DataError
from ecotf.searching.nearest import best_by, joined, nearest

ABOUT_TEXT = (
    '{"embedder": "none", "licence": "", "digest": "0", "numbers": %d, "sample_rate": 16000, "samples": 16000, '
    '"hop_samples": 16000, "labelled": false}'
)


def folder_of(path, rows, order=None):
    """A folder of embeddings with these rows, and the table in this order."""
    shards.ShardWriter(path, rows.shape[1], 0).append(rows)
    order = np.arange(len(rows)) if order is None else order
    table = pd.DataFrame({"recording": [f"{i % 3}.wav" for i in order], "start_s": 1.0 * order, "end_s": order + 1.0})
    table = table.assign(shard=order // shards.SHARD_ROWS, row=order % shards.SHARD_ROWS)
    table.to_parquet(path / TABLE)
    (path / ABOUT).write_text(ABOUT_TEXT % rows.shape[1])
    return open_embeddings(path)


@pytest.fixture
def embeddings(tmp_path, monkeypatch) -> Embeddings:
    """400 rows in shards of 64, many of them equal, in a table that goes to and fro."""
    monkeypatch.setattr(shards, "SHARD_ROWS", 64)
    rng = np.random.default_rng(2)
    rows = rng.integers(-2, 3, (400, 5)).astype(np.float16)
    rows[17] = 0
    return folder_of(tmp_path, rows, rng.permutation(400))


@pytest.mark.parametrize("distance", ["cosine", "euclidean", "dot"])
def test_blocks_and_threads_change_nothing(embeddings, distance, monkeypatch):
    rows = embeddings.rows(np.arange(len(embeddings))).astype(np.float64)
    queries = np.random.default_rng(0).normal(size=(3, 5))
    every = {
        "dot": rows @ queries.T,
        "cosine": rows @ queries.T / np.maximum(np.linalg.norm(rows, axis=1), 1e-9)[:, None],
        "euclidean": -np.sqrt(((rows[:, None] - queries) ** 2).sum(axis=2)),
    }[distance]
    if distance == "cosine":
        every[~rows.any(axis=1)] = -np.inf
        every /= np.linalg.norm(queries, axis=1)
    alone = nearest(embeddings, queries, 30, distance, threads=1)
    without = (~rows.any(axis=1)).sum() if distance == "cosine" else 0
    for number, found in enumerate(alone):
        np.testing.assert_allclose(found.scores, np.sort(every[:, number])[::-1][:30], atol=1e-6)
        np.testing.assert_allclose(found.scores, every[found.rows, number], atol=1e-6)
        equal = np.diff(found.scores) == 0
        assert (np.diff(found.rows)[equal] > 0).all()
    for threads in (2, 3):
        for found, again in zip(alone, nearest(embeddings, queries, 30, distance, threads=threads), strict=True):
            np.testing.assert_array_equal(found.rows, again.rows)
            np.testing.assert_array_equal(found.scores, again.scores)
            assert found.without == again.without == without
    best = joined(alone, 12)
    np.testing.assert_allclose(best.scores, np.sort(every.max(axis=1))[::-1][:12], atol=1e-6)
    assert len(set(best.rows)) == 12 and best.without == without


def test_some_rows_are_not_wanted(embeddings):
    wanted = np.arange(400) % 7 == 3
    found = nearest(embeddings, np.ones(5), 1000, wanted=wanted)[0]
    seen = embeddings.rows(found.rows)
    assert wanted[found.rows].all()
    assert len(found.rows) == (wanted & embeddings.rows(np.arange(400)).any(axis=1)).sum()
    by_score = best_by(embeddings, lambda rows: rows.sum(axis=1), 9, wanted)
    assert (np.diff(by_score.scores) <= 0).all()
    assert by_score.scores[0] == embeddings.rows(np.flatnonzero(wanted)).sum(axis=1).max()
    assert len(seen) == len(found.scores)


@pytest.mark.parametrize(
    ("query", "options", "error", "said"),
    [
        (np.zeros(5), {}, DataError, "the embedding of the query is all zeros"),
        (np.full(5, np.nan), {}, DataError, "not finite"),
        (np.ones(4), {}, ConfigError, r"queries of shape \[1, 4\]; the embeddings have 5 numbers"),
        (np.ones(5), {"distance": "manhattan"}, ConfigError, "'manhattan'; allowed: cosine, euclidean, dot"),
        (np.ones(5), {"threads": 0}, ConfigError, "0 threads; allowed: 1 or more"),
        (np.ones(5), {"k": 0}, ConfigError, "the best 0; allowed: 1 or more"),
    ],
)
def test_what_cannot_be_asked(embeddings, query, options, error, said):
    with pytest.raises(error, match=said):
        nearest(embeddings, query, **({"k": 3} | options))


def test_a_folder_without_embeddings(tmp_path):
    empty = folder_of(tmp_path, np.empty((0, 5), np.float16))
    with pytest.raises(DataError, match="holds no embedding, so there is nothing to search"):
        nearest(empty, np.ones(5), 3)
