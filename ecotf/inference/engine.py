"""One way to hear many recordings, in three places: this process, worker processes, or an Apache Spark."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ecotf.detection.scoring import Stopwatch
from ecotf.errors import ConfigError, EcotfError
from ecotf.inference.listen import Listener
from ecotf.inference.outcome import Outcome, Waiting
from ecotf.inference.pieces import Answer, Joined, Piece
from ecotf.inference.question import ClassifierOptions
from ecotf.inference.run_source import RunSource, Source
from ecotf.parallel.processes import IN_TIME, Died, Said, messages_of
from ecotf.parallel.spark import messages_from_spark, require_spark
from ecotf.tasks.base import Run

PART_S = 20 * 60.0
"""How long the parts of a long recording are that several workers hear; seconds."""
_MOST_FILES, _MOST_BYTES = 64, 32 << 20  # of one message to a worker
_MOST_TRIES = 2  # a recording at which so many workers died is failed
_GRACE_S = 10.0  # a worker ends a recording that takes too long by itself, unless it is stuck


@dataclass(frozen=True)
class EngineOptions:
    """Where recordings are heard.

    Attributes
    ----------
    workers
        How many processes; 0 hears them in this one. For Spark: how many pieces of work are out at a time.
    engine
        ``processes``, or the address of a Spark.
    timeout_s
        A recording (of a long one, a part) that takes longer is ``failed``; None for no limit.
    part_s
        How long the parts are that long recordings are cut into; seconds.
    """

    workers: int = 0
    engine: str = "processes"
    timeout_s: float | None = None
    part_s: float = PART_S

    def __post_init__(self) -> None:
        """Refuse what cannot be; raises `ConfigError`."""
        if self.workers < 0:
            raise ConfigError(f"--workers {self.workers}: at least 0 (in this process) is needed")
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise ConfigError(f"--timeout {self.timeout_s:g}: it is in seconds, above 0")
        if self.engine != "processes":
            require_spark(self.engine)

    @property
    def here(self) -> bool:
        """Whether this process listens. With a time limit it does not: nobody could end it."""
        return self.engine == "processes" and not self.workers and self.timeout_s is None


class Job(NamedTuple):
    """Pieces that one worker hears, one after the other."""

    number: int
    pieces: tuple[Piece, ...]


class Refused(NamedTuple):
    """The run cannot be loaded by a worker."""

    reason: str


class ListenWork:
    """Hears the pieces of a job; the run is loaded once in each process, when the first job comes.

    It says the `Answer` for each piece, in order; its result is the `Stopwatch` of the job.
    """

    def __init__(self, source: Source, options: ClassifierOptions, keep_segments: bool, engine: EngineOptions) -> None:
        self._source, self._options, self._keep, self._engine = source, options, keep_segments, engine
        self._listener: Listener | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the listener here: a network does not travel."""
        return {**self.__dict__, "_listener": None}

    def use(self, run: Run) -> ListenWork:
        """Listen with a run that is loaded already."""
        self._listener = Listener(run, self._options, self._keep)
        self._listener.longest_s = self._engine.timeout_s
        if not self._engine.here:
            self._listener.part_s = self._engine.part_s
        return self

    def __call__(self, job: Job, say: Callable[[Any], object]) -> Stopwatch | Refused:
        """Hear the pieces."""
        if self._listener is None:
            try:
                self.use(self._source.load())
            except (EcotfError, ImportError) as error:
                return Refused(str(error))
        assert self._listener is not None
        say(None)  # loaded
        before = self._listener.spent = Stopwatch()
        for piece in job.pieces:
            say(self._listener.answer(piece))
        return before


class Engine:
    """Hears recordings and gives their outcomes as they come.

    Parameters
    ----------
    run
        The run, loaded here.
    source
        Where workers load it from; not needed where ``engine.here``.
    waited
        Called where a recording cannot be used: waits for disks that are gone, and says whether there was one. Then
        all that was out meanwhile and cannot be used is heard again.

    Attributes
    ----------
    spent
        What listening has cost so far.
    """

    def __init__(
        self,
        run: Run,
        source: Source | None,
        options: ClassifierOptions,
        keep_segments: bool = False,
        engine: EngineOptions | None = None,
        waited: Callable[[], bool] = lambda: False,
    ) -> None:
        self._engine = engine or EngineOptions()
        self._waited, self._doubtful = waited, 0
        self.spent = Stopwatch()
        if self._engine.here:
            self._work = ListenWork(_Loaded(), options, keep_segments, self._engine).use(run)
        else:
            Listener(run, options)  # refuses what the run cannot do, here and not in a worker
            if source is None:
                raise ConfigError("workers load the run anew: say where it lies")
            self._work = ListenWork(source, options, keep_segments, self._engine)

    def outcomes(self, waiting: Iterable[Waiting]) -> Iterator[tuple[Waiting, Outcome]]:
        """Yield each recording with its outcome; ``waiting`` is asked for more as workers become free."""
        here = self._engine.here
        feed = _Feed(waiting, may_be_cut=not here, one_by_one=here, whole_paths=self._engine.engine != "processes")
        for job, message in self._messages(feed):
            if isinstance(message, Stopwatch):
                self.spent.add(message)
                feed.done(job)
            elif isinstance(message, Refused):
                raise EcotfError(f"a worker cannot load the model: {message.reason}")
            elif isinstance(message, Died):
                yield from self._finished(feed, job, feed.died(job, message, self._engine.timeout_s))
            elif isinstance(message, Said) and message.what is not None:
                yield from self._finished(feed, job, feed.answered(job, message.what))

    def _messages(self, feed: _Feed) -> Iterator[tuple[Any, Any]]:
        engine = self._engine
        if engine.here:
            yield from _messages_here(self._work, feed.next_job)
        elif engine.engine == "processes":
            longest_s = None if engine.timeout_s is None else engine.timeout_s + _GRACE_S
            yield from messages_of(self._work, feed.next_job, max(1, engine.workers), longest_s=longest_s)
        else:
            work = self._work
            if isinstance(work._source, RunSource):
                work = ListenWork(work._source.packed(), work._options, work._keep, engine)
            yield from messages_from_spark(work, feed.next_job, max(1, engine.workers), engine.engine)

    def _finished(
        self, feed: _Feed, job: Job, found: Sequence[tuple[Piece, Outcome]]
    ) -> Iterator[tuple[Waiting, Outcome]]:
        for piece, outcome in found:
            unusable = outcome.status in ("failed", "corrupt") and not _is_late(outcome)
            if unusable and self._waited():
                self._doubtful = feed.number  # jobs up to it were out while the disk was gone
            if unusable and job.number <= self._doubtful:
                feed.again(piece._replace(part=None, tries=0))
            else:
                yield piece.one, outcome


class _Loaded:
    """The source of a run that is here already."""

    def load(self) -> Run:
        raise AssertionError("the run is here")


class _Feed:
    """What is to be heard next, what is out, and the parts that wait for each other."""

    def __init__(
        self, waiting: Iterable[Waiting], may_be_cut: bool, one_by_one: bool, whole_paths: bool = False
    ) -> None:
        self._waiting, self._may_be_cut, self._one_by_one = iter(waiting), may_be_cut, one_by_one
        self._whole_paths = whole_paths  # executors work in folders of their own
        self._first: deque[tuple[Piece, ...]] = deque()  # before all others
        self._joined: dict[str, Joined] = {}
        self._answered: dict[int, int] = {}  # of each job that is out, how many pieces
        self.number = 0

    def next_job(self) -> Job | None:
        pieces = self._first.popleft() if self._first else self._batch()
        if not pieces:
            return None
        self.number += 1
        self._answered[self.number] = 0
        return Job(self.number, pieces)

    def again(self, piece: Piece) -> None:
        self._first.append((piece,))

    def done(self, job: Job) -> None:
        del self._answered[job.number]

    def answered(self, job: Job, answer: Answer) -> list[tuple[Piece, Outcome]]:
        piece = job.pieces[self._answered[job.number]]
        self._answered[job.number] += 1
        if answer.starts:
            joined = self._joined[piece.one.path] = Joined(piece, answer.starts)
            self._first.extend((part,) for part in joined.pieces())
            return []
        return self._settled(piece, answer)

    def died(self, job: Job, end: Died, timeout_s: float | None) -> list[tuple[Piece, Outcome]]:
        at = self._answered.pop(job.number)
        if job.pieces[at + 1 :]:
            self._first.append(job.pieces[at + 1 :])
        for piece in job.pieces[at : at + 1]:
            if end.how == IN_TIME:
                reason = f"took longer than --timeout {timeout_s:g} s"
            elif piece.tries + 1 < _MOST_TRIES:
                self.again(piece._replace(tries=piece.tries + 1))
                return []
            else:
                reason = f"listening to it ended the process {end.how}, {_MOST_TRIES} times"
            return self._settled(piece, Answer(Outcome("failed", reason)), at_once=True)
        return []

    def _settled(self, piece: Piece, answer: Answer, at_once: bool = False) -> list[tuple[Piece, Outcome]]:
        if piece.part is None:
            return [(piece, answer.outcome)]
        joined = self._joined.get(piece.one.path)
        if joined is None:  # another part has settled it
            return []
        found = answer.outcome if at_once or _is_late(answer.outcome) else joined.take(piece, answer)
        if found is None:
            return []
        del self._joined[piece.one.path]
        self._first = deque(
            pieces for pieces in self._first if pieces[0].part is None or pieces[0].one.path != piece.one.path
        )
        if isinstance(found, Piece):
            self._first.append((found,))
            return []
        return [(piece, found)]

    def _batch(self) -> tuple[Piece, ...]:
        pieces: list[Piece] = []
        size = 0
        for one in self._waiting:
            if self._whole_paths:
                one = one._replace(file=os.path.abspath(one.file))
            pieces.append(Piece(one, may_be_cut=self._may_be_cut))
            size += 0 if self._one_by_one else _size(one.path)
            if self._one_by_one or len(pieces) == _MOST_FILES or size >= _MOST_BYTES:
                break
        return tuple(pieces)


def _is_late(outcome: Outcome) -> bool:
    return outcome.status == "failed" and outcome.reason.startswith("took longer than --timeout")


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return 0


def _messages_here(work: ListenWork, next_job: Callable[[], Job | None]) -> Iterator[tuple[Job, Any]]:
    """Hear the jobs in this process; each has one piece."""
    while (job := next_job()) is not None:
        said: list[Any] = []
        spent = work(job, said.append)
        yield from ((job, Said(what)) for what in said)
        yield job, spent
