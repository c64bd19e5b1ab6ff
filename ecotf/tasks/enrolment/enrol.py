"""Add a species to a run from a few examples, take one away, and say what to expect of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.config import validate
from ecotf.errors import ConfigError, DataError
from ecotf.files import reading_arrays
from ecotf.models.embedders import Embedder
from ecotf.tasks.clips.head_models import frozen_model
from ecotf.tasks.clips.judge_episodes import HELD_OUT
from ecotf.tasks.clips.transfer_recipe import TransferRecipe
from ecotf.tasks.enrolment.alarms import Alarms, count_alarms
from ecotf.tasks.enrolment.examples import Example, check_examples
from ecotf.tasks.enrolment.fitting import Fitted, fit_head
from ecotf.tasks.enrolment.hearing import Ear, Progress, around_examples, of_background
from ecotf.tasks.enrolment.listening import Listening, open_for, typical_length
from ecotf.tasks.enrolment.run_writer import State, is_enrolled, read_enrolled, write_enrolled
from ecotf.tasks.enrolment.support import Support

BACKGROUND_S = 600.0


@dataclass(frozen=True)
class Enrolled:
    """An enrolled run after a change.

    Attributes
    ----------
    path
        The run folder.
    """

    path: Path
    state: State
    fitted: Fitted
    alarms: Alarms


@dataclass(frozen=True)
class NewRun:
    """How a new enrolled run is made.

    Attributes
    ----------
    model
        A run folder, a model with its description beside it, or the file that ``description`` describes.
    window_s
        What is taken for the length of a call; by default the median of the examples.
    whole_window
        Hear all of a window of fixed length, with what is around a call.
    """

    model: Path
    description: str | None = None
    window_s: float | None = None
    whole_window: bool = False


def enrol(
    run: Path,
    name: str,
    examples: Sequence[Example],
    background: Sequence[Path] = (),
    new: NewRun | None = None,
    background_s: float = BACKGROUND_S,
    progress: Progress | None = None,
) -> Enrolled:
    """Enrol a species: examples of it, and recordings without it, are embedded, and the run is computed anew.

    Parameters
    ----------
    run
        The run folder; it is made if ``new`` says how.
    background
        Recordings in which no species of the run is, the user's own.
    background_s
        So much of them is listened to, evenly.

    Raises
    ------
    ConfigError, DataError
        The embedder, an example or a recording cannot be used. The run is then as it was.
    """
    name = check_name(name)
    if not examples and not background:
        raise DataError(f"no example of {name}; give clips, or --manifest with boxes")
    state = read_enrolled(run) if new is None else _begin(run, new, examples)
    known = [one.example for one in state.support.taught]
    check_examples(examples, state.recipe.data.channel, known)
    ear = Ear(state.frozen, state.recipe)
    taught = [ear.teach(name, example) for example in examples]
    stretches = around_examples(ear, name, examples)
    stretches += of_background(ear, background, background_s, progress)
    if not any(not one.recording for one in state.support.stretches):
        stretches.append(ear.noise())
    support = state.support.with_more(taught, stretches)
    what = {"did": "enrol", "name": name, "examples": [str(one) for one in examples], "background": len(background)}
    return _settle(run, _noted(replace(state, support=support), what))


def remove(run: Path, name: str) -> Enrolled:
    """Take a species away; the run is then what it would be without it.

    Raises
    ------
    ConfigError
        It is not enrolled, or it is the only one.
    """
    state = read_enrolled(run)
    classes = state.support.classes
    if name not in classes:
        raise ConfigError(f"{run}: {name} is not enrolled; enrolled are {', '.join(classes)}")
    if len(classes) == 1:
        raise ConfigError(f"{run}: {name} is the only species; delete the run folder to be rid of it")
    state = replace(state, support=state.support.without(name))
    return _settle(run, _noted(state, {"did": "remove", "name": name}))


def listed(run: Path) -> Enrolled:
    """Return an enrolled run as it is."""
    state = read_enrolled(run)
    return Enrolled(run, state, *_computed(state))


def check_name(name: str) -> str:
    """Return the name of a species; raises `ConfigError` for one that cannot stand in a table."""
    plain = " ".join(name.split())
    if not plain or plain != name or not plain.isprintable():
        raise ConfigError(f"--name {name!r}: allowed: a name without spaces around it, as 'Nyctibius grandis'")
    return plain


def _begin(run: Path, new: NewRun, examples: Sequence[Example]) -> State:
    """Make what a new run begins with: the embedder, the lengths of windows, and nothing known."""
    if run.exists():
        hint = "add to it with --model" if is_enrolled(run) else "choose another --output"
        raise ConfigError(f"{run}: is there already; {hint}")
    if not examples:
        raise DataError("a new enrolled run needs examples of a species: give clips, or --manifest with boxes")
    call_s = new.window_s or typical_length(examples)
    embedder, listening = open_for(new.model, new.description, call_s, new.whole_window)
    recipe = _recipe(new, embedder, listening)
    return State(recipe, frozen_model(recipe, embedder), Support(embedder.numbers), ())


def _recipe(new: NewRun, embedder: Embedder, listening: Listening) -> TransferRecipe:
    call = listening.call_s
    fixed = listening.listen_s is not None
    values: dict[str, Any] = {
        "task": "clips",
        "name": "enrolled",
        "description": f"Species enrolled from a few examples, on {embedder.title}.",
        "embedder": {
            "model": os.path.abspath(new.model),
            "description": new.description,
            "listen_s": listening.listen_s,
            "window_s": listening.window_s,
        },
        "head": {"name": "nearest_mean"},
        "clips": {"seconds": listening.window_s},
        "stages": [{"name": "fit_head", "title": "head"}],
        "inference": {
            "segment_s": listening.segment_s,
            "window_s": listening.window_s,
            "ends": "silence" if fixed else "repeat",
            "report": "events",
            "events": {"smooth_s": call / 10, "gap_s": 0.8 * call, "edge": 0.5},
        },
    }
    return validate(TransferRecipe, values, "enrolled")


def _settle(run: Path, state: State) -> Enrolled:
    fitted, alarms = _computed(state)
    write_enrolled(run, state, fitted, alarms)
    return Enrolled(run, state, fitted, alarms)


def _computed(state: State) -> tuple[Fitted, Alarms]:
    segment_s, heldout = state.recipe.inference.segment_s, held_out(state.frozen.embedder)
    fitted = fit_head(state.support, segment_s, heldout)
    return fitted, count_alarms(state.support, segment_s, state.recipe.inference.events, heldout)


def held_out(embedder: Embedder) -> np.ndarray | None:
    """Return the embeddings of species that a few-shot run held out of its training, ``[n, numbers]``, if it has any.

    They tell what species are like that are none of those enrolled.
    """
    model = embedder.config.model
    if model is None or not (model / HELD_OUT).is_file():
        return None
    with reading_arrays(model / HELD_OUT, "the held-out species of a run") as kept:
        rows = np.asarray(kept["embeddings"], np.float32)
    return rows if rows.ndim == 2 and rows.shape[1] == embedder.numbers else None


def _noted(state: State, what: dict[str, Any]) -> State:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return replace(state, journal=(*state.journal, {"at": at, **what}))
