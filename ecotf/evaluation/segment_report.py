"""The metrics of clips as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

_MOST_CLASSES = 40
_NAME_WIDTH = 28


def clip_metrics_text(metrics: Mapping[str, Any]) -> str:
    """Lay out what `ecotf.evaluation.segment_metrics.clip_metrics` gives: the means, then one line for each class.

    Figures stand with their 95 % interval where they have one; ``-`` means that there was nothing to compute it from.
    """
    means = ", ".join(
        f"{name} {_figure(metrics[key])}{_span(metrics.get(key + '_interval'))}"
        for name, key in (("mAP", "cmap"), ("ROC-AUC", "roc_auc"), ("d-prime", "d_prime"))
    )
    lines = [
        f"{means}, on {metrics['n']} segments",
        f"padded cmAP {_figure(metrics['padded_cmap_5'])} (5 clips of ones; {_figure(metrics['padded_cmap_3'])} with "
        f"3), LRAP {_figure(metrics['lrap'])}",
        *_classes(metrics),
        *_notes(metrics),
    ]
    return "\n".join(lines)


def _classes(metrics: Mapping[str, Any]) -> Iterator[str]:
    classes = metrics["classes"]
    names = list(classes)
    if len(names) > _MOST_CLASSES:  # those that nobody can say anything about go last
        names.sort(key=lambda name: (not _known(classes[name]["ap"]), classes[name]["ap"] or 0.0))
        names = names[:_MOST_CLASSES]
        yield f"the {_MOST_CLASSES} of {len(classes)} classes with the lowest AP (all are in metrics.json):"
    width = max([len("class"), *(len(_short(name)) for name in names)])
    yield f"  {'class':<{width}}  segments     AP  {'[95 %]':<13} ROC-AUC  {'[95 %]':<13} d-prime"
    for name in names:
        found = classes[name]
        ap, area = (_span(found.get(f"{key}_interval")).strip() for key in ("ap", "roc_auc"))
        line = (
            f"  {_short(name):<{width}}  {found['n']:>8}  {_figure(found['ap']):>5}  {ap:<13}   "
            f"{_figure(found['roc_auc']):>5}  {area:<13}   {_figure(found['d_prime'], 2):>5}"
        )
        yield line.rstrip()


def _notes(metrics: Mapping[str, Any]) -> Iterator[str]:
    without = metrics["classes_without_roc_auc"]
    if without:
        more = f" and {len(without) - 10} more" if len(without) > 10 else ""
        yield (
            f"no ROC-AUC, and in no mean of it, since no segment has the class or every one has it: "
            f"{', '.join(without[:10])}{more}"
        )
    if metrics["soft_labels_counted_as_absent"]:
        yield (
            f"{metrics['soft_labels_counted_as_absent']} secondary labels (below 1) are counted as absent, as in the "
            "published metric"
        )
    how = metrics.get("settings")
    if how is not None and how["n_resampled"] >= 2:
        yield (
            f"[low, high]: 95 % bootstrap interval, {how['n_bootstrap']} resamples of {how['n_resampled']} "
            f"{how['resampled_by']}s, seed {how['seed']}; a class of a single one has none"
        )


def _known(value: float | None) -> bool:
    return value is not None and bool(np.isfinite(value))


def _figure(value: float | None, digits: int = 3) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{value:.{digits}f}"


def _span(bounds: Sequence[float | None] | None) -> str:
    if bounds is None or bounds[0] is None or bounds[1] is None or not np.isfinite(bounds).all():  # type: ignore[arg-type]
        return ""
    return f" [{bounds[0]:.2f}, {bounds[1]:.2f}]"


def _short(name: str) -> str:
    return name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 1]}…"
