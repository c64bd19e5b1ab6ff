"""Boosted trees as flat C arrays, and how their margins become scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ecotf.errors import ConfigError
from ecotf.export.c99.constants import Constants, number
from ecotf.export.stages.trees import NodeTables, node_tables
from ecotf.models.heads.trees import Trees

_MANY = 1 << 16


class TreesInC:
    """The arrays of a forest or several, and the statements that run them on ``answers``.

    Attributes
    ----------
    n_margins, n_scores
        How many numbers there are of each.
    n_seen
        Numbers that the trees look at: what is given, and in a chain the answers before.
    wide
        Whether nodes are counted in 32 bits.
    """

    def __init__(self, trees: Trees, n_given: int, constants: Constants) -> None:
        self.trees = trees
        groups = self._groups()
        tables = [node_tables(group, int(group[0].num_features())) for group in groups]
        self.wide = any(len(table.feature) > _MANY for table in tables)
        self.n_margins = sum(len(table.base) for table in tables)
        self.n_trees = trees.n_trees
        self.n_seen = n_given + (len(trees.boosters) if trees.config.strategy == "chain" else 0)
        self.definitions = [_forest(index, table, self.wide, constants) for index, table in enumerate(tables)]
        if trees.combinations is not None:
            self.n_scores = trees.combinations.shape[1]
            self.calls = self._powerset(len(tables), constants)
        else:
            self.n_scores = len(trees.boosters)
            self.calls = self._chain(n_given) if trees.config.strategy == "chain" else self._one_vs_rest()

    def _groups(self) -> list[list[Any]]:
        present = [booster for booster in self.trees.boosters if booster is not None]
        if self.trees.config.strategy == "chain" or self.trees.combinations is not None:
            return [[booster] for booster in present]
        return [present] if present else []

    def _one_vs_rest(self) -> list[str]:
        calls, place = [], 0
        if self.n_margins:
            calls.append("grow(&forest_0, answers, margins);")
        for output, (booster, constant) in enumerate(zip(self.trees.boosters, self.trees.constants, strict=True)):
            if booster is None:
                calls.append(f"scores[{output}] = {number(constant)};")
            else:
                calls.append(f"scores[{output}] = sigmoid(margins[{place}]);")
                place += 1
        return calls

    def _chain(self, n_given: int) -> list[str]:
        calls, place = [], 0
        for link, (booster, constant) in enumerate(zip(self.trees.boosters, self.trees.constants, strict=True)):
            if booster is None:
                calls.append(f"scores[{link}] = {number(constant)};")
            else:
                calls.append(f"grow(&forest_{place}, answers, margins + {place});")
                calls.append(f"scores[{link}] = sigmoid(margins[{place}]);")
                place += 1
            calls.append(f"answers[{n_given + link}] = scores[{link}] > 0.5f ? 1.0f : 0.0f;")
        return calls

    def _powerset(self, n_forests: int, constants: Constants) -> list[str]:
        assert self.trees.combinations is not None
        combinations = self.trees.combinations.astype(np.float32)
        if not n_forests:
            return [f"scores[{label}] = {number(value)};" for label, value in enumerate(combinations[0])]
        name = constants.add("combinations", combinations, "trees")
        shares = f"float shares[{len(combinations)}];"
        return [
            shares,
            "grow(&forest_0, answers, margins);",
            f"share(margins, {self.n_margins}, shares);",
            f"for (int label = 0; label < {self.n_scores}; label++) {{",
            "  scores[label] = 0.0f;",
            f"  for (int i = 0; i < {len(combinations)}; i++)",
            f"    scores[label] += shares[i] * {name}[i * {self.n_scores} + label];",
            "}",
        ]


def _forest(index: int, tables: NodeTables, wide: bool, constants: Constants) -> str:
    numbers = np.uint32 if wide else np.uint16
    leaf = int(tables.feature[0])
    if leaf >= _MANY:
        raise ConfigError(f"--target c: trees on {leaf} features; it counts them in 16 bits")
    arrays: Sequence[tuple[str, Any]] = (
        ("feature", tables.feature.astype(np.uint16)), ("value", tables.value), ("left", tables.left.astype(numbers)),
        ("root", tables.roots.astype(numbers)), ("base", tables.base),
    )  # fmt: skip
    names = [constants.add(f"{name}_{index}", values, "trees") for name, values in arrays]
    rounds, outputs = tables.roots.shape
    return f"static const forest forest_{index} = {{{', '.join(names)}, {rounds}, {outputs}, {leaf}}};"
