"""Parts of the proof: a microphone that is dead, then hears, on a board without a clock chip that learns the time late.

The microphone is the far end of a sound card of the kernel (snd-aloop): what is played at one end is recorded at the
other, and silence where nothing is played.
"""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.board_emulation.proof import ROOT, Proof

RATE = 192_000
"""The highest rate of the kernel's sound card, in Hz."""
_DEVICE = "hw:Loopback,1,0"
_DATA = "/var/lib/ecotf/data"
_BATS = "Pipistrellus pipistrellus,Nyctalus noctula"
_TRAINING = ("front_end.high_hz=90000", "stages.0.epochs=3", "mining.rounds=0")
_NTP = """\
sudo mkdir -p /etc/systemd/timesyncd.conf.d
printf '[Time]\\nNTP=127.0.0.1\\n' | sudo tee /etc/systemd/timesyncd.conf.d/board.conf >/dev/null
sudo systemd-run --quiet --unit=board-time python3 /home/pi/time_server.py {now}
sleep 2; sudo systemctl restart systemd-timesyncd; sleep 10; timedatectl show -p NTPSynchronized -p TimeUSec"""


def hearing_bundle(folder: Path) -> tuple[Path, Path]:
    """Train a small model for the card's rate on simulated bats, and export it; returns it and a recording of bats."""
    sounds, runs, bundle = folder / "bats", folder / "runs", folder / "hearing"
    simulate = ["dataset", "simulate", "--recordings", "24", "--sample-rate", RATE, "--species", _BATS]
    for words in (
        [*simulate, "--output", sounds],
        [*simulate, "--output", folder / "night", "--recordings", "1", "--duration", "10", "--seed", "9"],
        ["train", "bats/field", "--data", sounds / "manifest.csv", "--output", runs, *_TRAINING],
    ):
        _ecotf(*words)
    run = next(runs.glob("**/recipe.yaml")).parent
    _ecotf("export", run, "--rate", RATE, "--precision", "f16", "--output", bundle)
    return bundle, next((folder / "night").glob("**/*.wav"))


def prove_hearing(proof: Proof, bundle: Path, sound: Path) -> None:
    """A dead microphone is told, and what is heard before the clock is set gets its time later."""
    board = proof.board
    proof.title("a microphone, and a board without a clock chip")
    proof.on_board("sudo arecord -l | grep ^card; systemctl is-enabled systemd-timesyncd")
    proof.flash_device(bundle, says=["done"])
    earlier = len(_rows(proof, 0))
    settings = ("--set", "source.kind=microphone", "--set", f"source.device={_DEVICE}")
    proof.flash_device("config", *settings, "--unset", "source.folder", says=["done"])
    proof.copy([sound, Path(__file__).with_name("time_server.py")], "/home/pi/")
    board.shut_down()
    proof.boot(clock_chip=False)
    proof.runs(bundle, wait_s=180)
    proof.on_board("date; ls /sys/class/rtc; timedatectl show -p NTPSynchronized; ls /run/systemd/timesync")

    proof.title("the microphone is dead")
    deaf = _wait(proof, lambda said: "silent" in str(said.get("error")), 300)
    proof.expect(f"the recorder says so ({deaf.get('error')})", "silent" in str(deaf.get("error")))
    proof.expect("it does not take its clock for set", not deaf.get("time"))
    proof.flash_device("status", status=1, says=["microphone is silent", "0 of 1 recorders well"])

    proof.title("it hears, and does not know when")
    play = f"sudo aplay -q -D plughw:Loopback,0,0 /home/pi/{sound.name}"
    played = time.time()
    proof.on_board(f"{play}; sleep 2")
    over = time.time()
    _wait(proof, lambda said: int(said.get("detections") or 0) > earlier, 300)
    rows = _rows(proof, 60)[earlier:]
    proof.expect(f"{len(rows)} rows, all without a time and said to be 'not set'",
                 bool(rows) and all(not row["time"] and row["time_quality"] == "not set" for row in rows))  # fmt: skip
    proof.expect("their recordings are named unset-clock-", all(_unset(row) for row in rows))

    proof.title("a time server answers")
    proof.on_board(_NTP.format(now=f"{time.time():.3f}"))
    _wait(proof, lambda said: bool(said.get("time")), 180)
    deadline = time.monotonic() + 300
    while any(not row["time"] for row in _rows(proof, 0)[earlier:]) and time.monotonic() < deadline:
        time.sleep(5)
    proof.on_board("date; ls /run/systemd/timesync; journalctl -u systemd-timesyncd -n 3 --no-pager -o cat")
    dated = _rows(proof, 0)[earlier:]
    proof.expect(f"all {len(dated)} rows have the time at which the sound was played",
                 len(dated) >= len(rows) and all(_within(row, played, over) for row in dated))  # fmt: skip
    proof.expect("their recordings have a name with a time", not any(_unset(row) for row in dated))
    proof.expect("the first ones are 'redated'", {row["time_quality"] for row in dated[: len(rows)]} == {"redated"})
    proof.expect("nothing was lost or doubled by it", _places(dated)[: len(rows)] == _places(rows))
    played = time.time()
    proof.on_board(f"{play}; sleep 2")
    over = time.time()
    _wait(proof, lambda said: int(said.get("detections") or 0) > earlier + len(dated), 300)
    later = _rows(proof, 60)[earlier + len(dated) :]
    good = all(row["time_quality"] == "synchronised" and _within(row, played, over) for row in later)
    proof.expect(f"{len(later)} later rows are 'synchronised'", bool(later) and good)
    proof.on_board(f"sudo tail -2 {_DATA}/detections.csv; sudo cat {_DATA}/gaps.csv; sudo ls {_DATA}/clips")


def _ecotf(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "ecotf", *map(str, words)], cwd=ROOT, check=True)


def _wait(proof: Proof, holds: Callable[[dict[str, Any]], bool], seconds: float) -> dict[str, Any]:
    """The recorder's health as soon as something holds of it, or the last one."""
    deadline = time.monotonic() + seconds
    while True:
        text = proof.board.run(f"sudo cat {_DATA}/health.json")
        said: dict[str, Any] = json.loads(text) if text.startswith("{") else {}
        if holds(said) or time.monotonic() > deadline:
            return said
        time.sleep(3)


def _rows(proof: Proof, wait_s: float) -> list[dict[str, str]]:
    """The table; after a while, since rows are written every ten seconds."""
    time.sleep(wait_s)
    return list(csv.DictReader(io.StringIO(proof.board.run(f"sudo cat {_DATA}/detections.csv"))))


def _unset(row: dict[str, str]) -> bool:
    return Path(row["recording"]).name.startswith("unset-clock-")


def _places(rows: list[dict[str, str]]) -> list[tuple[str, ...]]:
    return [tuple(row[name] for name in ("start_s", "end_s", "label", "score")) for row in rows]


def _within(row: dict[str, str], began: float, ended: float) -> bool:
    if not row["time"]:
        return False
    return began - 1 <= datetime.fromisoformat(row["time"]).astimezone(UTC).timestamp() <= ended + 1
