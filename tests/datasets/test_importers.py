"""For every importer: none can leak across a split, damage is refused, recordings are found by their names."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecotf.datasets.importers import IMPORTERS, import_annotations
from ecotf.datasets.splits import folds_by_group, split_by_group
from ecotf.errors import DataError
from ecotf.inference.writers import write_detections

from .annotation_files import audio, audioset_labels, box, entry, packed, panns_index, segments, text

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


def make_audioset(folder):
    names = [f"night{name[-1]}site{name[4]}" for name in SITES]
    audio(folder, *(f"site{name[-1]}/Y{name}.wav" for name in names))
    audioset_labels(folder)
    return segments(
        folder / "some_segments.csv", *((name, "/m/0jbk", f"/t/{80 + i % 3}") for i, name in enumerate(names))
    ), {}


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
