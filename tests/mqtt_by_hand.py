"""Stands for paho's client, for tests that need no broker."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

from ecotf_recorder.config import Config, Mqtt, Site
from ecotf_recorder.mqtt import Publisher


class ClientByHand:
    """It is connected, and the broker takes detections, as long as a test says so."""

    def __init__(self) -> None:
        self.there, self.said, self.left, self.number = True, [], 10**9, 0
        self.on_connect = self.on_publish = None

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
        self.number += 1
        if taken:
            self.said.append((topic, payload, qos, retain))
            self.on_publish(self, None, self.number, None, None)
        return SimpleNamespace(mid=self.number)

    def seconds(self) -> list[float]:
        return [json.loads(payload)["start_s"] for topic, payload, *_ in self.said if topic.endswith("/detection")]


def publisher_by_hand(folder: Path, client: ClientByHand) -> Publisher:
    """What sends the detections of a recorder's folder through such a client."""
    config = Config(state_dir=str(folder), site=Site("Bois #1/+ & more"), mqtt=Mqtt(host="broker", port=1884))
    made = Publisher(config, client, "recorder01")
    made.start()
    return made
