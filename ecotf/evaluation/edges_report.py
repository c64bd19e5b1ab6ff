"""The figures of where events begin and end, as text and in a few names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ecotf.evaluation.report import as_figure, as_span, shortened

RULES = {"iou_0.3": "IoU 0.3", "iou_0.5": "IoU 0.5", "collars": "both edges"}


def main_figures(edges: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the figures that a summary shows by their names: each with ``value`` and ``value_interval``."""
    figures = {}
    for key, name in RULES.items():
        found = edges[key]
        figures[f"F1, {name}"] = {"value": found["macro_f1"], "value_interval": found["macro_f1_interval"]}
    figures["PSDS"] = edges["psds"]
    if edges["psds_frames"] is not None:
        figures["PSDS of frames"] = edges["psds_frames"]
    segments = edges["segments"]
    figures["segment error rate"] = {
        "value": segments["error_rate"], "value_interval": segments["error_rate_interval"]
    }  # fmt: skip
    figures["false alarms an hour"] = {
        "value": edges["false_alarms"]["per_hour"], "value_interval": [None, None]
    }  # fmt: skip
    return figures


def edges_text(edges: Mapping[str, Any]) -> str:
    """Lay out what `ecotf.evaluation.edges.judge_edges` gives: the means, a line for each class, and the rules."""
    return "\n".join(["WHERE EVENTS BEGIN AND END", *_means(edges), *_classes(edges), *_rules(edges)]) + "\n"


def _means(edges: Mapping[str, Any]) -> Iterator[str]:
    for name, found in main_figures(edges).items():
        yield f"  {name:<26}{as_figure(found['value'])}  {as_span(found['value_interval'])}".rstrip()


def _classes(edges: Mapping[str, Any]) -> Iterator[str]:
    labels = edges["collars"]["per_label"]
    width = max([len("class"), *(len(shortened(label)) for label in labels)])
    heads = "".join(f"  {f'F1 {name}':>13} {'[95 %]':<12}" for name in RULES.values())
    yield f"  {'class':<{width}}  events{heads}    PSDS  false alarms an hour"
    for label, row in labels.items():
        f1s = "".join(
            f"  {as_figure(edges[key]['per_label'][label]['f1']):>13} "
            f"{as_span(edges[key]['per_label'][label]['f1_interval']):<12}"
            for key in RULES
        )
        alarms = edges["false_alarms"]["per_label"][label]
        heard = f"{as_figure(alarms['per_hour'])} {as_span(alarms['per_hour_interval'])} in {_time(alarms['hours'])}"
        psds = edges["psds"]["per_label"].get(label)
        line = f"  {shortened(label):<{width}}  {row['support']:>6}{f1s}  {as_figure(psds):>6}  "
        yield line + (heard if alarms["hours"] else "-")


def _time(hours: float) -> str:
    return f"{hours:.2f} h" if hours >= 0.1 else f"{3600 * hours:.0f} s"


def _rules(edges: Mapping[str, Any]) -> Iterator[str]:
    how = edges["settings"]
    share = f", the end within {100 * how['collar_share']:g} % of the event's length" if how["collar_share"] else ""
    psds = how["psds"]
    cross = f", cttc {psds['cttc']:g}, alpha_ct {psds['alpha_ct']:g}" if psds["cttc"] is not None else ""
    yield (
        f"  IoU: what a detection and an event share, of what they cover together. Both edges: each within "
        f"{1000 * how['collar_s']:g} ms{share or ''}."
    )
    yield (
        f"  PSDS: dtc {psds['dtc']:g}, gtc {psds['gtc']:g}{cross}, alpha_st {psds['alpha_st']:g}, up to "
        f"{psds['max_efpr']:g} false alarms an hour. Segments of {how['segment_s']:g} s."
    )
    yield (
        f"  False alarms an hour: in recordings without the class that are fully annotated "
        f"({how['n_complete']} of {how['n_recordings']} recordings are)."
    )
    if how["n_complete"] < how["n_recordings"]:
        yield (
            "  In the others a call that nobody wrote down counts as a false alarm in F1, PSDS and the error rate. "
            "Where stretches without a call are annotated, events elsewhere are left out."
        )
    if how["n_points"]:
        yield f"  {how['n_points']} events have no length: they match by their edges alone, and are not in PSDS."
