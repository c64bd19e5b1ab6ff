"""A time server for the emulated board, which is on no network: it runs on the board and is told the true time once.

    sudo python3 time_server.py SECONDS_SINCE_1970

It answers as RFC 4330 has it, by the clock that nobody can set, so it stays right when the board's own clock jumps.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

PORT = 123
_SINCE_1900 = 2208988800
_REQUEST_BYTES = 48
_ANSWER = struct.Struct(">BBBbII4sQQQQ")


def answer(request: bytes, now: float) -> bytes:
    """Return the answer to a client's packet: no leap second, version 4, a server next to a clock, right to 0.1 ms.

    Examples
    --------
    >>> answer(bytes(48), 0.0)[:2].hex()
    '2401'
    """
    asked = struct.unpack_from(">Q", request, 40)[0]
    stamp = round((now + _SINCE_1900) * 2**32)
    return _ANSWER.pack(0x24, 1, 6, -13, 0, 0, b"GPS\0", stamp, asked, stamp, stamp)


def main() -> None:
    """Answer whoever asks, until it is ended."""
    began = float(sys.argv[1]) - time.clock_gettime(time.CLOCK_BOOTTIME)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", PORT))
        while True:
            request, client = server.recvfrom(512)
            if len(request) >= _REQUEST_BYTES:
                server.sendto(answer(request, began + time.clock_gettime(time.CLOCK_BOOTTIME)), client)


if __name__ == "__main__":
    main()
