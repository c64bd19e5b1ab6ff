"""MQTT with the real client, paho, and a small broker that comes, goes and falls silent."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ecotf_recorder import mqtt
from ecotf_recorder.config import Config, Mqtt, Site
from ecotf_recorder.errors import ConfigError
from ecotf_recorder.mqtt import Publisher, open_client
from small_broker import SmallBroker

pytest.importorskip("paho.mqtt", reason="paho-mqtt is not installed (requirements-dev.txt)")
RECORDER = Path(__file__).parents[2] / "deploy" / "recorder"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def publisher(folder: Path, port: int, **more) -> Publisher:
    config = Config(state_dir=str(folder), site=Site("Wäldchen #1/+"), mqtt=Mqtt(host="127.0.0.1", port=port, **more))
    made = Publisher(config, open_client(config), "recorder01")
    made.start()
    return made


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


def seconds_of(broker: SmallBroker) -> list[float]:
    return [json.loads(message.payload)["start_s"] for message in broker.of("/detection")]


def test_a_broker_that_is_away_and_dies_gets_each_detection_once(tmp_path, heard, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(mqtt, "_PATIENCE_S", 0.5)
    port = free_port()
    one = publisher(tmp_path, port)
    heard(1.0, 2.0)
    until(lambda: "cannot be reached" in caplog.text)
    assert one.turn() == 0
    one.stop()
    one = publisher(tmp_path, port)  # a restart before a broker was ever there
    first = SmallBroker(port)
    until(lambda: one.turn() == 2)
    assert seconds_of(first) == [1.0, 2.0]
    assert [(m.payload, m.qos, m.retain) for m in first.of("waldchen_1/available")] == [("online", 1, True)]
    assert len(first.of("/config")) == 5
    first.words = 2
    heard(3.0, 4.0, 5.0, 6.0)
    assert one.turn() == 2, "two of four were acknowledged"
    assert one.turn() == 0, "nobody is asked to send the others again"
    assert seconds_of(first) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    first.close()
    until(lambda: "is lost" in caplog.text)
    second = SmallBroker(port)
    until(lambda: one.turn() == 2)
    heard(7.0)
    until(lambda: one.turn() == 1)
    assert seconds_of(second) == [5.0, 6.0, 7.0], "the two that were never acknowledged, and what is new"
    assert [m.is_again for m in second.of("/detection")] == [True, True, False]
    one.stop()
    until(lambda: second.of("/available")[-1].payload == "offline")
    second.close()
    said = [record.getMessage() for record in caplog.records if record.name == mqtt.__name__]
    assert len([line for line in said if "cannot be reached" in line]) <= 3, "one line each time it is away"


def test_a_wrong_password_is_one_line(tmp_path, heard, caplog):
    secret = tmp_path / "password"
    secret.write_text("wrong\n")
    broker = SmallBroker(password="oak ä")
    one = publisher(tmp_path, broker.port, user="me", password_file=str(secret))
    time.sleep(3.5)  # it is tried at 0, 1 and 3 s
    one.stop()
    lines = [record.getMessage() for record in caplog.records if record.name == mqtt.__name__]
    assert len(lines) == 1
    assert "refuses the connection (Not authorized); trying again" in lines[0]
    secret.write_text("oak ä\nnot this\n")
    one = publisher(tmp_path, broker.port, user="me", password_file=str(secret))
    heard(1.0)
    until(lambda: one.turn() == 1)
    one.stop()
    broker.close()


def test_the_service_is_killed_and_goes_on(tmp_path, heard):
    broker = SmallBroker()
    (tmp_path / "config.toml").write_text(
        f'state_dir = "{tmp_path}"\n[source]\nkind = "stdin"\n[site]\nname = "Wald"\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\nevery_s = 0.5\n'
    )
    words = [sys.executable, "-m", "ecotf_recorder", "mqtt", "--config", str(tmp_path / "config.toml")]
    environment = {**os.environ, "PYTHONPATH": str(RECORDER)}
    service = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE)
    until(lambda: (tmp_path / "mqtt.json").exists())
    heard(1.0)
    until(lambda: '"last": 2,' in (tmp_path / "mqtt.json").read_text())
    service.kill()
    service.communicate()
    until(lambda: broker.of("ecotf/wald/available")[-1][1:4] == ("offline", 1, True))
    heard(2.0)
    service = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE)
    until(lambda: len(seconds_of(broker)) == 2)
    service.send_signal(signal.SIGTERM)
    assert b"connected to" in service.communicate(timeout=20)[1]
    assert service.returncode == 0
    assert seconds_of(broker) == [1.0, 2.0]
    assert [json.loads(m.payload)["id"] for m in broker.of("/detection")] == [2, 3]
    broker.close()


def test_files_that_cannot_be_used_are_named(tmp_path):
    def opened(**more) -> None:
        open_client(Config(mqtt=Mqtt(host="broker", **more)))

    (tmp_path / "empty").write_text("\n")
    with pytest.raises(ConfigError, match=r"mqtt.password_file: .*empty has no password in its first line"):
        opened(user="me", password_file=str(tmp_path / "empty"))
    with pytest.raises(ConfigError, match=r"mqtt.ca_file: .*absent.pem \(No such file or directory\)"):
        opened(tls=True, ca_file=str(tmp_path / "absent.pem"))
    with pytest.raises(ConfigError, match=r"mqtt.ca_file: .*empty"):
        opened(tls=True, ca_file=str(tmp_path / "empty"))
