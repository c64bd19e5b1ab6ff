"""A trained model in Python: sound in, tables out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from ecotf.audio.resample import resample
from ecotf.detection.view import in_order
from ecotf.errors import ConfigError, RecordingError
from ecotf.inference.run_source import RunSource, source_of
from ecotf.tasks.base import Run, StreamOptions

if TYPE_CHECKING:
    from ecotf.audio.channels import ChannelChoice


class Model:
    """A trained model, ready to listen. Make one with `load`.

    Attributes
    ----------
    classes
        The names that detections may have.
    thresholds
        The score from which each class is reported; fitted on validation recordings.
    run
        What listens: a run, several together, or an exported file.

    Examples
    --------
    >>> model = ecotf.load(RUN)
    >>> model.classes
    ('Myotis daubentonii', 'Nyctalus noctula')
    """

    def __init__(self, run: Run, source: RunSource | None = None) -> None:
        self.run, self._source = run, source

    def __repr__(self) -> str:
        """Say what listens, and for how many classes."""
        return f"<ecotf.Model {self.run.title}: {len(self.classes)} classes>"

    @property
    def source(self) -> RunSource:
        """Where workers load the run from; raises `ConfigError` where nothing says it."""
        return self._source or source_of(self.run)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names that detections may have."""
        return self.run.classes

    @property
    def thresholds(self) -> dict[str, float]:
        """The score from which each class is reported."""
        return dict(self.run.thresholds)

    def detect(
        self,
        sound: str | Path | np.ndarray,
        sample_rate: int | None = None,
        *,
        threshold: float | None = None,
        channel: ChannelChoice | Literal["each"] = "mix",
        time_expansion: float | None = None,
        time_zone: str | None = None,
        unnamed: bool = True,
    ) -> pd.DataFrame:
        """Find and name calls, events or segments.

        Parameters
        ----------
        sound
            A sound file, or samples as float ``[n]`` in -1 to 1.
        sample_rate
            Hz, of samples; a file says its own.
        threshold
            One score from 0 to 1 instead of the model's own thresholds.
        channel, time_expansion, time_zone
            For files: ``mix``, ``each`` or a number from 1; the factor of slowed-down recordings; the zone of times
            without one.
        unnamed
            Keep calls that no species is named for.

        Returns
        -------
        One row for each detection, in order of time: ``start_s, end_s, low_hz, high_hz, label, score,
        detection_score``; of a file also ``channel`` and ``time``. Seconds and hertz.

        Raises
        ------
        ConfigError
            Samples that are no sound, or of a rate that the model cannot use.
        RecordingError
            The file cannot be used; the message says why.

        Examples
        --------
        >>> model = ecotf.load(RUN)
        >>> model.detect(NIGHT).columns.tolist()[:6]
        ['start_s', 'end_s', 'low_hz', 'high_hz', 'label', 'score']
        """
        if isinstance(sound, np.ndarray):
            samples, rate = self._given(sound, sample_rate)
            stream = self.run.open_stream(rate, StreamOptions(threshold, unnamed))
            return in_order([stream.push(samples), stream.finish()])
        from ecotf.inference.formats import Call
        from ecotf.inference.listen import Listener
        from ecotf.inference.question import ClassifierOptions

        if sample_rate is not None:
            raise ConfigError(f"sample_rate={sample_rate}: a file says its own rate; give sample_rate with arrays only")
        if not isinstance(sound, str | Path):
            raise ConfigError(f"detect: {type(sound).__name__} is no sound; give a file's path or a numpy array")
        options = ClassifierOptions(
            time_expansion=time_expansion, channel=channel, threshold=threshold, unnamed=unnamed, time_zone=time_zone
        )
        outcome = Listener(self.run, options).listen(os.fspath(sound))
        if outcome.status not in ("done", "silent"):
            raise RecordingError(f"{sound}: {outcome.reason}", outcome.status)
        return pd.DataFrame(list(outcome.calls), columns=list(Call._fields))

    def scores(self, sound: np.ndarray, sample_rate: int | None = None) -> pd.DataFrame:
        """Score samples, before any threshold.

        Parameters
        ----------
        sound
            float ``[n]`` in -1 to 1.
        sample_rate
            Hz.

        Returns
        -------
        The columns of `detect`. Of calls: every peak that may be one, also with the label ``call``. Of clips: every
        class in every segment.

        Examples
        --------
        >>> model = ecotf.load(RUN)
        >>> bool(model.scores(np.zeros(38_400, np.float32), 384_000)["score"].between(0, 1).all())
        True
        """
        return self.run.scores(*self._given(sound, sample_rate))

    def embed(self, sound: np.ndarray, sample_rate: int | None = None) -> np.ndarray:
        """Embed samples, for a classifier or a clustering of your own.

        Parameters
        ----------
        sound
            float ``[n]`` in -1 to 1.
        sample_rate
            Hz.

        Returns
        -------
        float32 ``[n, numbers]``: a row for each peak (calls) or each segment (clips).

        Examples
        --------
        >>> model = ecotf.load(RUN)
        >>> model.embed(np.zeros(38_400, np.float32), 384_000).ndim
        2
        """
        return self.run.embed(*self._given(sound, sample_rate))

    def _given(self, sound: np.ndarray, sample_rate: int | None) -> tuple[np.ndarray, int]:
        """Check samples, and resample them where the model resamples."""
        sound = np.asarray(sound)
        if sample_rate is None:
            raise ConfigError("samples without a sample rate; say sample_rate=384000 or what it is")
        if isinstance(sample_rate, bool) or not isinstance(sample_rate, int | np.integer) or sample_rate <= 0:
            raise ConfigError(f"sample_rate={sample_rate!r}: a whole number of hertz above 0 is needed")
        if sound.dtype.kind != "f":
            raise ConfigError(
                f"samples of type {sound.dtype}; allowed: floating-point numbers from -1 to 1 (divide 16-bit samples "
                "by 32768)"
            )
        if sound.ndim != 1:
            raise ConfigError(f"samples of shape {sound.shape}; allowed: one channel, one dimension: sound[:, 0]")
        if not len(sound):
            raise ConfigError("no samples; allowed: at least one")
        if not np.isfinite(sound).all():
            raise ConfigError(f"{int((~np.isfinite(sound)).sum())} of {len(sound)} samples are NaN or infinite")
        rate = self.run.stream_rate(int(sample_rate))
        samples = np.ascontiguousarray(sound, np.float32)
        return (samples if rate == sample_rate else resample(samples, sample_rate, rate)), rate
