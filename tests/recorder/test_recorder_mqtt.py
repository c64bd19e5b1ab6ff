"""MQTT: every detection once the broker has it, the state, and what Home Assistant needs to find them."""

from __future__ import annotations

import json
import os
import sys
from types import SimpleNamespace

import pytest
from ecotf_recorder import cli, mqtt
from ecotf_recorder.config import Config, Mqtt, Site, read_config
from ecotf_recorder.errors import ConfigError, RecorderError
from ecotf_recorder.mqtt import Publisher, open_client
from ecotf_recorder.times.clock import steady
from mqtt_by_hand import ClientByHand, publisher_by_hand


def test_each_detection_arrives_and_none_is_forgotten(tmp_path, heard, monkeypatch):
    monkeypatch.setattr(mqtt, "_PATIENCE_S", 0.1)
    broker = ClientByHand()
    one = publisher_by_hand(tmp_path, broker)
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
    assert publisher_by_hand(tmp_path, broker).turn() == 1, "another process goes on where this one was"
    assert broker.seconds() == [1.0, 2.0, 3.0]
    (tmp_path / "detections.sqlite").unlink()
    heard(4.0)
    last = publisher_by_hand(tmp_path, broker)
    assert last.turn() + last.turn() == 1
    assert broker.seconds()[-1] == 4.0
    topic, payload, qos, retain = broker.said[-1]
    assert (topic, qos, retain) == ("ecotf/bois_1_more/detection", 1, False)
    said = json.loads(payload)
    assert (said["label"], said["time"], said["recording"]) == ("Strix aluco", "2026-06-21T12:00:04.000+00:00", "night")
    assert (said["id"], said["time_quality"]) == (1, "synchronised")


def test_what_comes_after_the_first_start_is_sent_whenever_a_broker_comes(tmp_path, heard):
    away = ClientByHand()
    publisher_by_hand(tmp_path, away)
    heard(1.0)
    broker = ClientByHand()
    assert publisher_by_hand(tmp_path, broker).turn() == 1, "although nothing was ever sent before the restart"
    assert broker.seconds() == [1.0]


def test_a_recorder_that_does_not_run_is_told(tmp_path, heard):
    broker = ClientByHand()
    one = publisher_by_hand(tmp_path, broker)
    health = {"state": "listening", "error": "", "steady_s": steady(), "pid": os.getpid(), "stopped": False}
    (tmp_path / "health.json").write_text(json.dumps(health))
    one.turn()
    (tmp_path / "health.json").write_text(json.dumps({**health, "pid": 2**22 + 1}))  # larger than any process's
    one.turn()
    said = [json.loads(payload) for topic, payload, *_ in broker.said if topic.endswith("/state")]
    assert [(facts["state"], facts["running"]) for facts in said] == [("listening", True), ("stopped", False)]


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ('topic = "ecotf/#"', "mqtt.topic = 'ecotf/#': names with / between them"),
        ('topic = ""', "mqtt.topic = ''"),
        ('discovery = "/ha"', "mqtt.discovery = '/ha'"),
        ('host = "mqtt://broker"', "mqtt.host = 'mqtt://broker': a name or an address alone"),
        ('host = "bro..ker"', "mqtt.host = 'bro..ker'"),
        ('ca_file = "ca.pem"', "mqtt.ca_file = 'ca.pem': must begin with /"),
    ],
)
def test_mistakes_in_the_config_are_one_line(tmp_path, line, mistake):
    (tmp_path / "config.toml").write_text(f'[source]\nkind = "stdin"\n[mqtt]\n{line}\n')
    with pytest.raises(ConfigError) as error:
        read_config(tmp_path / "config.toml")
    assert mistake in str(error.value)
    assert "\n" not in str(error.value)


def test_hosts_and_topics_that_are_fine(tmp_path):
    for host in ("homeassistant.local", "10.0.0.7", "fe80::1%wlan0", "wäldchen.example"):
        (tmp_path / "config.toml").write_text(
            f'[source]\nkind = "stdin"\n[mqtt]\nhost = "{host}"\ntopic = "wald/ä-1"\n'
        )
        assert read_config(tmp_path / "config.toml").mqtt.host == host


def test_names_with_nothing_for_a_topic_give_way_to_the_host(tmp_path):
    config = Config(state_dir=str(tmp_path), site=Site("森"), mqtt=Mqtt(host="broker"))
    broker = ClientByHand()
    Publisher(config, broker, "Recorder-01").start()
    assert broker.will[0] == "ecotf/recorder-01/available"


def test_home_assistant_finds_the_recorder(tmp_path, heard):
    broker = ClientByHand()
    one = publisher_by_hand(tmp_path, broker)
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
    assert {facts["device"]["name"] for facts in found.values()} == {"Bois #1/+ & more"}
    assert broker.will == ("ecotf/bois_1_more/available", "offline", 1, True)
    assert broker.place == ("broker", 1884)
    assert ("ecotf/bois_1_more/available", "online", 1, True) in broker.said
    one.stop()
    assert broker.said[-1][:2] == ("ecotf/bois_1_more/available", "offline")


def test_what_is_missing_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "paho", None)
    with pytest.raises(RecorderError, match=r"paho-mqtt is not installed; run `flash_device.py init`"):
        open_client(Config(mqtt=Mqtt(host="broker")))
    (tmp_path / "config.toml").write_text('[source]\nkind = "stdin"\n')
    assert cli.main(["mqtt", "--config", str(tmp_path / "config.toml")]) == 2
    assert "mqtt.host is missing" in capsys.readouterr().err
