"""Reading crops inside tf.data: decoded by soundfile in a Python call, or by tensorflow-io in the graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.audio.hdf5_rows import file_of, split_row
from ecotf.audio.recording import Recording
from ecotf.errors import ConfigError, RecordingError
from ecotf.pipelines.clips import ClipsConfig, ClipTable
from ecotf.pipelines.crops import ClipSounds, SkippedRecordings
from ecotf.pipelines.passages import SoundPassages, cut_clip
from ecotf.pipelines.sources import Sound


@dataclass(frozen=True)
class CropReader:
    """Reads the clips of an epoch; each draws its place from the seed and its number in the epoch.

    Attributes
    ----------
    order
        Rows of ``table`` in the order in which they come.
    report
        Takes what could not be read.
    seed
        Of the training, and of the epoch.
    """

    table: ClipTable
    order: np.ndarray
    sounds: ClipSounds
    clips: ClipsConfig
    report: SkippedRecordings
    seed: tuple[int, int]

    @property
    def samples(self) -> int:
        """Length of a clip."""
        return round(self.clips.seconds * self.sounds.sample_rate)

    def recording(self, number: int) -> int:
        """Return the recording of the clip that comes at this place."""
        return int(self.table.recording[self.order[number]])

    def path(self, number: int) -> Path:
        """Return the file of the clip that comes at this place."""
        return self.sounds.paths[self.recording(number)]

    def crop(self, number: int, decoded: Sound | None = None) -> np.ndarray:
        """Cut one clip, out of what was decoded of its recording where that is given; raises `RecordingError`."""
        row, recording, sounds = self.order[number], self.recording(number), self.sounds
        rng = np.random.default_rng([*self.seed, int(number)])
        start_s, foreground = float(self.table.start_s[row]), bool(self.table.foreground[row])
        if decoded is None:
            return sounds.crop(recording, start_s, self.clips, rng, foreground)
        passages = SoundPassages(decoded, sounds.sample_rate, sounds.channel)
        return cut_clip(passages, sounds.sample_rate, start_s, self.clips, rng, foreground)

    def noted(self, number: int, crop: Callable[[], np.ndarray]) -> tuple[np.ndarray, np.bool_]:
        """A clip and whether it could be read; what could not is noted."""
        try:
            return crop(), np.True_
        except RecordingError as error:
            self.report.add(self.path(number), str(error))
            return np.zeros(self.samples, np.float32), np.False_

    def read(self, numbers: Any, threads: int) -> Any:
        """A tf.data set ``(sound, readable, number)`` of a set of numbers."""
        import tensorflow as tf

        # Nothing here is for AutoGraph to rewrite, and that would take most of the time until the first batch.
        @tf.autograph.experimental.do_not_convert
        def read_in_graph(number: Any) -> Any:
            sound, readable = tf.numpy_function(self._read_one, [number], (tf.float32, tf.bool), stateful=True)
            sound.set_shape([self.samples])
            readable.set_shape([])
            return sound, readable, number

        return numbers.map(read_in_graph, num_parallel_calls=threads, deterministic=True)

    def _read_one(self, number: np.ndarray) -> tuple[np.ndarray, np.bool_]:
        return self.noted(int(number), lambda: self.crop(int(number)))


class GraphReader:
    """The same with whole files decoded inside the graph by tensorflow-io; a file that it cannot take is named at once.

    Raises
    ------
    ConfigError
        A recording is of a kind that tensorflow-io cannot decode, or the library is not there.
    """

    def __init__(self, crops: CropReader) -> None:
        from ecotf.audio.graph_decoding import why_not_decodable
        from ecotf.audio.hdf5_in_graph import why_not_in_graph

        self.crops = crops
        of_clip = [crops.recording(number) for number in range(len(crops.order))]
        files = {file_of(crops.sounds.paths[recording]): recording for recording in sorted(set(of_clip), reverse=True)}
        for file, recording in files.items():
            row = split_row(crops.sounds.paths[recording]) is not None
            reason = why_not_in_graph(file, crops.sounds.sample_rate) if row else why_not_decodable(file)
            if reason:
                raise ConfigError(f"{file}: {reason}; set clips.source.decode=soundfile")

    def read(self, numbers: Any, threads: int) -> Any:
        """As `CropReader.read`."""
        import tensorflow as tf

        from ecotf.audio.graph_decoding import decode_clip
        from ecotf.audio.hdf5_in_graph import GraphRows

        crops = self.crops
        paths = tf.constant([str(path) for path in crops.sounds.paths])
        rows = GraphRows.of(crops.sounds.paths)
        of_clip = tf.constant([crops.recording(number) for number in range(len(crops.order))], tf.int64)

        @tf.autograph.experimental.do_not_convert
        def decode(number: Any) -> Any:
            begun = tf.numpy_function(self._begin, [number], tf.int64, stateful=True)
            begun.set_shape([])
            recording = tf.gather(of_clip, begun)
            path = tf.gather(paths, recording)
            if rows is None:
                return begun, *decode_clip(path)
            read = tf.cond(rows.has(recording), lambda: rows.read(recording), lambda: decode_clip(path))
            return begun, *read

        @tf.autograph.experimental.do_not_convert
        def cut(number: Any, waveform: Any, rate: Any) -> Any:
            asked = [number, waveform, rate]
            sound, readable = tf.numpy_function(self._cut, asked, (tf.float32, tf.bool), stateful=True)
            sound.set_shape([crops.samples])
            readable.set_shape([])
            return sound, readable, number

        decoded = numbers.map(decode, num_parallel_calls=threads, deterministic=True).ignore_errors()
        return decoded.map(cut, num_parallel_calls=threads, deterministic=True)

    def _begin(self, number: np.ndarray) -> np.ndarray:
        """Note the clip as left out: an error inside the graph can be passed over there, and not be noted."""
        crops, place = self.crops, int(number)
        try:
            crops.sounds.open(crops.recording(place))
            reason = "damaged: tensorflow-io cannot decode it"
        except RecordingError as error:
            reason = str(error)
        crops.report.add(crops.path(place), reason)
        return number

    def _cut(self, number: np.ndarray, waveform: np.ndarray, rate: np.ndarray) -> tuple[np.ndarray, np.bool_]:
        """Cut the clip, which has been decoded and so is not left out."""
        from ecotf.audio.graph_decoding import as_recording

        crops, place = self.crops, int(number)
        crops.report.withdraw(crops.path(place))

        def crop() -> np.ndarray:
            opened = crops.sounds.open(crops.recording(place))
            assert isinstance(opened, Recording)  # the only kind that is decoded in the graph
            return crops.crop(place, as_recording(opened, waveform, int(rate)))

        return crops.noted(place, crop)


_READERS: dict[str, Callable[[CropReader], CropReader | GraphReader]] = {
    "soundfile": lambda crops: crops,
    "graph": GraphReader,
}


def reader_of(crops: CropReader) -> CropReader | GraphReader:
    """Return the reader that ``clips.source`` asks for."""
    return _READERS[crops.clips.source.decode](crops)
