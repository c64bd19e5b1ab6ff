"""Description of a device model: ``model.json``, read strictly, with all numbers for its sample rate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecotf_recorder.errors import ModelError
from ecotf_recorder.event_facts import AnyEvents, BoxFacts, one_of, read_boxes, read_events
from ecotf_recorder.scoring.block import DENOISE
from ecotf_recorder.scoring.boxes import BoxSettings
from ecotf_recorder.scoring.patches import RESIZE, PatchSettings
from ecotf_recorder.scoring.peaks import PeakSettings

FORMAT = 2
_RATES_HZ = range(100, 4_000_001)  # no microphone gives less or more, and buffers are as large as it says


@dataclass(frozen=True)
class FrontEndFacts:
    """Input of the ``spectrogram`` signature, and the use of its frames.

    Attributes
    ----------
    hop, n_window
        Samples from one frame to the next, and in each.
    chunk_frames, chunk_samples
        What one call takes and gives.
    block_frames
        Denoising and smoothing are done over consecutive blocks of this length.
    taps
        The right half of the smoothing kernel, its middle first.
    """

    hop: int
    n_window: int
    hop_s: float
    offset_s: float
    rows: int
    frequencies_hz: NDArray[np.float64]
    chunk_frames: int
    chunk_samples: int
    block_frames: int
    denoise: str
    mask_level: float
    taps: NDArray[np.float32]


@dataclass(frozen=True)
class DetectionFacts:
    """From scores to candidates, as the run was trained: at ``peaks`` or on a ``grid``."""

    at: str
    stride_s: float
    smooth_s: float
    separation_s: float
    floor: float
    box: BoxSettings


@dataclass(frozen=True)
class ModelFacts:
    """Facts that a recorder needs about every model.

    Attributes
    ----------
    takes
        ``int16`` or ``float32``: the samples of the signatures that take sound.
    window_s
        A shorter recording has no answer.
    """

    name: str
    run: str
    precision: str
    kind: str
    sample_rate_hz: int
    takes: str
    species: tuple[str, ...]
    thresholds: dict[str, float]
    unnamed: bool
    window_s: float

    @property
    def too_short(self) -> str:
        """Reason why a recording is too short to score."""
        return f"at least {1000 * self.window_s:.1f} ms are needed"


@dataclass(frozen=True)
class PeakFacts(ModelFacts):
    """A model that is asked about peaks (kind ``peaks``)."""

    cascade: bool
    measures: bool
    front_end: FrontEndFacts
    peaks: PeakSettings
    patches: PatchSettings
    detection: DetectionFacts

    @property
    def block_s(self) -> float:
        """Frames that are denoised together."""
        return self.front_end.block_frames * self.front_end.hop_s

    @property
    def step_s(self) -> float:
        """The least that two times of detections differ by."""
        return self.front_end.hop_s

    @property
    def edge_hz(self) -> float:
        """Edges in frequency are not compared: one that is off by a row is a box all the same."""
        return float("inf")


@dataclass(frozen=True)
class SegmentFacts(ModelFacts):
    """A model that scores segments of some seconds (kind ``segments``).

    Attributes
    ----------
    samples, segment_samples, margin_samples
        What the signature takes; a segment; and what it sees on either side of the segment.
    repeats
        Whether beyond the ends of a recording its sound is heard again, in place of silence.
    frame_times_s
        Middles of a segment's frames, from its start; empty where the model gives none.
    frame_s
        From one frame to the next.
    reports_events
        Whether detections are events in place of segments.
    boxes
        How events get their edges in frequency; None where these are those of the band.
    """

    samples: int
    segment_samples: int
    margin_samples: int
    segment_s: float
    repeats: bool
    frame_times_s: NDArray[np.float64]
    frame_s: float
    band_hz: tuple[float, float]
    reports_events: bool
    events: AnyEvents
    boxes: BoxFacts | None

    @property
    def block_s(self) -> float:
        """Sound that is scored together."""
        return self.segment_s

    @property
    def step_s(self) -> float:
        """From one frame to the next, within which the ends of events lie."""
        return self.frame_s

    @property
    def edge_hz(self) -> float:
        """How far an edge in frequency may be off where an end is off by a few frames."""
        return float("inf") if self.boxes is None else 0.05 * (self.band_hz[1] - self.band_hz[0])


def read_facts(text: str | bytes) -> PeakFacts | SegmentFacts:
    """Read ``model.json``.

    Raises
    ------
    ModelError
        It is not JSON, of another format, or lacks something; says what.
    """
    try:
        facts = json.loads(text)
    except ValueError:
        raise ModelError("its model.json is not JSON") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        found = facts.get("format") if isinstance(facts, dict) else None
        raise ModelError(f"its model.json is of format {found}; this recorder reads format {FORMAT}; export it again")
    kind = facts.get("kind")
    if kind not in ("peaks", "segments"):
        raise ModelError(f"it is a model of kind {kind!r}; this recorder runs kinds 'peaks' and 'segments'")
    try:
        return _peak_facts(facts) if kind == "peaks" else _segment_facts(facts)
    except KeyError as error:
        raise ModelError(f"its model.json lacks {error}") from None
    except (TypeError, ValueError) as error:
        raise ModelError(f"its model.json cannot be used ({error})") from None


def _peak_facts(facts: Mapping[str, Any]) -> PeakFacts:
    front_end, patches = _front_end(facts["front_end"]), facts["patches"]
    at = facts["detection"]["scoring"]
    detection = DetectionFacts(
        one_of(at["at"], ("peaks", "grid"), "detection.scoring.at"),
        float(at["stride_s"]),
        float(facts["detection"]["smooth_s"]),
        float(facts["detection"]["separation_s"]),
        float(facts["detection"]["floor"]),
        BoxSettings.read(facts["detection"]["box"]),
    )
    made = PatchSettings.read(patches)
    one_of(made.resize, RESIZE, "patches.resize")
    return PeakFacts(
        **_common(facts),
        window_s=float(patches.get("width_s", made.slices * front_end.hop_s)),
        cascade=bool(facts["cascade"]),
        measures=bool(facts["measures"]),
        front_end=front_end,
        peaks=PeakSettings.read(facts["peaks"]),
        patches=made,
        detection=detection,
    )


def _segment_facts(facts: Mapping[str, Any]) -> SegmentFacts:
    window, n_species = facts["window"], len(facts["species"])
    samples, segment, margin = (int(window[name]) for name in ("samples", "segment_samples", "margin_samples"))
    if segment < 1 or margin < 0 or samples != segment + 2 * margin:
        raise ValueError("window.samples is not segment_samples + 2 * margin_samples")
    report = one_of(facts["report"], ("segments", "events"), "report")
    frame_times = np.asarray(window["frame_times_s"], np.float64)
    if report == "events" and not len(frame_times):
        raise ValueError("report = 'events' of a model that gives no frames")
    low_hz, high_hz = facts["band_hz"]
    made = SegmentFacts(
        **_common(facts),
        samples=samples,
        segment_samples=segment,
        margin_samples=margin,
        window_s=float(facts["shortest_s"]),
        segment_s=float(window["segment_s"]),
        repeats=one_of(window["ends"], ("silence", "repeat"), "window.ends") == "repeat",
        frame_times_s=frame_times,
        frame_s=float(window["frame_s"]),
        band_hz=(float(low_hz), float(high_hz)),
        reports_events=report == "events",
        events=read_events(facts["events"], n_species),
        boxes=read_boxes(facts.get("boxes"), (float(low_hz), float(high_hz)), n_species),
    )
    absent = [name for name in made.species if name not in made.thresholds]
    if absent:
        raise ValueError(f"there is no threshold for {absent[0]!r}")
    return made


def _common(facts: Mapping[str, Any]) -> dict[str, Any]:
    rate = int(facts["sample_rate_hz"])
    if rate not in _RATES_HZ:
        raise ValueError(f"sample_rate_hz = {rate}: allowed are {_RATES_HZ[0]} to {_RATES_HZ[-1]}")
    return {
        "name": str(facts["name"]),
        "run": str(facts["run"]),
        "precision": str(facts["precision"]),
        "kind": str(facts["kind"]),
        "sample_rate_hz": rate,
        "takes": one_of(facts["input"], ("int16", "float32"), "input"),
        "species": tuple(map(str, facts["species"])),
        "thresholds": {str(label): float(level) for label, level in facts["thresholds"].items()},
        "unnamed": bool(facts["unnamed"]),
    }


def _front_end(facts: Mapping[str, Any]) -> FrontEndFacts:
    counts = {
        name: int(facts[name]) for name in ("hop", "n_window", "rows", "chunk_frames", "chunk_samples", "block_frames")
    }
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"front_end.{name} = {count}")
    frequencies = np.asarray(facts["frequencies_hz"], np.float64)
    if len(frequencies) != counts["rows"]:
        raise ValueError(f"front_end has {counts['rows']} rows and {len(frequencies)} frequencies_hz")
    if counts["chunk_samples"] != (counts["chunk_frames"] - 1) * counts["hop"] + counts["n_window"]:
        raise ValueError("front_end.chunk_samples is not (chunk_frames - 1) * hop + n_window")
    return FrontEndFacts(
        hop_s=float(facts["hop_s"]),
        offset_s=float(facts["offset_s"]),
        frequencies_hz=frequencies,
        denoise=one_of(facts["denoise"], DENOISE, "front_end.denoise"),
        mask_level=float(facts["mask_level"]),
        taps=np.asarray(facts["smoothing"], np.float32),
        **counts,
    )
