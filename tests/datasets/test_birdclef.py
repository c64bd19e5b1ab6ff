"""BirdCLEF tables of every year, what does not fit in them, and recordings from other years and Xeno-canto."""

import math

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.commands.console import run_command
from ecotf.commands.make_dataset import main
from ecotf.datasets.birdclef import rating_weights, read_birdclef_table, secondary_labels, xeno_canto_number
from ecotf.datasets.importers import import_annotations
from ecotf.datasets.manifest import make_manifest, read_manifest, write_manifest
from ecotf.datasets.splits import folds_by_group, lone_labels, split_by_group
from ecotf.errors import DataError

HEADERS = {
    2021: "primary_label,secondary_labels,type,latitude,longitude,scientific_name,common_name,author,date,filename,"
    "license,rating,time,url",
    2022: "primary_label,secondary_labels,type,latitude,longitude,scientific_name,common_name,author,license,rating,"
    "time,url,filename",
    2023: "primary_label,secondary_labels,type,latitude,longitude,scientific_name,common_name,author,license,rating,"
    "url,filename",
}
HEADERS[2024] = HEADERS[2023]


def metadata(folder, year, recordings, audio=True):
    """Write a year's table, and its audio: ``(label, secondary, rating, author, number)``."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for label, secondary, rating, author, number in recordings:
        name = f"XC{number}.ogg"
        where = folder / ("train_short_audio" if year == 2021 else "train_audio") / label / name
        if audio:
            where.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(where, np.zeros(3200), 32000, format="OGG")
        cells = {
            "primary_label": label, "secondary_labels": secondary, "rating": rating, "author": author,
            "filename": name if year == 2021 else f"{label}/{name}", "latitude": -1.5, "longitude": 36.8,
            "url": f"https://www.xeno-canto.org/{number}", "scientific_name": f"Avis {label}", "type": "['song']",
        }  # fmt: skip
        rows.append([cells.get(column, "") for column in HEADERS[year].split(",")])
    pd.DataFrame(rows, columns=HEADERS[year].split(",")).to_csv(folder / "train_metadata.csv", index=False)
    return folder


def rows_of(manifest, *columns):
    return list(manifest.table[list(columns)].itertuples(index=False, name=None))


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("[]", []), ("", []), (math.nan, []), (None, []), ("nan", []), ("['']", []), ("[nan]", []), ("  ", []),
        ("['a', 'b']", ["a", "b"]), ("a b", ["a", "b"]), ("a, b", ["a", "b"]), ("a;b", ["a", "b"]),
        ("[a, b]", ["a", "b"]),
        ('["a"]', ["a"]), ("['a', 'a']", ["a"]), ("['Turdus merula', 'b']", ["Turdus merula", "b"]),
        ("Turdus merula, b", ["Turdus merula", "b"]), ("""["Audubon's oriole"]""", ["Audubon's oriole"]),
    ],
)  # fmt: skip
def test_secondary_labels_however_they_are_written(cell, labels):
    assert secondary_labels(cell) == labels


@pytest.mark.parametrize("year", HEADERS)
def test_every_year_gives_the_same_manifest(tmp_path, year):
    folder = metadata(
        tmp_path / "y", year, [("aaa", "['bbb']", 4.0, "Ann", 1), ("bbb", "[]", 0.0, "", 2), ("bbb", "", 5, "Ann", 3)]
    )
    manifest = import_annotations("birdclef", folder)
    assert rows_of(manifest, "recording", "label", "weight", "foreground", "end_s") == [
        ("aaa/XC1.ogg", "aaa", 0.8, 1, 0.1),
        ("aaa/XC1.ogg", "bbb", pytest.approx(0.64), 0, 0.1),
        ("bbb/XC2.ogg", "bbb", 0.5, 1, 0.1),  # nobody rated it: 2.5 of 5
        ("bbb/XC3.ogg", "bbb", 1.0, 1, 0.1),
    ]
    assert manifest.notes == () and manifest.missing_files() == []
    assert rows_of(manifest, "xeno_canto", "recordist", "latitude")[0] == ("1", "Ann", "-1.5")
    grouped = manifest.with_groups("recordist")
    assert rows_of(grouped, "recording", "group")[1:] == [
        ("aaa/XC1.ogg", "recordist Ann"), ("bbb/XC2.ogg", "bbb/XC2.ogg"), ("bbb/XC3.ogg", "recordist Ann")
    ]  # fmt: skip
    write_manifest(manifest, tmp_path / "m.csv")
    again = read_manifest(tmp_path / "m.csv")
    assert again.missing_files() == [] and again.table["weight"].tolist() == manifest.table["weight"].tolist()
    assert again.with_groups("recordist").groups == ["recordist Ann", "y/train_short_audio/bbb/XC2.ogg"] or year != 2021


def test_rating_weights():
    stars, front = [5, 4, 0.2, 0, math.nan, 2.5], pd.Series([True, False, True, True, False, True])
    np.testing.assert_allclose(rating_weights(stars, front, 3.0, 0), [1, 0.64, 0.1, 0.6, 0.48, 0.5])
    drawn = rating_weights([0.0] * 2000, pd.Series([True] * 2000), "random", 7)
    assert sorted(set(np.round(drawn * 5, 6))) == [0.5 * i for i in range(1, 11)]
    np.testing.assert_array_equal(drawn, rating_weights([0.0] * 2000, pd.Series([True] * 2000), "random", 7))


def test_numbers_of_xeno_canto():
    assert xeno_canto_number("https://www.xeno-canto.org/123", "x.ogg") == "123"
    assert xeno_canto_number("", "aaa/XC77.ogg") == "77" and xeno_canto_number("", "aaa/night.ogg") == ""


def test_extra_recordings_are_chosen_by_species_and_number(tmp_path):
    folder = metadata(tmp_path / "2023", 2023, [("aaa", "[]", 5, "Ann", 1), ("bbb", "[]", 5, "Bob", 2)])
    older = metadata(
        tmp_path / "2021", 2021,
        [("aaa", "['zzz']", 5, "Cy", 1), ("aaa", "['bbb']", 3, "Cy", 9), ("zzz", "['aaa']", 5, "Cy", 8)],
    )  # fmt: skip
    for name in ("Avis_bbb/XC10.wav", "bbb/XC9.wav", "zzz/XC11.wav"):
        (tmp_path / "xc" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "xc" / name, np.zeros(100), 8000)
    (tmp_path / "noise").mkdir()
    soundfile.write(tmp_path / "noise" / "rain.wav", np.zeros(100), 8000)
    manifest = import_annotations(
        "birdclef", folder, extra=[str(older), str(tmp_path / "xc")], background=[str(tmp_path / "noise")]
    )
    assert rows_of(manifest, "recording", "label", "weight") == [
        ("aaa/XC1.ogg", "aaa", 1.0), ("bbb/XC2.ogg", "bbb", 1.0),
        (f"{older}/train_short_audio/aaa/XC9.ogg", "aaa", 0.6),
        (f"{older}/train_short_audio/aaa/XC9.ogg", "bbb", pytest.approx(0.48)),
        (f"{tmp_path}/xc/Avis_bbb/XC10.wav", "bbb", 0.5),
        (f"{tmp_path}/noise/rain.wav", "", 1.0),
    ]  # fmt: skip
    assert manifest.missing_files() == [] and manifest.table["role"].tolist()[-1] == "background"
    assert manifest.notes == (
        f"extra {older}: 1 of 3 recordings taken; left out: 1 of species that are not in the class list, 1 that are "
        "there already",
        f"extra {tmp_path / 'xc'}: 1 of 3 recordings taken; left out: 1 of species that are not in the class list, 1 "
        "that are there already",
    )


def test_an_audio_folder_that_is_a_link(tmp_path):
    folder = metadata(tmp_path / "y", 2023, [("aaa", "[]", 5, "Ann", 1)])
    (tmp_path / "far" / "away").mkdir(parents=True)
    (folder / "train_audio").rename(tmp_path / "far" / "away" / "audio")
    (folder / "train_audio").symlink_to(tmp_path / "far" / "away" / "audio")
    (tmp_path / "noise").mkdir()
    soundfile.write(tmp_path / "noise" / "rain.wav", np.zeros(100), 8000)
    write_manifest(import_annotations("birdclef", folder, background=[str(tmp_path / "noise")]), tmp_path / "m.csv")
    assert read_manifest(tmp_path / "m.csv").missing_files() == []


def test_what_does_not_fit_is_said_in_one_line_each(tmp_path, capsys):
    folder = metadata(tmp_path / "y", 2023, [("aaa", "['ghost']", 5, "A", 1), ("aaa", "['ghost']", 5, "A", 2)])
    table = pd.read_csv(folder / "train_metadata.csv")
    silent = table.iloc[:1].assign(primary_label="bbb", filename="bbb/XC7.ogg", url="")
    pd.concat([table, silent]).to_csv(folder / "train_metadata.csv", index=False)
    soundfile.write(folder / "train_audio" / "aaa" / "XC55.ogg", np.zeros(3200), 32000, format="OGG")
    with pytest.raises(SystemExit) as exit:
        run_command(main, ["import", "--format", "birdclef", str(folder), "--output", str(tmp_path / "m.csv")])
    out = capsys.readouterr().out
    assert exit.value.code == 0
    for line in (
        "1 of 3 recordings of the metadata have no audio, the first is 'bbb/XC7.ogg'",
        "1 species of the metadata without any audio: bbb",
        "1 audio file without metadata left out, the first is 'aaa/XC55.ogg'",
        "1 label outside of the class list left out: ghost (2)",
    ):
        assert line in " ".join(out.split())
    assert read_manifest(tmp_path / "m.csv").labels == ["aaa"]


def test_a_class_list_decides(tmp_path):
    folder = metadata(
        tmp_path / "y", 2022, [("aaa", "['bbb']", 5, "A", 1), ("ccc", "", 5, "A", 2), ("bbb", "", 5, "A", 3)]
    )
    (tmp_path / "list.csv").write_text("row_id,bbb,ddd\n")
    manifest = import_annotations("birdclef", folder, classes=str(tmp_path / "list.csv"))
    assert rows_of(manifest, "recording", "label", "foreground") == [
        ("aaa/XC1.ogg", "bbb", 0),
        ("bbb/XC3.ogg", "bbb", 1),
    ]
    assert manifest.notes == ("2 labels outside of the class list left out: aaa (1), ccc (1)",)
    (tmp_path / "list.csv").write_text("bbb\nbbb\n")
    with pytest.raises(DataError, match="'bbb' is there twice"):
        import_annotations("birdclef", folder, classes=str(tmp_path / "list.csv"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda text: text.replace("primary_label", "species"),
            "column 'primary_label' is missing; found are species",
        ),
        (lambda text: text.replace("filename", "file"), "column 'filename' is missing"),
        (lambda text: text.replace(",5.0,", ",7.5,"), r"rating is '7.5' \(row 2\); allowed are 0 to 5"),
        (lambda text: text.replace(",5.0,", ",good,"), r"rating is 'good' \(row 2\)"),
        (lambda text: text.replace("\naaa,", "\n,"), r"primary_label is empty \(row 2\)"),
        (
            lambda text: text.replace("XC1.", "XC4."),
            "none of its 1 recordings is in .*--audio-dir says where",
        ),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, change, said):
    folder = metadata(tmp_path / "y", 2023, [("aaa", "[]", 5.0, "A", 1)])
    file = folder / "train_metadata.csv"
    file.write_text(change(file.read_text()))
    with pytest.raises(DataError, match=said):
        import_annotations("birdclef", folder)


def test_other_mistakes(tmp_path):
    folder = metadata(tmp_path / "y", 2023, [("aaa", "[]", "no score", "A", 1)])
    assert math.isnan(read_birdclef_table(folder / "train_metadata.csv")["rating"][0])
    for options, said in (
        ({"unrated": 6}, "unrated is 6; a rating from 0 to 5"),
        ({"extra": ["nowhere"]}, "extra folder 'nowhere' is not there"),
        ({"extra": [str(tmp_path)]}, "lies outside of a species folder|y/train_audio"),
        ({"background": ["nowhere"]}, "background folder 'nowhere'"),
    ):
        if options.get("extra") == [str(tmp_path)]:
            soundfile.write(tmp_path / "stray.wav", np.zeros(10), 8000)
        with pytest.raises(DataError, match=said):
            import_annotations("birdclef", folder, **options)


def lone_class_manifest():
    rows = [(f"{i}.ogg", "ab"[i % 2]) for i in range(12)] + [("rare.ogg", "rare"), ("rare.ogg", "a")]
    table = pd.DataFrame(rows, columns=["recording", "label"]).assign(start_s=0.0, end_s=np.nan)
    return make_manifest(table, ".", "test")


def test_a_one_clip_class_stays_in_train_in_every_split():
    manifest = lone_class_manifest()
    assert lone_labels(manifest) == ["rare"]
    for seed in range(5):
        split = split_by_group(manifest, {"train": 0.5, "valid": 0.25, "test": 0.25}, seed)
        assert "rare.ogg" in split.of_split("train").recordings
        folds = folds_by_group(manifest, 4, seed, keep_lone=True)
        assert all("rare.ogg" in fold.of_split("train").recordings for fold in folds)
        tested = [name for fold in folds for name in fold.of_split("test").recordings]
        assert sorted(tested) == sorted(set(manifest.recordings) - {"rare.ogg"})
    with pytest.raises(DataError, match="13 groups, of which 1 stay in train"):
        folds_by_group(manifest, 13, 0, keep_lone=True)


def test_backgrounds_stay_in_train_and_do_not_count():
    rows = [(f"{i}.ogg", "ab"[i % 2], "") for i in range(8)] + [(f"rain{i}.ogg", "", "background") for i in range(30)]
    table = pd.DataFrame(rows, columns=["recording", "label", "role"]).assign(start_s=0.0, end_s=np.nan)
    manifest = make_manifest(table, ".", "test")
    split = split_by_group(manifest, {"train": 0.5, "test": 0.5}, 0)
    assert len(split.of_split("test").recordings) == 4 and len(split.of_split("train").recordings) == 34
    for fold in folds_by_group(manifest, 4, 0):
        assert sorted(fold.of_split("test").labels) == ["a", "b"] and len(fold.of_split("test").recordings) == 2


def test_the_command_says_which_class_stays(tmp_path, capsys):
    write_manifest(lone_class_manifest(), tmp_path / "m.csv")
    arguments = ["split", str(tmp_path / "m.csv"), "--output", str(tmp_path / "folds"), "--folds", "3", "--keep-lone"]
    with pytest.raises(SystemExit) as exit:
        run_command(main, arguments)
    assert exit.value.code == 0
    assert "label 'rare' stays in train in every fold: 1 group has it" in capsys.readouterr().out
    for number in range(3):
        fold = read_manifest(tmp_path / "folds" / f"fold_{number}.csv")
        assert any(name.endswith("rare.ogg") for name in fold.of_split("train").recordings)


def test_group_by_a_column_that_disagrees():
    table = pd.DataFrame({"recording": ["a.ogg"] * 2, "start_s": 0.0, "end_s": 1.0, "label": ["x", "y"]})
    manifest = make_manifest(table.assign(recordist=["Ann", "Bob"]), ".", "test")
    with pytest.raises(DataError, match=r"recording 'a.ogg' has two values of it"):
        manifest.with_groups("recordist")
