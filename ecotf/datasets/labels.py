"""The meaning of labels: names of species, sounds that are no event, and events whose species nobody knows.

A label is compared with shell patterns; case, spaces, underscores, hyphens and points make no difference, so
``Not Bat``, ``not_bat`` and ``NOT-BAT`` are one. Both kinds of lists are settings of a recipe (``data.ignored_labels``,
``data.unnamed_labels``); these are the defaults:

=====================  =====================================================  ==========================================
list                   holds                                                  what training does with it
=====================  =====================================================  ==========================================
NO_EVENT_LABELS        nocall, no bat, not a bat, none, noise, background     task clips: annotated, of no class
IGNORED_LABELS         those, and insect*, orthoptera*, bird*, rain*, noise*  task calls: annotated, not a call
UNNAMED_EVENT_LABELS   unknown, unidentified, noid, undetermined, ?           task clips: no class; no negative either
UNNAMED_LABELS         those, and bat, bat sp., Chiroptera                    task calls: a call of no named species
=====================  =====================================================  ==========================================

"Bird" is ignored by a detector of bat calls and a class like any other in task clips; so is "bat".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


CALL_LABEL = "call"
"""The label of candidates that say that a bat called, whatever its species."""

NO_EVENT_LABELS = (
    "nocall", "nocalls", "not call", "not a call",
    "nobat", "nobats", "not bat", "not bats", "not a bat", "non bat",
    "nobird", "nobirds", "not bird", "not a bird", "no event", "no species", "none", "nothing", "empty",
    "noise", "background", "background noise",
)  # fmt: skip
"""Labels of what is no event in any task."""

IGNORED_LABELS = (
    *NO_EVENT_LABELS,
    "noise*", "background*", "insect*", "orthoptera*", "bush-cricket*", "bird*", "*(bird)*", "rain*",
)  # fmt: skip
"""Labels that are annotated but are no bat calls."""

UNNAMED_EVENT_LABELS = (
    "unknown", "unk", "unknown species", "unknown sp", "species unknown", "sp unknown",
    "unid", "unidentified", "unidentified species", "not identified", "noid", "no identification",
    "undetermined", "indet", "indeterminate", "unnamed", "unsure", "[?]", "[?][?]", "[?][?][?]",
)  # fmt: skip
"""Labels of an event whose species is not known, in any task."""

UNNAMED_LABELS = (
    *UNNAMED_EVENT_LABELS,
    "bat", "bats", "bat sp", "bat spp", "bat species", "bat call", "bat calls", "unknown bat", "unidentified bat",
    "bat unknown", "chiroptera", "chiroptera sp", "echolocation", "echolocation call",
)  # fmt: skip
"""Labels of a bat call whose species is not known."""

BACKGROUND_ROLE = "background"
"""The value of the manifest's column ``role`` for recordings that are mixed into others."""

_MAKES_NO_DIFFERENCE = re.compile(r"(\[[^\]]*\])|[\s_.\-]+")


def is_background(table: pd.DataFrame) -> pd.Series:
    """Check whether each row of a manifest's table is of a recording that is there to be mixed into others."""

    import pandas as pd

    if "role" not in table:
        return pd.Series(False, index=table.index)
    return table["role"].fillna("") == BACKGROUND_ROLE


def labels_that_match(labels: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """List the labels that match any of the shell patterns, in order and without repeats.

    Examples
    --------
    >>> labels_that_match(["Not Bat", "no_bat", "Pippip", "Bush-Cricket sp."], ["not-bat", "nobat", "bushcricket*"])
    ['Not Bat', 'no_bat', 'Bush-Cricket sp.']
    """
    plain = [_plain(pattern) for pattern in patterns]
    return [label for label in dict.fromkeys(labels) if any(fnmatchcase(_plain(label), one) for one in plain)]


def negations(labels: Collection[str]) -> dict[str, str]:
    """Return the labels that say of another one of ``labels`` that it is not there, with that other one.

    Examples
    --------
    >>> negations(["boobook", "not_boobook", "Nothura maculosa", "no pitta"])
    {'not_boobook': 'boobook'}
    """
    named = {_plain(label): label for label in labels}
    found = {}
    for label in labels:
        plain = _plain(label)
        for word in ("not", "non", "no"):
            if plain.startswith(word) and plain.removeprefix(word) in named:
                found[label] = named[plain.removeprefix(word)]
                break
    return found


def unnamed_among(labels: Collection[str], patterns: Sequence[str]) -> list[str]:
    """List the labels of events of unknown species; none where no other label is there.

    A data set in which everything is called ``bat`` has one class, and that is its name.

    Parameters
    ----------
    labels
        Those of events, without the ignored ones.

    Examples
    --------
    >>> unnamed_among(["Pippip", "bat"], ["bat", "noid"]), unnamed_among(["bat"], ["bat", "noid"])
    (['bat'], [])
    """
    unnamed = labels_that_match(labels, patterns)
    return [] if len(unnamed) == len(set(labels)) else unnamed


def _plain(text: str) -> str:
    """In lower case, without what makes no difference; brackets of a pattern stay whole."""
    plain = _MAKES_NO_DIFFERENCE.sub(lambda found: found[1] or "", text.lower())
    return plain or text.strip().lower()
