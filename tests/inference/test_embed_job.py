"""A folder of embeddings: each sound once, whole after a kill, with a result for every file."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from tiny_tflite import tiny_tagger

import ecotf
from ecotf.commands.main import main
from ecotf.datasets.manifest import make_manifest
from ecotf.embeddings import shards, store
from ecotf.embeddings.store import open_embeddings
from ecotf.errors import ConfigError
from ecotf.inference import embedding_folder
from ecotf.inference.embed_job import EmbedOptions, embed_recordings
from ecotf.inference.embed_places import places_of
from ecotf.inference.ledger import read_ledger
from ecotf.models.embedders import EmbedderConfig

RATE = 8000


class Sums:
    """Embeds windows of half a second as sums of their tenths; it counts, and can be told to fail."""

    sample_rate, samples, hop_samples, numbers = RATE, RATE // 2, RATE // 4, 10
    title, licence, classes, threads = "Sums", "", (), 1

    def __init__(self, digest: str = "d" * 32, stop_after: int = 10**9, value: float = 1.0) -> None:
        self.digest, self.stop_after, self.value, self.asked = digest, stop_after, value, 0
        self.config = EmbedderConfig(name="sums", model=Path("sums"))

    def embed(self, windows: np.ndarray) -> np.ndarray:
        self.asked += len(windows)
        if self.asked > self.stop_after:
            raise KeyboardInterrupt
        return self.value * windows.reshape(len(windows), 10, -1).sum(axis=2)


def sound_of(seconds: float, seed: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))


@pytest.fixture
def nights(tmp_path) -> Path:
    folder = tmp_path / "nights"
    folder.mkdir()
    for seed, seconds in enumerate((1.0, 2.3, 0.4)):
        soundfile.write(folder / f"{seed}.wav", sound_of(seconds, seed), RATE, subtype="PCM_16")
    return folder


def job(embedder: Sums, nights: Path, output: Path, **options):
    return embed_recordings(embedder, sorted(nights.glob("*.wav")), output, **options)


def contents(folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    found = open_embeddings(folder)
    table = found.table.drop(columns=["shard", "row"]).sort_values(["recording", "start_s"])
    return table.reset_index(drop=True), found.rows(table.index)


def same(first: Path, second: Path) -> None:
    (table, rows), (other_table, other_rows) = contents(first), contents(second)
    pd.testing.assert_frame_equal(table, other_table)
    np.testing.assert_array_equal(rows, other_rows)


def test_rows_are_those_of_the_windows(nights, tmp_path):
    embedder = Sums()
    result = job(embedder, nights, tmp_path / "out")
    found = open_embeddings(tmp_path / "out")
    assert result.counts["done"] == 3 and result.rows == len(found) == 3 + 9 + 1
    assert list(found.table) == ["recording", "start_s", "end_s", "shard", "row"]
    for recording, rows in found.table.groupby("recording"):
        sound, _ = soundfile.read(recording, dtype="float32")
        assert rows["start_s"].tolist() == [0.25 * number for number in range(len(rows))]
        assert rows["end_s"].iloc[-1] == len(sound) / RATE
        windows = [np.pad(sound[(at := round(s * RATE)) :][: RATE // 2], (0, max(0, at + RATE // 2 - len(sound))))
                   for s in rows["start_s"]]  # fmt: skip
        np.testing.assert_allclose(found.rows(rows.index), Sums().embed(np.stack(windows)), atol=0.02, rtol=1e-3)
    assert {entry.n_detections for entry in read_ledger(tmp_path / "out" / "ledger.csv")} == {3, 9, 1}
    found.require(Sums())
    with pytest.raises(ConfigError, match=r"embeddings of Sums \(digest dddddddd\); here those of Sums \(digest eeee"):
        found.require(Sums("e" * 32))


def test_blocks_are_all_rows_in_order(nights, tmp_path, monkeypatch):
    for module in (shards, store):
        monkeypatch.setattr(module, "SHARD_ROWS", 5)
    job(Sums(), nights, tmp_path / "out")
    shutil.copy(nights / "1.wav", nights / "again.wav")
    job(Sums(), nights, tmp_path / "out", resume=True)
    found = open_embeddings(tmp_path / "out")
    assert found.table["shard"].max() == 2 and len(found) == 22
    for size in (1, 3, 100):
        blocks = list(found.blocks(size))
        assert [start for start, _ in blocks] == np.cumsum([0, *(len(block) for _, block in blocks[:-1])]).tolist()
        np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), found.rows(range(22)))


def test_equal_sound_is_embedded_once(nights, tmp_path):
    embedder = Sums()
    shutil.copy(nights / "1.wav", nights / "copy.wav")
    result = job(embedder, nights, tmp_path / "out")
    assert (embedder.asked, result.repeated, result.rows) == (13, 1, 22)
    again = Sums()
    assert job(again, nights, tmp_path / "out", resume=True).counts["done"] == 4 and again.asked == 0
    _, rows = contents(tmp_path / "out")
    np.testing.assert_array_equal(rows[3:12], rows[-9:])


def test_changed_sound_is_embedded_again(nights, tmp_path):
    job(Sums(), nights, tmp_path / "out")
    soundfile.write(nights / "0.wav", sound_of(1.0, 77), RATE, subtype="PCM_16")
    (nights / "1.wav").touch()
    embedder = Sums()
    job(embedder, nights, tmp_path / "out", resume=True)
    assert embedder.asked == 3
    job(Sums(), nights, tmp_path / "anew")
    same(tmp_path / "out", tmp_path / "anew")


@pytest.mark.parametrize(("stop_after", "left"), [(0, 13), (2, 13), (4, 10), (11, 10), (12, 1)])
def test_a_job_that_was_stopped_goes_on(nights, tmp_path, stop_after, left, monkeypatch):
    monkeypatch.setattr("ecotf.inference.embed_job._AT_ONCE", 2)
    with pytest.raises(KeyboardInterrupt):
        job(Sums(stop_after=stop_after), nights, tmp_path / "out")
    embedder = Sums()
    job(embedder, nights, tmp_path / "out", resume=True)
    assert embedder.asked == left
    job(Sums(), nights, tmp_path / "whole")
    same(tmp_path / "out", tmp_path / "whole")


@pytest.mark.parametrize("step", ["shards", "record", "ledger"])
def test_a_job_that_was_killed_between_two_writes_goes_on(nights, tmp_path, step, monkeypatch):
    """Nothing is there twice, and a torn end is cut off."""

    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    target = {"shards": (shards.ShardWriter, "sync"), "record": (embedding_folder.EmbeddedRecords, "add"),
              "ledger": (embedding_folder.Ledger, "add")}[step]  # fmt: skip
    with monkeypatch.context() as patched:
        patched.setattr(*target, kill)
        with pytest.raises(Killed):
            job(Sums(), nights, tmp_path / "out")
    with (tmp_path / "out" / "shards" / "00000.f16").open("ab") as opened:
        opened.write(b"torn")
    with (tmp_path / "out" / "embedded.jsonl").open("ab") as opened:
        opened.write(b'{"recording": "to')
    result = job(Sums(), nights, tmp_path / "out", resume=True)
    assert result.counts["done"] == 3 and result.rows == 13
    assert len(list(read_ledger(tmp_path / "out" / "ledger.csv"))) == 3
    job(Sums(), nights, tmp_path / "whole")
    same(tmp_path / "out", tmp_path / "whole")


def test_every_file_has_a_result(nights, tmp_path):
    (nights / "broken.wav").write_bytes(b"RIFF")
    soundfile.write(nights / "short.wav", sound_of(0.2, 5), RATE)
    soundfile.write(nights / "silent.wav", np.zeros(RATE), RATE)
    result = job(Sums(), nights, tmp_path / "out")
    entries = {Path(entry.recording).name: entry for entry in read_ledger(tmp_path / "out" / "ledger.csv")}
    assert {name: entries[name].status for name in ("broken.wav", "short.wav", "silent.wav")} == {
        "broken.wav": "corrupt", "short.wav": "short", "silent.wav": "silent",
    }  # fmt: skip
    assert entries["short.wav"].reason == "0.200 s long; at least 0.250 s are needed"
    assert result.rows == 13 and result.counts["done"] == 3
    for value in (np.nan, 1e6):
        embedder = Sums(value=value)
        embedder.embed = lambda windows, own=embedder.embed: own(np.abs(windows) + 1)
        bad = job(embedder, nights, tmp_path / f"bad{value}")
        assert bad.counts["failed"] == 4 and bad.rows == 0


def test_annotations_keep_their_labels(nights, tmp_path):
    rows = [
        ("1.wav", 1.0, 1.1, "owl"),
        ("1.wav", 1.0, 1.1, "rail"),
        ("1.wav", 0.2, 1.3, "owl"),
        ("0.wav", 0.0, None, "frog"),
    ]
    manifest = make_manifest(pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label"]), nights, "here")
    embedder = Sums()
    embed_recordings(embedder, manifest, tmp_path / "out")
    table = open_embeddings(tmp_path / "out").table
    assert list(table["label"]) == ["owl", "rail", "owl", "owl", "owl", "owl", "frog", "frog", "frog"]
    assert list(table["start_s"]) == [0.8, 0.8, 0.2, 0.45, 0.7, 0.95, 0.0, 0.25, 0.5]
    assert embedder.asked == 8 and table["row"].tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 7]
    more = manifest.table.assign(label=manifest.table["label"].replace("frog", "toad"))
    embedder = Sums()
    embed_recordings(embedder, make_manifest(more, nights, "here"), tmp_path / "out", resume=True)
    assert sorted(set(open_embeddings(tmp_path / "out").table["label"])) == ["owl", "rail", "toad"]


def test_windows_of_annotations_stay_inside_the_recording():
    starts, places = places_of([(0.0, 0.1, "a"), (9.9, 10.0, "b"), (2.0, float("nan"), "c")], 10.0, 3.0, 3.0)
    assert starts == [0.0, 7.0, 2.0, 5.0]
    assert all(start >= 0 and end <= 10 for start, end, _, _ in places)
    assert places_of([(0.0, 0.5, "a")], 0.5, 3.0, 3.0)[1] == [(0.0, 0.5, "a", 0)]


def test_a_folder_holds_one_job(nights, tmp_path):
    out = tmp_path / "out"
    job(Sums(), nights, out)
    with pytest.raises(ConfigError, match="holds a job already: --resume continues it, --overwrite replaces it"):
        job(Sums(), nights, out)
    with pytest.raises(
        ConfigError, match=r"the model is Sums .*checksum dddddddd.* in this folder's job, Sums .*eeeeeeee"
    ):
        job(Sums("e" * 32), nights, out, resume=True)
    with pytest.raises(ConfigError, match="channel is mix in this folder's job, 1 now"):
        job(Sums(), nights, out, resume=True, options=EmbedOptions(channel=1))
    job(Sums("e" * 32), nights, out, overwrite=True)
    assert open_embeddings(out).about.digest == "e" * 32
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "ledger.csv").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds ledger\.csv of another kind of job"):
        job(Sums(), nights, tmp_path / "other", overwrite=True)


def test_what_is_no_folder_of_embeddings_is_one_line(nights, tmp_path):
    with pytest.raises(ConfigError, match=r"no folder of embeddings \(it has no about\.json\)"):
        open_embeddings(nights)
    with pytest.raises(KeyboardInterrupt):
        job(Sums(stop_after=4), nights, tmp_path / "out")
    with pytest.raises(ConfigError, match="its job did not finish; continue it with ecotf embed --resume"):
        open_embeddings(tmp_path / "out")
    job(Sums(), nights, tmp_path / "out", resume=True)
    (tmp_path / "out" / "shards" / "00000.f16").write_bytes(b"torn")
    with pytest.raises(ConfigError, match="damaged or cut off"):
        open_embeddings(tmp_path / "out").rows([0])


def test_the_command(nights, tmp_path, capsys):
    model, output = tiny_tagger(nights / "tiny.tflite", RATE // 2), tmp_path / "out"
    facts = f"name: tflite\ntitle: Tiny\nlicence: CC0\nrate_hz: {RATE}\nsamples: {RATE // 2}\nembedding: embedding\n"
    model.with_suffix(".yaml").write_text(facts)
    assert main(["embed", str(model), str(nights), "--output", str(output), "--hop-s", "0.25"]) == 0
    said = capsys.readouterr().out
    assert "Tiny: 3 numbers for each 0.5 s\nlicence: CC0" in said and f"embeddings: {output} (13 rows)" in said
    found = ecotf.open_embeddings(output)
    again = ecotf.embed(ecotf.open_embedder(model, hop_s=0.25), nights, tmp_path / "api")
    np.testing.assert_array_equal(again.rows(range(13)), found.rows(range(13)))
    for wrong, line in [
        ([], "give recordings, or --manifest"),
        ([str(nights), "--workers", "0"], "--workers 0"),
        ([str(nights), "--channel", "each"], "--channel each"),
        ([str(nights), "--hop-s", "-1"], "hop of -1"),
    ]:
        with pytest.raises(ConfigError, match=line):
            main(["embed", str(model), *wrong, "--output", str(tmp_path / "none")])
