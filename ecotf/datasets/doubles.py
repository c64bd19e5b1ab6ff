"""Annotations that are there twice, as where two people have marked the same event at the same moment."""

from __future__ import annotations

from typing import NamedTuple

from ecotf.datasets.manifest import Manifest

_ALIKE = ("recording", "start_s", "end_s", "low_hz", "high_hz", "label")


class Once(NamedTuple):
    """A manifest in which every annotation is once, and how many were left out of it."""

    manifest: Manifest
    doubles: int

    @property
    def told(self) -> str:
        """What people are told of those that were left out; empty where there are none."""
        if not self.doubles:
            return ""
        number = "1 annotation is" if self.doubles == 1 else f"{self.doubles:,} annotations are"
        return f"{number} there once more, with the same recording, times, frequencies and label: counted once"


def without_doubles(manifest: Manifest) -> Once:
    """Keep of annotations that agree in recording, times, frequencies and label the first one.

    One detection finds one event: of an event that is there twice, one would be missed always.

    Examples
    --------
    >>> import pandas as pd
    >>> from ecotf.datasets.manifest import make_manifest
    >>> rows = {"recording": ["a.wav"] * 3, "start_s": [0.1, 0.1, 0.4], "end_s": [0.2, 0.2, 0.6], "label": ["owl"] * 3}
    >>> without_doubles(make_manifest(pd.DataFrame(rows), ".", "example")).doubles
    1
    """
    table = manifest.table
    again = table.duplicated(list(_ALIKE)) & (table["label"] != "")
    n = int(again.sum())
    return Once(manifest if not n else Manifest(table[~again].reset_index(drop=True), manifest.root), n)
