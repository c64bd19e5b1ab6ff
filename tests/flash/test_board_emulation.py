"""What the emulated board is made of, without the emulator: drivers in order, and its time server."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

from deploy.board_emulation.image import module_order
from deploy.board_emulation.time_server import answer

DEPENDENCIES = """\
kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/lib/crc16.ko
kernel/fs/jbd2/jbd2.ko:
kernel/lib/crc16.ko:
kernel/sound/drivers/snd-aloop.ko: kernel/sound/core/snd-pcm.ko kernel/sound/core/snd.ko
kernel/sound/core/snd-pcm.ko: kernel/sound/core/snd.ko
kernel/sound/core/snd.ko:
"""


def test_a_driver_comes_after_what_it_needs_and_once() -> None:
    order = [
        file.rpartition("/")[2] for file in module_order(DEPENDENCIES, ("ext4", "snd_aloop", "snd_pcm", "built_in"))
    ]
    assert sorted(order) == sorted({"ext4.ko", "jbd2.ko", "crc16.ko", "snd-aloop.ko", "snd-pcm.ko", "snd.ko"})
    assert order.index("snd.ko") < order.index("snd-pcm.ko") < order.index("snd-aloop.ko")
    assert order.index("jbd2.ko") < order.index("ext4.ko")


def test_the_time_server_answers_as_a_client_expects() -> None:
    now = datetime(2026, 6, 21, 20, 15, 0, 500_000, tzinfo=UTC).timestamp()
    request = bytearray(48)
    request[40:48] = b"\x01\x02\x03\x04\x05\x06\x07\x08"
    said = answer(bytes(request), now)
    assert len(said) == 48
    leap, version, mode = said[0] >> 6, said[0] >> 3 & 7, said[0] & 7
    assert (leap, version, mode, said[1]) == (0, 4, 4, 1)
    assert said[24:32] == bytes(request[40:48])  # else a client drops it
    seconds, fraction = struct.unpack(">II", said[40:48])
    assert datetime.fromtimestamp(seconds - 2_208_988_800 + fraction / 2**32, UTC).timestamp() == now
