"""The page's server answers this machine alone, to whom it gave the token, and one page at a time."""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import soundfile
from tiny_clusters import tiny_clusters

from ecotf.discovery.folder import Clusters
from ecotf.errors import ConfigError, DataError, EcotfError
from ecotf.review.base import SHARED_SCRIPTS, Clip, place_with_margin
from ecotf.review.server import PageServer


class Reviewed:
    """Clips of a folder of clusters; decisions are counted."""

    body, scripts = "<main></main>", SHARED_SCRIPTS
    title = "<Two> pitches"

    def __init__(self, clusters: Clusters) -> None:
        self.folder = clusters.folder
        self.clips = clusters.clips
        self.decisions: list[Mapping[str, Any]] = []

    def view(self, name: str, query: Mapping[str, str]) -> Any:
        if name == "bytes":
            return b"\x00\x01"
        raise EcotfError(f"no view {name}")

    def clip(self, number: int) -> Clip:
        if not 0 <= number < len(self.clips):
            raise DataError(f"there is no clip {number}")
        row = self.clips.iloc[number]
        return Clip(place_with_margin(row["recording"], row["path"], row["start_s"], row["end_s"]), (0.0, 8000.0))

    def decide(self, decision: Mapping[str, Any]) -> Any:
        self.decisions.append(decision)
        return {"decisions": len(self.decisions)}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Reviewed, PageServer]]:
    reviewed = Reviewed(tiny_clusters(tmp_path_factory.mktemp("page")))
    with PageServer(reviewed) as server:
        thread = threading.Thread(target=server.run)
        thread.start()
        yield reviewed, server
        server.stop()
        thread.join(10)


def ask(
    server: PageServer, path: str = "", method: str = "GET", body: str | None = None, **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Ask for a path below the token."""
    before = server.url.split("/", 3)[3]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request(method, f"/{before}{path}" if not path.startswith("/") else path, body, headers)
    answer = connection.getresponse()
    found = answer.status, answer.headers, answer.read()
    connection.close()
    return found


JSON = {"Content-Type": "application/json"}


def test_the_page_is_whole_and_loads_nothing_from_elsewhere(opened):
    _, server = opened
    status, headers, page = ask(server)
    assert status == 200 and b"<title>&lt;Two&gt; pitches</title>" in page and b"{" not in page
    assert "default-src 'none'" in headers["content-security-policy"]
    for name in ("page.js", "page.css"):
        status, headers, content = ask(server, name)
        assert status == 200 and len(content) > 1000
        assert b"http:" not in content and b"https:" not in content
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "path, method, headers",
    [
        ("/wrong/", "GET", {}),
        ("/wrong/clip/0/sound", "GET", {}),
        ("/wrong/decide", "POST", JSON),
        ("", "GET", {"Host": "evil.example"}),
        ("decide", "POST", {**JSON, "Host": "evil.example:80"}),
        ("decide", "POST", {**JSON, "Origin": "http://evil.example"}),
        ("decide", "POST", {"Content-Type": "text/plain"}),
    ],
)
def test_others_are_refused(opened, path, method, headers):
    reviewed, server = opened
    status, _, content = ask(server, path, method, '{"what": "undo"}' if method == "POST" else None, **headers)
    assert status == 403 and len(content.splitlines()) == 1
    assert reviewed.decisions == []


def test_decisions_and_mistakes(opened):
    reviewed, server = opened
    assert ask(server, "view/bytes")[2] == b"\x00\x01"
    status, _, content = ask(server, "view/none")
    assert (status, json.loads(content)) == (422, {"error": "no view none"})
    for body in ("[1]", "{", '"' + "a" * (1 << 20) + '"'):
        status, _, content = ask(server, "decide", "POST", body, **JSON)
        assert status == 422 and "error" in json.loads(content)
    status, _, content = ask(server, "decide", "POST", '{"what": "undo"}', **JSON)
    assert (status, json.loads(content)) == (200, {"decisions": 1})
    assert reviewed.decisions.pop() == {"what": "undo"}


def test_sound_and_picture_of_a_clip(opened, tmp_path):
    reviewed, server = opened
    facts = json.loads(ask(server, "clip/1?zoom=2")[2])
    assert (facts["start_s"], facts["end_s"], facts["high_hz"]) == (0.5, 2.5, 4000.0)
    assert facts["box"] == [0.25, 0.0, 0.5, 1.0]
    status, headers, whole = ask(server, "clip/1/sound")
    (tmp_path / "clip.wav").write_bytes(whole)
    heard, rate = soundfile.read(tmp_path / "clip.wav")
    assert (status, headers["content-type"], len(heard) / rate) == (200, "audio/wav", 2.0)
    assert heard[0] == 0 and abs(heard).max() > 0.8
    status, headers, part = ask(server, "clip/1/sound", Range="bytes=100-199")
    assert (status, headers["content-range"], part) == (206, f"bytes 100-199/{len(whole)}", whole[100:200])
    assert ask(server, "clip/1/picture?zoom=4")[2].startswith(b"\x89PNG")
    for wrong in ("clip/99/sound", "clip/1/picture?zoom=3", "clip/1/picture?zoom=x"):
        status, _, content = ask(server, wrong)
        assert status == 422 and "error" in json.loads(content)
    path = Path(reviewed.clips["path"].iloc[-1])
    path.rename(path.with_suffix(".away"))
    last = len(reviewed.clips) - 1
    assert json.loads(ask(server, f"clip/{last}")[2])["gone"] == "the recording is no longer there"
    assert ask(server, f"clip/{last}/picture")[0] == 422


def test_a_second_page_is_refused_with_the_address_of_the_first(opened):
    reviewed, server = opened
    with pytest.raises(ConfigError, match="is in use") as caught:
        PageServer(reviewed)
    assert server.url in str(caught.value) and "\n" not in str(caught.value)
    assert os.stat(reviewed.folder / ".job.lock").st_mode & 0o077 == 0


def test_a_port_that_is_taken(opened, tmp_path):
    _, server = opened
    other = Reviewed(tiny_clusters(tmp_path))
    with pytest.raises(ConfigError, match=f"port {server.port}: cannot be used"):
        PageServer(other, server.port)
    with PageServer(other):  # the folder was given back
        pass
