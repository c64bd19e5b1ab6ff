"""What is reported of what is heard, as ``[rules]`` says; what is not goes into ``kept_out.csv``, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

from ecotf_recorder.rules.hits import Hit, HitRule
from ecotf_recorder.rules.plausible import Plausible
from ecotf_recorder.scoring.held import Detection
from ecotf_recorder.store.clips import Origin
from ecotf_recorder.store.notebook import Notebook
from ecotf_recorder.times.clock import Clock
from ecotf_recorder.times.trust import REDATED

_WAITS = f"INSERT OR REPLACE INTO waiting VALUES ({', '.join('?' * 13)})"
_WAITS_NO_MORE = "DELETE FROM waiting WHERE id = ?"
_LEFT = (
    "SELECT w.*, s.recording, s.began, s.steady, s.boot FROM waiting w LEFT JOIN stretches s ON s.id = w.stretch "
    "ORDER BY w.id"
)
_LATEST = (
    "SELECT d.stretch, d.start_s, d.end_s, d.low_hz, d.high_hz, d.label, d.score, d.detection_score, "
    "s.began, s.steady, s.boot FROM detections d JOIN stretches s ON s.id = d.stretch ORDER BY d.id DESC"
)


@dataclass(frozen=True)
class Rules:
    """``[rules]`` of the config, read; as it is, everything is reported.

    Attributes
    ----------
    hits, within_s, labels
        As of `HitRule`.
    plausible
        None: every label is, at all times.
    """

    hits: int = 1
    within_s: float = 0.0
    labels: frozenset[str] = frozenset()
    plausible: Plausible | None = None

    @property
    def delay_s(self) -> float:
        """How long a detection may wait until it is decided."""
        return self.within_s if self.hits > 1 else 0.0


class Judge:
    """Writes detections into the notebook: what the rules report, and what they keep out.

    Parameters
    ----------
    live
        Whether it is for all live sound, from stretch to stretch. What waits is then kept in the database, so that a
        kill or a power cut loses nothing. Otherwise it is for one file.
    """

    def __init__(self, rules: Rules, notebook: Notebook, clock: Clock, live: bool) -> None:
        self._rules, self._notebook, self._clock, self._live = rules, notebook, clock, live
        self._rule = HitRule(rules.hits, rules.within_s, rules.labels) if rules.hits > 1 else None
        self._number = 0
        if live:
            self._restore()

    def push(self, stretch: int, origin: Origin, found: Sequence[Detection], settled_s: float) -> list[Detection]:
        """Take detections of a stretch, after which none will come from before ``settled_s``.

        Returns
        -------
        Those of this stretch that are reported now.
        """
        plausible = []
        for one in found:
            reason = self._why_not(one, origin)
            if reason:
                self._keep_out(stretch, origin, one, "plausible", reason)
            else:
                plausible.append(one)
        if self._rule is None:
            self._notebook.add(stretch, origin.recording, origin.wall, plausible, origin.quality)
            return plausible
        begun = (origin.steady or 0.0) if self._live else 0.0
        hits = [Hit(begun + one.start_s, stretch, origin, one) for one in plausible]
        return [hit.one for hit in self._settle(hits, begun + settled_s) if hit.stretch == stretch]

    def pass_time(self, steady: float) -> None:
        """No detection will come any more from before a moment of the steady clock."""
        if self._rule is not None and self._rule.waiting:
            self._settle([], steady)

    def waiting(self, stretch: int) -> list[Detection]:
        """Detections of a stretch that are not decided, in order of time."""
        return [hit.one for hit in self._rule.waiting if hit.stretch == stretch] if self._rule is not None else []

    @property
    def n_waiting(self) -> int:
        """How many are not decided."""
        return len(self._rule.waiting) if self._rule is not None else 0

    def decided_s(self, origin: Origin, settled_s: float) -> float:
        """Up to when all reported detections of a stretch are out: later ones begin after this."""
        if self._rule is None:
            return settled_s
        begun = (origin.steady or 0.0) if self._live else 0.0
        return min(settled_s, self._rule.reaches_back_to - begun)

    def redate(self) -> None:
        """The clock has been set: what waits and has no time gets it."""
        for hit in self._rule.waiting if self._rule is not None else ():
            hit.origin = self._dated(hit.origin)

    def _why_not(self, one: Detection, origin: Origin) -> str:
        wall = None if origin.wall is None else origin.wall + one.start_s
        return self._rules.plausible.why_not(one.label, wall) if self._rules.plausible is not None else ""

    def _settle(self, hits: Sequence[Hit], settled: float) -> list[Hit]:
        """Let the hit rule decide, write down what it decides, note what waits; return what is reported."""
        assert self._rule is not None
        decided = self._rule.push(hits, settled)
        for hit in decided:
            if hit.number is not None:
                self._notebook.queue(_WAITS_NO_MORE, (hit.number,))
            origin = hit.origin
            if hit.is_confirmed:
                self._notebook.add(hit.stretch, origin.recording, origin.wall, [hit.one], origin.quality)
            else:
                few = f"fewer than {self._rules.hits} within {self._rules.within_s:g} s"
                self._keep_out(hit.stretch, origin, hit.one, "hits", few)
        if self._live:
            for hit in self._rule.waiting:
                if hit.noted is not hit.is_confirmed:
                    self._note(hit)
        return [hit for hit in decided if hit.is_confirmed]

    def _note(self, hit: Hit) -> None:
        if hit.number is None:
            self._number += 1
            hit.number = self._number
        hit.noted, origin = hit.is_confirmed, hit.origin
        values = (hit.number, hit.stretch, origin.recording, origin.wall, origin.quality, *hit.one, hit.is_confirmed)
        self._notebook.queue(_WAITS, values)

    def _keep_out(self, stretch: int, origin: Origin, one: Detection, rule: str, reason: str) -> None:
        self._notebook.keep_out(stretch, origin.recording, origin.wall, one, origin.quality, rule, reason)

    def _dated(self, origin: Origin) -> Origin:
        if origin.wall is not None or origin.steady is None or not self._clock.is_set:
            return origin
        name, wall = self._clock.name(origin.steady), self._clock.at(origin.steady)
        return replace(origin, recording=name, wall=wall, quality=REDATED)

    def _restore(self) -> None:
        """Go on with what the process before this one knew; without a rule by now, all that waits is reported."""
        rule = self._rule or HitRule(1, 0.0)
        database, hits = self._notebook.database, []
        for row in database.execute(_LEFT).fetchall():
            number, stretch, recording, wall, quality = row[:5]
            named, began, steady, boot = row[-4:]
            if wall is None and began is not None:  # it got its time meanwhile
                recording, wall, quality = named, began, REDATED
            moment = self._steady(began, steady, boot)
            origin = Origin(recording, wall, moment, quality)
            when = -inf if moment is None else moment + row[5]
            known = bool(row[12])
            hits.append(Hit(when, stretch, self._dated(origin), Detection(*row[5:12]), known, number, known))
            self._number = max(self._number, number)
        since = min([self._clock.now(), *(hit.when for hit in hits if hit.when > -inf)]) - self._rules.within_s
        for row in database.execute(_LATEST) if self._rule is not None else ():
            moment = self._steady(*row[-3:])
            if moment is None or moment + row[1] < since:
                break
            rule.remember(Hit(moment + row[1], row[0], Origin("", None, None), Detection(*row[1:8])))
        wanted, self._rule = self._rule, rule
        self._settle(hits, -inf if wanted is not None else inf)
        self._rule = wanted

    def _steady(self, began: float | None, steady: float | None, boot: str) -> float | None:
        """The beginning of a stretch by the steady clock of this boot; None where that cannot be known."""
        if boot == self._clock.boot:
            return steady
        return None if began is None or not self._clock.is_set else began - self._clock.offset
