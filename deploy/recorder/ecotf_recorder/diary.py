"""The recorder's log: to the journal of systemd, and to a file that is rotated."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path


def open_diary(path: Path, level: str, file_mb: float, files: int) -> None:
    """Log to ``path``, of which ``files`` of ``file_mb`` are kept, and to standard error."""
    log = logging.getLogger("ecotf_recorder")
    log.setLevel(level.upper())
    log.propagate = False
    logging.raiseExceptions = False  # a full disk costs lines of the log, not a traceback for each
    for old in list(log.handlers):
        log.removeHandler(old)
        old.close()
    shown = logging.StreamHandler(sys.stderr)
    shown.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    log.addHandler(shown)
    try:
        kept = RotatingFileHandler(path, maxBytes=round(file_mb * 1e6), backupCount=files - 1, encoding="utf-8")
    except OSError as error:
        log.error("%s cannot be written (%s)", path, error.strerror)
        return
    kept.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(kept)
