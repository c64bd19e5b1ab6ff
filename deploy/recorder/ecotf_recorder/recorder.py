"""The recorder's loop: listen until stopped."""

from __future__ import annotations

import logging
import math
import sqlite3
import time

from ecotf_recorder import __version__
from ecotf_recorder.absence import STOPPED, Absence, find_absence
from ecotf_recorder.assembly import Parts
from ecotf_recorder.config import Config
from ecotf_recorder.dating import Dater
from ecotf_recorder.files import free_bytes
from ecotf_recorder.health import Health, ServiceManager, temperature_c, vital_signs
from ecotf_recorder.hearing import Hearing
from ecotf_recorder.rules.judge import Judge
from ecotf_recorder.sources.events import Began, Ended, Event, Exhausted, Sound
from ecotf_recorder.stretch import Stretch
from ecotf_recorder.times.clock import Clock, iso_time

_log = logging.getLogger(__name__)
_DRAIN_S = 20.0
_WAIT_S = 0.5
_SHORTEST_GAP_S = 0.001
_BEHIND_S = 3.0  # of sound that waits; from there on the log says so
_SET_WITHIN_S = 600.0  # after the start; an absence waits so long for the clock
_OPENING_S = 5.0  # a microphone may take so long to open


class Recorder:
    """The loop: events in, detections out, health in between."""

    def __init__(self, config: Config, parts: Parts, clock: Clock, health: Health, manager: ServiceManager) -> None:
        self._config, self._parts, self._clock, self._health, self._manager = config, parts, clock, health, manager
        self._source, self._notebook, self._times = parts.source, parts.notebook, parts.times
        self._stretch: Stretch | None = None
        self._on, self._opens_at = False, 0.0
        self._stopping = self._over = False
        self._absence: tuple[Absence, float] | None = None  # that waits for the clock, and until when
        self._first_began: float | None = None
        self._gap: tuple[float, str] | None = None  # since when, by the steady clock, and why
        self._clock_was_set = clock.is_set
        self._dater = Dater(parts.notebook, parts.clips)
        self._judge = Judge(parts.rules, parts.notebook, clock, live=True)
        self._seconds, self._gaps, self._refused, self._last_refused = 0.0, 0, 0, ""
        self._hearing = Hearing(parts.model.facts.sample_rate_hz)
        self._behind_s = _BEHIND_S
        self._health_at = self._commit_at = self._look_at = 0.0

    def ask_to_stop(self, *_: object) -> None:
        """Finish what has come, write it down, and end."""
        self._stopping = True

    def listen(self) -> None:
        """Until asked to stop, or until no more sound can come."""
        facts = self._parts.model.facts
        _log.info(
            "ecotf-recorder %s, %s (%s) at %d Hz", __version__, facts.name, self._parts.model.id, facts.sample_rate_hz
        )
        self._beat(force=True)
        self._manager.report("READY=1")
        if self._source.live:
            self._note_absence()
        while not self._stopping and not (self._over and not self._manager.is_there):
            self._look_at_clocks()
            wait_s = _WAIT_S if not self._dater.is_at_work else 0.0
            if self._over or (self._source.live and not self._on):  # systemd would only start it again
                time.sleep(wait_s)
            elif (event := self._source.next(wait_s)) is not None:
                self.take(event)
            self._dater.work()
            self._beat()
        self._manager.report("STOPPING=1")
        self._dater.end()
        self._drain()
        if self._stretch is not None:
            unread = self._stretch.began.key is not None  # a file is begun anew at the next start
            self._end(Ended(STOPPED, status="failed" if unread else "done"))
        self._close_gap(self._clock.now())
        self._settle_absence(math.inf)
        self._notebook.close()
        self._write_health("idle", stopped=True)
        _log.info("stopped after %.1f s of sound; %d detections in all", self._seconds, self._notebook.detections)

    def take(self, event: Event) -> None:
        """One event of the source."""
        if isinstance(event, Sound):
            if self._stretch is not None:
                self._stretch.push(event.samples)
                if self._source.live:
                    self._hearing.push(event.samples)
                self._seconds += len(event.samples) / self._parts.model.facts.sample_rate_hz
        elif isinstance(event, Began):
            self._begin(event)
        elif isinstance(event, Ended):
            if self._stretch is not None:
                self._end(event)
        elif isinstance(event, Exhausted):
            self._over = True

    def _begin(self, began: Began) -> None:
        parts = self._parts
        if began.key is not None:
            self._notebook.commit()  # so that a file that fails can be forgotten as a whole
        judge = self._judge if began.is_live else Judge(parts.rules, self._notebook, self._clock, live=False)
        self._stretch = Stretch(
            began, parts.model, parts.wishes, self._notebook, parts.clips, parts.recent, self._clock, judge
        )
        if began.steady is not None:
            self._first_began = self._first_began or began.steady
            self._close_gap(began.steady)
        _log.info("listening: %s", self._stretch.origin.recording)

    def _end(self, ended: Ended) -> None:
        stretch, self._stretch = self._stretch, None
        assert stretch is not None
        key, end = stretch.began.key, stretch.end_steady
        self._opens_at = self._clock.now()  # what comes next may take as long to open
        if (key is None and not stretch.began.name) or ended.status in ("done", "silent"):
            stretch.finish(ended.reason)
        status, reason = ended.status, ended.reason
        if stretch.began.name:
            said = f"{stretch.found} detections" if status == "done" else status
            _log.info("%s: %s", stretch.origin.recording, f"{said}: {reason}" if reason else said)
        if key is not None and status not in ("done", "silent"):
            self._notebook.forget()
            self._refused += 1
            self._last_refused = f"{key.path}: {reason}"
        if key is not None and status != "failed":
            found = stretch.found if status == "done" else 0
            self._notebook.settle(stretch.began, status, reason, stretch.seconds, found, self._parts.model.id)
        if ended.gap and end is not None:
            self._gap = end, ended.reason
        self._commit()

    def _note_absence(self) -> None:
        """The time since the process before this one, if that ended while it listened, is a gap."""
        absence = find_absence(self._notebook.database, self._clock, self._times)
        if absence is None:
            return
        if absence.steady is None:  # a clock is often set some seconds after the start
            self._absence = absence, self._clock.now() + _SET_WITHIN_S
            return
        self._gap = absence.steady, absence.reason
        if absence.until is not None and absence.until < self._clock.now():
            self._close_gap(absence.until)

    def _settle_absence(self, by: float) -> None:
        """Note an absence that waited for the clock, once that is set, or, ``by`` then, without its length."""
        if self._absence is None:
            return
        absence, last = self._absence[0].dated(self._clock, self._times), self._absence[1]
        if absence.steady is not None and self._first_began is not None:
            until = min(self._first_began, absence.until or self._first_began)
            self._notebook.gap(absence.steady, until - absence.steady, absence.reason)
        elif by >= last:
            self._notebook.gap(None, None, f"{absence.reason}; for how long is not known")
        else:
            return
        self._gaps += 1
        self._absence = None

    def _close_gap(self, until: float) -> None:
        if self._gap is not None and until - self._gap[0] > _SHORTEST_GAP_S:
            self._notebook.gap(self._gap[0], until - self._gap[0], self._gap[1])
            self._gaps += 1
        self._gap = None

    def _look_at_clocks(self) -> None:
        """Once in a second: the clock may have been set, or the time to listen may have come or gone."""
        now = self._clock.now()
        if now < self._look_at:
            return
        self._look_at = now + 1.0
        jump: float | bool = self._clock.check()
        if jump and self._clock_was_set:
            _log.warning("the clock jumped by %+.1f s", jump)
        if self._clock.is_set and not self._clock_was_set:
            _log.info("the clock is set (%s)", self._clock.quality)
            self._clock_was_set = jump = True
            self._dater.ask()
        self._settle_absence(now)
        if jump:
            self._judge.redate()
        if jump and self._stretch is not None:
            self._stretch.redate()
        if self._stretch is None:
            self._judge.pass_time(now - self._source.backlog_s - _OPENING_S)
        in_a_file = self._stretch is not None and self._stretch.began.key is not None  # kept as a whole, or not at all
        if not in_a_file:
            self._dater.begin()
        if self._source.live and not self._over:
            self._switch(self._listens(now), now)

    def _listens(self, now: float) -> bool:
        wall = self._clock.at(now)
        if wall is None:
            return self._config.clock.unset == "listen" and self._times.listens_without_clock(now)
        return self._times.listens(wall)

    def _switch(self, on: bool, now: float) -> None:
        if on and not self._on:
            self._source.start()
            self._opens_at = now
        elif not on and self._on:
            self._source.stop()
            while (event := self._source.next(0.0)) is not None:
                self.take(event)
                self._beat()
            self._close_gap(now)
        if on and self._stretch is None and self._gap is None and now > self._opens_at + _OPENING_S:
            self._gap = self._opens_at, self._source.problem or "no sound came"
        self._on = on

    def _drain(self) -> None:
        """Score the sound that is in the buffer, while there is time."""
        self._source.stop()
        until = self._clock.now() + _DRAIN_S
        while self._source.live and not self._over and self._clock.now() < until:
            event = self._source.next(0.0)
            if event is None:
                break
            self.take(event)
            self._manager.report("WATCHDOG=1")
        if self._source.backlog_s and self._source.live:
            _log.warning("stopped with %.1f s of sound not looked at", self._source.backlog_s)

    def _commit(self) -> None:
        if self._stretch is not None and self._stretch.began.key is None:
            self._notebook.reached(self._stretch.number, self._stretch.settled_s)
        if not self._notebook.commit() and self._parts.room is not None and "full" in self._notebook.problem:
            try:
                self._parts.room.reconcile()
                self._parts.room.free_some()
                self._notebook.database.commit()
            except (OSError, sqlite3.Error) as error:
                _log.debug("no room could be made (%s)", error)

    def _beat(self, force: bool = False) -> None:
        """The watchdog at every turn; commits and health when it is time."""
        self._manager.report("WATCHDOG=1")
        now = self._clock.now()
        if now >= self._commit_at and (self._stretch is None or self._stretch.began.key is None):
            self._commit_at = now + self._config.detections.flush_s
            self._commit()
        if force or now >= self._health_at:
            self._health_at = now + self._config.health_s
            listening = self._stretch is not None or (self._source.live and self._on and not self._source.problem)
            self._write_health("listening" if listening else "idle")

    def _write_health(self, state: str, stopped: bool = False) -> None:
        parts, model = self._parts, self._parts.model.facts
        clips = parts.clips
        problems = [self._notebook.problem, self._source.problem if self._on or not self._source.live else ""]
        problems += [self._hearing.problem, clips.problem if clips is not None else "", self._dater.problem]
        problems += parts.problems
        if self._source.live and self._source.backlog_s > self._behind_s:
            _log.warning("scoring is %.1f s behind", self._source.backlog_s)
        self._behind_s = max(_BEHIND_S, 2 * self._source.backlog_s)
        facts = {
            "state": state,
            "release": parts.model.id,
            "model": model.name,
            "clock": self._clock.said,
            "stopped": stopped,
            "error": "; ".join(filter(None, problems)),
            "recording": self._stretch.origin.recording if self._stretch is not None else "",
            "next_change": self._next_change(),
            "backlog_s": round(self._source.backlog_s, 3),
            "lost_s": round(self._source.lost_s, 3),
            **self._hearing.facts,
            "gaps": self._gaps,
            "refused": self._refused,
            "last_refused": self._last_refused,
            "blocks": int(self._seconds / model.block_s),
            "seconds": round(self._seconds, 1),
            "detections": self._notebook.detections,
            "kept_out": {rule: n for rule, n in sorted(self._notebook.kept_out.items()) if n},
            "waiting": self._judge.n_waiting,
            "clips": clips.written if clips is not None else 0,
            "clips_skipped": clips.skipped if clips is not None else 0,
            "clips_with_voices": clips.with_voices if clips is not None else 0,
            "clips_mb": round(parts.room.used / 1e6, 1) if parts.room is not None else 0,
            "free_mb": round(free_bytes(self._config.state) / 1e6, 1),
            "temperature_c": temperature_c(),
            "version": __version__,
        }
        self._health.write(vital_signs(self._clock) | facts)

    def _next_change(self) -> str | None:
        """When a microphone that rests is listened to again."""
        now = self._clock.at(self._clock.now())
        if now is None or self._on or not self._source.live:
            return None
        when = self._times.next_change(now)
        return None if when is None else iso_time(when)
