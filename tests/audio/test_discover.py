import os
from pathlib import Path

import pytest
import soundfile

from ecotf.audio.discover import SOUND_EXTENSIONS, Found, find_recordings, shown_name


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A memory card: two nights in folders, what macOS leaves on it, and notes."""
    for name in (
        "b.WAV",
        "a.flac",
        "notes.txt",
        "._b.WAV",
        "night_1/c.wav",
        "night_1/deep/d.mp3",
        "night_2/e.ogg",
        "night_2/[1] f.wav",
        ".Trashes/g.wav",
        "empty/readme.md",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(arguments: list[str | Path], recursive: bool = True) -> list[str]:
    found = find_recordings(arguments, recursive)
    assert found.problems == []
    return [str(path) for path in found.recordings]


def test_folders(card: Path) -> None:
    deep = ["a.flac", "b.WAV", "night_1/c.wav", "night_1/deep/d.mp3", "night_2/[1] f.wav", "night_2/e.ogg"]
    assert names(["."]) == deep
    assert names([card]) == [str(card / name) for name in deep]
    assert names([card], recursive=False) == [str(card / "a.flac"), str(card / "b.WAV")]


def test_files_are_taken_whatever_their_name(card: Path) -> None:
    assert names(["notes.txt", "._b.WAV", "night_2/[1] f.wav"]) == ["._b.WAV", "night_2/[1] f.wav", "notes.txt"]


def test_patterns(card: Path) -> None:
    assert names(["*"], recursive=False) == [
        "a.flac",
        "b.WAV",
        "night_1/c.wav",
        "night_2/[1] f.wav",
        "night_2/e.ogg",
    ]
    assert names(["night_*/*.wav"]) == ["night_1/c.wav", "night_2/[1] f.wav"]
    assert names(["**/*.wav"]) == ["night_1/c.wav", "night_2/[1] f.wav"]
    assert names(["night_?"]) == ["night_1/c.wav", "night_1/deep/d.mp3", "night_2/[1] f.wav", "night_2/e.ogg"]


def test_each_file_once(card: Path) -> None:
    (card / "link.wav").symlink_to(card / "night_1/c.wav")
    assert names(["night_1/c.wav", "./night_1", str(card / "night_1/c.wav"), "link.wav"]) == [
        "night_1/c.wav",
        "night_1/deep/d.mp3",
    ]


def test_what_matches_nothing_is_told(card: Path) -> None:
    (card / "broken.wav").symlink_to(card / "gone.wav")
    found = find_recordings(["a.flac", "gone.wav", "broken.wav", "empty", "*.aac", "night_?/*.txt"])
    assert found.recordings == [Path("a.flac")]
    extensions = ", ".join(SOUND_EXTENSIONS)
    assert found.problems == [
        ("gone.wav", "no such file or folder"),
        ("broken.wav", "a link to nothing"),
        ("empty", f"no recordings in this folder; looked for {extensions}"),
        ("*.aac", f"this pattern matches no recording; looked for {extensions}"),
        ("night_?/*.txt", f"this pattern matches no recording; looked for {extensions}"),
    ]
    (card / "outer/inner").mkdir(parents=True)
    (card / "outer/inner/a.wav").touch()
    assert find_recordings(["outer"], recursive=False).problems == [
        (
            "outer",
            "no recordings in this folder itself (folders inside it were not searched); looked for " + extensions,
        )
    ]
    assert find_recordings([]) == Found([])


def test_folders_that_cannot_be_read_are_told(card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def walk(folder, onerror):
        onerror(PermissionError(13, "Permission denied", "night_1"))
        yield str(card), [], ["a.flac"]

    monkeypatch.setattr("os.walk", walk)  # as root, the tests may read anything
    found = find_recordings([card])
    assert found.recordings == [card / "a.flac"]
    assert found.problems == [("night_1", "this folder cannot be read (Permission denied)")]


def test_what_was_passed_over_is_counted(card: Path) -> None:
    (card / "night_1/broken.wav").symlink_to(card / "gone.wav")
    (card / "night_1/round.wav").symlink_to("round.wav")
    (card / "night_1/README").touch()
    (card / "night_1/rec 2.5 final").touch()
    expected = {
        ".md": 1, ".txt": 1, "files without an ending": 2, "hidden files": 1, "hidden folders": 1,
        "links to nothing": 2,
    }  # fmt: skip
    found = find_recordings(["."])
    assert found.passed_over == expected
    assert find_recordings([".", card, "night_1"]).passed_over == expected
    assert found.passed_over_text == (
        "8 files passed over: .md, .txt, files without an ending, hidden files, hidden folders, links to nothing"
    )
    assert ".txt" not in find_recordings([".", "notes.txt"]).passed_over
    assert find_recordings(["*.txt", "a.flac"]).passed_over_text == "1 file passed over: .txt"
    assert find_recordings(["a.flac"]).passed_over_text == ""


def test_linked_folders_are_followed_once_each(card: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    disk = tmp_path_factory.mktemp("disk")
    (disk / "h.wav").touch()
    (card / "a_night").symlink_to(card / "night_1")
    (card / "disk").symlink_to(disk)
    (card / "same_disk").symlink_to(disk)
    (disk / "round").symlink_to(card)
    (card / "night_2/round").symlink_to(".")
    deep = ["a.flac", "b.WAV", "disk/h.wav", "night_1/c.wav", "night_1/deep/d.mp3"]
    assert names(["."]) == [*deep, "night_2/[1] f.wav", "night_2/e.ogg"]
    assert names(["a_night"]) == ["a_night/c.wav", "a_night/deep/d.mp3"]
    assert names(["."], recursive=False) == ["a.flac", "b.WAV"]


def test_endings_are_those_that_the_decoder_reads(card: Path) -> None:
    for ending in SOUND_EXTENSIONS:
        (card / "night_1" / f"x{ending.upper()}").touch()
    assert len(names(["night_1"])) == 2 + len(SOUND_EXTENSIONS)
    known = {*soundfile.available_formats()} | {"MP2", "OGA", "OPUS", "BW64", "BWF", "WAVE"}
    others = {"AIF": "AIFF", "AIFC": "AIFF", "SND": "AU", "SPH": "NIST"}
    for ending in SOUND_EXTENSIONS:
        name = ending[1:].upper()
        assert others.get(name, name) in known


def test_names_that_are_not_utf_8(card: Path) -> None:
    with open(os.path.join(os.fsencode(card), b"empty", b"for\xeat.wav"), "wb"):
        pass
    (path,) = find_recordings(["empty"]).recordings
    assert path.exists()
    assert shown_name(path) == "empty/for\\xeat.wav"
    assert find_recordings([path, b"empty/for\xeat.wav".decode(errors="surrogateescape")]).recordings == [path]
