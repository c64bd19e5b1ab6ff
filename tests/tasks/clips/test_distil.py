"""A teacher's predictions: made, kept, found again for every crop, and learned from."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.config import validate
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.errors import ConfigError, DataError
from ecotf.pipelines.clips import ClipsConfig
from ecotf.pipelines.crop_reading import CropReader
from ecotf.pipelines.crops import SkippedRecordings
from ecotf.pipelines.image_batches import ClipImages, EpochDraws
from ecotf.pipelines.samplers import SamplerConfig
from ecotf.pipelines.teacher_file import Predictions, read_predictions, write_predictions
from ecotf.tasks import teach as teaching
from ecotf.tasks.clips.data import ClipData, prepare_clip_data
from ecotf.tasks.clips.distil import DistilStage
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.clips.stages import Material
from ecotf.tasks.clips.teacher_lesson import TeacherLesson
from ecotf.tasks.recipes import load_any_recipe
from ecotf.tasks.teach import Answer, EmbedderTeacher, RunTeacher, open_teacher, teach

RATE, SECONDS = 8000, 2.0
CLASSES = ("robin", "wren")


@pytest.fixture
def manifest(tmp_path) -> Manifest:
    """Four recordings of noise, two of each class, to train on."""
    rows, rng = [], np.random.default_rng(0)
    for number in range(4):
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * rng.normal(size=round(SECONDS * RATE)), RATE)
        rows.append({"recording": f"{number}.wav", "start_s": 0.0, "end_s": np.nan, "label": CLASSES[number % 2]})
    return make_manifest(pd.DataFrame(rows).assign(split="train"), tmp_path, "test")


class Loudness:
    """A teacher whose scores are the recording's number and the time."""

    what, title, digest, classes = "scores", "loudness", "1", ("wren", "owl", "robin")

    def __init__(self) -> None:
        self.asked: list[str] = []

    def answer(self, recording) -> Answer:
        self.asked.append(recording.path.name)
        starts = np.arange(0, SECONDS, 0.5)
        own = float(recording.path.stem) / 10
        return Answer(starts, starts + 0.5, np.stack([starts / 10, 0 * starts, own + 0 * starts], axis=1))


def material(manifest: Manifest, **stage: object) -> tuple[DistilStage, Material]:
    values = load_any_recipe("birds/small").model_dump(mode="json")
    values |= {"sample_rate": RATE, "clips": {"seconds": 0.5}, "inference": {"segment_s": 0.5}}
    values["front_end"] |= {"high_hz": 3900.0, "bands": 32}
    one = {"name": "distil", "title": "a", "teacher": str(manifest.root / "teacher.npz"), "epochs": 1}
    values["stages"] = [{**one, "loss": {"name": "binary", "average": "clips"}, **stage}]
    plan = validate(ClipRecipe, values, "test")
    data = prepare_clip_data(manifest, plan, None, lambda line: None)
    return plan.stages[0], Material(data, CLASSES, 3)


def lesson(manifest: Manifest, **stage: object) -> TeacherLesson:
    config, given = material(manifest, **stage)
    train = given.data.training_clips(config, CLASSES)
    return TeacherLesson(SimpleNamespace(model=None), config, given, train, None)


def images_of(data: ClipData, recordings: list[str]) -> ClipImages:
    plan = data.plan
    return ClipImages(data.sounds(recordings), plan.front_end, plan.level, plan.clips, 4)


def predictions(**more: object) -> Predictions:
    whole = Predictions(
        "scores", "t", "1", ("a", "b"), ["x", "y"], ["d", "e"], np.array([0, 0, 0, 1]), np.array([0.0, 3, 6, 0]),
        np.array([3.0, 6, 9, 2]), np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.4], [0.5, 0.6]], np.float32),
    )  # fmt: skip
    return replace(whole, **more)


def test_a_crop_has_the_prediction_of_the_segments_that_it_lies_in():
    scores, numbers = predictions(), predictions(what="embeddings", classes=())
    np.testing.assert_allclose(scores.over(0, 3.5, 2.0), [0.8, 0.2])
    np.testing.assert_allclose(scores.over(0, 2.0, 2.0), [0.8, 0.9])  # half of it in each
    np.testing.assert_allclose(scores.over(0, 2.5, 2.0), [0.8, 0.2])  # a quarter in the first
    np.testing.assert_allclose(scores.over(0, 0.0, 9.0), [0.8, 0.9])
    np.testing.assert_allclose(scores.over(1, 0.0, 9.0), [0.5, 0.6])
    np.testing.assert_allclose(scores.over(0, 20.0, 2.0), [0.3, 0.4])  # beyond the end
    np.testing.assert_allclose(numbers.over(0, 2.0, 4.0), [0.625, 0.375])


def test_predictions_come_back_and_damage_is_one_line(tmp_path):
    path = tmp_path / "teacher.npz"
    write_predictions(path, predictions())
    back = read_predictions(path)
    assert (back.classes, back.recordings, back.digests, back.title) == (("a", "b"), ["x", "y"], ["d", "e"], "t")
    np.testing.assert_array_equal(back.values, predictions().values)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", whole[:200] + b"x" * 50 + whole[250:]):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"teacher.npz: damaged, or not the predictions of a teacher") as refused:
            read_predictions(path)
        assert "\n" not in str(refused.value)
    for wrong in ({"classes": ("a",)}, {"recordings": ["x"]}, {"values": np.full((4, 2), np.nan)}):
        write_predictions(path, predictions(**wrong))
        with pytest.raises(ConfigError, match="damaged"):
            read_predictions(path)
    np.savez(path, something=np.zeros(3))
    with pytest.raises(ConfigError, match="damaged, or not the predictions"):
        read_predictions(path)
    path.unlink()
    with pytest.raises(ConfigError, match="there are no predictions of a teacher; ecotf teach makes them"):
        read_predictions(path)


def test_teaching_goes_on_after_a_kill_and_asks_again_about_what_changed(manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(teaching, "_PART", 1)
    output, first = tmp_path / "teacher.npz", Loudness()

    def killed(done: int, of: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        teach(first, manifest, output, lambda line: None, killed)
    assert first.asked == ["0.wav", "1.wav", "2.wav"] and not output.exists()
    other = Loudness()
    other.digest = "2"
    with pytest.raises(ConfigError, match="holds predictions of another teacher, scores of loudness; choose another"):
        teach(other, manifest, output, lambda line: None)
    soundfile.write(tmp_path / "1.wav", np.ones(round(SECONDS * RATE)) / 2, RATE)
    second, said = Loudness(), []
    broken = make_manifest(
        pd.concat([manifest.table, manifest.table.iloc[:1].assign(recording="gone.wav", group="gone")]), tmp_path, "t"
    )
    taught = teach(second, broken, output, said.append)
    assert second.asked == ["1.wav", "3.wav"]
    assert list(taught.left_out) == ["gone.wav"] and len(said) == 1
    assert not list(tmp_path.glob("*.parts"))
    back = read_predictions(output)
    assert back.recordings == [f"{number}.wav" for number in range(4)]
    np.testing.assert_allclose(back.over(3, 1.0, 0.5), [0.1, 0, 0.3], atol=1e-6)
    with pytest.raises(ConfigError, match="is there already"):
        teach(second, manifest, output)
    with pytest.raises(ConfigError, match=r"are written as \.npz"):
        teach(second, manifest, tmp_path / "teacher.csv")


def test_each_crop_gets_its_own_prediction_and_its_sound_is_the_same(manifest):
    teach(Loudness(), manifest, manifest.root / "teacher.npz")
    taught = lesson(manifest, sampler={"name": "balanced", "clips": 9})
    config, given = material(manifest)
    table = given.data.training_clips(config, CLASSES).table
    images = images_of(given.data, [f"{number}.wav" for number in range(4)])
    draws = EpochDraws(5, 2, SamplerConfig(name="balanced", clips=9))
    made, kept = taught.epoch(images, draws)
    assert len(made) == 9 and len(np.unique(made.start_s)) == 9 and kept.sampler is None
    plain = CropReader(table, draws.order(table, 4), images.sounds, images.clips, SkippedRecordings(), (5, 2))
    drawn = CropReader(made, np.arange(9), images.sounds, images.clips, SkippedRecordings(), (5, 2))
    for number in range(9):
        np.testing.assert_array_equal(plain.crop(number), drawn.crop(number))
        robin, wren = made.targets[number, 2:]
        assert robin == pytest.approx(made.recording[number] / 10)
        assert abs(wren * 10 - made.start_s[number]) <= 0.25 + 1e-6  # the segment that most of it is in
        np.testing.assert_array_equal(made.targets[number, :2], np.eye(2)[made.recording[number] % 2])


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_loss_is_that_of_the_labels_and_of_the_teacher(manifest, temperature):
    teach(Loudness(), manifest, manifest.root / "teacher.npz")
    taught = lesson(manifest, temperature=temperature)
    logits, labels = np.array([[1.0, -2.0], [0.5, 3.0]]), np.array([[1.0, 0], [0, 1]])
    scores = np.array([[0.7, 0.2], [0.4, 0.9]])
    softened = 1 / (1 + (1 / scores - 1) ** (1 / temperature))
    np.testing.assert_allclose(taught._prediction(3, 1.5, 0.5)[0], 1 / (1 + (7 / 3) ** (1 / temperature)), rtol=1e-5)

    def binary(values: np.ndarray, wanted: np.ndarray) -> float:
        p = 1 / (1 + np.exp(-values))
        return float(-(wanted * np.log(p) + (1 - wanted) * np.log(1 - p)).sum(axis=1).mean())

    targets = np.concatenate([labels, softened], axis=1).astype(np.float32)
    given = taught.loss({"clip": logits.astype(np.float32)}, targets, np.ones(2, np.float32))
    wanted = 0.1 * binary(logits, labels) + 0.9 * temperature**2 * binary(logits / temperature, softened)
    assert float(given) == pytest.approx(wanted, rel=1e-5)


def test_a_teachers_file_that_does_not_fit_is_one_line(manifest):
    path = manifest.root / "teacher.npz"
    teach(Loudness(), manifest.subset(["0.wav", "3.wav"]), path)
    with pytest.raises(DataError, match=r"other clips: 2 of 4 training recordings are missing in it, .* '1.wav'"):
        lesson(manifest)
    path.unlink()
    taught = teach(Loudness(), manifest, path).predictions
    write_predictions(path, replace(taught, classes=("wren", "owl", "crow")))
    with pytest.raises(ConfigError, match=r"no score for 1 of the 2 classes, the first 'robin' \(it has 3: wren, owl,"):
        lesson(manifest)
    soundfile.write(manifest.root / "2.wav", np.zeros(4000), RATE)
    with pytest.raises(DataError, match=r"sound of 1 of 4 training recordings has changed .* the first '2.wav'"):
        lesson(manifest)
    write_predictions(path, replace(taught, what="embeddings", classes=()))
    with pytest.raises(ConfigError, match="sum_mixup: embeddings of a teacher are not mixed as"):
        lesson(manifest, sound={"sum_mixup": {"probability": 0.5}})
    config, _ = material(manifest, teacher="nowhere.npz")
    with pytest.raises(ConfigError, match=r"nowhere.npz: there are no predictions"):
        config.check_files()


class Listener:
    """A run whose scores are the loudness of each half second, and its stream."""

    title, paths, classes, segment_s, shortest_s, heard = "loud", (), CLASSES, 0.5, 0.1, ()

    def stream_rate(self, sample_rate: int) -> int:
        return RATE

    def open_stream(self, sample_rate: int, options) -> Listener:
        assert options.segments
        self.heard = []
        return self

    def push(self, sound: np.ndarray) -> None:
        self.heard += sound.tolist()

    def finish(self) -> None: ...

    def take_segments(self) -> np.ndarray:
        return np.abs(np.reshape(self.heard, (-1, RATE // 2))).mean(axis=1)[:, None] * [1.0, 2.0]


def test_a_run_teaches_what_it_says_of_its_segments(manifest):
    path = manifest.root / "teacher.npz"
    taught = teach(RunTeacher(Listener(), 0.5), manifest, path).predictions
    assert taught.values.shape == (16, 2) and taught.start_s[:4].tolist() == [0, 0.5, 1, 1.5]
    sound = soundfile.read(manifest.root / "2.wav")[0]
    assert taught.over(2, 0.5, 0.5)[1] == pytest.approx(2 * np.abs(sound[4000:8000]).mean(), rel=1e-4)


def test_embedders_are_teachers(manifest):
    class Mean:
        title, digest, sample_rate, samples, hop_samples, classes = "mean", "m", 4000, 4000, 4000, ("robin", "wren")

        def scores(self, windows: np.ndarray) -> np.ndarray:
            return np.abs(windows).mean(axis=1)[:, None] * [1.0, 2.0]

    taught = teach(EmbedderTeacher(Mean(), "scores"), manifest, manifest.root / "teacher.npz").predictions
    assert taught.values.shape == (8, 2) and taught.end_s.max() == pytest.approx(SECONDS)
    lesson(manifest)
    Mean.classes = ()
    with pytest.raises(ConfigError, match="its scores have no names; teach its embeddings"):
        EmbedderTeacher(Mean(), "scores")
    with pytest.raises(ConfigError, match="ecotf brings the description, not the model"):
        open_teacher("birdnet_2.4", "embeddings")


def test_parts_of_a_recording_that_are_added_up_have_no_teacher(manifest):
    teach(Loudness(), manifest, manifest.root / "teacher.npz")
    config, given = material(manifest)
    summed = given.data.plan.model_copy(update={"clips": ClipsConfig(seconds=0.5, self_mixup="all")})
    train = given.data.training_clips(config, CLASSES)
    with pytest.raises(ConfigError, match=r"clips.self_mixup = all: a teacher has not heard sums"):
        TeacherLesson(
            SimpleNamespace(model=None), config, replace(given, data=given.data.for_plan(summed)), train, None
        )
