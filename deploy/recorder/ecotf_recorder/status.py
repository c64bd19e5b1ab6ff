"""``status``: what the recorder is doing and what it has found, from its files alone."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from ecotf_recorder.config import read_config
from ecotf_recorder.errors import RecorderError
from ecotf_recorder.strangers import on_one_line

_STALE_S = 60.0
_NIGHT_S = 86400.0


def show_status(config: Path, root: Path | None, as_json: bool) -> int:
    """Print the status; exit status 0 while the recorder runs without a problem, else 1."""
    state = root if root is not None else read_config(config).state
    facts = status_of(state)
    print(json.dumps(facts, indent=1) if as_json else _told(facts))
    return 0 if facts["running"] and not facts["error"] else 1


def status_of(state: Path) -> dict[str, Any]:
    """The health of a recorder, whether it runs, and its counts of the last 24 hours."""
    return {**health_of(state), "last_24_h": _last_night(state)}


def health_of(state: Path) -> dict[str, Any]:
    """The health of a recorder, whether it runs (``running``), and how old that is (``age_s``).

    Raises
    ------
    RecorderError
        There is no health, or it cannot be read.
    """
    try:
        health = json.loads((state / "health.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecorderError(f"{state}: no recorder has run here") from None
    except (OSError, ValueError) as error:
        raise RecorderError(f"{state / 'health.json'}: cannot be read ({error})") from None
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - health.get("steady_s", 0.0)
    alive = _alive(int(health.get("pid", 0))) and age_s >= 0 and not health.get("stopped")
    facts = {**health, "running": alive, "age_s": round(max(0.0, age_s), 1)}
    if alive and age_s > _STALE_S:
        facts["error"] = f"hangs: no sign of life for {age_s:.0f} s"
    if not alive and health.get("state") != "failed":
        facts["state"] = "stopped"
    return facts


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0


def _last_night(state: Path) -> dict[str, Any]:
    found: dict[str, Any] = {"detections": {}, "listened_s": 0.0, "gaps_s": 0.0}
    path = state / "detections.sqlite"
    if not path.exists():
        return found
    since = time.time() - _NIGHT_S
    try:
        file = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2)
        try:
            query = "SELECT label, COUNT(*) FROM detections WHERE time >= ? GROUP BY label ORDER BY 2 DESC"
            found["detections"] = dict(file.execute(query, (since,)).fetchall())
            query = "SELECT COALESCE(SUM(seconds), 0) FROM stretches WHERE began >= ?"
            found["listened_s"] = round(file.execute(query, (since,)).fetchone()[0], 1)
            query = "SELECT COALESCE(SUM(seconds), 0) FROM gaps WHERE began >= ?"
            found["gaps_s"] = round(file.execute(query, (since,)).fetchone()[0], 1)
        finally:
            file.close()
    except sqlite3.Error as error:
        found["error"] = str(error)
    return found


def _told(facts: dict[str, Any]) -> str:
    night = facts["last_24_h"]
    lines = [f"{facts['state']}{'' if facts['running'] else ' (not running)'}, {facts['age_s']:.0f} s ago"]
    if facts.get("next_change"):
        lines.append(f"listens:    from {facts['next_change']}")
    if facts.get("error"):
        lines.append(f"problem:    {facts['error']}")
    lines.append(f"model:      {facts.get('model', '?')} ({facts.get('release', '?')})")
    lost = f"lost {facts.get('lost_s', 0):.1f} s, {facts.get('gaps', 0)} gaps"
    lines.append(f"backlog:    {facts.get('backlog_s', 0):.1f} s; {lost}")
    if facts.get("refused"):
        lines.append(f"refused:    {facts['refused']} files; the last: {facts['last_refused']}")
    lines.append(f"clock:      {facts.get('clock', '?')}")
    if facts.get("level_dbfs") is not None:
        floor, clipped, silent = (facts.get(name) for name in ("noise_floor_dbfs", "clipped_share", "silent_share"))
        heard = f"{facts['level_dbfs']} dBFS, noise floor {floor} dBFS, clipped {clipped}, silent {silent} of a minute"
        lines.append(f"level:      {heard}")
    lines.append(f"memory:     {facts.get('rss_mb', 0):.0f} MB; disk free {facts.get('free_mb', 0):.0f} MB")
    lines.append(f"clips:      {facts.get('clips', 0)} written, {facts.get('clips_mb', 0):.0f} MB kept")
    if facts.get("clips_with_voices"):
        lines.append(f"voices:     {facts['clips_with_voices']} clips dropped, with a human voice in them")
    lines.append(f"detections: {facts.get('detections', 0)} in all{_kept_out(facts)}")
    lines.append(f"last 24 h:  {night['listened_s'] / 3600:.2f} h listened, {night['gaps_s']:.0f} s of gaps")
    lines += [f"{count:10d}  {label}" for label, count in night["detections"].items()]
    return "\n".join(map(on_one_line, lines))


def _kept_out(facts: dict[str, Any]) -> str:
    """Say how many more the rules kept out, and how many wait."""
    kept_out = [f"{n} kept out by rules.{rule}" for rule, n in facts.get("kept_out", {}).items()]
    waiting = [f"{facts['waiting']} wait for company"] if facts.get("waiting") else []
    return "".join(f"; {said}" for said in (*kept_out, *waiting))
