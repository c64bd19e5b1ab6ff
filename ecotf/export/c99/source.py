"""``model.c``: kernels, numbers, and the functions that ``model.h`` promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from ecotf.export.c99.arena import plan_arena
from ecotf.export.c99.constants import Constants, comment_of
from ecotf.export.c99.network import Network, Tensor, read_network
from ecotf.export.c99.operators import translate
from ecotf.export.c99.translation import Translation
from ecotf.export.c99.trees import TreesInC
from ecotf.features.peaks import MEASURES
from ecotf.models.heads.trees import Trees

# in this order, because some use what is defined in others
_KERNELS = ("scaled", "sliding", "convolve", "convolve_depthwise", "pool_max", "pool_average", "mean", "paired", "add",
            "multiply", "look_up", "fill", "move", "quantise", "real", "forest", "share")  # fmt: skip
_TOP = """\
/* {title}
 *
 * Written by ecotf; do not edit. C99 and its standard library, nothing else. Compile with -std=c99 and without
 * -ffast-math, so that float arithmetic rounds as it should: then the trees' margins are XGBoost's to the bit.
 */
#include "model.h"

#include <math.h>
#include <stddef.h>

/* shifts of negative numbers must keep their sign */
typedef char shifts_keep_the_sign[(-2 >> 1) == -1 ? 1 : -1];
"""


@dataclass(frozen=True)
class Source:
    """A translated model.

    Attributes
    ----------
    answers
        Name, size and resolution of what the network gives, in order.
    constant_bytes
        Numbers in the flash, by purpose.
    macs, made
        Multiply-adds, and numbers that are computed on the way.
    ram
        Static memory in bytes, by purpose.
    measured
        Whether the trees look at measures of the peak.
    """

    text: str
    answers: tuple[tuple[str, int, float], ...]
    patch: int
    n_scores: int
    n_margins: int
    n_trees: int
    measured: bool
    macs: int
    made: int
    constant_bytes: dict[str, int]
    ram: dict[str, int]


def c_source(network: bytes, trees: Trees | None, measured: bool, title: str) -> Source:
    """Translate a network, as `network_file` cuts it out, and the trees behind it.

    Raises
    ------
    ConfigError
        Names the operator that has no form in C.
    """
    read = read_network(network, title)
    arena, constants = plan_arena(read), Constants()
    body = Translation(read, arena, constants)
    for step in read.steps:
        translate(step, body)
    n_answers = sum(output.size for output in read.outputs)
    kernels = set(body.kernels)
    forest = None
    n_seen = n_answers + (len(MEASURES) if measured else 0)
    if trees is not None:
        forest = TreesInC(trees, n_seen, constants)
        kernels |= {"forest", "share"} if trees.combinations is not None else {"forest"}
    n_scores = read.outputs[0].size if forest is None else forest.n_scores
    n_margins = 0 if forest is None else forest.n_margins
    n_seen = n_seen if forest is None else forest.n_seen
    return Source(
        text=_text(body, forest, n_answers, n_seen, n_scores, measured, arena.size, kernels, title),
        answers=tuple((output.name, output.size, _resolution(read, output)) for output in read.outputs),
        patch=read.patch.size,
        n_scores=n_scores,
        n_margins=n_margins,
        n_trees=0 if forest is None else forest.n_trees,
        measured=measured,
        macs=body.macs,
        made=body.made,
        constant_bytes=constants.bytes,
        ram={
            "arena of the network": arena.size,
            "answers of the network, features": 4 * n_seen,
            "margins": 4 * n_margins,
        },
    )


def _text(
    body: Translation,
    forest: TreesInC | None,
    n_answers: int,
    n_seen: int,
    n_scores: int,
    measured: bool,
    arena: int,
    kernels: set[str],
    title: str,
) -> str:
    parts = [_TOP.format(title=comment_of(title))]
    if forest is not None:
        parts.append(f"typedef uint{32 if forest.wide else 16}_t node_number;")
    parts += [kernel(name) for name in _KERNELS if name in kernels]
    parts += [*body.constants.text, *body.structs]
    if forest is not None:
        parts += forest.definitions
    # int32_t, so that it begins at a multiple of 4
    parts.append(f"static int32_t room[{max(1, arena // 4)}];\nstatic int8_t *const arena = (int8_t *)room;")
    parts.append(f"static float answers[{n_seen}];")
    if forest is not None and forest.n_margins:
        parts.append(f"static float margins[{forest.n_margins}];")
    parts.append(_function("static void run_network(const float *patch)", body.calls))
    given = ", const float *measures" if measured else ""
    calls = ["  run_network(patch);"]
    if measured:
        calls.append(f"  for (int i = 0; i < {len(MEASURES)}; i++) answers[{n_answers} + i] = measures[i];")
    if forest is None:
        calls.append(f"  for (int i = 0; i < {n_scores}; i++) scores[i] = answers[i];")
    else:
        calls += [f"  {call}" for call in forest.calls]
    parts.append(_function(f"void model_score(const float *patch{given}, float *scores)", calls))
    parts.append(_function("const float *model_answers(void)", ["  return answers;"]))
    last = "margins" if forest is not None and forest.n_margins else "NULL"
    parts.append(_function("const float *model_margins(void)", [f"  return {last};"]))
    return "\n".join(parts)


def _resolution(network: Network, output: Tensor) -> float:
    """Return the size of one int8 step in an output."""
    made = next(step.inputs[0] for step in network.steps if output in step.outputs)
    assert made is not None
    return float(made.scale)


def kernel(name: str) -> str:
    """Read a piece of C that comes with ecotf."""
    return (resources.files("ecotf") / "export" / "c99" / "kernels" / f"{name}.c").read_text(encoding="utf-8")


def _function(head: str, lines: Sequence[str]) -> str:
    return "\n".join([f"{head} {{", *lines, "}", ""])
