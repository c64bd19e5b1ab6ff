"""``status.html``: what is wrong, the level, the latest clips with pictures; nothing of a stranger becomes markup."""

from __future__ import annotations

import base64
import errno
import io
import logging
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
from ecotf_recorder.errors import RecorderError
from ecotf_recorder.page import writing
from ecotf_recorder.page.picture import HEIGHT, WIDTH, picture
from ecotf_recorder.page.writing import StatusPage
from ecotf_recorder.run import run
from ecotf_recorder.scoring.held import Detection
from ecotf_recorder.store.clips import ClipKeeper, Origin
from ecotf_recorder.store.notebook import Notebook
from ecotf_recorder.store.quota import ClipRoom
from ecotf_recorder.store.spans import Span
from ecotf_recorder.times.clock import Clock
from recorder_stand_ins import NOON, right_since_2020

RATE = 8000
EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>\n\x1b[31m & <b>"


class Reader(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.images: list[str] = []
        self.names: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}
        self.images += [value for name, value in attrs if name == "src"]

    def handle_data(self, data) -> None:
        self.text += data + "\n"


@pytest.fixture
def state(tmp_path) -> Path:
    """A recorder that heard a tone of 3 kHz and called it all kinds of names."""
    clock = Clock(lambda: 100.0, lambda: NOON, "abcd1234", right_since_2020)
    notebook = Notebook(tmp_path, clock)
    clips = ClipKeeper(ClipRoom(tmp_path / "clips", notebook.database, 1e9, 0), notebook.database, clock, RATE, {})
    number = notebook.begin(EVIL, NOON, 100.0, "r")
    tone = np.random.default_rng(0).normal(0, 10, 4 * RATE)
    tone[RATE : 2 * RATE] += 8000 * np.sin(2 * np.pi * 3000 * np.arange(RATE) / RATE)
    for i, label in enumerate((EVIL, "Strix aluco")):
        one = Detection(i, i + 1.0, 0.0, 4000.0, label, 0.9, 0.9)
        notebook.add(number, EVIL, NOON if i else None, [one], "synchronised")
        clips.write(Origin(EVIL, NOON, 100.0), Span(0, 1, [one]), 0, np.rint(tone).astype(np.int16))
    notebook.close()
    return tmp_path


def test_the_page_shows_what_it_is_told_and_runs_nothing(state):
    facts = {
        "state": "listening", "error": f"{EVIL}; the microphone is silent", "level_dbfs": -61.5, "clipped_share": 0.02,
        "silent_share": 0.0, "time": "2026-06-21T12:00:00.000+00:00", "kept_out": {"hits": 3}, "recording": EVIL,
        "last_refused": EVIL, "refused": 1, "model": EVIL, "backlog_s": None,
    }  # fmt: skip
    StatusPage(state, EVIL, 60).follow(facts)
    page = (state / "status.html").read_text(encoding="utf-8")
    seen = Reader(page)
    assert seen.tags == {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "ul", "li", "table", "tr", "td", "th", "figure",
        "img", "figcaption",
    }  # fmt: skip
    assert not {name for name in seen.names if name.startswith("on") or name in ("href", "action")}
    assert "default-src 'none'" in page
    shown = EVIL.replace("\n", "␊").replace("\x1b", "␛")
    assert seen.text.count(shown) >= 7
    for said in ("the microphone is silent", "-61.5 dBFS", "2%, 0% of", "3 by rules.hits", "2026-06-21 12:00:01"):
        assert said in seen.text
    assert len(seen.images) == 2 and all(image.startswith("data:image/png;base64,") for image in seen.images)
    assert len(page) < 40_000


def test_the_picture_is_the_sound(state):
    import matplotlib.image

    clip = next((state / "clips").rglob("*Strix*.wav"))
    drawn = matplotlib.image.imread(io.BytesIO(picture(clip)), format="png")[..., :3].sum(axis=2)
    assert drawn.shape == (HEIGHT, WIDTH)
    tone = HEIGHT - 1 - drawn[:, 60:90].mean(axis=1).argmax()
    assert (tone + 0.5) / HEIGHT * RATE / 2 == pytest.approx(3000, abs=60)
    loud = np.flatnonzero(drawn[HEIGHT - 1 - tone] > 0.8 * drawn.max())
    assert (loud.min(), loud.max()) == (pytest.approx(WIDTH / 4, abs=2), pytest.approx(WIDTH / 2, abs=2))
    assert np.median(drawn) < 0.4 * drawn.max()
    for content in (b"", b"RIFF", clip.read_bytes()[:60]):
        (state / "broken.wav").write_bytes(content)
        with pytest.raises(ValueError, match=r"broken\.wav"):
            picture(state / "broken.wav")
    soundfile.write(state / "stereo.wav", np.zeros((RATE, 2)), RATE)
    with pytest.raises(ValueError, match="not a clip"):
        picture(state / "stereo.wav")


def test_it_is_written_each_minute_and_at_once_when_something_begins_or_ends(state, monkeypatch, caplog):
    now = [50.0]
    monkeypatch.setattr(writing, "steady", lambda: now[0])
    page, written = StatusPage(state, "", 60), []

    def follow(after_s: float, state_name: str = "listening") -> bool:
        now[0] += after_s
        (state / "status.html").unlink(missing_ok=True)
        page.follow({"state": state_name, "stopped": state_name == "idle", "error": ""})
        written.append((state / "status.html").exists())
        return written[-1]

    assert [follow(0), follow(59), follow(1), follow(5, "idle"), follow(5, "idle")] == [True, False, True, True, False]
    (state / "clips").rename(state / "gone")
    page = StatusPage(state, "", 60)
    assert follow(0) and "no picture" in (state / "status.html").read_text()
    assert "Nothing is wrong." in (state / "status.html").read_text()

    def full(*_, **__) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(writing, "picture", lambda _: base64.b64decode(""))
        patched.setattr(Path, "write_text", full)
        assert not follow(100) and not follow(100)
    assert caplog.text.count("status.html cannot be written") == 1
    assert follow(100) and not list(state.glob(".partial*"))
    page = StatusPage(state, "", 0)
    assert not follow(100)


def test_a_recorder_that_cannot_start_says_so_on_its_page(tmp_path):
    (tmp_path / "model.tflite").write_bytes(b"none")
    config = tmp_path / "config.toml"
    config.write_text(
        f'state_dir = "{tmp_path}"\nmodel = "model.tflite"\n[source]\nkind = "stdin"\n[site]\nname = "Oak <14>"'
    )
    with pytest.raises(RecorderError, match="is no device model"):
        run(config)
    page = (tmp_path / "status.html").read_text()
    assert "Oak &lt;14&gt;: failed" in page
    assert "is no device model" in page and "the recorder does not run" in page
