"""How much slower than life a recording is stored: from what is stated only, never by a guess."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ecotf.errors import RecordingError


def settle_time_expansion(metadata: Mapping[str, str], file_rate: int, stated: float | None = None) -> float:
    """Decide the time expansion of a recording from its metadata and from what the user says.

    GUANO 1.0 defines ``TE`` as the factor (absent means 1) and ``Samplerate`` as the true rate, ``TE`` times the rate
    in the WAV header. So, without a stated factor, the two must agree to 1 %; a ``Samplerate`` equal to the header's
    rate beside a ``TE`` of 10 is refused too, because either field may be the one that software forgot to change.
    A stated factor must be the metadata's ``TE``, or the one that ``Samplerate`` implies: it settles metadata that
    contradict themselves, and never overrides metadata that do not.

    Parameters
    ----------
    metadata
        Fields as :func:`read_metadata` gives them.
    file_rate
        The rate in the file's header, in Hz.
    stated
        What the user or the manifest says; None when nothing is said.

    Raises
    ------
    RecordingError
        ``unsupported``, naming both values, when two statements disagree; ``corrupt`` when one cannot be.
    """
    claims = {key: _number(key, metadata[key]) for key in ("TE", "WA|TE") if metadata.get(key)}
    factors = {key: factor for key, factor in claims.items() if factor > 0}  # some firmware writes 0 for "not used"
    text = {key: f"{key} {factor:g}" for key, factor in factors.items()}
    true_rate = _number("Samplerate", metadata["Samplerate"]) if metadata.get("Samplerate") else 0.0
    if true_rate > 0:
        implied = true_rate / file_rate
        text["Samplerate"] = (
            f"Samplerate {true_rate:g} Hz for a file of {file_rate} Hz (a time expansion of {implied:g})"
        )
        factors["Samplerate"] = implied
    if stated is not None:
        named = [key for key in factors if key != "Samplerate"]
        if named and not any(_agree(stated, factor) for factor in factors.values()):
            said = ", ".join(text[key] for key in named)
            raise RecordingError(
                f"time expansion {stated:g} was stated, but its metadata say {said}; correct the wrong one",
                "unsupported",
            )
        return _possible(stated, file_rate)
    factor = factors.get("TE", factors.get("WA|TE", 1.0))
    if not all(_agree(factor, other) for other in factors.values()):
        said = " and ".join(text[key] for key in factors) if len(factors) > 1 else f"{text['Samplerate']} and no TE"
        raise RecordingError(f"its metadata contradict themselves: {said}; state the time expansion", "unsupported")
    return _possible(factor, file_rate)


def _possible(factor: float, file_rate: int) -> float:
    if not 0.5 < factor * file_rate < math.inf:
        raise RecordingError(
            f"a time expansion of {factor:g} for a file of {file_rate} Hz leaves no sample rate", "corrupt"
        )
    return factor


def _agree(one: float, other: float) -> bool:
    return abs(one - other) <= 0.01 * max(one, other)


def _number(key: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise RecordingError(f"its metadata say {key} {text!r}, which is not a number", "unsupported") from None
    if not math.isfinite(number):
        raise RecordingError(f"its metadata say {key} {text!r}", "corrupt")
    return number
