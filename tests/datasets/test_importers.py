"""Every importer: its format as the programs write it, what it refuses, and that none can leak across a split."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from ecotf.datasets import make_manifest
from ecotf.datasets.importers import IMPORTERS, import_annotations
from ecotf.datasets.splits import folds_by_group, split_by_group
from ecotf.errors import DataError
from ecotf.inference.writers import write_detections


def audio(folder, *names, seconds=0.1, rate=8000):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(int(seconds * rate)), rate, format="WAV")


def text(path, content, encoding="utf-8", newline="\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding=encoding, newline=newline)
    return path


def rows_of(manifest, *columns):
    return list(manifest.table[list(columns)].itertuples(index=False, name=None))


# ---- no importer can leak ---------------------------------------------------------------------------------------

SITES = [f"site{site}/night{night}" for site in range(6) for night in range(3)]


def make_npz(folder):
    pos = np.empty(len(SITES), dtype=object)
    pos[:] = [np.array([[0.1], [0.2]]) for _ in SITES]
    classes = np.empty(len(SITES), dtype=object)
    classes[:] = [np.array([[1], [i % 3 + 1]]) for i in range(len(SITES))]
    arrays = {
        "test_files": np.array(SITES),
        "test_durations": np.ones(len(SITES)),
        "test_pos": pos,
        "test_class": classes,
    }
    np.savez(folder / "set.npz", **arrays)
    return folder / "set.npz", {"time_units": "expanded", "time_expansion": 10}


def make_batdetect2(folder):
    for i, name in enumerate(SITES):
        text(
            folder / f"{name}.wav.json",
            json.dumps(entry(f"{name}.wav", boxes=[box(label) for label in ("Pip", f"s{i % 3}")])),
        )
    return folder, {}


def make_raven(folder):
    lines = "".join(f"{i}\tSpectrogram 1\t1\t{i}\t{i + 1}\tPip\t{name}.wav\t{i}\n" for i, name in enumerate(SITES))
    header = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tSpecies\tBegin Path\tFile Offset (s)\n"
    return text(folder / "all.txt", header + lines), {}


def make_audacity(folder):
    for name in SITES:
        text(folder / f"{name}.txt", "0.1\t0.2\tPip\n0.1\t0.2\tNyc\n")
    return folder, {"label": "bat"}


def make_csv(folder):
    lines = "".join(f"{name}.wav,0,1,s{i % 4}\n{name}.wav,1,2,s1\n" for i, name in enumerate(SITES))
    return text(folder / "all.csv", "recording,start_s,end_s,label\n" + lines), {}


def make_folders(folder):
    return folder, {"background": ["site5"]}


def make_darksound(folder):
    for site in sorted(folder.glob("site*")):  # three species; the split that they have is drawn anew
        (folder / "train" / "Strigidae").mkdir(parents=True, exist_ok=True)
        site.rename(folder / "train" / "Strigidae" / site.name)
    return folder, {}


def make_birdclef(folder):
    lines = "".join(f"s{i % 4},\"['s1']\",3,Ann,{name}.wav\n" for i, name in enumerate(SITES))
    return text(folder / "train_metadata.csv", "primary_label,secondary_labels,rating,author,filename\n" + lines), {}


def make_kaleidoscope(folder):
    lines = "".join(f"{name}.wav,0,0.5,Pip,\n{name}.wav,1,0.5,NoID,s{i % 4}\n" for i, name in enumerate(SITES))
    return text(folder / "id.csv", "IN FILE,OFFSET,DURATION,AUTO ID*,MANUAL ID\n" + lines), {}


def make_detections(format):
    def make(folder):
        rows = [
            (str(folder / f"{name}.wav"), 0.0, 0.5, np.nan, np.nan, f"s{i % 4}", 0.5) for i, name in enumerate(SITES)
        ]
        columns = ["recording", "start_s", "end_s", "low_hz", "high_hz", "label", "score"]
        recordings = {row[0]: 96000.0 for row in rows}
        written = write_detections(pd.DataFrame(rows, columns=columns), folder / "out", [format], recordings)
        return (written[0] if len(written) == 1 else folder / "out"), {}

    return make


def make_esc50(folder):
    rows = [f"{name}.wav,{i % 5 + 1},0,s{i % 4},False,{name},A" for i, name in enumerate(SITES)]
    header = "filename,fold,target,category,esc10,src_file,take"
    return text(folder / "esc50.csv", "\n".join([header, *rows]) + "\n"), {}


def audioset_labels(folder):
    """The classes around the animals, as numbered by AudioSet."""
    names = {72: ("/m/0jbk", "Animal"), 74: ("/m/0bt9lr", "Dog"), 137: ("/m/04rlf", "Music")}
    rows = [(i, *names.get(i, (f"/t/{i}", f"class {i}, of many"))) for i in range(140)]
    lines = [f'{i},{mid},"{name}"' for i, mid, name in rows]
    return text(folder / "class_labels_indices.csv", "\n".join(["index,mid,display_name", *lines]) + "\n")


def segments(path, *rows):
    """A table of AudioSet: an id and the ids of its labels each."""
    lines = [f'{name}, 30.000, 40.000, "{",".join(mids)}"' for name, *mids in rows]
    head = ["# Segments csv created Sun Mar  5 10:54:31 2017", "# num_ytids=1", "# YTID, start_seconds, ..."]
    return text(path, "\n".join([*head, *lines]) + "\n")


def make_audioset(folder):
    names = [f"night{name[-1]}site{name[4]}" for name in SITES]
    audio(folder, *(f"site{name[-1]}/Y{name}.wav" for name in names))
    audioset_labels(folder)
    return segments(
        folder / "some_segments.csv", *((name, "/m/0jbk", f"/t/{80 + i % 3}") for i, name in enumerate(names))
    ), {}


def packed(path, *names):
    """A packed file of short clips with these names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["audio_name"] = np.array(names, "S20")
        file["waveform"] = np.ones((len(names), 8), "<i2")
        file.attrs["sample_rate"] = 32000


def panns_index(path, *rows, columns=140):
    """An index of PANNs: name, file, row and the numbers of the classes of each clip."""
    target = np.zeros((len(rows), columns), bool)
    for at, row in enumerate(rows):
        target[at, list(row[3])] = True
    with h5py.File(path, "w") as file:
        file["audio_name"] = np.array([row[0] for row in rows], "S20")
        file["hdf5_path"] = np.array([row[1] for row in rows], "S200")
        file["index_in_hdf5"] = np.array([row[2] for row in rows], np.int32)
        file["target"] = target
    return path


def make_panns_hdf5(folder):
    rows = []
    for site in sorted({name.split("/")[0] for name in SITES}):
        names = [f"night{night}.wav" for night in range(3)]
        packed(folder / site / "waveforms.h5", *names)
        rows += [(name, f"/there/{site}/waveforms.h5", at, [72, 80 + at]) for at, name in enumerate(names)]
    audioset_labels(folder)
    return panns_index(folder / "some.h5", *rows), {}


MAKERS = {
    "panns_hdf5": make_panns_hdf5,
    "audioset": make_audioset,
    "esc50": make_esc50,
    "aoef": make_detections("aoef"),
    "audacity": make_audacity,
    "audiotagger": make_detections("audiotagger"),
    "kaleidoscope": make_kaleidoscope,
    "parquet": make_detections("parquet"),
    "published_csv": make_detections("published_csv"),
    "bat_npz": make_npz,
    "batdetect2": make_batdetect2,
    "birdclef": make_birdclef,
    "csv": make_csv,
    "folders": make_folders,
    "darksound": make_darksound,
    "raven": make_raven,
}


@pytest.mark.parametrize(
    ("format", "group_by"), [*((name, "folder") for name in IMPORTERS), ("csv", "recording"), ("raven", r"night\d")]
)
def test_no_leakage_for_any_importer(tmp_path, format, group_by):
    # The same names in every site: a splitter by file name alone would be found out.
    audio(tmp_path, *(f"{name}.wav" for name in SITES))
    path, options = MAKERS[format](tmp_path)
    manifest = import_annotations(format, path, tmp_path, group_by=group_by, **options)
    assert len(manifest.recordings) == len(SITES)
    assert manifest.missing_files() == []
    splits = [split_by_group(manifest, {"train": 0.6, "valid": 0.2, "test": 0.2}, seed) for seed in range(3)]
    if len(manifest.groups) >= 3:
        splits += folds_by_group(manifest, 3, 0)
    for split in splits:
        files = {side: {split.path_of(name).resolve() for name in split.of_split(side).recordings} for side in SIDES}
        groups = {side: set(split.of_split(side).groups) for side in SIDES}
        for one, other in (("train", "valid"), ("train", "test"), ("valid", "test")):
            assert not files[one] & files[other]
            assert not groups[one] & groups[other]
        assert sum(len(names) for names in files.values()) == len(SITES)


SIDES = ("train", "valid", "test")


def test_every_importer_is_in_that_test():
    assert set(MAKERS) == set(IMPORTERS)


@pytest.mark.parametrize(
    ("format", "options", "message"),
    [
        ("koe", {}, "annotation format 'koe' is unknown; allowed: aoef, audacity, "),
        (
            "raven",
            {"species": "x"},
            "format raven has no option 'species'; it has: label_column, label, time_expansion",
        ),
        ("bat_npz", {"time_expansion": 10}, "format bat_npz needs the option 'time_units'"),
        ("bat_npz", {"time_units": "real"}, "format bat_npz needs the option 'time_expansion'"),
    ],
)
def test_unknown_formats_and_options(tmp_path, format, options, message):
    with pytest.raises(DataError, match=message):
        import_annotations(format, tmp_path, **options)


@pytest.mark.parametrize("format", ["audacity", "raven", "batdetect2", "csv"])
def test_nothing_there(tmp_path, format):
    with pytest.raises(DataError, match=r"there is no such|cannot be read"):
        import_annotations(format, tmp_path / "nowhere", tmp_path)
    if format != "csv":
        with pytest.raises(DataError, match="the folder has no files of this kind"):
            import_annotations(format, tmp_path)
    text(tmp_path / "a.txt", "0\t1\tx\n")
    with pytest.raises(DataError, match=r"audio folder .* is not there"):
        import_annotations("audacity", tmp_path / "a.txt", tmp_path / "nowhere")


WHOLE = {
    "audacity": b"0.1\t0.2\tPip\n\\\t100\t200\n3\t4\tx\n",
    "batdetect2": b"",  # written with the boxes below
    "csv": b'recording,start_s,end_s,label,low_hz,time_expansion,split\na,0,1,x,5,10,train\n"b",1,2,,,,\n',
    "raven": b"Selection\tView\tBegin Time (s)\tEnd Time (s)\tSpecies\tBegin Path\n1\tSpectrogram\t5\t6\tx\tC:\\a\n",
}
DAMAGE = [
    b"",
    b"\n",
    b"\t",
    b",",
    b'"',
    b"-1",
    b"1e999",
    b"nan",
    b"{}",
    b"\xff",
    b"\0",
    b"\\",
    b"9" * 400,
    b"../",
    b"\xef\xbb\xbf",
]


@settings(max_examples=80, deadline=None)
@given(format=st.sampled_from(sorted(WHOLE)), data=st.data())
def test_damage_is_refused_in_one_line_or_harmless(tmp_path_factory, format, data):
    folder = tmp_path_factory.mktemp("damaged")
    content = WHOLE[format] or json.dumps([entry(boxes=[box(), box()])]).encode()
    begin = data.draw(st.integers(0, len(content)))
    end = begin + data.draw(st.sampled_from([0, 1, 3, 20]))
    (folder / "a.txt").write_bytes(content[:begin] + data.draw(st.sampled_from(DAMAGE)) + content[end:])
    try:
        manifest = import_annotations(format, folder / "a.txt")
    except DataError as error:
        assert "\n" not in str(error)
    else:
        assert (manifest.table["start_s"] >= 0).all()


# ---- finding the audio ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("night1.wav", "s1/Night1.WAV"),
        ("night1", "s1/Night1.WAV"),
        ("D:\\bats\\2020\\s2\\call.wav", "s2/call.wav"),
        ("/home/anna/s1/call.wav", "s1/call.wav"),
        ("2008-08-08_42.94_23.03_10_0", "2008-08-08_42.94_23.03_10_0.wav"),
        ("gone.wav", "gone.wav"),
        ("gone", "gone.wav"),
        ("gone_0.5", "gone_0.5.wav"),
    ],
)
def test_recordings_are_found(tmp_path, name, found):
    audio(tmp_path, "s1/Night1.WAV", "s1/call.wav", "s2/call.wav", "2008-08-08_42.94_23.03_10_0.wav", "s1/._night1.wav")
    table = text(tmp_path / "t.csv", f"recording,start_s,end_s,label\n{name},0,1,x\n")
    assert import_annotations("csv", table).recordings == [found]


def test_two_recordings_fit(tmp_path):
    audio(tmp_path, "s1/call.wav", "s2/call.wav")
    table = text(tmp_path / "t.csv", "recording,start_s,end_s,label\ncall.wav,0,1,x\n")
    with pytest.raises(DataError, match=r"'call\.wav' could be 's1/call\.wav' or 's2/call\.wav'"):
        import_annotations("csv", table)


def test_two_names_for_one_recording(tmp_path):
    audio(tmp_path, "s1/call.wav")
    same = "recording,start_s,end_s,label\ns1/call.wav,0,1,x\ncall,0,1,x\nD:/bats/s1/CALL.wav,0,1,x\n"
    assert import_annotations("csv", text(tmp_path / "t.csv", same)).recordings == ["s1/call.wav"]
    other = "recording,start_s,end_s,label\ns1/call.wav,0,1,x\ns2/call.wav,0,1,x\n"
    with pytest.raises(DataError, match=r"'s1/call\.wav' and 's2/call\.wav' both lead to 's1/call\.wav'"):
        import_annotations("csv", text(tmp_path / "t.csv", other))


# ---- batdetect2 -------------------------------------------------------------------------------------------------


def box(label="Myotis mystacinus", **changes):
    values = {"class": label, "event": "Echolocation", "individual": "0"}
    times = {"start_time": 0.146366, "end_time": 0.151696, "low_freq": 28564.453125, "high_freq": 105957.03125}
    return {**values, **times, **changes}


def entry(name="a.wav", boxes=None, **changes):
    boxes = [box()] if boxes is None else boxes
    fixed = {"annotated": True, "issues": False, "duration": 0.5, "time_exp": 10, "class_name": "Myotis", "notes": ""}
    return {"id": name, "annotation": boxes, **fixed, **changes}


def test_batdetect2_times_are_real_whatever_time_exp(tmp_path):
    audio(tmp_path / "audio", "a.wav", "b.wav")
    text(tmp_path / "anns" / "a.wav.json", json.dumps(entry()), encoding="utf-8-sig")
    text(tmp_path / "anns" / "b.wav.json", json.dumps(entry("b.wav", boxes=[])))
    manifest = import_annotations("batdetect2", tmp_path / "anns", tmp_path / "audio")
    assert rows_of(manifest.subset(["a.wav"]), "start_s", "end_s", "low_hz", "high_hz", "label", "call_type") == [
        (0.146366, 0.151696, 28564.453125, 105957.03125, "Myotis mystacinus", "Echolocation")
    ]
    assert rows_of(manifest.subset(["b.wav"]), "start_s", "end_s", "label") == [(0.0, 0.5, "")]
    assert manifest.time_expansion_of("a.wav") == 10
    assert manifest.table["duration_s"].tolist() == [0.5, 0.5]


def test_batdetect2_list_and_filters(tmp_path):
    entries = [entry(), entry("b.wav", annotated=False), entry("c.wav", issues=True)]
    path = text(tmp_path / "all.json", json.dumps(entries))
    assert import_annotations("batdetect2", path).recordings == ["a.wav"]
    assert import_annotations("batdetect2", path, only_annotated=False).recordings == ["a.wav", "b.wav"]
    assert import_annotations("batdetect2", path, with_issues=True).recordings == ["a.wav", "c.wav"]
    path = text(tmp_path / "none.json", json.dumps(entries[1:]))
    with pytest.raises(DataError, match="no recording is marked as annotated and free of issues"):
        import_annotations("batdetect2", path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ('{\n"id": "a.wav",\n}', "not valid JSON at line 3"),
        ("[" * 100_000, "nested too deeply"),
        ("[1]", "not batdetect2 JSON; every recording needs the fields id and annotation"),
        (json.dumps({"id": "a.wav"}), "needs the fields id and annotation"),
        (json.dumps(entry(boxes={})), r"recording 'a\.wav': annotation is {}; a list"),
        (json.dumps(entry(boxes=[box(), box("")])), "box 2 has no class"),
        (json.dumps(entry(boxes=[box(start_time="0.1")])), "box 1: start_time is '0.1'; a number is needed"),
        (json.dumps(entry(boxes=[box(low_freq=None)])), "box 1: low_freq is None"),
        (json.dumps(entry(boxes=[box(end_time=0.1)])), "box 1 is start_time 0.146366, end_time 0.1,"),
        (json.dumps(entry(duration="long")), "duration is 'long'"),
    ],
)
def test_batdetect2_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as error:
        import_annotations("batdetect2", text(tmp_path / "a.json", content))
    assert str(tmp_path / "a.json") in str(error.value)


# ---- Raven ------------------------------------------------------------------------------------------------------

RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation"


def test_raven_counts_each_selection_once(tmp_path):
    audio(tmp_path, "night1.wav")
    content = (
        f"{RAVEN}\n1\tWaveform 1\t1\t0.5\t0.7\t0.0\t4000.0\tPiha\n1\tSpectrogram 1\t1\t0.5\t0.7\t900.0\t2100.0\tPiha\n"
        "2\tWaveform 1\t1\t1.5\t1.7\t0.0\t4000.0\tNA\n2\tSpectrogram 1\t1\t1.5\t1.7\t900.0\t2100.0\tNA\n"
    )
    path = text(tmp_path / "night1.Table.1.selections.txt", content, newline="\r\n")
    manifest = import_annotations("raven", path)
    assert rows_of(manifest, "recording", "start_s", "end_s", "low_hz", "high_hz", "label") == [
        ("night1.wav", 0.5, 0.7, 900.0, 2100.0, "Piha"),
        ("night1.wav", 1.5, 1.7, 900.0, 2100.0, "NA"),
    ]


def test_raven_table_over_many_files(tmp_path):
    audio(tmp_path, "a.wav", "b.wav")
    header = f"{RAVEN}\tBegin File\tFile Offset (s)\n"
    line = "{}\tSpectrogram 1\t1\t{}\t{}\t900\t2100\tx\t{}.wav\t{}\n"
    path = text(tmp_path / "all.txt", header + line.format(1, 5, 6, "a", 5) + line.format(2, 65, 66.5, "b", 5))
    manifest = import_annotations("raven", path)
    assert rows_of(manifest, "recording", "start_s", "end_s") == [("a.wav", 5, 6), ("b.wav", 5, 6.5)]


def test_raven_time_expanded_without_calls_and_other_labels(tmp_path):
    header = RAVEN.replace("Annotation", "Art")
    text(tmp_path / "a.txt", f"{header}\n1\tSpectrogram 1\t1\t5\t6\t4000\t6000\tÉ\n", encoding="latin-1")
    with pytest.raises(DataError, match=r"a.txt: line 2 is not UTF-8; .* right: 'É', .* encoding=windows-1252"):
        import_annotations("raven", tmp_path / "a.txt", label_column="Art")
    text(tmp_path / "b.selections.txt", f"{header}\n")
    manifest = import_annotations("raven", tmp_path, label_column="Art", time_expansion=10, encoding="windows-1252")
    assert manifest.recordings == ["a.wav", "b.wav"]
    assert rows_of(manifest.subset(["a.wav"]), "start_s", "end_s", "low_hz", "high_hz", "label", "time_expansion") == [
        (0.5, 0.6, 40000.0, 60000.0, "É", 10.0)
    ]
    assert manifest.table["label"].tolist() == ["É", ""]
    assert import_annotations("raven", tmp_path, label="bat", encoding="latin-1").labels == ["bat"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("a,b\n1,2\n", r"column 'Begin Time \(s\)' is missing; a Raven selection table"),
        (f"{RAVEN}\n1\tSpectrogram 1\t1\tsoon\t6\t1\t2\tx\n", r"Begin Time \(s\) is 'soon' \(row 2\)"),
        (f"{RAVEN}\n1\tS\t1\t1\t2\t1\t2\tx\n2\tS\t1\t7\t6\t1\t2\tx\n", "selection in row 3 goes from 7 to 6 s"),
        (f"{RAVEN}\n1\tSpectrogram 1\t1\t\t6\t1\t2\tx\n", "selection in row 2 goes from nan to 6 s"),
        (f"{RAVEN}\n1\tSpectrogram 1\t1\t5\t6\t1\t2\t\n", "row 2 has no label; .* option label=NAME"),
        (f"{RAVEN}\n1\tSpectrogram 1\t1\t5\t6\t1\n", "row 2 has 6 cells, the header has 8"),
        (f"{RAVEN}\n1\tSpectrogram 1\t1\t5\t6\t1\t2\tx\ty\n", "row 2 has 9 cells, the header has 8"),
        (
            RAVEN.replace("Annotation", "Art") + "\n1\tS\t1\t5\t6\t1\t2\tx\n",
            "'Annotation' or 'Species' .* label_column",
        ),
    ],
)
def test_raven_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as error:
        import_annotations("raven", text(tmp_path / "a.txt", content))
    assert str(tmp_path / "a.txt") in str(error.value)


# ---- Audacity ---------------------------------------------------------------------------------------------------


def test_audacity_regions_points_bands(tmp_path):
    audio(tmp_path / "audio", "a.wav", "b.flac")
    content = "0.100000\t0.250000\tPip pip\n\\\t41000.5\t68000\n1.5\t1.5\tbuzz\n2\t3\ttwo\twords\n\\\t-1.0\t5000\n"
    text(tmp_path / "labels" / "a.txt", content, encoding="utf-8-sig", newline="\r\n")
    text(tmp_path / "labels" / "b.txt", "")
    manifest = import_annotations("audacity", tmp_path / "labels", tmp_path / "audio")
    table = manifest.table.fillna(-1)
    assert list(
        table[["recording", "start_s", "end_s", "low_hz", "high_hz", "label"]].itertuples(index=False, name=None)
    ) == [
        ("a.wav", 0.1, 0.25, 41000.5, 68000, "Pip pip"),
        ("a.wav", 1.5, 1.5, -1, -1, "buzz"),
        ("a.wav", 2, 3, -1, 5000, "two words"),
        ("b.flac", 0, -1, -1, -1, ""),
    ]


def test_audacity_one_file_time_expanded(tmp_path):
    path = text(tmp_path / "Label Track.txt", "1\t2\t\n\\\t4000\t6000\n")
    manifest = import_annotations("audacity", path, recording="night1.wav", label="bat", time_expansion=10)
    assert rows_of(manifest, "recording", "start_s", "end_s", "low_hz", "high_hz", "label", "time_expansion") == [
        ("night1.wav", 0.1, 0.2, 40000, 60000, "bat", 10)
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1,5\t2,0\tx\n", r"line 1 has '1,5' where a number \(with a decimal point\)"),
        ("\n1 2 x\n", "line 2 is '1 2 x'; a label is start, end and text with tabs"),
        ("\\\t1\t2\n", "line 1 .* a band is"),
        ("1\t2\tx\n\\\t1\n", "line 2 .* a band is"),
        ("1\t2\tx\n2\t1\tx\n", "line 2 goes from 2 to 1 s"),
        ("-1\t1\tx\n", "line 1 goes from -1 to 1 s"),
        ("1\t2\tx\n1\t2\t \n", "the annotation in row 2 has no label"),
        ("1\t2\tx\n\\\t900\t200\n", "low_hz is 900 and high_hz is 200"),
    ],
)
def test_audacity_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as error:
        import_annotations("audacity", text(tmp_path / "a.txt", content))
    assert str(tmp_path / "a.txt") in str(error.value)


def test_audacity_recording_is_for_one_file(tmp_path):
    text(tmp_path / "a.txt", "")
    text(tmp_path / "b.txt", "")
    with pytest.raises(DataError, match="option recording is for one label file, here are 2"):
        import_annotations("audacity", tmp_path, recording="c.wav")


# ---- CSV --------------------------------------------------------------------------------------------------------


def test_csv_with_columns_named(tmp_path):
    audio(tmp_path, "s1/a.wav")
    path = text(tmp_path / "t.csv", "file;von;bis;min;max;Art;label\nA.wav;5,5;7;4;6;Pip;old\n\nB;1;2;;;;\n", "latin-1")
    manifest = import_annotations(
        "csv",
        path,
        columns={
            "recording": "file",
            "start_s": "von",
            "end_s": "bis",
            "low_hz": "min",
            "high_hz": "max",
            "label": "Art",
        },
        separator=";",
        decimal=",",
        time_unit="ms",
        frequency_unit="kHz",
        time_expansion=10,
    )
    assert rows_of(manifest, "recording", "start_s", "end_s", "low_hz", "label", "time_expansion")[0] == (
        "s1/a.wav",
        pytest.approx(0.00055),
        pytest.approx(0.0007),
        40000,
        "Pip",
        10,
    )
    assert manifest.table["label"].tolist() == ["Pip", ""]  # the table's own column "label" gave way to the named one


def test_csv_keeps_other_columns(tmp_path):
    header = "path,start_s,end_s,low_hz,high_hz,label,call_type,confidence"
    content = f"{header}\nbats/x.flac,0.0,0.0075,16500.0,51000.0,noise,mec,3.0\n"
    manifest = import_annotations("csv", text(tmp_path / "annotations.csv", content), columns={"recording": "path"})
    expected = pd.DataFrame([("x.flac", 0.0, 0.0075, "noise")], columns=["recording", "start_s", "end_s", "label"])
    expected = make_manifest(expected.assign(recording="bats/x.flac", low_hz=16500.0, high_hz=51000.0), ".", "").table
    pd.testing.assert_frame_equal(manifest.table[expected.columns], expected)
    assert manifest.table[["call_type", "confidence"]].iloc[0].tolist() == ["mec", "3.0"]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", {}, "the file is empty"),
        ("a,b\n", {"columns": {"recording": "path"}}, r"column 'path' \(for recording\) is missing; found are a, b"),
        ("a,b\n", {"columns": {"species": "a"}}, "columns names 'species'; allowed are recording, start_s"),
        ("recording,start_s,label\n", {}, "column 'end_s' is missing"),
        ("recording,start_s,end_s,label\na,0,1,x\nb,x,1,x\n", {}, r"start_s is 'x' \(row 3\)"),
        (
            "recording,start_s,end_s,label\na,0,1,x\n",
            {"time_unit": "min"},
            "time_unit is 'min'; allowed are 's' and 'ms'",
        ),
        ("recording,start_s,end_s,label\na,0,1,x\n", {"decimal": ";"}, "decimal is ';'"),
        ("recording,start_s,end_s,label\na,0,1,x\n", {"time_expansion": -10}, "time_expansion is -10"),
        ("recording,start_s,end_s,label\na,2,1,x\n", {}, r"start_s is 2 and end_s is 1 \(row 2\)"),
    ],
)
def test_csv_refused(tmp_path, content, options, message):
    with pytest.raises(DataError, match=message) as error:
        import_annotations("csv", text(tmp_path / "t.csv", content), **options)
    assert str(tmp_path / "t.csv") in str(error.value)


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
