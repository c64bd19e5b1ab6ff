"""``report.txt``: the summary of every run, around the lines of its task."""

from __future__ import annotations

from typing import Any

from ecotf.datasets.splits import SIDES
from ecotf.tasks.base import Data, Evaluation

_VALIDATION = """\
There are no test recordings: these figures are on the validation recordings, which also chose
epochs and thresholds. They are too good."""
_NOTHING = "There are no recordings to judge the model on: no figure here says how good it is."


def report_text(recipe: Any, data: Data, evaluation: Evaluation) -> str:
    """Write the report: the data of training and evaluation, the lines of the task, and the memory that it took."""
    sides = ", ".join(f"{len(data.recordings_of(side))} {side}" for side in SIDES)
    lines = [f"{recipe.name}: {recipe.description}", f"recordings: {sides}; left out: {len(data.problems)}"]
    judged_on, unfitted = evaluation.metrics["judged_on"]["split"], evaluation.thresholds["unfitted"]
    lines += {"valid": [_VALIDATION], None: [_NOTHING]}.get(judged_on, [])
    if unfitted:
        lines.append(f"thresholds that no validation recording could fit (a guess): {', '.join(unfitted)}")
    cost = evaluation.metrics["cost"]
    memory = (
        f"peak memory of the training {cost['peak_memory_mb']:.0f} MB; model {cost['model_bytes'] / 1e6:.2f} MB, "
        f"{cost['parameters']:,} parameters"
    )
    return "\n".join([*lines, *evaluation.head, "", *evaluation.body, "", memory]) + "\n"
