"""What the recorder says of itself: to people, to systemd, and when its microphone is deaf."""

from __future__ import annotations

import json
import os
import socket

import numpy as np
import pytest
from ecotf_recorder import cli
from ecotf_recorder.errors import RecorderError
from ecotf_recorder.health import ServiceManager
from ecotf_recorder.hearing import Hearing
from ecotf_recorder.sources.events import Began, Ended, Sound
from ecotf_recorder.status import status_of
from ecotf_recorder.times.clock import steady
from recorder_sources import Scripted, in_pieces
from recorder_states import health

DEAF = {
    "silent": lambda n: np.zeros(n, np.int16),
    "constant": lambda n: np.full(n, 1234, np.int16),
    "clipped": lambda n: np.where(np.arange(n) // 4 % 2, 32767, -32768).astype(np.int16),
    "noise of": lambda n: np.random.default_rng(0).integers(-32000, 32000, n).astype(np.int16),
}


@pytest.mark.parametrize("kind", DEAF)
def test_a_deaf_microphone_is_a_problem(kind):
    hearing = Hearing(1000)
    hearing.push(DEAF[kind](59_999))
    assert hearing.problem == ""
    hearing.push(DEAF[kind](1000))
    assert ("silent" if kind == "constant" else kind) in hearing.problem
    quiet = np.random.default_rng(1).normal(0, 30, 61_000).astype(np.int16)
    for piece in np.split(quiet, 7_000 + np.arange(3)):
        hearing.push(piece)
    assert hearing.problem == ""
    assert hearing.facts["level_dbfs"] == pytest.approx(20 * np.log10(30 / 32768), abs=1)
    assert hearing.facts["level_dbfs"] > hearing.facts["noise_floor_dbfs"] > -80


def test_a_deaf_recorder_is_not_well(assembled, tmp_path, sound_of):
    def is_looked_at() -> None:
        recorder._beat(force=True)
        assert status_of(tmp_path / "state")["error"] == said
        assert cli.main(["status", "--root", str(tmp_path / "state")]) == int(bool(said))

    silence = [Sound(np.zeros(30_000, np.int16))] * 2
    recorder = assembled(Scripted(Began(steady()), *silence, is_looked_at, Ended()))
    recorder._hearing = Hearing(800)  # so that a minute is soon over
    said = "the microphone is silent: its samples do not change; check plug, switch and source.channel"
    recorder.listen()
    assert health(tmp_path)["silent_share"] == 1
    recorder = assembled(Scripted(Began(steady()), *in_pieces(sound_of(3)), is_looked_at, Ended()))
    recorder._hearing, said = Hearing(800), ""
    recorder.listen()


def test_systemd_is_told(assembled, tmp_path, monkeypatch):
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(1)
        monkeypatch.setenv("NOTIFY_SOCKET", str(address))
        monkeypatch.setenv("WATCHDOG_USEC", "60000000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        assert ServiceManager().watchdog_s == 60
        recorder = assembled(Scripted(None, lambda: recorder.ask_to_stop()))
        recorder.listen()
        told = set()
        while "STOPPING=1" not in told:
            told |= set(manager.recv(1000).decode().splitlines())
    assert {"READY=1", "WATCHDOG=1"} <= told


def test_status_tells_of_a_recorder(assembled, tmp_path, sound_of, capsys):
    state = tmp_path / "state"
    with pytest.raises(RecorderError, match="no recorder has run here"):
        status_of(tmp_path)
    assembled(Scripted(Began(steady()), *in_pieces(sound_of(3)), Ended())).listen()
    assert cli.main(["status", "--root", str(state), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["running"] is False
    assert told["state"] == "stopped"
    assert sum(told["last_24_h"]["detections"].values()) == told["detections"] > 10
    assert told["last_24_h"]["listened_s"] == pytest.approx(2.3, abs=0.1)
    assert cli.main(["status", "--root", str(state)]) == 1
    assert "stopped (not running)" in capsys.readouterr().out
    facts = health(tmp_path)
    (state / "health.json").write_text(json.dumps({**facts, "stopped": False, "state": "listening"}))
    assert status_of(state)["running"]
    assert cli.main(["status", "--root", str(state)]) == 0
    (state / "health.json").write_text(json.dumps({**facts, "stopped": False, "steady_s": steady() - 500}))
    assert status_of(state)["error"].startswith("hangs: no sign of life for 500 s")
