from pathlib import Path

import pytest

from ecotf.audio.discover import find_recordings


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
    recordings, problems = find_recordings(arguments, recursive)
    assert problems == []
    return [str(path) for path in recordings]


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
    recordings, problems = find_recordings(["a.flac", "gone.wav", "empty", "*.aac", "night_?/*.txt"])
    assert recordings == [Path("a.flac")]
    extensions = ".wav, .flac, .ogg, .mp3, .w64, .aif, .aiff"
    assert problems == [
        ("gone.wav", "no such file or folder"),
        ("empty", f"no recordings in this folder; looked for {extensions}"),
        ("*.aac", f"this pattern matches no recording; looked for {extensions}"),
        ("night_?/*.txt", f"this pattern matches no recording; looked for {extensions}"),
    ]
    (card / "outer/inner").mkdir(parents=True)
    (card / "outer/inner/a.wav").touch()
    assert find_recordings(["outer"], recursive=False)[1] == [
        (
            "outer",
            "no recordings in this folder itself (folders inside it were not searched); looked for " + extensions,
        )
    ]
    assert find_recordings([]) == ([], [])


def test_folders_that_cannot_be_read_are_told(card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def walk(folder, onerror):
        onerror(PermissionError(13, "Permission denied", "night_1"))
        yield str(card), [], ["a.flac"]

    monkeypatch.setattr("os.walk", walk)  # as root, the tests may read anything
    recordings, problems = find_recordings([card])
    assert recordings == [card / "a.flac"]
    assert problems == [("night_1", "this folder cannot be read (Permission denied)")]
