import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ecotf.audio.metadata import parse_guano, read_metadata, write_guano
from ecotf.audio.riff import read_riff
from ecotf.audio.time_expansion import settle_time_expansion
from ecotf.errors import RecordingError


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def wav_of(path: Path, *chunks: bytes, first: bool = False) -> Path:
    """A WAV file of 101 8-bit samples with further chunks before or after its sound."""
    sound = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 38_400, 38_400, 1, 8)) + chunk(b"data", b"\x80" * 101)
    body = b"WAVE" + (b"".join(chunks) + sound if first else sound + b"".join(chunks))
    path.write_bytes(chunk(b"RIFF", body))
    return path


def wamd_field(number: int, value: bytes) -> bytes:
    return struct.pack("<HI", number, len(value)) + value


GUANO = b"""GUANO|Version:  1.0

Timestamp:  2012-03-29T03:58:01+04:00
Species Manual ID:Myosod
Note:  Released in clearing: circled once\\nthen away
TE: 10
PET|Gain:  80
a line that is no field
"""

WAMD = (
    wamd_field(0x00, b"\1\0")
    + wamd_field(0x01, b"SM4BAT-FS")
    + wamd_field(0x05, b"2014-04-02 22:59:14-05:00")
    + wamd_field(0x06, b"WGS84, 50.6690, N, 4.6155, W, 120")
    + wamd_field(0x0F, struct.pack("<H", 10))
    + wamd_field(0x11, bytes(300))
    + wamd_field(0xFFFF, b"\0")
)


@pytest.mark.parametrize("first", [False, True])
def test_guano_anywhere_in_the_file(tmp_path: Path, first: bool) -> None:
    path = wav_of(tmp_path / "a.wav", chunk(b"junk", b"odd"), chunk(b"guan", GUANO), first=first)
    assert read_metadata(path) == {
        "GUANO|Version": "1.0",
        "Timestamp": "2012-03-29T03:58:01+04:00",
        "Species Manual ID": "Myosod",
        "Note": "Released in clearing: circled once\nthen away",
        "TE": "10",
        "PET|Gain": "80",
    }


def test_guano_text_as_it_is_found() -> None:
    assert parse_guano(b"Loc Position: 50.1 4.2\r\nNote:: \0\0") == {"Loc Position": "50.1 4.2", "Note": ":"}
    assert parse_guano("Temperature Int: 12°".encode("latin-1")) == {"Temperature Int": "12°"}
    assert parse_guano(b": no key\n\xff\xfe\0") == {}


def test_wamd(tmp_path: Path) -> None:
    assert read_metadata(wav_of(tmp_path / "a.wav", chunk(b"wamd", WAMD))) == {
        "Make": "Wildlife Acoustics",
        "Model": "SM4BAT-FS",
        "Timestamp": "2014-04-02 22:59:14-05:00",
        "Loc Position": "50.669 -4.6155",
        "TE": "10",
    }
    broken = wamd_field(0x06, b"WGS84,?") + wamd_field(0x0F, b"x") + struct.pack("<HI", 0x01, 10**9) + b"SM"
    assert read_metadata(wav_of(tmp_path / "b.wav", chunk(b"wamd", broken))) == {
        "Make": "Wildlife Acoustics",
        "Model": "SM",
    }
    signed = wamd_field(0x06, b"WGS84,-33.5,151.25")
    assert read_metadata(wav_of(tmp_path / "c.wav", chunk(b"wamd", signed)))["Loc Position"] == "-33.5 151.25"


def test_guano_wins_and_a_differing_expansion_is_kept(tmp_path: Path) -> None:
    path = wav_of(tmp_path / "a.wav", chunk(b"guan", b"TE: 1\nModel: edited"), chunk(b"wamd", WAMD))
    fields = read_metadata(path)
    assert (fields["Model"], fields["TE"], fields["WA|TE"]) == ("edited", "1", "10")
    with pytest.raises(RecordingError, match=r"TE 1 and WA\|TE 10; state the time expansion"):
        settle_time_expansion(fields, 38_400)


@pytest.mark.parametrize(
    ("text", "timestamp"),
    [
        ("Recorded at 19:17:30 19/07/2019 (UTC) by AudioMoth 24F3190361DD", "2019-07-19T19:17:30+00:00"),
        ("Recorded at 02:00:00.250 01/06/2023 (UTC+2) by AudioMoth 24", "2023-06-01T02:00:00+02:00"),
        ("Recorded at 02:00:00 01/06/2023 (UTC-3:30) by AudioMoth 24", "2023-06-01T02:00:00-03:30"),
        ("Recorded by hand", None),
    ],
)
def test_audiomoth_comment(tmp_path: Path, text: str, timestamp: str | None) -> None:
    info = b"INFO" + chunk(b"IART", b"AudioMoth") + chunk(b"ICMT", text.encode() + b"\0\0")
    fields = read_metadata(wav_of(tmp_path / "a.wav", chunk(b"LIST", info), first=True))
    assert fields["Comment"] == text
    assert fields.get("Timestamp") == timestamp


def test_files_without_metadata(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", np.zeros(100), 48_000)
    (tmp_path / "b.wav").write_bytes(b"RIFF")
    (tmp_path / "c.wav").write_bytes(b"")
    for path in tmp_path.iterdir():
        assert read_metadata(path) == {}


def test_rf64_states_the_size_of_its_sound_apart() -> None:
    content = b"RF64\xff\xff\xff\xffWAVE" + chunk(b"ds64", struct.pack("<QQQI", 0, 6 * 2**30, 0, 0))
    riff = read_riff(io.BytesIO(content + b"data\xff\xff\xff\xff" + bytes(10)))
    assert (riff.promised, riff.held, riff.is_cut) == (6 * 2**30, 10, True)


def test_written_guano_is_read_back(tmp_path: Path) -> None:
    path = wav_of(tmp_path / "a.wav")
    fields = {"Timestamp": "2024-06-01T22:00:00+02:00", "Note": "ça va\nbien", "TE": "10", "ecotf|Score": "0.93"}
    write_guano(path, fields)
    assert read_metadata(path) == {"GUANO|Version": "1.0", **fields}
    content = path.read_bytes()
    assert struct.unpack("<I", content[4:8])[0] == len(content) - 8
    assert content.index(b"guan") % 2 == 0 and len(content) % 2 == 0
    assert soundfile.info(path).frames == 101
    with pytest.raises(ValueError, match="GUANO chunk is only added to a WAV file without one"):
        write_guano(path, fields)


def test_expansion_is_never_guessed() -> None:
    assert settle_time_expansion({}, 38_400) == 1
    assert settle_time_expansion({"TE": "", "Samplerate": ""}, 38_400) == 1
    assert settle_time_expansion({"TE": "0"}, 38_400) == 1
    assert settle_time_expansion({}, 38_400, 10) == 10
    assert settle_time_expansion({"TE": "10"}, 38_400) == 10
    assert settle_time_expansion({"TE": "10", "Samplerate": "384000"}, 38_400) == 10
    assert settle_time_expansion({"TE": "1", "Samplerate": "384000"}, 384_000, 1) == 1
    assert settle_time_expansion({"TE": "10", "Samplerate": "307000"}, 30_690) == 10  # a rounded rate


@pytest.mark.parametrize("metadata", [{"TE": "10", "Samplerate": "38400"}, {"TE": "1", "Samplerate": "384000"}])
def test_contradicting_metadata_are_settled_by_what_is_stated(metadata: dict[str, str]) -> None:
    with pytest.raises(RecordingError, match=r"contradict themselves: TE .* and Samplerate .*; state the") as caught:
        settle_time_expansion(metadata, 38_400)
    assert caught.value.status == "unsupported"
    assert settle_time_expansion(metadata, 38_400, 1) == 1
    assert settle_time_expansion(metadata, 38_400, 10) == 10
    with pytest.raises(RecordingError, match=r"time expansion 8 was stated, but its metadata say TE"):
        settle_time_expansion(metadata, 38_400, 8)


def test_true_rate_without_a_factor() -> None:
    with pytest.raises(
        RecordingError, match=r"Samplerate 384000 Hz for a file of 38400 Hz .* and no TE; state the time"
    ):
        settle_time_expansion({"Samplerate": "384000"}, 38_400)
    assert settle_time_expansion({"Samplerate": "384000"}, 38_400, 10) == 10
    assert settle_time_expansion({"Samplerate": "384"}, 384_000, 1) == 1
    with pytest.raises(RecordingError, match="its metadata say TE 'ten', which is not a number"):
        settle_time_expansion({"TE": "ten"}, 38_400)


@pytest.mark.parametrize("te", ["nan", "inf", "1e-9", "1e308"])
def test_a_time_expansion_that_cannot_be(te: str) -> None:
    with pytest.raises(RecordingError) as caught:
        settle_time_expansion({"TE": te}, 38_400)
    assert caught.value.status == "corrupt"
