"""``mqtt``: tells a broker what is heard and how the recorder is; a process of its own, which can disturb nothing."""

from __future__ import annotations

import json
import logging
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, Protocol

from ecotf_recorder.config import Config, Mqtt, read_config
from ecotf_recorder.errors import ConfigError, RecorderError
from ecotf_recorder.home_assistant import discovery, topic_name
from ecotf_recorder.sent import COLUMNS, Row, Sent, SentMemory
from ecotf_recorder.status import health_of
from ecotf_recorder.times.clock import iso_time

_log = logging.getLogger(__name__)
_AT_ONCE = 50  # detections; so many may arrive twice when this process is killed
_PATIENCE_S = 10.0  # for the broker's word that it has them


class Client(Protocol):
    """The part of paho's client that is used."""

    on_connect: Any
    on_connect_fail: Any
    on_disconnect: Any
    on_publish: Any

    def will_set(self, topic: str, payload: str, qos: int, retain: bool) -> object:
        """What the broker says when this client is gone."""

    def publish(self, topic: str, payload: str, qos: int, retain: bool) -> Any:
        """Send; the answer has ``mid``, with which ``on_publish`` is called when the broker has the message.

        What was not acknowledged when a connection broke is sent again over the next one.
        """

    def connect_async(self, host: str, port: int) -> object:
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

    What the broker has acknowledged is remembered on the disk, see `SentMemory`.
    """

    def __init__(self, config: Config, client: Client, host: str) -> None:
        self._state, self._settings, self._client = config.state, config.mqtt, client
        self._broker = f"{config.mqtt.host}:{config.mqtt.port}"
        self._site = config.site.name or host
        self._name = topic_name(config.site.name) or topic_name(host) or "recorder"
        self._topic = f"{self._settings.topic}/{self._name}"
        self._connected, self._word = threading.Event(), threading.Event()
        self._is_there, self._refusal, self._said = False, "", ""
        self._sent = ""  # of the state
        self._under_way: list[tuple[Sent, int]] = []  # detections and their messages, that wait for the broker's word
        self._had: set[int] = set()  # messages that the broker has
        self._memory = SentMemory(config.state)

    def start(self) -> None:
        """Connect in the background; a broker that is away is tried again for ever."""
        client = self._client
        client.will_set(f"{self._topic}/available", "offline", 1, True)
        client.on_connect, client.on_connect_fail = self._hear, self._hear_nothing
        client.on_disconnect, client.on_publish = self._lose, self._acknowledge
        client.connect_async(self._settings.host, self._settings.port)
        client.loop_start()

    def _hear(self, client: object, data: object, flags: object, reason: Any, *_: object) -> None:
        """Take the broker's answer to a connection; a wrong password is one, too."""
        if getattr(reason, "is_failure", False):
            self._refusal = f"the broker {self._broker} refuses the connection ({reason})"
            self._say(self._refusal)
        else:
            self._is_there, self._refusal = True, ""
            self._say(f"connected to {self._broker}", logging.INFO)
            self._connected.set()

    def _hear_nothing(self, *_: object) -> None:
        self._say(f"the broker {self._broker} cannot be reached ({sys.exc_info()[1]})")

    def _lose(self, *_: object) -> None:
        if self._is_there:
            self._say(f"the connection to {self._broker} is lost")
        elif not self._refusal:
            self._say(f"{self._broker} closes the connection without a word; check mqtt.port and mqtt.tls")
        self._is_there = False

    def _say(self, text: str, level: int = logging.WARNING) -> None:
        """One line for what lasts, however often it is tried again."""
        if text != self._said:
            _log.log(level, "mqtt: %s%s", text, "" if level == logging.INFO else "; trying again")
        self._said = text

    def _acknowledge(self, client: object, data: object, message: int, *_: object) -> None:
        self._had.add(message)
        self._word.set()

    def stop(self) -> None:
        """Say that this recorder is not there any more."""
        self._is_there, self._refusal = False, "stopped"
        if self._client.is_connected():
            self._client.publish(f"{self._topic}/available", "offline", 1, True)
        self._client.disconnect()
        self._client.loop_stop()

    def turn(self) -> int:
        """Send what is new; returns the number of detections that the broker has now."""
        self._memory.begin()
        if not self._client.is_connected():  # paho would keep in memory whatever it is given meanwhile
            return 0
        if self._connected.is_set():
            self._connected.clear()  # set again at every connection
            self._announce()
        self._send_state()
        return self._send_detections()

    def _announce(self) -> None:
        for place, facts in discovery(self._settings.discovery, self._topic, self._name, self._site):
            self._client.publish(place, json.dumps(facts), 1, True)
        self._client.publish(f"{self._topic}/available", "online", 1, True)
        self._sent = ""

    def _send_state(self) -> None:
        try:
            facts = health_of(self._state)
        except RecorderError:
            return
        facts.pop("age_s")
        health = json.dumps(facts)
        if health != self._sent:
            self._client.publish(f"{self._topic}/state", health, 0, True)
            self._sent = health

    def _send_detections(self) -> int:
        if not self._under_way:  # else paho is still at it, and another message would be another detection
            self._had.clear()
            self._under_way = [(Sent.of(row), self._publish(row)) for row in self._memory.new(_AT_ONCE)]
        until = time.monotonic() + _PATIENCE_S
        while not self._had.issuperset(message for _, message in self._under_way) and self._client.is_connected():
            if time.monotonic() > until:
                self._say(f"the broker {self._broker} takes detections and does not say that it has them")
                break
            self._word.wait(0.2)
            self._word.clear()
        done = []
        while self._under_way and self._under_way[0][1] in self._had:
            done.append(self._under_way.pop(0)[0])
        if done:
            self._memory.keep(done[-1])
        return len(done)

    def _publish(self, row: Row) -> int:
        said = dict(zip(COLUMNS, row, strict=True))
        if said["time"] is not None:
            said["time"] = iso_time(said["time"])
        return int(self._client.publish(f"{self._topic}/detection", json.dumps(said), 1, False).mid)


def open_client(config: Config) -> Client:
    """Make paho's client.

    Raises
    ------
    RecorderError
        paho-mqtt is not installed.
    ConfigError
        There is no broker in the config, or no such password file or certificate.
    """
    settings = config.mqtt
    if not settings.host:
        raise ConfigError("mqtt.host is missing: the broker's name or address")
    try:
        from paho.mqtt import client as paho
    except ImportError:
        raise RecorderError(
            "paho-mqtt is not installed; run `flash_device.py init` (or `init --offline`) again for this recorder"
        ) from None
    made = paho.Client(paho.CallbackAPIVersion.VERSION2)
    if settings.user:
        made.username_pw_set(settings.user, _password(settings))
    if settings.tls:
        try:
            made.tls_set(settings.ca_file or None)
        except OSError as error:  # also what ssl says of a file that is no certificate
            raise ConfigError(f"mqtt.ca_file: {settings.ca_file} ({error.strerror or error})") from None
    found: Client = made
    return found


def _password(settings: Mqtt) -> str | None:
    if not settings.password_file:
        return None
    try:
        lines = Path(settings.password_file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"mqtt.password_file: {settings.password_file} ({error})") from None
    if not lines or not lines[0]:
        raise ConfigError(f"mqtt.password_file: {settings.password_file} has no password in its first line")
    return lines[0]


def run_mqtt(path: Path) -> int:
    """Send until stopped."""
    logging.basicConfig(level="INFO", format="%(levelname)s %(message)s")
    config = read_config(path)
    publisher, stopped = Publisher(config, open_client(config), socket.gethostname()), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    publisher.start()
    while not stopped.wait(config.mqtt.every_s):
        while publisher.turn() == _AT_ONCE and not stopped.is_set():
            pass  # there are more
    publisher.stop()
    return 0
