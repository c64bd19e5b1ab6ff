"""``config.toml``: what can be set, checked all at once, one clear line for each mistake."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from ecotf_recorder.errors import ConfigError
from ecotf_recorder.times.beginning import time_zone_of
from ecotf_recorder.times.schedule import check_moment
from ecotf_recorder.typed_tables import number, one_of, read_table, text, texts

_HOME = Path("/var/lib/ecotf")  # of the releases; root's
_DATA = _HOME / "data"  # of the recorder
_HOST = re.compile(r"(?!-)[^\s/:@.]{1,63}(\.[^\s/:@.]{1,63})*\.?|[0-9A-Fa-f:]+(%\w+)?")  # or an IPv6 address
_TOPIC = re.compile(r"[^\s/+#$\x00-\x1f\x7f]+(/[^\s/+#$\x00-\x1f\x7f]+)*")


@dataclass(frozen=True)
class Source:
    """``[source]``: where sound comes from."""

    kind: str = one_of("microphone", "microphone", "folder", "stdin", "file")
    device: str = text("")
    channels: int = number(1, 1, 32)
    channel: int = number(1, 1, 32)
    buffer_s: float = number(10.0, 1, 120)
    folder: str = text("")
    settle_s: float = number(10.0, 0, 3600)
    time_expansion: float = number(0.0, 0, 100)
    time_zone: str = text("")
    file: str = text("")


@dataclass(frozen=True)
class Site:
    """``[site]``: the place of the recorder."""

    name: str = text("")
    latitude: float = number(float("nan"), -90, 90)
    longitude: float = number(float("nan"), -180, 180)

    @property
    def is_known(self) -> bool:
        """True if both coordinates are given."""
        return self.latitude == self.latitude and self.longitude == self.longitude


@dataclass(frozen=True)
class Schedule:
    """``[schedule]``: when a microphone is listened to."""

    windows: tuple[str, ...] = texts()
    record_s: float = number(0.0, 0, 86400)
    every_s: float = number(0.0, 0, 86400)


@dataclass(frozen=True)
class Detections:
    """``[detections]``: what is written down."""

    flush_s: float = number(10.0, 0.5, 3600)
    unnamed: bool = field(default=True)
    threshold: float = number(0.0, 0, 1)


@dataclass(frozen=True)
class Clips:
    """``[clips]``: the sound around detections."""

    keep: bool = field(default=True)
    before_s: float = number(0.5, 0, 10)
    after_s: float = number(0.5, 0, 10)
    merge_s: float = number(0.5, 0, 10)
    longest_s: float = number(5.0, 0.5, 30)
    least_score: float = number(0.0, 0, 1)
    labels: tuple[str, ...] = texts()
    quota_mb: float = number(4000.0, 0, 1e7)
    reserve_mb: float = number(500.0, 0, 1e7)


@dataclass(frozen=True)
class RuleSettings:
    """``[rules]``: which detections are reported."""

    hits: int = number(1, 1, 100)
    within_s: float = number(10.0, 0.1, 600)
    labels: tuple[str, ...] = texts()
    plausible: str = text("")


@dataclass(frozen=True)
class Privacy:
    """``[privacy]``: sound that is not kept."""

    human_voice: str = one_of("keep", "keep", "drop")
    voice_labels: tuple[str, ...] = texts()
    least_score: float = number(0.0, 0, 1)
    margin_s: float = number(2.0, 0, 60)


@dataclass(frozen=True)
class ClockSettings:
    """``[clock]``: what to do before the clock is set."""

    unset: str = one_of("listen", "listen", "wait")
    trusted: bool = field(default=False)


@dataclass(frozen=True)
class Mqtt:
    """``[mqtt]``: whom the service ecotf-mqtt tells what is heard."""

    host: str = text("")
    port: int = number(1883, 1, 65535)
    user: str = text("")
    password_file: str = text("")
    tls: bool = field(default=False)
    ca_file: str = text("")
    topic: str = text("ecotf")
    discovery: str = text("homeassistant")
    every_s: float = number(5.0, 0.5, 3600)


@dataclass(frozen=True)
class Log:
    """``[log]``: the recorder's log."""

    level: str = one_of("info", "debug", "info", "warning", "error")
    file_mb: float = number(1.0, 0.01, 1000)
    files: int = number(5, 1, 100)


@dataclass(frozen=True)
class Config:
    """All settings of a recorder; ``model`` is below ``state_dir``, or below the folder of releases by default."""

    state_dir: str = text(str(_DATA))
    model: str = text("current/model.tflite")
    threads: int = number(1, 1, 8)
    health_s: float = number(5.0, 0.1, 10)
    page_s: float = number(60.0, 0, 86400)
    source: Source = field(default_factory=Source)
    site: Site = field(default_factory=Site)
    schedule: Schedule = field(default_factory=Schedule)
    detections: Detections = field(default_factory=Detections)
    rules: RuleSettings = field(default_factory=RuleSettings)
    clips: Clips = field(default_factory=Clips)
    privacy: Privacy = field(default_factory=Privacy)
    clock: ClockSettings = field(default_factory=ClockSettings)
    mqtt: Mqtt = field(default_factory=Mqtt)
    log: Log = field(default_factory=Log)

    @property
    def state(self) -> Path:
        """The folder of everything that the recorder writes."""
        state = Path(self.state_dir)
        return _DATA if state == _HOME else state  # as older config files have it

    @property
    def model_path(self) -> Path:
        """The model."""
        return (_HOME if self.state == _DATA else self.state) / self.model


def read_config(path: Path) -> Config:
    """Read and check a config file.

    Raises
    ------
    ConfigError
        Every mistake in the file, one a line.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from None
    mistakes: list[str] = []
    config = read_table(Config, values, "", mistakes)
    mistakes += _contradictions(config) if not mistakes else []
    if mistakes:
        raise ConfigError("\n".join(f"{path}: {mistake}" for mistake in mistakes))
    return config


def _contradictions(config: Config) -> list[str]:
    source, schedule, clips = config.source, config.schedule, config.clips
    found = []
    places = {
        "state_dir": config.state_dir, "source.folder": source.folder, "source.file": source.file,
        "rules.plausible": config.rules.plausible, "mqtt.password_file": config.mqtt.password_file,
        "mqtt.ca_file": config.mqtt.ca_file,
    }  # fmt: skip
    for key, place in places.items():
        if place and not Path(place).is_absolute():
            found.append(f"{key} = {place!r}: must begin with /, since the recorder is started from anywhere")
    for kind, key in (("microphone", "device"), ("folder", "folder"), ("file", "file")):
        if source.kind == kind and not getattr(source, key):
            found.append(f"source.{key} is missing; source.kind is {kind!r}")
    if source.channel > source.channels:
        found.append(f"source.channel = {source.channel}: the microphone has source.channels = {source.channels}")
    if source.device.startswith("plughw"):
        found.append(f"source.device = {source.device!r}: plughw changes the sample rate unseen; give hw:... instead")
    if source.time_zone:
        try:
            time_zone_of(source.time_zone)
        except ConfigError as error:
            found.append(f"source.time_zone: {error}")
    for window in schedule.windows:
        found += check_moment(window, config.site.is_known)
    if bool(schedule.record_s) != bool(schedule.every_s) or schedule.record_s > schedule.every_s:
        found.append(
            f"schedule.record_s = {schedule.record_s:g}, schedule.every_s = {schedule.every_s:g}: set both, and "
            "record_s at most every_s"
        )
    if (config.site.latitude == config.site.latitude) != (config.site.longitude == config.site.longitude):
        found.append("site needs both latitude and longitude")
    if config.privacy.human_voice == "drop" and not config.privacy.voice_labels:
        found.append("privacy.voice_labels is missing: the labels of the model that stand for a human voice")
    found += _of_mqtt(config.mqtt)
    if clips.longest_s < clips.before_s + clips.after_s:
        found.append(f"clips.longest_s = {clips.longest_s:g} is shorter than clips.before_s and clips.after_s together")
    return found


def _of_mqtt(mqtt: Mqtt) -> list[str]:
    found = []
    if mqtt.host and not _HOST.fullmatch(mqtt.host):
        found.append(f"mqtt.host = {mqtt.host!r}: a name or an address alone, such as 'homeassistant.local'")
    for key, topic in (("topic", mqtt.topic), ("discovery", mqtt.discovery)):
        if not _TOPIC.fullmatch(topic):
            found.append(f"mqtt.{key} = {topic!r}: names with / between them, without + # $ and without spaces")
    return found
