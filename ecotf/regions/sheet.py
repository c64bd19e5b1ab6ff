"""The contact sheet: the regions that were cut, to look at and listen to, as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.audio.channels import ChannelChoice
from ecotf.errors import EcotfError
from ecotf.files import atomic_file
from ecotf.regions.config import RoiConfig
from ecotf.reports.cards import played
from ecotf.reports.page import html_page
from ecotf.reports.sounds import read_excerpt
from ecotf.reports.text import quoted, seconds, shown
from ecotf.tasks.reported import Place

if TYPE_CHECKING:
    import pandas as pd

MOST_SHOWN = 300
"""How many regions a contact sheet shows where nobody says otherwise: some 12 MB."""
NAME = "contact_sheet.html"
_AROUND_S = 0.5


def write_sheet(folder: Path, table: pd.DataFrame, config: RoiConfig, channel: ChannelChoice, most: int) -> int:
    """Write the contact sheet of a folder; returns how many regions it shows.

    Parameters
    ----------
    table
        One row for each region, as `ecotf.regions.tables.write_tables` gives it.
    most
        Of more regions, some of each species are shown, kept ones and left-out ones alike; 0 writes no sheet.
    """
    if most == 0 or not len(table):
        (folder / NAME).unlink(missing_ok=True)
        return 0
    found: dict[Any, Any] = dict(table.groupby(["species", "kept"], sort=True).indices)
    order = table["cluster"].fillna(-1).to_numpy(np.int64)
    groups = {
        (str(species), bool(kept)): places[np.argsort(order[places], kind="stable")]
        for (species, kept), places in found.items()
    }
    chosen = dict(zip(groups, choose(list(groups.values()), most), strict=True))
    count = sum(map(len, chosen.values()))
    parts = [_head(table, count)]
    for species in sorted({key[0] for key in groups}):
        parts.append(f"<h2>{shown(species) if species else 'no known species'}</h2>")
        for kept, title in ((True, "kept"), (False, "left out as noise")):
            all_, some = groups.get((species, kept)), chosen.get((species, kept))
            if all_ is None or some is None:
                continue
            hidden = f", {len(some)} of them shown" if len(some) < len(all_) else ""
            cards = "".join(_card(row, config, channel) for row in table.iloc[some].to_dict("records"))
            parts.append(
                f'<h3>{len(all_)} {title}{hidden}</h3><div class="cards{"" if kept else " left"}">{cards}</div>'
            )
    with atomic_file(folder / NAME) as partial:
        partial.write_text(html_page("Regions of interest", "".join(parts)), encoding="utf-8")
    return count


def choose(groups: Sequence[np.ndarray], most: int) -> list[np.ndarray]:
    """Choose members of groups, ``most`` together: of small groups all, of large ones an even choice.

    Examples
    --------
    >>> [found.tolist() for found in choose([np.arange(10), np.array([20, 21])], 7)]
    [[0, 2, 4, 7, 9], [20, 21]]
    """
    room, left = {}, most
    by_size = sorted(range(len(groups)), key=lambda number: len(groups[number]))
    for done, number in enumerate(by_size):
        room[number] = min(len(groups[number]), left // (len(groups) - done))
        left -= room[number]
    return [
        group[np.unique(np.linspace(0, len(group) - 1, room[number]).round().astype(int))]
        for number, group in enumerate(groups)
    ]


def _head(table: pd.DataFrame, count: int) -> str:
    from ecotf import __version__

    kept = int(table["kept"].sum())
    hidden = "" if count == len(table) else f" This page shows {count} of them; {len(table) - count} are not shown."
    made = f"made by ecotf {__version__} on {datetime.now():%Y-%m-%d %H:%M}"
    said = (
        f"{len(table)} regions of {table['source'].nunique()} recordings: {kept} kept, {len(table) - kept} left out as"
    )
    return (
        f'<h1>Regions of interest</h1><p class="made">{made}</p><p>{said} noise.{hidden}</p><p class="keys">'
        "<kbd>space</kbd> plays and stops, <kbd>←</kbd> <kbd>→</kbd> go to the next region; a click into a spectrogram "
        "plays from there. Each shows the recording as it is, with the region as a box.</p>"
    )


def _card(row: dict[Any, Any], config: RoiConfig, channel: ChannelChoice) -> str:
    start_s, end_s = row["source_start_s"], row["source_end_s"]
    expansion = row["time_expansion"]
    place = Place(
        row["source"], Path(row["source_path"]), None if expansion is None or expansion != expansion else expansion,
        max(0.0, start_s - _AROUND_S), min(end_s + _AROUND_S, row["recorded_s"]),
        (start_s, end_s, row["low_hz"], row["high_hz"]),
    )  # fmt: skip
    band_hz = (max(0.0, config.regions.low_hz - 2 * config.margin_hz), config.regions.high_hz + 2 * config.margin_hz)
    try:
        media = played(read_excerpt(place, band_hz, channel, small=True), place)
    except EcotfError as error:
        media = f'<div class="gone">{quoted(error)}</div>'
    name = PurePath(row["source"].replace("\\", "/")).name
    cluster = f", cluster {row['cluster']}" if isinstance(row["cluster"], int) and row["cluster"] >= 0 else ""
    return (
        f'<article class="card" tabindex="0" aria-label="{quoted(name)}, {seconds(start_s)}">{media}'
        f'<div class="facts"><p class="where" title="{quoted(row["recording"])}">{shown(name)}, {seconds(start_s)} to '
        f"{seconds(end_s)}, {row['low_hz']:.0f} to {row['high_hz']:.0f} Hz{cluster}</p></div></article>"
    )
