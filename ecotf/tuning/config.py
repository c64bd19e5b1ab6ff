"""The ``tuning:`` block of a recipe: what is searched, what is compared, and when it ends."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ecotf.config import Config
from ecotf.errors import ConfigError
from ecotf.tuning.space import Expression, read_space

_TIME = re.compile(r"(?=.)(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")
_SECONDS = (86_400, 3600, 60, 1)


class StoppingConfig(Config):
    """A trial is stopped when its network is worse than the median of earlier trials at the same epoch.

    What is compared is the best mean average precision on validation patches so far, which does not depend on the loss,
    its weights or its threshold; of clips the padded cmAP, stage by stage. A stopped trial has no metric; it counts as
    a bad one.

    Attributes
    ----------
    after_trials
        There is nothing to compare with before so many trials went to their end.
    after_epochs
        Every trial has so many epochs.
    """

    after_trials: int = Field(5, ge=1)
    after_epochs: int = Field(3, ge=1)


class TuningConfig(Config):
    """A search over settings of the recipe.

    Attributes
    ----------
    space
        For each dotted key of the recipe (``stages.0.batch``) what may be drawn; see `ecotf.tuning.space`.
    metric
        A figure of the validation recordings, as ``quality`` (the mean of detection F1 and macro F1, as thresholds are
        fitted), ``detection.ap``, ``species.macro_f1``, ``valid_loss``; of clips ``cmap``, ``padded_cmap_5``, ...
    trials, time
        The search ends with whichever comes first: so many trials, or this much wall-clock time (``90m``, ``1d12h``).
        Time decides how many trials there are, never what one of them gives.
    startup
        Trials drawn at random before the search learns from them.
    stopping
        Early stopping of bad trials; ``null`` lets every one end.
    """

    space: dict[str, Expression] = Field(min_length=1)
    metric: str = Field("quality", min_length=1)
    direction: Literal["maximise", "minimise"] = "maximise"
    trials: int | None = Field(100, ge=1)
    time: str | float | None = None
    seed: int = Field(1979, ge=0)
    startup: int = Field(20, ge=1)
    stopping: StoppingConfig | None = StoppingConfig()

    @field_validator("space", mode="before")
    @classmethod
    def _expressions(cls, space: Any) -> Any:
        try:
            return read_space(space)
        except ConfigError as error:
            raise ValueError(str(error)) from None

    @field_validator("time")
    @classmethod
    def _some_time(cls, time: str | float | None) -> str | float | None:
        if time is not None:
            try:
                seconds_in(time)
            except ConfigError as error:
                raise ValueError(str(error)) from None
        return time

    @model_validator(mode="after")
    def _ends(self) -> TuningConfig:
        if self.trials is None and self.time is None:
            raise ValueError("trials and time: one of them must say when the search ends")
        return self

    @property
    def time_s(self) -> float | None:
        """The wall-clock budget in seconds."""
        return None if self.time is None else seconds_in(self.time)

    def loss(self, metric: float) -> float:
        """Return the loss of a trial, which hyperopt minimises."""
        return metric if self.direction == "minimise" else -metric


def seconds_in(time: str | float) -> float:
    """Read ``2h``, ``90m``, ``1d12h30m``, ``45s`` or a number of seconds as seconds, more than 0."""
    match = _TIME.fullmatch(str(time).strip().lower())
    seconds = (
        sum(float(part) * unit for part, unit in zip(match.groups(), _SECONDS, strict=True) if part) if match else 0
    )
    if not seconds > 0:
        raise ConfigError(f"{time!r} is not a time; allowed: as 2h, 90m, 1d12h, 45s, or a number of seconds")
    return seconds
