"""Events of one recording planted into the sound of another, so that a species is not known by its background."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field, model_validator

from ecotf.config import Config
from ecotf.errors import RecordingError
from ecotf.pipelines.crops import ClipSounds
from ecotf.pipelines.event_draws import Places
from ecotf.pipelines.event_rows import Kind
from ecotf.pipelines.frame_truth import FrameTruth

_KEPT_BYTES = 256 << 20
_SILENCE = 1e-7
_HEARD = 4  # stretches of recordings without the class, of which the loudest one becomes a decoy


class PlantingConfig(Config):
    """How an event is planted: only the band of its box is taken, faded in and out.

    Attributes
    ----------
    snr_db
        Level of the event against what is already there, in its own band and time; drawn evenly between the two.
    decoys
        This part of what is planted is cut beside the event, in the same band: sound without the class, so that it is
        the call that is learned, and not that something was planted.
    elsewhere
        Before that, this part of what is planted is cut out of recordings that have no event of the class, where there
        are some: each of them as often as any other, and of four stretches the one with most sound in the band. What is
        only like the call may never be where the call is, and where the call is there may be faint ones that nobody has
        annotated.
    fade_s
        Length of the fades, outside of the event.
    speed
        How much faster or slower what is planted is played, so that its pitch and length are another animal's: the
        standard deviation of the speed's natural logarithm, of which no more than twice is drawn. 0: as it was.
    """

    snr_db: tuple[float, float] = (0.0, 20.0)
    decoys: float = Field(0.3, ge=0, le=1)
    elsewhere: float = Field(0.0, ge=0, le=1)
    fade_s: float = Field(0.03, ge=0, le=1)
    speed: float = Field(0.0, ge=0, le=0.2)

    @model_validator(mode="after")
    def _ordered(self) -> PlantingConfig:
        if self.snr_db[0] > self.snr_db[1]:
            raise ValueError(f"snr_db = {self.snr_db}: the first is above the second; allowed: the lower one first")
        return self


@dataclass
class Planting:
    """Plants the events of some recordings into clips of them.

    Attributes
    ----------
    truth
        Of the clips; its rows say where events are, and their bands.
    sounds
        The recordings that the rows count.
    quiet
        Where decoys are cut (`ecotf.pipelines.event_draws.quiet_places`).
    band_hz
        What the network hears: the band of events whose boxes have none.
    """

    config: PlantingConfig
    truth: FrameTruth
    sounds: ClipSounds
    quiet: Places
    band_hz: tuple[float, float]
    _kept: dict[tuple[int, float], np.ndarray] = field(default_factory=dict, repr=False)
    _bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def into(
        self, events: np.ndarray, recording: np.ndarray, start_s: np.ndarray, seed: tuple[int, int]
    ) -> PlantedClips:
        """Say what is planted into each clip: an event or -1, the clip's recording and start ``[clips]``."""
        return PlantedClips(self, events, recording, start_s, seed)

    def piece(self, event: int, decoy: bool, most_s: float, rng: np.random.Generator) -> tuple[np.ndarray, bool]:
        """Cut an event, or a stretch beside it, out of its recording; its band alone, with both fades.

        Returns
        -------
        float32 ``[samples]``, of at most ``most_s`` between the fades, and whether it is an event. Where no stretch is
        long enough for a decoy, the event is given.

        Raises
        ------
        RecordingError
            The recording cannot be read.
        """
        rows = self.truth.rows
        recording, begin = int(rows.recording[event]), float(rows.start_s[event])
        length = min(float(rows.end_s[event]) - begin, most_s)
        begin += rng.random() * (float(rows.end_s[event]) - begin - length)
        made = self._decoy(event, recording, length, decoy, rng)
        if made is not None:
            return made, False
        with self._lock:
            kept = self._kept.get((event, begin))
        if kept is None:
            kept = self._band(event, recording, begin, length)
            with self._lock:
                if self._bytes + kept.nbytes <= _KEPT_BYTES:
                    self._kept[event, begin] = kept
                    self._bytes += kept.nbytes
        return kept, True

    def band_of(self, event: int) -> tuple[float, float]:
        """Return the low and the high edge of an event's box, in Hz."""
        low, high = float(self.truth.rows.low_hz[event]), float(self.truth.rows.high_hz[event])
        return (low if low > 0 else self.band_hz[0]), (high if high > 0 else self.band_hz[1])

    def everywhere(self, code: int) -> bool:
        """Whether nothing can be cut out of a recording without this class: none has a stretch that is known."""
        return not len(self._without(code))

    def _without(self, code: int) -> np.ndarray:
        """Return the quiet stretches, by number, of recordings that have no event of a class."""
        rows = self.truth.rows
        has = rows.recording[(rows.code == code) & (rows.kind != Kind.NOTHING)]
        return np.flatnonzero(~np.isin(self.quiet.recording, has))

    def _decoy(
        self, event: int, recording: int, length_s: float, beside: bool, rng: np.random.Generator
    ) -> np.ndarray | None:
        """Cut a stretch of nothing in the band of an event, elsewhere or ``beside`` it; None where it is an event."""
        quiet, part = self.quiet, self.config.elsewhere
        long = quiet.end_s - quiet.start_s >= length_s
        others = self._without(int(self.truth.rows.code[event])) if part else np.empty(0, int)
        others = others[long[others]]
        # Nothing is drawn where there is nothing elsewhere, so that such recipes and data draw what they always drew.
        if len(others) and rng.random() < part:
            cut = [self._stretch(event, _in_any_recording(quiet, others, rng), length_s, rng) for _ in range(_HEARD)]
            return max(cut, key=lambda one: float(np.square(one).sum()))
        own = np.flatnonzero(long & (quiet.recording == recording)) if beside else ()
        return self._stretch(event, int(own[rng.integers(len(own))]), length_s, rng) if len(own) else None

    def _stretch(self, event: int, at: int, length_s: float, rng: np.random.Generator) -> np.ndarray:
        """Cut a piece out of a quiet stretch, anywhere in it."""
        spare = float(self.quiet.end_s[at] - self.quiet.start_s[at]) - length_s
        begin = float(self.quiet.start_s[at]) + rng.random() * spare
        return self._band(event, int(self.quiet.recording[at]), begin, length_s)

    def _band(self, event: int, recording: int, begin_s: float, length_s: float) -> np.ndarray:
        rate = self.sounds.sample_rate
        fade, inside = round(self.config.fade_s * rate), max(1, round(length_s * rate))
        sound = self.sounds.passage(recording, round(begin_s * rate) - fade, inside + 2 * fade)
        sound = in_band(sound, rate, self.band_of(event))
        if fade:
            ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / fade)).astype(np.float32)
            sound[:fade] *= ramp
            sound[-fade:] *= ramp[::-1]
        return sound


@dataclass(frozen=True)
class PlantedClips:
    """What is planted into the clips of one epoch; called with a batch."""

    planting: Planting
    events: np.ndarray
    recording: np.ndarray
    start_s: np.ndarray
    seed: tuple[int, int]

    def __call__(self, rows: np.ndarray, sound: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Plant into the clips ``rows`` ``[n]`` of the epoch: sound ``[n, samples]`` and targets ``[n, width]``."""
        events = self.events[rows]
        if (events < 0).all():
            return sound, targets
        sound, targets = sound.copy(), targets.copy()
        for i in np.flatnonzero(events >= 0):
            rng = np.random.default_rng([*self.seed, int(rows[i]), 4])
            try:
                self._plant(int(rows[i]), int(events[i]), sound[i], targets[i], rng)
            except RecordingError:
                continue  # The clip stays as it is; the recording is told of where it is read for itself.
        return sound, targets

    def _plant(self, row: int, event: int, sound: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> None:
        made, truth = self.planting, self.planting.truth
        rate, fade = made.sounds.sample_rate, round(made.config.fade_s * made.sounds.sample_rate)
        there_s = float(truth.rows.durations[self.recording[row]] - self.start_s[row])
        room_s = min(truth.seconds, there_s)
        decoy = bool(rng.random() < made.config.decoys)
        speed = _drawn_speed(made.config.speed, rng)
        piece, is_event = made.piece(event, decoy, room_s * speed, rng)
        piece = _played(piece, speed)
        inside = len(piece) - 2 * fade
        at = int(rng.integers(max(1, round(room_s * rate) - inside + 1)))
        low, high = max(0, at - fade), min(len(sound), at + inside + fade)
        piece = piece[low - (at - fade) :][: high - low]
        below = rms_in_band(sound[low:high], rate, made.band_of(event))
        sound[low:high] += self._gain(piece, below, rng) * piece
        if is_event:
            code = int(truth.rows.code[event])
            truth.add_event(targets, code, at / rate, (at + inside) / rate)

    def _gain(self, piece: np.ndarray, other: float, rng: np.random.Generator) -> np.float32:
        own = float(np.sqrt(np.mean(np.square(piece)))) if len(piece) else 0.0
        snr_db = rng.uniform(*self.planting.config.snr_db)
        if own < _SILENCE or other < _SILENCE:
            return np.float32(1.0)
        gain = other / own * 10 ** (snr_db / 20)
        return np.float32(min(gain, 1.0 / max(float(np.abs(piece).max()), _SILENCE)))


def _in_any_recording(places: Places, among: np.ndarray, rng: np.random.Generator) -> int:
    """Draw one of some places: each recording alike, and in it longer ones more often."""
    recordings = np.unique(places.recording[among])
    own = among[places.recording[among] == recordings[rng.integers(len(recordings))]]
    return int(rng.choice(own, p=places.chance[own] / places.chance[own].sum()))


def _drawn_speed(deviation: float, rng: np.random.Generator) -> float:
    """Draw a speed; nothing is drawn where there is one alone, so that old recipes draw what they drew."""
    return float(np.exp(deviation * np.clip(rng.normal(), -2, 2))) if deviation else 1.0


def _played(piece: np.ndarray, speed: float) -> np.ndarray:
    """Play a faded piece faster or slower; up to some hundredths slower than asked, so that transforms are quick."""
    from scipy.fft import next_fast_len
    from scipy.signal import resample

    if speed == 1.0 or not len(piece):
        return piece
    n = next_fast_len(len(piece), real=True)
    made = next_fast_len(max(1, round(n / speed)))
    played = resample(np.pad(piece, (0, n - len(piece))), made)  # silence behind a piece that has faded away
    return np.asarray(played[: max(1, round(len(piece) * made / n))], np.float32)


def in_band(sound: np.ndarray, sample_rate: float, band_hz: tuple[float, float]) -> np.ndarray:
    """Return sound float32 ``[samples]`` without what is outside of a band; its edges are a tenth of it wide."""
    from scipy.fft import irfft

    if not len(sound):
        return sound
    spectrum, n = _spectrum(sound, sample_rate, band_hz)
    return np.asarray(irfft(spectrum, n)[: len(sound)], np.float32)


def rms_in_band(sound: np.ndarray, sample_rate: float, band_hz: tuple[float, float]) -> float:
    """Compute the root mean square of what a band has of sound float32 ``[samples]``; 0 where there is no sound."""
    if not len(sound):
        return 0.0
    spectrum, n = _spectrum(sound, sample_rate, band_hz)
    power = np.square(spectrum.real, dtype=float) + np.square(spectrum.imag, dtype=float)
    # All but the first, and the last of an even number, stand for two frequencies.
    twice = 2 * power.sum() - power[0] - (power[-1] if n % 2 == 0 else 0.0)
    return float(np.sqrt(twice / n / len(sound)))


def _spectrum(sound: np.ndarray, sample_rate: float, band_hz: tuple[float, float]) -> tuple[np.ndarray, int]:
    """Transform sound, complex64, at a length that is quickly transformed, without what is outside of a band."""
    from scipy.fft import next_fast_len, rfft

    low, high = band_hz
    n = next_fast_len(len(sound), real=True)
    soft = max(0.1 * (high - low), sample_rate / len(sound))
    hertz = np.fft.rfftfreq(n, 1 / sample_rate)
    kept = np.clip((hertz - low) / soft + 1, 0, 1) * np.clip((high - hertz) / soft + 1, 0, 1)
    return rfft(np.asarray(sound, np.float32), n) * kept.astype(np.float32), n
