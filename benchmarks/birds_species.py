"""Species of short clips: `birds/small` against statistics of the spectrogram, and what each part of it is worth."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from birds_runs import FOLDS, pretrained, run_once, short_clips, whole_clips
from scipy.special import expit
from scipy.stats import binomtest

from ecotf.audio.recording import open_recording
from ecotf.commands.console import log
from ecotf.evaluation.segment_metrics import wilson_interval
from ecotf.features import MelSpectrogram, MelSpectrogramConfig

BASELINE = "statistics"
SPECTROGRAM = {"window_s": 0.032, "hop_s": 0.02, "low_hz": 150, "high_hz": 15000, "bands": 64, "floor_db": -100}
RATE = 32000
# There are 56 recordings to learn from: an epoch draws each of them six times; 315 steps in all.
SHORTER = ("stages.0.sampler.clips=336", "stages.0.epochs=15")
# Ablation: from the pre-trained weights, three seconds and 76 steps, so that there is time for all of it.
SHORT = (
    "clips.seconds=3.0", "inference.segment_s=3.0", "stages.0.image.time_mask.width=36", "stages.0.sampler.clips=300",
    "stages.0.epochs=4", "stages.0.schedule.warmup_epochs=1",
)  # fmt: skip
PLAIN = "stages.0.sampler.power=0"  # every recording is as likely
VARIANTS = {
    "as it is": (),
    "no time shift": ("stages.0.sound.time_shift.probability=0",),
    "no mixup": ("stages.0.image.mixup.probability=0",),
    "no time mask": ("stages.0.image.time_mask.probability=0",),
    "no frequency mask": ("stages.0.image.frequency_mask.probability=0",),
    "no augmentation": ("stages.0.sound={}", "stages.0.image={}"),
    "uneven, not weighted": (PLAIN,),
    "uneven, balanced sampler": (),
    "uneven, class weights": (PLAIN, "stages.0.class_weights=-0.5"),
}
FEW = 2  # recordings that three species keep where classes are uneven


def species(options: argparse.Namespace) -> None:
    """Accuracy: log-mel statistics, from scratch, and pre-trained on other classes."""
    table = species_table(options.data)
    only = options.only.split(",") if options.only else [BASELINE, "scratch", "pretrained"]
    right: dict[str, pd.Series] = {}
    if BASELINE in only:
        right["statistics"] = statistics(table, 1.0)
        right["statistics, C = 0.1"] = statistics(table, 0.1)
    for name in ("scratch", "pretrained"):
        for seed in range(max(1, options.seeds)) if name in only else ():
            start = [] if name == "scratch" else [f"stages.0.weights_from={pretrained(options)}"]
            changed = [*SHORTER, *start, f"seed={1979 + seed}", *options.overrides]
            right[f"{name}, seed {1979 + seed}"] = small(table, options, f"{name}/seed_{seed}", changed)
    show(right, options.runs / "species.json")


def species_table(data: Path) -> pd.DataFrame:
    """Return the clips of phoebe_xc with their folds: two recordings of each species are tested at a time."""
    table = short_clips(data, "fewshot/phoebe_xc/")
    return table.assign(number=table.groupby("label").cumcount() % FOLDS)


def statistics(table: pd.DataFrame, strength: float) -> pd.Series:
    """Which recordings a logistic regression on mean and deviation of each log-mel band names right."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    spectrogram = MelSpectrogram(MelSpectrogramConfig.model_validate({**SPECTROGRAM, "centred": True}), RATE)
    features = []
    for path in table["recording"]:
        sound = open_recording(path).read(channel="mix", sample_rate=RATE)
        levels = spectrogram(np.ascontiguousarray(sound, np.float32))
        features.append(np.concatenate([levels.mean(axis=0), levels.std(axis=0)]))
    x, y, fold = np.stack(features), table["label"].to_numpy(), table["number"].to_numpy()
    right = np.zeros(len(y), bool)
    for number in np.unique(fold):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000, C=strength))
        model.fit(x[fold != number], y[fold != number])
        right[fold == number] = model.predict(x[fold == number]) == y[fold == number]
    return pd.Series(right, index=table["recording"])


def small(table: pd.DataFrame, options: argparse.Namespace, name: str, overrides: Sequence[str]) -> pd.Series:
    """Which recordings `birds/small` names right: the mean of its rows' probabilities is greatest for their species."""
    found = []
    for number in options.fold or range(FOLDS):
        split = np.where(table["number"] == number, "test", "train")
        run = run_once(whole_clips(table, split), options, f"{name}/fold_{number}", overrides)
        found.append(named_right(run.path / "predictions.npz")[0])
        known = pd.concat(found)
        log(f"{name}: fold {number}: {int(known.sum())} of {len(known)} right so far")
    return pd.concat(found)


def named_right(file: Path) -> tuple[pd.Series, float]:
    """Whether each recording of a run's predictions is named right, and the mean of -log of its species' share."""
    with np.load(file) as kept:
        rows = pd.DataFrame(expit(kept["logits"].astype(float))).groupby(kept["recording"], sort=True).mean()
        truth = pd.DataFrame(kept["targets"]).groupby(kept["recording"], sort=True).max()
    scores, species = rows.to_numpy(), truth.to_numpy().argmax(axis=1)
    shares = scores[np.arange(len(scores)), species] / scores.sum(axis=1)
    return pd.Series(scores.argmax(axis=1) == species, index=rows.index), float(-np.log(shares).mean())


def show(right: dict[str, pd.Series], file: Path) -> None:
    """Print accuracies, and each against the first one, recording by recording; add them to ``file``."""
    known = json.loads(file.read_text()) if file.exists() else {}
    known |= {name: {str(path): bool(hit) for path, hit in hits.items()} for name, hits in right.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(known, indent=2) + "\n")
    base = pd.Series(known[BASELINE]) if BASELINE in known else None
    for name, values in known.items():
        hits = pd.Series(values)
        low, high = wilson_interval(int(hits.sum()), len(hits))
        line = f"{name:24s} {int(hits.sum()):3d} of {len(hits)}  {hits.mean():.3f} [{low:.3f}, {high:.3f}]"
        if base is not None and name != BASELINE:
            gained, lost = discordant(hits, base)
            chance = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
            line += f"  against {BASELINE}: {gained} gained, {lost} lost, McNemar p = {chance:.4f}"
        log(line)


def discordant(hits: pd.Series, base: pd.Series) -> tuple[int, int]:
    """Return how many recordings are right here and wrong there, and the other way round."""
    there = base[hits.index]
    return int((hits & ~there).sum()), int((~hits & there).sum())


def ablation(options: argparse.Namespace) -> None:
    """One thing left out or put in, some seeds: mean and spread over seeds of accuracy and of log loss.

    Each seed has its own two folds of the five to test on, the same for all variants.
    """
    table = species_table(options.data)
    file, start = options.runs / "ablation.json", f"stages.0.weights_from={pretrained(options)}"
    results: dict[str, list[list[float]]] = {}
    for seed in range(options.seeds or 3):
        for name in options.only.split(",") if options.only else VARIANTS:
            inside = table["number"].isin([2 * seed % FOLDS, (2 * seed + 1) % FOLDS])
            own = uneven(table, inside) if name.startswith("uneven") else table
            split = np.where(inside[own.index], "test", "train")
            folder = f"ablation/{re.sub('[^a-z]+', '_', name)}/seed_{seed}"
            changed = [*SHORT, start, *VARIANTS[name], f"seed={1979 + seed}", *options.overrides]
            run = run_once(whole_clips(own, split), options, folder, changed)
            right, loss = named_right(run.path / "predictions.npz")
            results.setdefault(name, []).append([float(right.mean()), loss])
            log(f"seed {seed}: {name}: {int(right.sum())} of {len(right)}, log loss {loss:.3f}")
        file.write_text(json.dumps(results, indent=2) + "\n")
    for name, values in results.items():
        share, loss = np.array(values).T
        log(
            f"{name:26s} accuracy {share.mean():.3f} +- {share.std(ddof=1):.3f}  log loss {loss.mean():.3f} +- "
            f"{loss.std(ddof=1):.3f}  ({', '.join(f'{x:.3f}' for x in share)})"
        )


def uneven(table: pd.DataFrame, tested: pd.Series) -> pd.DataFrame:
    """With ``FEW`` of the training recordings of every other species."""
    rank = table[~tested].groupby("label").cumcount().reindex(table.index, fill_value=0)
    rare = table["label"].isin(sorted(table["label"].unique())[1::2])
    return table[tested | ~rare | (rank < FEW)]
