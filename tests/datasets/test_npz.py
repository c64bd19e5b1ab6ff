"""The published eight-field npz: read as its authors wrote it, written back, and no foreign code run."""

import io
import os
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest

from ecotf.datasets import make_manifest
from ecotf.datasets.export_npz import export_npz
from ecotf.datasets.importers import import_annotations
from ecotf.datasets.npz_arrays import read_npz
from ecotf.errors import DataError

EXPANDED = {"time_units": "expanded", "time_expansion": 10}


def ragged(*arrays):
    result = np.empty(len(arrays), dtype=object)
    result[:] = [np.asarray(array) for array in arrays]
    return result


def fields(side, files=("a", "b"), durations=(40.0, 20.0), pos=None, classes=None):
    pos = ragged([[1.0], [2.5], [2.5]], np.zeros((0, 1))) if pos is None else pos
    classes = ragged([[3], [1], [2]], np.zeros((0, 1), int)) if classes is None else classes
    return {
        f"{side}_files": np.array(files, dtype=object),
        f"{side}_durations": np.array(durations),
        f"{side}_pos": pos,
        f"{side}_class": classes,
    }


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


def both_sides():
    return {**fields("train"), **fields("test", ["c"], [30.0], ragged([[29.98]]), ragged([[1]]))}


def test_expanded_times_become_real(tmp_path):
    (tmp_path / "A.WAV").touch()
    manifest = import_annotations("bat_npz", saved(tmp_path / "set.npz", **both_sides()), **EXPANDED)
    rows = manifest.table[["recording", "start_s", "end_s", "label", "split", "duration_s", "time_expansion"]]
    expected = pd.DataFrame(
        [
            ("A.WAV", 0.1, 0.105, "class_3", "train", 4.0, 10.0),
            ("A.WAV", 0.25, 0.255, "class_1", "train", 4.0, 10.0),  # two species at once: one position twice
            ("A.WAV", 0.25, 0.255, "class_2", "train", 4.0, 10.0),
            ("b.wav", 0.0, 2.0, "", "train", 2.0, 10.0),
            ("c.wav", 2.998, 3.0, "class_1", "test", 3.0, 10.0),  # cut at the end of the recording
        ],
        columns=rows.columns,
    )
    pd.testing.assert_frame_equal(rows, expected)


def test_real_times_stay(tmp_path):
    path = saved(tmp_path / "set.npz", **both_sides())
    options = {"time_units": "real", "time_expansion": 10, "call_duration_s": 0.01}
    manifest = import_annotations("bat_npz", path, **options)
    assert manifest.table["start_s"].tolist() == [1.0, 2.5, 2.5, 0.0, 29.98]
    assert manifest.table["end_s"].tolist() == pytest.approx([1.01, 2.51, 2.51, 20.0, 29.99])
    assert manifest.time_expansion_of("b.wav") == 10
    manifest = import_annotations("bat_npz", path, **EXPANDED, audio_time_expansion=1)
    assert manifest.table["start_s"].tolist() == [0.1, 0.25, 0.25, 0.0, 2.998]
    assert manifest.time_expansion_of("b.wav") == 1


@pytest.mark.parametrize(
    ("files", "pos", "classes"),
    [
        (np.array([b"a", b"b"], dtype=object), ragged([1.0, 2.0], [3.0]), ragged([1, 2], [1])),  # flat, bytes
        (np.array(["a", "b"]), ragged([[1.0], [2.0]], [[3.0]]), ragged([1, 2], [[1]])),
        (
            np.array([b"a", b"b"]),
            np.array([[[1.0], [2.0]], [[3.0], [3.0]]]),
            np.array([[1, 2], [1, 1]], dtype=np.uint8),
        ),
    ],
)
def test_shapes_that_are_about(tmp_path, files, pos, classes):
    path = saved(tmp_path / "set.npz", **{**fields("test", pos=pos, classes=classes), "test_files": files})
    manifest = import_annotations("bat_npz", path, **EXPANDED, class_names={1: "Pip", "2": "Nyc"})
    assert manifest.recordings == ["a.wav", "b.wav"]
    assert manifest.table["label"].tolist()[:3] == ["Pip", "Nyc", "Pip"]
    assert manifest.table["start_s"].tolist()[:3] == [0.1, 0.2, 0.3]


def test_detection_set_and_validation_file(tmp_path):
    detection = {name: values for name, values in both_sides().items() if not name.endswith("class")}
    valid = saved(tmp_path / "valid.npz", **fields("test", ["d", "e"]))
    manifest = import_annotations(
        "bat_npz",
        saved(tmp_path / "set.npz", **detection),
        **EXPANDED,
        valid=valid,
        class_names={1: "x", 2: "y", 3: "z"},
    )
    assert manifest.of_split("train").labels == ["bat"]
    assert manifest.of_split("valid").recordings == ["d.wav", "e.wav"]
    assert manifest.of_split("valid").labels == ["x", "y", "z"]


def test_python_2_object_arrays(tmp_path):
    """What Python 2 wrote: protocol 2, bytes for text, ``numpy.core``; made here with the old opcodes."""
    values = both_sides()
    values["train_files"] = np.array([b"a\xe9", b"b"], dtype=object)
    path = tmp_path / "old.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in values.items():
            stream = io.BytesIO()
            if array.dtype.hasobject:
                header = np.lib.format.header_data_from_array_1_0(array)
                np.lib.format.write_array_header_1_0(stream, header)
                stream.write(pickle.dumps(array, protocol=2, fix_imports=True))
            else:
                np.lib.format.write_array(stream, array)
            archive.writestr(f"{name}.npy", stream.getvalue())
    reference = np.load(path, allow_pickle=True, encoding="latin1")
    read = read_npz(path)
    assert set(read) == set(reference.files)
    for name, array in read.items():
        expected = reference[name]
        assert array.shape == expected.shape
        for got, wanted in zip(array.ravel(), expected.ravel(), strict=True):
            np.testing.assert_array_equal(got, wanted)
    assert import_annotations("bat_npz", path, **EXPANDED).recordings == ["aé.wav", "b.wav", "c.wav"]


class Attack:
    def __reduce__(self):
        return os.system, ("touch hacked",)


def test_a_pickle_that_wants_more_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evil = np.empty(1, dtype=object)
    evil[0] = Attack()
    path = saved(tmp_path / "set.npz", **{**both_sides(), "train_files": evil})
    with pytest.raises(DataError, match=r"'train_files' is refused: it wants to call (posix|nt)\.system"):
        import_annotations("bat_npz", path, **EXPANDED)
    assert not (tmp_path / "hacked").exists()


def test_round_trip(tmp_path):
    table = pd.DataFrame(
        [
            ("s1/a.wav", 0.1, 0.11, "Pip", "train"),
            ("s1/a.wav", 0.1, 0.12, "Nyc", "train"),
            ("s1/b.flac", 0.0, 2.0, "", "train"),
            ("c.wav", 1.7, 1.8, "Pip", "valid"),
            ("d.wav", 0.4, 0.5, "Myo", "test"),
        ],
        columns=["recording", "start_s", "end_s", "label", "split"],
    ).assign(duration_s=2.0, time_expansion=10.0)
    for recording in table["recording"]:
        (tmp_path / recording).parent.mkdir(exist_ok=True)
        (tmp_path / recording).touch()
    made = make_manifest(table, tmp_path, "here")
    classes = export_npz(made, tmp_path / "set.npz", time_expansion=10, valid_path=tmp_path / "valid.npz")
    assert classes == {1: "Myo", 2: "Nyc", 3: "Pip"}
    as_published = np.load(tmp_path / "set.npz", allow_pickle=True, encoding="latin1")
    assert sorted(as_published.files) == sorted(
        f"{side}_{field}" for side in ("train", "test") for field in ("files", "durations", "pos", "class")
    )
    assert as_published["train_files"].tolist() == ["s1/a", "s1/b"]
    assert as_published["train_pos"][0].tolist() == [[1.0], [1.0]]
    assert as_published["train_class"][0].tolist() == [[3], [2]]
    assert as_published["train_pos"][1].shape == (0, 1)
    assert as_published["test_durations"].tolist() == [20.0]

    again = import_annotations(
        "bat_npz", tmp_path / "set.npz", **EXPANDED, class_names=classes, valid=tmp_path / "valid.npz"
    )
    columns = ["recording", "start_s", "label", "split", "duration_s", "time_expansion"]
    pd.testing.assert_frame_equal(
        again.table.sort_values(columns, ignore_index=True)[columns],
        made.table.sort_values(columns, ignore_index=True)[columns],
        rtol=1e-12,
    )
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"time_units": "seconds"}, "time_units is 'seconds'; allowed are 'expanded' and 'real'"),
        ({}, {"time_expansion": 0}, "time_expansion is 0; a number above 0"),
        ({}, {"time_expansion": "10"}, "time_expansion is '10'"),
        ({}, {"call_duration_s": -1}, "call_duration_s is -1"),
        ({}, {"class_names": {1: "x"}}, r"'a' in train has a call of class 3, which class_names does not name \(1\)"),
        ({"train_pos": None}, {}, "array train_pos is missing"),
        ({"train_files": None, "test_files": None}, {}, "has neither train_files nor test_files"),
        ({"train_durations": np.ones(3)}, {}, "train_files names 2 recordings, train_durations has 3"),
        ({"train_durations": np.array(["x", "y"])}, {}, "train_durations are not numbers"),
        ({"train_pos": ragged([1.0])}, {}, "train_files names 2 recordings, train_pos has 1"),
        ({"train_class": ragged([1], [])}, {}, "'a' in train has 3 positions and 1 classes"),
        ({"train_pos": ragged([1.0, 41.0, 1.0], [])}, {}, "'a' in train has a call at 41, outside of 0 to 40"),
        ({"train_pos": ragged([1.0, np.nan, 1.0], [])}, {}, "has a call at nan"),
        ({"test_files": np.array(["a"])}, {}, r"group 'a\.wav' is on more than one side of the split \(train, test\)"),
    ],
)
def test_refused(tmp_path, changes, options, message):
    arrays = {name: values for name, values in {**both_sides(), **changes}.items() if values is not None}
    with pytest.raises(DataError, match=message) as error:
        import_annotations("bat_npz", saved(tmp_path / "set.npz", **arrays), **{**EXPANDED, **options})
    assert "\n" not in str(error.value)


def test_damaged_files(tmp_path):
    whole = saved(tmp_path / "set.npz", **both_sides()).read_bytes()
    for name, content in {"empty": b"", "cut": whole[:-200], "text": b"train_files,train_pos"}.items():
        (tmp_path / f"{name}.npz").write_bytes(content)
        with pytest.raises(DataError, match=f"{name}.npz: not a complete .npz file"):
            import_annotations("bat_npz", tmp_path / f"{name}.npz", **EXPANDED)
    with pytest.raises(DataError, match="cannot be read"):
        import_annotations("bat_npz", tmp_path / "nowhere.npz", **EXPANDED)
    with zipfile.ZipFile(tmp_path / "short.npz", "w") as archive:
        stream = io.BytesIO()
        np.lib.format.write_array(stream, np.arange(100.0))
        archive.writestr("train_files.npy", stream.getvalue()[:-400])
    with pytest.raises(DataError, match="'train_files' is damaged"):
        import_annotations("bat_npz", tmp_path / "short.npz", **EXPANDED)


@pytest.mark.parametrize(
    ("split", "recordings", "options", "message"),
    [
        (["train", ""], ["a.wav", "b.wav"], {}, r"recording 'b\.wav' has no split"),
        (["train", "valid"], ["a.wav", "b.wav"], {}, "1 recordings are for validation"),
        (["train", "train"], ["a.wav", "a.flac"], {}, "two recordings are called 'a' without their ending"),
        (["train", "train"], ["a.wav", "b.wav"], {"durations": {"a.wav": 1.0}}, r"length of 'b\.wav' is not known"),
        (["train", "train"], ["a.wav", "b.wav"], {"time_expansion": -1}, "time_expansion is -1"),
    ],
)
def test_what_cannot_be_exported(tmp_path, split, recordings, options, message):
    table = pd.DataFrame({"recording": recordings, "start_s": 0.0, "end_s": 0.1, "label": "x", "split": split})
    manifest = make_manifest(table, tmp_path, "here")
    options = {"time_expansion": 10, "durations": dict.fromkeys(recordings, 1.0), **options}
    with pytest.raises(DataError, match=message):
        export_npz(manifest, tmp_path / "set.npz", **options)
    assert not (tmp_path / "set.npz").exists()
