"""The settings of regions of interest, and the two sets that were published for Darksound."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ecotf.clustering import CLUSTERERS, ClusterConfig
from ecotf.clustering.methods import DbscanConfig
from ecotf.clustering.scaling import Scale
from ecotf.config import Config, apply_overrides, read_yaml, validate
from ecotf.detection.regions import RegionConfig
from ecotf.errors import ConfigError
from ecotf.features.shapes import Resolution

_FOLDER = Path(__file__).parent / "settings"

MEASURES = ("duration_t", "centroid_f", "peak_f", "bandwidth_f", "bandwidth_min_f", "bandwidth_max_f")
"""What is measured of a region besides its shapes: seconds and hertz."""
SHAPES = "shp"
"""Stands for all shape features."""


class RegionClipConfig(Config):
    """The clip that is written of a region.

    Attributes
    ----------
    seconds
        Its length: a shorter region lies in the middle of silence, of a longer one the beginning is taken. None leaves
        every clip as long as its region.
    sample_rate
        Hz; None leaves the rate that regions are looked for at.
    fade_s
        Length of the fades in and out; published 0.1.
    format
        16-bit integers, or 32-bit floats as published.
    """

    seconds: float | None = Field(3.0, gt=0, le=600)
    sample_rate: int | None = Field(48_000, ge=1000)
    fade_s: float = Field(0.1, ge=0)
    format: Literal["int16", "float"] = "int16"


class RoiConfig(Config):
    """How regions of interest are found, cut and sorted.

    Attributes
    ----------
    sample_rate
        Recordings are resampled to this rate in Hz first; None keeps their own.
    filter_order
        Of the band-pass filters.
    longest_s
        How much of a recording is looked at, from its beginning; None takes all.
    chunk_s, tail
        The background is measured over chunks of this length. What is left over at the end of a recording is left out
        (``drop``, as published) or looked at too (``keep``): with the chunk before it if it is shorter than half a
        chunk.
    regions
        How they are found.
    margin_s, margin_hz
        A clip holds so much more than its region on each side.
    shapes
        How finely shapes are measured, or ``none``.
    cluster, cluster_by, scale
        How regions of one species are clustered, by which measures (``shp`` stands for all shapes), on which scale.
    keep
        Which clusters of a species are signal: the ``biggest``, or ``all``.
    """

    sample_rate: int | None = Field(44_100, ge=1000)
    filter_order: int = Field(5, ge=1, le=20)
    longest_s: float | None = Field(None, gt=0)
    chunk_s: float = Field(10.0, ge=1)
    tail: Literal["keep", "drop"] = "keep"
    regions: RegionConfig = RegionConfig.model_validate({})
    margin_s: float = Field(0.2, ge=0)
    margin_hz: float = Field(250.0, ge=0)
    clip: RegionClipConfig = RegionClipConfig.model_validate({})
    shapes: Resolution | Literal["none"] = "high"
    cluster: ClusterConfig = DbscanConfig.model_validate({})
    cluster_by: tuple[str, ...] = (SHAPES, *MEASURES)
    scale: Scale = "min_max"
    keep: Literal["biggest", "all"] = "biggest"

    @field_validator("cluster", mode="before")
    @classmethod
    def _by_name_alone(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) and value in CLUSTERERS else value

    @model_validator(mode="after")
    def _possible(self) -> RoiConfig:
        if self.regions.low_hz <= 0:
            raise ValueError("regions.low_hz = 0: a band-pass begins above 0 Hz, for instance at 50")
        if self.sample_rate is not None and self.regions.high_hz >= self.sample_rate / 2:
            raise ValueError(
                f"regions.high_hz = {self.regions.high_hz:g}: sound at sample_rate = {self.sample_rate} reaches up to "
                f"{self.sample_rate / 2:g} Hz"
            )
        if self.clip.fade_s > self.regions.least_s:
            raise ValueError(
                f"clip.fade_s = {self.clip.fade_s:g}: a region may be as short as regions.least_s = "
                f"{self.regions.least_s:g}, and no clip may be shorter than its fade"
            )
        known = (SHAPES, *MEASURES)
        strange = [name for name in self.cluster_by if name not in known]
        if strange or not self.cluster_by:
            raise ValueError(f"cluster_by: {strange[0] if strange else 'nothing'!r}; allowed: {', '.join(known)}")
        if self.shapes == "none" and self.cluster_by == (SHAPES,):
            raise ValueError("cluster_by = [shp] needs shapes; shapes = 'none'")
        return self

    @property
    def sorting(self) -> tuple[str, ...]:
        """The settings that sort regions which are cut already."""
        return ("cluster", "cluster_by", "scale", "keep")


def roi_settings() -> list[str]:
    """List the sets of settings that come with ecotf.

    Examples
    --------
    >>> roi_settings()
    ['darksound_v1', 'darksound_v2']
    """
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def read_roi_config(settings: str | Path | None = None, overrides: Sequence[str] = ()) -> RoiConfig:
    """Read settings.

    Parameters
    ----------
    settings
        One of `roi_settings`, or a YAML file; None stands for ecotf's own.
    overrides
        ``key=value``, as ``regions.high_hz=8000``.

    Raises
    ------
    ConfigError
        No such settings, an unknown key, or what cannot work.

    Examples
    --------
    >>> read_roi_config("darksound_v1", ["margin_s=0.1"]).regions.high_hz
    2500.0
    """
    source = "settings"
    values: Any = {}
    if settings is not None:
        known = roi_settings()
        path = _FOLDER / f"{settings}.yaml" if str(settings) in known else Path(settings)
        if str(settings) not in known and not path.is_file():
            raise ConfigError(f"settings {str(settings)!r}: no such file; that come with ecotf: {', '.join(known)}")
        source, values = str(settings), read_yaml(path) or {}
    chosen = validate(RoiConfig, values, source)
    if not overrides:
        return chosen
    return validate(RoiConfig, apply_overrides(chosen.model_dump(mode="json"), list(overrides)), source)
