"""A run on a device: stages converted to TFLite, chained into one file that proves and describes itself."""

from __future__ import annotations

from typing import Literal, get_args

Target = Literal["pi", "host", "c"]
TARGETS: tuple[Target, ...] = get_args(Target)
"""``pi``: a recorder. ``host``: any computer with a TFLite runtime. ``c``: C99 for a microcontroller."""
