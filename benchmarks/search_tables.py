"""The page of the search benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ecotf.files import atomic_file

_ABOUT = """# Search: measured

`benchmarks/search.py` made the tables of this page.

## Time and memory

The first 20 of random rows around 1,000 centres (half precision, as `ecotf embed` writes them), by cosine, for one
query; the median of ten. All ways ran one after the other in one run on a machine with two cores that others used, too,
so read the ratios and the processor time. The files were in the page cache. "times" is beside `ecotf, 1 thread`. "own"
is memory that is not of mapped files, Python and its packages included; what is mapped can be given back at any time.
"recall" is the share of the exact first 20.

"""
_WAYS = "| way | a query (ms) | times | processor (ms) | open (s) | peak (MiB) | own (MiB) | recall | build (s) |\n"
_PRECISION = """
## Precision of the first 20

One example, and the recordings of three sets of soundscapes together (boobook, pitta, piha), its own recording passed
over. Up to five events of each recording are the example in turn. A hit is right where its window and an event share
half of the shorter one. Hits are single windows, which overlap. Intervals are of recordings that are drawn again; there
are few, so they are wide. Pitta recordings were annotated for pittas alone: a boobook in them counts as wrong, and
so do faint calls of boobook in three recordings (`neg_annotated`) where only stretches without one were boxed. "Chance"
is the share of right rows among those that are searched.

"""
_COLUMNS = (
    "embedder", "window, hop (s)", "species", "examples (recordings)", "right rows of all", "chance",
    "precision at 20", "95 %", "one example: worst, best",
)  # fmt: skip


def write_page(kept: dict[str, Any], page: Path) -> None:
    """Write the page from what was kept."""
    lines = [_ABOUT]
    for one in kept["speed"]:
        size = 2e-6 * one["rows"] * one["numbers"]
        lines.append(f"### {one['rows']:,} rows of {one['numbers']:,} numbers ({size:,.0f} MB)\n\n")
        lines += [_WAYS, "|---" * 9 + "|\n"]
        first = one["ways"]["ecotf, 1 thread"]["seconds"]
        lines += [_way(name, way, first) for name, way in one["ways"].items()]
        if "usearch index" not in one["ways"]:
            lines.append("\nNo index was built here.\n")
        lines.append("\n")
    if kept.get("precision"):
        lines += [_PRECISION.lstrip(), "| " + " | ".join(_COLUMNS) + " |\n", "|---" * len(_COLUMNS) + "|\n"]
    for one in kept.get("precision", []):
        cells = (
            one["embedder"], f"{one['window_s']:.2f}, {one['hop_s']:g}", one["species"],
            f"{one['examples']} ({one['recordings']})", f"{one['positives']} of {one['rows']}", f"{one['chance']:.3f}",
            f"**{one['precision']:.3f}**", f"{one['low']:.3f} to {one['high']:.3f}",
            f"{one['worst']:.2f}, {one['best']:.2f}",
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |\n")
    with atomic_file(page) as partial:
        partial.write_text("".join(lines).rstrip() + "\n")


def _way(name: str, way: dict[str, Any], first: float) -> str:
    built = f"{way['build_s']:.0f} (processor {way['build_cpu_s']:.0f})" if "build_s" in way else ""
    cells = (
        name, f"{1e3 * way['seconds']:.2f}", f"{way['seconds'] / first:.2f}", f"{1e3 * way['cpu_s']:.2f}",
        f"{way['open_s']:.1f}", f"{way['peak_mib']:,.0f}", f"{way['own_mib']:,.0f}", f"{way['recall']:.3f}", built,
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |\n"
