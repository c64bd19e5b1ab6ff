"""The parts of a recorder, put together as the config says."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from ecotf_recorder.config import Config
from ecotf_recorder.config_check import no_clips_because
from ecotf_recorder.errors import ConfigError, RecorderError
from ecotf_recorder.facts import ModelFacts
from ecotf_recorder.files import disk_is_full
from ecotf_recorder.model import DeviceModel
from ecotf_recorder.rules.judge import Rules
from ecotf_recorder.rules.plausible import read_plausible
from ecotf_recorder.rules.voices import VoiceSettings
from ecotf_recorder.scoring.naming import UNNAMED_LABEL
from ecotf_recorder.scoring.opening import latency_s
from ecotf_recorder.sources.events import FileKey, Source
from ecotf_recorder.sources.microphone import Microphone
from ecotf_recorder.sources.standard_input import StandardInput
from ecotf_recorder.sources.wav_files import FilledFolder, OneFile, Recordings
from ecotf_recorder.store.clips import ClipKeeper
from ecotf_recorder.store.notebook import Notebook
from ecotf_recorder.store.quota import ClipRoom, make_first_room
from ecotf_recorder.store.spans import RecentSound, SpanSettings
from ecotf_recorder.stretch import Wishes, room_for
from ecotf_recorder.times.beginning import time_zone_of
from ecotf_recorder.times.clock import Clock
from ecotf_recorder.times.schedule import ListeningTimes


@dataclass
class Parts:
    """Parts of the recorder's loop.

    Attributes
    ----------
    problems
        What is wrong from the start, and no reason not to listen.
    """

    model: DeviceModel
    source: Source
    notebook: Notebook
    times: ListeningTimes
    wishes: Wishes
    recent: RecentSound
    room: ClipRoom | None
    clips: ClipKeeper | None
    rules: Rules = field(default_factory=Rules)
    problems: list[str] = field(default_factory=list)


def assemble(config: Config, clock: Clock) -> Parts:
    """Load the model and open everything else; raises `RecorderError`."""
    model = DeviceModel(config.model_path, config.threads)
    facts = model.facts
    make_first_room(config.state / "clips")
    notebook = _notebook(config, clock)
    wishes = wishes_of(config, facts)
    rules, problem = rules_of(config)
    problems = [problem, no_clips_because(config, facts)]
    room = clips = None
    if config.clips.keep and not problems[1]:
        megabyte = 1e6
        folder = config.state / "clips"
        room = ClipRoom(folder, notebook.database, config.clips.quota_mb * megabyte, config.clips.reserve_mb * megabyte)
        clips = ClipKeeper(room, notebook.database, clock, facts.sample_rate_hz, _notes(config, model))
    site, schedule = config.site, config.schedule
    times = ListeningTimes(schedule.windows, site.latitude, site.longitude, schedule.record_s, schedule.every_s)
    margin_s = wishes.voices.margin_s if wishes.voices is not None else 0.0
    delay_s = latency_s(facts) + rules.delay_s + margin_s
    recent = room_for(wishes, facts.sample_rate_hz if clips is not None else 0, delay_s)
    source = _source(config, model, notebook)
    return Parts(model, source, notebook, times, wishes, recent, room, clips, rules, list(filter(None, problems)))


def _notebook(config: Config, clock: Clock) -> Notebook:
    try:
        return Notebook(config.state, clock)
    except OSError as error:
        reason = "disk full" if disk_is_full(error) else error.strerror
        raise RecorderError(f"{config.state}: cannot be written to ({reason})") from None
    except sqlite3.Error as error:
        raise RecorderError(f"{config.state}: cannot be written to ({error})") from None


def wishes_of(config: Config, facts: ModelFacts) -> Wishes:
    """Return the settings of the config for scoring and clips."""
    clips, stated = config.clips, config.detections.threshold
    spans = SpanSettings(clips.before_s, clips.after_s, clips.merge_s, clips.longest_s)
    thresholds = dict.fromkeys(facts.thresholds, stated) if stated else None
    unnamed = None if config.detections.unnamed else False
    voices = None
    if config.privacy.human_voice == "drop":
        privacy, known = config.privacy, thresholds or facts.thresholds
        voices = VoiceSettings(frozenset(privacy.voice_labels), privacy.least_score, privacy.margin_s, known)
    return Wishes(thresholds, unnamed, spans, clips.least_score, frozenset(clips.labels), voices)


def rules_of(config: Config) -> tuple[Rules, str]:
    """Return what the config says of reporting, and a problem: without its table, every label is plausible."""
    settings, plausible, problem = config.rules, None, ""
    if settings.plausible:
        try:
            plausible = read_plausible(Path(settings.plausible), config.site, [UNNAMED_LABEL])
        except ConfigError as error:
            problem = f"rules.plausible: {error}; every label is taken for plausible"
    return Rules(settings.hits, settings.within_s, frozenset(settings.labels), plausible), problem


def _source(config: Config, model: DeviceModel, notebook: Notebook) -> Source:
    source, facts = config.source, model.facts
    rate = facts.sample_rate_hz
    if source.kind == "microphone":
        return Microphone(source.device, rate, source.channels, source.channel, source.buffer_s)
    if source.kind == "stdin":
        return StandardInput(rate, source.buffer_s)
    channel = source.channel if source.channels > 1 else None
    zone = time_zone_of(source.time_zone) if source.time_zone else None
    recordings = Recordings(rate, facts.window_s, channel, source.time_expansion or None, zone)
    database, release = notebook.database, model.id

    def is_done(key: FileKey) -> bool:
        return database.is_done(key, release)

    if source.kind == "file":
        return OneFile(Path(source.file), recordings, is_done)
    return FilledFolder(Path(source.folder), recordings, source.settle_s, is_done)


def _notes(config: Config, model: DeviceModel) -> dict[str, str]:
    """GUANO fields that are the same for every clip."""
    site = config.site
    return {
        "Make": "ecotf",
        "Model": "ecotf-recorder",
        **({"Loc Position": f"{site.latitude:.6f} {site.longitude:.6f}"} if site.is_known else {}),
        **({"ecotf|Site": site.name} if site.name else {}),
        "ecotf|Model": model.facts.name,
        "ecotf|Release": model.id,
        "ecotf|Run": model.facts.run,
    }
