"""Embedding what an enrolled run must know: examples, the sound around them, and recordings without any species."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ecotf.audio.channels import ChannelChoice
from ecotf.audio.recording import Recording
from ecotf.detection.segments import sound_before
from ecotf.errors import DataError
from ecotf.models.frozen import Frozen
from ecotf.runs.splits import fingerprint
from ecotf.tasks.clips.plan import ClipPlan
from ecotf.tasks.enrolment.examples import Example, opened, read_part
from ecotf.tasks.enrolment.support import Absence, Taught

_MOST_OF_EXAMPLE, _MOST_AROUND = 64, 2000  # windows of one example; segments of one recording
_AT_ONCE = 64
_NOISE_WINDOWS, _NOISE_SEED = 64, 1979
Progress = Callable[[int, int], None]


class Ear:
    """An embedder with the windows of a recipe: what it hears is what a stream of the run hears there."""

    def __init__(self, frozen: Frozen, plan: ClipPlan) -> None:
        self.frozen, self.channel = frozen, plan.data.channel
        self.segment_s, self._ends = plan.inference.segment_s, plan.inference.ends
        self._rate, self._samples = frozen.sample_rate, frozen.embedder.samples

    @property
    def numbers(self) -> int:
        """The length of an embedding."""
        return self.frozen.embedder.numbers

    def teach(self, label: str, example: Example) -> Taught:
        """Embed an example: the window in its middle and those beside it, as far as it reaches."""
        reach = max(self.segment_s / 2, (example.seconds - self._heard_s) / 2)
        n = min(_MOST_OF_EXAMPLE, 1 + 2 * int(np.ceil(reach / self.segment_s)))
        middle = (example.start_s + example.end_s) / 2
        inside = (example.start_s, example.end_s) if example.whole else None
        rows = self.around(example.opened(), middle + np.linspace(-reach, reach, n), inside)
        return Taught(label, example, rows)

    def stretch(
        self, label: str, recording: Recording, mark: str, expansion: float | None, first: int, n: int
    ) -> Absence:
        """Embed ``n`` segments from number ``first`` on."""
        middles = (first + np.arange(n) + 0.5) * self.segment_s
        rows = self.around(recording, middles)
        return Absence(label, os.path.abspath(recording.path), mark, expansion, first, rows)

    def around(
        self, recording: Recording, middles: np.ndarray, inside: tuple[float, float] | None = None
    ) -> np.ndarray:
        """Embed the windows around these moments, float32 ``[n, numbers]``; nothing outside ``inside`` is heard."""
        parts = []
        for at in range(0, len(middles), _AT_ONCE):
            windows = np.stack(list(self._windows(recording, middles[at : at + _AT_ONCE], inside)))
            parts.append(self.frozen.embed(windows))
        return np.concatenate([np.empty((0, self.numbers), np.float32), *parts])

    def noise(self) -> Absence:
        """Embed noise of many colours and levels, which stands in for sound without a species where there is none."""
        rng = np.random.default_rng(_NOISE_SEED)
        windows = []
        for _ in range(_NOISE_WINDOWS):
            spectrum = np.fft.rfft(rng.standard_normal(self._samples))
            tilt = np.maximum(np.arange(len(spectrum)), 1.0) ** -rng.uniform(0, 1.5)
            sound = np.fft.irfft(spectrum * tilt, self._samples)
            windows.append(sound / np.abs(sound).max() * 10 ** rng.uniform(-3, -0.5))
        return Absence("", "", "noise", None, 0, self.frozen.embed(np.array(windows, np.float32)))

    @property
    def _heard_s(self) -> float:
        return self.frozen.listen_s or self._samples / self._rate

    def _windows(
        self, recording: Recording, middles: np.ndarray, inside: tuple[float, float] | None
    ) -> Iterator[np.ndarray]:
        """Cut the windows around moments that are close together."""
        rate, half = self._rate, self._samples / self._rate / 2
        low, high = inside or (0.0, recording.duration_s)
        begin, end = (float(np.clip(at, low, high)) for at in (middles.min() - half, middles.max() + half))
        sound = read_part(recording, begin, end, self.channel, rate)
        if not len(sound):
            raise DataError(f"{recording.path}: nothing to hear from {begin:g} s to {end:g} s")
        for middle in middles:
            first = round((middle - half - begin) * rate)
            own = sound[max(0, first) : max(0, first + self._samples)]
            before, after = max(0, -first), max(0, self._samples - max(0, -first) - len(own))
            yield np.concatenate(
                [sound_before(own, before, self._ends), own, sound_before(own[::-1], after, self._ends)[::-1]]
            )[: self._samples]


def around_examples(ear: Ear, label: str, examples: Sequence[Example]) -> list[Absence]:
    """Embed each recording with boxes from its beginning to the end of the last box: all calls there are given.

    What follows may hold calls that nobody has marked. Whole clips have no sound around them.
    """
    last: dict[str, Example] = {}
    for example in examples:
        if not example.whole and example.end_s > getattr(last.get(example.recording), "end_s", 0.0):
            last[example.recording] = example
    stretches = []
    for _, example in sorted(last.items()):
        until = int(example.end_s / ear.segment_s)
        first = max(0, until - _MOST_AROUND)
        if until > first:
            mark = example.fingerprint
            stretches.append(ear.stretch(label, example.opened(), mark, example.time_expansion, first, until - first))
    return stretches


def of_background(
    ear: Ear, paths: Sequence[Path], seconds: float, progress: Progress | None = None
) -> Iterator[Absence]:
    """Embed recordings without the species: all of each or, together at most ``seconds``, the middle of each.

    Raises
    ------
    DataError
        One cannot be read.
    """
    found = [opened(str(path)) for path in paths]
    shares = _shares([one.duration_s for one in found], seconds)
    for number, (recording, share) in enumerate(zip(found, shares, strict=True)):
        n = max(1, int(share / ear.segment_s))
        first = int(max(0.0, (recording.duration_s - share) / 2) / ear.segment_s)
        yield ear.stretch("", recording, fingerprint(recording.path)[1], None, first, n)
        if progress is not None:
            progress(number + 1, len(found))


def _shares(lengths: Iterable[float], seconds: float) -> list[float]:
    """Deal seconds over recordings: the same to each, and what short ones leave over to the rest."""
    lengths = list(lengths)
    given, left = [0.0] * len(lengths), seconds
    for place, i in enumerate(sorted(range(len(lengths)), key=lambda i: lengths[i])):
        given[i] = min(lengths[i], left / (len(lengths) - place))
        left -= given[i]
    return given


__all__ = ["ChannelChoice", "Ear", "around_examples", "of_background"]
