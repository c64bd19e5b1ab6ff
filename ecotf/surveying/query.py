"""SQL over the tables of a survey, or over folders of detections, by DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ecotf.errors import ConfigError
from ecotf.surveying.folder import ABOUT, PARQUET, for_parquet
from ecotf.surveying.inputs import read_inputs


def ask(folders: Sequence[Path], sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Ask a question in SQL.

    Parameters
    ----------
    folders
        One survey, whose tables are ``recordings``, ``detections``, ``observations``, ``hours``, ``days``, ``sites``
        and ``occasions``; or folders of detections, with ``recordings`` and ``detections``.

    Returns
    -------
    The names of the columns, and the rows.

    Raises
    ------
    ConfigError
        DuckDB is not installed, a folder cannot be read, or the question is wrong.
    """
    try:
        import duckdb
    except ImportError:
        raise ConfigError("--sql needs DuckDB, which is not installed; run: pip install 'ecotf[duckdb]'") from None
    with TemporaryDirectory() as room, duckdb.connect() as database:
        for name, path in _tables(folders, Path(room)).items():
            database.sql(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({_quoted(path)})")
        try:
            found = database.sql(sql)
            return ([], []) if found is None else (list(found.columns), found.fetchall())
        except duckdb.Error as error:
            raise ConfigError(f"--sql: {' '.join(str(error).split())[:300]}") from None


def _tables(folders: Sequence[Path], room: Path) -> dict[str, Path]:
    if len(folders) == 1 and (folders[0] / ABOUT).exists():
        return {name: folders[0] / "tables" / f"{name}.parquet" for name in PARQUET}
    found = read_inputs(folders)
    for name, table in (("recordings", found.recordings), ("detections", found.detections)):
        for_parquet(table).to_parquet(room / f"{name}.parquet", index=False)
    return {name: room / f"{name}.parquet" for name in ("recordings", "detections")}


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
