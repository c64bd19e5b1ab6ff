"""Data sets are fetched from a server that breaks off, knows no ranges, or sends something else."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from ecotf.datasets.fetching.download import download
from ecotf.datasets.fetching.published import archives_of, fetch
from ecotf.datasets.fetching.unpack import unpack_zip
from ecotf.datasets.importers import import_annotations
from ecotf.errors import ConfigError, DataError

CONTENT = np.random.default_rng(0).bytes(300_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves ``files``; breaks off after ``most`` bytes of an answer; ``ranges``: whether it sends parts."""

    files: dict[str, bytes]
    kind = "application/zip"
    most: int | None = None
    ranges = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.asked = {}, list[str | None]()

    def address(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        content = self.server.files.get(self.path.lstrip("/"))
        self.server.asked.append(self.headers.get("Range"))
        if content is None:
            return self.send_error(404)
        begin = 0
        if self.server.ranges and self.headers.get("Range"):
            begin = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if begin >= len(content):
                return self.send_error(416)
        self.send_response(206 if begin else 200)
        self.send_header("Content-Type", self.server.kind)
        self.send_header("Content-Length", str(len(content) - begin))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        end = None if self.server.most is None else begin + self.server.most
        self.wfile.write(content[begin:end])
        return None

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    running.files["a.zip"] = CONTENT
    thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def test_a_download_that_breaks_off_goes_on(server: Server, tmp_path: Path) -> None:
    server.most = 100_000
    said: list[tuple[int, int | None]] = []
    path = download(server.address("a.zip"), tmp_path / "a.zip", MD5.upper(), lambda *at: said.append(at), wait_s=0)
    assert path.read_bytes() == CONTENT and [one.name for one in tmp_path.iterdir()] == ["a.zip"]
    assert server.asked == [None, "bytes=100000-", "bytes=200000-"] and said[-1] == (300_000, 300_000)
    download(server.address("a.zip"), path, MD5)
    assert len(server.asked) == 3  # it is there


def test_a_killed_download_goes_on_in_the_next_run(server: Server, tmp_path: Path) -> None:
    server.most = 0
    (tmp_path / "a.zip.partial").write_bytes(CONTENT[:1234])
    with pytest.raises(DataError, match=r"the connection broke; 1,234 bytes are kept in .*: the same command goes on"):
        download(server.address("a.zip"), tmp_path / "a.zip", MD5, tries=2, wait_s=0)
    server.most = None
    assert download(server.address("a.zip"), tmp_path / "a.zip", MD5).read_bytes() == CONTENT
    assert server.asked == ["bytes=1234-"] * 3
    (tmp_path / "a.zip").rename(tmp_path / "a.zip.partial")  # killed before the last step
    assert download(server.address("a.zip"), tmp_path / "a.zip", MD5).read_bytes() == CONTENT
    # what was there was of another file: it is fetched whole
    (tmp_path / "b.zip.partial").write_bytes(b"x" * 1234)
    assert download(server.address("a.zip"), tmp_path / "b.zip", MD5).read_bytes() == CONTENT


def test_a_server_without_ranges_sends_the_whole_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "a.zip.partial").write_bytes(CONTENT[:1234])
    assert download(server.address("a.zip"), tmp_path / "a.zip", MD5).read_bytes() == CONTENT


def test_what_cannot_be_fetched_is_one_line(server: Server, tmp_path: Path) -> None:
    url, path = server.address("a.zip"), tmp_path / "a.zip"
    with pytest.raises(DataError, match=rf"the checksum of what came is {MD5}, and 0{{32}} was asked for; nothing is"):
        download(url, path, "0" * 32)
    assert not list(tmp_path.iterdir())
    with pytest.raises(DataError, match=r"the server refuses \(404 Not Found\)"):
        download(server.address("b.zip"), path, MD5)
    with pytest.raises(DataError, match="checksum 'abc' is no MD5"):
        download(url, path, "abc")
    server.kind = "text/html; charset=utf-8"
    with pytest.raises(DataError, match="leads to a web page, not to a file"):
        download(url, path, MD5)
    with pytest.raises(
        DataError, match=r"cannot be reached \(.*\); is this computer online\? Files that were downloaded"
    ):
        download("http://127.0.0.1:9/a.zip", path, MD5)
    path.write_bytes(b"other")
    with pytest.raises(DataError, match=r"is there, and its checksum is .*; move it away"):
        download(url, path, MD5)
    assert path.read_bytes() == b"other"


def zipped(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_darksound_from_zenodo(server: Server, tmp_path: Path) -> None:
    train = zipped(**{"train/Strigidae/Megascops choliba/XC1234.wav": b"RIFF", "__MACOSX/train/._x.wav": b"x"})
    test = zipped(**{"Tinamidae/Tinamus major/XC5678.wav": b"RIFF"})  # without the folder of the split
    server.files |= {"train.zip": train, "test.zip": test}
    listed = [
        {"key": name, "checksum": f"md5:{hashlib.md5(content).hexdigest()}", "links": {"self": server.address(name)}}
        for name, content in (("train.zip", train), ("test.zip", test))
    ]
    server.files["10512103"] = json.dumps({"files": listed}).encode()
    archives = archives_of("darksound-v2", zenodo=server.address("").rstrip("/"))
    folder = fetch(archives, tmp_path / "darksound", lambda line: None)
    manifest = import_annotations("darksound", folder)
    assert manifest.table[["label", "group", "split"]].to_numpy().tolist() == [
        ["Tinamus major", "XC5678", "test"],
        ["Megascops choliba", "XC1234", "train"],
    ]
    before = len(server.asked)
    fetch(archives, folder, lambda line: None)  # nothing is fetched or unpacked a second time
    assert len(server.asked) == before
    server.files["10512103"] = b'{"files": []}'
    with pytest.raises(DataError, match=r"does not list train\.zip, test\.zip; give --archive and --md5"):
        archives_of("darksound-v2", zenodo=server.address("").rstrip("/"))


def test_archives_of_the_user(tmp_path: Path) -> None:
    places = [str(tmp_path / name) for name in ("train.zip", "val.zip", "test.zip")]
    for place in places:
        Path(place).write_bytes(zipped(**{"Strigidae/Megascops choliba/a.wav": b"RIFF"}))
    folder = fetch(archives_of("darksound-v1", places), tmp_path / "out", lambda line: None)
    assert sorted(path.relative_to(folder).parts[0] for path in folder.rglob("*.wav")) == ["test", "train", "val"]
    web = [f"https://example.org/{name}" for name in ("train.zip", "val.zip", "test.zip")]
    for given, said in (
        ((web,), "0 checksums are given for 3 archives"),
        ((web[:2], ["0" * 32] * 2), "2 archives are given and darksound-v1 has 3"),
    ):
        with pytest.raises(ConfigError, match=said):
            archives_of("darksound-v1", *given)
    with pytest.raises(ConfigError, match="data set 'darksound' is unknown; allowed: darksound-v1, darksound-v2"):
        archives_of("darksound")


def link() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        entry = zipfile.ZipInfo("link.wav")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (zipped(**{"a.wav": b"x", "../out.wav": b"x"}), r"holds '\.\./out\.wav', which leads out of the folder"),
        (zipped(**{"a.wav": b"x", "/tmp/out.wav": b"x"}), "leads out of the folder"),
        (zipped(**{"a.wav": b"x", "C:\\out.wav": b"x"}), "leads out of the folder"),
        (link(), "leads out of the folder"),
        (zipped(**{"a.wav": b"\0" * 10_000_000}), r"1 files of 10,000,000 bytes in .* are no archive of sound"),
        (b"PK\3\4 nothing", "not a zip file, or a damaged one"),
        (zipped(**{"a.wav": CONTENT})[:-40_000], "not a zip file"),
        (zipped(**{"a.wav": CONTENT}).replace(CONTENT[5000:5010], b"0123456789"), "not a zip file, or a damaged one"),
    ],
)
def test_archives_that_are_not_unpacked(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(DataError, match=said) as error:
        unpack_zip(tmp_path / "x.zip", tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "x.zip"]
