"""What Home Assistant must be told of a recorder so that it finds it by itself: MQTT discovery."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from ecotf_recorder import __version__

_LONGEST_NAME = 64
_PROBLEM = "{{ 'OFF' if value_json.running and not value_json.error else 'ON' }}"
_REASON = "{{ {'error': value_json.error or ('' if value_json.running else 'the recorder does not run')} | to_json }}"
# Name, what it is, template, more. A recorder that starts or has failed knows no counts and no level: get() gives none,
# which Home Assistant takes for "unknown".
_SENSORS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("last_detection", "sensor", "{{ value_json.label }}", {"force_update": True}),
    ("detections", "sensor", "{{ value_json.get('detections') }}", {"state_class": "total_increasing"}),
    ("level", "sensor", "{{ value_json.get('level_dbfs') }}",
     {"unit_of_measurement": "dBFS", "state_class": "measurement"}),
    ("state", "sensor", "{{ value_json.state }}", {}),
    ("problem", "binary_sensor", _PROBLEM, {"device_class": "problem", "json_attributes_template": _REASON}),
)  # fmt: skip


def topic_name(text: str) -> str:
    """Return what is left of a name in a topic: letters a to z without accents, digits, ``-`` and ``_``.

    Examples
    --------
    >>> topic_name("Wäldchen #1/+"), topic_name("森")
    ('waldchen_1', '')
    """
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return re.sub(r"[^a-z0-9_-]+", "_", plain).strip("_")[:_LONGEST_NAME]


def discovery(prefix: str, topic: str, name: str, site: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return where each sensor is announced, and what is said of it.

    Parameters
    ----------
    prefix
        The topic below which Home Assistant looks.
    topic, name
        Of the recorder's own messages, and the recorder's part of it.
    site
        The recorder's name for people.
    """
    device = {
        "identifiers": [f"ecotf_{name}"], "name": site, "manufacturer": "ecotf", "sw_version": __version__
    }  # fmt: skip
    for sensor, kind, template, more in _SENSORS:
        source = f"{topic}/{'detection' if sensor == 'last_detection' else 'state'}"
        facts = {
            "name": sensor.replace("_", " ").capitalize(), "unique_id": f"ecotf_{name}_{sensor}", "state_topic": source,
            "value_template": template, "availability_topic": f"{topic}/available", "device": device,
            "origin": {"name": "ecotf-recorder", "sw_version": __version__}, **more,
        }  # fmt: skip
        if sensor in ("last_detection", "problem"):
            facts["json_attributes_topic"] = source
        yield f"{prefix}/{kind}/ecotf_{name}/{sensor}/config", facts
