"""Sets of clips, folders a class and published collections: what is read of them, and what is refused."""

import json

import pytest

from ecotf.datasets.importers import import_annotations
from ecotf.errors import DataError

from .annotation_files import audio, audioset_labels, packed, panns_index, rows_of, segments, text

# ---- folder per class -------------------------------------------------------------------------------------------


def test_folders(tmp_path):
    audio(tmp_path, "Myotis/a.wav", "Myotis/deep/b.wav", "rain/c.wav", seconds=0.5)
    text(tmp_path / "Nyctalus/broken.wav", "no sound")
    text(tmp_path / "README.txt", "not audio")
    manifest = import_annotations("folders", tmp_path, background=["rain"], time_expansion=10)
    assert list(
        manifest.table.fillna(-1)[["recording", "start_s", "end_s", "label", "time_expansion"]].itertuples(
            index=False, name=None
        )
    ) == [
        ("Myotis/a.wav", 0, 0.05, "Myotis", 10),
        ("Myotis/deep/b.wav", 0, 0.05, "Myotis", 10),
        ("Nyctalus/broken.wav", 0, -1, "Nyctalus", 10),
        ("rain/c.wav", 0, 0.05, "", 10),
    ]
    assert import_annotations("folders", tmp_path).table["end_s"].iloc[0] == 0.5


def test_folders_refused(tmp_path):
    with pytest.raises(DataError, match="there is no such file or folder"):
        import_annotations("folders", tmp_path / "nowhere")
    with pytest.raises(DataError, match="the folder has no files of this kind"):
        import_annotations("folders", tmp_path)
    audio(tmp_path, "loose.wav")
    with pytest.raises(DataError, match=r"loose\.wav: lies outside of a class folder; expected .*/CLASS/loose\.wav"):
        import_annotations("folders", tmp_path)
    with pytest.raises(DataError, match="background folder 'rain' is not there"):
        import_annotations("folders", tmp_path, background=["rain"])


def test_darksound(tmp_path):
    audio(
        tmp_path,
        "train/Strigidae/Megascops choliba/XC123456_01.wav",
        "train/Strigidae/Megascops choliba/xc-123456 2.wav",
        "val/Nyctibiidae/Nyctibius_griseus/roi 7.wav",
        "test/Tinamus major/1XC12.wav",
        "test/loose.wav",
    )
    (tmp_path / "test/Strigidae/Ciccaba huhula").mkdir(parents=True)
    manifest = import_annotations("darksound", tmp_path)
    assert sorted(rows_of(manifest, "label", "group", "split", "family")) == [
        ("Megascops choliba", "XC123456", "train", "Strigidae"),
        ("Megascops choliba", "XC123456", "train", "Strigidae"),
        ("Nyctibius_griseus", "val/Nyctibiidae/Nyctibius_griseus/roi 7.wav", "valid", "Nyctibiidae"),
        ("Tinamus major", "test/Tinamus major/1XC12.wav", "test", ""),
    ]
    assert manifest.notes == (
        "left out: test/loose.wav: lies in no folder of a species",
        "test/Strigidae/Ciccaba huhula has no recordings",
    )
    audio(tmp_path, "val/Strigidae/megascops_choliba/b.wav")
    with pytest.raises(
        DataError, match=r"species 'megascops_choliba' is in valid and in train \(there 'Megascops chol"
    ):
        import_annotations("darksound", tmp_path)
    audio(tmp_path, "all/Strigidae/Megascops choliba/c.wav")
    with pytest.raises(
        DataError, match=r"c\.wav: lies in no split; expected .*/train/FAMILY/SPECIES/c\.wav; splits are"
    ):
        import_annotations("darksound", tmp_path)


# ---- sets of clips ----------------------------------------------------------------------------------------------


def test_audioset(tmp_path):
    audioset_labels(tmp_path)
    dog, animal, music = "/m/0bt9lr", "/m/0jbk", "/m/04rlf"
    segments(tmp_path / "balanced_train_segments.csv", ("-0Gj8-vB1q4", dog, animal), ("abcdefghijk", animal, music))
    segments(tmp_path / "eval_segments.csv", ("ABCDEFGHIJK", animal), ("nothingatal", animal), ("only_music_", music))
    audio(tmp_path, "audio/eval/YABCDEFGHIJK.wav", "audio/balanced_train/Y-0Gj8-vB1q4.wav", "audio/abcdefghijk.wav")
    manifest = import_annotations("audioset", tmp_path, tmp_path / "audio", missing=str(tmp_path / "missing.txt"))
    assert rows_of(manifest, "recording", "label", "group", "split") == [
        ("balanced_train/Y-0Gj8-vB1q4.wav", "Animal", "Y-0Gj8-vB1q4", "train"),
        ("balanced_train/Y-0Gj8-vB1q4.wav", "Dog", "Y-0Gj8-vB1q4", "train"),
        ("abcdefghijk.wav", "Animal", "Yabcdefghijk", "train"),
        ("eval/YABCDEFGHIJK.wav", "Animal", "YABCDEFGHIJK", "test"),
    ]
    assert manifest.table["end_s"].isna().all() and not manifest.missing_files()
    assert (tmp_path / "missing.txt").read_text() == "Ynothingatal\n"
    assert manifest.notes[0].startswith("1 of 4 clips are not there (Ynothingatal.wav); listed in ")
    assert len(manifest.notes) == 64  # of the 65 classes two have a clip
    some = import_annotations("audioset", tmp_path, tmp_path / "audio", classes=["Music", "74"])
    assert set(some.labels) == {"Dog", "Music"}


def test_audioset_by_the_branches_of_its_ontology(tmp_path):
    audioset_labels(tmp_path)
    tree = [{"id": "/m/0jbk", "child_ids": ["/t/80"]}, {"id": "/t/80", "child_ids": ["/t/90"]}, {"id": "/t/91"}]
    text(tmp_path / "ontology.json", json.dumps(tree))
    path = segments(tmp_path / "eval_segments.csv", ("abcdefghijk", "/t/90", "/t/91", "/m/0jbk"))
    audio(tmp_path, "Yabcdefghijk.wav")
    manifest = import_annotations("audioset", path, branches=["Animal"])
    assert manifest.labels == ["Animal", "class 90, of many"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: segments(f / "eval_segments.csv", ("abcdefghijk", "/m/0jbk")), "it can be on one side only"),
        (lambda f: segments(f / "eval_segments.csv", ("short", "/m/0jbk")), "line 4 is no segment, 'short, 30"),
        (lambda f: (f / "class_labels_indices.csv").unlink(), r"class_labels_indices\.csv: cannot be read"),
        (
            lambda f: text(f / "class_labels_indices.csv", "index,mid,display_name\n72,/x,Cat\n"),
            "Animal first; here 72",
        ),
        (lambda f: (f / "Yabcdefghijk.wav").unlink(), "not one of 1 clips is there; the first is Yabcdefghijk.wav"),
    ],
)
def test_audioset_refused(tmp_path, change, message):
    audioset_labels(tmp_path)
    segments(tmp_path / "balanced_train_segments.csv", ("abcdefghijk", "/m/0jbk"))
    audio(tmp_path, "Yabcdefghijk.wav")
    change(tmp_path)
    with pytest.raises(DataError, match=message) as error:
        import_annotations("audioset", tmp_path)
    assert "\n" not in str(error.value)


def test_an_index_of_panns_with_the_faults_of_the_published_ones(tmp_path):
    audioset_labels(tmp_path)
    packed(tmp_path / "waveforms" / "unbalanced_train_00.h5", "Yone.wav", "Ytwo.wav", "Ythree.wav", "Ytest.wav")
    packed(tmp_path / "waveforms" / "eval.h5", "Ytest.wav", "Ytested.wav")
    train, test = "D:\\old\\unbalanced_train_00.h5", "/old/waveforms/eval.h5"
    panns_index(
        tmp_path / "full_train.h5",
        ("Yone.wav", train, 0, [72]), ("Yone.wav", train, 0, [74]), ("", train, 1, []), ("Ytwo.wav", train, 1, []),
        ("Ythree.wav", test, 0, [72]), ("Ytest.wav", train, 3, [72]), ("Ytested.wav", test, 1, [74]),
        ("Yfar.wav", train, 99, [72]), ("Ygone.wav", "/old/train_01.h5", 0, [72]),
    )  # fmt: skip
    panns_index(tmp_path / "eval.h5", ("Ytest.wav", test, 0, [72, 137]), ("Ytested.wav", test, 1, [74]))
    manifest = import_annotations("panns_hdf5", tmp_path)
    assert sorted(rows_of(manifest, "recording", "label", "group", "split")) == [
        ("waveforms/eval.h5#Ytest.wav", "Animal", "Ytest", "test"),
        ("waveforms/eval.h5#Ytest.wav", "Music", "Ytest", "test"),
        ("waveforms/eval.h5#Ytested.wav", "Dog", "Ytested", "test"),
        ("waveforms/unbalanced_train_00.h5#Yone.wav", "Animal", "Yone", "train"),
        ("waveforms/unbalanced_train_00.h5#Yone.wav", "Dog", "Yone", "train"),
    ]
    assert manifest.missing_files() == []
    assert sorted(manifest.notes) == [
        "1 of 11 rows (Ygone.wav) are in files that cannot be used (/old/train_01.h5: no such file)",
        "1 of 11 rows (Ytwo.wav) have no class that is taken",
        "1 of 11 rows (full_train.h5, row 1) name no clip",
        "2 of 11 rows (Ythree.wav, Yfar.wav) are not where the index says",
        "2 of 3 clips (Ytested.wav, Ytest.wav) to learn from are in the test too, and stay there",
        "2 rows are copies of a clip; it has the classes of all of them",
    ]
    some = import_annotations("panns_hdf5", tmp_path / "eval.h5", classes=["Dog"])
    assert rows_of(some, "recording", "label") == [("waveforms/eval.h5#Ytested.wav", "Dog")]


def test_the_published_animals_of_panns_end_with_music(tmp_path):
    audioset_labels(tmp_path)
    packed(tmp_path / "clips.hdf5", "Yone.wav")
    index = panns_index(tmp_path / "balanced_train_index.h5", ("Yone.wav", "clips.hdf5", 0, [0, 65]), columns=66)
    assert import_annotations("panns_hdf5", index).labels == ["Animal", "Music"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: panns_index(f / "some.h5", ("Y.wav", "x.h5", 0, [1]), columns=9), "has 9 classes, .* has 140"),
        (lambda f: panns_index(f / "some.h5", ("Y.wav", "x.h5", 0, [1])), r"not one clip .*x\.h5: no such file"),
        (lambda f: packed(f / "some.h5", "Y.wav"), "no index of PANNs, for it has no hdf5_path"),
        (lambda f: text(f / "some.h5", "no HDF5"), "no index of PANNs, or damaged"),
        (lambda f: panns_index(f / "some.h5"), "the index has no row"),
    ],
)
def test_an_index_of_panns_refused(tmp_path, change, message):
    audioset_labels(tmp_path)
    change(tmp_path)
    with pytest.raises(DataError, match=message) as error:
        import_annotations("panns_hdf5", tmp_path / "some.h5")
    assert "\n" not in str(error.value)


def test_esc50(tmp_path):
    audio(tmp_path, "audio/1-10-A-0.wav", "audio/1-10-B-0.wav", "audio/2-11-A-1.wav")
    header = "filename,fold,target,category,esc10,src_file,take\n"
    rows = "1-10-A-0.wav,1,0,dog,True,10,A\n1-10-B-0.wav,1,0,dog,True,10,B\n2-11-A-1.wav,2,1,rooster,False,11,A\n"
    path = text(tmp_path / "meta/esc50.csv", header + rows)
    manifest = import_annotations("esc50", path)
    assert rows_of(manifest, "recording", "label", "group", "fold") == [
        ("1-10-A-0.wav", "dog", "10", "1"), ("1-10-B-0.wav", "dog", "10", "1"), ("2-11-A-1.wav", "rooster", "11", "2"),
    ]  # fmt: skip
    assert not manifest.missing_files()
    assert import_annotations("esc50", path, esc10=True).labels == ["dog"]
    assert import_annotations("esc50", path, classes=["rooster"]).labels == ["rooster"]
    with pytest.raises(DataError, match="no clip is of the category 'cow'; the categories are dog, rooster"):
        import_annotations("esc50", path, classes=["cow"])
    text(path, header + rows.replace("B-0.wav,1", "B-0.wav,3"))
    with pytest.raises(DataError, match="clips of '10' are in the folds 1 and 3"):
        import_annotations("esc50", path)
