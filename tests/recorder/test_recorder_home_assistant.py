"""What Home Assistant is told keeps its rules; whole ones (2024.3.3 and 2025.4.4) showed the states that are here."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ecotf_recorder.home_assistant import discovery, topic_name
from jinja2 import Environment, StrictUndefined

SITES = ("Wäldchen #1/+", "x" * 200, "-_-", "Recorder 7")
# homeassistant/components/mqtt/discovery.py, TOPIC_MATCHER, and SUPPORTED_COMPONENTS of const.py
TOPIC = re.compile(r"homeassistant/(sensor|binary_sensor)/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/config")
# homeassistant/components/mqtt/schemas.py, MQTT_ENTITY_COMMON_SCHEMA; config.py, MQTT_RO_SCHEMA
COMMON = {
    "availability_topic", "device", "json_attributes_topic", "json_attributes_template", "name", "origin",
    "state_topic", "unique_id", "value_template", "force_update", "device_class",
}  # fmt: skip
# homeassistant/components/mqtt/sensor.py, binary_sensor.py: DISCOVERY_SCHEMA, which drops other keys without a word
ALLOWED = {"sensor": COMMON | {"state_class", "unit_of_measurement"}, "binary_sensor": COMMON}
# schemas.py, MQTT_ENTITY_DEVICE_INFO_SCHEMA and MQTT_ORIGIN_INFO_SCHEMA; these refuse other keys
DEVICE, ORIGIN = {"identifiers", "name", "manufacturer", "sw_version"}, {"name", "sw_version"}
# homeassistant/components/sensor/const.py and binary_sensor/__init__.py. A sensor of no device class may have any unit.
DEVICE_CLASSES: dict[str, set[str | None]] = {"sensor": {None}, "binary_sensor": {"problem"}}
STATE_CLASSES = {None, "measurement", "total_increasing"}
# homeassistant/components/mqtt/entity.py, MQTT_ATTRIBUTES_BLOCKED, and MQTT_SENSOR_ATTRIBUTES_BLOCKED of sensor.py
BLOCKED = {
    "assumed_state", "available", "device_class", "device_info", "entity_category", "entity_picture", "friendly_name",
    "entity_registry_enabled_default", "extra_state_attributes", "force_update", "icon", "should_poll", "state", "name",
    "supported_features", "unique_id", "unit_of_measurement", "last_reset", "state_class",
}  # fmt: skip


def announced(site: str = SITES[0]) -> dict[str, dict[str, Any]]:
    """The announcements of a recorder, as they arrive."""
    name = topic_name(site) or "recorder"
    made = dict(discovery("homeassistant", f"ecotf/{name}", name, site))
    found: dict[str, dict[str, Any]] = json.loads(json.dumps(made))
    return found


@pytest.mark.parametrize("site", SITES)
def test_each_announcement_keeps_the_rules(site):
    found = announced(site)
    for topic, facts in found.items():
        place = TOPIC.fullmatch(topic)
        assert place, topic
        kind = place[1]
        assert set(facts) <= ALLOWED[kind]
        assert facts.get("device_class") in DEVICE_CLASSES[kind]
        assert facts.get("state_class") in STATE_CLASSES
        assert ("unit_of_measurement" in facts) <= ("state_class" in facts)
        assert set(facts["device"]) == DEVICE and facts["device"]["identifiers"] and facts["device"]["name"] == site
        assert set(facts["origin"]) == ORIGIN
        for key in ("state_topic", "availability_topic", "json_attributes_topic"):
            assert not re.search(r"[+#\0]|^$", facts.get(key, "-")), "a topic to subscribe to, without wildcards"
        assert not facts["name"].lower().startswith(site.lower()), "it stands behind the name of the device"
    assert len({facts["unique_id"] for facts in found.values()}) == len(found) == 5
    assert len({json.dumps(facts["device"]) for facts in found.values()}) == 1, "they are one device"


def shown(message: dict[str, Any]) -> dict[str, Any]:
    """Each entity's state after a message, and the attributes of the problem, where no template may lack anything."""
    rules = Environment(undefined=StrictUndefined)
    rules.filters["to_json"] = json.dumps
    source = "detection" if "label" in message else "state"
    states: dict[str, Any] = {}
    for topic, facts in announced().items():
        if facts["state_topic"].endswith(source):
            name = topic.split("/")[-2]
            states[name] = rules.from_string(facts["value_template"]).render(value_json=message)
            if "json_attributes_topic" in facts:
                template = facts.get("json_attributes_template", "{{ value_json | to_json }}")
                states[f"{name} has"] = json.loads(rules.from_string(template).render(value_json=message))
                assert facts["json_attributes_topic"] == facts["state_topic"]
                assert not set(states[f"{name} has"]) & BLOCKED, "such an attribute would be left out"
    return states


LISTENS = {"state": "listening", "running": True, "error": "", "detections": 3, "level_dbfs": -42.3}
FAILED = {"state": "failed", "running": False, "error": "no microphone called 'AudioMoth'"}  # nothing else is known


@pytest.mark.parametrize(
    ("message", "states"),
    [
        (LISTENS, ["3", "-42.3", "listening", "OFF", {"error": ""}]),
        ({**LISTENS, "level_dbfs": None}, ["3", "None", "listening", "OFF", {"error": ""}]),
        ({**LISTENS, "error": 'disk "full"'}, ["3", "-42.3", "listening", "ON", {"error": 'disk "full"'}]),
        ({**LISTENS, "running": False}, ["3", "-42.3", "listening", "ON", {"error": "the recorder does not run"}]),
        (FAILED, ["None", "None", "failed", "ON", {"error": "no microphone called 'AudioMoth'"}]),
    ],
)  # fmt: skip
def test_states_are_told_whatever_the_recorder_knows(message, states):
    """``None`` is Home Assistant's word for an unknown value (PAYLOAD_NONE of mqtt/const.py)."""
    assert list(shown(message).values()) == states


def test_a_detection_is_told_with_all_that_is_known_of_it():
    message = {"id": 3, "time": None, "start_s": 1.0, "label": "Nyctalus noctula", "score": 0.9, "recording": "night"}
    assert shown(message) == {"last_detection": "Nyctalus noctula", "last_detection has": message}
