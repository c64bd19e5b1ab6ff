"""``run``: from a config file to a recorder that listens, and what is said when it cannot."""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from typing import Any

from ecotf_recorder import __version__
from ecotf_recorder.assembly import assemble
from ecotf_recorder.config import Config, read_config
from ecotf_recorder.diary import open_diary
from ecotf_recorder.errors import RecorderError
from ecotf_recorder.health import Health, ServiceManager, vital_signs
from ecotf_recorder.lock import lock_state
from ecotf_recorder.model import digest
from ecotf_recorder.page.writing import StatusPage
from ecotf_recorder.recorder import Recorder
from ecotf_recorder.times.clock import Clock
from ecotf_recorder.times.trust import stated_quality, time_quality

_log = logging.getLogger(__name__)


def run(path: Path) -> int:
    """Read the config and listen; returns the exit status."""
    config = read_config(path)
    config.state.mkdir(parents=True, exist_ok=True)
    with lock_state(config.state):
        return _run(config)


def _run(config: Config) -> int:
    open_diary(config.state / "recorder.log", config.log.level, config.log.file_mb, config.log.files)
    page = StatusPage(config.state, config.site.name, config.page_s)
    health, manager, clock = Health(config.state / "health.json", page), ServiceManager(), clock_of(config)
    release = digest(config.model_path)[:12] if config.model_path.is_file() else ""
    facts: dict[str, Any] = {"state": "starting", "release": release, "version": __version__, "error": ""}
    try:
        health.write(vital_signs(clock) | facts)
        recorder = Recorder(config, assemble(config, clock), clock, health, manager)
        signal.signal(signal.SIGTERM, recorder.ask_to_stop)
        signal.signal(signal.SIGINT, recorder.ask_to_stop)
        recorder.listen()
    except RecorderError as error:
        health.write(vital_signs(clock) | facts | {"state": "failed", "error": str(error)})
        raise
    except Exception as error:
        _log.exception("the recorder failed")
        health.write(vital_signs(clock) | facts | {"state": "failed", "error": f"{type(error).__name__}: {error}"})
        return 1
    return 0


def clock_of(config: Config) -> Clock:
    """Return the board's clock, trusted as the config says."""
    return Clock(quality=stated_quality if config.clock.trusted else time_quality)
