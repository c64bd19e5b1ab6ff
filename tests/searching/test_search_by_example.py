"""``ecotf search`` by a tiny embedder that hears pitches: hits, what is passed over, heads, and mistakes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_archive import tiny_archive
from tiny_embedder import tiny_embedder, tiny_transfer_run

import ecotf
from ecotf.commands import search as command
from ecotf.embeddings.store import ABOUT, Embeddings
from ecotf.errors import ConfigError, DataError
from ecotf.models.heads import HEADS
from ecotf.models.heads.nearest_mean import NearestMeanConfig
from ecotf.searching.find import Wanted, of_class
from ecotf.searching.picks import pick_next
from ecotf.tasks.row_scores import open_row_scorer


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    tiny_archive(folder)
    return folder


@pytest.fixture(scope="module")
def embeddings(place: Path) -> Embeddings:
    return ecotf.open_embeddings(place / "embeddings")


def test_it_finds_where_the_example_sounds(place, embeddings, capsys):
    hits = ecotf.search(embeddings, place / "owl.wav", top=9)
    assert list(hits.columns) == ["rank", "recording", "start_s", "end_s", "score", "time", "row"]
    assert sorted(zip(hits["recording"].str[-19:-11], hits["start_s"], strict=True)) == [
        (f"2026062{n}", start + step) for n, start in enumerate([2.0, 3.0, 4.25]) for step in (0, 0.25, 0.5)
    ]
    assert (hits["score"] > 0.9).all() and hits["score"].is_monotonic_decreasing
    assert hits.loc[hits["start_s"] == 2.0, "time"].item() == "2026-06-20T22:15:02.000"
    status = command.main(
        [str(place / "embeddings"), "--like", str(place / "wren.wav"), "--top", "2", "--csv", str(place / "hits.csv")]
    )
    written = pd.read_csv(place / "hits.csv")
    assert status == 0
    assert list(written["rank"]) == [1, 2]
    assert written["start_s"].isin([1.0, 1.25, 6.0, 6.25, 8.0, 8.25]).all()
    assert "2026-06-2" in capsys.readouterr().out


def test_several_examples_a_part_of_one_and_recordings_that_are_passed_over(place, embeddings):
    both = ecotf.search(embeddings, [place / "owl.wav", place / "wren.wav"], top=15)
    assert len(both) == 15 and (both["score"] > 0.9).all()
    night = place / "nights" / "20260620_221500.wav"
    others = ecotf.search(embeddings, night, start_s=2.1, end_s=2.2, top=6, without=[str(night)])
    assert (others["score"] > 0.9).all() and not others["recording"].str.contains("20260620").any()
    near = ecotf.search(embeddings, place / "owl.wav", top=3, distance="euclidean")
    assert (near["score"] <= 0).all() and near["score"].is_monotonic_decreasing


def test_windows_that_overlap_are_one_hit(place, tmp_path):
    embedder = ecotf.open_embedder(place / "tiny.tflite", hop_s=0.125)
    folder = ecotf.embed(embedder, place / "nights", tmp_path / "embeddings")
    hits = ecotf.search(folder, place / "owl.wav", top=4, merge=True)
    assert len(hits) == 4 and (hits["end_s"] - hits["start_s"]).max() >= 0.5
    for _, same in hits.sort_values("start_s").groupby("recording"):
        assert (same["start_s"].to_numpy()[1:] > same["end_s"].to_numpy()[:-1]).all()
    best = ecotf.search(folder, place / "owl.wav", top=1)
    assert hits["row"][0] == best["row"][0] and hits["score"][0] == best["score"][0]
    pd.testing.assert_frame_equal(hits, ecotf.search(folder, place / "owl.wav", top=4, merge=True, threads=1))


def test_the_head_of_a_run_ranks_all_rows(place, embeddings, tmp_path):
    run = tiny_transfer_run(tmp_path, "inference.segment_s=0.25")
    wanted = {start + step for start in (2.0, 3.0, 4.25) for step in (0, 0.25, 0.5)}
    hits = ecotf.search(embeddings, model=run, class_name="owl", top=9)
    assert set(hits["start_s"]) == wanted
    scorer = open_row_scorer(run)
    exact = scorer.head.predict(embeddings.rows(hits["row"]))[:, scorer.classes.index("owl")]
    np.testing.assert_allclose(hits["score"], exact, atol=2e-6)
    targets = np.isin(np.arange(len(embeddings)), hits["row"]).astype(float)[:, None]
    head = HEADS.build(NearestMeanConfig(), embeddings.rows(np.arange(len(embeddings))), targets, 0, 1)
    assert not hasattr(head, "linear")
    by_mean = of_class(embeddings, replace(scorer, head=head, classes=("owl",)), "owl", Wanted(9))[0]
    assert set(by_mean["row"]) == set(hits["row"])
    with pytest.raises(ConfigError, match="class 'emu' is none of the run's; allowed: owl, wren"):
        ecotf.search(embeddings, model=run, class_name="emu")
    with pytest.raises(ConfigError, match=r"embeddings of tiny \(digest .{8}\); the run's head takes those of tiny"):
        of_class(embeddings, replace(scorer, digest="0" * 32), "owl", Wanted())


def test_what_cannot_be_searched_is_one_line(place, embeddings, tmp_path):
    def said(*arguments: Any, **options: Any) -> str:
        with pytest.raises((ConfigError, DataError)) as error:
            ecotf.search(*arguments, **options)
        assert "\n" not in str(error.value)
        return str(error.value)

    owl = place / "owl.wav"
    assert "no folder of embeddings" in said(place / "nights", owl)
    assert "nobody.wav: cannot be read (No such file" in said(embeddings, place / "nobody.wav")
    assert "silent.wav: silent from 0 s to 1 s" in said(embeddings, place / "silent.wav")
    assert "allowed: a start in the recording" in said(embeddings, owl, start_s=3.0)
    assert "is no recording of" in said(embeddings, owl, without=["nobody.wav"])
    assert "the first 0 hits; allowed: 1 or more" in said(embeddings, owl, top=0)
    assert "say what is searched for" in said(embeddings)
    assert "several are taken whole" in said(embeddings, [owl, owl], end_s=1.0)
    other = tmp_path / "other"
    other.mkdir()
    tiny_embedder(other, numbers=6)
    assert "embeddings of tiny (digest" in said(embeddings, owl, embedder=other / "tiny.tflite")
    copy = tmp_path / "embeddings"
    shutil.copytree(place / "embeddings", copy)
    about = json.loads((copy / ABOUT).read_text())
    about["model"]["model"] = str(tmp_path / "gone.tflite")
    (copy / ABOUT).write_text(json.dumps(about))
    assert "gone.tflite, which is not there any more; say where it is with --embedder" in said(copy, owl)
    assert len(ecotf.search(copy, owl, embedder=place / "tiny.tflite")) == 20


def test_rows_without_a_score_are_counted_and_never_picked(place, tmp_path, capsys):
    copy = tmp_path / "embeddings"
    shutil.copytree(place / "embeddings", copy)
    numbers = ecotf.open_embeddings(copy).numbers
    rows = np.memmap(copy / "shards" / "00000.f16", np.float16, "r+").reshape(-1, numbers)
    rows[5], rows[7] = np.nan, 0
    rows.flush()
    output, found = [str(copy), "--like", str(place / "owl.wav")], "can be no hits: {} of the rows"
    assert command.main([*output, "--top", "1"]) == 0 and found.format(2) in capsys.readouterr().err
    assert (
        command.main([*output, "--top", "1", "--distance", "dot"]) == 0 and found.format(1) in capsys.readouterr().err
    )
    embeddings = ecotf.open_embeddings(copy)
    head = open_row_scorer(tiny_transfer_run(tmp_path, "inference.segment_s=0.25")).head
    allowed = np.isin(np.arange(len(embeddings)), [5, 6, 7])
    picks = pick_next(embeddings, head, allowed, embeddings.rows([0]), {"random": 3}, 0)
    assert {pick.row for pick in picks} == {6, 7} and not allowed.any()
    assert command.main([str(place / "embeddings"), "--like", str(place / "owl.wav")]) == 0
    assert "no hits" not in capsys.readouterr().err
    with pytest.raises(ConfigError, match="--distance are for examples"):
        command.main([str(copy), "--model", "run", "--class", "owl", "--distance", "dot"])
