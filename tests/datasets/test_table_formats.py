# ruff: noqa: E501 -- tables read better in one line
"""Encodings and the formats of programs, where tables could mean two things: read right, or refused with a remedy."""

import json

import pytest

from ecotf.datasets.importers import import_annotations
from ecotf.errors import DataError

from .odd_tables import CSV, RAVEN, read, row

# ---- encodings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("format", ["csv", "raven", "audacity"])
def test_encodings_that_say_what_they_are(folder, encoding, format):
    content = {
        "csv": f"{CSV}\nt2.wav,0.1,0.2,Chauve-souris é\n",
        "raven": f"{RAVEN}\n{row(1, 0.1, 'Chauve-souris é')}",
        "audacity": "0.1\t0.2\tChauve-souris é\n",
    }[format]
    assert read(folder, format, content.replace("\n", "\r\n").encode(encoding)).labels == ["Chauve-souris é"]


@pytest.mark.parametrize("encoding", ["latin-1", "windows-1252", "windows-1250", "mac_roman", "cp850"])
def test_encodings_that_do_not_are_refused_until_stated(folder, encoding):
    content = f"{CSV}\nt2.wav,0.1,0.2,Chauve-souris é\n".encode(encoding)
    with pytest.raises(DataError, match=r"line 2 is not UTF-8; save it as UTF-8, or, .* encoding=windows-1252"):
        read(folder, "csv", content)
    assert read(folder, "csv", content, encoding=encoding).labels == ["Chauve-souris é"]


def test_one_accent_is_one_class(folder):
    content = f"{CSV}\nt2.wav,0.1,0.2,\u00e9\nt2.wav,0.2,0.3,e\u0301\n"
    assert read(folder, "csv", content).labels == ["\u00e9"]


# ---- Raven --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"{RAVEN}\tBegin File\n{row(1, 0.05, more=chr(9) + 't1.wav')}{row(2, 0.55, more=chr(9) + 't2.wav')}", "2 sound"),
        (f"{RAVEN}\tBegin Path\n{row(1, 0.05, more=chr(9) + 'D:t1.wav')}{row(2, 0.55, more=chr(9) + 't2.wav')}", "2 sound"),
        (f"{RAVEN}\tBegin File\n{row(1, 2.2, more=chr(9) + 't2.wav')}", "row 2 ends at 2.205 s, 't2.wav' at 2 s"),
        (f"{RAVEN}\tBegin File\n{row(1, 0.1, more=chr(9) + 't1.wav')}", "the table of 't2.wav'.* in 't1.wav'"),
        (f"{RAVEN}\tFile Offset (s)\n{row(1, 0.1, more=chr(9) + '0.1')}{row(2, 0.2, more=chr(9))}", r"empty \(row 3\)"),
        (f"{RAVEN}\tAnnotation\n{row(1, 0.1, more=chr(9) + 'Myo')}", "'Species' and 'Annotation'.*label_column"),
        (f"{RAVEN}\n{row(1, 0.1, low='20.000,0')}", r"Low Freq .* is '20.000,0' \(row 2\)"),
    ],
)  # fmt: skip
def test_raven_tables_that_could_mean_two_things(folder, content, said):
    with pytest.raises(DataError, match=said):
        read(folder, "raven", content)


def test_raven_offsets_over_two_files(folder):
    more = "\t{0}.wav\t{1}\t{0}.wav"
    content = f"{RAVEN}\tBegin File\tFile Offset (s)\tEnd File\n" + row(1, 0.05, more=more.format("t1", 0.05))
    manifest = read(folder, "raven", content + row(2, 0.55, more=more.format("t2", 0.05)))
    assert manifest.table[["recording", "start_s"]].values.tolist() == [["t1.wav", 0.05], ["t2.wav", 0.05]]
    across = content + row(2, 0.49, more="\tt1.wav\t0.49\tt2.wav")
    with pytest.raises(DataError, match=r"row 3 begins in one file and ends in another, 't2.wav'"):
        read(folder, "raven", across)


def test_raven_selections_count_once(folder):
    pair = row(1, 0.1, view="Waveform 1", low="0") + row(1, 0.1)
    assert len(read(folder, "raven", f"{RAVEN}\n{pair}").annotations) == 1
    copy = folder / "t2.Table.2.selections.txt"
    copy.write_text(f"{RAVEN}\n{row(1, 0.1)}{row(2, 0.3)}")
    manifest = import_annotations("raven", folder, folder)
    assert len(manifest.annotations) == 2
    assert manifest.notes == ("1 annotations are there twice; each is taken once",)


# ---- Audacity, Kaleidoscope, JSON ---------------------------------------------------------------------------------


def test_scores_behind_audacitys_labels(folder):
    ours = read(folder, "audacity", "0.1\t0.2\tMyotis 0.5 [score 0.9123, call 0.98]\n0.2\t0.3\tMyotis 0.91\n")
    assert ours.labels == ["Myotis 0.5", "Myotis 0.91"]
    assert ours.table["score"].fillna(-1).tolist() == [0.9123, -1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("IN FILE,OFFSET,AUTO ID\nt2.wav,0,x\n", "OFFSET and DURATION are needed together"),
        ("IN FILE,OFFSET,DURATION,AUTO ID\nt2.wav,0,1,\n", "row 2 has no label"),
        ("IN FILE,OFFSET,DURATION,AUTO ID\nt2.wav,1,-0.5,x\n", "must not end before it starts"),
        (f"{CSV}\n", "id.csv or meta.csv has the columns IN FILE"),
    ],
)
def test_kaleidoscope_refused(folder, content, said):
    with pytest.raises(DataError, match=said):
        read(folder, "kaleidoscope", content)


def test_kaleidoscope(folder):
    content = "INDIR,FOLDER,IN FILE,CHANNEL,OFFSET,DURATION,AUTO ID*,MANUAL ID\n"
    content += (
        "D:\\s,,t2.wav,1,0.1,0.1,PIPPIP,\nD:\\s,n,t1.wav,0,0.1,0.1,Noise,\nD:\\s,n,gone.wav,0,0.1,0.1,NoID,A; B\n"
    )
    table = read(folder, "kaleidoscope", content).table
    assert table[["recording", "label", "channel"]].values.tolist() == [
        ["t2.wav", "PIPPIP", 2], ["t1.wav", "Noise", 1], ["n/gone.wav", "A", 1], ["n/gone.wav", "B", 1],
    ]  # fmt: skip
    weak = read(folder, "kaleidoscope", "IN FILE,AUTO ID\nt2.wav,PIPPIP\n").table
    assert weak["start_s"].tolist() == [0] and weak["end_s"].isna().all()
    (folder / "meta.csv").write_text(content)
    with pytest.raises(DataError, match=r"id.csv, meta.csv describe the same recordings"):
        import_annotations("kaleidoscope", folder)


@pytest.mark.parametrize("name", [None, "", 3, ["x"]])
def test_a_label_that_is_no_text_is_refused(folder, name):
    box = {"start_time": 0, "end_time": 1, "low_freq": 0, "high_freq": 1, "class": name}
    entry = {"id": "t2.wav", "annotated": True, "annotation": [box]}
    with pytest.raises(DataError, match="box 1 has no class"):
        read(folder, "batdetect2", json.dumps(entry), "t2.wav.json")


AOEF = {
    "collection_type": "annotation_set",
    "tags": [{"id": 0, "key": "species", "value": "Pippip"}, {"id": 1, "key": "event", "value": "Echolocation"}],
    "recordings": [{"uuid": "r1", "path": "t1.wav", "duration": 0.5}, {"uuid": "r2", "path": "t2.wav", "duration": 2}],
    "sound_events": [
        {"uuid": "s1", "recording": "r2", "geometry": {"type": "BoundingBox", "coordinates": [0.1, 2e4, 0.2, 9e4]}},
        {"uuid": "s2", "recording": "r2", "geometry": {"type": "TimeStamp", "coordinates": 0.3}},
        {"uuid": "s3", "recording": "r2", "geometry": {"type": "Polygon", "coordinates": [[[0.4, 9], [0.5, 7], [0.45, 8]]]}},
    ],
    "clips": [{"uuid": "c1", "recording": "r1"}, {"uuid": "c2", "recording": "r2"}],
    "sound_event_annotations": [{"uuid": f"a{n}", "sound_event": f"s{n}", "tags": [0, 1]} for n in (1, 2, 3)],
    "clip_annotations": [{"uuid": "x1", "clip": "c1"}, {"uuid": "x2", "clip": "c2", "sound_events": ["a1", "a2", "a3"]}],
}  # fmt: skip


def test_annotations_of_soundevent(folder):
    table = read(folder, "aoef", json.dumps({"version": "1.1.0", "data": AOEF}), "a.json", label_key="species").table
    assert table.fillna(-1)[["recording", "start_s", "end_s", "low_hz", "high_hz", "label"]].values.tolist() == [
        ["t2.wav", 0.1, 0.2, 2e4, 9e4, "Pippip"], ["t2.wav", 0.3, 0.3, -1, -1, "Pippip"],
        ["t2.wav", 0.4, 0.5, 7, 9, "Pippip"], ["t1.wav", 0, 0.5, -1, -1, ""],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ({}, {}, "tags have the keys species, event; .* label_key="),
        ({"tags": [{"id": 0, "key": "species", "value": None}]}, {}, "the tag species is None"),
        ({"tags": [{"id": 9, "key": "species", "value": "x"}]}, {}, "tag 0 is not in the file"),
        ({"sound_events": []}, {"label_key": "species"}, "sound_event 's1' is not in the file"),
        ({"collection_type": "recording_set", "sound_event_annotations": [], "clip_annotations": []}, {}, "nothing to read"),
    ],
)  # fmt: skip
def test_soundevent_refused(folder, change, options, said):
    with pytest.raises(DataError, match=said):
        read(folder, "aoef", json.dumps({"version": "1.1.0", "data": AOEF | change}), "a.json", **options)
