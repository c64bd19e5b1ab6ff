"""The lesson of the stage ``distil``: targets of a teacher beside those of the labels, and the loss of both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.errors import ConfigError, DataError, RecordingError
from ecotf.pipelines.clips import Clips, ClipTable
from ecotf.pipelines.image_batches import ClipImages, EpochDraws
from ecotf.pipelines.teacher_file import Predictions, read_predictions
from ecotf.runs.splits import fingerprint
from ecotf.tasks.clips.distil import DistilStage
from ecotf.tasks.clips.lessons import LabelLesson
from ecotf.tasks.clips.stages import FitClipsStage, Material
from ecotf.training.losses import LossConfig, averaged, clip_loss

if TYPE_CHECKING:
    from ecotf.models.image_network import ClipNetwork
    from ecotf.tasks.clips.data import ClipData

_SURE = 1e-6  # a teacher's probability is at least so far from 0 and 1 where its logit is needed


class TeacherLesson(LabelLesson):
    """Learns from labels and from a teacher; the teacher's numbers are further columns of the targets.

    Raises
    ------
    ConfigError
        The teacher's file is absent or damaged, or has other classes.
    DataError
        It lacks clips of the stage, or the sound of some has changed.
    """

    def __init__(
        self, network: ClipNetwork, stage: FitClipsStage, material: Material, train: Clips, weights: np.ndarray | None
    ) -> None:
        super().__init__(network, stage, material, train, weights)
        assert isinstance(stage, DistilStage)
        self.config, self.seed = stage, material.seed
        path = Path(stage.teacher)
        self.teacher = read_predictions(path)
        _refuse_sums(stage, material.data, self.teacher)
        self.rows = _rows_of(path, self.teacher, train.recordings, material.data)
        self.n_labels = len(material.classes)
        if self.teacher.what == "scores":
            self.columns = _columns_of(path, self.teacher.classes, material.classes)
        else:
            self.mean, self.scale = _spread(self.teacher, self.rows)
            self.model = _with_linear_layer(network, self.teacher.values.shape[1], material.seed)

    def epoch(self, images: ClipImages, draws: EpochDraws) -> tuple[ClipTable, EpochDraws]:
        """Draw the order and the places of the clips, and add the teacher's numbers for each place to its targets."""
        order = draws.order(self.train.table, images.batch)
        table = self.train.table.take(order)
        starts = np.array([self._start_s(images, draws, number, table) for number in range(len(table))])
        taught = [
            self._prediction(int(self.rows[recording]), float(start_s), images.clips.seconds)
            for recording, start_s in zip(table.recording, starts, strict=True)
        ]
        targets = np.concatenate([table.targets, np.stack(taught)], axis=1).astype(np.float32)
        drawn = ClipTable(table.recording, starts, targets, table.weight, table.foreground)
        return drawn, EpochDraws(draws.seed, draws.number, None, draws.sound, draws.image, draws.backgrounds)

    def loss(self, outputs: Any, targets: Any, weight: Any) -> Any:
        """Compute the loss of a training batch: of labels and of the teacher."""
        labels, taught = targets[:, : self.n_labels], targets[:, self.n_labels :]
        share = self.config.teacher_share
        own = self.label_loss(outputs, labels, weight)
        of_teacher = self._of_scores if self.teacher.what == "scores" else self._of_embeddings
        return (1 - share) * own + share * of_teacher(outputs, taught, weight)

    def _start_s(self, images: ClipImages, draws: EpochDraws, number: int, table: ClipTable) -> float:
        """Draw the place of a clip as its reader does, with the same random numbers."""
        if np.isfinite(table.start_s[number]):
            return float(table.start_s[number])
        rng = np.random.default_rng([draws.seed, draws.number, number])
        try:
            return images.sounds.draw_start_s(int(table.recording[number]), images.clips, rng)
        except RecordingError:
            return 0.0  # its reader will say so, and leave it out

    def _prediction(self, row: int, start_s: float, seconds: float) -> np.ndarray:
        values = self.teacher.over(row, start_s, seconds)
        if self.teacher.what == "embeddings":
            return np.asarray((values - self.mean) / self.scale)
        return _softened(values[self.columns], self.config.temperature, self.config.activation)

    def _of_scores(self, outputs: Any, taught: Any, weight: Any) -> Any:
        stage, temperature = self.config, self.config.temperature
        name = "binary" if stage.activation == "sigmoid" else "cross_entropy"
        config = LossConfig(name=name, frames_share=stage.loss.frames_share, average=stage.loss.average)
        logits = {key: values / temperature for key, values in outputs.items()}
        return temperature**2 * clip_loss(config, logits, taught, None, weight)

    def _of_embeddings(self, outputs: Any, taught: Any, weight: Any) -> Any:
        import tensorflow as tf

        given = tf.cast(outputs["taught"], tf.float32)
        if self.config.distance == "cosine":
            losses = 1 - tf.reduce_sum(tf.math.l2_normalize(given, 1) * tf.math.l2_normalize(taught, 1), axis=1)
        else:
            losses = tf.reduce_mean(tf.math.squared_difference(given, taught), axis=1)
        return averaged(losses, weight, self.config.loss.average)


def _softened(scores: np.ndarray, temperature: float, activation: str) -> np.ndarray:
    """Divide the logits of probabilities ``[classes]`` by the temperature; return probabilities of the same kind."""
    if activation == "softmax":
        powers = np.maximum(scores, _SURE) ** (1 / temperature)
        return np.asarray(powers / powers.sum())
    if temperature == 1:
        return scores
    sure = np.clip(scores.astype(np.float64), _SURE, 1 - _SURE)
    return np.asarray(1 / (1 + ((1 - sure) / sure) ** (1 / temperature)))


def _refuse_sums(stage: DistilStage, data: ClipData, teacher: Predictions) -> None:
    if data.plan.clips.self_mixup != "none":
        raise ConfigError(
            f"stage {stage.title!r}: clips.self_mixup = {data.plan.clips.self_mixup}: a teacher has not heard sums of "
            "a recording's parts; allowed: none"
        )
    for name in ("sum_mixup", "between_class"):
        if teacher.what == "embeddings" and getattr(stage.sound, name).probability:
            raise ConfigError(
                f"stage {stage.title!r}: sound.{name}: embeddings of a teacher are not mixed as labels are; use "
                "sound.beta_mixup or image.mixup"
            )


def _columns_of(path: Path, known: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Find the teacher's column of each class; raises `ConfigError`."""
    absent = [name for name in wanted if name not in known]
    if absent:
        raise ConfigError(
            f"{path}: the teacher gives no score for {len(absent)} of the {len(wanted)} classes, the first "
            f"{absent[0]!r} (it has {len(known)}: {', '.join(known[:3])}, ...); a teacher of other classes can teach "
            "its embeddings: ecotf teach --what embeddings"
        )
    return [list(known).index(name) for name in wanted]


def _rows_of(path: Path, teacher: Predictions, recordings: Sequence[str], data: ClipData) -> np.ndarray:
    """Find the teacher's number of each recording by the content of its file; raises `DataError`."""
    by_digest = {digest: number for number, digest in enumerate(teacher.digests)}
    digests = [_digest_of(data, name) for name in recordings]
    absent = [name for name, digest in zip(recordings, digests, strict=True) if digest not in by_digest]
    if absent:
        changed = [name for name in absent if name in set(teacher.recordings)]
        if changed:
            raise DataError(
                f"{path}: the sound of {len(changed)} of {len(recordings)} training recordings has changed since the "
                f"teacher heard it, the first {changed[0]!r}; run ecotf teach again"
            )
        raise DataError(
            f"{path}: is of other clips: {len(absent)} of {len(recordings)} training recordings are missing in it, the "
            f"first {absent[0]!r}; run ecotf teach with this manifest"
        )
    return np.array([by_digest[digest] for digest in digests])


def _digest_of(data: ClipData, recording: str) -> str:
    """What identifies the content of a recording's file; the split knows it already."""
    if data.splits is not None:
        return data.splits.state_of(recording).digest
    return fingerprint(data.manifest.path_of(recording))[1]


def _spread(teacher: Predictions, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each number of the embeddings of these recordings; 1 where it never changes."""
    values = teacher.values[np.isin(teacher.recording, rows)].astype(np.float64)
    scale = values.std(axis=0)
    return values.mean(axis=0), np.where(scale > 1e-6, scale, 1.0)


def _with_linear_layer(network: ClipNetwork, numbers: int, seed: int) -> Any:
    """Make a model of the network's layers that also gives ``taught``, linear in the backbone's averaged features."""
    import keras

    inputs, x = network.features()
    averaged_features = keras.layers.GlobalAveragePooling2D(dtype="float32")(x)
    layer = keras.layers.Dense(
        numbers, kernel_initializer=keras.initializers.GlorotUniform(seed), dtype="float32", name="taught"
    )
    return keras.Model(inputs, {**network.head(x), "taught": layer(averaged_features)}, name="student")
