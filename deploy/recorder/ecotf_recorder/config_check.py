"""``check-config``: the config file, and whether it fits the model and what is on the board."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ecotf_recorder.config import Config, Source, read_config
from ecotf_recorder.errors import ConfigError, ModelError
from ecotf_recorder.rules.plausible import Plausible, read_plausible
from ecotf_recorder.strangers import on_one_line

_UNNAMED = "bat"
_MOST_SOUND_MB = 64  # of latest sound in memory; the service has 220 MB for all
_LISTED = 8


def check_config(path: Path) -> int:
    """``check-config``: prints one line for each mistake, or ``ok``; also whether sound and model are there.

    Exit status 1 for what may come later, such as a card; 2 for a mistake.
    """
    config = read_config(path)
    plausible = _plausible(path, config)
    absent = _absent(config.source)
    if absent:
        print(on_one_line(f"{path}: {absent}"), file=sys.stderr)
    return _check_model(path, config, plausible) or int(bool(absent))


def _plausible(path: Path, config: Config) -> Plausible | None:
    if not config.rules.plausible:
        return None
    try:
        found = read_plausible(Path(config.rules.plausible), config.site, [_UNNAMED])
    except ConfigError as error:
        raise ConfigError(f"{path}: rules.plausible: {error}") from None
    if found.names_places and not config.site.name:
        raise ConfigError(f"{path}: rules.plausible: {config.rules.plausible} names places; set site.name")
    return found


def _absent(source: Source) -> str:
    """Say which folder or file is not there."""
    if source.kind == "folder" and not Path(source.folder).is_dir():
        return f"source.folder = {source.folder!r} is not there; is the card in?"
    if source.kind == "file" and not Path(source.file).is_file():
        return f"source.file = {source.file!r} is not there"
    return ""


def _check_model(path: Path, config: Config, plausible: Plausible | None) -> int:
    if not config.model_path.exists():
        print(f"{path}: ok; no model yet at {config.model_path}")
        return 0
    from ecotf_recorder.model import describe

    try:
        facts = describe(config.model_path)
    except ModelError as error:
        print(on_one_line(error), file=sys.stderr)
        return 2
    mistakes = [
        _unknown("clips.labels", config.clips.labels, [*facts.species, _UNNAMED]),
        _unknown("rules.labels", config.rules.labels, [*facts.species, _UNNAMED]),
        no_clips_because(config, facts),
    ]
    for mistake in filter(None, mistakes):
        print(on_one_line(f"{path}: {mistake}"), file=sys.stderr)
    if any(mistakes):
        return 2
    if plausible is not None:
        print(on_one_line(f"{path}: {_told(plausible, facts.species)}"))
    print(on_one_line(f"{path}: ok; {facts.name} at {facts.sample_rate_hz} Hz, {len(facts.species)} species"))
    return 0


def no_clips_because(config: Config, facts: Any) -> str:
    """Return why a recorder with this model can keep no clips as the config asks for them; empty if it can."""
    clips, privacy = config.clips, config.privacy
    if not clips.keep:
        return ""
    seconds = clips.longest_s + clips.before_s + clips.merge_s + clips.after_s
    seconds += config.rules.within_s if config.rules.hits > 1 else 0.0
    if privacy.human_voice == "drop":
        unknown = _unknown("privacy.voice_labels", privacy.voice_labels, facts.species)
        if unknown:
            return f"{unknown}; no clips are kept"
        if privacy.least_score and facts.kind == "peaks":
            return "privacy.least_score is for models of segments; with this one it would change other labels"
        seconds += privacy.margin_s
    megabytes = 2e-6 * seconds * facts.sample_rate_hz
    if megabytes > _MOST_SOUND_MB:
        return (
            f"clips need {seconds:g} s of sound in memory, {megabytes:.0f} MB at {facts.sample_rate_hz} Hz; at most "
            f"{_MOST_SOUND_MB} MB: lower rules.within_s or clips.longest_s; no clips are kept"
        )
    return ""


def _unknown(key: str, labels: Iterable[str], known: Iterable[str]) -> str:
    """Name the first label that a model does not know, and what it may have been meant to be."""
    strangers = sorted(set(labels) - set(known))
    if not strangers:
        return ""
    near = difflib.get_close_matches(strangers[0], known, _LISTED, 0.6) or list(known)
    more = f" and {len(near) - _LISTED} more" if len(near) > _LISTED else ""
    return f"{key}: the model does not know {strangers[0]!r}; it knows {', '.join(near[:_LISTED])}{more}"


def _told(plausible: Plausible, species: Iterable[str]) -> str:
    """Say how the labels of a model fare: a name with a typing mistake is never plausible, and should be seen here."""
    never = [label for label in species if plausible.why_not(label, None)]
    lost = [label for label in plausible.months if label not in (*species, "*", _UNNAMED)]
    said = f"rules.plausible: {len(never)} labels of the model are never plausible here{_listed(never)}"
    return f"{said}; {len(lost)} labels of the table are not in the model{_listed(lost)}"


def _listed(labels: list[str]) -> str:
    more = ", ..." if len(labels) > _LISTED else ""
    return f" ({', '.join(labels[:_LISTED])}{more})" if labels else ""
