"""What a worker is asked and what it answers: a recording, or a part of a long one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ecotf.inference.outcome import Outcome, Waiting


class Part(NamedTuple):
    """A part of a recording, in samples at the rate that the model hears; ``stop`` is None to the end."""

    start: int
    stop: int | None


class Piece(NamedTuple):
    """What a worker is asked.

    Attributes
    ----------
    one
        The recording.
    part
        None for the whole.
    may_be_cut
        Whether the worker may answer with `Answer.starts` in place of listening.
    tries
        How many workers have died at it.
    """

    one: Waiting
    part: Part | None = None
    may_be_cut: bool = False
    tries: int = 0


class Span(NamedTuple):
    """The least and the greatest sample of a channel (None: the mix), in what was heard of it."""

    channel: int | None
    lowest: float
    highest: float


class Answer(NamedTuple):
    """What a worker answers.

    Attributes
    ----------
    outcome
        Of the recording or the part.
    spans
        Of each channel of a part.
    starts
        Where to cut a recording that was not listened to because it is long.
    """

    outcome: Outcome
    spans: tuple[Span, ...] = ()
    starts: tuple[int, ...] = ()


class Joined:
    """The answers for the parts of one recording, until all are there."""

    def __init__(self, piece: Piece, starts: Sequence[int]) -> None:
        self._whole = piece._replace(may_be_cut=False, tries=0)
        self._answers: dict[int, Answer] = {}
        self._starts = tuple(starts)

    def pieces(self) -> list[Piece]:
        """Return the parts."""
        stops = [*self._starts[1:], None]
        return [self._whole._replace(part=Part(*ends)) for ends in zip(self._starts, stops, strict=True)]

    def take(self, piece: Piece, answer: Answer) -> Outcome | Piece | None:
        """Take the answer for a part; return the outcome of the recording when it is known, or what is to be done.

        Where a part cannot be used, and where there is no sound in any, the recording is to be heard as a whole: so its
        reason is that of a recording that nobody cut.
        """
        assert piece.part is not None
        if answer.outcome.status != "done":
            return self._whole
        self._answers[piece.part.start] = answer
        if len(self._answers) < len(self._starts):
            return None
        answers = [self._answers[start] for start in self._starts]
        silent = _silent(answers)
        if len(silent) == len(answers[0].spans):
            return self._whole
        calls = [call for answer in answers for call in answer.outcome.calls if call.channel not in silent]
        seconds = math.fsum(answer.outcome.seconds_used for answer in answers)
        return answers[0].outcome._replace(calls=calls, seconds_used=seconds)


def _silent(answers: Sequence[Answer]) -> set[int | None]:
    """Return the channels of which all samples are the same."""
    found = set()
    for spans in zip(*(answer.spans for answer in answers), strict=True):
        if not min(span.lowest for span in spans) < max(span.highest for span in spans):
            found.add(spans[0].channel)
    return found
