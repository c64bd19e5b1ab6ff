"""The odd files that users have reported, where the shared folder beside the project has them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from time import process_time

import numpy as np
import pytest

from ecotf.audio.beginning import iso_time
from ecotf.audio.discover import find_recordings
from ecotf.audio.recording import open_recording
from ecotf.errors import RecordingError

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "deploy" / "recorder"))
from ecotf_recorder.audio.wav import open_wav
from ecotf_recorder.errors import SoundError

SCRIPT = Path(__file__).resolve().parents[3] / "shared" / "cases" / "make_cases.py"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the shared cases are not beside the project")
N = 512_000
LESS = "its header promises 1.000 s, it holds 2.000 s"
RIGHT = {  # name: frames (None: refused), part of the note or the refusal, its time in UTC, time expansion
    "plain.wav": (N, "", "", 1),
    "header_half.wav": (N, LESS, "", 1),
    "header_44.wav": (N, "its header promises 0.000 s, it holds 2.000 s", "", 1),
    "rf64_half.wav": (N, LESS, "", 1),
    "header_7fffffff.wav": (N, "", "", 1),
    "preallocated.wav": (N, "", "", 1),
    "bw64.wav": (N, "", "", 1),
    "guano_after_odd_data.wav": (N - 1, "", "2026-06-21T20:15:00.000+00:00", 10),
    "guano_after_long_size.wav": (N, "", "2026-06-21T20:15:00.000+00:00", 10),
    "two_data_chunks.wav": (None, "its sound lies in 2 pieces, one behind the other", "", 1),
    "rate_0.wav": (None, "its header gives a sample rate of 0", "", 1),
    "20220331T094900-0300_Rec.wav": (N, "", "2022-03-31T12:49:00.000+00:00", 1),
    "5DCDA8E0.WAV": (N, "", "2019-11-14T19:20:00.000+00:00", 1),
    "2026-06-21_22-15-00.wav": (N, "", "2026-06-21T22:15:00.000", 1),
    "wamd_zone.wav": (N, "", "2024-04-30T19:00:00.000+00:00", 1),
    "guano_year_1.wav": (N, "", "", 1),
    "bats_on_the_right.wav": (N, "", "", 1),
    "ending.wave": (N, "", "", 1),
    "ending.caf": (N, "", "", 1),
    "ending.au": (N, "", "", 1),
}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases")
    subprocess.run([sys.executable, SCRIPT, folder], check=True)
    return folder


def test_every_case_is_known(cases: Path) -> None:
    found = find_recordings([cases / "sound"])
    assert {path.name for path in found.recordings} == RIGHT.keys()
    assert found.problems == [] and found.passed_over == {}


@pytest.mark.parametrize("package", ["desktop", "recorder"])
@pytest.mark.parametrize("name", RIGHT)
def test_sound(cases: Path, name: str, package: str) -> None:
    frames, words, time, expansion = RIGHT[name]
    read, error = (open_recording, RecordingError) if package == "desktop" else (open_wav, SoundError)
    path = cases / "sound" / name
    if package == "recorder" and name in ("ending.au", "ending.caf"):
        frames, words = None, "is not a WAV file; a recorder reads WAV alone"
    if frames is None:
        with pytest.raises(error, match=words):
            read(path)
        return
    began = process_time()
    recording = read(path)
    assert process_time() - began < 0.1
    assert (recording.n_frames, recording.sample_rate) == (frames, 256_000 * expansion)
    assert recording.note == words
    when = recording.began
    assert iso_time(when and type(when)(when.utc or when.local, when.source)) == time
    zone_words = {"2026-06-21_22-15-00.wav": "zone is not known", "guano_year_1.wav": "'0001-01-01T00:00:00+23:59' can"}
    assert zone_words.get(name, "") in recording.date_note
    plain = open_recording(cases / "sound" / "plain.wav").read()
    if name not in ("guano_after_odd_data.wav", "bats_on_the_right.wav") and package == "desktop":
        np.testing.assert_array_equal(recording.read(), plain)


def test_bats_on_the_right(cases: Path) -> None:
    recording = open_recording(cases / "sound" / "bats_on_the_right.wav")
    assert np.ptp(recording.read(channel=1)) == 0
    np.testing.assert_array_equal(recording.read(channel=2), open_recording(cases / "sound" / "plain.wav").read())


def test_names(cases: Path) -> None:
    found = find_recordings([cases / "names"]).recordings
    assert len(found) == 4
    for path in found:
        assert open_recording(path).n_frames == open_wav(path).n_frames == 128_000
