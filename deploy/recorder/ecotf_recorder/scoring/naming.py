"""From candidates to detections as they come: thresholds, and a name for every call, if only ``bat``."""

from __future__ import annotations

from collections.abc import Mapping

from ecotf_recorder.scoring.candidates import CALL_LABEL, Candidate

UNNAMED_LABEL = "bat"
"""The label of a call that no species' score is sure enough of."""


class Naming:
    """Keeps what reaches its threshold, and gives it out in order of time.

    Parameters
    ----------
    thresholds
        Of every species and of ``call``.
    unnamed
        Whether a call that no species is named for is kept with the label ``bat``.
    reach
        A box begins and ends at the latest this many slices from its peak.
    """

    def __init__(self, thresholds: Mapping[str, float], unnamed: bool, reach: int) -> None:
        self._thresholds = dict(thresholds)
        self._unnamed = unnamed
        self._reach = reach
        self._calls: list[Candidate] = []
        self._species: list[Candidate] = []
        self._past: list[Candidate] = []  # species that are out, but may still name a call

    def push(self, candidates: list[Candidate], settled: int | None) -> list[Candidate]:
        """Take candidates whose peaks lie before slice ``settled`` (None: all there are); return detections."""
        for candidate in candidates:
            if candidate.score >= self._thresholds.get(candidate.label, float("inf")):
                (self._calls if candidate.label == CALL_LABEL else self._species).append(candidate)
        # A box that is not known yet begins a reach before `settled` at the earliest, and what begins three before it
        # has ended by then.
        until = None if settled is None else settled - 3 * self._reach
        species, self._species = _split(self._species, until)
        calls, self._calls = _split(self._calls, until)
        named = [*self._past, *species, *self._species]
        rest = [call._replace(label=UNNAMED_LABEL) for call in calls if not _any_overlaps(call, named)]
        earliest = until if until is not None else 0
        self._past = [one for one in (*self._past, *species) if one.last >= earliest] if until is not None else []
        return sorted([*species, *(rest if self._unnamed else ())], key=lambda one: (one.first, one.label))


def _split(candidates: list[Candidate], until: int | None) -> tuple[list[Candidate], list[Candidate]]:
    """Those that begin before slice ``until``, and the others."""
    if until is None:
        return candidates, []
    return [one for one in candidates if one.first < until], [one for one in candidates if one.first >= until]


def _any_overlaps(call: Candidate, named: list[Candidate]) -> bool:
    return any(one.first <= call.last and one.last >= call.first for one in named)
