"""The learning rate over epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from ecotf.config import Config

_FALLEN = 1e-4  # the share by which a loss falls at least


class ScheduleConfig(Config):
    """The schedule of the learning rate over epochs.

    Attributes
    ----------
    name
        ``constant``. ``cosine_restarts``: along a cosine down to ``least``, then again (Loshchilov and Hutter 2017).
        ``linear``: ``flat_epochs`` at the full rate, then in a line down to ``least`` within ``fall_epochs``.
        ``plateau``: times ``factor`` whenever the validation loss has not fallen for more than ``patience`` epochs.
    least
        Where the cosine, the line or the plateaus end.
    restart_epochs
        Length of a cosine; by default all epochs, as published for 2023.
    warmup_epochs
        The rate rises in a line over the first epochs.
    flat_epochs, fall_epochs
        Of ``linear``, after the warm-up; the line ends with the last epoch, unless ``fall_epochs`` ends it earlier.
    factor, patience
        Of ``plateau``, as PyTorch's ReduceLROnPlateau has them; a loss has fallen where it is 0.01 % less.
    """

    name: Literal["constant", "cosine_restarts", "linear", "plateau"] = "cosine_restarts"
    least: float = Field(1e-6, ge=0)
    restart_epochs: int | None = Field(None, ge=1)
    warmup_epochs: int = Field(0, ge=0)
    flat_epochs: int = Field(0, ge=0)
    fall_epochs: int | None = Field(None, ge=1)
    factor: float = Field(0.1, gt=0, lt=1)
    patience: int = Field(5, ge=0)

    def rate(self, highest: float, epoch: int, epochs: int, losses: Sequence[float] = ()) -> float:
        """Return the learning rate of an epoch, counted from 0.

        ``losses`` are those of validation so far; none where there are no validation clips.
        """
        if epoch < self.warmup_epochs:
            return highest * (epoch + 1) / (self.warmup_epochs + 1)
        if self.name == "plateau":
            return self._after_plateaus(highest, losses)
        return _SCHEDULES[self.name](self, highest, epoch - self.warmup_epochs, epochs - self.warmup_epochs)

    def _after_plateaus(self, highest: float, losses: Sequence[float]) -> float:
        rate, best, waited = highest, float("inf"), 0
        for loss in losses:
            if loss < best * (1 - _FALLEN):
                best, waited = loss, 0
            else:
                waited += 1
            if waited > self.patience:
                rate, waited = max(rate * self.factor, min(self.least, highest)), 0
        return rate


def _constant(config: ScheduleConfig, highest: float, epoch: int, epochs: int) -> float:
    return highest


def _cosine_restarts(config: ScheduleConfig, highest: float, epoch: int, epochs: int) -> float:
    import keras

    cosine = keras.optimizers.schedules.CosineDecayRestarts(
        highest, config.restart_epochs or max(1, epochs), t_mul=1.0, m_mul=1.0, alpha=min(1.0, config.least / highest)
    )
    return float(cosine(epoch))


def _linear(config: ScheduleConfig, highest: float, epoch: int, epochs: int) -> float:
    fall = config.fall_epochs or max(1, epochs - config.flat_epochs)
    share = min(1.0, max(0, epoch - config.flat_epochs) / fall)
    return highest + share * (min(config.least, highest) - highest)


_SCHEDULES = {"constant": _constant, "cosine_restarts": _cosine_restarts, "linear": _linear}
