"""What the report shows of a run of any task: it parses, needs no other file, plays, and shows names as they are."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.commands.make_report import main
from ecotf.errors import ConfigError
from ecotf.reports.report import write_report

_VOID = {"meta", "img", "link", "br", "input", "hr"}
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
)  # fmt: skip
ODD = "Bat <b onclick='x'>\"A\" & \u05d0\u05d1\n</script>"


class _Page(HTMLParser):
    """Every element opened and closed in order; what each is and holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag: str, name: str = "") -> list[dict[str, str | None]]:
        return [own for found, own in self.found if found == tag and (not name or own.get("class") == name)]


@pytest.fixture(scope="session")
def copied(whole, tmp_path_factory) -> Path:
    """The run in a folder from which its recordings are found where they were."""
    return shutil.copytree(whole, tmp_path_factory.mktemp("copied") / "run")


def page_of(*runs: Path, output: Path, clips: int = 6) -> _Page:
    page = _Page(write_report(list(runs), output / "page.html", clips).read_text(encoding="utf-8"))
    assert page.open == []
    return page


def test_one_file_with_every_figure(whole, copied, tmp_path):
    page = page_of(whole, copied, output=tmp_path)
    text = " ".join(page.text)
    links = [own.get(name) for _, own in page.found for name in ("src", "href") if own.get(name)]
    assert links and all(link.startswith("data:") for link in links)
    labels = pd.read_csv(whole / "labels.csv")["label"].tolist()
    assert len(page.all("svg", "bar")) >= 2 * len(labels)
    curves = [own["aria-label"] for own in page.all("svg") if own.get("class") != "bar"][:2]
    has_epochs = len(pd.read_csv(whole / "history.csv")) > 0  # a head is fitted at once
    assert curves == (["training loss by epoch", "validation loss by epoch"] if has_epochs else [])
    metrics = json.loads((whole / "metrics.json").read_text())
    whole_figure = metrics.get("segments", {}).get("cmap") or metrics.get("detection", {}).get("ap")
    assert text.count(f"{whole_figure:.3f}") >= 2, "the mean figure of both runs"
    for title in ("Classes", *(["Training"] if has_epochs else []), "Thresholds", "What the model got most wrong"):
        assert title in text
    assert "Which class was taken for which" in text
    assert all(text.count(label) >= 3 for label in labels)
    assert len(page.all("article")) <= 6


def test_what_is_heard_is_sound_and_what_is_seen_a_picture(whole, tmp_path):
    page = page_of(whole, output=tmp_path)
    sounds = [own["src"] for own in page.all("audio")]
    assert sounds
    for source in sounds:
        sound, rate = soundfile.read(io.BytesIO(base64.b64decode(source.removeprefix("data:audio/wav;base64,"))))
        assert 8000 <= rate <= 48000 and sound.ndim == 1 and 0.1 < len(sound) / rate <= 10
        assert 0.3 < np.abs(sound).max() <= 1
    from matplotlib.image import imread

    for own in page.all("img"):
        image = imread(io.BytesIO(base64.b64decode(own["src"].removeprefix("data:image/png;base64,"))))
        assert image.shape[0] > 20 and image.shape[1] > 100 and image.std() > 0.01


def test_names_are_shown_and_never_run(copied, tmp_path):
    run = shutil.copytree(copied, tmp_path / "run")
    label = pd.read_csv(run / "labels.csv")["label"][0]
    for name in ("metrics.json", "thresholds.json"):
        file = run / name
        file.write_text(json.dumps(json.loads(file.read_text())).replace(json.dumps(label), json.dumps(ODD)))
    page = page_of(run, output=tmp_path)
    text = "".join(page.text)
    assert "Bat <b onclick='x'>\"A\" & \u05d0\u05d1␊</script>" in text
    assert not any("onclick" in own for _, own in page.found)
    assert len(page.all("script")) == 1


def test_recordings_that_are_gone_are_said_in_their_place(copied, tmp_path):
    run = Path(shutil.copytree(copied, tmp_path / "run"))
    for file in (run / "manifest.csv", run / "splits.csv"):
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        table.assign(recording=[f"gone/{Path(name).name}" for name in table["recording"]]).to_csv(file, index=False)
    page = page_of(run, output=tmp_path)
    cards = page.all("article")
    assert cards and len(page.all("div", "gone")) == len(cards)
    assert "the recording is no longer there" in "".join(page.text)


def test_runs_of_other_data_are_said_not_to_compare(whole, tmp_path):
    splits = pd.read_csv(whole / "splits.csv", dtype=str, keep_default_na=False)
    other = Path(shutil.copytree(whole, tmp_path / "other"))
    test, train = (splits.index[splits["split"] == side][0] for side in ("test", "train"))
    splits.loc[[test, train], "split"] = ["train", "test"]
    splits.to_csv(other / "splits.csv", index=False)
    text = "".join(page_of(whole, other, output=tmp_path).text)
    assert "A and B were judged on different recordings" in text
    assert re.search(r"1 of the \d+ recordings that A was judged on were trained on by B", text)


def test_what_is_no_run_is_refused_in_one_line(whole, tmp_path):
    half = Path(shutil.copytree(whole, tmp_path / "half"))
    progress = json.loads((half / "progress.json").read_text())
    (half / "progress.json").write_text(json.dumps(progress | {"complete": False}))
    (tmp_path / "none").mkdir()
    there = tmp_path / "there.html"
    there.write_text("mine")
    for runs, said in (
        ([half], "half written"),
        ([tmp_path / "none"], "none"),
        ([whole, whole / "."], "given twice"),
        ([], "at least one run folder"),
    ):
        with pytest.raises(ConfigError) as error:
            write_report(runs, tmp_path / "page.html")
        assert said in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(ConfigError, match="there already"):
        write_report([whole], there)
    assert there.read_text() == "mine" and not (tmp_path / "page.html").exists()
    assert write_report([whole], there, clips=0, overwrite=True) == there
    assert "<audio" not in there.read_text()


def test_the_command_writes_the_report_of_one_run_into_its_folder(whole, tmp_path):
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    assert main([str(run), "--clips", "0"]) == 0
    assert "<html" in (run / "report.html").read_text()
    with pytest.raises(ConfigError, match="several runs are one report; say where it goes with --output PLACE"):
        main([str(run), str(whole)])


class _Browser:
    """A browser that is spoken to through two pipes, in the Chrome DevTools protocol."""

    def __init__(self, program: str, profile: Path) -> None:
        (theirs_in, self.out), (self.into, theirs_out) = os.pipe(), os.pipe()
        # The browser reads from 3 and writes to 4. The shell moves the pipes there.
        command = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self.process = subprocess.Popen(
            ["bash", "-c", command, program, *_QUIET, f"--user-data-dir={profile}"], pass_fds=(theirs_in, theirs_out),
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for theirs in (theirs_in, theirs_out):
            os.close(theirs)
        self.asked, self.rest = 0, b""

    def ask(self, method: str, session: str | None = None, **values) -> dict:
        self.asked += 1
        message = {"id": self.asked, "method": method, "params": values} | ({"sessionId": session} if session else {})
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.rest:
                piece = os.read(self.into, 1 << 16)
                assert piece, "the browser ended"
                self.rest += piece
            line, _, self.rest = self.rest.partition(b"\0")
            answer = json.loads(line)
            if answer.get("id") == self.asked:
                assert "error" not in answer, answer
                return answer["result"]

    def evaluate(self, session: str, expression: str):
        found = self.ask(
            "Runtime.evaluate", session, expression=expression, awaitPromise=True, userGesture=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"]["value"]

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)
        os.close(self.out)
        os.close(self.into)


_PLAY = """(async () => {
  const press = (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
  press("ArrowRight"); press(" ");
  const audio = document.querySelector(".card.now audio");
  for (let i = 0; i < 100 && audio.currentTime < 0.02; i++) await new Promise((done) => setTimeout(done, 50));
  const heard = [audio.currentTime, audio.duration, audio.error && audio.error.message];
  press("ArrowRight");
  return {heard, paused: audio.paused, at: [...document.querySelectorAll(".card")].findIndex((c) => c.matches(".now")),
          pictures: [...document.images].map((image) => image.naturalWidth)};
})()"""


def test_a_browser_plays_it(whole, tmp_path):
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium on this machine")
    file = write_report([whole], tmp_path / "page.html", clips=4)
    browser = _Browser(program, tmp_path / "profile")
    try:
        target = browser.ask("Target.createTarget", url=file.as_uri())["targetId"]
        session = browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        deadline = time.monotonic() + 60
        while not browser.evaluate(session, "location.protocol == 'file:' && document.readyState == 'complete'"):
            assert time.monotonic() < deadline, "the page did not load"
            time.sleep(0.1)
        seen = browser.evaluate(session, _PLAY)
    finally:
        browser.close()
    current, duration, error = seen["heard"]
    assert error is None and 0 < current <= duration
    assert seen["paused"] and seen["at"] == 1 and all(width > 100 for width in seen["pictures"])
