"""A folder of clusters, as ``ecotf cluster`` writes it: a table of clips, and what they are embeddings of."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecotf.errors import ConfigError
from ecotf.files import atomic_file

if TYPE_CHECKING:
    import pandas as pd

    from ecotf.embeddings.store import Embeddings

FORMAT = 1
"""The version of the format of a folder of clusters."""

ABOUT, CLIPS, ITERATIONS, STEPS = "about.json", "clips.parquet", "iterations.csv", "iterations"
EMBEDDINGS, JOURNAL = "embeddings", "decisions.jsonl"

COLUMNS: dict[str, str] = {
    "recording": "string", "path": "string", "start_s": "float64", "end_s": "float64", "low_hz": "float64",
    "high_hz": "float64", "site": "string", "time": "string", "row": "int64", "x": "float32", "y": "float32",
    "cluster": "int64", "probability": "float32", "label": "string",
}  # fmt: skip
"""The columns of the table of clips, and their types."""


@dataclass(frozen=True)
class AboutClusters:
    """What the clusters of a folder were made with.

    Attributes
    ----------
    recipe
        The name of the recipe of clustering.
    settings
        All its settings.
    embedder, licence, digest
        Of the embedder that the clips were embedded with first.
    window_s
        The length of its window, seconds.
    regions
        Whether clips are regions of interest; otherwise they are segments, or annotations of a manifest.
    embeddings
        The folder of embeddings that ``row`` counts rows of; a relative path is below the folder of clusters.
    channel
        The channel that was heard: ``mix``, or its number, counted from 1.
    time_expansion
        As stated by the user; None takes what the recording's metadata say.
    salvage
        Whether recordings that are cut off were heard.
    """

    recipe: str
    embedder: str
    licence: str
    digest: str
    window_s: float
    regions: bool = False
    embeddings: str = EMBEDDINGS
    channel: str | int = "mix"
    time_expansion: float | None = None
    salvage: bool = False
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Clusters:
    """Clusters of clips; made by `open_clusters`.

    Attributes
    ----------
    folder
        Where they are.
    about
        What they were made with.
    """

    folder: Path
    about: AboutClusters

    @cached_property
    def clips(self) -> pd.DataFrame:
        """A row a clip.

        ``recording``, as it was given, and ``path``, its real path; ``start_s``, ``end_s`` in real seconds of it,
        ``low_hz`` and ``high_hz`` (NaN where it is the whole band); ``site``, ``time`` (ISO, or empty); ``row`` of the
        embeddings; ``x`` and ``y`` on the map; ``cluster``, -1 for noise; ``probability`` from 0 to 1, how central it
        is in its cluster; ``label``, empty where none was given.
        """
        import pandas as pd

        path = self.folder / CLIPS
        try:
            table = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: cannot be read ({error})") from None
        missing = [name for name in COLUMNS if name not in table]
        if missing:
            raise ConfigError(f"{path}: damaged; it has no column {missing[0]}")
        return _typed(table)

    @cached_property
    def iterations(self) -> pd.DataFrame:
        """A row an iteration: its figures, and whether it was ``chosen``."""
        import pandas as pd

        path = self.folder / ITERATIONS
        try:
            return pd.read_csv(path)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: cannot be read ({error})") from None

    @cached_property
    def embeddings(self) -> Embeddings:
        """The embeddings of the clips, before any fine-tuning; ``clips.row`` counts the rows of their table."""
        from ecotf.embeddings.store import open_embeddings

        return open_embeddings(self.folder / self.about.embeddings)

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.clips)


def open_clusters(folder: str | Path) -> Clusters:
    """Open a folder that ``ecotf cluster`` has written.

    Raises
    ------
    ConfigError
        It is none, its job did not finish, or another version of ecotf wrote it.

    Examples
    --------
    >>> open_clusters("recordings/")
    Traceback (most recent call last):
    ecotf.errors.ConfigError: recordings: no folder of clusters (it has no about.json); ecotf cluster makes one
    """
    folder = Path(folder)
    path = folder / ABOUT
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        version = values.pop("clusters", None)
    except FileNotFoundError:
        raise ConfigError(f"{folder}: no folder of clusters (it has no {ABOUT}); ecotf cluster makes one") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, AttributeError):
        raise ConfigError(f"{path}: damaged; cluster again with --overwrite") from None
    if version is None:
        raise ConfigError(f"{folder}: no folder of clusters ({ABOUT} is of something else); ecotf cluster makes one")
    if version != FORMAT:
        raise ConfigError(
            f"{folder}: clusters of format {version}, and this version of ecotf reads format {FORMAT}; cluster again"
        )
    try:
        about = AboutClusters(**values)
    except TypeError:
        raise ConfigError(f"{path}: damaged; cluster again with --overwrite") from None
    if not (folder / CLIPS).exists():
        raise ConfigError(f"{folder}: its job did not finish; continue it with ecotf cluster --resume")
    return Clusters(folder, about)


def write_about(folder: Path, about: AboutClusters) -> None:
    """Keep what the clusters were made with."""
    with atomic_file(folder / ABOUT) as partial:
        values = {"clusters": FORMAT, **asdict(about)}
        partial.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def write_clips(folder: Path, clips: pd.DataFrame) -> None:
    """Write the table of clips; columns that are not in `COLUMNS` are left out."""
    with atomic_file(folder / CLIPS) as partial:
        _typed(clips).to_parquet(partial, index=False)


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the format in their types; texts are plain objects."""
    import numpy as np
    import pandas as pd

    typed: dict[str, Any] = {}
    for name, kind in COLUMNS.items():
        if kind == "string":
            typed[name] = table[name].fillna("").astype(str).astype(object)
        else:
            typed[name] = np.asarray(table[name], kind)
    return pd.DataFrame(typed)
