"""Writes ``status.html`` once a minute, whole or not at all; every value of the recorder is escaped."""

from __future__ import annotations

import base64
import html
import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from ecotf_recorder.files import atomic_file
from ecotf_recorder.page.picture import HEIGHT, WIDTH, picture
from ecotf_recorder.strangers import on_one_line
from ecotf_recorder.times.clock import iso_time, steady

NAME = "status.html"
_log = logging.getLogger(__name__)
_PICTURES, _ROWS, _COUNTED = 8, 12, 1000
_CLIPS = "SELECT path, label, score, began, seconds FROM clips WHERE label != '' ORDER BY id DESC LIMIT ?"
_DETECTIONS = "SELECT time, label, score, recording, start_s FROM detections ORDER BY id DESC LIMIT ?"
_COUNTS = (
    "SELECT label, COUNT(*) FROM (SELECT label FROM detections ORDER BY id DESC LIMIT ?) GROUP BY label "
    "ORDER BY 2 DESC, 1 LIMIT 20"
)
_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta http-equiv="refresh" content="60"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
body {{ font: 16px/1.4 sans-serif; margin: 1em auto; max-width: 60em; padding: 0 1em; }}
table {{ border-collapse: collapse; }} td, th {{ padding: .1em .8em .1em 0; text-align: left; vertical-align: top; }}
figure {{ display: inline-block; margin: .3em .8em .3em 0; width: {width}px; }} figcaption {{ font-size: 13px; }}
img {{ height: {height}px; width: {width}px; }} .wrong {{ background: #fdd; padding: .5em; }} .well {{ color: #070; }}
</style></head><body>
"""


class StatusPage:
    """The page of one recorder.

    Parameters
    ----------
    every_s
        Seconds between two pages; 0 for none. What begins or ends is shown at once.
    """

    def __init__(self, state: Path, site: str, every_s: float) -> None:
        self._state, self._site, self._every_s = state, site, every_s
        self._at, self._last = 0.0, ("", False)
        self._drawn: dict[str, str] = {}
        self._failed = False

    def follow(self, facts: Mapping[str, Any]) -> None:
        """Take the facts of ``health.json``; write the page if it is time."""
        now, event = steady(), (str(facts.get("state")), bool(facts.get("stopped")))
        if not self._every_s or (now < self._at and event == self._last):
            return
        self._at, self._last = now + self._every_s, event
        try:
            text = self._page(facts)
            with atomic_file(self._state / NAME) as partial:
                partial.write_text(text, encoding="utf-8")
            self._failed = False
        except (OSError, sqlite3.Error) as error:
            if not self._failed:
                _log.warning("%s cannot be written (%s)", NAME, error)
            self._failed = True

    def _page(self, facts: Mapping[str, Any]) -> str:
        clips, detections, counts = self._heard()
        title = f"{self._site or 'ecotf recorder'}: {facts.get('state', '?')}"
        parts = [_HEAD.format(title=_shown(title), width=WIDTH, height=HEIGHT), f"<h1>{_shown(title)}</h1>"]
        parts.append(_wrong(facts))
        parts.append(_table(_state(facts), ()))
        parts.append("<h2>Latest clips</h2>")
        parts += [self._figure(*row) for row in clips] or ["<p>none yet</p>"]
        self._drawn = {row[0]: self._drawn[row[0]] for row in clips if row[0] in self._drawn}
        parts.append("<h2>Latest detections</h2>")
        rows = [(_time(time) or f"{recording} + {start_s:.1f} s", label, f"{score:.2f}")
                for time, label, score, recording, start_s in detections]  # fmt: skip
        parts.append(_table(rows, ("time (UTC)", "label", "score")))
        parts.append(f"<h2>Labels of the latest {_COUNTED} detections</h2>")
        parts.append(_table([(n, label) for label, n in counts], ("", "label")))
        return "\n".join((*parts, "</body></html>\n"))

    def _heard(self) -> tuple[list[Any], list[Any], list[Any]]:
        path = self._state / "detections.sqlite"
        if not path.exists():
            return [], [], []
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=1)) as file:
            asked = ((_CLIPS, _PICTURES), (_DETECTIONS, _ROWS), (_COUNTS, _COUNTED))
            clips, detections, counts = (file.execute(query, (n,)).fetchall() for query, n in asked)
        return clips, detections, counts

    def _figure(self, path: str, label: str, score: float, began: float | None, seconds: float) -> str:
        if path not in self._drawn:
            try:
                drawn = base64.b64encode(picture(self._state / "clips" / path)).decode()
                self._drawn[path] = f'<img alt="spectrogram" src="data:image/png;base64,{drawn}">'
            except (OSError, ValueError):  # it gave way meanwhile
                self._drawn[path] = "<p>no picture</p>"
        said = f"{label} {score:.2f}, {seconds:.1f} s, {_time(began) or path}"
        return f"<figure>{self._drawn[path]}<figcaption>{_shown(said)}</figcaption></figure>"


def _wrong(facts: Mapping[str, Any]) -> str:
    wrong = [one for one in str(facts.get("error") or "").split("; ") if one]
    if facts.get("stopped") or facts.get("state") == "failed":
        wrong.append("the recorder does not run")
    if facts.get("refused"):
        wrong.append(f"{facts['refused']} files were refused; the last: {facts.get('last_refused', '')}")
    if not wrong:
        return '<p class="well">Nothing is wrong.</p>'
    return f'<ul class="wrong">{"".join(f"<li>{_shown(one)}</li>" for one in wrong)}</ul>'


def _state(facts: Mapping[str, Any]) -> list[tuple[object, object]]:
    """What the recorder says of itself, for people."""
    kept_out = facts.get("kept_out") or {}
    rows = [
        ("written", facts.get("time") or "the clock is not set"),
        ("clock", facts.get("clock")),
        ("recording", facts.get("recording")),
        ("listens from", facts.get("next_change")),
        ("level", _unit(facts.get("level_dbfs"), "dBFS")),
        ("noise floor", _unit(facts.get("noise_floor_dbfs"), "dBFS")),
        ("clipped, silent", _both(facts, "clipped_share", "silent_share")),
        ("detections", facts.get("detections")),
        ("kept out", ", ".join(f"{n} by rules.{rule}" for rule, n in kept_out.items())),
        ("listened", _unit(facts.get("seconds"), "s since the start")),
        ("lost", _unit(facts.get("lost_s"), f"s, {facts.get('gaps', 0)} gaps")),
        ("waits for scoring", _unit(facts.get("backlog_s"), "s")),
        ("clips", f"{facts.get('clips', 0)} since the start, {facts.get('clips_mb', 0)} MB kept"),
        ("disk free", _unit(facts.get("free_mb"), "MB")),
        ("processor", _unit(facts.get("temperature_c"), "°C")),
        ("model", f"{facts.get('model', '?')} ({facts.get('release', '?')})"),
        ("software", facts.get("version")),
    ]
    return [(name, value) for name, value in rows if value not in (None, "")]


def _unit(value: object, unit: str) -> str:
    return "" if value is None else f"{value} {unit}"


def _both(facts: Mapping[str, Any], *names: str) -> str:
    values = [facts.get(name) for name in names]
    return "" if None in values else f"{', '.join(f'{value:.0%}' for value in values)} of the latest minute's seconds"


def _table(rows: Iterable[Sequence[object]], header: Sequence[str]) -> str:
    lines = ["".join(f"<th>{_shown(cell)}</th>" for cell in header)] if header else []
    lines += ["".join(f"<td>{_shown(cell)}</td>" for cell in row) for row in rows]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _time(wall: float | None) -> str:
    return "" if wall is None else iso_time(wall)[:19].replace("T", " ")


def _shown(value: object) -> str:
    """The one way in which a value comes into the page."""
    return html.escape(on_one_line(value), quote=True)
