"""A folder of embeddings, as ``ecotf embed`` writes it: memory-mapped shards, and a table of what each row is of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.embeddings.records import EmbeddedRecords
from ecotf.embeddings.shards import SHARD_ROWS, open_shard
from ecotf.errors import ConfigError
from ecotf.files import atomic_file
from ecotf.models.embedders import Embedder

if TYPE_CHECKING:
    import pandas as pd

ABOUT, TABLE = "about.json", "embeddings.parquet"
_TABLE_ROWS = 1 << 16


@dataclass(frozen=True)
class About:
    """The embedder that a folder's rows are of.

    Attributes
    ----------
    labelled
        Whether the rows are of the annotations of a manifest.
    model
        The description of the embedder, with the full path of the model's file as it was then.
    """

    embedder: str
    licence: str
    digest: str
    numbers: int
    sample_rate: int
    samples: int
    hop_samples: int
    labelled: bool
    model: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, embedder: Embedder, labelled: bool) -> About:
        """Describe an embedder."""
        return cls(
            embedder.title, embedder.licence, embedder.digest, embedder.numbers, embedder.sample_rate,
            embedder.samples, embedder.hop_samples, labelled,
            embedder.config.model_dump(mode="json", exclude_none=True),
        )  # fmt: skip

    def write(self, folder: Path) -> None:
        """Keep it in ``folder``."""
        with atomic_file(folder / ABOUT) as partial:
            partial.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> About:
        """Read it from ``folder``; raises `ConfigError` where there is none."""
        try:
            return cls(**json.loads((folder / ABOUT).read_text(encoding="utf-8")))
        except OSError:
            raise ConfigError(f"{folder}: no folder of embeddings (it has no {ABOUT}); ecotf embed makes one") from None
        except (ValueError, TypeError):
            raise ConfigError(f"{folder / ABOUT}: damaged, or of another version of ecotf; embed again") from None


@dataclass(frozen=True)
class Embeddings:
    """The embeddings in a folder; made by `open_embeddings`.

    Row ``i`` of ``table`` says what embedding ``i`` is of. Recordings of equal sound share embeddings.

    Attributes
    ----------
    folder
        Where they are.
    about
        The embedder.

    Examples
    --------
    The windows that are nearest to the first one, in memory that does not grow with the archive::

        first = embeddings.rows([0])[0]
        nearest = []
        for start, block in embeddings.blocks():
            near = block.astype(np.float32) @ first
            nearest += [(near[i], start + i) for i in np.argsort(near)[-10:]]
            nearest = sorted(nearest)[-10:]
        print(embeddings.table.iloc[[i for _, i in nearest]])
    """

    folder: Path
    about: About

    @cached_property
    def table(self) -> pd.DataFrame:
        """``recording, start_s, end_s, shard, row``, and ``label`` where annotations were embedded."""
        import pandas as pd

        try:
            return pd.read_parquet(self.folder / TABLE)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.folder / TABLE}: cannot be read ({error})") from None

    @cached_property
    def paths(self) -> dict[str, Path]:
        """The file of each recording of the table, as a full path; it may have moved since."""
        return {record.recording: Path(record.path) for record in EmbeddedRecords(self.folder)}

    def __len__(self) -> int:
        """Return the number of rows of the table."""
        return len(self.table)

    @property
    def numbers(self) -> int:
        """The length of an embedding."""
        return self.about.numbers

    def rows(self, positions: Any) -> np.ndarray:
        """Read the embeddings of these rows of the table: float32 ``[n, numbers]``."""
        positions = np.asarray(positions, np.int64)
        found = np.empty((len(positions), self.numbers), np.float32)
        shards, rows = self._places
        for shard in np.unique(shards[positions]):
            here = shards[positions] == shard
            found[here] = open_shard(self.folder, int(shard), self.numbers)[rows[positions][here]]
        return found

    def blocks(self, size: int = 8192) -> Iterator[tuple[int, np.ndarray]]:
        """Yield all embeddings in the order of the table: the first row, and float16 ``[size, numbers]`` from there."""
        shards, rows = self._places
        starts = np.flatnonzero(np.diff(shards, prepend=-1))
        for start, end in zip(starts, [*starts[1:], len(shards)], strict=True):
            values = open_shard(self.folder, int(shards[start]), self.numbers)
            for at in range(start, end, size):
                wanted = rows[at : min(at + size, end)]
                together = wanted[-1] - wanted[0] == len(wanted) - 1 and (np.diff(wanted) == 1).all()
                yield at, values[wanted[0] : wanted[-1] + 1] if together else values[wanted]

    def require(self, embedder: Embedder) -> None:
        """Refuse embeddings of another embedder (`ConfigError`)."""
        if embedder.digest != self.about.digest:
            raise ConfigError(
                f"{self.folder}: embeddings of {self.about.embedder} (digest {self.about.digest[:8]}); here those of "
                f"{embedder.title} (digest {embedder.digest[:8]}) are needed"
            )

    @cached_property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        return self.table["shard"].to_numpy(np.int64), self.table["row"].to_numpy(np.int64)


def open_embeddings(folder: str | Path) -> Embeddings:
    """Open a folder that ``ecotf embed`` has written.

    Raises
    ------
    ConfigError
        It is none, or its job did not finish.

    Examples
    --------
    >>> open_embeddings("recordings/")
    Traceback (most recent call last):
    ecotf.errors.ConfigError: recordings: no folder of embeddings (it has no about.json); ecotf embed makes one
    """
    folder = Path(folder)
    about = About.read(folder)
    if not (folder / TABLE).exists():
        raise ConfigError(f"{folder}: its job did not finish; continue it with ecotf embed --resume")
    return Embeddings(folder, about)


def write_table(folder: Path, labelled: bool) -> int:
    """Write the table from the records; memory holds a part of it. Returns its number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [("recording", pa.string()), ("start_s", pa.float64()), ("end_s", pa.float64())]
    columns += [("label", pa.string())] if labelled else []
    schema = pa.schema([*columns, ("shard", pa.int32()), ("row", pa.int32())])
    records = EmbeddedRecords(folder)
    last = records.last_by_path()
    waiting: list[tuple[Any, ...]] = []
    written = 0
    with atomic_file(folder / TABLE) as partial, pq.ParquetWriter(partial, schema) as writer:

        def flush() -> None:
            cells = list(zip(*waiting, strict=True)) or [()] * len(schema)
            writer.write_table(pa.table([pa.array(c, f.type) for c, f in zip(cells, schema, strict=True)], schema))

        for line, record in enumerate(records):
            if last[record.path] != line:
                continue
            for place, row in record.table():
                label = (place.label,) if labelled else ()
                waiting.append(
                    (record.recording, place.start_s, place.end_s, *label, row // SHARD_ROWS, row % SHARD_ROWS)
                )
            if len(waiting) >= _TABLE_ROWS:
                written += len(waiting)
                flush()
                waiting.clear()
        written += len(waiting)
        flush()
    return written
