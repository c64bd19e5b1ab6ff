"""The clips that a model got most wrong, each as a card to look at and listen to."""

from __future__ import annotations

from pathlib import PurePath

from ecotf.errors import EcotfError
from ecotf.reports.charts import colour
from ecotf.reports.shown_run import ShownRun
from ecotf.reports.sounds import Excerpt, read_excerpt
from ecotf.reports.text import number, quoted, seconds, shown
from ecotf.tasks.reported import Mistake, Place

_KINDS = (
    (False, False, "High scores of classes that are not there", "No score of a class that is not there."),
    (True, False, "Low scores of classes that are there", "Nothing that was there was missed."),
    (True, True, "What was found", ""),
)


def cards(run: ShownRun) -> str:
    """Make the cards of a run, those of classes that are not there first."""
    parts = []
    for there, found, title, nothing in _KINDS:
        own = [one for one in run.material.mistakes if (one.there, one.found) == (there, found)]
        if not own and not nothing:
            continue
        letter = f'<span class="letter" style="color:{colour(run.letter)}">{run.letter}</span>'
        inside = "".join(_card(run, mistake) for mistake in own) or f'<p class="none">{nothing}</p>'
        parts.append(f'<h3>{letter} {title}</h3><div class="cards">{inside}</div>')
    return "".join(parts)


def _card(run: ShownRun, mistake: Mistake) -> str:
    place = mistake.place
    name = PurePath(place.recording.replace("\\", "/")).name
    try:
        excerpt = read_excerpt(place, run.material.band_hz, run.material.channel)
        media = played(excerpt, place)
    except EcotfError as error:
        media = f'<div class="gone">{quoted(error)}</div>'
    truth = ", ".join(shown(label) for label in mistake.truth) or "nothing annotated"
    others = "".join(
        f'<tr><td>{shown(label)}</td><td class="meter"><i style="width:{100 * min(max(score, 0), 1):.0f}%"></i></td>'
        f"<td>{number(score)}</td></tr>"
        for label, score in mistake.scores
    )
    return (
        f'<article class="card" tabindex="0" aria-label="run {run.letter}, {quoted(name)}, {seconds(place.start_s)}">'
        f'{media}<div class="facts"><p class="what">{_what(mistake)}</p>'
        f'<p>there: <b>{truth}</b></p><table class="scores">{others}</table>'
        f'<p class="where" title="{quoted(place.recording)}">{shown(name)}, '
        f"{seconds(place.start_s)} to {seconds(place.end_s)}</p></div></article>"
    )


def _what(mistake: Mistake) -> str:
    label = shown(mistake.label)
    if mistake.score is None:
        return f"<b>{label}</b> is there; the model found no candidate"
    line = f"threshold {number(mistake.threshold)}"
    if mistake.there:
        kept = mistake.threshold is not None and mistake.score >= mistake.threshold
        return f"<b>{label}</b> is there and scores {number(mistake.score)} ({line}: {'kept' if kept else 'missed'})"
    kept = mistake.threshold is None or mistake.score >= mistake.threshold
    # An event may lie elsewhere than the annotated one.
    wrong = "begins or ends elsewhere" if mistake.label in mistake.truth else "is not there"
    return f"<b>{label}</b> {wrong} and scores {number(mistake.score)} ({line}: {'kept' if kept else 'dropped'})"


def played(excerpt: Excerpt, place: Place) -> str:
    """Make the spectrogram of a place, with its box, and the sound below it."""
    box, inside = "", excerpt.box_of(place)
    if inside is not None:
        left, top, width, height = (f"{100 * share:.2f}%" for share in inside)
        box = f'<i class="box" style="left:{left};width:{width};top:{top};height:{height}"></i>'
    notes = excerpt.notes(place)
    note = f'<p class="note">{"; ".join(notes)}</p>' if notes else ""
    highest, lowest = (f"{hz / 1000:.3g} kHz" for hz in (excerpt.high_hz, excerpt.low_hz))
    shown_s = excerpt.end_s - excerpt.start_s
    length = f"{1000 * shown_s:.0f} ms" if shown_s < 1 else f"{shown_s:.1f} s"
    return (
        f'<div class="picture"><img alt="spectrogram" src="{excerpt.picture_uri}"/>{box}<i class="head"></i>'
        f'<span class="high">{highest}</span><span class="low">{lowest}</span>'
        f'<span class="length">{length}</span></div>'
        f'<audio controls preload="none" src="{excerpt.sound_uri}"></audio>{note}'
    )
