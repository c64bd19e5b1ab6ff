"""``mqtt``: tells a broker what is heard and how the recorder is; a process of its own, which can disturb nothing."""

from __future__ import annotations

import json
import logging
import re
import signal
import socket
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from ecotf_recorder.config import Config, read_config
from ecotf_recorder.errors import ConfigError, RecorderError
from ecotf_recorder.files import atomic_file
from ecotf_recorder.times.clock import iso_time

_log = logging.getLogger(__name__)
_MEMORY = "mqtt.json"
_AT_ONCE = 200  # detections
_PATIENCE_S = 10.0  # for the broker's word that it has one
_KEYS = ("recording", "start_s", "end_s", "low_hz", "high_hz", "label", "score", "detection_score")
_NEW = f"SELECT id, time, {', '.join(_KEYS)} FROM detections WHERE id > ? ORDER BY id LIMIT ?"
_SENSORS: tuple[tuple[str, str, str, dict[str, str]], ...] = (  # name, what it is, template, more
    ("last_detection", "sensor", "{{ value_json.label }}", {}),
    ("detections", "sensor", "{{ value_json.detections }}", {"state_class": "total_increasing"}),
    ("level", "sensor", "{{ value_json.level_dbfs }}", {"unit_of_measurement": "dB", "state_class": "measurement"}),
    ("state", "sensor", "{{ value_json.state }}", {}),
    ("problem", "binary_sensor", "{{ 'ON' if value_json.error else 'OFF' }}", {"device_class": "problem"}),
)


class Client(Protocol):
    """The part of paho's client that is used."""

    on_connect: Any

    def will_set(self, topic: str, payload: str, qos: int, retain: bool) -> None:
        """What the broker says when this client is gone."""

    def publish(self, topic: str, payload: str, qos: int, retain: bool) -> Any:
        """Send; the answer has ``wait_for_publish`` and ``is_published``."""

    def connect_async(self, host: str, port: int) -> None:
        """Connect as soon as the network allows it."""

    def is_connected(self) -> bool:
        """Whether there is a connection."""

    def loop_start(self) -> object:
        """Begin."""

    def loop_stop(self) -> object:
        """End."""

    def disconnect(self) -> object:
        """Say goodbye."""


class Publisher:
    """Sends each detection at least once, and the state when it changes.

    What the broker has acknowledged is remembered on the disk. Detections from before the first start are not sent.
    """

    def __init__(self, config: Config, client: Client, host: str) -> None:
        self._state, self._settings, self._client = config.state, config.mqtt, client
        self._site = config.site.name or host
        self._name = re.sub(r"[^a-z0-9_-]+", "_", self._site.lower()).strip("_") or "recorder"
        self._topic = f"{self._settings.topic}/{self._name}"
        self._connected = threading.Event()
        self._sent = ""  # of the state
        self._last = self._remembered()

    def start(self) -> None:
        """Connect in the background; a broker that is away is tried again for ever."""
        self._client.will_set(f"{self._topic}/available", "offline", 1, True)
        self._client.on_connect = self._hear
        self._client.connect_async(self._settings.host, self._settings.port)
        self._client.loop_start()

    def _hear(self, client: object, data: object, flags: object, reason: Any, *_: object) -> None:
        """Take the broker's answer to a connection; a wrong password is one, too."""
        if getattr(reason, "is_failure", False):
            _log.warning("mqtt: the broker refuses the connection (%s)", reason)
        else:
            self._connected.set()

    def stop(self) -> None:
        """Say that this recorder is not there any more."""
        self._client.publish(f"{self._topic}/available", "offline", 1, True)
        self._client.disconnect()
        self._client.loop_stop()

    def turn(self) -> int:
        """Send what is new; returns the number of detections that the broker has now."""
        if not self._client.is_connected():  # paho would keep in memory whatever it is given meanwhile
            return 0
        if self._connected.is_set():
            self._connected.clear()  # set again at every connection
            self._announce()
        self._send_state()
        return self._send_detections()

    def _announce(self) -> None:
        device = {"identifiers": [f"ecotf_{self._name}"], "name": self._site, "manufacturer": "ecotf"}
        for name, kind, template, more in _SENSORS:
            source = f"{self._topic}/{'detection' if name == 'last_detection' else 'state'}"
            facts = {
                "name": name.replace("_", " "), "unique_id": f"ecotf_{self._name}_{name}", "state_topic": source,
                "value_template": template, "availability_topic": f"{self._topic}/available", "device": device, **more,
            }  # fmt: skip
            if name == "last_detection":
                facts["json_attributes_topic"] = source
            place = f"{self._settings.discovery}/{kind}/ecotf_{self._name}/{name}/config"
            self._client.publish(place, json.dumps(facts), 1, True)
        self._client.publish(f"{self._topic}/available", "online", 1, True)
        self._sent = ""

    def _send_state(self) -> None:
        try:
            health = (self._state / "health.json").read_text(encoding="utf-8")
        except OSError:
            return
        if health != self._sent:
            self._client.publish(f"{self._topic}/state", health, 0, True)
            self._sent = health

    def _send_detections(self) -> int:
        rows = self._ask(_NEW, self._last, _AT_ONCE)
        if not rows and (self._ask("SELECT COALESCE(MAX(id), 0) FROM detections") or [(0,)])[0][0] < self._last:
            self._last = 0  # the database has begun anew
        sent = []
        for number, time, *values in rows:
            said = {"time": None if time is None else iso_time(time), **dict(zip(_KEYS, values, strict=True))}
            sent.append((number, self._client.publish(f"{self._topic}/detection", json.dumps(said), 1, False)))
        done = 0
        for number, answer in sent:
            try:
                answer.wait_for_publish(_PATIENCE_S)
            except (RuntimeError, ValueError):  # there is no connection, or too much waits for one
                break
            if not answer.is_published():
                break
            self._last, done = number, done + 1
        if done:
            with atomic_file(self._state / _MEMORY) as partial:
                partial.write_text(json.dumps({"last": self._last}), encoding="utf-8")
        return done

    def _remembered(self) -> int:
        try:
            return int(json.loads((self._state / _MEMORY).read_text(encoding="utf-8"))["last"])
        except (OSError, ValueError, KeyError, TypeError):
            return int((self._ask("SELECT COALESCE(MAX(id), 0) FROM detections") or [(0,)])[0][0])

    def _ask(self, query: str, *values: object) -> list[Any]:
        path = self._state / "detections.sqlite"
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=2)) as file:
                return file.execute(query, values).fetchall()
        except sqlite3.Error:  # not there yet, or locked for a moment
            return []


def open_client(config: Config) -> Client:
    """Make paho's client.

    Raises
    ------
    RecorderError
        paho-mqtt is not installed.
    ConfigError
        There is no broker in the config, or no such password file.
    """
    settings = config.mqtt
    if not settings.host:
        raise ConfigError("mqtt.host is missing: the broker's name or address")
    try:
        from paho.mqtt import client as paho  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise RecorderError(
            "paho-mqtt is not installed; run: sudo /opt/ecotf/bin/python -m pip install 'paho-mqtt>=2'"
        ) from None
    made = paho.Client(paho.CallbackAPIVersion.VERSION2)
    if settings.user:
        try:
            password = (
                Path(settings.password_file).read_text(encoding="utf-8").strip() if settings.password_file else None
            )
        except OSError as error:
            raise ConfigError(f"mqtt.password_file: {settings.password_file} ({error.strerror})") from None
        made.username_pw_set(settings.user, password)
    if settings.tls:
        made.tls_set()
    found: Client = made
    return found


def run_mqtt(path: Path) -> int:
    """Send until stopped."""
    logging.basicConfig(level="INFO", format="%(levelname)s %(message)s")
    config = read_config(path)
    publisher, stopped = Publisher(config, open_client(config), socket.gethostname()), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    publisher.start()
    _log.info("mqtt: %s:%d", config.mqtt.host, config.mqtt.port)
    while not stopped.wait(config.mqtt.every_s):
        publisher.turn()
    publisher.stop()
    return 0
