"""The sets of `events.py`: recordings with boxes, their folds by recording, and how a class is judged."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from ecotf.datasets.labels import negations

FOLDS = 5


@dataclass(frozen=True)
class EventSet:
    """Recordings of one folder.

    Attributes
    ----------
    classes
        What is learned. Everything else that is annotated is known to be none of them.
    family
        ``calls`` in soundscapes, or dense ``songs``.
    collar_s
        How near both edges must be.
    overrides
        What recipes must know of these recordings.
    complete
        Whether every event is annotated; else only what is annotated is learned from and judged.
    pieces
        Cut every recording into so many, where there are too few to keep one each for learning and choosing. Pieces of
        one recording are never on two sides of a test, unless it is the only one: then each piece is tested once.
    folder, file
        The folder, where it is not the set's name; how names of its recordings begin.
    sites
        What names of recordings have, of each site: then a site is tested by what was learned on another, where every
        third recording chooses epochs and thresholds.
    joined
        The sets that this one is made of, for one network of all their classes. Each recording is taken for one without
        the other sets' classes, though nobody has listened for them.
    """

    classes: tuple[str, ...]
    family: str = "calls"
    collar_s: float = 0.25
    overrides: tuple[str, ...] = ()
    complete: bool = True
    pieces: int = 1
    folder: str = ""
    file: str = ""
    sites: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()


_FLY = (
    "sample_rate=2500",
    "front_end.low_hz=60",
    "front_end.high_hz=1200",
    "front_end.bands=32",
    "front_end.window_s=0.0256",
)
SETS = {
    "qut_boobook": EventSet(("Ninox boobook",)),
    "boobook_by_site": EventSet(
        ("Ninox boobook",), pieces=2, folder="qut_boobook", sites=("dalby_bush", "dalby_cotton")
    ),
    "qut_pitta": EventSet(("Pitta versicolor",)),
    "pyha_piha": EventSet(("bird",)),
    "three_birds": EventSet(
        ("Ninox boobook", "Pitta versicolor", "bird"), joined=("qut_boobook", "qut_pitta", "pyha_piha")
    ),
    "ohun_hermit": EventSet(("Phaethornis longirostris",), "songs", 0.02, ("sample_rate=22050",), pieces=2),
    "maad_spinetail": EventSet(("CRER", "SP"), pieces=3, folder="maad", file="spinetail"),
    "bengalese": EventSet(tuple(f"syll_{i}" for i in range(9)), "songs", 0.01),
    "songexplorer_fly": EventSet(("mel-pulse",), "songs", 0.01, _FLY, complete=False),
}


def event_table(data: Path, name: str, folder: Path) -> pd.DataFrame:
    """Return the annotations of a set as a manifest's table, with the number of the fold that tests each recording.

    Recordings with events and those without are dealt out one after the other, so that each fold has some of both.
    ``folder`` is for pieces of recordings.
    """
    own = SETS[name]
    if own.joined:
        return pd.concat([event_table(data, one, folder) for one in own.joined], ignore_index=True)
    manifest, annotations = pd.read_csv(data / "manifest.csv"), pd.read_csv(data / "annotations.csv")
    paths = sorted(path for path in manifest["path"] if path.startswith(f"soundscapes/{own.folder or name}/{own.file}"))
    table = annotations[annotations["path"].isin(paths)].copy()
    table = table.drop_duplicates(["path", "start_s", "end_s", "label"])  # the fly's pulses, by two people
    # A stretch that is not another label (not_mel-sine) may hold the class.
    about_others = [label for label, other in negations(table["label"].unique()).items() if other not in own.classes]
    table = table[~table["label"].isin(about_others)]
    # Where only what is not the class was boxed, nothing is known beside the boxes; in boobook's three such recordings
    # there are faint calls of it.
    kinds = manifest.set_index("path")["label_type"]
    complete = {path: own.complete and kinds[path] != "event (confusers)" for path in paths}
    others = ~table["label"].isin(own.classes)
    table = table[~(others & table["path"].map(complete))].copy()
    table["label"] = table["label"].where(table["label"].isin(own.classes), "")
    with_events = [path for path in paths if (table.loc[table["path"] == path, "label"] != "").any()]
    order = [*with_events, *(path for path in paths if path not in with_events)]
    annotated = set(table["path"])
    without = [{"path": path, "start_s": 0.0, "label": ""} for path in order if path not in annotated]
    columns = ["path", "start_s", "end_s", "low_hz", "high_hz", "label"]
    table = pd.concat([table[columns], pd.DataFrame(without, columns=columns)], ignore_index=True)
    table["number"] = table["path"].map({path: i % min(FOLDS, len(order)) for i, path in enumerate(order)})
    table["fully_annotated"] = ["yes" if complete[path] else "" for path in table["path"]]
    table["recording"] = [str((data / path).resolve()) for path in table.pop("path")]
    if own.sites:
        return _by_site(table, own.sites)
    return _in_pieces(table, own.pieces, folder / name) if own.pieces > 1 else table.reset_index(drop=True)


def folds_of(table: pd.DataFrame) -> list[int]:
    """Return the folds that test something."""
    return sorted(table["number"].unique().tolist())


def side_of(row: object, fold: int, n: int, pieces: int) -> str:
    """Return the side of a recording: one fold is tested, the next chooses epochs and thresholds."""
    number, piece = int(row.number), int(getattr(row, "piece", 0))  # type: ignore[attr-defined]
    if number == fold:
        return "test"
    if pieces > 1 and n < 3:
        return "valid" if piece == pieces - 1 else "train"
    return "valid" if number == (fold + 1) % n else "train"


def _by_site(table: pd.DataFrame, sites: tuple[str, ...]) -> pd.DataFrame:
    names = table.sort_values(["label", "recording"], ascending=[False, True])["recording"].drop_duplicates()
    site = {name: next(i for i, one in enumerate(sites) if one in name) for name in names}
    place = {name: i for k in range(len(sites)) for i, name in enumerate(n for n in names if site[n] == k)}
    piece = table["recording"].map(place).mod(3).eq(2).astype(int)
    return table.assign(number=table["recording"].map(site), piece=piece).reset_index(drop=True)


def _in_pieces(table: pd.DataFrame, pieces: int, folder: Path) -> pd.DataFrame:
    """Cut recordings where no event is cut; times then count from the beginning of a piece."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for path, own in table.groupby("recording"):
        sound, rate = soundfile.read(path)
        cuts = [0.0, *(_between(own, len(sound) / rate * i / pieces) for i in range(1, pieces)), len(sound) / rate]
        for i, (low, high) in enumerate(pairwise(cuts)):
            file = folder / f"{Path(str(path)).stem}_{i}.wav"
            soundfile.write(file, sound[round(low * rate) : round(high * rate)], rate)
            part = own[(own["start_s"] >= low) & (own["end_s"] <= high)]
            made.append(
                part.assign(
                    recording=str(file.resolve()), start_s=part["start_s"] - low, end_s=part["end_s"] - low, piece=i
                )
            )
    cut = pd.concat(made, ignore_index=True)
    return cut.assign(number=cut["piece"], piece=0) if cut["number"].nunique() == 1 else cut


def _between(own: pd.DataFrame, wanted_s: float) -> float:
    """Return the time nearest to the wanted one that no event is at."""
    times = np.unique(np.concatenate([[wanted_s], own["start_s"] - 0.01, own["end_s"] + 0.01]))
    starts, ends = own["start_s"].to_numpy(), own["end_s"].to_numpy()
    free = [time for time in times if not ((starts < time) & (time < ends)).any()]
    return float(min(free, key=lambda time: abs(time - wanted_s)))
