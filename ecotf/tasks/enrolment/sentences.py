"""What is said of an enrolled run: what to expect of each species, and what that rests on."""

from __future__ import annotations

from collections.abc import Iterator

from ecotf.evaluation.rates import hourly_rate
from ecotf.evaluation.segment_metrics import wilson_interval
from ecotf.tasks.enrolment.enrol import Enrolled
from ecotf.tasks.enrolment.fitting import Judged

_APART = 0.5  # of the way from the level down; another species nearer than that is hard to tell apart


def sentences_of(made: Enrolled, name: str | None = None) -> Iterator[str]:
    """Yield what there is to say of one species, or of all."""
    rows = made.state.recipe.inference
    yield (
        f"embedder: {made.state.frozen.embedder.title}; windows of {rows.window_s:.3g} s"
        + (f", of which {made.state.frozen.listen_s:.3g} s are kept" if made.state.frozen.listen_s else "")
        + f", every {rows.segment_s:.3g} s"
    )
    for one in made.fitted.judged:
        if name in (None, one.label):
            yield from _of_species(made, one)
    hours = made.alarms.hours
    if hours:
        yield (f"background: {_hours(hours)}; each half of it was searched with a run that knows only the other half")
    else:
        yield (
            "no background was given, so false alarms are not known and the levels are a guess: give your own "
            "recordings without the species as --background"
        )


def _of_species(made: Enrolled, one: Judged) -> Iterator[str]:
    examples = made.state.support.of(one.label)
    recordings = len({taught.example.recording for taught in examples})
    parts = [f"{one.label}: {len(examples)} examples of {recordings} recording{'s' * (recordings != 1)}"]
    if len(one.left_out):
        n, found = len(one.left_out), int((one.left_out >= 0).sum())
        low, high = wilson_interval(found, n)
        parts.append(f"{found} of {n} found again when left out ({low:.0%} to {high:.0%} of calls like these)")
    else:
        parts.append("one example alone cannot say how many calls will be found; give more")
    if made.alarms.hours:
        rate, (low, high) = hourly_rate(made.alarms.counts[one.label], made.alarms.hours)
        parts.append(f"false alarms: {rate:.3g} an hour ({low:.3g} to {high:.3g})")
    yield "; ".join(parts)
    if recordings == 1 and len(examples) > 1:
        yield f"  all examples of {one.label} are of one recording: other places and individuals may sound different"
    if one.distance is not None and one.distance < _APART:
        yield (
            f"  hard to tell apart: {one.label} and {one.nearest}, distance {one.distance:.2f} (0: {one.nearest} "
            "reaches the level of a detection; 1: it is as far below as the examples are above)"
        )


def _hours(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.1f} hours"
    return f"{60 * hours:.1f} minutes" if hours >= 1 / 60 else f"{3600 * hours:.0f} seconds"
