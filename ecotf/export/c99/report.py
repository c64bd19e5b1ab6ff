"""``REPORT.txt``: what the C code takes of a board, and how it was checked."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from ecotf.export.c99.compiled import Comparison
from ecotf.export.c99.source import Source
from ecotf.features.peaks import MEASURES

# Instructions for a multiply-add, and for each number that a layer makes. Two networks were counted at -O2 on emulated
# boards (Cortex-M4 and Cortex-M33): bats/hybrid_cnn_xgboost 182.5 million, bats/field 36.6 million.
_EACH_MAC, _EACH_NUMBER = 4.8, 135.0


def report(
    source: Source, values: Mapping[str, Any], found: Comparison, code: int | None, parity: Mapping[str, Any]
) -> str:
    """Write the text of the report."""
    flash = [*source.constant_bytes.items(), ("instructions (Cortex-M4, -O2, without the C library)", code)]
    given = [("patch", 4 * source.patch), ("scores", 4 * source.n_scores)]
    given += [("measures", 4 * len(MEASURES))] if source.measured else []
    network = parity["network"]
    margins = (
        "" if found.exact_margins is None else f", {100 * found.exact_margins:g} % of the margins XGBoost's to the bit"
    )
    return f"""\
{values["name"]}, run {values["run"]}, as C99.
EXPERIMENTAL: no board has run it; what is said below is counted, or measured in emulation.

Flash, bytes
{_table(flash)}
Static memory (RAM), bytes
{_table(source.ram.items())}
What the caller holds, bytes; besides, some hundred bytes of stack
{_table(given)}
Work, for one patch
  multiply-adds of the network {source.macs:,}
  trees                        {source.n_trees:,}
  instructions, an estimate    {(_EACH_MAC * source.macs + _EACH_NUMBER * source.made) / 1e6:.1f} million
  (Cortex-M4 and M33, plain C at -O2, without instructions for signal processing)

Checked before this was written, compiled on the exporting computer
  patches                      {found.patches}
  beside tflite-runtime {version("tflite-runtime")}, reference kernels: the network's answers differ by at most
  {found.steps:.2g} steps of int8, {100 * found.exact_answers:g} % are equal{margins}; scores within {found.scores:.1e}
  beside the run: the int8 network's max error is {network["max"]:.2g}, rms {network["rms"]:.2g},
  on {parity["seconds"]:.0f} s of {parity["compared_on"]}

Not in here: the front end. The board makes the spectrogram and looks for peaks itself; model.h says how.
"""


def _table(rows: Any) -> str:
    lines, total = [], 0
    for name, size in rows:
        lines.append(f"  {name:<52}{'not measured, some 5 kB' if size is None else f'{size:>10,}'}")
        total += size or 0
    return "\n".join([*lines, f"  {'in all':<52}{total:>10,}", ""])
