"""A small MQTT 3.1.1 broker for tests: it takes messages, acknowledges them, and dies as it is told; nobody listens."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import NamedTuple


class Message(NamedTuple):
    """What somebody published."""

    topic: str
    payload: str
    qos: int
    retain: bool
    is_again: bool


class SmallBroker:
    """Listens on a port of this computer until it is closed.

    Parameters
    ----------
    port
        0 for any that is free.
    password
        That clients must give; None for no matter which.
    words
        How many messages are acknowledged; it takes the others and says nothing.
    """

    def __init__(self, port: int = 0, password: str | None = None, words: int = 10**9) -> None:
        self.said: list[Message] = []
        self.words, self._password = words, password
        self._clients: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def of(self, ending: str) -> list[Message]:
        """The messages of topics that end so."""
        return [message for message in self.said if message.topic.endswith(ending)]

    def close(self) -> None:
        """Go away as if killed."""
        for one in (self._listener, *self._clients):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                self._clients.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        will = None
        with suppress(OSError, EOFError), client:
            while True:
                kind, body = _packet(client)
                if kind >> 4 == 1:  # CONNECT
                    will, password = _connect(body)
                    refused = self._password is not None and password != self._password
                    client.sendall(bytes((0x20, 2, 0, 5 if refused else 0)))
                    if refused:
                        return
                elif kind >> 4 == 3:  # PUBLISH
                    qos, rest = kind >> 1 & 3, body
                    topic, rest = _text(rest)
                    number, rest = (rest[:2], rest[2:]) if qos else (b"", rest)
                    self.said.append(Message(topic, rest.decode(), qos, bool(kind & 1), bool(kind & 8)))
                    if qos and self.words:
                        self.words -= 1
                        client.sendall(b"\x40\x02" + number)
                elif kind >> 4 == 12:  # PINGREQ
                    client.sendall(b"\xd0\x00")
                elif kind >> 4 == 14:  # DISCONNECT
                    will = None
                    return
        if will is not None:
            self.said.append(will)


def _packet(client: socket.socket) -> tuple[int, bytes]:
    kind, length, shift = _exactly(client, 1)[0], 0, 0
    while True:
        byte = _exactly(client, 1)[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return kind, _exactly(client, length)


def _exactly(client: socket.socket, n: int) -> bytes:
    found = b""
    while len(found) < n:
        if not (more := client.recv(n - len(found))):
            raise EOFError
        found += more
    return found


def _text(rest: bytes) -> tuple[str, bytes]:
    (length,) = struct.unpack(">H", rest[:2])
    return rest[2 : 2 + length].decode(), rest[2 + length :]


def _connect(body: bytes) -> tuple[Message | None, str | None]:
    flags = body[7]  # behind the protocol's name and level
    _, rest = _text(body[10:])  # the client's own name
    will = password = None
    if flags & 4:
        topic, rest = _text(rest)
        payload, rest = _text(rest)
        will = Message(topic, payload, flags >> 3 & 3, bool(flags & 32), False)
    if flags & 128:
        _, rest = _text(rest)
    if flags & 64:
        password, rest = _text(rest)
    return will, password
