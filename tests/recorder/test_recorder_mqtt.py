"""MQTT: every detection once the broker has it, the state, and what Home Assistant needs to find them."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest
from ecotf_recorder import cli
from ecotf_recorder.config import Config, Mqtt, Site
from ecotf_recorder.errors import RecorderError
from ecotf_recorder.mqtt import Publisher, open_client
from ecotf_recorder.scoring.held import Detection
from ecotf_recorder.store.notebook import Notebook
from ecotf_recorder.times.clock import Clock
from recorder_stand_ins import right_since_2020

NOON = 1_782_043_200.0  # 2026-06-21T12:00Z


class Broker:
    """A client object that is connected when a test says so."""

    def __init__(self) -> None:
        self.there, self.said, self.left = True, [], 10**9
        self.on_connect = None

    def will_set(self, *words) -> None:
        self.will = words

    def connect_async(self, *place) -> None:
        self.place = place

    def is_connected(self) -> bool:
        return self.there

    def loop_start(self) -> None:
        self.on_connect(self, None, None, None, None)

    def loop_stop(self) -> None:
        self.there = False

    disconnect = loop_stop

    def publish(self, topic, payload, qos, retain):
        self.left -= topic.endswith("detection")
        taken = self.there and self.left >= 0
        if taken:
            self.said.append((topic, payload, qos, retain))

        def wait(timeout) -> None:
            if not self.there:
                raise RuntimeError("no connection")

        return SimpleNamespace(wait_for_publish=wait, is_published=lambda: taken)

    def labels(self) -> list[float]:
        return [json.loads(payload)["start_s"] for topic, payload, *_ in self.said if topic.endswith("/detection")]


@pytest.fixture
def heard(tmp_path):
    """Lets a recorder hear calls at some seconds."""

    def hear(*starts: float) -> None:
        notebook = Notebook(tmp_path, Clock(lambda: 100.0, lambda: NOON, "abcd1234", right_since_2020))
        number = notebook.begin("night", NOON, 100.0, "r")
        found = [Detection(at, at + 0.1, 0.0, 9e3, "Strix aluco", 0.9, 0.9) for at in starts]
        notebook.add(number, "night", NOON, found, "synchronised")
        notebook.close()

    hear(0.5)
    return hear


def publisher(tmp_path, broker) -> Publisher:
    config = Config(state_dir=str(tmp_path), site=Site("Bois #1/+ & more"), mqtt=Mqtt(host="broker", port=1884))
    made = Publisher(config, broker, "recorder01")
    made.start()
    return made


def test_each_detection_arrives_and_none_is_forgotten(tmp_path, heard):
    broker = Broker()
    one = publisher(tmp_path, broker)
    assert one.turn() == 0, "what was heard before the first start is not sent"
    heard(1.0, 2.0, 3.0)
    broker.left = 2
    assert one.turn() == 2
    broker.left = 99
    broker.there = False
    assert one.turn() == 0
    one._hear(None, None, None, SimpleNamespace(is_failure=True))
    assert not one._connected.is_set(), "a refused connection is none"
    broker.there = True
    assert publisher(tmp_path, broker).turn() == 1, "another process goes on where this one was"
    assert broker.labels() == [1.0, 2.0, 3.0]
    (tmp_path / "detections.sqlite").unlink()
    heard(4.0)
    last = publisher(tmp_path, broker)
    assert last.turn() + last.turn() == 1
    assert broker.labels()[-1] == 4.0
    topic, payload, qos, retain = broker.said[-1]
    assert (topic, qos, retain) == ("ecotf/bois_1_more/detection", 1, False)
    said = json.loads(payload)
    assert (said["label"], said["time"], said["recording"]) == ("Strix aluco", "2026-06-21T12:00:04.000+00:00", "night")


def test_home_assistant_finds_the_recorder(tmp_path, heard):
    broker = Broker()
    one = publisher(tmp_path, broker)
    (tmp_path / "health.json").write_text('{"state": "listening"}')
    one.turn()
    one.turn()
    topics = [topic for topic, *_ in broker.said]
    assert topics.count("ecotf/bois_1_more/state") == 1, "only what has changed is sent"
    found = {
        topic: json.loads(payload) for topic, payload, _, retain in broker.said if topic.endswith("/config") and retain
    }
    assert set(found) == {
        f"homeassistant/{kind}/ecotf_bois_1_more/{name}/config"
        for kind, name in (("sensor", "last_detection"), ("sensor", "detections"), ("sensor", "level"),
                           ("sensor", "state"), ("binary_sensor", "problem"))
    }  # fmt: skip
    assert len({facts["unique_id"] for facts in found.values()}) == 5
    for facts in found.values():
        assert facts["state_topic"] in ("ecotf/bois_1_more/state", "ecotf/bois_1_more/detection")
        assert facts["availability_topic"] == "ecotf/bois_1_more/available"
        assert facts["device"]["name"] == "Bois #1/+ & more"
    assert broker.will == ("ecotf/bois_1_more/available", "offline", 1, True)
    assert broker.place == ("broker", 1884)
    assert ("ecotf/bois_1_more/available", "online", 1, True) in broker.said
    one.stop()
    assert broker.said[-1][:2] == ("ecotf/bois_1_more/available", "offline")


def test_what_is_missing_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "paho", None)
    with pytest.raises(RecorderError, match="paho-mqtt is not installed; run: sudo"):
        open_client(Config(mqtt=Mqtt(host="broker")))
    (tmp_path / "config.toml").write_text('[source]\nkind = "stdin"\n')
    assert cli.main(["mqtt", "--config", str(tmp_path / "config.toml")]) == 2
    assert "mqtt.host is missing" in capsys.readouterr().err
