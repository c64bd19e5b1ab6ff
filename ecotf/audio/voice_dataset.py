"""A data set of simulated voices (`ecotf.audio.voices`): seeded, as many as wanted, with its manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
from pydantic import Field

from ecotf.audio.voices import draw_voice, sing
from ecotf.config import Config
from ecotf.files import atomic_file

if TYPE_CHECKING:
    import pandas as pd

SIMULATED_ROLE = "simulated"
"""The value of the manifest's column ``role``, by which a recipe's stage chooses simulated voices (``data.values``)."""


class VoicesConfig(Config):
    """How many voices, and how they are recorded.

    Attributes
    ----------
    voices
        Made-up species; that number ``i`` is the same for any number of voices.
    recordings
        Of each voice: other individuals in other places.
    """

    voices: int = Field(400, ge=1)
    recordings: int = Field(6, ge=1)
    duration_s: float = Field(1.2, ge=0.1, le=60)
    sample_rate_hz: int = Field(32_000, ge=24_000, le=96_000)
    seed: int = Field(0, ge=0)


def simulate_voices(
    folder: str | Path, config: VoicesConfig, report: Callable[[int, int], None] | None = None
) -> pd.DataFrame:
    """Write FLAC files (16 bit), a folder for each voice, and ``manifest.csv``; return the manifest.

    A recording that is there already is not made again, so a job that was killed goes on.

    Parameters
    ----------
    report
        Called with (recordings done, recordings in all) after each one.

    Raises
    ------
    EcotfError
        When the folder cannot be written.

    Examples
    --------
    >>> simulate_voices("voices", VoicesConfig(voices=2, recordings=3))["label"].nunique()  # doctest: +SKIP
    2
    """
    import pandas as pd

    folder, rows = Path(folder), []
    digits = max(3, len(str(config.voices - 1)))
    for number in range(config.voices):
        voice = draw_voice(np.random.default_rng([config.seed, number]))
        label = f"voice {number:0{digits}d}"
        for take in range(config.recordings):
            name = f"voice_{number:0{digits}d}/{take}.flac"
            if not (folder / name).exists():
                rng = np.random.default_rng([config.seed, number, take])
                sound = sing(voice, config.duration_s, config.sample_rate_hz, rng)
                with atomic_file(folder / name) as partial:
                    soundfile.write(partial, sound, config.sample_rate_hz, format="FLAC", subtype="PCM_16")
            rows.append({"recording": name, "start_s": 0.0, "end_s": config.duration_s, "label": label})
            if report is not None:
                report(len(rows), config.voices * config.recordings)
    manifest = pd.DataFrame(rows).assign(group=lambda table: table["recording"], split="", role=SIMULATED_ROLE)
    with atomic_file(folder / "manifest.csv") as partial:
        manifest.to_csv(partial, index=False)
    return manifest
