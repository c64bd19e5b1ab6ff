"""Judge a model in episodes of species that it was never trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.errors import DataError
from ecotf.evaluation.episodes import Answer, accuracy_with_interval, episode_accuracies, head_answer
from ecotf.models.heads.nearest_mean import NearestMeanConfig
from ecotf.pipelines.episodes import EpisodeConfig, Episodes, draw_episodes
from ecotf.tasks.clips.fit_head import sounds_of_clips
from ecotf.tasks.clips.species_clips import SpeciesClips, silent_lines, species_clips
from ecotf.training.run_store import Log, RunStore

if TYPE_CHECKING:
    from ecotf.detection.segment_model import SegmentModel
    from ecotf.tasks.clips.data import ClipData
    from ecotf.tasks.clips.plan import ClipPlan

HELD_OUT = "heldout.npz"
_BATCH, _TOLD = 16, 5
_ON_EMBEDDINGS = {
    "nearest_mean": NearestMeanConfig(centred=False, normalised=False),
    "cl2n": NearestMeanConfig(centred=True, normalised=True),
}
TITLES = {"network": "the network's own rule", "nearest_mean": "nearest mean", "cl2n": "CL2N"}


@dataclass(frozen=True)
class Embedded:
    """Clips of the species of a side, embedded.

    Attributes
    ----------
    read
        int ``[n]``: which of the clips they are; the others cannot be read.
    embeddings, compared
        ``[n, ...]``; the second is what the network's own rule needs, None where it has none.
    """

    species: SpeciesClips
    read: np.ndarray
    embeddings: np.ndarray
    compared: np.ndarray | None

    @property
    def labels(self) -> np.ndarray:
        """The species of each clip; empty where it has none, or several."""
        targets = self.species.clips.table.targets[self.read] > 0
        names = np.array([*self.species.species, ""])
        return np.asarray(names[np.where(targets.sum(axis=1) == 1, targets.argmax(axis=1), -1)])


def judge_episodes(
    plan: ClipPlan, data: ClipData[Any], model: SegmentModel, run: RunStore, log: Log
) -> dict[str, Any] | None:
    """Judge the test species (or, said so, the validation ones) in the episodes of ``plan.evaluation.episodes``.

    The embeddings of validation species that were not trained on are kept as ``heldout.npz``: ``embeddings``
    ``[n, e]``, ``labels``, ``groups`` (int) and ``recordings`` ``[n]``.

    Returns
    -------
    ``split``, ``species``, ``trained`` (their names), ``unseen``, ``clips``, and one row for each setting of
    ``settings``: its size, and of each of ``rules`` the ``accuracy`` and its ``interval``; or why it could not be
    ``drawn``. None where neither side has a species.
    """
    held = _embedded(plan, data, model, "valid", log)
    if held is not None and not set(held.species.species) & set(model.classes):
        _keep(run, held)
    judged, split = _embedded(plan, data, model, "test", log), "test"
    if judged is None:
        judged, split = held, "valid"
    if judged is None:
        log("episodes: neither test nor validation has a species, so nothing is judged")
        return None
    unseen = not set(judged.species.species) & set(model.classes)
    found: dict[str, Any] = {
        "split": split,
        "species": list(judged.species.species),
        "trained": list(model.classes),
        "unseen": unseen,
        "clips": len(judged.read),
        "recordings": len(np.unique(judged.species.clips.table.recording[judged.read])),
        "settings": [_setting(plan, model, judged, size) for size in plan.evaluation.episodes],
    }
    for line in episode_lines(found):
        log(line)
    return found


def episode_lines(found: dict[str, Any]) -> list[str]:
    """Write what `judge_episodes` found, for people."""
    n, names = len(found["species"]), ", ".join(found["species"])
    seen = "none of which was trained on" if found["unseen"] else "which were TRAINED ON, so this is too good"
    lines = [
        f"trained on {len(found['trained'])} species: {', '.join(found['trained'])}",
        f"judged in episodes on {n} species of {found['split']}, {seen}: {names} ({found['clips']} clips)",
    ]
    for row in found["settings"]:
        title = f"{row['way']}-way {row['shots']}-shot, {row['queries']} queries a class"
        if "refused" in row:
            lines.append(f"{title}: not judged: {row['refused']}")
            continue
        lines.append(f"{title}, {row['episodes']} episodes (95 %, over episodes):")
        for name, rule in row["rules"].items():
            if "refused" in rule:
                lines.append(f"  {TITLES[name]}: not judged: {rule['refused']}")
                continue
            low, high = rule["interval"]
            lines.append(f"  {TITLES[name]}: {rule['accuracy']:.3f} [{low:.3f}, {high:.3f}]")
    return lines


def _setting(plan: ClipPlan, model: SegmentModel, judged: Embedded, size: EpisodeConfig) -> dict[str, Any]:
    row: dict[str, Any] = size.model_dump()
    source = judged.species.source
    table, group = source.table.take(judged.read), source.group[judged.read]
    try:
        # Clips that cannot be read were left out, so rows of the episodes are rows of the embeddings.
        drawn = draw_episodes(type(source)(table, group, source.classes), size, plan.seed, 0)
    except DataError as error:
        return row | {"refused": str(error)}
    own = plan.own_rule(model)
    rules: dict[str, tuple[np.ndarray, Answer]] = {}
    if own is not None and judged.compared is not None:
        rules["network"] = judged.compared, own.answer
    rules |= {name: (judged.embeddings, head_answer(config)) for name, config in _ON_EMBEDDINGS.items()}
    row["rules"] = {name: _judged(rows, drawn, answer) for name, (rows, answer) in rules.items()}
    return row | {"left_out": list(drawn.left_out)}


def _judged(rows: np.ndarray, drawn: Episodes, answer: Answer) -> dict[str, Any]:
    try:
        return accuracy_with_interval(episode_accuracies(rows, drawn, answer))
    except DataError as error:  # the embeddings are all the same, or no numbers: said, and the other rules are judged
        return {"refused": str(error)}


def _embedded(plan: ClipPlan, data: ClipData[Any], model: SegmentModel, split: str, log: Log) -> Embedded | None:
    """Embed the clips of a side's species: those that were not trained on or, where there is no other, all."""
    stage = plan.stages[-1]
    species = species_clips(data, split, stage, model.classes) or species_clips(data, split, stage)
    if species is None:
        return None
    own = plan.own_rule(model)
    problems: dict[str, str] = {}
    read: list[int] = []
    waiting: list[np.ndarray] = []
    embeddings: list[np.ndarray] = []
    compared: list[np.ndarray] = []

    def embed() -> None:
        sounds = np.stack(waiting)
        embeddings.append(model.embed(sounds))
        if own is not None:
            compared.append(own.compared(sounds))
        waiting.clear()

    clips, silent = species.clips, []
    for number, sound in sounds_of_clips(clips, model.sample_rate, data, plan.seed, problems, stage.seconds):
        if not np.ptp(sound):
            silent.append(clips.recordings[clips.table.recording[number]])
            continue
        read.append(number)
        waiting.append(sound)
        if len(waiting) == _BATCH:
            embed()
    if waiting:
        embed()
    for reason in [*problems.values(), *silent_lines(silent)][:_TOLD]:
        log(f"left out: {reason}")
    if not read:
        log(f"episodes: not one clip of {split} can be read")
        return None
    both = (np.concatenate(rows) if rows else None for rows in (embeddings, compared))
    return Embedded(species, np.array(read), *both)  # type: ignore[arg-type]


def _keep(run: RunStore, held: Embedded) -> None:
    names = np.array(held.species.clips.recordings)[held.species.clips.table.recording[held.read]]
    one = held.labels != ""
    with run.writing(HELD_OUT) as partial, partial.open("wb") as stream:
        np.savez(
            stream,
            embeddings=held.embeddings[one],
            labels=held.labels[one],
            groups=held.species.source.group[held.read][one],
            recordings=names[one],
        )
